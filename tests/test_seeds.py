"""Whoever takes a seed takes numpy's whole numbers, and refuses what is none in one sentence."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from auctionsim.agents import ExponentialWeights
from auctionsim.mechanisms import FirstPrice, MenuNetwork, train_affine_maximizer, train_menu
from auctionsim.priors import Uniform
from auctionsim.seeds import checked_seed, seeded
from auctionsim.substrates import Items, QuadraticSubstrate

GROUND = QuadraticSubstrate(2)
WHAT_IS_SEEDED: dict[str, Callable[[Any], torch.Tensor]] = {
    "menu network": lambda seed: next(MenuNetwork(GROUND, entries=2, hidden=4, seed=seed).parameters()),
    "menu": lambda seed: train_menu(GROUND, Uniform(0, 1), 1.0, entries=2, steps=1, seed=seed).menus.prices,
    "affine": lambda seed: train_affine_maximizer(GROUND, Uniform(0, 1), 1.0, entries=3, steps=1, seed=seed).boosts,
    "exponential weights": lambda seed: ExponentialWeights(
        FirstPrice(), Items(2), Uniform(0, 1), seed=seed
    ).generator.get_state(),
}


@pytest.mark.parametrize("what", WHAT_IS_SEEDED)
def test_numpys_whole_numbers_are_seeds(what: str) -> None:
    make = WHAT_IS_SEEDED[what]
    assert torch.equal(make(np.int64(3)), make(3))
    assert not torch.equal(make(np.uint8(4)), make(3))
    with pytest.raises(TypeError, match="truth value"):
        make(True)
    with pytest.raises(ValueError, match="whole number >= 0, got -1"):
        make(-1)


def test_what_torch_cannot_take_is_refused() -> None:
    assert seeded(2**64 - 1).initial_seed() == 2**64 - 1
    assert checked_seed(2**64) == 2**64
    with pytest.raises(ValueError, match=r"at most 2\*\*64 - 1"):
        seeded(2**64)
    for wrong in (1.0, np.float32(1), "1", None):
        with pytest.raises(TypeError, match="whole number >= 0"):
            seeded(wrong)
