"""Shading: the rule of thumb of first-price auctions, in every auction."""

from auctionsim.agents import Shading
from auctionsim.experiments.learners.registry import CorpusLearner, LearnedPlay, LearningTask, register


def shade(task: LearningTask) -> LearnedPlay:
    """Bid (n − 1)/n of the valuation, n the number of bidders."""
    n = task.game.num_bidders
    return LearnedPlay([Shading((n - 1) / n)] * n, 0)


register(
    CorpusLearner(
        "shading",
        "shading",
        "bids (n − 1)/n of the valuation, the equilibrium of one item at first price and U[0, 1]",
        shade,
    )
)
