"""Everything once, reduced: every figure of the paper and what goes beyond it, one report, and docs/results.md.

    auctionsim study            # from the packaged surfaces
    auctionsim study --remeasure --model Qwen/Qwen3-0.6B --address auto

Each experiment is a stage with a folder of its own; one that is finished is not run again, so a stopped study goes on.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from auctionsim.errors import InputError
from auctionsim.experiments.running.run import Run
from auctionsim.experiments.running.study_surfaces import StudySettings, Surfaces
from auctionsim.experiments.tables.results_page import Finished, finished_run, write_results
from auctionsim.report import write_runs_report


class Stage(NamedTuple):
    """One experiment of the study.

    Attributes:
        name: Of its folder.
        shows: The paper's figures, or what it is about.
        settings: What the experiment is given: a frozen dataclass with a `folder`.
        inputs: Digests of what it reads, as the experiment itself names them.
        command: What runs it alone.
        go: Runs it: (command) -> anything.
    """

    name: str
    shows: str
    settings: Any
    inputs: Mapping[str, str]
    command: str
    go: Callable[[str], object]


Makers = Mapping[str, Callable[[], Stage]]
"""What makes each stage, by name, in the order of the page."""


class Study(NamedTuple):
    """What was written.

    Attributes:
        results: The page.
        report: The report.
        finished: Every stage.
    """

    results: Path
    report: Path
    finished: tuple[Finished, ...]


def main(
    settings: StudySettings,
    planned: Callable[[StudySettings, Surfaces, Console], Makers],
    command: str,
    console: Console,
) -> Study:
    """Run every stage that is not finished, then write the report and the page.

    Args:
        settings: What to do.
        planned: Returns what makes each stage; what a stage reads is read when it is made.
        command: What the user typed.
        console: Where progress is shown.
    Raises:
        ValueError: An unknown stage; a packaged surface that was measured on another model.
        ModelUnavailableError: No such model here.
    """
    surfaces = Surfaces(settings, console)
    made = carry_out_stages(settings, planned(settings, surfaces, console), console)
    report = write_runs_report([one.folder for one in made], settings.folder / "report.html")
    page = settings.folder / settings.results.name if settings.only else settings.results  # some stages are no page
    results = write_results(page, made, surfaces.model, command)
    console.print(f"results: {results}\nreport: {report}", soft_wrap=True)
    return Study(results, report, made)


def carry_out_stages(settings: StudySettings, makers: Makers, console: Console) -> tuple[Finished, ...]:
    """Run stages in order, skipping the finished.

    Args:
        settings: Which stages.
        makers: What makes each, by name.
        console: Where progress is shown.
    Raises:
        ValueError: A stage is asked for that is none of them; told before anything runs.
    """
    unknown = [name for name in settings.only if name not in makers]
    if unknown:
        raise InputError(f"no stage is called {unknown[0]!r}; there are: {', '.join(makers)}")
    chosen = [name for name in makers if not settings.only or name in settings.only]
    finished = []
    for number, name in enumerate(chosen, 1):
        console.rule(f"{number} of {len(chosen)}: {name}")
        finished.append(_carried_out(makers[name](), console))
    return tuple(finished)


def _carried_out(stage: Stage, console: Console) -> Finished:
    run = Run(stage.settings.folder, stage.settings, stage.inputs)
    if run.is_finished:
        console.print("finished before")
    else:
        stage.go(stage.command)
    return finished_run(run.folder, stage.name, stage.shows)
