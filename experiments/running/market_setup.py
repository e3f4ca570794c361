"""A market and its actors made from a config: surfaces loaded, rules designed, tables read or generated."""

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.errors import InputError
from auctionsim.experiments.running.designs import Designs
from auctionsim.experiments.running.market_config import SCORES, ActorConfig, MarketConfig, PlacementConfig, RuleConfig
from auctionsim.experiments.running.measured import brand_names, measured_named
from auctionsim.experiments.running.toml_records import record_from
from auctionsim.market import Actors, Controller, Market, Placement, Platform, Users
from auctionsim.market.generator import GeneratedMarket, Outlet, generate
from auctionsim.market.ledger import LedgerShape
from auctionsim.market.platforms import platform_entry
from auctionsim.market.rule_designs import score_priors
from auctionsim.market.table_files import load_campaigns, load_query_types
from auctionsim.market.users import RetainedUsers
from auctionsim.mechanisms import VCG, Mechanism
from auctionsim.mechanisms.table import Problem
from auctionsim.priors import parse_priors
from auctionsim.substrates import MeasuredList, ResponseSurface
from auctionsim.substrates.protocol import contexts_of


class PlacedSurface(NamedTuple):
    """A placement's measurement.

    Attributes:
        view: That sells the placement's feature and reads its losses.
        brands: Of its bidders.
        category: Of the queries that a generator makes for it.
    """

    view: ResponseSurface | MeasuredList
    brands: tuple[str, ...]
    category: str


class MarketSources(NamedTuple):
    """All that a market is made from but its rules, and what a run depends on.

    Attributes:
        surfaces: Of placements, by name.
        tables: Campaigns and query types.
        digests: Of all that was read, by name.
    """

    surfaces: Mapping[str, PlacedSurface]
    tables: GeneratedMarket
    digests: Mapping[str, str]


def placed_surfaces(placements: Mapping[str, PlacementConfig]) -> dict[str, PlacedSurface]:
    """Return the measurements of placements.

    Raises:
        FileNotFoundError, ValueError: There is none of that name, or it has no such feature or loss.
    """
    placed = {}
    for name, one in placements.items():
        measured = measured_named(one.surface)
        category = one.category or str(measured.provenance.get("category") or name)
        try:
            view = measured.sell(one.feature, loss=one.loss)
        except ValueError as error:
            raise InputError(f"placement {name!r}: {error}") from error
        placed[name] = PlacedSurface(view, brand_names(measured), category)
    return placed


def surface_outlets(placed: Mapping[str, PlacedSurface]) -> tuple[Outlet, ...]:
    """Return the outlets of measurements, before any rule is designed."""
    return tuple(Outlet(one.category, name, one.brands, tuple(contexts_of(one.view))) for name, one in placed.items())


def market_sources(config: MarketConfig, folder: Path) -> MarketSources:
    """Load surfaces, and read or generate the tables.

    Args:
        config: Which.
        folder: From which the names of tables count.
    Raises:
        FileNotFoundError, ValueError: A file is missing or refused; names it.
    """
    placed = placed_surfaces(config.placements)
    digests = {f"surface {name}": one.view.digest for name, one in placed.items()}
    if config.tables is None:
        return MarketSources(placed, generate(config.generator, surface_outlets(placed)), digests)
    campaigns, queries = folder / config.tables.campaigns, folder / config.tables.query_types
    tables = GeneratedMarket(load_campaigns(campaigns), load_query_types(queries))
    for name, table in zip(("campaigns", "query types"), tables, strict=True):
        digests[name] = hashlib.sha256(repr(_plain_columns(table)).encode()).hexdigest()[:16]
    return MarketSources(placed, tables, digests)


def _plain_columns(table: Any) -> dict[str, Any]:
    columns = {name: getattr(table, name) for name in table.__dataclass_fields__}
    return {name: column if isinstance(column, tuple) else column.tolist() for name, column in columns.items()}


