"""The four questions of the market study, each as rows of one seed's markets.

Everything is in expected mode: a market is one number per seed, and only the seeds are a sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from auctionsim.experiments.running.market_worlds import (
    FIRST,
    LISTS,
    MENU,
    OPTIMUM,
    TRUTHFUL,
    Scaled,
    WorldSizes,
    acting_controller,
    bought_by,
    days_of,
    rule_name,
    sums,
    world,
)
from auctionsim.experiments.running.run import Row
from auctionsim.market import CategoryMarket, DayRecord, Market, TickCall, TickRecord
from auctionsim.market.pipeline_regret import pipeline_regret
from auctionsim.market.platforms import FixedRule, RewardScale, UpperConfidenceBound
from auctionsim.market.users import RetainedUsers, UserType

FACTORS = (0.7, 0.9, 1.15, 1.5)
"""By which a campaign's bids are multiplied, to see whether it gains."""
CONFIDENCE = 0.01
"""Of the platform's bandit: a mean of n rounds is given √(.01 ln t / n) more, since nothing but the market draws."""


@dataclass(frozen=True)
class BidderKind:
    """How all campaigns of a market are run.

    Attributes:
        name: In tables.
        controller: Kind.
        budget_share: Of a truthful day's spend; infinite: no budget.
        target: Value per money spent; 0: none.
    """

    name: str
    controller: str
    budget_share: float = float("inf")
    target: float = 0.0

    def market(self, given: Market) -> Market:
        """Return a market run so."""
        return bought_by(given, self.controller, budget_share=self.budget_share, target=self.target)


TRUTH = BidderKind("truth, no budget", "none")
SHADING = BidderKind("learned shading", "shading")
PACED = BidderKind("budget pacing", "multiplicative", budget_share=0.5)
RETURN = BidderKind("target return", "target-return", target=1.5)
BOTH = BidderKind("budget and target", "both-constraints", budget_share=0.5, target=1.5)
POPULATIONS = (TRUTH, SHADING, PACED, RETURN, BOTH)


def regret_rows(sizes: WorldSizes, user_weight: float, days: int, seed: int) -> list[Row]:
    """Return what the best of some factors on its bids brings a campaign, with and without pacing.

    A row per category, rule, shortlist and population: gains and values summed over campaigns, each deviating alone.
    The others go on as they are run, and learn from what the deviation does to them. Gains are of the second half of
    the days, money that a factor on all bids can bring: lower bounds of what any misreport could. Beside them is what
    free bids would bring in the last tick alone.
    """
    rows = []
    for category in LISTS:
        for rule, priced in ((MENU, False), (MENU, True), (TRUTHFUL, False), (TRUTHFUL, True)):
            given = world(sizes, ((rule, user_weight),), seed, categories=(category,), entry_price=priced)
            for population in (TRUTH, PACED):
                count = 1 if population is TRUTH else days
                market = population.market(given)
                run = days_of(market, count)
                gain, value = _gains(market, population.controller, run)
                rows.append(
                    {
                        "seed": seed,
                        "category": category,
                        "rule": rule,
                        "shortlist": "priced" if priced else "free",
                        "population": population.name,
                        "gain": gain,
                        "value": value,
                        **_frozen_gains(market, category, run[-1].ticks[-1]),
                    }
                )
    return rows


def _gains(market: Market, controller: str, run: Sequence[DayRecord]) -> tuple[float, float]:
    """Return the sum of all campaigns' best gains and of their values without a deviation."""
    count, tail = len(run), len(run) - len(run) // 2
    value, spend = sums(run[-tail:])
    best = np.zeros(len(value))
    for campaign in range(len(value)):
        named = tuple("deviator" if k == campaign else controller for k in range(len(value)))
        deviating = replace(market, campaigns=replace(market.campaigns, controller=named))
        for factor in FACTORS:
            other = Scaled(acting_controller(controller), factor)
            won, paid = sums(days_of(deviating, count, more=(other,))[-tail:])
            best[campaign] = max(best[campaign], (won - paid - value + spend)[campaign])
    return float(best.sum()), float(value.sum())


def _frozen_gains(market: Market, category: str, tick: TickRecord) -> Row:
    """Return what campaigns could gain in a tick by other bids in every query, all else held: lower bounds.

    A paced campaign's worth is its multiplier times its valuation. `frozen_exact` tells whether every number is proved
    to be all that there is, within a billionth of the value.
    """
    orders = tick.orders
    taking, unlimited = orders.multiplier > 0, np.full(len(market.campaigns), np.inf)
    call = TickCall(tick.day, tick.tick, orders.multiplier, orders.participation, taking, unlimited)
    cleared = CategoryMarket(market, category)
    found = [pipeline_regret(cleared, call, k, shaded=True) for k in np.flatnonzero(taking).tolist()]
    value = float(cleared.tick(call).campaigns.value.sum())
    exact = all(one.upper is not None and one.upper - one.lower <= 1e-9 * value for one in found)
    return {"frozen_gain": sum(one.lower for one in found), "frozen_value": value, "frozen_exact": exact}


