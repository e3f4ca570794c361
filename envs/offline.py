"""Logged auctions: rounds of a game under a behaviour strategy, as transitions for offline learners."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.claims import declared
from auctionsim.envs.episodes import PlayedTurn, first_episodes, turns
from auctionsim.envs.game import AuctionGame
from auctionsim.envs.learner import LearnerSeat
from auctionsim.envs.situations import observation_layout
from auctionsim.envs.transitions import MEASURES, NONE, LogSource, Transitions
from auctionsim.errors import InputError
from auctionsim.seeds import checked_seed
from auctionsim.strategies import AnyStrategy, called, declared_by, known_to


def log_episodes(
    seat: LearnerSeat,
    behaviour: AnyStrategy | None,
    *,
    episodes: int,
    seed: int,
    limit: int | None = None,
    setting: str | None = None,
) -> Transitions:
    """Play episodes with a behaviour strategy in the learner's seat, and log its rounds.

    A behaviour that declares a `measure`, "mass" or "density", is asked for the probability of each of its bids, by
    `probability(valuations, bids)`, or `probability(valuations, bids, situation)` where it observes anything.

    Args:
        seat: The game, who is logged, and the opponents.
        behaviour: The strategy that bids; None: truth.
        episodes: How many: the first ones of the seeds seed, seed + 1, ….
        seed: Of the first.
        limit: Rounds after which an episode is truncated; None: it is played to its end.
        setting: The named auction, to be written beside the log.
    Raises:
        ValueError: A measure that is none of `MEASURES`; a probability that is none.
    """
    game, place = seat.game, seat.learner
    last = game.rounds if limit is None else min(checked_count(limit, "limit"), game.rounds)
    measure = declared(behaviour, "measure", NONE)
    if measure not in MEASURES:
        raise InputError(f"{called(behaviour)}.measure must be one of {MEASURES}, got {measure!r:.60}")
    columns: dict[str, list[Tensor]] = {}
    count = checked_count(episodes, "episodes")
    for turn in turns(seat, behaviour, game.draw_rows(first_episodes(seed, count))):
        for name, column in _columns(game, place, turn, behaviour, measure, last).items():
            columns.setdefault(name, []).append(column)
        if int(turn.after.round[0]) >= last:
            break
    together = {name: torch.stack(parts, dim=1).flatten(0, 1).numpy() for name, parts in columns.items()}
    episode = np.repeat(np.arange(count, dtype=np.int64), last)
    return Transitions(_source(seat, behaviour, measure, seed, setting), episode, **together)


def _columns(
    game: AuctionGame, place: int, turn: PlayedTurn, behaviour: AnyStrategy | None, measure: str, last: int
) -> dict[str, Tensor]:
    """Return one round's columns, (episode, …) each."""
    rows = len(turn.own)
    over, none = turn.after.round >= game.rounds, torch.full((rows,), torch.nan, dtype=torch.float64)
    cost = turn.round.cost
    return {
        "round": turn.before.round,
        "observation": game.observe(turn.before)[:, place].to(torch.float32),
        "action": turn.own.to(torch.float32),
        "reward": turn.round.rewards[:, place].double(),
        "next_observation": game.observe(turn.after)[:, place].to(torch.float32),
        "terminated": over,
        "truncated": (turn.after.round >= last) & ~over,
        "cost": none if cost is None else cost[:, place].double(),
        "probability": none if measure == NONE else _probability(game, place, turn, behaviour),
    }


@torch.no_grad()
def _probability(game: AuctionGame, place: int, turn: PlayedTurn, behaviour: Any) -> Tensor:
    known = known_to(behaviour, turn.situation)
    truth = game.valuations(turn.before)[:, place].clone()
    probability: Tensor = behaviour.probability(truth, turn.own.clone(), *(() if known is None else (known,)))
    if not isinstance(probability, Tensor) or probability.shape != (len(truth),):
        raise InputError(f"{called(behaviour)}.probability must answer with one number a row ({len(truth)})")
    return probability.double()


def _source(
    seat: LearnerSeat, behaviour: AnyStrategy | None, measure: str, seed: int, setting: str | None
) -> LogSource:
    game, layout = seat.game, observation_layout(seat.game)
    if declared_by(behaviour).remembers and measure != NONE:
        raise InputError(f"{called(behaviour)} has a memory: the probability of its bids is not asked for")
    return LogSource(
        features=tuple(game.substrate.features),
        observed=layout.names,
        widths=layout.widths,
        action_high=tuple(game.bid_high[seat.learner].double().tolist()),
        rounds=game.rounds,
        learner=seat.learner,
        behaviour="truth" if behaviour is None else called(behaviour),
        measure=measure,
        seed=checked_seed(seed),
        setting=setting,
    )
