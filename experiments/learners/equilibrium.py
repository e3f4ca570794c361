"""The equilibrium learner: small networks that climb their own utility by pseudogradients."""

from auctionsim.agents import EquilibriumLearner
from auctionsim.experiments.learners.registry import CorpusLearner, LearnedPlay, Lesson, register

UPDATES, BATCH = 600, 1024


def climb(lesson: Lesson) -> LearnedPlay:
    """Let every bidder's network climb its own ex-ante utility, all at once."""
    game, updates = lesson.game, lesson.updates(UPDATES)
    learner = EquilibriumLearner(
        game.mechanism,
        game.substrate,
        game.prior,
        seed=lesson.seed,
        batch=BATCH,
        observe=("context",) if lesson.contexts else (),
    )
    return LearnedPlay(learner.train(updates), updates * BATCH * 2 * game.num_bidders)


register(
    CorpusLearner(
        "equilibrium",
        "equilibrium learner",
        f"networks climb their own utility by pseudogradients, {UPDATES} updates of {BATCH} auctions",
        climb,
    )
)
