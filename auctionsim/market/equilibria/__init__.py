"""Exact equilibria of markets with budgets and return targets, their checks, and closed forms to test pacing with."""

from auctionsim.market.equilibria.conditions import Breach, PacingConditions, pacing_conditions
from auctionsim.market.equilibria.first_price_pacing import FirstPricePacing, eisenberg_gale_gap, first_price_pacing
from auctionsim.market.equilibria.hindsight import HindsightOptimum, hindsight_optimum, liquid_welfare
from auctionsim.market.equilibria.item_market import ItemMarket
from auctionsim.market.equilibria.return_constrained import (
    ReturnConditions,
    UniformResponse,
    best_uniform_multiplier,
    return_conditions,
)
from auctionsim.market.equilibria.second_price_pacing import SecondPricePacing, second_price_pacing
from auctionsim.market.equilibria.symmetric import (
    LonePacing,
    first_price_multiplier,
    lone_second_price_pacing,
    second_price_multiplier,
)

__all__ = [
    "Breach",
    "FirstPricePacing",
    "HindsightOptimum",
    "ItemMarket",
    "LonePacing",
    "PacingConditions",
    "ReturnConditions",
    "SecondPricePacing",
    "UniformResponse",
    "best_uniform_multiplier",
    "eisenberg_gale_gap",
    "first_price_multiplier",
    "first_price_pacing",
    "hindsight_optimum",
    "liquid_welfare",
    "lone_second_price_pacing",
    "pacing_conditions",
    "return_conditions",
    "second_price_multiplier",
    "second_price_pacing",
]
