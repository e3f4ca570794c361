"""Rules, strategies and utilities that compute in place change nobody else's numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from auctionsim import Outcome
from auctionsim.agents import BestResponse
from auctionsim.envs import NeuronAuctionEnv
from auctionsim.mechanisms import FirstPrice, SecondPrice
from auctionsim.priors import Uniform
from auctionsim.regret import ex_interim_regret, ex_post_regret, exploitability, nash_conv
from auctionsim.strategies import Situation, bids_of
from auctionsim.substrates import Items

UNIT = Uniform(0, 1)


def halved(valuations: Tensor) -> Tensor:
    return valuations * 0.5


def halving(valuations: Tensor) -> Tensor:
    valuations *= 0.5
    return valuations


def erasing(bids: Tensor, context: Tensor | None = None) -> Outcome:
    outcome = SecondPrice()(bids, context)
    bids.zero_()
    return outcome


@pytest.mark.parametrize("evaluate", [exploitability, nash_conv, ex_interim_regret])
def test_evaluators_judge_a_strategy_by_what_it_answers(evaluate: Callable[..., Any]) -> None:
    found = [
        evaluate(FirstPrice(), Items(2), UNIT, strategies=one, draws=64, generator=torch.Generator().manual_seed(1))
        for one in (halving, halved)
    ]
    assert str(found[0]) == str(found[1])


def test_a_best_response_to_it_is_the_same() -> None:
    ones = torch.linspace(0, 1, 9).unsqueeze(1)
    replies = [
        BestResponse(FirstPrice(), Items(2), UNIT, 0, one, generator=torch.Generator().manual_seed(1), draws=64)(ones)
        for one in (halving, halved)
    ]
    assert torch.equal(*replies)


def test_what_a_strategy_is_told_is_its_own() -> None:
    def erases(valuations: Tensor, situation: Situation) -> Tensor:
        for part in situation:
            if part is not None:
                part.zero_()
        return valuations.zero_()

    erases.observes = ("last_exposure", "last_payment", "budget_left")  # type: ignore[attr-defined]
    valuations, known = torch.ones(2, 1), Situation(None, *(torch.ones(2) for _ in range(4)))
    assert bids_of(erases, valuations, known).sum() == 0
    assert valuations.sum() == 2
    assert all(part is None or part.sum() == 2 for part in known)


@pytest.mark.parametrize("options", [{}, {"budgets": 0.5}, {"roi_targets": 1.5}])
def test_a_rule_in_place_plays_the_same_rounds(options: dict[str, Any]) -> None:
    def rounds(rule: Any, **more: Any) -> list[Any]:
        env = NeuronAuctionEnv(mechanism=rule, substrate=Items(2), rounds=6, **options, **more)
        env.reset(seed=0)
        return [env.step(np.full(1, 0.9, np.float32)) for _ in range(6)]

    def in_place(value: Tensor, payment: Tensor) -> Tensor:
        value -= payment
        payment.zero_()
        return value

    plain = rounds(SecondPrice())
    for other in (rounds(erasing), rounds(SecondPrice(), utility=in_place)):
        for one, two in zip(plain, other, strict=True):
            np.testing.assert_array_equal(one[0], two[0])
            assert one[1] == two[1]
            assert {**one[4]} == {**two[4]}


def test_regret_of_a_rule_in_place_is_the_rules() -> None:
    valuations = torch.rand(8, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    reports = valuations / 2
    found = ex_post_regret(erasing, Items(2), valuations, reports=reports, budget=32)
    want = ex_post_regret(SecondPrice().__call__, Items(2), valuations, reports=reports, budget=32)
    assert torch.equal(found.lower, want.lower)
    assert torch.equal(reports, valuations / 2)
