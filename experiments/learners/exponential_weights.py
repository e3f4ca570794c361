"""Exponential weights on a grid of bids, for each bin of valuations, and for each context by itself."""

from auctionsim.agents import ExponentialWeights, HedgeSettings, learn_by_context
from auctionsim.experiments.learners.registry import CorpusLearner, LearnedPlay, LearningTask, register

ROUNDS = 300
GRID = HedgeSettings(bids=41, batch=64)


def weigh_bids(task: LearningTask) -> LearnedPlay:
    """Weigh every bid of a grid by what it would have earned so far."""
    game, rounds = task.game, task.updates(ROUNDS)
    parts = (game.mechanism, game.substrate, game.prior)
    played = rounds * GRID.batch * GRID.bids * game.num_bidders * max(task.contexts, 1)
    if task.contexts:
        return LearnedPlay(learn_by_context(*parts, rounds, seed=task.seed, settings=GRID), played)
    return LearnedPlay(ExponentialWeights(*parts, seed=task.seed, settings=GRID).train(rounds), played)


register(
    CorpusLearner(
        "exponential-weights",
        "exponential weights",
        f"weighs {GRID.bids} bids by what each would have earned, {ROUNDS} rounds of full feedback",
        weigh_bids,
    )
)
