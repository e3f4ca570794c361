"""Commands about trust in scores: the table of all, the gate for one, the fit of `quality`, agreement of labellers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auctionsim.cli.options import PriorText, Seed, command_line, console, file_to_write, folder_to_write

if TYPE_CHECKING:
    from auctionsim.trust import GoldLabels, ScoreStore

app = typer.Typer(help="Test how far scores of replies can be trusted.", no_args_is_help=True)

Labels = Annotated[
    Path | None, typer.Option(help="A file of gold labels (.jsonl).", show_default="those that ship", dir_okay=False)
]
Scores = Annotated[
    Path, typer.Option(help="Folder where values that rest on a model are kept.", callback=folder_to_write)
]
Remeasure = Annotated[bool, typer.Option("--remeasure", help="Compute every value anew.")]
Judge = Annotated[list[str] | None, typer.Option(help="Another judge model; may be repeated.", show_default="none")]


def _opened(labels: Path | None, scores: Path, remeasure: bool) -> "tuple[GoldLabels, ScoreStore]":
    from auctionsim.data import scores_folder
    from auctionsim.trust import ScoreStore, read_labels

    return read_labels(labels), ScoreStore(scores, scores_folder(), remeasure=remeasure)


def _suffixes(judges: list[str] | None) -> tuple[str, ...]:
    """Make the judges' readings known; return what follows their names."""
    from auctionsim.readings.judge import judge_suffix, register_judge

    for judge in judges or []:
        register_judge(judge)
    return tuple(judge_suffix(judge) for judge in judges or [])


@app.command("table")
def table(
    labels: Labels = None,
    judge: Judge = None,
    scores: Scores = Path("runs/trust"),
    remeasure: Remeasure = False,
) -> None:
    """Compare every known score with gold labels: agreement, biases, attacks, and which scores pass the gate."""
    from auctionsim.experiments.tables.trust import trust_table
    from auctionsim.trust.candidates import candidates, measured_candidates
    from auctionsim.trust.table_rows import table_of, trust_rows

    suffixes = _suffixes(judge)
    gold, store = _opened(labels, scores, remeasure)
    known = candidates(suffixes)
    with console.status("reading") as status:
        found = table_of(
            gold,
            known,
            dict.fromkeys([one.reading for one in known], store),
            lambda name, done, total: status.update(f"{name}: {done} of {total} texts"),
        )
        measured = trust_rows(gold, (), measured=measured_candidates() if labels is None else ())
    console.print(trust_table([*found.rows, *measured], gold))
    for name, reason in found.left_out.items():
        console.print(f"left out: {name}: {reason}", soft_wrap=True)


@app.command("gate")
def gate(
    reading: Annotated[str, typer.Argument(help="Name of a reading.")],
    better: Annotated[
        str | None,
        typer.Option(
            help="Whether lower or higher values are better.", show_default="what the reading or the table says"
        ),
    ] = None,
    labels: Labels = None,
    judge: Judge = None,
    scores: Scores = Path("runs/trust"),
    remeasure: Remeasure = False,
) -> None:
    """Compare one score with gold labels, by kind of failure, and say which rules of the gate it passes."""
    from auctionsim.errors import InputError
    from auctionsim.experiments.tables.trust import gate_table
    from auctionsim.readings import HIGHER, LOWER
    from auctionsim.readings import reading as reading_named
    from auctionsim.trust.candidates import direction, sample_of
    from auctionsim.trust.gate import GATE_KINDS, report_of
    from auctionsim.trust.scores import position_of, score_labels

    _suffixes(judge)
    if better not in (None, "lower", "higher"):
        raise InputError(f"--better must be lower or higher, got {better!r}")
    one = reading_named(reading)
    way = direction(reading) if better is None else LOWER if better == "lower" else HIGHER
    gold, store = _opened(labels, scores, remeasure)
    with console.status("reading"):
        found = score_labels(one, gold.labels, store, None, sample_of(reading))
        position = position_of(one, gold.labels, store, sample_of(reading))
    console.print(gate_table([report_of(one, found, gold.digest, way, kind, position) for kind in GATE_KINDS]))
    console.print(gold.labelled_by)


