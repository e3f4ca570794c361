"""Populations of opponents, some kept apart from training, and a learner's score against each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from auctionsim.checks import checked_count, checked_number
from auctionsim.envs.episodes import first_episodes, turns
from auctionsim.envs.game import AuctionGame
from auctionsim.envs.learner import LearnerSeat
from auctionsim.errors import InputError
from auctionsim.metrics import Interval, mean_interval
from auctionsim.seeds import checked_seed
from auctionsim.strategies import AnyStrategy


@dataclass(frozen=True, eq=False)
class Population:
    """Opponents by name.

    Attributes:
        name: Of the population.
        opponents: One strategy for all others, or one each in bidder order; None (or None in the list): truth.
    Raises:
        ValueError: No name.
    """

    name: str
    opponents: AnyStrategy | Sequence[AnyStrategy | None] | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InputError(f"a population needs a name, got {self.name!r}")

    @property
    def members(self) -> tuple[AnyStrategy | None, ...]:
        """The strategies, each once where one plays all."""
        return tuple(self.opponents) if isinstance(self.opponents, Sequence) else (self.opponents,)


@dataclass(frozen=True, eq=False)
class Populations:
    """Populations to train against, and others that are kept apart from training.

    No name and no strategy object stands on both sides; truth (None) may, in a list of opponents that differs.

    Attributes:
        training: May be seen while learning.
        held_out: Only scored on.
    Raises:
        ValueError: None held out, two of one name, or opponents that are on both sides.
    """

    training: tuple[Population, ...]
    held_out: tuple[Population, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "training", tuple(self.training))
        object.__setattr__(self, "held_out", tuple(self.held_out))
        if not self.held_out:
            raise InputError("at least one population must be held out, got none")
        names = [one.name for one in (*self.training, *self.held_out)]
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise InputError(f"populations must have names of their own, got two called {doubled!r}")
        for one in self.training:
            for other in self.held_out:
                shared = [member for member in one.members if member is not None and member in other.members]
                if shared or one.members == other.members:
                    raise InputError(
                        f"held-out populations must be kept apart: {other.name!r} has opponents of {one.name!r}, "
                        "which may be trained against"
                    )


def split_populations(populations: Sequence[Population], held_out: int, seed: int) -> Populations:
    """Return populations of which some, chosen by a seed, are held out.

    Args:
        populations: All.
        held_out: How many are kept apart, ≥ 1 and fewer than all.
        seed: Chooses them.
    Raises:
        ValueError: Too many or too few.
    """
    if not 1 <= checked_count(held_out, "held_out") < len(populations):
        raise InputError(f"held_out must be at least 1 and fewer than all {len(populations)}, got {held_out}")
    chosen = set(np.random.default_rng(checked_seed(seed)).permutation(len(populations))[:held_out].tolist())
    return Populations(
        tuple(one for place, one in enumerate(populations) if place not in chosen),
        tuple(one for place, one in enumerate(populations) if place in chosen),
    )


class PopulationScore(NamedTuple):
    """A learner's score against one population.

    Attributes:
        population: Its name.
        held_out: Whether it is kept apart from training.
        reward: Mean per round.
        interval: Of that mean, over independent episodes.
        cost: Mean cost per round; None where targets are a cap or absent.
        cost_interval: Of that mean, or None.
    """

    population: str
    held_out: bool
    reward: float
    interval: Interval
    cost: float | None
    cost_interval: Interval | None


class PopulationScores(NamedTuple):
    """A learner's scores against all populations, on the same episodes.

    Attributes:
        scores: One a population, training first.
        gap: Mean reward per round against held-out populations less that against training ones, paired by episode;
            None where there are no training ones. Below 0 the learner does worse against those that it has not met.
        gap_interval: Of that mean, or None.
        episodes: How many each mean is over.
        confidence: Of each interval, taken alone.
    """

    scores: tuple[PopulationScore, ...]
    gap: float | None
    gap_interval: Interval | None
    episodes: int
    confidence: float


def score(
    game: AuctionGame,
    strategy: AnyStrategy | None,
    populations: Populations,
    *,
    learner: int = 0,
    episodes: int = 256,
    seed: int = 0,
    confidence: float = 0.95,
) -> PopulationScores:
    """Score a learner's strategy against every population, on the same valuations, contexts and presence.

    Intervals are Student's over episodes, which are independent; rounds of one episode need not be.

    Args:
        game: What is played.
        strategy: The learner's; None tells the truth.
        populations: Whom it meets.
        learner: Its seat.
        episodes: How many, ≥ 2: the first ones of the seeds seed, seed + 1, ….
        seed: Of the first; take others than training's.
        confidence: Of each interval, in (0, 1).
    Raises:
        ValueError: Fewer than two episodes; opponents that the game has no seats for.
    """
    if checked_count(episodes, "episodes") < 2:
        raise InputError(f"episodes must be at least 2, for intervals, got {episodes}")
    checked_number(confidence, "confidence", 0.0, 1.0)
    rewards: dict[bool, list[Tensor]] = {False: [], True: []}
    scores = []
    for held_out, side in ((False, populations.training), (True, populations.held_out)):
        for population in side:
            seat = LearnerSeat(game, learner, population.opponents)
            reward, cost = _means(seat, strategy, episodes, seed)
            rewards[held_out].append(reward)
            scores.append(
                PopulationScore(
                    population.name,
                    held_out,
                    float(reward.mean()),
                    mean_interval(reward, confidence),
                    None if cost is None else float(cost.mean()),
                    None if cost is None else mean_interval(cost, confidence),
                )
            )
    if not populations.training:
        return PopulationScores(tuple(scores), None, None, episodes, confidence)
    gap = torch.stack(rewards[True]).mean(0) - torch.stack(rewards[False]).mean(0)
    return PopulationScores(tuple(scores), float(gap.mean()), mean_interval(gap, confidence), episodes, confidence)


def _means(seat: LearnerSeat, strategy: AnyStrategy | None, episodes: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """Return each episode's mean reward and cost per round, (episode,) float64."""
    game, place = seat.game, seat.learner
    reward = torch.zeros(episodes, dtype=torch.float64)
    cost = None if game.cost is None else torch.zeros(episodes, dtype=torch.float64)
    for turn in turns(seat, strategy, game.draw_rows(first_episodes(seed, episodes))):
        reward += turn.round.rewards[:, place].double() / game.rounds
        if cost is not None and turn.round.cost is not None:
            cost += turn.round.cost[:, place].double() / game.rounds
    return reward, cost
