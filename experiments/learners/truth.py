"""Truth: the yardstick of every other learner."""

from auctionsim.agents import Truthful
from auctionsim.experiments.learners.registry import CorpusLearner, LearnedPlay, LearningTask, register


def tell_the_truth(task: LearningTask) -> LearnedPlay:
    """Bid the valuation."""
    return LearnedPlay([Truthful()] * task.game.num_bidders, 0)


register(CorpusLearner("truth", "truth", "bids the valuation", tell_the_truth))
