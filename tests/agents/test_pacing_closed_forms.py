"""Paced bidders U[0, 1] end at the closed forms, in five seeds: alike ones against each other, one against a rival.

A tick has 64 auctions and a run 1,200 ticks of step 0.1, from truth on. The multiplier forgets where it began within
some 50 ticks, and wavers around its end by a few percent from tick to tick, so averages are over ticks of the second
half, up to the twentieth part in which money may end. Five seeds are five markets side by side.
"""

from functools import cache

import numpy as np
import pytest
from pacing_fakes import Course, repeated_auctions, uniform_draws

from auctionsim.agents.pacing import controller
from auctionsim.market import CampaignTerms
from auctionsim.market.equilibria import first_price_multiplier, lone_second_price_pacing, second_price_multiplier

SEEDS, QUERIES, TICKS = 5, 64, 1200
TAIL = slice(TICKS // 2, TICKS * 19 // 20)
WITHIN = 0.02
LONE = lone_second_price_pacing(1 / 24)


def paced(kind: str, bidders: int, budget: float, *, first: bool = False, rival: bool = False) -> Course:
    """Return a day of bidders with a budget per auction."""
    count = SEEDS * bidders
    terms = CampaignTerms(np.full(count, budget * QUERIES * TICKS), np.zeros(count), TICKS)
    draws = uniform_draws(SEEDS, bidders, QUERIES, rival=rival)
    return repeated_auctions(controller(kind), terms, draws, (SEEDS, bidders), first=first)


@cache
def lone(kind: str) -> Course:
    return paced(kind, 1, 1 / 24, rival=True)


@pytest.mark.parametrize(
    ("kind", "first", "bidders", "budget"),
    [
        ("multiplicative", False, 2, 1 / 12),
        ("multiplicative", True, 2, 1 / 6),
        ("multiplicative", False, 3, 1 / 9),
        ("adaptive", False, 2, 1 / 12),
        ("adaptive", True, 2, 1 / 6),
        ("adaptive", True, 4, 1 / 8),
        ("pid", False, 2, 1 / 12),
    ],
)
def test_alike_bidders_end_at_the_closed_form(kind: str, first: bool, bidders: int, budget: float) -> None:
    course = paced(kind, bidders, budget, first=first)
    form = first_price_multiplier if first else second_price_multiplier
    ends = course.multiplier[TAIL].mean(0)
    assert form(bidders, budget) < 0.7
    assert ends == pytest.approx(np.full_like(ends, form(bidders, budget)), rel=WITHIN)
    assert course.spend.sum(0).max() <= budget * QUERIES * TICKS * (1 + 1e-12)


@pytest.mark.parametrize("kind", ["multiplicative", "adaptive", "pid"])
def test_one_paced_bidder_ends_at_its_best_multiplier(kind: str) -> None:
    course = lone(kind)
    ends = course.multiplier[TAIL].mean(0)
    assert ends == pytest.approx(np.full_like(ends, LONE.multiplier), rel=WITHIN)
    utility = (course.value - course.spend)[TAIL].mean(0) / QUERIES
    assert utility == pytest.approx(np.full_like(utility, LONE.utility), rel=WITHIN)


@pytest.mark.parametrize("kind", ["multiplicative", "adaptive", "throttling", "pid"])
def test_a_budget_that_does_not_bind_leaves_truth(kind: str) -> None:
    """Twice what truth spends: the multiplier is 1 again soon after every costly tick."""
    course = paced(kind, 2, 1 / 3)
    assert course.multiplier[TAIL].mean() > 0.99
    assert course.participation[TAIL].mean() > 0.99


def test_throttling_spends_the_same_and_costs_two_thirds_of_the_utility() -> None:
    """Truth spends 1/6 and gains 1/6 per auction against the rival: a quarter of the auctions spends 1/24, gains 1/24.

    Bidding half the valuation spends 1/24 as well, and gains 1/8.
    """
    throttled, bid_paced = lone("throttling"), lone("multiplicative")
    assert throttled.participation[TAIL].mean(0) == pytest.approx(np.full((SEEDS, 1), 0.25), rel=3 * WITHIN)
    gains = [(course.value - course.spend)[TAIL].mean() / QUERIES for course in (throttled, bid_paced)]
    assert gains == pytest.approx([1 / 24, 1 / 8], rel=WITHIN)
    spends = [course.spend[TAIL].mean() / QUERIES for course in (throttled, bid_paced)]
    assert spends == pytest.approx([1 / 24, 1 / 24], rel=WITHIN / 2)


def test_pid_follows_the_even_curve() -> None:
    """From the tenth part of the day on, spend is never further from the curve than four ticks' shares."""
    course = lone("pid")
    planned = np.arange(1, TICKS + 1)[:, None, None]
    behind = planned - course.spend.cumsum(0) / (QUERIES / 24)
    assert np.abs(behind[TICKS // 10 : -1]).max() < 4
    others = lone("none").spend.cumsum(0) / (QUERIES / 24) - planned
    assert others.max() > TICKS / 2, "without pacing three quarters of the day are left when the money ends"
