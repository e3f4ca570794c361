"""Bidders by name, for the conventions that speak in dicts: spaces, observations, bids and infos of each."""

from typing import Any

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.envs.game import AuctionGame, GameState, Round
from auctionsim.envs.learner import bidder_spaces, bidders_numbers, bids_in_box, learner_tensor, platform_numbers
from auctionsim.errors import InputError

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
        ValueError: A bidder is missing, a stranger bids, or a bid has another shape or lies outside its box.
    """
    names = bidder_names(game)
    if set(actions) != set(names):
        raise InputError(f"every bidder must bid once: expected {names}, got {sorted(actions)}")
    own = [learner_tensor(actions[name], (game.num_features,)) for name in names]
    return torch.stack([bids_in_box(bid, game, bidder) for bidder, bid in enumerate(own)])


def named_observations(game: AuctionGame, state: GameState) -> list[dict[str, np.ndarray]]:
    """Return what each bidder sees, one dict a row."""
    seen = game.observe(state).to(torch.float32).numpy()
    names = bidder_names(game)
    return [dict(zip(names, row, strict=True)) for row in seen]


def named_infos(game: AuctionGame, played: Round) -> list[dict[str, dict[str, Any]]]:
    """Return the round in numbers, one dict a row: each bidder's share, and the platform's beside it."""
    own, platform = bidders_numbers(played), platform_numbers(played)
    names = bidder_names(game)
    infos = []
    for row in range(len(played.bids)):
        shared = {name: numbers[row].item() for name, numbers in platform.items()}
        infos.append(
            {
                name: {**{key: _entry(numbers[row, bidder]) for key, numbers in own.items()}, **shared}
                for bidder, name in enumerate(names)
            }
        )
    return infos


def _entry(number: Any) -> Any:
    """Return a number as Python has it, and an array, one number a feature, as it is."""
    return number if number.ndim else number.item()
