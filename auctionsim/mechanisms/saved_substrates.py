"""How a mechanism's file names the substrate and the loss that it was made on, so that another is refused."""

from typing import Any

from auctionsim.errors import InputError
from auctionsim.records import shown
from auctionsim.substrates.offer import Offer
from auctionsim.substrates.protocol import Substrate, charged_loss_of, contexts_of, losses_of
from auctionsim.substrates.randomised import Randomised
from auctionsim.substrates.view import own_charge


def described(substrate: Substrate | None) -> dict[str, Any] | None:
    """Return what a file says of a substrate: its shape, its names, its charged loss, and what it randomises."""
    if substrate is None:
        return None
    charged = charged_loss_of(substrate)
    basis = {"basis": charged.basis} if charged.basis else {}
    inner = described(substrate.substrate) if isinstance(substrate, Randomised) else None
    return {
        "kind": type(substrate).__name__,
        "num_bidders": substrate.num_bidders,
        "features": list(substrate.features),
        "levers": [list(lever) for lever in substrate.levers],
        "contexts": list(contexts_of(substrate)),
        "loss": {"charged": own_charge(substrate), "unit": charged.unit, **basis},
        **({} if inner is None else {"range": inner}),
    }


def refuse_another(saved: Any, substrate: Substrate | None) -> None:
    """Refuse a substrate that is not the one that a file describes.

    Files that name no loss were made when every substrate had one: they mean the first.

    Raises:
        ValueError: It is another substrate, or charges another loss.
    """
    given = described(substrate)
    if substrate is None or given is None or not isinstance(saved, dict):
        if given != saved:
            raise InputError(f"was saved with another substrate: {shown(saved)}")
        return
    for name in given:
        if name != "loss" and saved.get(name) != given[name]:
            here, there = _named(given[name]), _named(saved.get(name))
            raise InputError(f"was saved with another substrate ({name.replace('_', ' ')} {there}, not {here})")
    if more := saved.keys() - given.keys():
        raise InputError(f"was saved with another substrate: one that has {shown(min(more))}")
    if "loss" not in saved:
        first = losses_of(substrate)[0]
        if own_charge(substrate) != first or "basis" in given["loss"]:
            raise InputError(f"was saved for the user loss {first!r}, and this substrate charges {_charged(given)}")
    elif saved["loss"] != given["loss"]:
        then, now = _charged(saved, beside=given), _charged(given, beside=saved)
        raise InputError(f"was saved for the user loss {then}, and this substrate charges {now}")


def _named(value: Any) -> str:
    """Return names as they stand, and anything else in short."""
    names = isinstance(value, list) and 0 < len(value) <= 8 and all(isinstance(one, str) for one in value)
    return ", ".join(shown(one) for one in value) if names else shown(value)


def _charged(description: dict[str, Any], beside: dict[str, Any] | None = None) -> str:
    """Return a loss by name, unit and basis; of the basis the parts that another's has not, where both have one."""
    loss = description["loss"]
    if not isinstance(loss, dict) or "charged" not in loss:
        return shown(loss)
    try:
        name = Offer(("any",), loss["charged"]).loss_name
    except (TypeError, ValueError, AttributeError):  # a file's own words, of any kind
        name = shown(loss["charged"])
    other = beside["loss"].get("basis") if beside is not None and isinstance(beside["loss"], dict) else None
    basis = f" resting on {shown(_parts_beside(loss['basis'], other))}" if "basis" in loss else ""
    return f"{name!r} ({loss.get('unit')!r:.80}){basis}"


def _parts_beside(basis: Any, other: Any) -> Any:
    """Return the parts of a basis that another one has not, all of it where there are none or it is no text."""
    if not isinstance(basis, str) or not isinstance(other, str):
        return basis
    return "; ".join(part for part in basis.split("; ") if part not in other.split("; ")) or basis
