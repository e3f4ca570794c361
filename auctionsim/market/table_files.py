"""Campaigns and query types in files: a parquet or CSV table each, one row a campaign or a query type.

The columns of campaigns are `name`, `category`, `brand`, `value` and, where they are left out or a cell is empty, their
usual values: `budget` and `exit` infinite, `target` and `arrival` 0, `relevance` 1, `controller` "none". Those of query
types are `name`, `category`, `placement`, `arrivals` and, likewise, `context` "", `relevance` 1 and the weights of the
day, `hour_0` … `hour_23`, all or none of them: 1 each, or scaled to mean 1.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auctionsim.errors import InputError
from auctionsim.files import replacing
from auctionsim.market.campaigns import Campaigns
from auctionsim.market.query_types import HOURS, QueryTypes
from auctionsim.records import shown
from auctionsim.tables import read_csv, read_parquet


class TableColumn(NamedTuple):
    """One column of a table in a file.

    Attributes:
        text: Whether it holds text; else numbers.
        usual: What an empty cell stands for; None: it must be there.
    """

    text: bool
    usual: str | float | None = None


CAMPAIGN_COLUMNS: Mapping[str, TableColumn] = {
    "name": TableColumn(text=True),
    "category": TableColumn(text=True),
    "brand": TableColumn(text=True),
    "budget": TableColumn(text=False, usual=math.inf),
    "target": TableColumn(text=False, usual=0.0),
    "value": TableColumn(text=True),
    "relevance": TableColumn(text=False, usual=1.0),
    "arrival": TableColumn(text=False, usual=0.0),
    "exit": TableColumn(text=False, usual=math.inf),
    "controller": TableColumn(text=True, usual="none"),
}
"""The columns of campaigns, as `Campaigns` explains them."""
MOST_WEIGHT = 1e300
"""Of an hour."""
HOUR_COLUMNS = tuple(f"hour_{hour}" for hour in range(HOURS))
QUERY_COLUMNS: Mapping[str, TableColumn] = {
    "name": TableColumn(text=True),
    "category": TableColumn(text=True),
    "placement": TableColumn(text=True),
    "context": TableColumn(text=True, usual=""),
    "relevance": TableColumn(text=False, usual=1.0),
    "arrivals": TableColumn(text=False),
    **{name: TableColumn(text=False, usual=1.0) for name in HOUR_COLUMNS},
}
"""The columns of query types, as `QueryTypes` explains them."""


def load_campaigns(path: str | os.PathLike[str]) -> Campaigns:
    """Read campaigns from a .parquet or .csv file.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, too large, or has an unknown or a missing column or a cell that does not fit; names
            the file.
    """
    columns = _columns(path, CAMPAIGN_COLUMNS)
    try:
        return Campaigns(**columns)
    except (ValueError, TypeError) as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error


def load_query_types(path: str | os.PathLike[str]) -> QueryTypes:
    """Read query types from a .parquet or .csv file.

    Raises:
        FileNotFoundError: There is none.
        ValueError: As `load_campaigns` has it; or weights of hours that are not finite and >= 0, or all 0.
    """
    columns = _columns(path, QUERY_COLUMNS)
    hours = np.array([columns.pop(name) for name in HOUR_COLUMNS], dtype=np.float64).T
    try:
        if not ((hours >= 0) & (hours <= MOST_WEIGHT)).all() or not (hours.max(1, initial=0.0) > 0).all():
            raise InputError(f"hour_0 to hour_23 must be numbers >= 0 and <= {MOST_WEIGHT:g}, and not all 0")
        means = hours.mean(1, keepdims=True)
        near = np.abs(means - 1) <= 1e-9
        return QueryTypes(**columns, hours=np.where(near, hours, hours / means))
    except (ValueError, TypeError) as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error


def save_campaigns(path: Path, campaigns: Campaigns) -> None:
    """Write campaigns as parquet, whole or not at all."""
    _write(path, {name: getattr(campaigns, name) for name in CAMPAIGN_COLUMNS})


def save_query_types(path: Path, query_types: QueryTypes) -> None:
    """Write query types as parquet, whole or not at all."""
    plain = {name: getattr(query_types, name) for name in QUERY_COLUMNS if name not in HOUR_COLUMNS}
    _write(path, {**plain, **dict(zip(HOUR_COLUMNS, query_types.hours.T, strict=True))})


def _write(path: Path, columns: Mapping[str, Any]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    with replacing(path) as draft:
        parquet.write_table(table, draft, compression="snappy")


def _columns(path: str | os.PathLike[str], wanted: Mapping[str, TableColumn]) -> dict[str, Any]:
    """Return a file's columns, each of its kind, empty cells filled."""
    where = os.fspath(path)
    if where.endswith(".csv"):
        rows = read_csv(path)
        there = {name: [row[name] or None for row in rows] for name in (rows[0] if rows else ())}
    elif where.endswith(".parquet"):
        table = read_parquet(path)
        there = {name: [row[k] for row in table.rows] for k, name in enumerate(table.columns)}
    else:
        raise InputError(f"{where}: the name of a table ends in .parquet or .csv")
    other = sorted(set(there) - set(wanted))
    if other:
        raise InputError(f"{where}: has a column {shown(other[0])}, which is not one of {', '.join(wanted)}")
    count = max(map(len, there.values()), default=0)
    return {
        name: _filled(f"{where}: {name}", column, there.get(name, [None] * count)) for name, column in wanted.items()
    }


def _filled(where: str, column: TableColumn, cells: Sequence[Any]) -> tuple[str, ...] | NDArray[np.float64]:
    filled = [column.usual if _is_empty(cell) else cell for cell in cells]
    if any(cell is None for cell in filled):
        raise InputError(f"{where} must be given in every row, row {filled.index(None)} has none")
    if column.text:
        return tuple(_text(where, cell) for cell in filled)
    return np.array([_number(where, cell) for cell in filled], dtype=np.float64)


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _text(where: str, cell: Any) -> str:
    if not isinstance(cell, str):
        raise InputError(f"{where} must be text, got {shown(cell)}")
    return cell


def _number(where: str, cell: Any) -> float:
    try:
        if isinstance(cell, bool):
            raise InputError("no number")
        return float(cell)
    except (ValueError, OverflowError):
        raise InputError(f"{where} must be a number, got {shown(cell)}") from None
