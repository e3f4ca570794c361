"""Votes that are drawn: independent judges of given accuracies on two classes."""

import numpy as np

from auctionsim.panels import Votes

FIVE = (0.9, 0.8, 0.7, 0.6, 0.55)
"""Accuracies of the five judges that several tests are about."""


def drawn_votes(accuracies: tuple[float, ...], items: int, seed: int) -> tuple[Votes, np.ndarray]:
    """Draw the classes, each as likely, and the votes."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(2, size=items)
    right = generator.random((items, len(accuracies))) < np.array(accuracies)
    return Votes(np.where(right, truth[:, None], 1 - truth[:, None])), truth
