"""What the kill tests kill: a measurement, a second pass, studies, the demo, a market, a training: on fakes."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: F401 - imported once, before the forks
import pyarrow.parquet  # noqa: F401
import torch
import torch._dynamo  # optimizers import it
from measurement_fakes import SETTINGS, fake_model
from rich.console import Console
from tiny_designs import tiny_entries

from auctionsim.brands import parse_brands
from auctionsim.files import write_text
from auctionsim.prompts import build_prompts

Case = Callable[[Path], object]
SMALL = replace(SETTINGS, samples=2, max_new_tokens=3, rows=64, num_neurons=(0.0, 8.0))


def _prompts(folder: Path) -> Path:
    """Write eight prompts of one context, once, beside the run folder."""
    whole = build_prompts("running shoes")
    path = folder.parent / "prompts.json"
    if not path.exists():
        path.write_text(json.dumps({whole.contexts[0]: whole.prompts[0][:8]}))
    return path


def _console() -> Console:
    return Console(file=io.StringIO())


def measure() -> Case:
    """A grid for two brands."""
    from auctionsim.experiments.running.recipes import FanOut, Recipe, carry_out

    model = fake_model()

    def case(folder: Path) -> None:
        recipe = Recipe("or,the", settings=SMALL, prompts_file=_prompts(folder), method="attribution")
        carry_out(recipe, folder, _console(), FanOut(), model=model)

    return case


def read() -> Case:
    """A second pass over stored replies, and the side file of what it gave."""
    from tempfile import TemporaryDirectory

    from measurement_fakes import fake_neurons, fake_prompts

    from auctionsim.measurement import REPLIES_FILE
    from auctionsim.measurement import measure as sample
    from auctionsim.measurement.second_pass import SecondPass, gather_values
    from auctionsim.measurement.side_files import write_side_file
    from auctionsim.measurement.stored_replies import StoredReplies

    model = fake_model()
    with TemporaryDirectory() as place:
        surface = sample(Path(place), model, fake_neurons(model), fake_prompts(), SMALL)
        stored = StoredReplies.load(Path(place) / REPLIES_FILE)

    def case(folder: Path) -> None:
        second = SecondPass(folder / "readings", stored, ("length", "mentions"))
        gathered = gather_values(second, second.run())
        write_side_file(folder / "surface.readings.safetensors", surface, stored, gathered, {})

    return case


def demo() -> Case:
    """The whole demo, with little to compute: short trainings, few profiles, a curve that counts, a plain page."""
    from auctionsim import envs
    from auctionsim.agents import LearningStep, ppo
    from auctionsim.experiments.running.demo_settings import DemoSettings
    from auctionsim.experiments.running.designs import Designs
    from auctionsim.experiments.studies import demo as whole
    from auctionsim.experiments.tables import demo as demo_stages

    model, little = fake_model(), Designs(entries=tiny_entries(steps=1, batch=16))
    _compute_little(demo_stages)
    whole.kept_neurons = partial(whole.kept_neurons, method="attribution")

    def write_report(findings: Any, folder: Path) -> Path:
        write_text(folder / "index.html", findings.title)
        return folder / "index.html"

    whole.write_report = write_report

    def train_ppo(*_: Any, iterations: int, progress: Any, **__: Any) -> ppo.TrainedBidders:
        curve = [LearningStep(k, (0.1 * k, 0.2), (0.5, 0.6)) for k in range(1, iterations + 1)]
        for step in curve:
            progress(step)
        return ppo.TrainedBidders([], curve, None)

    ppo.train_ppo = train_ppo
    envs.register_envs, envs.NeuronAuctionEnvRunner = str, object
    whole.load_model = lambda *_: model

    def case(folder: Path) -> None:
        settings = DemoSettings(
            "running shoes",
            parse_brands("or,the"),
            folder,
            prompts_file=_prompts(folder),
            user_weights=(1.0,),
            measurement=SMALL,
            learning_iterations=2,
            confirm_samples=2,
            user_loss_limit=9.0,
        )
        whole.main(settings, "auctionsim demo", _console(), little)

    return case


def train() -> Case:
    """An equilibrium learner that keeps its state at every update."""
    from auctionsim.experiments.running import bidders
    from auctionsim.experiments.running.bidders import AuctionSource, Training
    from auctionsim.experiments.studies import bidders_train as bidder_runs

    bidder_runs.OFTEN = 0.0
    bidders.EquilibriumLearner = partial(bidders.EquilibriumLearner, batch=64)
    bidder_runs.draw_learning = lambda curve, title, folder: write_text(
        folder / "learning.png", f"{title} {len(curve)}"
    )

    def case(folder: Path) -> None:
        run = bidder_runs.TrainingRun(folder, AuctionSource("first-price"), Training(iterations=4, seed=1))
        bidder_runs.train(run, lambda _: None, command="auctionsim bidders train first-price")

    return case


def _compute_little(stages: Any) -> None:
    """Let the demo's stages score on a few profiles."""
    from auctionsim.scoring import ScoringSettings

    few, compare, trade_off = ScoringSettings(16, 2, 4), stages.compare, stages.trade_off
    stages.compare = lambda *given, **named: compare(*given, few, **named)
    stages.trade_off = lambda *given, **named: trade_off(*given, **named, draws=few.draws)