@app.command("panel")
def panel(
    labels: Labels = None,
    judge: Judge = None,
    scores: Annotated[
        Path,
        typer.Option(help="Folder where values are kept; a stopped trial continues from it.", callback=folder_to_write),
    ] = Path("runs/trust"),
    surface: Annotated[
        str, typer.Option(help="Packaged surface whose auction is asked for its choices; empty for none.")
    ] = "running-shoes-2@3",
    price: Annotated[float, typer.Option(min=0.0, help="Money that the dearest cell of a loss costs.")] = 0.5,
    prior: PriorText = "uniform:0,1",
    draws: Annotated[int, typer.Option(min=16, help="Profiles that choices are compared on.")] = 2048,
    seed: Seed = 0,
    remeasure: Remeasure = False,
) -> None:
    """Hold panels of the gated readings against the best of them, say what each member adds, and what it changes."""
    from auctionsim.data import scores_folder
    from auctionsim.experiments.running.panel_choices import ChoiceSettings, panel_choices
    from auctionsim.experiments.running.panel_losses import panel_losses, panel_trials, scored_members
    from auctionsim.experiments.tables.panel import choice_table, cost_table, panel_tables
    from auctionsim.experiments.tables.trust import gate_table
    from auctionsim.trust import ScoreStore

    suffixes = _suffixes(judge)
    gold, store = _opened(labels, scores, remeasure)
    with console.status("reading") as status:
        members = scored_members(gold, store, lambda name, done, of: status.update(f"{name}: {done} of {of} texts"))
        status.update("fitting")
        kept = ScoreStore(scores, scores_folder(), takes=False)
        trials = panel_trials(gold, kept, members, suffixes, seed)
        losses = panel_losses(gold, members)
    for title, trial in trials.by_title:
        for one in panel_tables(title, trial, gold):
            console.print(one)
    if trials.costs:
        console.print(cost_table(trials.costs, trials.verdicts))
    for report in losses.reports:
        console.print(gate_table([report]))
    for name, reason in trials.left_out.items():
        console.print(f"left out: {name}: {reason}", soft_wrap=True)
    if surface:
        settings = ChoiceSettings(prior=prior, price=price, draws=draws, seed=seed)
        console.print(choice_table(surface, panel_choices(surface, losses, scores / "panel", settings, console)))
    console.print(gold.labelled_by)


@app.command("fit")
def fit(
    out: Annotated[Path, typer.Option(help="Where to write the weights (.json).", callback=file_to_write)],
    labels: Labels = None,
    unseen: Annotated[
        Path | None,
        typer.Option(help="A file of labels to try the fit on, kept out of it.", show_default="none", dir_okay=False),
    ] = None,
    scores: Scores = Path("runs/trust"),
    remeasure: Remeasure = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the intervals' bootstrap.")] = 0,
) -> None:
    """Fit `quality` on gold labels over readings that pass the gate, and try it on each category kept out."""
    from auctionsim.experiments.tables.trust import gate_table, quality_tables
    from auctionsim.trust import fit_quality, never_fitted, quality_candidates, read_labels, write_quality

    gold, store = _opened(labels, scores, remeasure)
    with console.status("fitting"):
        fitted = fit_quality(gold, quality_candidates(), store, seed)
        beside = () if unseen is None else never_fitted(fitted.weights, read_labels(unseen), seed)
    write_quality(out, fitted, gold, beside)
    for one in (*quality_tables(fitted, beside), gate_table([fitted.report])):
        console.print(one)
    for name, reason in fitted.left_aside.items():
        console.print(f"left aside: {name}: {reason}", soft_wrap=True)
    console.print(gold.labelled_by)
    console.print(f"weights: {out}", soft_wrap=True)


