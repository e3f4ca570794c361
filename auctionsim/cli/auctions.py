"""Commands about mechanisms on a measured surface: design, compare, look for regret."""

from pathlib import Path
from typing import Annotated

import typer

from auctionsim.cli import completions, gold
from auctionsim.cli.auction_audience import audience
from auctionsim.cli.auction_deployed import deployed
from auctionsim.cli.auction_losses import losses
from auctionsim.cli.auction_tilts import tilts
from auctionsim.cli.options import (
    COMPARED,
    Device,
    Dtype,
    Feature,
    Gold,
    Loss,
    Mechanisms,
    Model,
    PriorText,
    Prompts,
    Quick,
    Seed,
    SurfaceName,
    by_name,
    command_line,
    console,
    file_to_write,
    folder_to_write,
    mechanism_names,
    numbers,
    offered,
    seed_numbers,
    surface_named,
    whole_numbers,
)
from auctionsim.data import DEFAULT_SURFACE
from auctionsim.errors import InputError

ALL_GRIDS = "running-shoes-2@1,running-shoes-2@3,running-shoes-3@2"

app = typer.Typer(help="Run auctions on a measured surface.", no_args_is_help=True)


@app.command("design")
def design(
    mechanism: Annotated[
        str,
        typer.Argument(
            help="Name of a mechanism: optimum, affine, menu, vcg, pay-as-bid or another of the table of mechanisms.",
            autocompletion=completions.mechanisms,
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to save it in (.safetensors).", callback=file_to_write)],
    surface: SurfaceName = DEFAULT_SURFACE,
    feature: Feature = "slot_probability",
    loss: Loss = "kl",
    user_weight: Annotated[float, typer.Option(min=0.0, help="User weight λ: money per unit of the user loss.")] = 1.0,
    prior: PriorText = "uniform:0,1",
    gold: Gold = None,
    quick: Quick = False,
    seed: Seed = 0,
) -> None:
    """Design a mechanism on replicate A by its recipe in the table of mechanisms, and save it."""
    from auctionsim.mechanisms import design as designed
    from auctionsim.mechanisms import save_mechanism
    from auctionsim.priors import parse_priors

    priors = parse_priors(prior)
    with console.status("designing"):
        view = surface_named(surface, gold, loss).sell(feature, loss=loss)
        rule = designed(mechanism, view, priors, user_weight, seed=seed, quick=quick)
        save_mechanism(rule, out)
    console.print(f"mechanism: {out}", soft_wrap=True)


@app.command("compare")
def compare(
    surface: SurfaceName = DEFAULT_SURFACE,
    feature: Feature = "slot_probability",
    loss: Loss = "kl",
    gold: Gold = None,
    user_weights: Annotated[str, typer.Option(help="User weights λ, separated by commas.")] = "0,0.5,1,2",
    prior: PriorText = "uniform:0,1",
    replies: Annotated[bool, typer.Option(help="Ask the live model for a reply under each entry of the menu.")] = True,
    draws: Annotated[
        int, typer.Option(min=16, help="Profiles of valuations, bid truthfully, that means are over.")
    ] = 4096,
    regret_draws: Annotated[int, typer.Option(min=2, help="How many of these profiles regret is searched on.")] = 128,
    mechanisms: Mechanisms = COMPARED,
    quick: Quick = False,
    prompts: Prompts = None,
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/compare-…", callback=folder_to_write)
    ] = None,
) -> None:
    """Sweep the user weight; tables and plots of every mechanism's revenue, user loss, share of the optimum, regret."""
    from auctionsim.experiments.running.preparation import slug
    from auctionsim.experiments.studies.compare import CompareSettings, main

    words = (*offered(feature, loss), *(("gold",) if gold else ()))
    folder = out or Path("runs") / slug("compare", Path(surface).stem, *words, prior, str(seed))
    settings = CompareSettings(
        surface=surface,
        feature=feature,
        loss=loss,
        user_weights=numbers(user_weights),
        prior=prior,
        folder=folder,
        seed=seed,
        draws=draws,
        regret_draws=min(regret_draws, draws),
        mechanisms=mechanism_names(mechanisms),
        quick=quick,
        replies=replies,
        model=model,
        device=device,
        dtype=dtype,
        prompts_file=prompts,
    )
    main(settings, surface_named(surface, gold, loss), command_line(), console)


@app.command("more-bidders")
def more_bidders(
    measured: Annotated[
        str,
        typer.Argument(
            help="A packaged list of every subset of its brands, or a file.", autocompletion=completions.lists
        ),
    ] = "running-shoes-5-subsets@2",
    feature: Feature = "slot_probability",
    loss: Loss = "kl",
    user_weights: Annotated[str, typer.Option(help="User weights λ, separated by commas.")] = "0,1",
    sizes: Annotated[str, typer.Option(help="Numbers of bidders, ascending, separated by commas.")] = "2,3,4,5",
    most_sets: Annotated[int, typer.Option(min=1, help="Most brand sets of one size.")] = 5,
    draws: Annotated[
        int, typer.Option(min=16, help="Profiles of valuations, bid truthfully, that means are over.")
    ] = 4096,
    regret_draws: Annotated[int, typer.Option(min=2, help="How many of these profiles regret is searched on.")] = 64,
    quick: Quick = True,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/more-bidders-…", callback=folder_to_write)
    ] = None,
) -> None:
    """Run every auction with two, three, … bidders: the brand sets among the brands of a measured list of subsets."""
    from auctionsim.experiments.running.measured import measured_named
    from auctionsim.experiments.running.preparation import slug
    from auctionsim.experiments.studies.more_bidders import MoreBiddersSettings, main
    from auctionsim.substrates import MeasuredList

    measurement = measured_named(measured)
    if not isinstance(measurement, MeasuredList):
        raise InputError(f"{measured} is a grid: a list of every subset of its brands is needed")
    settings = MoreBiddersSettings(
        measured=measured,
        folder=out or Path("runs") / slug("more-bidders", Path(measured).stem, *offered(feature, loss), str(seed)),
        feature=feature,
        loss=loss,
        sizes=whole_numbers(sizes),
        most_sets=most_sets,
        user_weights=numbers(user_weights),
        draws=draws,
        regret_draws=regret_draws,
        quick=quick,
        seed=seed,
    )
    main(settings, measurement, command_line(), console)


