"""Small markets for tests: single items at a price, a quadratic substrate, and a controller that never changes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from auctionsim.market import (
    Campaigns,
    CampaignTerms,
    Controller,
    Market,
    Orders,
    Placement,
    QueryTypes,
    State,
    TickStart,
)
from auctionsim.mechanisms import Mechanism, SecondPrice
from auctionsim.substrates import Items
from auctionsim.substrates.protocol import Substrate


class FixedMultiplier(Controller):
    """The same multiplier for ever."""

    def __init__(self, multiplier: float = 1.0, name: str = "fixed", participation: float = 1.0) -> None:
        self.name, self.multiplier, self.participation = name, multiplier, participation

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        del state, start
        ones = np.ones(len(terms.budget))
        return Orders(self.multiplier * ones, self.participation * ones)


def campaigns(brands: Sequence[str], category: str = "things", **columns: Any) -> Campaigns:
    """Return campaigns of one category, one per brand named, without budgets unless they are given."""
    count = len(brands)
    filled: dict[str, Any] = {
        "name": tuple(f"{category} campaign {k}" for k in range(count)),
        "category": (category,) * count,
        "brand": tuple(brands),
        "budget": [np.inf] * count,
        "target": [0.0] * count,
        "value": ("uniform:0,1",) * count,
        "relevance": [1.0] * count,
        "arrival": [0.0] * count,
        "exit": [np.inf] * count,
        "controller": ("fixed",) * count,
    }
    return Campaigns(**_as_arrays(filled | columns))


def query_types(count: int, placement: str = "items", category: str = "things", **columns: Any) -> QueryTypes:
    """Return query types of one category, each arriving once per hour unless told otherwise."""
    filled: dict[str, Any] = {
        "name": tuple(f"{category} query {k}" for k in range(count)),
        "category": (category,) * count,
        "placement": (placement,) * count,
        "context": ("",) * count,
        "relevance": [1.0] * count,
        "arrivals": [1.0] * count,
        "hours": np.ones((count, 24)),
    }
    return QueryTypes(**_as_arrays(filled | columns))


def item_placement(brands: Sequence[str], rules: Mapping[str, Mechanism] | None = None) -> Placement:
    """Return a placement that sells one item, at second price unless rules are given."""
    return Placement("items", tuple(brands), Items(len(brands)), rules or {"second-price": SecondPrice()})


def item_market(
    brands: Sequence[str] = ("a", "b"),
    types: int = 8,
    rules: Mapping[str, Mechanism] | None = None,
    *,
    bidders: Campaigns | None = None,
    queries: QueryTypes | None = None,
    **settings: Any,
) -> Market:
    """Return a market of single items, one campaign per brand unless campaigns are given."""
    placement = item_placement(brands, rules)
    return Market(bidders or campaigns(brands), queries or query_types(types), {"items": placement}, **settings)


def market_on(view: Substrate, mechanism: Mechanism, types: int = 8, **settings: Any) -> Market:
    """Return a market with one campaign per bidder of a view."""
    brands = tuple(f"brand {k}" for k in range(view.num_bidders))
    placement = Placement("here", brands, view, {"rule": mechanism})
    return Market(campaigns(brands), query_types(types, "here"), {"here": placement}, **settings)


def _as_arrays(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.array(column) if isinstance(column, list) else column for name, column in columns.items()}
