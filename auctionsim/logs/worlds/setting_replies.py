"""Stored replies of a packaged list under each setting of one brand, with the values of every single reply."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.data import replies_beside, surfaces_folder, values_beside
from auctionsim.errors import InputError
from auctionsim.measurement.reply_values import ReadingValues, read_reply_values
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings.protocol import Unscored
from auctionsim.substrates.measured_list import MeasuredList


class SettingReplies(NamedTuple):
    """Values of stored replies under one brand's settings, the other brands untouched.

    Attributes:
        brand: The brand's name.
        settings: Names of its settings, the untouched one first, then in ascending order.
        contexts: Names of the prompts' groups.
        quantities: Names of what is known of a reply.
        values: By replicate, (context, setting, reply, quantity).
    """

    brand: str
    settings: tuple[str, ...]
    contexts: tuple[str, ...]
    quantities: tuple[str, ...]
    values: dict[str, Float[np.ndarray, "context setting reply quantity"]]


@lru_cache(maxsize=8)
def setting_replies(name: str, brand: int) -> SettingReplies:
    """Return the replies behind a packaged list.

    Args:
        name: Of the list, such as "running-shoes-2-neurons@1"; values of single replies must lie beside it.
        brand: Whose settings are the options.
    Raises:
        ValueError: No list of that name, no values beside it, no such brand, or fewer than two settings.
    """
    measured = MeasuredList.packaged(name)
    if not 0 <= brand < measured.num_bidders:
        raise InputError(f"brand must be from 0 to {measured.num_bidders - 1}, got {brand}")
    path = surfaces_folder() / f"{name}.safetensors"
    if not values_beside(path).exists():
        raise InputError(f"{name} ships without values of single replies: name a list that has them")
    stored = StoredReplies.load(replies_beside(path), measured.provenance)
    entries = _entries(stored, brand)
    quantities, values = _values(read_reply_values(values_beside(path), stored), brand)
    lever, levels = stored.levers[-1][0], stored.interventions[:, brand, -1].tolist()
    names = tuple(f"{lever} {levels[entry]:.4g}" for entry in entries)
    tables = {replicate: _arranged(stored, replicate, entries, values) for replicate in measured.replicates}
    return SettingReplies(stored.brands[brand].name, names, measured.contexts, quantities, tables)


def _entries(stored: StoredReplies, brand: int) -> list[int]:
    """Return the interventions that touch no other brand, by ascending levers."""
    nulls = np.array([null for _, null in stored.levers])
    moved = (stored.interventions.numpy() != nulls).any(-1)
    others = np.delete(moved, brand, 1).any(1)
    found = [int(k) for k in np.flatnonzero(~others)]
    if len(found) < 2:
        raise InputError(f"the list has {len(found)} settings of brand {brand} alone: two or more are needed")
    return sorted(found, key=lambda k: tuple(stored.interventions[k, brand].tolist()))


def _values(readings: dict[str, ReadingValues], brand: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the readings that all replies have, and their values: (reply, quantity)."""
    columns = {}
    for name, one in sorted(readings.items()):
        if not any(isinstance(value, Unscored) for value in one.values):
            own = [value[brand] if isinstance(value, list) else value for value in one.values]
            columns[name] = np.array(own, dtype=np.float64)
    return tuple(columns), np.stack(list(columns.values()), -1)


def _arranged(stored: StoredReplies, replicate: str, entries: list[int], values: np.ndarray) -> np.ndarray:
    """Return a replicate's values by context, setting and reply."""
    cells: dict[tuple[int, int], list[int]] = {}
    for number, reply in enumerate(stored.kept.replies):
        if reply.replicate == replicate and reply.intervention in entries:
            cells.setdefault((reply.context, entries.index(reply.intervention)), []).append(number)
    contexts = 1 + max(context for context, _ in cells)
    fewest = min(map(len, cells.values()))
    return np.array([[values[cells[c, k][:fewest]] for k in range(len(entries))] for c in range(contexts)])
