"""Exact equilibria of markets with budgets and return targets, their checks, and closed forms to test pacing with."""

from auctionsim.market.equilibria.hindsight import HindsightOptimum, hindsight_optimum, liquid_welfare
from auctionsim.market.equilibria.item_market import ItemMarket
from auctionsim.market.equilibria.symmetric import (
    LonePacing,
    first_price_multiplier,
    lone_second_price_pacing,
    second_price_multiplier,
)

__all__ = [
    "HindsightOptimum",
    "ItemMarket",
    "LonePacing",
    "first_price_multiplier",
    "hindsight_optimum",
    "liquid_welfare",
    "lone_second_price_pacing",
    "second_price_multiplier",
]
