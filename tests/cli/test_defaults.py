"""Defaults: what a command does where an option is left out is what its settings' record does where a field is."""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auctionsim.cli import (
    arena,
    auction_deployed,
    auction_losses,
    auction_tilts,
    auctions,
    bidders,
    logs,
    market,
    neurons,
    studies,
    surfaces,
    trust,
    tuning,
)
from auctionsim.cli.options import DEFAULT_METHOD, numbers
from auctionsim.experiments.running.bidders import AuctionSource, Training
from auctionsim.experiments.running.carrier_lists import CarrierRecipe
from auctionsim.experiments.running.frontier import FrontierSettings
from auctionsim.experiments.running.recipes import FanOut, Recipe
from auctionsim.experiments.running.study_surfaces import StudySettings
from auctionsim.experiments.running.tilt_settings import TiltsSettings
from auctionsim.experiments.running.tuning import Cluster
from auctionsim.experiments.studies.arena_carriers import ArenaCarriersSettings
from auctionsim.experiments.studies.arena_run import ArenaRunSettings
from auctionsim.experiments.studies.bidders_corpus import BiddersCorpusSettings
from auctionsim.experiments.studies.bidders_study import BiddersStudySettings
from auctionsim.experiments.studies.compare import CompareSettings
from auctionsim.experiments.studies.crosstalk import CrosstalkSettings
from auctionsim.experiments.studies.crosstalk_regret import CrosstalkRegretSettings
from auctionsim.experiments.studies.demo import DemoSettings
from auctionsim.experiments.studies.deployed import DeployedSettings
from auctionsim.experiments.studies.generalisation import GeneralisationSettings
from auctionsim.experiments.studies.logs_study import LogsStudySettings
from auctionsim.experiments.studies.losses import LossesSettings
from auctionsim.experiments.studies.market_study import MarketStudySettings
from auctionsim.experiments.studies.more_bidders import MoreBiddersSettings
from auctionsim.experiments.studies.neurons_compare import CompareMethodsSettings
from auctionsim.experiments.studies.neurons_frontier import NeuronsFrontierSettings
from auctionsim.experiments.studies.reply_counts import ReplyCountSettings
from auctionsim.experiments.studies.trust_study import TrustStudySettings
from auctionsim.experiments.studies.tune_grid import GridSettings
from auctionsim.experiments.studies.tune_hyperparameters import TuningSettings
from auctionsim.logs import EstimationSettings
from auctionsim.measurement import MeasurementSettings
from auctionsim.neurons.methods import DEFAULT_METHOD as METHOD

COMMANDS: dict[Callable[..., None], tuple[type, ...]] = {
    arena.carriers: (ArenaCarriersSettings, FanOut),
    arena.measure: (CarrierRecipe, FanOut),
    arena.run: (ArenaRunSettings, FanOut),
    auctions.compare: (CompareSettings,),
    auctions.more_bidders: (MoreBiddersSettings,),
    auctions.neurons_frontier: (NeuronsFrontierSettings,),
    auctions.crosstalk_regret: (CrosstalkRegretSettings,),
    auctions.reply_counts: (ReplyCountSettings,),
    auctions.generalisation: (GeneralisationSettings,),
    auction_losses.losses: (LossesSettings,),
    auction_tilts.tilts: (TiltsSettings,),
    auction_deployed.deployed: (DeployedSettings,),
    logs.estimate: (EstimationSettings,),
    logs.study: (LogsStudySettings,),
    market.study: (MarketStudySettings,),
    bidders.train: (Training, AuctionSource),
    bidders.corpus: (BiddersCorpusSettings, FanOut),
    bidders.study: (BiddersStudySettings,),
    neurons.compare: (CompareMethodsSettings, FrontierSettings),
    neurons.crosstalk: (CrosstalkSettings,),
    studies.demo: (DemoSettings,),
    studies.study: (StudySettings, FanOut),
    surfaces.measure: (MeasurementSettings, Recipe, FanOut),
    surfaces.package: (FanOut,),
    trust.study: (TrustStudySettings,),
    tuning.grid: (GridSettings, Cluster),
    tuning.hyperparameters: (TuningSettings, Cluster),
}
ON_PURPOSE = {
    ("AuctionSource", "setting"),  # left out where a mechanism is named
    ("DemoSettings", "loss"),  # kl of a new measurement, quality of a packaged one
    ("StudySettings", "only"),  # none named, or an empty tuple
    ("EstimationSettings", "omitted"),
    ("ArenaRunSettings", "systems"),
    ("ArenaRunSettings", "categories"),
    ("BiddersCorpusSettings", "environments"),
    ("BiddersCorpusSettings", "learners"),
    ("FanOut", "threads"),  # 1 in a worker, the rule's number without workers
    ("CompareMethodsSettings", "amplification"),  # of the replies; the option is the grid's
}


def fields(record: type) -> dict[str, Any]:
    """A record's defaults, by field."""
    if dataclasses.is_dataclass(record):
        named = {field.name: field.default for field in dataclasses.fields(record)}
    else:
        named = dict(getattr(record, "_field_defaults", {}))
    return {name: value for name, value in named.items() if value is not dataclasses.MISSING}


def as_field(value: Any, like: Any) -> Any:
    """What the command makes of an option's text, in the type of the record's field."""
    if like == () and isinstance(value, str):
        return tuple(part for part in value.split(",") if part)
    if isinstance(like, tuple) and isinstance(value, str):
        return numbers(value) if all(isinstance(part, int | float) for part in like) else tuple(value.split(","))
    return value


@pytest.mark.parametrize(
    "command", COMMANDS, ids=lambda command: f"{command.__module__.rpartition('.')[2]}.{command.__name__}"
)
def test_an_option_and_its_field_have_one_default(command: Callable[..., None]) -> None:
    options = {
        name: option.default
        for name, option in inspect.signature(command).parameters.items()
        if option.default is not inspect.Parameter.empty and not isinstance(option.default, Path)
    }
    compared = 0
    for record in COMMANDS[command]:
        for name, default in fields(record).items():
            if name in options and (record.__name__, name) not in ON_PURPOSE:
                assert as_field(options[name], default) == default, (record.__name__, name)
                compared += 1
    assert compared, "nothing was compared"


def test_the_method_is_the_librarys() -> None:
    assert DEFAULT_METHOD == METHOD