@dataclass(frozen=True)
class Plan:
    """Settings of an experiment that is none."""

    folder: Path
    seed: int = 0


def study() -> Case:
    """Two stages of a part each, and the page."""
    from auctionsim.experiments.running.run import Run, Section
    from auctionsim.experiments.running.study_surfaces import StudySettings
    from auctionsim.experiments.studies.study import Stage, carry_out_stages
    from auctionsim.experiments.tables.results_page import write_results

    def go(plan: Plan, command: str) -> None:
        run = Run(plan.folder, plan, {"surface": "abc"})
        run.begin(command)
        drawn = torch.rand(3, generator=torch.Generator().manual_seed(plan.seed)).tolist()
        rows = run.part(f"seed {plan.seed}", lambda: [{"seed": plan.seed, "x": x} for x in drawn])
        write_text(plan.folder / "figure.png", "a figure")
        section = Section(plan.folder.name, f"{len(rows)} rows.", {"figure.png": "It."})
        run.finish({"numbers": rows}, section, command=command, console=_console())

    def stage(folder: Path) -> Stage:
        plan = Plan(folder)
        return Stage(
            folder.name,
            "a figure",
            plan,
            {"surface": "abc"},
            "auctionsim experiment",
            lambda command: go(plan, command),
        )

    def case(folder: Path) -> None:
        settings = StudySettings(folder, folder / "results.md")
        makers = {name: lambda name=name: stage(folder / name) for name in ("first", "second")}
        made = carry_out_stages(settings, makers, _console())
        write_results(settings.results, made, "fake:0", "auctionsim study")

    return case


def arena() -> Case:
    """The table of carriers from four small lists, a cell each; one of its tables, and a figure that is a line."""
    from tempfile import TemporaryDirectory

    from carrier_fakes import MadeUp, write_list

    from auctionsim.experiments.studies import arena_carriers

    place = TemporaryDirectory()  # until this process ends
    made = [MadeUp(name, lift=k / 2) for k, name in enumerate(("first", "second", "third"))]
    lists = [
        str(write_list(Path(place.name), one, strengths=(1.0,), prompts=2, samples=2))
        for one in (*made, MadeUp("slots", ads=True))
    ]
    arena_carriers.draw_frontiers = lambda rows, labels, path: write_text(path, f"{len(rows)} corners")
    arena_carriers._written = lambda found: {"orders": found.orders}

    def case(folder: Path) -> None:
        assert Path(place.name).is_dir()
        settings = arena_carriers.ArenaCarriersSettings(folder, tuple(lists), (1.0,), (0.0,))
        arena_carriers.main(settings, "auctionsim arena carriers", _console())

    return case


