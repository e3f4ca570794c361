"""One campaign a brand, no budgets, one query type: a market is the auction that comparisons score, number by number.

And a run of drawn arrivals brings, on a measured surface, what their means bring, within four standard errors at a
million auctions.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from market_fakes import FixedMultiplier, campaigns, query_types

from auctionsim.market import Actors, Market, Placement, Simulation, SimulationSettings
from auctionsim.market.generator import GeneratorSettings, generate, outlets
from auctionsim.mechanisms.table import design, entry
from auctionsim.priors import parse_priors
from auctionsim.scoring import MechanismRow, ScoringSettings, compare
from auctionsim.scoring.profiles import draw_profiles
from auctionsim.substrates import MeasuredList, ResponseSurface
from auctionsim.substrates.protocol import contexts_of

RULES = ("vcg", "pay-as-bid", "optimum")
PRIOR, USER_WEIGHT, DRAWS, SEED = "uniform:0,1", 0.02, 600, 3


def shoes() -> ResponseSurface:
    return ResponseSurface.packaged("running-shoes-2@3").sell("mention_probability", loss="reply_kl")


def coffee() -> MeasuredList:
    return MeasuredList.packaged("coffee-3-subsets@2").sell("mention_probability", loss="reply_kl")


@cache
def scored() -> Mapping[str, MechanismRow]:
    """Return what `auctionsim auction compare` scores on replicate A, by mechanism."""
    priors = parse_priors(PRIOR)
    rules = {name: design(name, shoes(), priors, USER_WEIGHT) for name in RULES}
    settings = ScoringSettings(DRAWS, 2, 2)
    rows = compare(rules, shoes(), priors, USER_WEIGHT, settings, seed=SEED)
    return {row.mechanism: row for row in rows if row.replicate == "A"}


def a_query(rule: str) -> dict[str, float]:
    """Return what a market brings per query: a query type for each context, with the comparison's profiles there."""
    view, priors = shoes(), parse_priors(PRIOR)
    valuations, context = draw_profiles(view, priors, DRAWS, SEED)
    here = Placement("here", ("a", "b"), view, {rule: design(rule, view, priors, USER_WEIGHT)})
    sums = dict.fromkeys(("revenue", "welfare", "user_loss"), 0.0)
    assert context is not None
    for number, name in enumerate(contexts_of(view)):
        own = valuations[context == number, :, 0].numpy()[None]
        queries = query_types(1, "here", context=(name,), arrivals=[float(own.shape[1])])
        market = Market(
            campaigns(("a", "b")), queries, {"here": here}, signals=own.shape[1], ticks_per_day=2, known={"things": own}
        )
        simulation = Simulation(market, Actors({"fixed": FixedMultiplier()}))
        record = simulation.day(simulation.begin())
        sums["revenue"] += record.news.revenue / 24
        sums["welfare"] += sum(float(tick.won.value.sum()) for tick in record.ticks) / 24
        sums["user_loss"] += record.news.losses["reply_kl"] / 24
    return {name: total / DRAWS for name, total in sums.items()}


@pytest.mark.parametrize("rule", RULES)
def test_every_number_is_that_of_the_comparison(rule: str) -> None:
    row, found = scored()[rule], a_query(rule)
    assert row.user_loss.mean > 0
    for name, number in found.items():
        assert number == pytest.approx(getattr(row, name).mean, rel=1e-12), name
    assert found["welfare"] - found["revenue"] == pytest.approx(row.bidder_utility.mean, rel=1e-11)
    assert found["revenue"] - USER_WEIGHT * found["user_loss"] == pytest.approx(row.objective.mean, rel=1e-9)


def test_two_campaigns_of_a_brand_leave_the_auction_only_if_neither_is_wanted() -> None:
    """The comparison's equality is about a campaign a brand: a weaker rival of the same brand changes nothing."""
    assert entry("vcg").refusal(shoes()) is None
    view, rule = shoes(), design("vcg", shoes(), parse_priors(PRIOR), USER_WEIGHT)
    here = Placement("here", ("a", "b"), view, {"vcg": rule})
    numbers = []
    for known in ([0.9, 0.6], [0.9, 0.6, 0.5]):
        brands = ("a", "b", "b")[: len(known)]
        market = Market(
            campaigns(brands), query_types(1, "here"), {"here": here}, known={"things": np.array([[known]])}
        )
        simulation = Simulation(market, Actors({"fixed": FixedMultiplier()}))
        numbers.append(simulation.day(simulation.begin()).news.revenue)
    assert numbers[0] == numbers[1] > 0


