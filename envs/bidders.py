"""How many bidders are told apart by name, for the conventions that speak in dicts."""

from typing import Any

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.envs.game import AuctionGame, GameState, Round
from auctionsim.envs.learner import bidder_spaces, learner_tensor

Spaces = dict[str, gymnasium.spaces.Box]


def bidder_names(game: AuctionGame) -> list[str]:
    """Return bidder_0, bidder_1, …"""
    return [f"bidder_{bidder}" for bidder in range(game.num_bidders)]


def named_spaces(game: AuctionGame) -> tuple[Spaces, Spaces]:
    """Return every bidder's observation and action space."""
    pairs = [bidder_spaces(game, bidder) for bidder in range(game.num_bidders)]
    names = bidder_names(game)
    return dict(zip(names, [o for o, _ in pairs], strict=True)), dict(zip(names, [a for _, a in pairs], strict=True))


def named_bids(game: AuctionGame, actions: dict[str, Any]) -> Float[Tensor, "bidder feature"]:
    """Return the bids of a dict of actions.

    Raises:
        ValueError: A bidder is missing, a stranger bids, or a bid has another shape.
    """
    names = bidder_names(game)
    if set(actions) != set(names):
        raise ValueError(f"every bidder must bid once: expected {names}, got {sorted(actions)}")
    return torch.stack([learner_tensor(actions[name], (game.num_features,)) for name in names])


def named_observations(game: AuctionGame, state: GameState) -> list[dict[str, np.ndarray]]:
    """Return what each bidder sees, one dict a row."""
    seen = game.observe(state).to(torch.float32).numpy()
    names = bidder_names(game)
    return [dict(zip(names, row, strict=True)) for row in seen]


def named_infos(game: AuctionGame, played: Round) -> list[dict[str, dict[str, Any]]]:
    """Return the round in numbers, one dict a row: each bidder's share, and the platform's beside it."""
    bids, exposure = played.bids.double().numpy(), played.exposure.double().numpy()
    payments = played.outcome.payments.double().numpy()
    loss = None if played.user_loss is None else played.user_loss.double().numpy()
    infos = []
    for row in range(len(bids)):
        shared = {"revenue": float(payments[row].sum())}
        if loss is not None:
            shared["user_loss"] = float(loss[row])
        infos.append(
            {
                name: {
                    "bid": bids[row, bidder],
                    "exposure": exposure[row, bidder],
                    "payment": float(payments[row, bidder]),
                    **shared,
                }
                for bidder, name in enumerate(bidder_names(game))
            }
        )
    return infos
