"""The studies: one file an experiment; nothing imports them."""

if __name__ == "experiments":
    raise ImportError("import auctionsim.experiments: the folder 'experiments' is installed under that name")
