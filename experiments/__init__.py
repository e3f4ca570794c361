"""The studies, and the tables, the figures and the runs behind them: studies → figures → tables → running."""

if __name__ == "experiments":
    raise ImportError("import auctionsim.experiments: the folder 'experiments' is installed under that name")
