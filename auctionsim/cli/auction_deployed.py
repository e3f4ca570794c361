"""The command that holds designs that mind measurement errors against the optimum, where they are paid."""

from pathlib import Path
from typing import Annotated

import typer

from auctionsim.cli.options import (
    Loss,
    PriorText,
    Seed,
    by_name,
    command_line,
    console,
    folder_to_write,
    mechanism_names,
    surface_named,
)


def deployed(
    surfaces: Annotated[
        str, typer.Option(help="Surfaces, separated by commas.")
    ] = "running-shoes-2@3,running-shoes-3@2",
    features: Annotated[
        str, typer.Option(help="Features, sold one after the other, separated by commas.")
    ] = "slot_probability,mention_probability",
    mechanisms: Annotated[
        str, typer.Option(help="Names of mechanisms, the baseline first, separated by commas.")
    ] = "optimum,optimum-shrunk,optimum-lower,optimum-per-mention,optimum-shrunk-per-mention,"
    "optimum-lower-per-mention,vcg,delivered-vcg,vcg-per-mention",
    loss: Loss = "kl",
    prior: PriorText = "uniform:0,1",
    user_weight: Annotated[float, typer.Option(min=0.0, help="User weight λ: money per unit of the user loss.")] = 1.0,
    seed: Seed = 0,
    profiles: Annotated[
        int, typer.Option(min=16, help="Profiles of valuations, bid truthfully, that means are over.")
    ] = 2048,
    regret_draws: Annotated[int, typer.Option(min=2, help="How many of these profiles regret is searched on.")] = 256,
    out: Annotated[Path, typer.Option(help="Run folder.", callback=folder_to_write)] = Path("runs/deployed"),
) -> None:
    """Compare designs and charges that allow for errors with the optimum: designed on A, scored on B."""
    from auctionsim.experiments.studies.deployed import DeployedSettings, main

    settings = DeployedSettings(
        out,
        surfaces=tuple(surfaces.split(",")),
        features=tuple(part.strip() for part in features.split(",")),
        mechanisms=mechanism_names(mechanisms),
        prior=prior,
        user_weight=user_weight,
        seed=seed,
        profiles=profiles,
        regret_draws=regret_draws,
        loss=loss,
    )
    main(settings, by_name(settings.surfaces, surface_named), command_line(), console)
