"""Commands about mechanisms on a measured surface: design, compare, look for regret."""

from pathlib import Path
from typing import Annotated

import typer

from auctionsim.cli.options import Feature, Seed, SurfaceName, console, numbers, surface_named

app = typer.Typer(help="Auctions on a measured surface.", no_args_is_help=True)


@app.command("design")
def design(
    mechanism: Annotated[str, typer.Argument(help="optimum, menu, affine, vcg or pay-as-bid.")],
    out: Annotated[Path, typer.Option(help="Where to save it (.safetensors).")],
    surface: SurfaceName = "running-shoes-2@1",
    feature: Feature = "slot_probability",
    user_weight: Annotated[float, typer.Option(min=0.0, help="λ, money per nat a token.")] = 1.0,
    seed: Seed = 0,
) -> None:
    """Design a mechanism on replicate A for valuations U[0, 1], and save it."""
    from auctionsim.experiments.auctions import designed
    from auctionsim.mechanisms import save_mechanism

    with console.status("designing"):
        save_mechanism(designed(mechanism, surface_named(surface).sell(feature), user_weight, seed=seed), out)
    console.print(f"mechanism: {out}", soft_wrap=True)


@app.command("compare")
def compare(
    surface: SurfaceName = "running-shoes-2@1",
    feature: Feature = "slot_probability",
    user_weights: Annotated[str, typer.Option(help="λ, commas between.")] = "0,0.5,1,2",
    seed: Seed = 0,
) -> None:
    """Score every mechanism at every user weight: revenue, user loss, share of the optimum, regret, IR."""
    from auctionsim.experiments.auctions import compared_tables

    for table in compared_tables(surface_named(surface), feature, numbers(user_weights), seed):
        console.print(table)


def regret(
    mechanism: Annotated[Path, typer.Argument(help="A saved mechanism.")],
    surface: SurfaceName = "running-shoes-2@1",
    feature: Feature = "slot_probability",
    draws: Annotated[int, typer.Option(min=2, help="Truthful profiles, U[0, 1].")] = 512,
    budget: Annotated[int, typer.Option(min=1, help="Misreports tried a profile and bidder.")] = 512,
    seed: Seed = 0,
) -> None:
    """Print what lying pays under a saved mechanism, where it was designed (A) and where it is deployed (B)."""
    from auctionsim.experiments.auctions import regret_table
    from auctionsim.mechanisms import load_mechanism

    sold = surface_named(surface).sell(feature)
    loaded = load_mechanism(mechanism, sold)
    console.print(regret_table(loaded, sold, draws=draws, budget=budget, seed=seed))
