"""A mechanism in a file: its parameters, and outcomes that it must give again when it is read."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.mechanisms import divergences
from auctionsim.mechanisms.affine_maximizer import AffineMaximizer
from auctionsim.mechanisms.all_pay import AllPay
from auctionsim.mechanisms.first_price import FirstPrice
from auctionsim.mechanisms.generalized_prices import GeneralizedFirstPrice, GeneralizedSecondPrice
from auctionsim.mechanisms.kl_tilt import KLTilt
from auctionsim.mechanisms.menu import MenuAuction
from auctionsim.mechanisms.menu_network import MenuNetwork
from auctionsim.mechanisms.nearest_bid import NearestBid
from auctionsim.mechanisms.offers import Menu
from auctionsim.mechanisms.pay_as_bid import PayAsBid
from auctionsim.mechanisms.posted_price import PostedPrice
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.second_price import SecondPrice
from auctionsim.mechanisms.third_price import ThirdPrice
from auctionsim.mechanisms.training import TrainingPoint
from auctionsim.mechanisms.unit_auctions import DiscriminatoryPrice, UniformPrice, VickreyUnits
from auctionsim.mechanisms.vcg import VCG
from auctionsim.mechanisms.virtual_welfare import VirtualWelfareMaximizer
from auctionsim.priors.saving import prior_from, prior_record
from auctionsim.records import Record, shown
from auctionsim.storage import Stored, fill_network, read_stored, write_stored
from auctionsim.substrates.lottery import Lottery
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of

FORMAT = "auctionsim/mechanism"
VERSION = 1
NETWORK = "network."  # how its tensors are called in the file
SAMPLES = 24  # profiles whose outcomes the file carries
MOST_SAMPLED = 1 << 14  # bids among them
CLOSE = 1e-9  # relative: another machine may add in another order


class State(NamedTuple):
    """What makes a mechanism what it is, besides its kind and its substrate.

    Attributes:
        settings: JSON.
        arrays: Tensors by name.
    """

    settings: dict[str, Any]
    arrays: dict[str, Tensor]


class Saved:
    """The state of a mechanism as a file has it, to be read by kind.

    Args:
        stored: The file's contents.
    """

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.settings = stored.fields.record("settings")

    def array(self, name: str, shape: tuple[int | None, ...]) -> Tensor:
        """Return a tensor, if it is there and of this shape."""
        return self.stored.array(name, shape)

    @property
    def history(self) -> tuple[TrainingPoint, ...]:
        """How the training went."""
        points = [Record({"point": point}, "history") for point in self.settings.items("history")]
        found = []
        for point in points:
            numbers = point.numbers("point")
            if len(numbers) != len(TrainingPoint._fields) or not numbers[0].is_integer():
                raise ValueError(f"a point of history must be a step and {len(numbers) - 1} numbers, got {numbers}")
            found.append(TrainingPoint(int(numbers[0]), *numbers[1:]))
        return tuple(found)


def save_mechanism(mechanism: Mechanism, path: str | os.PathLike[str]) -> None:
    """Write a mechanism to one file, whole or not at all.

    The substrate is not in the file: `load_mechanism` is given it again, and checks that it is the same by the outcomes
    of a few profiles, which the file carries.

    Raises:
        TypeError: A kind that has no file form, such as menus written by an arbitrary function.
    """
    state = _state_of(mechanism)
    record = {
        "kind": type(mechanism).__name__,
        "settings": state.settings,
        "substrate": _described(mechanism.substrate),
    }
    write_stored(path, Stored(record, {**state.arrays, **_samples(mechanism)}), FORMAT, VERSION)


def load_mechanism(path: str | os.PathLike[str], substrate: Substrate | None = None) -> Mechanism:
    """Read a mechanism; it gives the outcomes that it gave when it was saved.

    Args:
        path: What `save_mechanism` wrote.
        substrate: The one it was made for; None for item rules.
    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, damaged, or no mechanism; or the substrate is not the one it was saved with.
    """
    stored = read_stored(path, FORMAT, VERSION)
    where = os.fspath(path)
    try:
        kind = stored.fields.text("kind")
        if kind not in _MAKE:
            raise ValueError(f"is no mechanism that this auctionsim knows: {kind!r}")
        _check_samples(stored)
        mechanism = _MAKE[kind](Saved(stored), substrate)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: does not fit {_named(substrate)}: {error}") from error
    if _described(mechanism.substrate) != stored.record.get("substrate"):
        raise ValueError(f"{where}: was saved with another substrate: {shown(stored.record.get('substrate'))}")
    try:
        expected = _samples(mechanism, stored.arrays["sample_bids"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: does not fit {_named(substrate)}: {error}") from error
    for name, made in expected.items():
        found = stored.arrays.get(name)
        if found is None or found.shape != made.shape or not torch.allclose(found.to(made), made, CLOSE, CLOSE):
            raise ValueError(f"{where}: gives another {name} on {_named(substrate)} than when it was saved")
    return mechanism


def _check_samples(stored: Stored) -> None:
    """Refuse sample bids that are none, or too many to compute."""
    bids = stored.array("sample_bids", (None, None, None))
    if bids.numel() > MOST_SAMPLED or not bids.numel():
        raise ValueError(f"sample_bids must hold 1 to {MOST_SAMPLED} numbers, got {tuple(bids.shape)}")


def _samples(mechanism: Mechanism, bids: Tensor | None = None) -> dict[str, Tensor]:
    """Return a few profiles and what the mechanism makes of them, contexts taking turns."""
    if bids is None:
        generator = torch.Generator().manual_seed(0)
        shape = (SAMPLES, mechanism.num_bidders or 3, mechanism.num_features or 1)
        scale = 2.0 ** (torch.arange(SAMPLES) % 8 - 5).double()  # the money scale is not known here
        bids = torch.rand(shape, generator=generator, dtype=torch.float64) * scale.view(-1, 1, 1)
    names = () if mechanism.substrate is None else contexts_of(mechanism.substrate)
    context = torch.arange(len(bids)) % len(names) if names else None
    outcome = mechanism(bids, context)
    found = {"sample_bids": bids, "sample_allocations": outcome.allocation, "sample_payments": outcome.payments}
    if mechanism.substrate is not None:
        found["sample_exposures"] = mechanism.substrate.exposure(outcome.allocation, context).clone()
    return found


def _described(substrate: Substrate | None) -> dict[str, Any] | None:
    if substrate is None:
        return None
    return {
        "kind": type(substrate).__name__,
        "num_bidders": substrate.num_bidders,
        "features": list(substrate.features),
        "levers": [list(lever) for lever in substrate.levers],
        "contexts": list(contexts_of(substrate)),
    }


def _named(substrate: Substrate | None) -> str:
    return "no substrate" if substrate is None else f"this {type(substrate).__name__}"


def _state_of(mechanism: Mechanism) -> State:
    """Return the state of a mechanism of a known kind; a subclass is another kind."""
    kind = type(mechanism)
    if kind.__name__ not in _MAKE or kind.__module__.split(".")[0] != "auctionsim":
        raise TypeError(f"{kind.__name__} has no file form")
    if mechanism.ties != "first":
        raise TypeError(f"{kind.__name__} has a file form where ties go to the first bidder only")
    settings: dict[str, Any] = {}
    for name in ("reserve", "user_weight", "no_suppression", "below_support", "temperature"):
        if name in vars(mechanism):
            settings[name] = getattr(mechanism, name)
    arrays: dict[str, Tensor] = {}
    if isinstance(mechanism, PostedPrice):
        settings["one_price"] = mechanism.num_features is None
        arrays = {"prices": mechanism.prices}
    elif isinstance(mechanism, VirtualWelfareMaximizer):
        settings["priors"] = [[prior_record(prior) for prior in row] for row in mechanism.priors.marginals]
    elif isinstance(mechanism, KLTilt):
        settings["divergence"] = mechanism.divergence.name
        settings["alpha"] = mechanism.divergence.alpha
    elif isinstance(mechanism, AffineMaximizer):
        arrays = {"allocations": mechanism.allocations, "boosts": mechanism.boosts, "weights": mechanism.weights}
        settings["history"] = [list(point) for point in mechanism.history]
    elif isinstance(mechanism, MenuAuction):
        arrays = {"reference": mechanism.reference}
        if isinstance(mechanism.menus, Menu):
            arrays |= mechanism.menus._asdict()
        elif type(mechanism.menus) is MenuNetwork:
            arrays |= mechanism.menus.state_dict(prefix=NETWORK)
            settings["hidden"] = mechanism.menus.hidden
        else:
            raise TypeError("menus written by a function have no file form")
        settings["history"] = [list(point) for point in mechanism.history]
    return State(settings, {name: array.clone() for name, array in arrays.items()})


def _given(substrate: Substrate | None) -> Substrate:
    if substrate is None:
        raise ValueError("pass the substrate it was saved with")
    return substrate


def _menu(saved: Saved, substrate: Substrate | None) -> Mechanism:
    n, levers = _given(substrate).num_bidders, len(_given(substrate).levers)
    offered: Menu | MenuNetwork
    if "hidden" in saved.settings:
        offered = _network(saved, _given(substrate))
    else:
        shape = (None,) * (saved.stored.arrays["prices"].ndim - 2) if "prices" in saved.stored.arrays else ()
        prices = saved.array("prices", (*shape, n, None))
        offered = Menu(saved.array("levers", (*prices.shape, levers)), prices)
    rule = MenuAuction(_given(substrate), offered, reference=saved.array("reference", (n, levers)))
    rule.history = saved.history
    return rule


def _network(saved: Saved, substrate: Substrate) -> MenuNetwork:
    """Build a network of the size that its tensors have, whatever the settings say."""
    hidden = saved.settings.whole("hidden", 1)
    saved.array(f"{NETWORK}body.2.weight", (hidden, hidden))
    slots = len(contexts_of(substrate)) + 1
    entries = saved.array(f"{NETWORK}prices", (slots, substrate.num_bidders, None)).shape[2]
    saved.array(f"{NETWORK}body.4.weight", (entries * (len(substrate.levers) + 1), hidden))
    network = MenuNetwork(substrate, entries=entries, hidden=hidden)
    fill_network(network, NETWORK, saved.stored)
    return network


def _affine(saved: Saved, substrate: Substrate | None) -> Mechanism:
    boosts = saved.array("boosts", (None, None))
    allocations = saved.array("allocations", (boosts.shape[1], *allocation_shape(_given(substrate))))
    weights = saved.array("weights", (_given(substrate).num_bidders,))
    rule = AffineMaximizer(_given(substrate), allocations, boosts[0] if len(boosts) == 1 else boosts, weights)
    rule.history = saved.history
    return rule


def _virtual(saved: Saved, substrate: Substrate | None) -> Mechanism:
    s = saved.settings
    rows = [Record({"row": row}, "priors") for row in s.items("priors")]
    below = s.text("below_support") if "below_support" in s else "ignored"  # what files meant that do not say
    return VirtualWelfareMaximizer(
        _given(substrate),
        [[prior_from(prior) for prior in row.records("row")] for row in rows],
        s.number("user_weight", 0),
        no_suppression=s.flag("no_suppression"),
        below_support=below,  # type: ignore[arg-type]  # the rule refuses other words
    )


def _posted(saved: Saved, substrate: Substrate | None) -> Mechanism:
    del substrate
    prices = saved.array("prices", (None,))
    return PostedPrice(float(prices[0]) if saved.settings.flag("one_price") and len(prices) else prices)


def _tilt(saved: Saved, substrate: Substrate | None) -> Mechanism:
    s = saved.settings
    name, kinds = s.text("divergence"), {kind.name: kind for kind in divergences.PLAIN}
    alpha = s.number_or_none("alpha")
    if alpha is None and name not in kinds:
        raise ValueError(f"divergence must be one of {', '.join(kinds)}, got {name!r}")
    lottery = _given(substrate)
    if not isinstance(lottery, Lottery):
        raise ValueError(f"a tilt needs a Lottery, got {type(lottery).__name__}")
    chosen = kinds[name]() if alpha is None else divergences.Alpha(alpha)
    return KLTilt(lottery, s.number("temperature", 0), chosen, s.number("user_weight", 0))


def _item_rule(kind: Callable[[float], Mechanism]) -> Callable[[Saved, Substrate | None], Mechanism]:
    return lambda saved, _: kind(saved.settings.number("reserve", 0))


def _on_substrate(kind: Callable[..., Mechanism], *names: str) -> Callable[[Saved, Substrate | None], Mechanism]:
    return lambda saved, substrate: kind(_given(substrate), *(saved.settings.number(name, 0) for name in names))


_MAKE: dict[str, Callable[[Saved, Substrate | None], Mechanism]] = {
    "AffineMaximizer": _affine,
    "KLTilt": _tilt,
    "MenuAuction": _menu,
    "NearestBid": lambda *_: NearestBid(),
    "PostedPrice": _posted,
    "VirtualWelfareMaximizer": _virtual,
    **{kind.__name__: _item_rule(kind) for kind in (FirstPrice, SecondPrice, ThirdPrice, AllPay)},
    **{kind.__name__: _on_substrate(kind, "user_weight") for kind in (VCG, PayAsBid)},
    **{kind.__name__: _on_substrate(kind, "reserve") for kind in (GeneralizedFirstPrice, GeneralizedSecondPrice)},
    **{kind.__name__: _on_substrate(kind) for kind in (UniformPrice, DiscriminatoryPrice, VickreyUnits)},
}