@app.command("agree")
def agree(
    labels: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files of gold labels (.jsonl); labellers of all of them are compared, reply by reply.",
            show_default="those that ship",
            dir_okay=False,
        ),
    ] = None,
    field: Annotated[str, typer.Option(help="What is compared: bad, kind or rating.")] = "bad",
    judge: Annotated[
        str | None, typer.Option(help="A labeller that may stand in for the others: the alt-test.", show_default="none")
    ] = None,
    epsilon: Annotated[float, typer.Option(help="How much worse it may be, from 0 to below 1.")] = 0.15,
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals' bootstrap.")] = 0,
) -> None:
    """Say how far labellers agree beyond chance, pair by pair, and whether one may stand in for the others."""
    from auctionsim.experiments.tables.trust_agreement import agreement_table, alt_test_table, stands_in
    from auctionsim.trust import read_labels
    from auctionsim.trust.raters import joined_ratings, ratings_of

    golds = [read_labels(path) for path in labels] if labels else [read_labels(None)]
    names = [str(path) for path in labels] if labels else ["those that ship"]
    ratings = joined_ratings([ratings_of(gold, field) for gold in golds], names)
    console.print(agreement_table(ratings, field, seed))
    if judge is not None:
        found = stands_in(ratings, judge, epsilon, "distance" if field == "rating" else "match")
        console.print(alt_test_table(judge, found))
    for sentence in dict.fromkeys(gold.labelled_by for gold in golds):
        console.print(sentence)


@app.command("labels-needed")
def labels_needed(
    reading: Annotated[str, typer.Argument(help="Name of a reading that judges every reply.")] = "quality",
    width: Annotated[
        list[float] | None,
        typer.Option(help="Full width of a 95 % interval; may be repeated.", show_default="0.2, 0.1, 0.05"),
    ] = None,
    replies: Annotated[int, typer.Option(min=2, help="Replies that the reading judges, to be labelled or not.")] = 1200,
    labels: Labels = None,
    scores: Scores = Path("runs/trust"),
    remeasure: Remeasure = False,
) -> None:
    """Say how many labels an interval of a given width needs, alone and beside a reading of every reply (PPI++)."""
    import numpy as np

    from auctionsim.experiments.tables.trust_agreement import budget_table
    from auctionsim.readings import LOWER
    from auctionsim.readings import reading as reading_named
    from auctionsim.trust.candidates import direction, sample_of
    from auctionsim.trust.few_labels import label_pilot
    from auctionsim.trust.few_labels import labels_needed as needed
    from auctionsim.trust.scores import score_labels

    gold, store = _opened(labels, scores, remeasure)
    with console.status("reading"):
        found = score_labels(reading_named(reading), gold.labels, store, (), sample_of(reading))
    scored = [
        (float(label.bad), value)
        for label, value in zip(found.labels, found.values, strict=True)
        if isinstance(value, float | int)
    ]
    bad, values = np.array(scored, dtype=np.float64).reshape(-1, 2).T
    pilot = label_pilot(bad, values if direction(reading) == LOWER else -values)
    console.print(budget_table(reading, pilot, needed(width or [0.2, 0.1, 0.05], pilot, replies), replies))
    console.print(gold.labelled_by)


@app.command("study")
def study(
    judges: Annotated[str, typer.Option(help="Judges beside the default one, separated by commas.")] = "gemma3-270m",
    scores: Annotated[
        Path | None,
        typer.Option(help="Folder of kept scores, beside those that ship.", show_default="none", file_okay=False),
    ] = None,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Run folder.", callback=folder_to_write)] = Path("runs/trust-study"),
) -> None:
    """Write the trust table as a run: every kept score, what was expected, and figures; no model is run."""
    from auctionsim.experiments.studies.trust_study import TrustStudySettings, main

    named = tuple(filter(None, (part.strip() for part in judges.split(","))))
    main(TrustStudySettings(out, named, scores, seed), command_line(), console)
