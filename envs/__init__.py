"""The auction as a game: one pure core, and a thin adapter for each RL convention."""

if __name__ == "envs":
    raise ImportError("import auctionsim.envs: the folder 'envs' is installed under that name")
