"""What a mechanism brings, and what it leaves open: one scorer for every table, experiment and benchmark."""

from auctionsim.scoring.bound_shares import BoundShare, bound_shares, mean_bound
from auctionsim.scoring.comparison import compare, trade_off
from auctionsim.scoring.pooling import pooled, ratio
from auctionsim.scoring.profiles import Profiles, draw_profiles, largest_bid
from auctionsim.scoring.records import Estimate, MechanismRow, TradeOffPoint, tidy
from auctionsim.scoring.scorer import Case, ScoringSettings, case_of, estimate, objective, score, yardstick

__all__ = [
    "BoundShare",
    "Case",
    "Estimate",
    "MechanismRow",
    "Profiles",
    "ScoringSettings",
    "TradeOffPoint",
    "bound_shares",
    "case_of",
    "compare",
    "draw_profiles",
    "estimate",
    "largest_bid",
    "mean_bound",
    "objective",
    "pooled",
    "ratio",
    "score",
    "tidy",
    "trade_off",
    "yardstick",
]
