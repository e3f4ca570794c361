"""Return targets against a truthful rival U[0, 1] under second price, and feedback from the spend curve.

A value maximiser that bids α times its valuation wins value/spend = 2/α for α ≤ 1; for α > 1 it wins the value
1/2 − 1/(6α²) and spends 1/2 − 1/(3α). So a target τ ≥ 2 is met exactly at α = 2/τ, and τ = 4/3 at the root
α = (4 + √7)/3 of 3α² − 8α + 3 = 0; a budget ρ per auction allows α = √(6ρ).
"""

import math

import numpy as np
import pytest
from pacing_fakes import Course, repeated_auctions, uniform_draws

from auctionsim.agents.pacing import controller
from auctionsim.agents.pacing.both_constraints import BothConstraints
from auctionsim.agents.pacing.pid import Pid
from auctionsim.agents.pacing.target_return import TargetReturn
from auctionsim.errors import InputError
from auctionsim.market import CampaignTerms, Controller, TickNews, TickStart
from auctionsim.market.equilibria import lone_second_price_pacing

SEEDS = 5
LOW_TARGET = (4 + math.sqrt(7)) / 3


def lone(
    bidder: Controller, target: float, budget: float = math.inf, *, queries: int = 64, ticks: int = 1200
) -> Course:
    terms = CampaignTerms(np.full(SEEDS, budget * queries * ticks), np.full(SEEDS, target), ticks)
    draws = uniform_draws(SEEDS, 1, queries, rival=True)
    return repeated_auctions(bidder, terms, draws, (SEEDS, 1), first=False)


