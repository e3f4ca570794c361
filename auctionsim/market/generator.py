"""A seeded generator of markets of any size: campaigns and query types for placements that are there already.

A query type is a category, one of its placements' contexts, a relevance and a rhythm of the day; a campaign is a brand
of a placement with a budget, a prior, a time of arrival and a controller. Nothing else is made up: what an answer
shows and what it costs the user is the placements' own. Each column is drawn by a generator of its own, so that
another setting of one column leaves the others as they were.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.kept import key_digest
from auctionsim.market.campaigns import Campaigns, one_prior
from auctionsim.market.placements import Placement
from auctionsim.market.query_types import HOURS, QueryTypes
from auctionsim.seeds import checked_seed
from auctionsim.substrates.protocol import contexts_of


@dataclass(frozen=True)
class GeneratorSettings:
    """Settings of a generator of campaigns and query types.

    Attributes:
        query_types: Number of query types.
        campaigns: Number of campaigns.
        arrivals: Median of a query type's mean number of queries per hour; log-normal.
        arrivals_spread: Standard deviation of the logarithm.
        budget: Median budget per day, in money per query: that of all queries of the category, shared evenly among its
            campaigns, is multiplied by this; log-normal.
        budget_spread: Standard deviation of the logarithm.
        unlimited: Share of campaigns without a budget.
        target: Value per money spent that campaigns with a target want.
        targeted: Share of campaigns with a target.
        values: Priors of valuations; each campaign has one of them.
        least_relevance: Lowest relevance; relevances of campaigns and query types are uniform from here to 1.
        newcomers: Share of campaigns that arrive later than the first day.
        leavers: Share of campaigns that leave.
        days: Days within which newcomers arrive and leavers leave, each at any time.
        rhythm: Largest relative rise of an hour's arrivals above the mean of the day, in [0, 1]; 0: every hour alike.
        controllers: Names; campaigns are divided evenly among them, at random.
        seed: Seed of everything that is drawn.
    """

    query_types: int = 256
    campaigns: int = 64
    arrivals: float = 10.0
    arrivals_spread: float = 1.0
    budget: float = 0.05
    budget_spread: float = 1.0
    unlimited: float = 0.1
    target: float = 1.5
    targeted: float = 0.0
    values: tuple[str, ...] = ("uniform:0,1", "beta:2,5", "beta:5,2")
    least_relevance: float = 0.25
    newcomers: float = 0.2
    leavers: float = 0.2
    days: float = 7.0
    rhythm: float = 0.8
    controllers: tuple[str, ...] = ("none",)
    seed: int = 0

    def __post_init__(self) -> None:
        checked_count(self.query_types, "query_types")
        checked_count(self.campaigns, "campaigns")
        checked_seed(self.seed)
        for name in ("arrivals", "budget", "days"):
            self._within(name, 0.0, math.inf, above=True)
        for name in ("arrivals_spread", "budget_spread", "target"):
            self._within(name, 0.0, math.inf)
        for name in ("unlimited", "targeted", "newcomers", "leavers", "rhythm"):
            self._within(name, 0.0, 1.0)
        self._within("least_relevance", 0.0, 1.0, above=True)
        if not self.values or not self.controllers:
            raise InputError("values and controllers must have a name each, got none")
        for text in self.values:
            one_prior(text)

    def _within(self, name: str, low: float, high: float, *, above: bool = False) -> None:
        number = getattr(self, name)
        if not ((low < number if above else low <= number) and number <= high and math.isfinite(number)):
            limits = f"{'>' if above else '>='} {low:g}" + ("" if math.isinf(high) else f" and <= {high:g}")
            raise InputError(f"{name} must be a finite number {limits}, got {number}")


class Outlet(NamedTuple):
    """A placement as a generator needs to know it.

    Attributes:
        category: What its queries ask about.
        placement: Its name.
        brands: That it sells.
        contexts: Public contexts of its view; none: it has but the mean.
    """

    category: str
    placement: str
    brands: tuple[str, ...]
    contexts: tuple[str, ...]


def outlets(placements: Mapping[str, Placement], categories: Mapping[str, str]) -> tuple[Outlet, ...]:
    """Return the outlets of placements.

    Args:
        placements: By name.
        categories: Of each placement, by name.
    """
    return tuple(
        Outlet(categories[name], name, placement.brands, tuple(contexts_of(placement.view)))
        for name, placement in placements.items()
    )


class GeneratedMarket(NamedTuple):
    """The tables that a generator makes.

    Attributes:
        campaigns: Advertisers.
        query_types: Users' queries.
    """

    campaigns: Campaigns
    query_types: QueryTypes


def generate(settings: GeneratorSettings, places: Sequence[Outlet]) -> GeneratedMarket:
    """Return campaigns and query types for placements: the same ones for the same seed.

    Query types and campaigns go round the outlets and their brands, so that each has as many as any other, up to one.

    Raises:
        ValueError: No outlet.
    """
    if not places:
        raise InputError("a market needs a placement, got none")
    queries = _query_types(settings, places)
    return GeneratedMarket(_campaigns(settings, places, queries), queries)


def _query_types(settings: GeneratorSettings, places: Sequence[Outlet]) -> QueryTypes:
    count = settings.query_types
    own = [places[k % len(places)] for k in range(count)]
    draws = _draws(settings, "context").random(count)
    contexts = [
        one.contexts[int(u * len(one.contexts))] if one.contexts else "" for one, u in zip(own, draws, strict=True)
    ]
    return QueryTypes(
        name=tuple(f"{one.category} query {k}" for k, one in enumerate(own)),
        category=tuple(one.category for one in own),
        placement=tuple(one.placement for one in own),
        context=tuple(contexts),
        relevance=_relevance(settings, "query relevance", count),
        arrivals=settings.arrivals * np.exp(settings.arrivals_spread * _draws(settings, "arrivals").normal(size=count)),
        hours=_hours(settings, count),
    )


def _hours(settings: GeneratorSettings, count: int) -> Float[np.ndarray, "type 24"]:
    """Return one wave per day each, its height and the hour of its peak drawn."""
    generator = _draws(settings, "hours")
    height, peak = settings.rhythm * generator.random((count, 1)), HOURS * generator.random((count, 1))
    return 1 + height * np.cos(2 * np.pi * (np.arange(HOURS) + 0.5 - peak) / HOURS)


def _campaigns(settings: GeneratorSettings, places: Sequence[Outlet], queries: QueryTypes) -> Campaigns:
    count = settings.campaigns
    brands = list(dict.fromkeys((one.category, brand) for one in places for brand in one.brands))
    own = [brands[k % len(brands)] for k in range(count)]
    arrival, leave = _stays(settings, count)
    values = _draws(settings, "value").integers(len(settings.values), size=count)
    controllers = _draws(settings, "controller").permutation(np.arange(count) % len(settings.controllers))
    targeted = _draws(settings, "target").random(count) < settings.targeted
    return Campaigns(
        name=tuple(f"{brand} campaign {k}" for k, (_, brand) in enumerate(own)),
        category=tuple(category for category, _ in own),
        brand=tuple(brand for _, brand in own),
        budget=_budgets(settings, [category for category, _ in own], queries),
        target=np.where(targeted, settings.target, 0.0),
        value=tuple(settings.values[k] for k in values),
        relevance=_relevance(settings, "campaign relevance", count),
        arrival=arrival,
        exit=leave,
        controller=tuple(settings.controllers[k] for k in controllers),
    )


def _budgets(
    settings: GeneratorSettings, categories: Sequence[str], queries: QueryTypes
) -> Float[np.ndarray, " campaign"]:
    of_day = dict.fromkeys(categories, 0.0)
    for category, arrivals in zip(queries.category, queries.arriving(0, HOURS), strict=True):
        of_day[category] = of_day.get(category, 0.0) + float(arrivals)
    rivals = {category: categories.count(category) for category in categories}
    share = np.array([max(of_day[category], 1.0) / rivals[category] for category in categories])
    generator = _draws(settings, "budget")
    noise = np.exp(settings.budget_spread * generator.normal(size=len(categories)))
    unlimited = generator.random(len(categories)) < settings.unlimited
    return np.where(unlimited, np.inf, settings.budget * share * noise)


def _stays(settings: GeneratorSettings, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return when each campaign arrives and leaves, in days."""
    generator = _draws(settings, "stay")
    new, gone = generator.random(count) < settings.newcomers, generator.random(count) < settings.leavers
    arrival = np.where(new, settings.days * generator.random(count), 0.0)
    rest = (settings.days - arrival) * (1 - generator.random(count))  # more than nothing
    leave = np.where(gone, np.maximum(arrival + rest, np.nextafter(arrival, np.inf)), np.inf)
    return arrival, leave


def _relevance(settings: GeneratorSettings, what: str, count: int) -> Float[np.ndarray, " row"]:
    least = settings.least_relevance
    return least + (1 - least) * _draws(settings, what).random(count)


def _draws(settings: GeneratorSettings, column: str) -> np.random.Generator:
    return np.random.default_rng([settings.seed, int(key_digest({"generated": column}), 16)])