@app.command("neurons-frontier")
def neurons_frontier(
    harm_aware: Annotated[
        str,
        typer.Option(
            help="Surface of neurons that were chosen with regard to harm.", autocompletion=completions.surfaces
        ),
    ] = "running-shoes-2@3",
    plain: Annotated[
        str,
        typer.Option(
            help="Surface of neurons that were chosen by plain attribution.", autocompletion=completions.surfaces
        ),
    ] = "running-shoes-2-attribution@2",
    feature: Feature = "slot_probability",
    loss: Loss = "kl",
    user_weights: Annotated[
        str, typer.Option(help="User weights λ, ascending, separated by commas.")
    ] = "0,0.25,0.5,1,2,4",
    draws: Annotated[int, typer.Option(min=16, help="Profiles of valuations, the same on both surfaces.")] = 8192,
    resamples: Annotated[int, typer.Option(min=10, help="Resamples of the bootstrap.")] = 1000,
    seed: Seed = 0,
    quick: Quick = True,
    out: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/neurons-frontier-…", callback=folder_to_write)
    ] = None,
) -> None:
    """Compare two ways to choose neurons by the auction they allow: revenue against the user's loss."""
    from auctionsim.experiments.running.preparation import slug
    from auctionsim.experiments.studies.neurons_frontier import NeuronsFrontierSettings, main

    settings = NeuronsFrontierSettings(
        harm_aware=harm_aware,
        plain=plain,
        folder=out or Path("runs") / slug("neurons-frontier", Path(harm_aware).stem, Path(plain).stem, str(seed)),
        feature=feature,
        loss=loss,
        user_weights=numbers(user_weights),
        draws=draws,
        resamples=resamples,
        quick=quick,
        seed=seed,
    )
    main(settings, surface_named(harm_aware), surface_named(plain), command_line(), console)


@app.command("crosstalk-regret")
def crosstalk_regret(
    subsets: Annotated[
        list[str] | None,
        typer.Option(help="Lists of measured subsets, packaged or files.", show_default="all packaged"),
    ] = None,
    grids: Annotated[
        str, typer.Option(help="Surfaces (grids) that are brand sets as they are, separated by commas.")
    ] = ALL_GRIDS,
    feature: Feature = "slot_probability",
    loss: Loss = "kl",
    user_weights: Annotated[str, typer.Option(help="User weights λ, separated by commas.")] = "0,1",
    prior: PriorText = "uniform:0,1",
    seeds: Annotated[str, typer.Option(help="Seeds of training and profiles, separated by commas.")] = "0,1",
    quick: Quick = True,
    out: Annotated[Path, typer.Option(help="Run folder.", callback=folder_to_write)] = Path("runs/crosstalk-regret"),
) -> None:
    """Show the menu's regret and IR violation over measured crosstalk, in every pair and triple, and in grids."""
    from auctionsim.data import packaged_names
    from auctionsim.experiments.running.measured import subsets_named
    from auctionsim.experiments.studies.crosstalk_regret import CrosstalkRegretSettings, main

    settings = CrosstalkRegretSettings(
        out, feature, prior, user_weights=numbers(user_weights), seeds=seed_numbers(seeds), quick=quick, loss=loss
    )
    names = [name for name in packaged_names() if "-subsets@" in name] if subsets is None else subsets
    lists = by_name(names, subsets_named)
    brand_sets = by_name(filter(None, grids.split(",")), surface_named)
    main(settings, lists, brand_sets, command_line(), console)


