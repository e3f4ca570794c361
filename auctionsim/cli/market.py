"""Commands that generate, run and show markets: campaigns with budgets, many query types, days of ticks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from auctionsim.cli import completions
from auctionsim.cli.options import command_line, console, file_to_write, folder_to_write, numbers
from auctionsim.cli.record_options import ChosenRecords, RecordOptions, options_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

app = typer.Typer(
    help="Simulate a market over days: campaigns with budgets bid for many types of queries.",
    no_args_is_help=True,
)
GENERATOR = RecordOptions(
    "auctionsim.market.generator",
    "GeneratorSettings",
    without=("values",),
)
STUDY = RecordOptions(
    "auctionsim.experiments.studies.market_study",
    "MarketStudySettings",
    without=("folder", "user_weights", "sensitivities", "questions"),
)
_DAY_COLUMNS = ("day", "rule", "traffic", "queries", "revenue", "liquid_welfare", "campaigns", "budget_use", "splits")


@app.command("generate")
@options_from(GENERATOR)
def generate(
    chosen: ChosenRecords,
    surfaces: Annotated[
        list[str] | None,
        typer.Option(
            "--surface",
            help="A surface or a list that queries are sold on: a packaged name, or a .safetensors file. Repeatable.",
            show_default="four packaged ones",
            autocompletion=completions.surfaces,
        ),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--value",
            help="A prior of valuations, such as uniform:0,1; each campaign has one of them. Repeatable.",
            show_default="uniform:0,1 beta:2,5 beta:5,2",
        ),
    ] = None,
    feature: Annotated[
        str, typer.Option(help="Feature that is sold: what bidders pay for, such as slot_probability.")
    ] = "mention_probability",
    loss: Annotated[str, typer.Option(help="User loss that the rules charge for.")] = "reply_kl",
    out: Annotated[
        Path, typer.Option(help="Folder of the tables and the config that runs them.", callback=folder_to_write)
    ] = Path("runs/market"),
) -> None:
    """Generate campaigns and query types of any size, as tables, and a config that runs them."""
    from auctionsim.experiments.running.market_config import PLACEMENTS, PlacementConfig
    from auctionsim.experiments.running.market_files import CONFIG, write_market
    from auctionsim.market.generator import GeneratorSettings

    settings = chosen.make(GeneratorSettings, {"values": tuple(values)} if values else {})
    names = surfaces or [one.surface for one in PLACEMENTS.values()]
    titles = {one.surface: title for title, one in PLACEMENTS.items()}
    placements = {titles.get(name, Path(name).stem): PlacementConfig(name, feature, loss) for name in names}
    made = write_market(settings, placements, out)
    console.print(f"{len(made.query_types)} query types, {len(made.campaigns)} campaigns: {out / CONFIG}")


@app.command("run")
def run(
    config: Annotated[Path, typer.Argument(help="A TOML file: tables or a generator, placements, rules, who acts.")],
    days: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Days to run; a finished run continues if there are more than before.",
            show_default="the config's",
        ),
    ] = None,
    sampled: Annotated[
        bool | None,
        typer.Option("--sampled/--expected", help="Draw arrivals, or take their means.", show_default="the config's"),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Run folder; a stopped run continues from it.", callback=folder_to_write)
    ] = Path("runs/market-run"),
    controllers: Annotated[
        list[Path] | None,
        typer.Option("--controller", help="Run this Python file first: it registers a controller. Repeatable."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Ray workers, among which categories are divided; 0 runs in this process.")
    ] = 0,
    address: Annotated[str | None, typer.Option(help="Address of a running Ray cluster.")] = None,
    page: Annotated[
        bool,
        typer.Option(help="Draw figures and write report.html; the first days are simulated again with other users."),
    ] = True,
) -> None:
    """Run a market; write a ledger with one row per tick and campaign, check its sums, and make a page."""
    from auctionsim.agents.pacing import load_controllers
    from auctionsim.experiments.running.market_config import MODES, read_config, with_mode
    from auctionsim.experiments.running.recipes import FanOut
    from auctionsim.experiments.studies.market_run import MarketRunSettings, main

    for file in controllers or ():
        load_controllers(file)
    given = read_config(config)
    chosen = given.config if sampled is None else with_mode(given.config, MODES[sampled])
    made = main(
        MarketRunSettings(out, chosen),
        command_line(),
        console,
        FanOut(workers=workers, address=address),
        days=days or given.days,
        tables=given.folder,
        page=page,
    )
    _print_rows("days", made.days, _DAY_COLUMNS)
    _print_rows("controllers, all days", made.controllers)
    console.print(
        f"revenue {made.totals.revenue:.6g}, liquid welfare {made.totals.welfare:.6g}, "
        f"{made.totals.queries:.6g} queries in {made.kept.count} days"
    )
    console.print(made.money.sentence)


@app.command("show")
def show(
    out: Annotated[Path, typer.Option(help="Folder of a finished `market run`.")] = Path("runs/market-run"),
) -> None:
    """Print the finished days of a run; nothing is simulated."""
    from auctionsim.experiments.studies.market_run import shown

    there = shown(out)
    _print_rows("days", there.days, _DAY_COLUMNS)
    if not there.finished:
        console.print(f"unfinished: {len(there.days)} days; its command goes on: {there.command}", soft_wrap=True)


@app.command("study")
@options_from(STUDY)
def study(
    chosen: ChosenRecords,
    user_weights: Annotated[
        str, typer.Option(help="User weights λ of the rules in the question about retention, separated by commas.")
    ] = "0,0.005,0.01,0.02,0.03,0.05",
    sensitivities: Annotated[
        str, typer.Option(help="Hazards of leaving for good per unit of reply_kl, separated by commas.")
    ] = "0.001,0.005,0.02",
    questions: Annotated[
        str, typer.Option(help="Questions to ask, separated by commas.")
    ] = "regret,revenue,retention,learned",
    out: Annotated[
        Path, typer.Option(help="Run folder; a stopped run continues from it.", callback=folder_to_write)
    ] = Path("runs/market-study"),
    results: Annotated[
        Path | None,
        typer.Option(help="A page of results whose section is replaced.", show_default="none", callback=file_to_write),
    ] = None,
) -> None:
    """Study four questions on drawn markets: pacing and regret, autobidders, retention, a platform that learns."""
    from auctionsim.experiments.studies.market_study import NAME, SHOWS, MarketStudySettings, main
    from auctionsim.experiments.tables.results_page import finished_run, replace_section
    from auctionsim.report import write_runs_report

    settings = chosen.make(
        MarketStudySettings,
        {
            "folder": out,
            "user_weights": numbers(user_weights),
            "sensitivities": numbers(sensitivities),
            "questions": tuple(part.strip() for part in questions.split(",")),
        },
    )
    for answer in main(settings, command_line(), console):
        console.print(
            "\n".join([answer.question, *(f"- {sentence}." for sentence in answer.verdicts), ""]), markup=False
        )
    console.print(f"report: {write_runs_report([out], out / 'report.html')}", soft_wrap=True)
    if results is not None:
        console.print(f"results: {replace_section(results, finished_run(out, NAME, SHOWS))}", soft_wrap=True)


def _print_rows(title: str, rows: "Sequence[Mapping[str, Any]]", columns: "Sequence[str]" = ()) -> None:
    names = [name for name in columns or rows[0] if name in rows[0]]
    names += [name for name in rows[0] if columns and name.endswith("_per_query")]
    table = Table(title=title)
    for name in names:
        table.add_column(name.replace("_", " "), justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(f"{row[name]:.4g}" if isinstance(row[name], float) else str(row[name]) for name in names))
    console.print(table)
