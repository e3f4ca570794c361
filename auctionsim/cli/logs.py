"""Commands that simulate logs of sessions, value options from logs of one's own, and study when estimators help."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from auctionsim.cli.options import Seed, command_line, console, file_to_write, folder_to_write
from auctionsim.cli.record_options import ChosenRecords, RecordOptions, options_from

if TYPE_CHECKING:
    from auctionsim.logs import LogEvaluation

app = typer.Typer(
    help="Tell which option is best, from a log, a small experiment and a simulator.",
    no_args_is_help=True,
)
ESTIMATION = RecordOptions(
    "auctionsim.logs.protocol",
    "EstimationSettings",
    without=("propensities", "omitted"),
)
STUDY = RecordOptions("auctionsim.experiments.studies.logs_study", "LogsStudySettings", without=("folder", "questions"))


@app.command("simulate")
def simulate(
    world: Annotated[
        str,
        typer.Argument(help="linear-gaussian, measured-replies, posted-prices, programmes, or one that a plugin adds."),
    ] = "measured-replies",
    logged: Annotated[int, typer.Option(min=0, help="Sessions of the log, in which options were chosen.")] = 2000,
    randomised: Annotated[int, typer.Option(min=0, help="Sessions of the experiment; 0 for none.")] = 200,
    replays: Annotated[bool, typer.Option(help="Also write the simulator's replays.")] = True,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Parquet file of the log.", callback=file_to_write)] = Path(
        "runs/log.parquet"
    ),
) -> None:
    """Simulate a world's log, experiment and replays as one parquet file, and print the true values."""
    import numpy as np

    from auctionsim.logs import Sources, write_log_file
    from auctionsim.logs.worlds import world as world_named
    from auctionsim.seeds import checked_seed

    one = world_named(world)
    generator = np.random.default_rng(checked_seed(seed))
    obs = one.draw_obs(logged, generator) if logged else None
    exp = one.draw_exp(randomised, generator) if randomised else None
    population = obs if exp is None else exp
    law = one.replays(population) if replays and population is not None else None
    write_log_file(out, Sources(obs, exp, law))
    table = Table(title=f"{world}: true values")
    table.add_column("option")
    table.add_column("value", justify="right")
    for name, value in zip(one.columns.options, one.values().tolist(), strict=True):
        table.add_row(name, f"{value:.4g}")
    console.print(table)
    console.print(f"{logged} logged and {randomised} randomised sessions: {out}", soft_wrap=True)


@app.command("estimate")
@options_from(ESTIMATION)
def estimate(
    chosen: ChosenRecords,
    log: Annotated[list[Path], typer.Argument(help="Parquet files of logs; docs/logs.md has their columns.")],
    estimators: Annotated[
        str | None, typer.Option(help="Names, separated by commas.", show_default="all that the log allows")
    ] = None,
    propensities: Annotated[
        str, typer.Option(help="Propensities of a log: known (as the log states them) or fitted to the context.")
    ] = "known",
    omitted: Annotated[
        str | None,
        typer.Option(
            help="Columns that the reward model does not see, separated by commas: a model that is wrong on purpose.",
            show_default="none",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Estimate every option's value from logs of your own: checks, recommendation, next step."""
    from auctionsim.logs import EstimationSettings, evaluate, read_log_file

    hidden = tuple(part.strip() for part in (omitted or "").split(",") if part.strip())
    settings = chosen.make(EstimationSettings, {"propensities": propensities, "omitted": hidden})
    names = tuple(part.strip() for part in (estimators or "").split(",") if part.strip())
    for path in log:
        found = evaluate(read_log_file(path), settings, seed=seed, names=names)
        first, *rest = found.lines()
        console.print(first, markup=False, soft_wrap=True)  # before anything else: whether it is causal at all
        console.print(f"log: {path}", markup=False, soft_wrap=True)
        for line in rest:
            console.print(line, markup=False, soft_wrap=True)
        _print_estimates(found)


@app.command("study")
@options_from(STUDY)
def study(
    chosen: ChosenRecords,
    questions: Annotated[
        str, typer.Option(help="Questions to ask, separated by commas.")
    ] = "raw,sweep,grid,wrong-model,violations,drift",
    out: Annotated[
        Path, typer.Option(help="Run folder; a stopped run continues from it.", callback=folder_to_write)
    ] = Path("runs/logs-study"),
    results: Annotated[
        Path | None,
        typer.Option(help="A page of results whose section is replaced.", show_default="none", callback=file_to_write),
    ] = None,
) -> None:
    """Study when each family of estimators finds the best option, in worlds whose truth is known."""
    from auctionsim.experiments.studies.logs_study import NAME, SHOWS, LogsStudySettings, main
    from auctionsim.experiments.tables.results_page import finished_run, replace_section
    from auctionsim.report import write_runs_report

    asked = tuple(part.strip() for part in questions.split(","))
    settings = chosen.make(LogsStudySettings, {"folder": out, "questions": asked})
    for answer in main(settings, command_line(), console):
        console.print(f"{answer.question}\n{answer.verdict}\n", markup=False)
    console.print(f"report: {write_runs_report([out], out / 'report.html')}", soft_wrap=True)
    if results is not None:
        console.print(f"results: {replace_section(results, finished_run(out, NAME, SHOWS))}", soft_wrap=True)


def _print_estimates(found: "LogEvaluation") -> None:
    """Print values with 95 % intervals, an estimator a row, and why others gave none."""
    options = next(iter(found.estimates.values())).options
    table = Table(title="values, 95 % intervals")
    table.add_column("estimator")
    table.add_column("rests on")
    for name in options:
        table.add_column(name, justify="right")
    for name, one in found.estimates.items():
        cells = [
            f"{value:.4g} ({low:.4g}, {high:.4g})"
            for value, (low, high) in zip(one.values.tolist(), one.intervals().tolist(), strict=True)
        ]
        table.add_row(name, "association" if one.associational else f"{one.sessions or 'stated propensities'}", *cells)
    console.print(table)
    silent: dict[str, list[str]] = {}
    for name, reason in found.refusals.items():
        silent.setdefault(reason.replace(f"{name} needs", "it needs", 1), []).append(name)
    for reason, names in silent.items():
        console.print(f"no {', '.join(names)}: {reason}", markup=False, soft_wrap=True)
