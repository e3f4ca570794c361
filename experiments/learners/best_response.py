"""Best responses in turn: all bidders reply at once to what the others did before, from truth on."""

import torch

from auctionsim.agents import BestResponse, ByContext, Strategy, Truthful
from auctionsim.experiments.learners.registry import CorpusLearner, LearnedPlay, LearningTask, register

SWEEPS, CANDIDATES, DRAWS = 8, 101, 512


def reply_in_turn(task: LearningTask) -> LearnedPlay:
    """Reply to the others' last strategies, on fresh draws; nothing is averaged, so bids may go round in circles."""
    game, contexts = task.game, task.contexts
    generator = torch.Generator().manual_seed(task.seed)
    field: list[Strategy] = [Truthful()] * game.num_bidders
    sweeps = task.updates(SWEEPS)

    def reply(bidder: int, context: int | None) -> BestResponse:
        parts = (game.mechanism, game.substrate, game.prior, bidder, field)
        return BestResponse(*parts, generator=generator, candidates=CANDIDATES, draws=DRAWS, context=context)

    for _ in range(sweeps):
        field = [
            ByContext([reply(i, c) for c in range(contexts)]) if contexts else reply(i, None)
            for i in range(game.num_bidders)
        ]
    return LearnedPlay(field, sweeps * game.num_bidders * max(contexts, 1) * CANDIDATES * DRAWS)


register(
    CorpusLearner(
        "best-response",
        "best response",
        f"{SWEEPS} times, all at once, the best of {CANDIDATES} bids against the others' last strategies",
        reply_in_turn,
    )
)
