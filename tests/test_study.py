"""A study runs each stage once, goes on where it stopped, and writes pages that say no more than its runs."""

import io
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
import typer
from measurement_fakes import SETTINGS, fake_model
from rich.console import Console

from auctionsim.cli import app
from auctionsim.cli.options import whole_numbers
from auctionsim.cli.study_stages import planned
from auctionsim.experiments.running.recipes import Recipe
from auctionsim.experiments.running.run import CLAIMS, PaperClaim, Run, Section, kept_section, markdown_table, quoted
from auctionsim.experiments.running.study_surfaces import PAIR, SUBSETS, StudySettings, Surfaces
from auctionsim.experiments.studies.maps import MapSettings
from auctionsim.experiments.studies.maps import main as draw_maps
from auctionsim.experiments.studies.study import Stage, carry_out_stages
from auctionsim.experiments.studies.study import main as study
from auctionsim.experiments.tables.results_page import write_results
from auctionsim.language_models import LanguageModel
from auctionsim.report import write_runs_report
from auctionsim.substrates import MeasuredList, ResponseSurface

CONSOLE = Console(file=io.StringIO())
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Plan:
    """Settings of a stage that is none."""

    folder: Path
    number: int = 1


class Worker:
    """Stages that count how often they ran; the one called "fails" fails as often as it is told."""

    def __init__(self, folder: Path, failures: int = 0) -> None:
        self.folder, self.failures, self.ran = folder, failures, []
        self.verdict, self.number = "holds", 1

    def makers(self) -> dict[str, Callable[[], Stage]]:
        return {name: partial(self._stage, name) for name in ("first", "fails", "last")}

    def _stage(self, name: str) -> Stage:
        plan = Plan(self.folder / name, self.number)
        return Stage(name, f"Fig. of {name}", plan, {"surface": "abc"}, f"auctionsim {name}", partial(self._go, plan))

    def _go(self, plan: Plan, command: str) -> None:
        name = plan.folder.name
        run = Run(plan.folder, plan, {"surface": "abc"})
        rows = run.part("numbers", lambda: self._rows(name))
        if name == "fails" and self.failures:
            self.failures -= 1
            raise KeyboardInterrupt
        (plan.folder / "figure.png").write_bytes(PNG)
        claims = (PaperClaim(CLAIMS[0], self.verdict, "12 of 12 pairs."),) if name == "first" else ()
        text = f"Found {rows[0]['value']} <script>alert(1)</script>."
        section = Section(f"About {name}", text, {"figure.png": f"Of {name}."}, claims)
        run.finish({"numbers": rows}, section, command=command, console=CONSOLE)

    def _rows(self, name: str) -> list[dict[str, object]]:
        self.ran.append(name)
        return [{"name": name, "value": 0.1 + 0.2, "n": 3}]


def test_a_stopped_study_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    worker = Worker(tmp_path, failures=1)
    settings = StudySettings(tmp_path, tmp_path / "results.md")
    with pytest.raises(KeyboardInterrupt):
        carry_out_stages(settings, worker.makers(), CONSOLE)
    assert worker.ran == ["first", "fails"]
    finished = carry_out_stages(settings, worker.makers(), CONSOLE)
    assert worker.ran == ["first", "fails", "last"]  # the failed stage's part was kept
    assert [one.name for one in finished] == ["first", "fails", "last"]
    assert finished[0].command == "auctionsim first"
    assert pd.read_parquet(tmp_path / "fails" / "numbers.parquet")["value"].tolist() == [0.1 + 0.2]


