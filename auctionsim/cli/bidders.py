"""Commands about bidders: let them learn in an auction, and see what their bids are worth."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from auctionsim.cli import completions
from auctionsim.cli.options import (
    Feature,
    Loss,
    Quick,
    Seed,
    SurfaceName,
    command_line,
    console,
    file_or_folder_to_write,
    file_to_write,
    folder_to_write,
    numbers,
    offered,
    seed_numbers,
    surface_named,
)
from auctionsim.cli.record_options import ChosenRecords, RecordOptions, options_from
from auctionsim.errors import InputError

app = typer.Typer(help="Let bidders learn, and score what they learned.", no_args_is_help=True)


SOURCE = RecordOptions(
    "auctionsim.experiments.running.bidders",
    "AuctionSource",
    without=("setting", "mechanism"),
    own={"surface": {"autocompletion": completions.surfaces}, "feature": Feature, "loss": Loss},
)
TRAINING = RecordOptions(
    "auctionsim.experiments.running.bidders",
    "Training",
    without=("rivals",),
    own={
        "learner": {"autocompletion": completions.learners},
        "iterations": {"min": 1, "show_default": "the learner's"},
        "seed": Seed,
        "sees_context": Annotated[
            bool, typer.Option("--sees-context/--blind", help="Bids may depend on the public context.")
        ],
        "rounds": {"min": 1},
        "episodes": {"min": 1},
        "steps": {"min": 1},
        "env_runners": {"min": 0},
    },
)


@app.command("train")
@options_from(SOURCE, TRAINING)
def train(
    out: Annotated[Path, typer.Option(help="Run folder; the bidders are kept there.", callback=folder_to_write)],
    chosen: ChosenRecords,
    setting: Annotated[
        str | None,
        typer.Argument(
            help="A named auction, such as first-price or neuron-menu.", autocompletion=completions.settings
        ),
    ] = None,
    mechanism: Annotated[Path | None, typer.Option(help="A saved mechanism instead of a named auction.")] = None,
    against: Annotated[Path | None, typer.Option(help="PPO: run folder whose bidders are the frozen ones.")] = None,
) -> None:
    """Let bidders learn; keep their strategies, the learning curve, and a record of how they were made."""
    from auctionsim.agents import LearningStep
    from auctionsim.experiments.running.bidders import AuctionSource, Training, kept_bidders
    from auctionsim.experiments.studies.bidders_train import TrainingRun
    from auctionsim.experiments.studies.bidders_train import train as carry_out

    if against is not None and chosen["exploiter"] is None:
        raise InputError("--against names the frozen bidders of an --exploiter")
    if setting is not None and (chosen["surface"] is not None or chosen["feature"] != AuctionSource.feature):
        raise InputError(
            f"{setting} has a surface and a feature of its own: --surface and --feature go with --mechanism"
        )
    source = chosen.make(
        AuctionSource, {"setting": setting, "mechanism": None if mechanism is None else str(mechanism)}
    )
    rivals = None if against is None else tuple(kept_bidders(against).strategies)
    training = chosen.make(Training, {"rivals": rivals})
    learner = training.learner
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(f"{learner}: starting", total=training.updates)

        def show(step: LearningStep) -> None:
            ratios = " ".join(f"{ratio:.3f}" for ratio in step.bid_ratio)
            bar.update(task, completed=step.iteration, description=f"{learner}: bid/valuation {ratios}")

        learned = carry_out(TrainingRun(out, source, training, against), show, command=command_line())
    console.print(f"bidders: {learned.file}", soft_wrap=True)


@app.command("evaluate")
def evaluate(
    bidders: Annotated[Path, typer.Argument(help="A run folder of `bidders train`, or its bidders.safetensors.")],
    draws: Annotated[int, typer.Option(min=8, help="Number of auctions that are drawn.")] = 1 << 14,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the numbers to a .json file or into a folder.", callback=file_or_folder_to_write),
    ] = None,
) -> None:
    """Score learned bids against truth and the closed-form equilibrium: exploitability, revenue, user loss."""
    from auctionsim.experiments.running.bidders import kept_bidders, source_of
    from auctionsim.experiments.studies.bidders_evaluate import write_evaluation
    from auctionsim.experiments.tables.bidder_scores import evaluate as evaluated
    from auctionsim.experiments.tables.bidder_scores import tables
    from auctionsim.substrates import charged_loss_of

    saved = kept_bidders(bidders)
    source = source_of(saved)
    game = source.game()
    with console.status("seeking best replies"):
        scores = evaluated(game, saved.strategies, draws=draws, seed=seed)
    title = f"{source.setting or source.mechanism}, {saved.record['learner']}, seed {saved.record['seed']}"
    if source.is_live:
        title += "; scored on the surface that the rule was designed on"
    title += f"; user loss: {charged_loss_of(game.substrate)}"
    for table in tables(scores, title):
        console.print(table)
    if out is not None:
        console.print(f"numbers: {write_evaluation(out, scores)}", soft_wrap=True)


@app.command("study")
def study(
    surface: SurfaceName = "running-shoes-2@3",
    feature: Feature = "slot_probability",
    loss: Loss = "kl",
    user_weights: Annotated[str, typer.Option(help="User weights λ, separated by commas.")] = "0,1",
    seeds: Annotated[str, typer.Option(help="Seeds of the repetitions, separated by commas.")] = "0,1,2",
    learners: Annotated[
        str, typer.Option(help="Learners: equilibrium, exponential-weights; separated by commas.")
    ] = "equilibrium",
    sees_context: Annotated[
        bool, typer.Option("--sees-context/--blind", help="Bids may depend on the public context.")
    ] = True,
    updates: Annotated[int, typer.Option(min=1, help="Updates of the equilibrium learner.")] = 600,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of exponential weights.")] = 300,
    quick: Quick = True,
    out: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/bidders-study-…", callback=folder_to_write)
    ] = None,
) -> None:
    """Let bidders learn in every mechanism on a surface; show what they gain over truth, and what others lose."""
    from auctionsim.experiments.running.preparation import slug
    from auctionsim.experiments.studies.bidders_study import BiddersStudySettings, main

    settings = BiddersStudySettings(
        surface=surface,
        folder=out or Path("runs") / slug("bidders-study", Path(surface).stem, *offered(feature, loss)),
        feature=feature,
        loss=loss,
        user_weights=numbers(user_weights),
        seeds=seed_numbers(seeds),
        learners=tuple(learners.split(",")),
        sees_context=sees_context,
        updates=updates,
        rounds=rounds,
        quick=quick,
    )
    main(settings, surface_named(surface), command_line(), console)


@app.command("corpus")
def corpus(
    environments: Annotated[
        list[str] | None,
        typer.Option("--environment", help="A Gymnasium id; may be repeated.", show_default="all without a model"),
    ] = None,
    learners: Annotated[
        str | None, typer.Option(help="Names, separated by commas.", show_default="all that are registered")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds of the repetitions, separated by commas.")] = "0,1,2,3,4",
    effort: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="Share of its own number of updates that each learner makes.")
    ] = 1.0,
    out: Annotated[
        Path, typer.Option(help="Run folder; a stopped run continues from it.", callback=folder_to_write)
    ] = Path("runs/bidders-corpus"),
    results: Annotated[
        Path | None,
        typer.Option(help="A page of results whose section is replaced.", show_default="none", callback=file_to_write),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Ray workers that compute cells; 0 computes in this process.")
    ] = 0,
    address: Annotated[str | None, typer.Option(help="Address of a running Ray cluster.")] = None,
) -> None:
    """Make the reference corpus: every environment without a model, every learner, every seed, scored alike."""
    from auctionsim.experiments.running.recipes import FanOut
    from auctionsim.experiments.studies.bidders_corpus import NAME, SHOWS, BiddersCorpusSettings, main
    from auctionsim.experiments.tables.results_page import finished_run, replace_section
    from auctionsim.report import write_runs_report

    settings = BiddersCorpusSettings(
        out,
        environments=tuple(environments or ()),
        learners=tuple(part for part in (learners or "").split(",") if part),
        seeds=seed_numbers(seeds),
        effort=effort,
    )
    made = main(settings, command_line(), console, FanOut(workers=workers, address=address))
    for sentence in made.headlines:
        console.print(sentence, soft_wrap=True)
    console.print(f"report: {write_runs_report([out], out / 'report.html')}", soft_wrap=True)
    if results is not None:
        console.print(f"results: {replace_section(results, finished_run(out, NAME, SHOWS))}", soft_wrap=True)
