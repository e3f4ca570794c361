"""Named auctions: words that stand for a mechanism, a substrate and priors in a spec or a config."""

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, NamedTuple

from auctionsim.data import DEFAULT_SURFACE
from auctionsim.envs.game import AuctionGame
from auctionsim.envs.game_settings import AuctionParts, Clearing, GameSettings
from auctionsim.envs.live import Live, live_substrate, packaged_surface
from auctionsim.errors import InputError
from auctionsim.mechanisms import Mechanism
from auctionsim.mechanisms.protocol import substrate_of
from auctionsim.priors import Uniform
from auctionsim.record_keywords import fields_as_keywords, keywords_of
from auctionsim.substrates import Items, QuadraticSubstrate, ResponseSurface, Substrate
from auctionsim.substrates.offer import Charge
from auctionsim.substrates.quantities import DEFAULT_LOSS

PRIOR = Uniform(0.0, 1.0)
USER_WEIGHT = 1.0  # of the rules on the packaged surface, money per unit of the user's loss


class Setting(NamedTuple):
    """The mechanism, substrate and priors of a named game.

    Attributes:
        mechanism: Clears the rounds.
        substrate: Turns allocations into exposure.
        priors: Where valuations come from.
    """

    mechanism: Clearing
    substrate: Substrate
    priors: Any


def neuron_auction(loss: Charge = DEFAULT_LOSS) -> Setting:
    """Return the optimal auction on the packaged surface of two brands, U[0, 1]."""
    from auctionsim.mechanisms import VirtualWelfareMaximizer

    surface = packaged_surface(loss)
    return Setting(VirtualWelfareMaximizer(surface, PRIOR, USER_WEIGHT), surface, PRIOR)


def neuron_pay_as_bid(loss: Charge = DEFAULT_LOSS) -> Setting:
    """Return the same surface under pay-as-bid: the untruthful reference."""
    from auctionsim.mechanisms import PayAsBid

    surface = packaged_surface(loss)
    return Setting(PayAsBid(surface, USER_WEIGHT), surface, PRIOR)


def neuron_menu(loss: Charge = DEFAULT_LOSS) -> Setting:
    """Return the same surface under the paper's kind of mechanism: one trained menu a bidder."""
    surface = packaged_surface(loss)
    return Setting(shipped_mechanism("menu", surface), surface, PRIOR)


def neuron_affine(loss: Charge = DEFAULT_LOSS) -> Setting:
    """Return the same surface under a trained affine maximizer."""
    surface = packaged_surface(loss)
    return Setting(shipped_mechanism("affine", surface), surface, PRIOR)


def shipped_mechanism(kind: str, surface: ResponseSurface) -> Mechanism:
    """Return a mechanism that was trained on the packaged surface: "menu" or "affine".

    Raises:
        ValueError: None ships with this surface.
    """
    from auctionsim.mechanisms import load_mechanism

    file = resources.files("auctionsim.data") / "mechanisms" / f"{kind}.{DEFAULT_SURFACE}.safetensors"
    if not file.is_file():
        raise InputError(
            f"no {kind} ships with {DEFAULT_SURFACE}: "
            "python -m auctionsim.experiments.studies.shipped_mechanisms makes it"
        )
    with resources.as_file(file) as path:
        return load_mechanism(path, surface)


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


SETTINGS: dict[str, Callable[..., Setting]] = {
    "neuron-auction": neuron_auction,
    "neuron-pay-as-bid": neuron_pay_as_bid,
    "neuron-menu": neuron_menu,
    "neuron-affine": neuron_affine,
    "first-price": first_price,
    "second-price": second_price,
    "crosstalk": crosstalk,
    "crosstalk-pay-as-bid": crosstalk_pay_as_bid,
}
"""The named games: each name with the function that makes its setting."""
LIVE = "-live"  # what is added to the name of a neuron setting to play it on the model
LIVE_SETTINGS = tuple(name + LIVE for name in SETTINGS if name.startswith("neuron-"))


def setting_named(name: str, live: Live | None = None, loss: Charge | None = None) -> Setting:
    """Return a named auction.

    Args:
        name: One of `SETTINGS`, or of `LIVE_SETTINGS`: the same rule, designed on the packaged surface, but exposure
            and user loss come from the model's own replies.
        live: How the model is asked; for live settings only.
        loss: The user loss that is charged, on the packaged surface or by its model; None: `kl`. The learned rules
            that ship were trained under `kl`, and refuse another.
    Raises:
        ValueError: An unknown name, `live` for a setting without a model, or a loss for one that is not measured.
        ModelUnavailableError: No such model here.
    """
    if name not in SETTINGS and name not in LIVE_SETTINGS:
        raise InputError(f"setting must be one of {sorted([*SETTINGS, *LIVE_SETTINGS])}, got {name!r}")
    if name in SETTINGS and live is not None:
        raise InputError(f"live is for settings on a model, {LIVE_SETTINGS}; {name!r} has none")
    designed = _charging(SETTINGS[name.removesuffix(LIVE)], name, loss)
    if name in SETTINGS:
        return designed
    return designed._replace(substrate=live_substrate(live or Live(), DEFAULT_LOSS if loss is None else loss))


def _charging(setting: Callable[..., Setting], name: str, loss: Charge | None) -> Setting:
    """Return a setting, under the loss that is named, if one is."""
    if loss is None:
        return setting()
    if not name.startswith("neuron-"):
        raise InputError(f"loss is for settings on the packaged surface, neuron-…; {name!r} charges its own")
    return setting(loss)


@fields_as_keywords("auction", "settings")
def build_game(setting: str | None = None, *, auction: AuctionParts, settings: GameSettings) -> AuctionGame:
    """Build a game from a name, or from its parts.

    Args:
        setting: One of `SETTINGS` or `LIVE_SETTINGS`; None: "neuron-auction".
        auction: What is played instead; given by the fields of `AuctionParts` as keywords.
        settings: How episodes go; given by the fields of `GameSettings` as keywords.
    Raises:
        ValueError: An unknown name, a substrate without a mechanism, or a mechanism without a substrate.
        TypeError: An option that there is not.
    """
    mechanism, substrate, priors, live = auction.mechanism, auction.substrate, auction.priors, auction.live
    options = keywords_of(settings)
    if mechanism is None:
        if substrate is not None:
            raise InputError("a substrate needs its mechanism: pass mechanism= too")
        model = Live(**live) if isinstance(live, Mapping) else live
        named = setting_named("neuron-auction" if setting is None else setting, model, auction.loss)
        return AuctionGame(named.mechanism, named.substrate, named.priors if priors is None else priors, **options)
    if live is not None:
        raise InputError("live belongs to a live setting: pass a mechanism its own substrate")
    if auction.loss is not None:
        raise InputError("loss belongs to a named setting: pass a mechanism a substrate that charges it")
    ground = substrate_of(mechanism) if substrate is None else substrate
    if ground is None:
        raise InputError("this mechanism names no substrate: pass substrate=, e.g. Items(num_bidders)")
    return AuctionGame(mechanism, ground, Uniform(0.0, 1.0) if priors is None else priors, **options)
