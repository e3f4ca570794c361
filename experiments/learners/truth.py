"""Truth: the yardstick of every other learner."""

from auctionsim.agents import Truthful
from auctionsim.experiments.learners.registry import CorpusLearner, LearnedPlay, Lesson, register


def tell_the_truth(lesson: Lesson) -> LearnedPlay:
    """Bid the valuation."""
    return LearnedPlay([Truthful()] * lesson.game.num_bidders, 0)


register(CorpusLearner("truth", "truth", "bids the valuation", tell_the_truth))
