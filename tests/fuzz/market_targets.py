"""The fuzz of a market's files: tables of campaigns and query types, configs, days of a ledger."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bending import TEXTS, bent, bent_bytes, value

from auctionsim.experiments.running.market_config import read_config
from auctionsim.experiments.running.market_setup import actors_from
from auctionsim.market import DayNews, MarketState
from auctionsim.market.generator import GeneratorSettings, Outlet, generate
from auctionsim.market.ledger import CAMPAIGN_COLUMNS, CATEGORY_COLUMNS, DayLedger, LedgerShape, read_day, write_day
from auctionsim.market.table_files import load_campaigns, load_query_types, save_campaigns, save_query_types

MADE = generate(GeneratorSettings(query_types=4, campaigns=5), [Outlet("shoes", "here", ("a", "b"), ("request",))])
CONFIG: dict[str, Any] = {
    "days": 2,
    "mode": "expected",
    "ticks": 4,
    "generator": {"campaigns": 4, "values": ["uniform:0,1"], "budget": 0.5},
    "placements": {"shoes": {"surface": "running-shoes-2@3", "category": "shoes"}},
    "rules": {"vcg": {"mechanism": "vcg", "user_weight": 0.1, "reserve": 0.2, "knobs": {}}},
    "controllers": {"mine": {"kind": "adaptive", "step": 0.1}},
    "users": {"types": [{"name": "all", "loss_sensitivity": 0.1, "ad_sensitivity": 0.0}]},
    "platform": {"kind": "fixed", "rule": "vcg"},
}
SHAPE = LedgerShape(2, ("x", "y"), ("c",), ("kl",))


def table_target(
    folder: Path, name: str, save: Callable[[Path], None], load: Callable[[Path], Any]
) -> Callable[[random.Random], Any]:
    """Return what bends a table's cells, columns or bytes."""
    path = folder / f"{name}.parquet"

    def attempt(draw: random.Random) -> Any:
        save(path)
        frame = pd.read_parquet(path)
        chosen = draw.choice([*frame.columns])
        match draw.randrange(5):
            case 0 | 1:
                column = frame[chosen].tolist()
                other = value(draw)
                column[draw.randrange(len(column))] = other if isinstance(other, (str, float, int, bool)) else None
                frame = frame.assign(**{chosen: pd.Series(column, dtype=object)})
            case 2:
                frame = frame.drop(columns=chosen)
            case 3:
                frame = frame.rename(columns={chosen: draw.choice(TEXTS[:3])})
            case _:
                path.write_bytes(bent_bytes(path.read_bytes(), draw))
                return load(path)
        try:
            frame.to_parquet(path)
        except Exception:  # noqa: BLE001  # pyarrow cannot write it
            path.write_bytes(b"PAR1")
        return load(path)

    return attempt


def campaigns(folder: Path) -> Callable[[random.Random], Any]:
    """Return what bends a table of campaigns."""
    return table_target(folder, "campaigns", lambda path: save_campaigns(path, MADE.campaigns), load_campaigns)


def query_types(folder: Path) -> Callable[[random.Random], Any]:
    """Return what bends a table of query types."""
    return table_target(folder, "query_types", lambda path: save_query_types(path, MADE.query_types), load_query_types)


def toml(table: dict[str, Any]) -> str:
    """Return a table as TOML, where it has a form in it: its tables inline."""
    lines = [f"{json.dumps(str(name))} = {_inline(one)}" for name, one in table.items()]
    return "\n".join(lines)


def _inline(one: Any) -> str:
    if isinstance(one, dict):
        return "{" + ", ".join(f"{json.dumps(str(name))} = {_inline(part)}" for name, part in one.items()) + "}"
    if isinstance(one, (list, tuple)):
        return "[" + ", ".join(map(_inline, one)) + "]"
    return json.dumps(one).replace("NaN", "nan").replace("Infinity", "inf")


def config(folder: Path) -> Callable[[random.Random], Any]:
    """Return what bends a config, and makes the actors of what is still one."""
    path = folder / "market.toml"

    def attempt(draw: random.Random) -> Any:
        changed = bent(CONFIG, draw)
        data = toml(changed if isinstance(changed, dict) else CONFIG).encode("utf-8", "replace")
        path.write_bytes(bent_bytes(data, draw) if draw.random() < 0.1 else data)
        file = read_config(path)
        return actors_from(file.config, ("mine", "none"))

    return attempt


def write_small_day(path: Path) -> None:
    """Write a day of two ticks, two campaigns and a category."""
    columns: dict[str, Any] = {name: np.full((2, 2), 0.5) for name in CAMPAIGN_COLUMNS}
    columns["present"] = np.ones((2, 2), dtype=bool)
    categories = {name: np.ones((2, 1)) for name in (*CATEGORY_COLUMNS, "loss_kl")}
    news = DayNews(0, "vcg", 2.0, 2.0, {"kl": 1.0}, 1.0, 1.0, 1.0)
    state = MarketState(1, {"none": {"dual": np.zeros(2)}}, {"users": np.ones(1)}, {})
    write_day(path, DayLedger(news, columns, categories, state), SHAPE, "plan")


def read_small_day(path: Path) -> DayLedger:
    """Read the day."""
    return read_day(path, SHAPE, "plan")
