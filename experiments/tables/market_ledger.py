"""The ledger of a market run as tables: parquet files with a row per tick and campaign, and per tick and category.

They are written a day at a time, so that no run is too long for memory; texts are dictionaries, numbers float64.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from auctionsim.experiments.running.market_days import KeptMarketRun
from auctionsim.files import replacing
from auctionsim.market.ledger import CAMPAIGN_COLUMNS, CATEGORY_COLUMNS, DayLedger

LEDGER, CATEGORIES = "ledger.parquet", "categories.parquet"
"""Files of a row per tick and campaign, and of a row per tick and category."""


def write_ledger(run: KeptMarketRun, folder: Path) -> tuple[str, ...]:
    """Write both tables of a run; return the names of their files.

    Args:
        run: Its days are read one at a time.
        folder: Of the run.
    """
    rules = tuple(run.market.rules)
    with _table(folder / LEDGER) as campaigns, _table(folder / CATEGORIES) as categories:
        for ledger in run.days():
            campaigns(_campaign_rows(ledger, run.files.shape.campaigns, rules))
            categories(_category_rows(ledger, run.files.shape.categories, run.files.shape.losses, rules))
    return LEDGER, CATEGORIES


@contextmanager
def _table(path: Path) -> Iterator[Any]:
    """Give a function that adds columns to a parquet file, which is whole once the block has succeeded."""
    import pyarrow as pa
    from pyarrow import parquet

    writers: list[Any] = []

    def add(columns: Mapping[str, Any]) -> None:
        batch = pa.table(dict(columns))
        if not writers:
            writers.append(parquet.ParquetWriter(draft, batch.schema, compression="snappy"))
        writers[0].write_table(batch)

    with replacing(path) as draft:
        try:
            yield add
        finally:
            for writer in writers:
                writer.close()


def _campaign_rows(ledger: DayLedger, names: Sequence[str], rules: Sequence[str]) -> dict[str, Any]:
    ticks = len(ledger.campaigns["spend"])
    columns = {name: ledger.campaigns[name].ravel() for name in CAMPAIGN_COLUMNS}
    return {**_when(ledger, rules, ticks, len(names)), "campaign": _repeated(names, ticks), **columns}


def _category_rows(
    ledger: DayLedger, names: Sequence[str], losses: Sequence[str], rules: Sequence[str]
) -> dict[str, Any]:
    ticks = len(ledger.categories["paid"])
    columns: dict[str, Any] = {name: ledger.categories[name].ravel() for name in CATEGORY_COLUMNS}
    columns["splits"] = columns["splits"].astype(np.int64)
    columns |= {f"loss_{name}": ledger.categories[f"loss_{name}"].ravel() for name in losses}
    traffic = np.full(ticks * len(names), ledger.news.traffic)
    when = _when(ledger, rules, ticks, len(names))
    return {**when, "category": _repeated(names, ticks), "traffic": traffic, **columns}


def _when(ledger: DayLedger, rules: Sequence[str], ticks: int, width: int) -> dict[str, Any]:
    """Return the columns that say when a row was, and by which rule answers were sold."""
    import pyarrow as pa

    rows = ticks * width
    rule = np.full(rows, rules.index(ledger.news.rule), dtype=np.int32)
    return {
        "day": np.full(rows, ledger.news.day, dtype=np.int32),
        "tick": np.repeat(np.arange(ticks, dtype=np.int32), width),
        "rule": pa.DictionaryArray.from_arrays(pa.array(rule), pa.array(list(rules))),
    }


def _repeated(names: Sequence[str], ticks: int) -> Any:
    import pyarrow as pa

    places = np.tile(np.arange(len(names), dtype=np.int32), ticks)
    return pa.DictionaryArray.from_arrays(pa.array(places), pa.array(list(names)))
