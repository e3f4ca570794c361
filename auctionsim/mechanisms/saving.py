"""A mechanism in a file: its parameters, and outcomes that it must give again when it is read."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim import priors as prior_kinds
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
from auctionsim.priors import Prior
from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.substrates.protocol import Substrate, contexts_of

_PRIORS: tuple[type[Prior], ...] = (
    prior_kinds.Uniform,
    prior_kinds.Exponential,
    prior_kinds.Beta,
    prior_kinds.TruncatedNormal,
    prior_kinds.Empirical,
)
FORMAT = "auctionsim/mechanism"
VERSION = 1
NETWORK = "network."  # how its tensors are called in the file
SAMPLES = 24  # profiles whose outcomes the file carries
CLOSE = 1e-9  # relative: another machine may add in another order


class State(NamedTuple):
    """What makes a mechanism what it is, besides its kind and its substrate.

    Attributes:
        settings: JSON.
        arrays: Tensors by name.
    """

    settings: dict[str, Any]
    arrays: dict[str, Tensor]


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
        kind, settings = stored.record["kind"], stored.record["settings"]
        mechanism = _MAKE[kind](State(settings, stored.arrays), substrate)
    except KeyError as error:
        raise ValueError(f"{where}: is no mechanism that this auctionsim knows: {error}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: does not fit {_named(substrate)}: {error}") from error
    if _described(mechanism.substrate) != stored.record["substrate"]:
        raise ValueError(f"{where}: was saved with another substrate: {stored.record['substrate']}")
    for name, expected in _samples(mechanism, stored.arrays["sample_bids"]).items():
        found = stored.arrays[name]
        if found.shape != expected.shape or not torch.allclose(found, expected, rtol=CLOSE, atol=CLOSE):
            raise ValueError(f"{where}: gives another {name} on {_named(substrate)} than when it was saved")
    return mechanism


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
    if getattr(mechanism, "ties", "first") != "first":
        raise TypeError(f"{kind.__name__} has a file form where ties go to the first bidder only")
    settings: dict[str, Any] = {}
    for name in ("reserve", "user_weight", "no_suppression", "below_support", "temperature"):
        if hasattr(mechanism, name):
            settings[name] = getattr(mechanism, name)
    arrays: dict[str, Tensor] = {}
    if isinstance(mechanism, PostedPrice):
        settings["one_price"] = mechanism.num_features is None
        arrays = {"prices": mechanism.prices}
    elif isinstance(mechanism, VirtualWelfareMaximizer):
        settings["priors"] = [[_prior_out(prior) for prior in row] for row in mechanism.priors.marginals]
    elif isinstance(mechanism, KLTilt):
        settings["divergence"] = mechanism.divergence.name
        settings["alpha"] = getattr(mechanism.divergence, "alpha", None)
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


def _prior_out(prior: Prior) -> dict[str, Any]:
    """Return a prior's kind and parameters as JSON.

    Raises:
        TypeError: A prior of somebody's own, of which only its class knows what it was made with.
    """
    if type(prior) not in (*_PRIORS, prior_kinds.Mixture):
        raise TypeError(f"a prior of the kind {type(prior).__name__} has no file form")
    if isinstance(prior, prior_kinds.Mixture):
        parts = [_prior_out(component) for component in prior.components]
        return {"kind": "Mixture", "parameters": [parts, list(prior.weights)]}
    finite = [None if value == torch.inf else value for value in prior.parameters]  # JSON has no infinity
    return {"kind": type(prior).__name__, "parameters": finite}


def _prior_in(record: dict[str, Any]) -> Prior:
    kinds: dict[str, Callable[..., Prior]] = {kind.__name__: kind for kind in _PRIORS}
    parameters = record["parameters"]
    if record["kind"] == "Mixture":
        return prior_kinds.Mixture([_prior_in(part) for part in parameters[0]], parameters[1])
    if record["kind"] == "Empirical":
        return prior_kinds.Empirical(*parameters)
    return kinds[record["kind"]](*(torch.inf if value is None else value for value in parameters))


def _given(substrate: Substrate | None) -> Substrate:
    if substrate is None:
        raise ValueError("pass the substrate it was saved with")
    return substrate


def _history(state: State) -> tuple[TrainingPoint, ...]:
    return tuple(TrainingPoint(*point) for point in state.settings["history"])


def _menu(state: State, substrate: Substrate | None) -> Mechanism:
    offered: Menu | MenuNetwork
    if "hidden" in state.settings:
        weights = {key.removeprefix(NETWORK): part for key, part in state.arrays.items() if key.startswith(NETWORK)}
        entries = weights["prices"].shape[2]
        offered = MenuNetwork(_given(substrate), entries=entries, hidden=state.settings["hidden"])
        _fill(offered, weights)
    else:
        offered = Menu(state.arrays["levers"], state.arrays["prices"])
    rule = MenuAuction(_given(substrate), offered, reference=state.arrays["reference"])
    rule.history = _history(state)
    return rule


def _fill(network: MenuNetwork, weights: dict[str, Tensor]) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError("the network has other layers") from error
    network.requires_grad_(False)


def _affine(state: State, substrate: Substrate | None) -> Mechanism:
    arrays = state.arrays
    boosts = arrays["boosts"] if len(arrays["boosts"]) > 1 else arrays["boosts"][0]
    rule = AffineMaximizer(_given(substrate), arrays["allocations"], boosts, arrays["weights"])
    rule.history = _history(state)
    return rule


def _virtual(state: State, substrate: Substrate | None) -> Mechanism:
    s = state.settings
    priors = [[_prior_in(prior) for prior in row] for row in s["priors"]]
    return VirtualWelfareMaximizer(
        _given(substrate),
        priors,
        s["user_weight"],
        no_suppression=s["no_suppression"],
        below_support=s.get("below_support", "ignored"),  # what files meant that do not say
    )


def _posted(state: State, substrate: Substrate | None) -> Mechanism:
    del substrate
    prices = state.arrays["prices"]
    return PostedPrice(float(prices[0]) if state.settings["one_price"] else prices)


def _tilt(state: State, substrate: Substrate | None) -> Mechanism:
    s = state.settings
    kinds = {kind.name: kind for kind in divergences.PLAIN}
    chosen = divergences.Alpha(s["alpha"]) if s["alpha"] is not None else kinds[s["divergence"]]()
    return KLTilt(_given(substrate), s["temperature"], chosen, s["user_weight"])  # type: ignore[arg-type]


def _item_rule(kind: Callable[[float], Mechanism]) -> Callable[[State, Substrate | None], Mechanism]:
    return lambda state, _: kind(state.settings["reserve"])


def _on_substrate(kind: Callable[..., Mechanism], *names: str) -> Callable[[State, Substrate | None], Mechanism]:
    return lambda state, substrate: kind(_given(substrate), *(state.settings[name] for name in names))


_MAKE: dict[str, Callable[[State, Substrate | None], Mechanism]] = {
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
