"""Conformance kits: mechanisms, substrates, priors, bidders, readings, carriers, controllers; their cases; fakes."""

from auctionsim.errors import BrokenClaimError
from auctionsim.testing.bidder_kit import bidder_checks, check_bidder
from auctionsim.testing.bidder_laws import BiddingRound
from auctionsim.testing.carrier_kit import carrier_checks, check_carrier
from auctionsim.testing.controller_kit import check_controller, controller_checks
from auctionsim.testing.fake_language_model import fake_language_model, fake_tokenizer
from auctionsim.testing.kit import Check
from auctionsim.testing.mechanism_kit import check_mechanism, mechanism_checks
from auctionsim.testing.prior_kit import check_prior, prior_checks
from auctionsim.testing.reading_kit import check_reading, reading_checks
from auctionsim.testing.strategies import bids, menus, priors, substrates, valuations
from auctionsim.testing.substrate_kit import check_substrate, substrate_checks

__all__ = [
    "BiddingRound",
    "BrokenClaimError",
    "Check",
    "bidder_checks",
    "bids",
    "carrier_checks",
    "check_bidder",
    "check_carrier",
    "check_controller",
    "check_mechanism",
    "check_prior",
    "check_reading",
    "check_substrate",
    "controller_checks",
    "fake_language_model",
    "fake_tokenizer",
    "mechanism_checks",
    "menus",
    "prior_checks",
    "priors",
    "reading_checks",
    "substrate_checks",
    "substrates",
    "valuations",
]
