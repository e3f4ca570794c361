"""Commands about gold labels: a blind sheet, a loss corrected by it, and what an auction then chooses."""

from pathlib import Path
from typing import Annotated

import typer

from auctionsim.cli import completions
from auctionsim.cli.options import Feature, PriorText, Quick, Seed, console, file_to_write

Labelled = Annotated[
    str,
    typer.Argument(
        help="A packaged measurement's name, a file, or a run folder of `surface measure`, with stored replies.",
        autocompletion=completions.measured,
    ),
]
Sheet = Annotated[Path, typer.Option("--gold", help="A sheet of `surface label`, filled in.", dir_okay=False)]
Key = Annotated[
    Path | None, typer.Option(help="Its key.", show_default="SHEET.key.json beside the sheet", dir_okay=False)
]
LabelledLoss = Annotated[str, typer.Option(help="The loss that is corrected, a score from 0 to 1.")]
Degree = Annotated[int, typer.Option(min=1, max=3, help="Of the rectifier's polynomial in dose.")]


def label(
    name: Labelled,
    out: Annotated[Path, typer.Option(help="Sheet to write, .csv or .jsonl.", callback=file_to_write)],
    number: Annotated[int, typer.Option(min=1, help="How many replies.")] = 60,
    labeller: Annotated[
        str,
        typer.Option(
            help="Who will fill it in: 'person: NAME', 'language model: NAME' or 'rule: NAME'.",
            show_default="left to them",
        ),
    ] = "",
    seed: Seed = 0,
) -> None:
    """Draw stored replies for a blind sheet that a person labels; the key, with what each one is, is kept apart."""
    from auctionsim.experiments.running.gold_labels import draw
    from auctionsim.gold.sheet_keys import key_beside
    from auctionsim.gold.sheets import instructions_beside

    key = draw(name, out, number, seed, labeller)
    console.print(f"sheet: {out}, {len(key.rows)} replies of {len(key.strata)} strata", soft_wrap=True)
    console.print(f"instructions: {instructions_beside(out)}", soft_wrap=True)
    console.print(f"key, not for whoever labels: {key_beside(out)}", soft_wrap=True)


def correct(
    name: Labelled,
    gold: Sheet,
    out: Annotated[Path, typer.Option(help="Where to save it (.safetensors).", callback=file_to_write)],
    key: Key = None,
    loss: LabelledLoss = "quality",
    degree: Degree = 1,
) -> None:
    """Correct a measured loss by the gold labels of a sheet, and save the measurement with the corrected loss."""
    from auctionsim.experiments.running.gold_labels import corrected_named
    from auctionsim.experiments.tables.gold_labels import correction_tables

    with console.status("correcting"):
        measured, corrected, labels = corrected_named(name, gold, loss, key, degree)
        corrected.measured.save(out)
    for table in correction_tables(measured, corrected, loss):
        console.print(table)
    console.print(labels.labelled_by, soft_wrap=True)
    console.print(f"corrected: {out}", soft_wrap=True)


def choices(
    name: Labelled,
    gold: Sheet,
    key: Key = None,
    loss: LabelledLoss = "quality",
    degree: Degree = 1,
    feature: Feature = "slot_probability",
    mechanism: Annotated[
        str, typer.Option(help="A name in the table of mechanisms.", autocompletion=completions.mechanisms)
    ] = "optimum",
    user_weight: Annotated[float, typer.Option(min=0.0, help="λ, money per unit of the user loss.")] = 1.0,
    prior: PriorText = "uniform:0,1",
    draws: Annotated[int, typer.Option(min=16, help="Truthful profiles.")] = 4096,
    quick: Quick = True,
    seed: Seed = 0,
) -> None:
    """Compare a mechanism's choices on a loss by its judge alone with those on the loss that gold labels corrected."""
    from auctionsim.experiments.running.gold_choices import GoldChoicesSettings, gold_choices
    from auctionsim.experiments.running.gold_labels import corrected_named
    from auctionsim.experiments.tables.gold_labels import choices_table
    from auctionsim.priors import parse_priors

    priors = parse_priors(prior)
    settings = GoldChoicesSettings(feature, loss, mechanism, user_weight, draws, seed, quick)
    with console.status("comparing"):
        measured, corrected, labels = corrected_named(name, gold, loss, key, degree)
        found = gold_choices(measured, corrected.measured, priors, settings)
    console.print(choices_table(found, settings))
    console.print(f"another allocation in {found.changed:.1%} of the profiles", soft_wrap=True)
    console.print(labels.labelled_by, soft_wrap=True)
