"""The equilibrium learner: small networks that climb their own utility by pseudogradients."""

from auctionsim.agents import EquilibriumLearner
from auctionsim.experiments.learners.registry import CorpusLearner, LearnedPlay, LearningTask, register

UPDATES, BATCH = 600, 1024


def climb(task: LearningTask) -> LearnedPlay:
    """Let every bidder's network climb its own ex-ante utility, all at once."""
    game, updates = task.game, task.updates(UPDATES)
    learner = EquilibriumLearner(
        game.mechanism,
        game.substrate,
        game.prior,
        seed=task.seed,
        batch=BATCH,
        observe=("context",) if task.contexts else (),
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
