"""The command that charges for one loss of the user and scores by another."""

from pathlib import Path
from typing import Annotated

import typer

from auctionsim.cli.options import (
    Feature,
    PriorText,
    Quick,
    Seed,
    by_name,
    command_line,
    console,
    folder_to_write,
    mechanism_names,
    numbers,
)


def losses(
    surfaces: Annotated[str, typer.Option(help="Surfaces, separated by commas.")] = "running-shoes-2@3,smartphones-2@1",
    feature: Feature = "slot_probability",
    losses: Annotated[
        str,
        typer.Option(
            help="Losses, separated by commas; kl+quality charges two together. Losses that a surface lacks are "
            "named as missing."
        ),
    ] = "kl,reply_kl,length,quality,kl+quality",
    price: Annotated[float, typer.Option(min=0.0, help="Money that the cell with the highest loss costs.")] = 0.5,
    prices: Annotated[str, typer.Option(help="Such prices along the trade-off.")] = "0,0.125,0.25,0.5,1,2",
    prior: PriorText = "uniform:0,1",
    mechanisms: Annotated[
        str,
        typer.Option(help="Names of mechanisms, separated by commas.", show_default="all that can be designed"),
    ] = "",
    scores: Annotated[
        str, typer.Option(help="Readings of the replies that are shown, beside the losses that need no model.")
    ] = "repetition_rate",
    draws: Annotated[
        int, typer.Option(min=16, help="Profiles of valuations, bid truthfully, that means are over.")
    ] = 2048,
    seed: Seed = 0,
    quick: Quick = True,
    out: Annotated[Path, typer.Option(help="Run folder.", callback=folder_to_write)] = Path("runs/losses"),
) -> None:
    """Design on each loss of the user and score on every other: cells, shares, menus with replies, trade-offs."""
    from auctionsim.experiments.running.stored_by_name import surface_with_replies
    from auctionsim.experiments.studies.losses import LossesSettings, main

    settings = LossesSettings(
        out,
        feature,
        losses=tuple(part.strip() for part in losses.split(",")),
        prior=prior,
        price=price,
        prices=numbers(prices),
        mechanisms=mechanism_names(mechanisms) if mechanisms else (),
        scores=tuple(filter(None, (part.strip() for part in scores.split(",")))),
        seed=seed,
        draws=draws,
        quick=quick,
    )
    main(settings, by_name(surfaces.split(","), surface_with_replies), command_line(), console)
