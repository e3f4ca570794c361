"""The command that tilts by proxy rewards and values the tilts truly."""

from pathlib import Path
from typing import Annotated

import typer

from auctionsim.cli.options import Seed, command_line, console, file_to_write, folder_to_write, numbers, whole_numbers


def tilts(
    lists: Annotated[
        str, typer.Option(help="Measured lists with stored replies, separated by commas; designed on A, scored on B.")
    ] = "running-shoes-2-neurons@1,charities-2-neurons@1",
    varied: Annotated[
        str, typer.Option(help="Those of the lists whose single replies are auctioned and read for diversity.")
    ] = "running-shoes-2-neurons@1,charities-2-neurons@1",
    judges: Annotated[
        str,
        typer.Option(help="Scores of labelled replies, and readings per brand that bids pay for, separated by commas."),
    ] = "relevance,mutual_information,judged_rating,judged_yes,hits",
    exposure: Annotated[str, typer.Option(help="Reading of replies that is sold on lists.")] = "mention_probability",
    loss: Annotated[str, typer.Option(help="Reading that is the user's loss on lists.")] = "quality",
    bid: Annotated[float, typer.Option(min=0.0, help="Bid of each brand, money per unit of exposure.")] = 1.0,
    user_weight: Annotated[float, typer.Option(min=0.0, help="User weight λ: money per unit of the user loss.")] = 1.0,
    betas: Annotated[str, typer.Option(help="β of tilts, ascending.")] = "0.05,0.1,0.2,0.5,1,2",
    draws: Annotated[str, typer.Option(help="n of best-of-n draws, ascending.")] = "1,2,4,8,16,32",
    tables: Annotated[int, typer.Option(min=1, help="Number of random tables.")] = 400,
    resamples: Annotated[int, typer.Option(min=10, help="Bootstrap resamples of prompts, for intervals.")] = 1000,
    seed: Seed = 0,
    results: Annotated[
        Path | None,
        typer.Option(help="A page of results whose section is replaced.", show_default="none", callback=file_to_write),
    ] = None,
    out: Annotated[Path, typer.Option(help="Run folder.", callback=folder_to_write)] = Path("runs/tilts"),
) -> None:
    """Show what a strong tilt breaks: tilts by a wrong reward valued by the true one, best-of draws, variety left."""
    from auctionsim.experiments.running.tilt_settings import TiltsSettings
    from auctionsim.experiments.studies.tilts import NAME, SHOWS, main
    from auctionsim.experiments.tables.results_page import finished_run, replace_section

    settings = TiltsSettings(
        out,
        lists=_names(lists),
        varied=_names(varied),
        judges=_names(judges),
        exposure=exposure,
        loss=loss,
        bid=bid,
        user_weight=user_weight,
        betas=numbers(betas),
        draws=whole_numbers(draws),
        tables=tables,
        resamples=resamples,
        seed=seed,
    )
    main(settings, command_line(), console)
    if results is not None:
        console.print(f"results: {replace_section(results, finished_run(out, NAME, SHOWS))}", soft_wrap=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))