@app.command("reply-counts")
def reply_counts(
    surface: SurfaceName = "running-shoes-2@3",
    features: Annotated[
        str, typer.Option(help="Features, sold one after the other, separated by commas.")
    ] = "mention_probability,slot_probability",
    loss: Loss = "kl",
    counts: Annotated[
        str, typer.Option(help="Samples per cell, separated by commas; the full number is always added.")
    ] = "1,2,4,8",
    draws: Annotated[int, typer.Option(min=2, help="Thinned surfaces per count.")] = 6,
    user_weight: Annotated[float, typer.Option(min=0.0, help="User weight λ: money per unit of the user loss.")] = 1.0,
    prior: PriorText = "uniform:0,1",
    seed: Seed = 0,
    quick: Quick = True,
    out: Annotated[Path, typer.Option(help="Run folder.", callback=folder_to_write)] = Path("runs/reply-counts"),
) -> None:
    """Show deployed regret over samples per cell: designs on some of replicate A's samples, scored on all of B."""
    from auctionsim.experiments.studies.reply_counts import ReplyCountSettings, main

    settings = ReplyCountSettings(
        surface,
        out,
        features=tuple(features.split(",")),
        counts=whole_numbers(counts),
        draws=draws,
        prior=prior,
        user_weight=user_weight,
        quick=quick,
        seed=seed,
        loss=loss,
    )
    main(settings, surface_named(surface), command_line(), console)


@app.command("generalisation")
def generalisation(
    surfaces: Annotated[
        str, typer.Option(help="Surfaces, separated by commas.")
    ] = "running-shoes-2@3,running-shoes-3@2",
    feature: Feature = "slot_probability",
    loss: Loss = "kl",
    user_weight: Annotated[float, typer.Option(min=0.0, help="User weight λ: money per unit of the user loss.")] = 1.0,
    prior: PriorText = "uniform:0,1",
    seeds: Annotated[str, typer.Option(help="Seeds of training and profiles, separated by commas.")] = "0,1",
    quick: Quick = True,
    out: Annotated[Path, typer.Option(help="Run folder.", callback=folder_to_write)] = Path("runs/generalisation"),
) -> None:
    """Compare prompts: A with B, designs on A scored on B, and designs used in a context that they never saw."""
    from auctionsim.experiments.studies.generalisation import GeneralisationSettings, main

    settings = GeneralisationSettings(out, feature, prior, user_weight, seed_numbers(seeds), quick=quick, loss=loss)
    named = by_name(surfaces.split(","), surface_named)
    main(settings, named, command_line(), console)


app.command("losses")(losses)
app.command("deployed")(deployed)
app.command("audience")(audience)
app.command("tilts")(tilts)
app.command("gold")(gold.choices)


def regret(
    mechanism: Annotated[Path, typer.Argument(help="File of a saved mechanism (.safetensors).")],
    surface: SurfaceName = DEFAULT_SURFACE,
    feature: Feature = "slot_probability",
    loss: Loss = "kl",
    prior: PriorText = "uniform:0,1",
    draws: Annotated[int, typer.Option(min=2, help="Profiles of valuations that are drawn.")] = 512,
    budget: Annotated[int, typer.Option(min=1, help="False bids tried per profile and bidder.")] = 512,
    seed: Seed = 0,
) -> None:
    """Print what a false bid gains under a saved mechanism, on replicate A (designed there) and B (deployed)."""
    from auctionsim.experiments.tables.mechanisms import regret_table
    from auctionsim.mechanisms import load_mechanism
    from auctionsim.priors import parse_priors

    priors = parse_priors(prior)
    sold = surface_named(surface).sell(feature, loss=loss)
    loaded = load_mechanism(mechanism, sold)
    console.print(regret_table(loaded, sold, priors, draws=draws, budget=budget, seed=seed))
