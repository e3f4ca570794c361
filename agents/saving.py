"""Learned bidders in a file: what each strategy is made of, so that the evaluators can read them again."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.agents.networks import BiddingNetwork, CappedStrategy, NetworkStrategy, Sight
from auctionsim.agents.strategies import ByContext, Shading, Strategy, TableStrategy, Truthful
from auctionsim.storage import Stored, read_stored, write_stored

FORMAT, VERSION = "auctionsim/bidders", 1


class SavedBidders(NamedTuple):
    """What lies in a file of bidders.

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
        ValueError: It is truncated, damaged, or holds something else.
    """
    stored = read_stored(path, FORMAT, VERSION)
    strategies = []
    for bidder, kind in enumerate(stored.record["strategies"]):
        strategies.append(_strategy_from(kind, _part_of(stored.arrays, bidder), os.fspath(path)))
    return SavedBidders(strategies, stored.record["record"])


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
    raise TypeError(f"{type(strategy).__name__} has no file form: networks, tables, truth and shading have")


def _strategy_from(kind: dict[str, Any], arrays: dict[str, Tensor], where: str) -> Strategy:
    match kind["kind"]:
        case "NetworkStrategy" | "CappedStrategy":
            sight = Sight(tuple(kind["observes"]), arrays["scales"]) if "observes" in kind else None
            network = BiddingNetwork(arrays["high"], kind["hidden"], torch.Generator(), kind["start"], sight=sight)
            network.load_state_dict(arrays)
            return NetworkStrategy(network) if kind["kind"] == "NetworkStrategy" else CappedStrategy(network)
        case "TableStrategy":
            return TableStrategy(arrays["valuations"], arrays["bids"])
        case "Shading":
            return Shading(kind["factor"])
        case "Truthful":
            return Truthful()
        case "ByContext":
            each = [_strategy_from(one, _part_of(arrays, k), where) for k, one in enumerate(kind["of"])]
            return ByContext(each)
    raise ValueError(f"{where}: holds a {kind['kind']}, which this auctionsim does not know")


def _part_of(arrays: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """Return the arrays named "number.…", without that."""
    prefix = f"{number}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