def test_other_settings_or_inputs_are_another_run(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    settings = StudySettings(tmp_path, tmp_path / "results.md", only=("last",))
    carry_out_stages(settings, worker.makers(), CONSOLE)
    worker.number = 2
    carry_out_stages(settings, worker.makers(), CONSOLE)
    assert worker.ran == ["last", "last"]
    plan = Plan(tmp_path / "last", 2)
    assert Run(plan.folder, plan, {"surface": "abc"}).is_finished
    assert not Run(plan.folder, plan, {"surface": "abd"}).is_finished
    assert (
        Run(plan.folder, plan).digest == Run(tmp_path / "elsewhere", Plan(tmp_path, 2)).digest
    )  # folders decide nothing


def test_an_unknown_stage_is_refused_before_anything_runs(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    settings = StudySettings(tmp_path, tmp_path / "results.md", only=("first", "lost"))
    with pytest.raises(ValueError, match="no stage is called 'lost'; there are: first, fails, last"):
        carry_out_stages(settings, worker.makers(), CONSOLE)
    assert worker.ran == []


@pytest.mark.parametrize("verdict", ["holds", "does not hold"])
def test_the_page_says_what_the_runs_found(verdict: str, tmp_path: Path) -> None:
    worker = Worker(tmp_path / "runs")
    worker.verdict = verdict
    page = tmp_path / "docs" / "results.md"
    finished = carry_out_stages(StudySettings(tmp_path / "runs", page), worker.makers(), CONSOLE)
    write_results(page, finished, "smollm2:abc", "auctionsim study")
    text = page.read_text(encoding="utf-8")
    assert f"| orthogonality | **{verdict}** | [About first](#about-first) |" in text
    assert text.count("not judged by these runs") == len(CLAIMS) - 1
    for name in ("first", "fails", "last"):
        assert f"![Of {name}.](images/results/{name}-figure.png)" in text
        assert (page.parent / "images" / "results" / f"{name}-figure.png").read_bytes() == PNG
        assert f"```\nauctionsim {name}\n```" in text


def test_a_section_on_the_report_holds_no_markup_of_its_own(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    carry_out_stages(StudySettings(tmp_path, tmp_path / "results.md", only=("first",)), worker.makers(), CONSOLE)
    html = write_runs_report([tmp_path / "first"], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert(1)" not in html


def test_claims_are_the_papers(tmp_path: Path) -> None:
    run = Run(tmp_path, Plan(tmp_path))
    section = Section("x", "y", {}, (PaperClaim("beauty", "holds", "seen"),))
    with pytest.raises(ValueError, match="got 'beauty'"):
        run.finish({}, section, command="", console=CONSOLE)
    assert not run.is_finished


def test_a_run_takes_the_time_of_all_its_parts(tmp_path: Path) -> None:
    """Of those too that an earlier run of the same plan made and kept."""
    Run(tmp_path, Plan(tmp_path)).part("slow", lambda: [{"x": time.sleep(0.3)}])
    run = Run(tmp_path, Plan(tmp_path))
    assert run.part("slow", list) == [{"x": None}]
    run.finish({}, Section("x", "y", {}), command="", console=CONSOLE)
    assert 0.3 <= run.record["seconds"] < 5


def test_damaged_parts_are_reported(tmp_path: Path) -> None:
    run = Run(tmp_path, Plan(tmp_path))
    run.part("a", lambda: [{"x": 1.0}])
    (path,) = tmp_path.rglob("a-*.json")
    path.write_text("[{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a-\w+\.json: is damaged|a-\w+\.json is damaged"):
        run.part("a", lambda: [{"x": 1.0}])
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        _ = run.is_finished


def test_text_of_models_stays_text() -> None:
    assert quoted("Buy\n*Nike* <b>x</b> | [a](b)") == r"Buy \*Nike\* \<b\>x\</b\> | \[a\](b)"
    assert markdown_table([{"a": quoted("x|y"), "b": "1"}]).splitlines()[-1] == r"| x\|y | 1 |"
    with pytest.raises(FileNotFoundError):
        kept_section(Path("nowhere"))


def test_a_remeasured_study_reads_what_it_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few = replace(SETTINGS, samples=2, max_new_tokens=3, rows=64, num_neurons=(0.0, 8.0))
    recipes = {
        PAIR: Recipe("or,the", settings=few, method="attribution"),
        SUBSETS[0]: Recipe("or,the", settings=few, method="attribution", subsets=True),
    }
    loaded: list[str] = []

    def load(name: str, *_: object) -> LanguageModel:
        loaded.append(name)
        return fake_model()

    monkeypatch.setattr("auctionsim.experiments.running.study_surfaces.PACKAGED", recipes)
    monkeypatch.setattr("auctionsim.experiments.running.recipes.load_model", load)
    settings = StudySettings(tmp_path, tmp_path / "results.md", remeasure=True, model="another/model")
    surfaces = Surfaces(settings, CONSOLE)
    surface, listed = surfaces.surface(PAIR), surfaces.subsets(SUBSETS[0])
    assert loaded == ["another/model"] * 2
    assert ResponseSurface.load(surfaces.place(PAIR)) == surface
    assert MeasuredList.load(surfaces.place(SUBSETS[0])) == listed
    assert surfaces.surface(PAIR) is surface  # read once
    assert surfaces.model == fake_model().identity
    packaged = Surfaces(replace(settings, remeasure=False), CONSOLE)
    assert packaged.place(PAIR) == PAIR
    assert packaged.surface(PAIR) == ResponseSurface.packaged(PAIR)


@pytest.mark.model
def test_every_stage_has_a_folder_of_its_name_and_a_command_that_is_one(tmp_path: Path) -> None:
    settings = StudySettings(tmp_path, tmp_path / "results.md", seed=7)
    made = {name: make() for name, make in planned(settings, Surfaces(settings, CONSOLE), CONSOLE).items()}
    for name, stage in made.items():
        assert stage.name == stage.settings.folder.name == name
        command, args = typer.main.get_command(app), shlex.split(stage.command)[1:]
        context = command.make_context("auctionsim", list(args), resilient_parsing=True)
        while hasattr(command, "resolve_command"):
            word, found, args = command.resolve_command(context, list(args))
            assert found is not None, stage.command
            command = found
            whole = not hasattr(command, "resolve_command")
            context = command.make_context(word, list(args), parent=context, resilient_parsing=not whole)
        assert Path(context.params["out"]) == stage.settings.folder
        seeds = stage.settings.__dict__.get("seeds", (stage.settings.__dict__.get("seed", 7),))
        assert seeds[0] == 7, f"{name} does not take the study's seed"
        if "seeds" in context.params:
            assert whole_numbers(context.params["seeds"]) == stage.settings.seeds
        elif "seed" in context.params and "seed" in stage.settings.__dict__:
            assert context.params["seed"] == 7
    digests = {Run(stage.settings.folder, stage.settings, stage.inputs).digest for stage in made.values()}
    assert len(digests) == len(made)


def test_maps_show_every_cell_with_its_error_and_n(tmp_path: Path) -> None:
    surface = ResponseSurface.packaged(PAIR)
    found = draw_maps(MapSettings(PAIR, tmp_path, features=("hits",)), surface, "pytest", CONSOLE)
    settings = 1 + 2 * 3  # off, and the grid's two counts × three amplifications
    assert len(found.cells) == settings**2 * (2 + 1)  # both brands' hits and the user's loss
    assert {row["n"] for row in found.cells if row["quantity"] == "hits"} == {surface.fewest_draws("hits")}
    assert all(row["standard_error"] >= 0 for row in found.cells)
    cell = next(row for row in found.cells if (row["down"], row["across"], row["brand"]) == ("512×2", "off", "Nike"))
    alone = surface.null_allocation(1, dtype=torch.float64)
    alone[0, 0] = torch.tensor([512.0, 2.0])
    means = [surface.sell("hits").replicate(name).exposure(alone)[0, 0, 0] for name in "AB"]
    assert cell["mean"] == pytest.approx(float(sum(means)) / 2)
    with pytest.raises(ValueError, match="quantity must be user_loss or one of"):
        surface.fewest_draws("beauty")


def test_some_stages_alone_leave_the_page_of_all_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "results.md"
    some = StudySettings(tmp_path / "run", page, only=(f"maps-{PAIR}",))
    found = study(some, planned, "auctionsim study", CONSOLE)
    assert not page.exists()
    assert found.results == tmp_path / "run" / "results.md"
    assert "not judged by these runs" in found.results.read_text(encoding="utf-8")


def test_what_a_damaged_run_claims_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"claims": ["x"]}', encoding="utf-8")
    with pytest.raises(ValueError, match="claims"):
        write_runs_report([tmp_path], tmp_path / "report.html")
