"""Learned bidders in a file: what each strategy is made of, so that the evaluators can read them again."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.agents.networks import BiddingNetwork, CappedStrategy, NetworkStrategy, Sight
from auctionsim.agents.strategies import ByContext, Shading, Strategy, TableStrategy, Truthful
from auctionsim.errors import InputError, InputTypeError
from auctionsim.records import Record
from auctionsim.storage import Stored, fill_network, read_stored, write_stored
from auctionsim.strategies import OBSERVED

FORMAT, VERSION = "auctionsim/bidders", 1


class SavedBidders(NamedTuple):
    """The strategies of a file of bidders, and the record beside them.

    Attributes:
        strategies: One a bidder.
        record: What was written beside them, such as the setting and the seed: JSON.
    """

    strategies: list[Strategy]
    record: dict[str, Any]


def save_strategies(path: str | os.PathLike[str], strategies: Sequence[Strategy], record: dict[str, Any]) -> None:
    """Write one strategy a bidder to one safetensors file, whole or not at all.

    Args:
        path: The file.
        strategies: Networks, tables, `Truthful`, `Shading`, or `ByContext` of these; what they observe is kept too.
        record: JSON-serialisable.
    Raises:
        TypeError: A strategy that has no file form, such as a function.
    """
    kinds: list[dict[str, Any]] = []
    arrays: dict[str, Tensor] = {}
    for bidder, strategy in enumerate(strategies):
        kind, own = _state_of(strategy)
        kinds.append(kind)
        arrays |= {f"{bidder}.{name}": array for name, array in own.items()}
    write_stored(path, Stored({"strategies": kinds, "record": record}, arrays), FORMAT, VERSION)


def load_strategies(path: str | os.PathLike[str]) -> SavedBidders:
    """Read what `save_strategies` wrote; the strategies bid what they bid then.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is truncated, damaged, or holds something else; names it.
    """
    stored = read_stored(path, FORMAT, VERSION)
    try:
        kinds = stored.fields.records("strategies")
        strategies = [_strategy_from(kind, f"{bidder}.", stored) for bidder, kind in enumerate(kinds)]
        return SavedBidders(strategies, stored.fields.plain("record"))
    except ValueError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error


def _state_of(strategy: Strategy) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if isinstance(strategy, (NetworkStrategy, CappedStrategy)):
        network = strategy.network
        kind = {"kind": type(strategy).__name__, "hidden": network.hidden, "start": network.start}
        if network.observes:
            kind["observes"] = list(network.observes)
        return kind, {name: value.detach().clone() for name, value in network.state_dict().items()}
    if isinstance(strategy, TableStrategy):
        return {"kind": "TableStrategy"}, {"valuations": strategy.valuations.clone(), "bids": strategy.bids.clone()}
    if isinstance(strategy, Shading):
        return {"kind": "Shading", "factor": strategy.factor}, {}
    if isinstance(strategy, Truthful):
        return {"kind": "Truthful"}, {}
    if isinstance(strategy, ByContext):
        parts = [_state_of(one) for one in strategy.strategies]
        arrays = {f"{k}.{name}": array for k, (_, own) in enumerate(parts) for name, array in own.items()}
        return {"kind": "ByContext", "of": [kind for kind, _ in parts]}, arrays
    raise InputTypeError(f"{type(strategy).__name__} has no file form: networks, tables, truth and shading have")


def _strategy_from(record: Record, prefix: str, stored: Stored) -> Strategy:
    match record.text("kind"):
        case "NetworkStrategy" | "CappedStrategy" as kind:
            network = _network(record, prefix, stored)
            return NetworkStrategy(network) if kind == "NetworkStrategy" else CappedStrategy(network)
        case "TableStrategy":
            valuations = stored.array(f"{prefix}valuations", (None,))
            bids = stored.array(f"{prefix}bids", (len(valuations), None))
            if not bool((bids.isfinite() & (bids >= 0)).all() & valuations.isfinite().all()):
                raise InputError(f"{prefix}bids must be finite and >= 0, at finite valuations")
            return TableStrategy(valuations, bids)
        case "Shading":
            return Shading(record.number("factor", 0))
        case "Truthful":
            return Truthful()
        case "ByContext":
            parts = record.records("of")
            return ByContext([_strategy_from(part, f"{prefix}{k}.", stored) for k, part in enumerate(parts)])
        case kind:
            raise InputError(f"holds a {kind}, which this auctionsim does not know")


def _network(record: Record, prefix: str, stored: Stored) -> BiddingNetwork:
    """Build a network of the size that its tensors have, whatever the record says."""
    hidden, high = record.whole("hidden", 1), stored.array(f"{prefix}high", (None,))
    if not len(high):
        raise InputError(f"{prefix}high must hold one number a feature, got none")
    stored.array(f"{prefix}nets.0.2.weight", (hidden, hidden))
    for feature in range(len(high)):
        stored.array(f"{prefix}nets.{feature}.4.weight", (len(high), hidden))
    sight = _sight(record, prefix, stored) if "observes" in record else None
    network = BiddingNetwork(high, hidden, torch.Generator(), record.number("start", 0), sight=sight)
    fill_network(network, prefix, stored)
    return network


def _sight(record: Record, prefix: str, stored: Stored) -> Sight:
    observes = record.texts("observes")
    unknown = [name for name in observes if name not in OBSERVED]
    if unknown or len(set(observes)) < len(observes):
        raise InputError(f"observes must name some of {', '.join(OBSERVED)} once each, got {', '.join(observes)}")
    return Sight(observes, stored.array(f"{prefix}scales", (None,)))
