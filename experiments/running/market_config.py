"""The config of a market run: one TOML file that says what is sold where and by which rule, who bids, and how long.

days = 7
mode = "expected"                 # or "sampled"
[generator]                       # or [tables] with campaigns = "…" and query_types = "…"
campaigns = 64
[placements.shoes]
surface = "running-shoes-2@3"
[rules.vcg]                       # the first is the usual one; a platform may choose among several
mechanism = "vcg"
user_weight = 0.02
[controllers.careful]             # campaigns may name it, or a kind directly
kind = "adaptive"
[users]
types = [{ name = "all", loss_sensitivity = 0.001, ad_sensitivity = 0.0 }]
[platform]
kind = "…"
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.experiments.running.toml_records import read_toml, record_from
from auctionsim.market.generator import GeneratorSettings
from auctionsim.market.rule_designs import RuleDesign
from auctionsim.mechanisms.table import entry
from auctionsim.priors import parse_priors
from auctionsim.records import Record
from auctionsim.seeds import checked_seed

SCORES = "scores"
"""The prior of a rule that is designed for the market's own campaigns."""
MODES = ("expected", "sampled")
DAYS = 7
"""How many days are simulated unless the config or the command says otherwise."""


@dataclass(frozen=True)
class PlacementConfig:
    """One placement of a config.

    Attributes:
        surface: Packaged name of a surface or a list, or a .safetensors file.
        feature: What is sold.
        loss: Which user loss rules charge, as `Offer` reads it.
        category: Of the queries that a generator makes for it; "": the surface's.
    """

    surface: str
    feature: str = "mention_probability"
    loss: str = "reply_kl"
    category: str = ""


@dataclass(frozen=True)
class RuleConfig:
    """One rule of a config: a mechanism that is designed on every placement.

    Attributes:
        mechanism: Its name in the table of mechanisms.
        user_weight: λ, money per unit of the placement's loss.
        reserve: Money per unit of exposure that a score must exceed, as `RuleDesign` has it; 0: none.
        prior: Of scores (bid · relevance), for mechanisms that are designed for a prior; "scores": what each brand's
            score is drawn from if campaigns bid truthfully.
        quick: Whether a learned mechanism is trained by the quick recipe.
        knobs: Values of some of the mechanism's knobs, by name.
        seed: Of what is learned.
    """

    mechanism: str
    user_weight: float = 0.02
    reserve: float = 0.0
    prior: str = "uniform:0,1"
    quick: bool = True
    knobs: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        entry(self.mechanism)
        checked_seed(self.seed)
        if self.prior != SCORES:
            parse_priors(self.prior)
        _ = self.design  # refuses a user weight or a reserve that does not fit

    @property
    def design(self) -> RuleDesign:
        """What the rule is designed from."""
        return RuleDesign(self.mechanism, self.user_weight, self.reserve, dict(self.knobs))


@dataclass(frozen=True)
class TablesConfig:
    """The user's own tables, as `auctionsim.market.table_files` reads them.

    Attributes:
        campaigns: A .parquet or .csv file, from the config's folder.
        query_types: Likewise.
    """

    campaigns: str
    query_types: str


@dataclass(frozen=True)
class ActorConfig:
    """A controller or a platform of a config: its kind, and numbers of it.

    Attributes:
        kind: By which it is registered.
        settings: Values of its class's fields.
    """

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)


PLACEMENTS: Mapping[str, PlacementConfig] = MappingProxyType(
    {
        "running shoes": PlacementConfig("running-shoes-2@3"),
        "smartphones": PlacementConfig("smartphones-2@1"),
        "charities": PlacementConfig("charities-3-subsets@2"),
        "coffee": PlacementConfig("coffee-3-subsets@2"),
    }
)
"""The placements of a config that names none: packaged measurements that have the loss `reply_kl`."""
RULES: Mapping[str, RuleConfig] = MappingProxyType({"vcg": RuleConfig("vcg")})
"""The rule of a config that names none."""


@dataclass(frozen=True)
class MarketConfig:
    """All that decides the numbers of a market run but its length.

    Attributes:
        generator: Makes campaigns and query types, unless there are tables.
        tables: Files with them; None: they are generated.
        placements: What answers sell, by name.
        rules: How they are sold, by name; the first is the usual one.
        controllers: Controllers with settings of one's own, by the name that campaigns use.
        users: Fields of `RetainedUsers`; None: as many users every day.
        platform: Chooses the rule of each day; None: the first rule.
        mode: "expected" clears mean arrivals, "sampled" draws them.
        signals: Profiles of valuations per query type.
        ticks: Per day.
        entry_price: Whether a place on the shortlist has a price.
        seed: Of valuations, and of all that is drawn tick by tick.
    """

    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    tables: TablesConfig | None = None
    placements: Mapping[str, PlacementConfig] = field(default_factory=lambda: dict(PLACEMENTS))
    rules: Mapping[str, RuleConfig] = field(default_factory=lambda: dict(RULES))
    controllers: Mapping[str, ActorConfig] = field(default_factory=dict)
    users: Mapping[str, Any] | None = None
    platform: ActorConfig | None = None
    mode: str = "expected"
    signals: int = 1
    ticks: int = 24
    entry_price: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r:.60}")
        for name in ("placements", "rules"):
            if not getattr(self, name) or "" in getattr(self, name):
                raise InputError(f"{name} must be one or more, each with a name")
        checked_count(self.signals, "signals")
        checked_count(self.ticks, "ticks")
        checked_seed(self.seed)


class MarketFile(NamedTuple):
    """What a config file says.

    Attributes:
        config: All that decides numbers.
        days: How many are simulated.
        folder: From which the names of tables count.
    """

    config: MarketConfig
    days: int
    folder: Path


def read_config(path: str | os.PathLike[str]) -> MarketFile:
    """Read a config.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no TOML, has an unknown key, or a value that is refused; names the file and the key.
    """
    table = read_toml(path)
    where = os.fspath(path)
    Record(table, f"{where}:").only("days", *(one.name for one in fields(MarketConfig)))
    days = Record({"days": table.pop("days", DAYS)}, f"{where}:").whole("days", 1)
    if "generator" in table and "tables" in table:
        raise InputError(f"{where}: campaigns come from a [generator] or from [tables], got both")
    given: dict[str, Any] = {}
    if "controllers" in table:
        given["controllers"] = _actors(table.pop("controllers"), f"{where}: controllers")
    if "platform" in table:
        given["platform"] = _actor(table.pop("platform"), f"{where}: platform")
    if "users" in table:
        given["users"] = _table(table.pop("users"), f"{where}: users")
    return MarketFile(record_from(MarketConfig, table, where, given), days, Path(path).parent)


def with_mode(config: MarketConfig, mode: str) -> MarketConfig:
    """Return the config in another mode."""
    return replace(config, mode=mode)


def _actors(value: object, where: str) -> dict[str, ActorConfig]:
    return {name: _actor(part, f"{where}, {name}") for name, part in _table(value, where).items()}


def _actor(value: object, where: str) -> ActorConfig:
    settings = _table(value, where)
    kind = settings.pop("kind", None)
    if not isinstance(kind, str):
        raise InputError(f"{where} must have a kind, a text, got {kind!r:.60}")
    return ActorConfig(kind, settings)


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where} must be a table, got {value!r:.60}")
    return dict(value)