def tail(course: Course) -> np.ndarray:
    ticks = len(course.multiplier)
    return course.multiplier[ticks // 2 : ticks * 19 // 20].mean((0, 2))


@pytest.mark.parametrize(
    ("kind", "target", "budget", "multiplier"),
    [
        ("target-return", 4 / 3, math.inf, LOW_TARGET),
        ("target-return", 4.0, math.inf, 0.5),
        ("target-return", 0.0, math.inf, 1.0),
        ("both-constraints", 4 / 3, math.inf, LOW_TARGET),
        ("both-constraints", 2.0, 1 / 24, 0.5),
        ("both-constraints", 8.0, 1 / 24, 0.25),
        ("both-constraints", 0.0, 1 / 24, 0.5),
    ],
)
def test_the_multiplier_ends_where_the_tighter_constraint_binds(
    kind: str, target: float, budget: float, multiplier: float
) -> None:
    course = lone(controller(kind), target, budget)
    assert tail(course) == pytest.approx(np.full(SEEDS, multiplier), rel=0.02)
    assert (course.value.sum(0) >= target * course.spend.sum(0) * 0.99).all()


@pytest.mark.parametrize("target", [4 / 3, 4.0])
@pytest.mark.parametrize("make", [TargetReturn, BothConstraints])
def test_the_shortfall_is_what_the_price_says(make: type[Controller], target: float) -> None:
    """One auction per tick, step 1/√T, money in units of 1: τ · spend − value = √T log λ, never above √T log T."""
    ticks = 2000
    root = math.sqrt(ticks)
    course = lone(make(step=1 / root, unit=1.0), target, queries=1, ticks=ticks)
    running = (target * course.spend - course.value).cumsum(0)
    dual = 1 / (course.multiplier * target - 1)  # of (1 + λ)/(λ τ), as the tick begins
    assert running[:-1] == pytest.approx(root * np.log(dual[1:] / dual[0]), abs=1e-6)
    assert running.max() < root * math.log(ticks)
    assert running[-1].max() < 0.2 * root, "per auction it is below 0.2/√T"


def test_truth_misses_the_target_and_bids_at_the_target_waste_value() -> None:
    """What the two easy bids do at τ = 4: truth returns 2, and a quarter of the valuation returns 8."""
    paced, truth = lone(controller("target-return"), 4.0), lone(controller("none"), 4.0)
    assert truth.value.sum() / truth.spend.sum() == pytest.approx(2, rel=0.01)
    assert paced.value.sum() / paced.spend.sum() == pytest.approx(4, rel=0.01)
    assert paced.value.sum() / paced.value.size == pytest.approx(64 / 6, rel=0.02)  # α/3 at 1/2, twice that at 1/4


def spend_by_elasticity(bidder: Controller, elasticity: float, days: int) -> np.ndarray:
    """Return spend per tick in shares of the budget: 8 · multiplier^elasticity until the money ends."""
    terms = CampaignTerms(np.array([24.0]), np.zeros(1), 24)
    state, spends = bidder.begin(terms), []
    present, nothing = np.ones(1, dtype=bool), np.zeros(1)
    for number in range(24 * days):
        day, tick = divmod(number, 24)
        left = terms.budget if tick == 0 else left
        orders = bidder.orders(state, terms, TickStart(day, tick, left, present))
        wanted = 8 * orders.multiplier**elasticity
        spend, taking = np.minimum(wanted, left), left > 0
        ended = np.where(taking & (wanted >= left), left / np.maximum(wanted, 1e-300), np.nan)
        left = left - spend
        news = TickNews(day, tick, spend, spend, spend, nothing, left, present, taking, ended, *orders)
        state = bidder.learn(state, terms, news)
        spends.append(float(spend[0]))
    return np.array(spends).reshape(days, 24)


@pytest.mark.parametrize(
    ("kind", "elasticity"),
    [(kind, power) for kind in ("pid", "multiplicative") for power in (0.5, 1.0, 2.0, 4.0)]
    + [("adaptive", power) for power in (1.0, 2.0, 4.0)],  # at 1/2 its price of budget must climb to 63
)
def test_feedback_settles_on_the_even_curve(kind: str, elasticity: float) -> None:
    """The first day's money ends before the day; by the twentieth day each tick spends its share."""
    spends = spend_by_elasticity(controller(kind), elasticity, 20)
    assert spends[0, -1] == 0
    assert spends[-1, :-1] == pytest.approx(np.ones(23), abs=0.05)


def test_pid_answers_a_day_behind_the_curve() -> None:
    """Multipliers rise while spend lies behind, and a day begins with the multiplier that the last one ended with."""
    bidder, terms = Pid(), CampaignTerms(np.array([24.0]), np.zeros(1), 24)
    state = {"day": np.zeros(1), "behind": np.array([3.0]), "change": np.zeros(1), "level": np.array([-1.0])}
    late = bidder.orders(state, terms, TickStart(0, 5, terms.budget, np.ones(1, dtype=bool))).multiplier
    assert late == pytest.approx(math.exp(-1 + 0.1 * 3))
    assert bidder.orders(state, terms, TickStart(1, 0, terms.budget, np.ones(1, dtype=bool))).multiplier == late


def test_the_best_pacing_is_the_one_of_theory() -> None:
    """1 + μ = 1/√(6ρ): the price of budget that adaptive pacing learns is 1 at ρ = 1/24."""
    course = lone(controller("adaptive"), 0.0, 1 / 24)
    assert 1 / tail(course) - 1 == pytest.approx(np.full(SEEDS, lone_second_price_pacing(1 / 24).dual), rel=0.04)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("multiplicative", {"step": 0.0}),
        ("multiplicative", {"most": 0.0005}),
        ("throttling", {"least": 0.0}),
        ("adaptive", {"unit": -1.0}),
        ("adaptive", {"most": 0.0}),
        ("target-return", {"least": 2.0}),
        ("target-return", {"most": 0.5}),
        ("both-constraints", {"budget_step": math.inf}),
        ("both-constraints", {"most_budget": math.nan}),
        ("pid", {"integral": 0.0}),
        ("pid", {"least": 1.0}),
    ],
)
def test_settings_that_break_a_rule_are_refused(kind: str, settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        type(controller(kind))(**settings)
