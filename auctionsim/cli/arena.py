"""Commands that hold what can be sold against each other on one exposure and one user side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from auctionsim.cli import completions
from auctionsim.cli.options import (
    Brands,
    Category,
    Device,
    Dtype,
    Model,
    command_line,
    console,
    file_to_write,
    folder_to_write,
    numbers,
)

if TYPE_CHECKING:
    from auctionsim.experiments.studies.arena_run import ArenaRun

app = typer.Typer(
    help="Compare carriers (whatever moves a reply and can be sold), mechanisms and published ad systems.",
    no_args_is_help=True,
)


@app.command("carriers")
def carriers(
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="Measured list of a carrier: a packaged name, or a .safetensors file; may be repeated.",
            show_default="all packaged",
            autocompletion=completions.lists,
        ),
    ] = None,
    caps: Annotated[str, typer.Option(help="Limits on reply_kl, separated by commas.")] = "0.5,1,2,4",
    cap: Annotated[
        float, typer.Option(min=0.0, help="The cap at which carriers are ordered first; one of --caps.")
    ] = 1.0,
    prices: Annotated[
        str,
        typer.Option(
            help="Prices ρ of a word of an ad beside reply_kl, separated by commas; each orders all carriers."
        ),
    ] = "0,0.01,0.03,0.1,0.3,1",
    out: Annotated[
        Path, typer.Option(help="Run folder; a stopped run continues from it.", callback=folder_to_write)
    ] = Path("runs/arena-carriers"),
    results: Annotated[
        Path | None,
        typer.Option(help="A page of results whose section is replaced.", show_default="none", callback=file_to_write),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Ray workers that compute cells; 0 computes in this process.")
    ] = 0,
    address: Annotated[str | None, typer.Option(help="Address of a running Ray cluster.")] = None,
) -> None:
    """Make the table of carriers: which names brands most often at equal reply_kl; designed on A, scored on B."""
    from auctionsim.experiments.running.carrier_cell import AD_WORDS
    from auctionsim.experiments.running.carrier_sources import packaged_lists
    from auctionsim.experiments.running.recipes import FanOut
    from auctionsim.experiments.studies.arena_carriers import SHOWS, ArenaCarriersSettings, main
    from auctionsim.experiments.tables.results_page import finished_run, replace_section
    from auctionsim.report import write_runs_report

    settings = ArenaCarriersSettings(
        out, tuple(lists or packaged_lists()), caps=numbers(caps), prices=numbers(prices), cap=cap
    )
    found = main(settings, command_line(), console, FanOut(workers=workers, address=address))
    table = Table(title=f"carriers at reply_kl ≤ {cap:g}, scored on B")
    for column in ("carrier", "rank", "places", "named", "reply_kl", "as designed", "quality", AD_WORDS, "settings"):
        table.add_column(column, justify="left" if column == "carrier" else "right")
    for line in found.lines:
        table.add_row(*(line[str(column.header)] for column in table.columns))
    console.print(table)
    console.print(found.headline, soft_wrap=True)
    console.print(f"report: {write_runs_report([out], out / 'report.html')}", soft_wrap=True)
    if results is not None:
        finished = finished_run(out, "arena-carriers", SHOWS)
        console.print(f"results: {replace_section(results, finished)}", soft_wrap=True)


@app.command("run")
def run(
    entries: Annotated[
        list[Path] | None,
        typer.Option("--entry", help="Run this Python file first: it registers a system or a mechanism. Repeatable."),
    ] = None,
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="Measured list of a carrier: a packaged name, or a .safetensors file; may be repeated.",
            show_default="all packaged",
            autocompletion=completions.lists,
        ),
    ] = None,
    carrier: Annotated[str, typer.Option(help="Carrier on which every mechanism is run.")] = "neurons",
    categories: Annotated[
        list[str] | None,
        typer.Option(
            "--category", help="What the brands sell; may be repeated.", show_default="all that were measured"
        ),
    ] = None,
    systems: Annotated[
        str | None,
        typer.Option(
            help="Names of published systems, separated by commas.", show_default="all whose carrier was measured"
        ),
    ] = None,
    caps: Annotated[
        str, typer.Option(help="Limits on reply_kl at which revenue is compared, separated by commas.")
    ] = "0.5,1,2",
    out: Annotated[
        Path, typer.Option(help="Run folder; a stopped run continues from it.", callback=folder_to_write)
    ] = Path("runs/arena-run"),
    results: Annotated[
        Path | None,
        typer.Option(help="A page of results whose section is replaced.", show_default="none", callback=file_to_write),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Ray workers that compute cells; 0 computes in this process.")
    ] = 0,
    address: Annotated[str | None, typer.Option(help="Address of a running Ray cluster.")] = None,
) -> None:
    """Make the board: every mechanism on one carrier, and published systems, on one exposure and one regret."""
    from auctionsim.experiments.entries import load_entry
    from auctionsim.experiments.running.carrier_sources import packaged_lists
    from auctionsim.experiments.running.recipes import FanOut
    from auctionsim.experiments.studies.arena_run import NAME, SHOWS, ArenaRunSettings, main
    from auctionsim.experiments.tables.results_page import finished_run, replace_section
    from auctionsim.report import write_runs_report

    for file in entries or ():
        load_entry(file)
    settings = ArenaRunSettings(
        out,
        tuple(lists or packaged_lists()),
        carrier=carrier,
        categories=tuple(categories or ()),
        systems=tuple(part for part in (systems or "").split(",") if part),
        caps=numbers(caps),
    )
    made = main(settings, command_line(), console, FanOut(workers=workers, address=address))
    _print_board(made)
    console.print(f"report: {write_runs_report([out], out / 'report.html')}", soft_wrap=True)
    if results is not None:
        console.print(f"results: {replace_section(results, finished_run(out, NAME, SHOWS))}", soft_wrap=True)


@app.command("show")
def show(
    entries: Annotated[
        list[Path] | None,
        typer.Option("--entry", help="Run this Python file first, as `arena run` did: it has labels and claims."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of a finished `arena run`.")] = Path("runs/arena-run"),
) -> None:
    """Print the board of a run, finished or not, from its finished cells; no cell is computed."""
    from auctionsim.experiments.entries import load_entry
    from auctionsim.experiments.studies.arena_run import shown

    for file in entries or ():
        load_entry(file)
    board = shown(out)
    _print_board(board)
    page = out / "report.html"
    if len(board.cells) < board.wanted:
        console.print(
            f"unfinished: {len(board.cells)} of {board.wanted} cells; its command goes on: {board.command}",
            soft_wrap=True,
        )
    elif page.is_file():
        console.print(f"report: {page}", soft_wrap=True)


def _print_board(board: "ArenaRun") -> None:
    """Print a block's rows a table, a verdict a line, and what has no row."""
    from auctionsim.experiments.studies.arena_run import MAIN
    from auctionsim.experiments.tables.board_section import TITLES, headlines, terminal_lines

    for block, title in TITLES.items():
        lines = terminal_lines(board.cells, board.tables, MAIN, block)
        if lines:
            table = Table(title=f"{title}: λ = {MAIN.user_weight:g} per unit of {MAIN.loss}, on B")
            for column in lines[0]:
                table.add_column(column, justify="left" if column == "row" else "right")
            for line in lines:
                table.add_row(*line.values())
            console.print(table)
    for sentence in headlines(board.tables, MAIN):
        console.print(sentence, soft_wrap=True)
    for one in board.tables.verdicts:
        console.print(f"{one.name}: {one.sentence}", soft_wrap=True)
    for gap in board.gaps:
        console.print(gap, soft_wrap=True)


