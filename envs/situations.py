"""Situations of strategies in a game: a bidder's own in every episode, or what an observation shows of it."""

from typing import NamedTuple

import numpy as np
import torch

from auctionsim.envs.game import AuctionGame, GameState
from auctionsim.observation_layout import ObservationLayout
from auctionsim.strategies import AnyStrategy, Memory, Situation


def situation_of(game: AuctionGame, state: GameState, bidder: int) -> Situation:
    """Return what one bidder knows beside its valuation in each episode of a batch.

    Returns:
        `context` is None where the game has none; `budget_left` is infinite where it has no budgets. In episodes that
        are over, valuation, context and round are still the last round's: bids are ignored there.
    """
    spent = state.spent[:, bidder]
    left = torch.full_like(spent, torch.inf) if game.budgets is None else (game.budgets[bidder] - spent).clamp_min(0)
    return Situation(
        context=game.context(state),
        budget_left=left,
        round=state.round.clamp_max(game.rounds - 1),
        last_exposure=state.last_exposure[:, bidder],
        last_payment=state.last_payment[:, bidder],
    )


def observation_layout(game: AuctionGame) -> ObservationLayout:
    """Return which numbers of a bidder's observation mean what."""
    m, contexts = game.num_features, len(game.contexts)
    known = {"valuation": m, "context": contexts, "last_exposure": m}
    alone = {name: known.get(name, 1) for name in game.observed if name != "menu"}
    rest = game.observation_low.shape[1] - sum(alone.values())  # the menu's, where it is seen
    return ObservationLayout(
        names=tuple(game.observed),
        widths=tuple(alone.get(name, rest) for name in game.observed),
        rounds=game.rounds,
        has_contexts=contexts > 0,
        has_budgets=game.budgets is not None,
    )


@torch.no_grad()
def strategy_action(game: AuctionGame, strategy: AnyStrategy | None, observation: np.ndarray) -> np.ndarray:
    """Return a strategy's action on one bidder's observation, as PettingZoo and RLlib hand it over.

    Args:
        game: The environment's.
        strategy: Any; None tells the truth.
        observation: (number,), or (batch, number).
    Returns:
        (feature,) or (batch, feature) bids, float32.
    Raises:
        ValueError: The observation does not show what the strategy observes: name it in the environment's `observe`.
    """
    seen = torch.as_tensor(np.atleast_2d(observation))
    bids = observation_layout(game).bids(strategy, seen).to(torch.float32)
    return np.asarray(bids.numpy().reshape(*observation.shape[:-1], game.num_features))


class ActionTurn(NamedTuple):
    """A strategy's action on an observation, and the memory for its next one."""

    action: np.ndarray
    memory: Memory


@torch.no_grad()
def strategy_turn(
    game: AuctionGame, strategy: AnyStrategy | None, observation: np.ndarray, memory: Memory | None = None
) -> ActionTurn:
    """Return `strategy_action` of a strategy with a memory, and the memory for the next round.

    Args:
        game: The environment's.
        strategy: Any; one that remembers nothing has an empty memory.
        observation: (number,), or (batch, number).
        memory: Of the round before; None at the beginning of an episode.
    Raises:
        ValueError: The observation does not show what the strategy observes: name it in the environment's `observe`.
    """
    seen = torch.as_tensor(np.atleast_2d(observation))
    bids, following = observation_layout(game).turn(strategy, memory or {}, seen)
    action = bids.to(torch.float32).numpy().reshape(*observation.shape[:-1], game.num_features)
    return ActionTurn(np.asarray(action), following)
