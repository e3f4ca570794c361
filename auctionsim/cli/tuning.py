"""Commands about Ray Tune: a grid of auctions, and the hyperparameters of what learns."""

from pathlib import Path
from typing import Annotated

import typer

from auctionsim.cli import completions
from auctionsim.cli.options import (
    COMPARED,
    Feature,
    Loss,
    Mechanisms,
    PriorText,
    Quick,
    Seed,
    SurfaceName,
    command_line,
    console,
    folder_to_write,
    loss_words,
    mechanism_names,
    numbers,
    offered,
    seed_numbers,
    surface_named,
)
from auctionsim.cli.record_options import ChosenRecords, RecordOptions, options_from

app = typer.Typer(help="Run studies on Ray Tune; after a stop the same command continues.", no_args_is_help=True)

Address = Annotated[
    str | None, typer.Option(help="A Ray cluster, such as auto or 10.0.0.1:6379.", show_default="this machine")
]
Cpus = Annotated[int | None, typer.Option(min=1, help="CPUs of a local Ray.", show_default="this machine's")]
PerTrial = Annotated[int, typer.Option(min=1, help="CPUs that are set aside for each trial.")]
TrustPickles = Annotated[
    bool, typer.Option("--trust-pickles", help="Go on with a folder from elsewhere: what it holds can run any code.")
]
Draws = Annotated[int, typer.Option(min=16, help="Profiles of valuations, bid truthfully, that means are over.")]
RegretDraws = Annotated[int, typer.Option(min=2, help="How many of these profiles regret is searched on.")]


@app.command("grid")
def grid(
    mechanisms: Mechanisms = COMPARED,
    quick: Quick = False,
    prior: Annotated[
        list[str] | None,
        typer.Option(help="Valuations, as `auction compare --prior`; several times.", show_default="uniform:0,1"),
    ] = None,
    user_weights: Annotated[str, typer.Option(help="User weights λ, separated by commas.")] = "0,1",
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas.")] = "0,1,2",
    surface: SurfaceName = "running-shoes-2@1",
    feature: Feature = "slot_probability",
    loss: Loss = "kl",
    draws: Draws = 4096,
    regret_draws: RegretDraws = 128,
    cpus_per_trial: PerTrial = 1,
    cpus: Cpus = None,
    address: Address = None,
    trust_pickles: TrustPickles = False,
    out: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/tune-grid-…", callback=folder_to_write)
    ] = None,
) -> None:
    """Run mechanism × prior × user weight × seed, one trial each; a table of every trial."""
    from auctionsim.experiments.running.preparation import slug
    from auctionsim.experiments.running.tuning import Cluster
    from auctionsim.experiments.studies.tune_grid import GridSettings, main

    settings = GridSettings(
        surface=surface,
        feature=feature,
        loss=loss,
        mechanisms=mechanism_names(mechanisms),
        quick=quick,
        priors=tuple(prior or ["uniform:0,1"]),
        user_weights=numbers(user_weights),
        seeds=seed_numbers(seeds),
        folder=out or Path("runs") / slug("tune-grid", Path(surface).stem, *offered(feature, loss)),
        draws=draws,
        regret_draws=min(regret_draws, draws),
        cluster=Cluster(cpus_per_trial, cpus, address, trust_pickles),
    )
    main(settings, surface_named(surface), command_line(), console)


TUNED = RecordOptions(
    "auctionsim.experiments.studies.tune_hyperparameters",
    "TuningSettings",
    without=("target", "folder", "cluster"),
    own={
        "trials": {"min": 1},
        "steps": {"min": 1},
        "surface": SurfaceName,
        "feature": Feature,
        "loss": Loss,
        "prior": PriorText,
        "user_weight": {"min": 0.0},
        "setting": {"autocompletion": completions.settings},
        "draws": Draws,
        "regret_draws": RegretDraws,
        "seed": Seed,
        "grace": {"min": 1},
        "reduction": {"min": 2},
        "concurrent": {"min": 1, "show_default": "as many as CPUs allow"},
    },
)
CLUSTER = RecordOptions(
    "auctionsim.experiments.running.tuning",
    "Cluster",
    own={"cpus_per_trial": PerTrial, "cpus": Cpus, "address": Address, "trust_pickles": TrustPickles},
)


@app.command("hyperparameters")
@options_from(TUNED, CLUSTER)
def hyperparameters(
    target: Annotated[str, typer.Argument(help="What to tune: menu or bidders.", autocompletion=completions.targets)],
    chosen: ChosenRecords,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder.", show_default="runs/tune-hyperparameters-…", callback=folder_to_write),
    ] = None,
) -> None:
    """Tune the hyperparameters of the menu or of bidders with Optuna; trials that fall behind stop early (ASHA)."""
    from auctionsim.experiments.running.preparation import slug
    from auctionsim.experiments.running.tuning import Cluster
    from auctionsim.experiments.studies.tune_hyperparameters import TuningSettings, main

    surface, setting = chosen["surface"], chosen["setting"]
    own = Path(surface).stem, *offered(chosen["feature"], chosen["loss"])
    where = own if target == "menu" else (setting, *loss_words(chosen["loss"]))
    settings = chosen.make(
        TuningSettings,
        {
            "target": target,
            "folder": out or Path("runs") / slug("tune-hyperparameters", target, *where, str(chosen["seed"])),
            "regret_draws": min(chosen["regret_draws"], chosen["draws"]),
            "cluster": chosen.make(Cluster),
        },
    )
    main(settings, surface_named(surface) if target == "menu" else None, command_line(), console)
