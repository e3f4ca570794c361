"""Property tests for incentive claims: Hypothesis strategies, and checks that name what a mechanism breaks."""

from auctionsim.testing.kit import Check, check_mechanism, mechanism_checks
from auctionsim.testing.sentences import BrokenClaimError
from auctionsim.testing.strategies import Menu, bids, menus, priors, substrates, valuations

__all__ = [
    "BrokenClaimError",
    "Check",
    "Menu",
    "bids",
    "check_mechanism",
    "mechanism_checks",
    "menus",
    "priors",
    "substrates",
    "valuations",
]
