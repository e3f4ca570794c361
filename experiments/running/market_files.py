"""A generated market in a folder: its two tables, and a config that runs them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from auctionsim.experiments.running.market_config import RULES, PlacementConfig
from auctionsim.experiments.running.market_setup import placed_surfaces, surface_outlets
from auctionsim.files import write_text
from auctionsim.market.generator import GeneratedMarket, GeneratorSettings, generate
from auctionsim.market.table_files import save_campaigns, save_query_types

CAMPAIGNS, QUERY_TYPES, CONFIG = "campaigns.parquet", "query_types.parquet", "market.toml"


def write_market(
    settings: GeneratorSettings, placements: Mapping[str, PlacementConfig], folder: Path
) -> GeneratedMarket:
    """Generate a market for placements, and write its tables and last of all its config.

    Raises:
        FileNotFoundError, ValueError: A surface that there is not, or that lacks the feature or the loss.
    """
    made = generate(settings, surface_outlets(placed_surfaces(placements)))
    save_campaigns(folder / CAMPAIGNS, made.campaigns)
    save_query_types(folder / QUERY_TYPES, made.query_types)
    write_text(folder / CONFIG, config_text(settings, placements))
    return made


def config_text(settings: GeneratorSettings, placements: Mapping[str, PlacementConfig]) -> str:
    """Return a config that runs a generated market, every key of it to be changed by hand."""
    rules = {f"rules.{_key(name)}": asdict(one) for name, one in RULES.items()}
    tables = {
        "tables": {"campaigns": CAMPAIGNS, "query_types": QUERY_TYPES},
        **{f"placements.{_key(name)}": asdict(one) for name, one in placements.items()},
        **{name: {key: one for key, one in rule.items() if key != "knobs"} for name, rule in rules.items()},
    }
    top = {"days": max(1, int(settings.days)), "mode": "expected", "ticks": 24, "seed": settings.seed}
    lines = [f"{key} = {_value(one)}" for key, one in top.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(one)}" for key, one in table.items() if one != "")]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else _value(name)


def _value(value: object) -> str:
    """Return a text, a number or a truth value as TOML has it: JSON's writing of them is TOML's, too."""
    return json.dumps(value, ensure_ascii=False)
