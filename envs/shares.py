"""Bids as shares of the highest one: the box of actions, and the bids that shares stand for."""

import numpy as np
from gymnasium.spaces import Box


def share_box(shape: tuple[int, ...], *, symmetric: bool) -> Box:
    """Return the box of shares: [0, 1] for each feature, or [−1, 1]."""
    return Box(-1.0 if symmetric else 0.0, 1.0, shape, np.float32)


def bids_of_shares(shares: np.ndarray, high: np.ndarray, *, symmetric: bool) -> np.ndarray:
    """Return bids: 0 … high of shares 0 … 1, or of −1 … 1."""
    given = np.asarray(shares, dtype=np.float32)
    bids: np.ndarray = ((given + 1) / 2 if symmetric else given) * high
    return bids
