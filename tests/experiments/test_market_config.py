"""Configs of markets: what is there is read, what is unknown or does not fit is refused by name, in one sentence."""

from pathlib import Path

import pytest

from auctionsim.experiments.running.designs import UNKEPT
from auctionsim.experiments.running.market_config import MarketConfig, RuleConfig, read_config
from auctionsim.experiments.running.market_files import write_market
from auctionsim.experiments.running.market_setup import actors_from, market_from, market_sources
from auctionsim.market.generator import GeneratorSettings

WHOLE = """
days = 3
mode = "sampled"
signals = 2
ticks = 12
entry_price = true
seed = 5
[generator]
campaigns = 8
query_types = 6
controllers = ["careful", "none"]
[placements.shoes]
surface = "running-shoes-2@3"
category = "things to run in"
[rules.cheap]
mechanism = "vcg"
[rules.dear]
mechanism = "vcg"
user_weight = 1
[controllers.careful]
kind = "adaptive"
step = 1
[users]
types = [{ name = "all", loss_sensitivity = 0.1, ad_sensitivity = 0.0 }]
"""


def written(text: str, folder: Path) -> Path:
    path = folder / "market.toml"
    path.write_text(text)
    return path


def test_a_whole_config_is_read_and_made(tmp_path: Path) -> None:
    file = read_config(written(WHOLE, tmp_path))
    assert (file.days, file.folder) == (3, tmp_path)
    config = file.config
    assert (config.mode, config.signals, config.ticks, config.entry_price, config.seed) == ("sampled", 2, 12, True, 5)
    assert config.rules["dear"] == RuleConfig("vcg", user_weight=1.0)
    sources = market_sources(config, file.folder)
    market = market_from(config, sources, UNKEPT)
    assert market.rules == ("cheap", "dear")
    assert market.categories == ("things to run in",)
    assert (len(market.campaigns), len(market.query_types)) == (8, 6)
    actors = actors_from(config, market.campaigns.controller)
    assert (actors.controllers["careful"].name, actors.controllers["careful"].step) == ("careful", 1.0)
    assert actors.users is not None
    assert actors.platform is None


def test_an_empty_config_is_the_usual_one(tmp_path: Path) -> None:
    file = read_config(written("", tmp_path))
    assert (file.config, file.days) == (MarketConfig(), 7)
    assert len(file.config.placements) == 4


def test_a_generated_market_has_a_config_that_runs_it(tmp_path: Path) -> None:
    placements = {"sho.es": MarketConfig().placements["running shoes"]}
    made = write_market(GeneratorSettings(query_types=4, campaigns=5, days=3.0), placements, tmp_path)
    file = read_config(tmp_path / "market.toml")
    assert file.days == 3
    sources = market_sources(file.config, file.folder)
    assert repr(sources.tables) == repr(made)
    assert set(sources.digests) == {"surface sho.es", "campaigns", "query types"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 1", r"has a field 'colour', which is not one of days, generator, tables"),
        ("[generator]\ncampains = 3", r"generator has a field 'campains', which is not one of query_types"),
        ("[placements.a]\nsurface = 'x@1'\nfeatures = 'y'", "placements, a has a field 'features'"),
        ("[rules.r]\nmechanism = 'vcg'\nreserv = 1", "rules, r has a field 'reserv'"),
        ("[rules.r]\nmechanism = 'nosuch'", "rules, r: mechanism must be one of"),
        ("[rules.r]\nuser_weight = 1", "rules, r lacks 'mechanism'"),
        ("[rules.r]\nmechanism = 'vcg'\nuser_weight = -1", "user_weight"),
        ("[rules.r]\nmechanism = 'vcg'\nuser_weight = 'x'", "user_weight must be a number, got 'x'"),
        ("[rules.r]\nmechanism = 'vcg'\nknobs = {a = 'x'}", "a must be a number, got 'x'"),
        ("rules = 3", "rules must be an object"),
        ("[rules]", "rules must be one or more"),
        ("mode = 'both'", "mode must be one of expected, sampled, got 'both'"),
        ("ticks = 0", "ticks must be"),
        ("signals = 1.5", "signals must be a whole number"),
        ("entry_price = 1", "entry_price must be true or false"),
        ("days = 0", "days must be"),
        ("days = 'long'", "days"),
        ("[generator]\n[tables]\ncampaigns='c.csv'\nquery_types='q.csv'", "got both"),
        ("[tables]\ncampaigns='c.csv'", "tables lacks 'query_types'"),
        ("[generator]\nvalues = 'uniform:0,1'", "values must be a list, got 'uniform:0,1'"),
        ("[generator]\nvalues = [1]", r"values\[0\] must be a text, got 1"),
        ("[generator]\narrivals = nan", "arrivals must be a finite number"),
        ("[controllers.c]\nstep = 1", "controllers, c must have a kind"),
        ("platform = 'x'", "platform must be a table, got 'x'"),
        ("users = 3", "users must be a table"),
        ("a = [", "is not TOML"),
        ("seed = -1", "seed"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"market\.toml.*{message}") as refused:
        read_config(written(text, tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[controllers.none]\nkind = 'nosuch'", "controller 'none' has the unknown kind 'nosuch'; kinds: "),
        ("[controllers.unused]\nkind = 'pid'\nstop = 1", "controller 'unused' has a field 'stop'"),
        ("[controllers.none]\nkind = 'adaptive'\nstop = 1", "controller 'none' has a field 'stop'"),
        ("[controllers.none]\nkind = 'adaptive'\nstep = -1", "controller 'none': step must be"),
        ("[users]\ntypes = []", "users: there must be a type of users"),
        ("[users]\ntypes = [{name = 'a'}]", r"users, types\[0\] lacks 'loss_sensitivity'"),
        ("[users]\nshyness = 3", "users has a field 'shyness'"),
        ("[users]\nkind = 'all'", "users has a field 'kind'"),
    ],
)
def test_actors_that_there_are_not_are_refused_by_name(text: str, message: str, tmp_path: Path) -> None:
    config = read_config(written(text, tmp_path)).config
    with pytest.raises(ValueError, match=message):
        actors_from(config, ("none",))


def test_a_surface_or_a_loss_that_there_is_not_is_refused(tmp_path: Path) -> None:
    for text in ("surface = 'nosuch@1'", "surface = 'running-shoes-2@3'\nloss = 'boredom'"):
        file = read_config(written(f"[placements.a]\n{text}", tmp_path))
        with pytest.raises((ValueError, FileNotFoundError), match=r"nosuch@1|placement 'a': .*boredom"):
            market_sources(file.config, file.folder)


def test_a_controller_that_campaigns_name_and_nobody_offers_is_refused() -> None:
    with pytest.raises(ValueError, match="a campaign names the controller 'nosuch', which is neither"):
        actors_from(MarketConfig(), ("none", "nosuch"))
