"""Tables of losses corrected by gold labels: cells by dose, the rectifier, and a mechanism's choices."""

from collections.abc import Iterator

import numpy as np
from rich.table import Table

from auctionsim.experiments.running.gold_choices import GoldChoices, GoldChoicesSettings
from auctionsim.experiments.running.gold_labels import Measured
from auctionsim.gold.corrections import CorrectedLoss
from auctionsim.gold.doses import doses
from auctionsim.gold.judged_means import on_interventions
from auctionsim.substrates.measurements import REPLICATES

_THIRDS = ("low", "middle", "high")


def correction_tables(measured: Measured, corrected: CorrectedLoss, loss: str) -> Iterator[Table]:
    """Yield the loss by third of the dose before and after, and the rectifier of each replicate."""
    dose = doses(measured.finite_range().allocations.double(), measured.levers).numpy()
    third = np.minimum((3 * dose / max(dose.max(), 1e-12)).astype(int), 2)
    title = f"{loss}, mean over contexts and over the settings of each third of the dose, without the untouched one"
    table = Table(title=title)
    for name in ("replicate", "dose", "settings", "judge alone", "mean error", "corrected", "mean error "):
        table.add_column(name, justify="left" if name in ("replicate", "dose") else "right")
    for replicate in REPLICATES:
        before, after = (
            [on_interventions(one, part).numpy() for part in one.replicates[replicate].losses[loss][:2]]
            for one in (measured, corrected.measured)
        )
        for k, name in enumerate(_THIRDS):
            own = np.flatnonzero((third == k) & (np.arange(len(dose)) > 0))
            if len(own):
                numbers = [part[:, own].mean() for part in (*before, *after)]
                table.add_row(replicate, name, str(len(own)), *(f"{number:.3f}" for number in numbers))
    yield table
    yield _rectifier_table(measured, corrected)


def _rectifier_table(measured: Measured, corrected: CorrectedLoss) -> Table:
    table = Table(title="gold less λ times the judge, coefficient ± standard error")
    names = [*corrected.cells[REPLICATES[0]].terms]
    names[len(names) - len(measured.contexts) + 1 :] = [f"in {context}" for context in measured.contexts[1:]]
    for name in ("replicate", *names, "judge's weight λ", "passed on κ", "cells' own effects"):
        table.add_column(name, justify="right")
    for replicate in REPLICATES:
        one = corrected.cells[replicate]
        errors = np.sqrt(np.diag(one.coefficient_covariance))
        parts = [f"{value:.3f} ± {error:.3f}" for value, error in zip(one.coefficients, errors, strict=True)]
        rest = [f"{value:.3f}" for value in (one.judge_weight, one.passed_on, one.cell_effect)]
        table.add_row(replicate, *parts, *rest)
    return table


def choices_table(choices: GoldChoices, settings: GoldChoicesSettings) -> Table:
    """Return a mechanism's revenue and user loss before and after, means ± half of their 95 % intervals."""
    title = (
        f"{settings.mechanism}, {settings.feature} sold, {settings.loss} charged at λ = {settings.user_weight:g}: "
        f"designed on A, scored on B, {choices.draws} profiles"
    )
    table = Table(title=title)
    for name in ("loss in the design", "revenue", "user loss, judge alone", "user loss, corrected"):
        table.add_column(name, justify="left" if name == "loss in the design" else "right")
    for one in (choices.before, choices.after):
        numbers = (one.revenue, one.loss_judge, one.loss_corrected)
        table.add_row(one.charged, *(f"{mean:.4f} ± {half:.4f}" for mean, half in numbers))
    return table
