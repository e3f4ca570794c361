"""Worlds with known truth, one a file: each yields a confounded log, an experiment, replays and the values."""

from auctionsim.logs.worlds.linear_gaussian import (
    ClosedForms,
    LinearGaussian,
    LinearGaussianParameters,
    closed_forms,
)
from auctionsim.logs.worlds.registry import register_world, world, world_names

__all__ = [
    "ClosedForms",
    "LinearGaussian",
    "LinearGaussianParameters",
    "closed_forms",
    "register_world",
    "world",
    "world_names",
]
