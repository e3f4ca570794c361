"""Worlds with known truth, one a file: each yields a confounded log, an experiment, replays and the values."""

from auctionsim.logs.worlds.choice import hidden_means
from auctionsim.logs.worlds.linear_gaussian import (
    ClosedForms,
    LinearGaussian,
    LinearGaussianParameters,
    closed_forms,
)
from auctionsim.logs.worlds.measured_replies import MeasuredParameters, MeasuredReplies
from auctionsim.logs.worlds.posted_prices import PostedPrices
from auctionsim.logs.worlds.programmes import ProgrammeParameters, Programmes
from auctionsim.logs.worlds.registry import register_world, world, world_names

__all__ = [
    "ClosedForms",
    "LinearGaussian",
    "LinearGaussianParameters",
    "MeasuredParameters",
    "MeasuredReplies",
    "PostedPrices",
    "ProgrammeParameters",
    "Programmes",
    "closed_forms",
    "hidden_means",
    "register_world",
    "world",
    "world_names",
]
