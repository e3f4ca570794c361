"""A table of ratings: one row per rater, one column per reply, with gaps where a rater gave none."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError
from auctionsim.trust.labels import KINDS, GoldLabels, Label

FIELDS = ("bad", "kind", "rating")
"""Parts of a label that are compared: bad or not (0, 1), the kind by its place in `KINDS`, or the rating (1 to 5)."""


class RatingTable(NamedTuple):
    """Ratings of replies by raters.

    Attributes:
        raters: Names, each once.
        items: What is rated, each once, such as (category, prompt, reply).
        values: Rater by item; NaN where there is no rating.
    """

    raters: tuple[str, ...]
    items: tuple[Hashable, ...]
    values: Float[np.ndarray, "rater item"]

    def only(self, raters: Sequence[str]) -> "RatingTable":
        """Return the rows of some raters, in their order.

        Raises:
            ValueError: One of them is not there.
        """
        missing = [name for name in raters if name not in self.raters]
        if missing:
            raise InputError(f"a rater must be one of {', '.join(self.raters)}, got {missing[0]!r}")
        return self._replace(raters=tuple(raters), values=self.values[[self.raters.index(name) for name in raters]])

    @property
    def pairable(self) -> "RatingTable":
        """The items that at least two raters rated."""
        kept = np.flatnonzero((~np.isnan(self.values)).sum(0) > 1)
        return RatingTable(self.raters, tuple(self.items[k] for k in kept), self.values[:, kept])


def ratings_of(gold: GoldLabels, field: str = "bad") -> RatingTable:
    """Return the labels of a file as a table of its labellers, the ones that adjudicated too.

    Args:
        gold: The labels.
        field: One of `FIELDS`.
    Raises:
        ValueError: Another field.
    """
    if field not in FIELDS:
        raise InputError(f"what is compared must be one of {', '.join(FIELDS)}, got {field!r}")
    raters = tuple(labeller.name for labeller in gold.labelling.labellers)
    items = tuple(dict.fromkeys((label.category, label.prompt, label.text) for label in gold.labels))
    place = {item: k for k, item in enumerate(items)}
    values = np.full((len(raters), len(items)), np.nan)
    for label in gold.labels:
        for one in label.labels:
            values[raters.index(one.labeller), place[label.category, label.prompt, label.text]] = _number(one, field)
    return RatingTable(raters, items, values)


def joined_ratings(tables: Sequence[RatingTable], names: Sequence[str]) -> RatingTable:
    """Return several tables as one: every rater has a row, every reply a column, found by its text.

    A rater that stands in one table alone keeps its name; one that stands in several gets the table's before it.

    Args:
        tables: One or more.
        names: Of the tables, each once, such as names of files.
    Raises:
        ValueError: No table, or two with replies of which none is in both.
    """
    if not tables or len(names) != len(tables) or len(set(names)) < len(names):
        raise InputError(f"tables must be named, each once, got {len(tables)} tables and names {', '.join(names)}")
    everyone = [rater for table in tables for rater in table.raters]
    items = tuple(dict.fromkeys(item for table in tables for item in table.items))
    place = {item: k for k, item in enumerate(items)}
    seen: set[Hashable] = set(tables[0].items)
    raters, rows = [], []
    for name, table in zip(names, tables, strict=True):
        if not seen & set(table.items):
            raise InputError(f"{name} must label replies that {names[0]} labels, and it has none of them")
        seen |= set(table.items)
        for rater, values in zip(table.raters, table.values, strict=True):
            raters.append(f"{name}:{rater}" if everyone.count(rater) > 1 else rater)
            row = np.full(len(items), np.nan)
            row[[place[item] for item in table.items]] = values
            rows.append(row)
    return RatingTable(tuple(raters), items, np.stack(rows))


def _number(label: Label, field: str) -> float:
    return float({"bad": label.bad, "kind": KINDS.index(label.kind), "rating": label.rating}[field])


def checked_ratings(table: RatingTable) -> None:
    """Refuse a table in which nothing can be compared.

    Raises:
        ValueError: One rater alone, a rating that is infinite, or no reply that two raters rated; says which.
    """
    if len(table.raters) < 2:
        raise InputError(f"agreement needs at least two raters, got {', '.join(table.raters) or 'none'} alone")
    if table.values.shape != (len(table.raters), len(table.items)):
        wanted = f"{len(table.raters)} rows of {len(table.items)} ratings"
        raise InputError(f"a table must have {wanted}, one row per rater, got shape {table.values.shape}")
    if np.isinf(table.values).any():
        raise InputError("a rating must be finite, or NaN where there is none, got an infinite one")
    if not len(table.pairable.items):
        raise InputError(f"no reply was rated by two of the {len(table.raters)} raters, so nothing can be compared")