def market_from(config: MarketConfig, sources: MarketSources, designs: Designs) -> Market:
    """Return the market of a config.

    Args:
        config: Rules and settings.
        sources: Surfaces and tables.
        designs: Makes the rules' mechanisms.
    Raises:
        ValueError: A mechanism that cannot be designed on a placement, or tables that do not fit the placements.
    """
    used = dict.fromkeys(sources.tables.query_types.placement)
    unknown = sorted(set(used) - set(sources.surfaces))
    if unknown:
        raise InputError(f"query types are sold on {unknown[0]!r}; the placements are {', '.join(sources.surfaces)}")
    bare = {name: _placement(name, sources.surfaces[name], {"vcg": VCG(sources.surfaces[name].view)}) for name in used}
    market = Market(
        sources.tables.campaigns,
        sources.tables.query_types,
        bare,
        config.seed,
        config.signals,
        config.ticks,
        config.entry_price,
    )
    placements = {}
    for name in used:
        rules = {rule: _mechanism(one, market, name, designs) for rule, one in config.rules.items()}
        placements[name] = _placement(name, sources.surfaces[name], rules)
    return replace(market, placements=placements)


def _placement(name: str, placed: PlacedSurface, rules: Mapping[str, Mechanism]) -> Placement:
    return Placement(name, placed.brands, placed.view, rules)


def _mechanism(rule: RuleConfig, market: Market, placement: str, designs: Designs) -> Mechanism:
    """Return a rule as it is designed on one of a market's placements."""
    view = market.placements[placement].view
    priors = score_priors(market, placement) if rule.prior == SCORES else parse_priors(rule.prior)
    if rule.reserve:
        return rule.design.designed(view, priors, seed=rule.seed, quick=rule.quick)
    return designs.of(rule.mechanism, Problem(view, priors, rule.user_weight, rule.seed, rule.quick, dict(rule.knobs)))


def ledger_shape(market: Market) -> LedgerShape:
    """Return the axes of a market's ledger."""
    return LedgerShape(market.ticks_per_day, market.campaigns.name, market.categories, market.losses)


def actors_from(config: MarketConfig, names: tuple[str, ...]) -> Actors:
    """Return the actors of a config.

    Args:
        config: Which.
        names: Controllers that campaigns name: of the config, or kinds with their usual settings.
    Raises:
        ValueError: A kind that there is not, or a setting that it has not or refuses.
    """
    for name in config.controllers.keys() - set(names):
        _controller(name, config.controllers[name])  # refuses what would be wrong once a campaign names it
    controllers = {name: _controller(name, config.controllers.get(name)) for name in sorted(set(names))}
    return Actors(controllers, _users(config), _platform(config.platform))


def _controller(name: str, one: ActorConfig | None) -> Controller:
    from auctionsim.agents.pacing import controllers

    kinds = controllers()
    kind = name if one is None else one.kind
    if kind not in kinds:
        asked = f"controller {name!r:.60} has the unknown kind {kind!r:.60}"
        if one is None:
            asked = f"a campaign names the controller {kind!r:.60}, which is neither of the config nor a kind"
        raise InputError(f"{asked}; kinds: {', '.join(kinds)}; --controller FILE adds those of a file")
    settings = {} if one is None else one.settings
    named = {"name": name} if "name" in inspect.signature(kinds[kind]).parameters else {}
    made: Controller = _record(kinds[kind], settings, f"controller {name!r}", named)
    return made


def _users(config: MarketConfig) -> Users | None:
    return None if config.users is None else _record(RetainedUsers, config.users, "users", {})


def _platform(one: ActorConfig | None) -> Platform | None:
    if one is None:
        return None
    made: Platform = _record(platform_entry(one.kind).kind, one.settings, "platform", {})
    return made


def _record(kind: Any, settings: Mapping[str, Any], where: str, given: Mapping[str, Any]) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        return record_from(kind, settings, where, given)
    if settings:
        raise InputError(f"{where}: {kind.__name__} takes no settings, got {next(iter(settings))!r}")
    return kind()
