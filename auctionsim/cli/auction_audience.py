"""The command that designs one auction for several kinds of users."""

from typing import Annotated

import typer

from auctionsim.cli import completions
from auctionsim.cli.options import Feature, PriorText, Seed, SurfaceName, console, surface_named


def audience(
    kind: Annotated[
        list[str],
        typer.Option(
            help="A kind of users, NAME=SHARE:LOSS, where LOSS is weights over the surface's losses. Repeatable; the "
            "shares sum to 1."
        ),
    ],
    surface: SurfaceName = "running-shoes-2@3",
    feature: Feature = "slot_probability",
    mechanism: Annotated[
        str, typer.Option(help="Its name in the table of mechanisms.", autocompletion=completions.mechanisms)
    ] = "optimum",
    user_weight: Annotated[float, typer.Option(min=0.0, help="λ, money per unit of a kind's loss.")] = 1.0,
    tail: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of users, those that lose most, whose mean loss is shown.")
    ] = 0.1,
    prior: PriorText = "uniform:0,1",
    draws: Annotated[int, typer.Option(min=16, help="Truthful profiles for the means.")] = 4096,
    seed: Seed = 0,
) -> None:
    """Design an auction for several kinds of users: the kind known, or one allocation by mean, worst kind or tail."""
    from auctionsim.audiences import Audience, UserKind
    from auctionsim.experiments.running.run import markdown_table
    from auctionsim.experiments.tables.audience import AudienceCase, audience_rows, audience_table
    from auctionsim.priors import parse_priors

    people = Audience(tuple(map(UserKind.read, kind)))
    view = surface_named(surface).sell(feature)
    case = AudienceCase(view, people, parse_priors(prior), user_weight, tail, draws, seed)
    with console.status("designing"):
        rows = audience_rows(case, mechanism)
    title = f"{mechanism} on {surface}, {feature} sold, user weight {user_weight:g}, valuations {prior}"
    console.print(f"{title}, {draws} profiles, replicate {view.scored_replicate}", soft_wrap=True)
    console.print(markdown_table(audience_table(rows, tail)), soft_wrap=True, markup=False)
