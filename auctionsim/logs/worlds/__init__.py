"""Worlds with known truth, one a file: each yields a confounded log, an experiment, replays and the values."""

__all__: list[str] = []