def many(budget: float) -> Market:
    """Return a market of two measured placements with about a million queries per day."""
    priors = parse_priors(PRIOR)
    views = {"shoes": shoes(), "coffee": coffee()}
    brands = {"shoes": ("a", "b"), "coffee": ("x", "y", "z")}
    placements = {
        name: Placement(name, brands[name], view, {"vcg": design("vcg", view, priors, USER_WEIGHT)})
        for name, view in views.items()
    }
    settings = GeneratorSettings(
        query_types=20,
        campaigns=15,
        arrivals=1e6 / 24 / 20,
        arrivals_spread=0.0,
        budget=budget,
        budget_spread=0.3,
        unlimited=0.0,
        newcomers=0.0,
        leavers=0.0,
        controllers=("fixed",),
    )
    made = generate(settings, outlets(placements, {name: name for name in placements}))
    return Market(made.campaigns, made.query_types, placements, signals=4, ticks_per_day=4)


def sums(market: Market, *, sampled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return arrivals, revenue and all losses of a day, and what each campaign spent and won."""
    simulation = Simulation(market, Actors({"fixed": FixedMultiplier()}), SimulationSettings(sampled=sampled))
    record = simulation.day(simulation.begin())
    spend = sum(tick.won.spend for tick in record.ticks)
    value = sum(tick.won.value for tick in record.ticks)
    news = record.news
    return np.array([news.arrivals, news.revenue, news.sold, *news.losses.values()]), np.array([spend, value])


@cache
def errors() -> tuple[np.ndarray, np.ndarray]:
    """Return the standard errors of the sums without budgets: arrivals are Poisson, row by row.

    A row of mean m that brings x a query brings m·x with variance m·x².
    """
    market, category_variance = many(budget=1e9), 0.0
    campaign_variance = np.zeros((2, len(market.campaigns)))
    for number in range(len(market.query_types)):
        for signal in range(market.signals):
            per_query, of_campaigns, mean = alone(market, number, signal)
            category_variance = category_variance + mean * per_query**2
            campaign_variance += mean * of_campaigns**2
    return np.sqrt(category_variance), np.sqrt(campaign_variance)


def alone(market: Market, number: int, signal: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return what one row brings per query, and its mean number of queries."""
    queries = market.query_types
    one = replace(
        market,
        query_types=replace(
            queries, arrivals=1.0 * (np.arange(len(queries)) == number), hours=np.ones_like(queries.hours)
        ),
        signals=1,
        ticks_per_day=1,
        known={category: market.valuations(category)[:, signal : signal + 1] for category in market.categories},
    )
    totals, of_campaigns = sums(one, sampled=False)
    return totals / 24, of_campaigns / 24, float(queries.arriving(0, 24)[number]) / market.signals


def test_drawn_arrivals_bring_what_their_means_bring() -> None:
    market = many(budget=1e9)
    of_day, of_campaigns = errors()
    means, drawn = sums(market, sampled=False), sums(market, sampled=True)
    assert means[0][0] == pytest.approx(1e6)
    assert (np.abs(drawn[0] - means[0]) <= 4 * of_day).all()
    assert (np.abs(drawn[1] - means[1]) <= 4 * of_campaigns + 1e-9).all()
    assert (means[1] > 0).sum() > 10
    assert (drawn[0] != means[0]).all()


def test_with_budgets_that_end_drawn_arrivals_bring_nearly_the_same_in_one_run() -> None:
    """A budget near its mean spend is left .4 standard deviations unspent on average: one run is within four."""
    market, (of_day, _) = many(budget=0.05), errors()
    means, drawn = sums(market, sampled=False), sums(market, sampled=True)
    ended = means[1][0] >= market.campaigns.budget * (1 - 1e-12)
    assert 3 <= ended.sum() < len(ended)
    assert (drawn[1][0] <= market.campaigns.budget).all()
    assert (np.abs(drawn[0] - means[0]) <= 4 * of_day).all()
    assert np.array_equal(drawn[1][0] > 0, means[1][0] > 0)