def revenue_rows(sizes: WorldSizes, user_weight: float, days: int, seed: int) -> list[Row]:
    """Return what each rule earns per day against each population, over the second half of the days.

    Budgets are a share of what truthful bids would spend under VCG, so that all rules meet the same ones.
    """
    rows = []
    rules = tuple((name, user_weight) for name in (TRUTHFUL, MENU, OPTIMUM, FIRST))
    given = world(sizes, rules, seed)
    for population in POPULATIONS:
        market = population.market(given)
        for rule in rules:
            chosen = FixedRule(rule_name(*rule))
            tail = days_of(market, days, platform=chosen)[-(days - days // 2) :]
            value, spend = sums(tail)
            terms = market.campaigns
            liquid = np.minimum(value / np.where(terms.target > 0, terms.target, 1.0), terms.budget * len(tail))
            rows.append(
                {
                    "seed": seed,
                    "population": population.name,
                    "rule": rule[0],
                    "revenue": float(spend.sum()) / len(tail),
                    "liquid_welfare": float(liquid.sum()) / len(tail),
                    "user_loss": sum(day.news.losses["reply_kl"] for day in tail) / sum(d.news.arrivals for d in tail),
                    "sold": sum(day.news.sold for day in tail) / sum(day.news.arrivals for day in tail),
                    "short_of_target": _shortfall(value, terms.target * spend),
                }
            )
    return rows


def _shortfall(value: np.ndarray, wanted: np.ndarray) -> float:
    """Return by how much campaigns' values fall short of target · spend, as a share of all that; 0 without targets."""
    return float(np.maximum(wanted - value, 0.0).sum() / max(wanted.sum(), np.finfo(float).tiny))


def retention_rows(
    sizes: WorldSizes, user_weights: tuple[float, ...], sensitivities: tuple[float, ...], days: int, seed: int
) -> list[Row]:
    """Return what the optimum at each user weight earns over all days, for users who leave more or less readily.

    Campaigns pace half of a truthful day's spend at the first user weight, the same budgets at all of them.
    """
    rows = []
    rules = tuple((OPTIMUM, weight) for weight in user_weights)
    market = PACED.market(world(replace(sizes, ticks=2), rules, seed))
    for sensitivity in sensitivities:
        users = RetainedUsers((UserType("all", loss_sensitivity=sensitivity, ad_sensitivity=0.0),), loss="reply_kl")
        for rule in rules:
            run = days_of(market, days, users=users, platform=FixedRule(rule_name(*rule)))
            rows.append(
                {
                    "seed": seed,
                    "sensitivity": sensitivity,
                    "user_weight": rule[1],
                    "revenue": sum(day.news.revenue for day in run),
                    "first_day": run[0].news.revenue,
                    "last_day": run[-1].news.revenue,
                    "users_left": run[-1].news.returning,
                    "user_loss": run[0].news.losses["reply_kl"] / run[0].news.arrivals,
                }
            )
    return rows


def learned_rows(sizes: WorldSizes, user_weight: float, days: int, seed: int) -> list[Row]:
    """Return which rule a bandit of the platform settles on against each population, among all and without pay-as-bid.

    UCB1 holds a rule for two days and sees their mean revenue, as a share of what all bidders' values would bring under
    pay-as-bid. The rule that it chose most often in the last third of the days is what it learned.
    """
    given = world(sizes, tuple((name, user_weight) for name in (TRUTHFUL, MENU, OPTIMUM, FIRST)), seed)
    all_value = days_of(given, 1, platform=FixedRule(rule_name(FIRST, user_weight)))[0].news.revenue
    learner = UpperConfidenceBound(RewardScale(0.0, all_value), hold=2, confidence=CONFIDENCE)
    rows = []
    for names in ((TRUTHFUL, MENU, OPTIMUM, FIRST), (TRUTHFUL, MENU, OPTIMUM)):
        among = world(sizes, tuple((name, user_weight) for name in names), seed)
        for population in POPULATIONS:
            run = days_of(population.market(among), days, platform=learner)
            late = [day.news.rule for day in run[-(days // 3) :]]
            learned = max(sorted(set(late)), key=late.count)
            rows.append(
                {
                    "seed": seed,
                    "rules": ", ".join(names),
                    "learned_against": population.name,
                    "rule": next(name for name in names if rule_name(name, user_weight) == learned),
                    "share_late": late.count(learned) / len(late),
                    "switches": sum(one.news.rule != other.news.rule for one, other in pairwise(run)),
                    "revenue": sum(day.news.revenue for day in run) / days,
                }
            )
    return rows