@app.command("measure")
def measure(
    carriers: Annotated[list[str], typer.Argument(help="Names of carriers; each is measured in its own folder.")],
    category: Category = "running shoes",
    brands: Brands = "Nike,Adidas",
    model: Model = "smollm2",
    runs: Annotated[
        Path,
        typer.Option(
            help="Folder in which they are measured; a stopped measurement continues there.", callback=folder_to_write
        ),
    ] = Path("runs/carriers"),
    combined: Annotated[
        bool, typer.Option("--combined", help="Measure brands together at every combination of their levels.")
    ] = False,
    package: Annotated[
        bool, typer.Option("--package", help="Put the lists among those that ship, as CATEGORY-N-CARRIER@1.")
    ] = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Ray workers, one model each; 0 measures in this process.")] = 0,
    address: Annotated[str | None, typer.Option(help="Address of a running Ray cluster.")] = None,
) -> None:
    """Fit carriers on A, find levels by a pilot, and measure joint settings of each, with their replies."""
    from auctionsim.carriers import carrier_entry
    from auctionsim.data import surfaces_folder
    from auctionsim.experiments.running.carrier_lists import CarrierRecipe, carrier_list, package_list
    from auctionsim.experiments.running.recipes import FanOut

    recipes = [CarrierRecipe(name, brands, category, model=model, combined=combined) for name in carriers]
    for recipe in recipes:  # an unknown name is refused before anything is measured
        carrier_entry(recipe.carrier)
    fan_out = FanOut(device, dtype, workers, address)
    for recipe in recipes:
        made = carrier_list(recipe, runs / recipe.name, command_line(), console, fan_out)
        path = made.folder / "list.safetensors"
        if package:
            path = package_list(made, f"{recipe.name}@1", surfaces_folder())
        console.print(f"{'packaged' if package else 'measured'}: {path}", soft_wrap=True)
