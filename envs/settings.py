"""Which auctions have a name: words that stand for a mechanism, a substrate and priors in a spec or a config."""

from collections.abc import Callable
from typing import Any, NamedTuple

from auctionsim.envs.game import AuctionGame, Clearing
from auctionsim.priors import Uniform
from auctionsim.substrates import Items, QuadraticSubstrate, Substrate


class Setting(NamedTuple):
    """All that a game needs besides its options.

    Attributes:
        mechanism: Clears the rounds.
        substrate: Turns allocations into exposure.
        priors: Where valuations come from.
    """

    mechanism: Clearing
    substrate: Substrate
    priors: Any


def neuron_auction() -> Setting:
    """Return the optimal auction on the packaged surface of two running-shoe brands, U[0, 1]."""
    from auctionsim.mechanisms import VirtualWelfareMaximizer
    from auctionsim.substrates import ResponseSurface

    surface = ResponseSurface.packaged("running-shoes-2@1").sell("slot_probability")
    prior = Uniform(0.0, 1.0)
    return Setting(VirtualWelfareMaximizer(surface, prior, user_weight=1.0), surface, prior)


def neuron_pay_as_bid() -> Setting:
    """Return the same surface under pay-as-bid: the untruthful reference."""
    from auctionsim.mechanisms import PayAsBid
    from auctionsim.substrates import ResponseSurface

    surface = ResponseSurface.packaged("running-shoes-2@1").sell("slot_probability")
    return Setting(PayAsBid(surface, user_weight=1.0), surface, Uniform(0.0, 1.0))


def first_price() -> Setting:
    """Return one item, two bidders, U[0, 1], the winner pays its bid."""
    from auctionsim.mechanisms import FirstPrice

    return Setting(FirstPrice(), Items(2), Uniform(0.0, 1.0))


def second_price() -> Setting:
    """Return one item, two bidders, U[0, 1], the winner pays the other's bid."""
    from auctionsim.mechanisms import SecondPrice

    return Setting(SecondPrice(), Items(2), Uniform(0.0, 1.0))


def crosstalk() -> Setting:
    """Return VCG between two bidders who lower each other's exposure (crosstalk ½, user weight ½), U[0, 1]."""
    from auctionsim.mechanisms import VCG

    substrate = QuadraticSubstrate(2, crosstalk=0.5)
    return Setting(VCG(substrate, user_weight=0.5), substrate, Uniform(0.0, 1.0))


def crosstalk_pay_as_bid() -> Setting:
    """Return the same crosstalk under pay-as-bid."""
    from auctionsim.mechanisms import PayAsBid

    substrate = QuadraticSubstrate(2, crosstalk=0.5)
    return Setting(PayAsBid(substrate, user_weight=0.5), substrate, Uniform(0.0, 1.0))


SETTINGS: dict[str, Callable[[], Setting]] = {
    "neuron-auction": neuron_auction,
    "neuron-pay-as-bid": neuron_pay_as_bid,
    "first-price": first_price,
    "second-price": second_price,
    "crosstalk": crosstalk,
    "crosstalk-pay-as-bid": crosstalk_pay_as_bid,
}


def build_game(
    setting: str | None = None,
    *,
    mechanism: Clearing | None = None,
    substrate: Substrate | None = None,
    priors: Any = None,
    **options: Any,
) -> AuctionGame:
    """Build a game from a name, or from its parts.

    Args:
        setting: One of `SETTINGS`; None: "neuron-auction".
        mechanism: Any mechanism, instead of the named setting (so an id can be made with another mechanism).
        substrate: What the game is played on; None: the mechanism's own.
        priors: None: Uniform(0, 1), or the setting's.
        **options: Of `AuctionGame`.
    Raises:
        ValueError: An unknown name, a substrate without a mechanism, or a mechanism without a substrate.
    """
    if mechanism is None:
        name = "neuron-auction" if setting is None else setting
        if name not in SETTINGS:
            raise ValueError(f"setting must be one of {sorted(SETTINGS)}, got {name!r}")
        if substrate is not None:
            raise ValueError("a substrate needs its mechanism: pass mechanism= too")
        named = SETTINGS[name]()
        return AuctionGame(named.mechanism, named.substrate, named.priors if priors is None else priors, **options)
    ground = getattr(mechanism, "substrate", None) if substrate is None else substrate
    if ground is None:
        raise ValueError("this mechanism names no substrate: pass substrate=, e.g. Items(num_bidders)")
    return AuctionGame(mechanism, ground, Uniform(0.0, 1.0) if priors is None else priors, **options)
