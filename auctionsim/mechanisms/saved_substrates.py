"""How a mechanism's file names the substrate and the loss that it was made on, so that another is refused."""

from typing import Any

from auctionsim.errors import InputError
from auctionsim.records import shown
from auctionsim.substrates.offer import Offer
from auctionsim.substrates.protocol import Substrate, charged_loss_of, contexts_of, losses_of
from auctionsim.substrates.view import own_charge


def described(substrate: Substrate | None) -> dict[str, Any] | None:
    """Return what a file says of a substrate: its shape, its names, and the loss that it charges."""
    if substrate is None:
        return None
    return {
        "kind": type(substrate).__name__,
        "num_bidders": substrate.num_bidders,
        "features": list(substrate.features),
        "levers": [list(lever) for lever in substrate.levers],
        "contexts": list(contexts_of(substrate)),
        "loss": {"charged": own_charge(substrate), "unit": charged_loss_of(substrate).unit},
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
    if {**saved, "loss": None} != {**given, "loss": None}:
        raise InputError(f"was saved with another substrate: {shown(saved)}")
    if "loss" not in saved:
        first = losses_of(substrate)[0]
        if own_charge(substrate) != first:
            raise InputError(f"was saved for the user loss {first!r}, and this substrate charges {_charged(given)}")
    elif saved["loss"] != given["loss"]:
        raise InputError(f"was saved for the user loss {_charged(saved)}, and this substrate charges {_charged(given)}")


def _charged(description: dict[str, Any]) -> str:
    loss = description["loss"]
    if not isinstance(loss, dict) or "charged" not in loss:
        return shown(loss)
    try:
        name = Offer(("any",), loss["charged"]).loss_name
    except (TypeError, ValueError, AttributeError):  # a file's own words, of any kind
        name = shown(loss["charged"])
    return f"{name!r} ({loss.get('unit')!r:.80})"
