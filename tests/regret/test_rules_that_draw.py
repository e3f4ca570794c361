"""Rules that draw are refused in whatever row, however rarely they draw; deterministic ones that jump are not."""

import contextlib

import pytest
import torch
from torch import Tensor

from auctionsim.mechanisms import VCG, FirstPrice, SecondPrice
from auctionsim.outcome import Outcome
from auctionsim.priors import Uniform
from auctionsim.regret import InterimSettings, deployed_regret, ex_interim_regret, ex_post_regret, menu_regret_sources
from auctionsim.substrates import Items, QuadraticSubstrate

REFUSED = "must come out the same whatever else is in the batch, and at every call"


def paid_back(bids: Tensor, extra: Tensor) -> Outcome:
    outcome = SecondPrice()(bids)
    return Outcome(outcome.allocation, outcome.payments - extra)


def values(batch: int, n: int = 2) -> Tensor:
    return torch.rand(batch, n, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("row", [0, 4, 9])
def test_a_draw_in_one_row_only(row: int, generator: torch.Generator) -> None:
    v = values(10)
    mark = v[row, 1, 0]

    def rule(bids: Tensor, context: Tensor | None = None) -> Outcome:
        here = (bids[:, 1:, 0] == mark).double()
        return paid_back(bids, 0.1 * here * torch.rand(bids.shape[:2], generator=generator, dtype=bids.dtype))

    with pytest.raises(ValueError, match=REFUSED):
        ex_post_regret(rule, Items(2), v, budget=48)


@pytest.mark.parametrize("chance", [0.5, 0.02, 0.002])
def test_rare_draws(chance: float, generator: torch.Generator) -> None:
    """Refused, or never drawn and so no part of any number."""

    def rule(bids: Tensor, context: Tensor | None = None) -> Outcome:
        lucky = torch.rand(bids.shape[:2], generator=generator) < chance
        return paid_back(bids, 0.3 * lucky)

    if chance > 0.01:
        with pytest.raises(ValueError, match=REFUSED):
            ex_post_regret(rule, Items(2), values(4), budget=100)
        return
    with contextlib.suppress(ValueError):  # some of the calls draw it
        assert ex_post_regret(rule, Items(2), values(4), budget=100).max < 1e-9


def test_one_draw_a_call_and_draws_that_are_seeded_anew(generator: torch.Generator) -> None:
    def by_call(bids: Tensor, context: Tensor | None = None) -> Outcome:
        return paid_back(bids, 0.1 * torch.rand((), generator=generator).expand(bids.shape[:2]))

    def by_place(bids: Tensor, context: Tensor | None = None) -> Outcome:
        again = torch.Generator().manual_seed(0)
        return paid_back(bids, 0.1 * torch.rand(bids.shape[:2], generator=again))

    def by_company(bids: Tensor, context: Tensor | None = None) -> Outcome:
        return paid_back(bids, 0.1 * bids.mean().expand(bids.shape[:2]))

    for rule in (by_call, by_place, by_company):
        with pytest.raises(ValueError, match=REFUSED):
            ex_post_regret(rule, Items(2), values(3), budget=48)
        with pytest.raises(ValueError, match=REFUSED):
            ex_interim_regret(rule, Items(2), Uniform(0, 1), draws=64, settings=InterimSettings(types=2, budget=16))
        with pytest.raises(ValueError, match=REFUSED):
            deployed_regret(rule, Items(2), Items(2), values(3), budget=48)


def test_the_parts_of_a_menu_refuse_it_too(generator: torch.Generator) -> None:
    place = QuadraticSubstrate(2)

    def rule(bids: Tensor, context: Tensor | None = None) -> Outcome:
        outcome = VCG(place, 1.0)(bids)
        return Outcome(outcome.allocation, outcome.payments * torch.rand(bids.shape[:2], generator=generator))

    with pytest.raises(ValueError, match=REFUSED):
        menu_regret_sources(rule, place, values(3), budget=16)


def test_a_jump_that_rounding_decides_is_no_draw() -> None:
    """Who wins a tie depends on the size of the batch, as a network's rounding may: found, not refused."""

    def rule(bids: Tensor, context: Tensor | None = None) -> Outcome:
        last = torch.tensor([0.0, 2.0**-50 * (len(bids) % 3 - 1)], dtype=bids.dtype)
        moved = bids * (1 + last.view(1, 2, 1))
        winner = moved[..., 0].argmax(1)
        given = torch.nn.functional.one_hot(winner, 2).to(bids).unsqueeze(2)
        return Outcome(given, (given * bids).sum(2))

    v = torch.tensor([[[0.5], [0.5]], [[0.75], [0.25]], [[1.0], [1.0]]], dtype=torch.float64)
    found = ex_post_regret(rule, Items(2), v, budget=64)
    assert found.max == pytest.approx(0.5, abs=1e-3)
    assert ex_post_regret(FirstPrice(), Items(2), v).max == pytest.approx(0.5, abs=1e-5)


def test_small_money_is_held_to_the_same_rule(generator: torch.Generator) -> None:
    """A draw of a fifth of the price, all amounts in millionths."""

    def rule(bids: Tensor, context: Tensor | None = None) -> Outcome:
        outcome = SecondPrice()(bids)
        return Outcome(
            outcome.allocation, outcome.payments * (1 - 0.2 * torch.rand(bids.shape[:2], generator=generator))
        )

    with pytest.raises(ValueError, match=REFUSED):
        ex_post_regret(rule, Items(2), values(5) * 1e-6, budget=48)