def board() -> Case:
    """The board of two mechanisms on two small lists, a system among them; one table, and figures that are lines."""
    from tempfile import TemporaryDirectory

    from carrier_fakes import MadeUp, write_list

    from auctionsim.experiments.entries import NEITHER, SystemEntry
    from auctionsim.experiments.running import board_cells
    from auctionsim.experiments.running.board_cell import MECHANISMS, RowName
    from auctionsim.experiments.running.board_rows import REPLY_KL
    from auctionsim.experiments.running.board_score import BoardSettings
    from auctionsim.experiments.studies import arena_run

    place = TemporaryDirectory()  # until this process ends
    made = (MadeUp("neurons"), MadeUp("slots", ads=True))
    lists = tuple(str(write_list(Path(place.name), one, strengths=(1.0,), prompts=2, samples=2)) for one in made)
    mine = SystemEntry("mine", "Mine", "slots", "vcg", "A", "B", "C", NEITHER, "D", "E", "F")
    arena_run.systems = lambda: {"mine": mine}
    arena_run.mechanism_rows = lambda carrier, cell: [RowName(MECHANISMS, "pay-as-bid", carrier, "pay-as-bid")]
    arena_run.carrier_rows = lambda carriers: []
    board_cells.prices_of = lambda row: REPLY_KL[2:3]
    arena_run._draw = lambda tables, folder: [write_text(folder / one, "a figure") for one in arena_run.FIGURES]
    arena_run._written = lambda tables: {"ranks": tables.ranks}

    def case(folder: Path) -> None:
        assert Path(place.name).is_dir()
        settings = arena_run.ArenaRunSettings(folder, lists, scoring=BoardSettings(32, 4, 16, 10))
        arena_run.main(settings, "auctionsim arena run", _console())

    return case


def corpus() -> Case:
    """The reference corpus of one learner and two auctions; the figure is a line, and learning takes no time."""
    from types import SimpleNamespace

    from auctionsim.experiments.running import corpus_score
    from auctionsim.experiments.running.corpus_score import CorpusScoring
    from auctionsim.experiments.studies import bidders_corpus

    corpus_score.time = SimpleNamespace(process_time=lambda: 0.0)  # type: ignore[assignment]
    bidders_corpus.draw_exploitability = lambda *_: write_text(_[-1], "a figure")  # type: ignore[assignment]
    tiny = CorpusScoring(draws=64, regret_draws=16, types=2, bids=8)

    def case(folder: Path) -> None:
        ids = ("auctionsim/FirstPrice-v0", "auctionsim/SecondPrice-v0")
        settings = bidders_corpus.BiddersCorpusSettings(folder, ids, ("shading",), seeds=(0,), scoring=tiny)
        bidders_corpus.main(settings, "auctionsim bidders corpus", _console())

    return case


def market() -> Case:
    """Two days of two ticks of a small market, its ledger and its tables."""
    from auctionsim.experiments.running.market_config import MarketConfig, PlacementConfig
    from auctionsim.experiments.studies.market_run import MarketRunSettings, main
    from auctionsim.market.generator import GeneratorSettings

    config = MarketConfig(
        GeneratorSettings(query_types=4, campaigns=4, unlimited=0.0, controllers=("adaptive",)),
        placements={"shoes": PlacementConfig("running-shoes-2@3")},
        ticks=2,
    )

    def case(folder: Path) -> None:
        main(MarketRunSettings(folder, config), "auctionsim market run", _console(), days=2, page=False)

    return case


CASES: dict[str, Callable[[], Case]] = {
    "measure": measure,
    "read": read,
    "study": study,
    "arena": arena,
    "board": board,
    "market": market,
    "corpus": corpus,
    "demo": demo,
    "train": train,
}
