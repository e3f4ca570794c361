"""A measured loss corrected by the labels of a sheet: new means, larger errors, and where the labels came from."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from auctionsim.errors import InputError, UnsupportedError
from auctionsim.gold.cells import CorrectedCells, JudgedCells, LabelledReplies
from auctionsim.gold.doses import doses
from auctionsim.gold.filled_sheets import SheetLabel, SheetLabels
from auctionsim.gold.judged_means import bad_values, judged_cells, untouched_replies
from auctionsim.gold.rectifier import DEFAULT_RECTIFIER, Rectifier, correct_cells
from auctionsim.measurement.side_files import matching
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings.protocol import HIGHER, LOWER, Reading, ReferenceReading, TextReading, basis_of
from auctionsim.readings.registry import reading
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.measurements import REPLICATES, Measurement
from auctionsim.substrates.surface import ResponseSurface

PROVENANCE = "gold_labels"
"""Name of the record of labels in a corrected measurement's provenance."""


class CorrectedLoss(NamedTuple):
    """A measurement whose loss was corrected by gold labels.

    Attributes:
        measured: The corrected one; it sells and charges what the other did.
        cells: By replicate, the corrected mean of gold in every context and distinct intervention, contexts first.
        loss_covariance: By replicate, of the corrected loss's errors in these cells; 0 at the null.
        unscored: Labelled replies that the judge could not score, and that were left out.
    """

    measured: ResponseSurface | MeasuredList
    cells: Mapping[str, CorrectedCells]
    loss_covariance: Mapping[str, Float[np.ndarray, "cell cell"]]
    unscored: int


def correct_loss(
    measured: ResponseSurface | MeasuredList,
    stored: StoredReplies,
    labels: SheetLabels,
    loss: str = "quality",
    rectifier: Rectifier = DEFAULT_RECTIFIER,
) -> CorrectedLoss:
    """Correct a loss of a measurement by the labels of a sheet that was drawn from its replies.

    Each replicate is corrected by its own labels, so that a design on A still knows nothing of B. The judge's values
    are read of the labelled and of the untouched replies alone; the others' means are the measurement's. The corrected
    loss is the rise of the probability of a bad reply above the untouched one: the rectifier's part that does not
    depend on dose cancels. Replies to one prompt count as one cluster.

    Args:
        measured: With the loss, as it was measured or read later.
        stored: Its replies.
        labels: Of a sheet of these replies.
        loss: A reading in [0, 1] that is lower or higher for better replies.
        rectifier: Which.
    Raises:
        ValueError: A sheet of another measurement, labels of replies that it has not, a loss that was not measured or
            rests on something else by now, or too few labels, see `correct_cells`.
        NotImplementedError: A loss that is no probability of single texts.
    """
    judge = _judge(measured, loss)
    _refuse_foreign(measured, stored, labels)
    order = matching(measured, stored).tolist()
    place = {intervention: entry for entry, intervention in enumerate(order)}
    levers, entries = measured.levers, measured.finite_range().allocations
    dose = doses(entries.double(), levers).numpy()
    untouched = untouched_replies(stored)
    wanted = sorted({label.row.number for label in labels.labels} | {k for some in untouched.values() for k in some})
    values = bad_values(judge, stored, wanted, untouched)
    corrected, covariances, items, records = {}, {}, {}, {}
    for name in REPLICATES:
        cells = judged_cells(
            measured, stored, name, loss, dose, [values.get(k) for k in range(len(stored.kept.replies))]
        )
        own = [one for one in labels.labels if one.row.replicate == name and values[one.row.number] is not None]
        if not own:
            raise InputError(f"no reply of replicate {name} has a label that counts: label some of each replicate")
        replies = _labelled(own, stored, place, len(dose), values)
        found = correct_cells(cells, replies, rectifier)
        mean, covariance = _relative(found, len(dose))
        corrected[name], covariances[name] = found, covariance
        items[name] = _spread(measured, name, loss, mean, covariance)
        records[name] = _fit_record(found, len(own), cells, len(dose))
    unscored = sum(values[one.row.number] is None for one in labels.labels)
    record = _record(measured, labels, loss, rectifier, unscored, records)
    return CorrectedLoss(_with_loss(measured, loss, items, record), corrected, covariances, unscored)


def _judge(measured: ResponseSurface | MeasuredList, loss: str) -> Reading:
    """Return the reading behind a loss, if labels of bad replies can correct it."""
    if loss not in measured.losses:
        raise InputError(f"the loss {loss!r} was not measured, there are: {', '.join(measured.losses)}")
    if PROVENANCE in measured.provenance:
        raise InputError("this measurement is corrected by gold labels already: correct the one that it was made of")
    one = reading(loss)
    if not isinstance(one, TextReading | ReferenceReading) or one.loss not in (LOWER, HIGHER) or one.bounds != (0, 1):
        raise UnsupportedError(
            f"labels of bad replies correct a score of single texts from 0 to 1, lower or higher being better; {loss} "
            f"lies in [{one.bounds[0]:g}, {one.bounds[1]:g}], {one.loss}, of {one.needs}"
        )
    now, then = basis_of(one), measured.bases.get(loss, "")
    if now != then:
        raise InputError(
            f"{loss} was measured on {then or 'its code'!r:.160} and rests on {now or 'its code'!r:.160} now: read it "
            "anew of this measurement first (surface read)"
        )
    return one


def _refuse_foreign(measured: ResponseSurface | MeasuredList, stored: StoredReplies, labels: SheetLabels) -> None:
    key = labels.key
    if key.digest != measured.digest:
        raise InputError(
            f"the sheet is of the measurement {key.surface} ({key.digest}), not of this one ({measured.digest})"
        )
    if key.replies != stored.digest:
        raise InputError(f"the sheet was drawn from other replies of {key.surface} than those that are stored here")
    for label in labels.labels:
        row = label.row
        if row.number >= len(stored.kept.replies):
            raise InputError(f"the label of {row.id} is of reply {row.number}, which is not in the run")
        reply = stored.kept.replies[row.number]
        if (reply.replicate, reply.context, reply.intervention) != (row.replicate, row.context, row.intervention):
            raise InputError(f"the label of {row.id} is of a reply that lies in another cell of the run")


def _labelled(
    own: Sequence[SheetLabel],
    stored: StoredReplies,
    place: Mapping[int, int],
    entries: int,
    values: Mapping[int, float | None],
) -> LabelledReplies:
    rows = [label.row for label in own]
    return LabelledReplies(
        np.array([row.context * entries + place[row.intervention] for row in rows]),
        np.array([float(label.bad) for label in own]),
        np.array([values[row.number] for row in rows], dtype=float),
        np.array([label.probability for label in own]),
        np.array([row.context * 1_000_000 + stored.kept.replies[row.number].prompt for row in rows]),
    )


def _relative(found: CorrectedCells, entries: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells' rise above the untouched one of their context, and the covariance of its errors."""
    contexts = len(found.mean) // entries
    null = np.arange(contexts).repeat(entries) * entries
    mean = found.mean - found.mean[null]
    covariance = found.covariance
    covariance = covariance - covariance[null] - covariance[:, null] + covariance[np.ix_(null, null)]
    return mean, covariance


def _spread(
    measured: ResponseSurface | MeasuredList, replicate: str, loss: str, mean: np.ndarray, covariance: np.ndarray
) -> Measurement:
    """Return the corrected loss in every cell of a measurement."""
    cells = measured.cells
    contexts, shape = len(cells.contexts), (len(cells.contexts), *cells.shape)
    entry = torch.zeros_like(cells.canonical)
    entry[cells.distinct] = torch.arange(len(cells.distinct))
    error = np.sqrt(np.diag(covariance).clip(0))
    parts = [torch.from_numpy(array.reshape(contexts, -1).copy())[:, entry[cells.canonical]] for array in (mean, error)]
    count = measured.replicates[replicate].losses[loss].n
    return Measurement(parts[0].reshape(shape), parts[1].reshape(shape), count)


def _fit_record(found: CorrectedCells, labels: int, cells: JudgedCells, entries: int) -> dict[str, Any]:
    """Return what the errors of a corrected replicate share, as JSON, see `between_cells`."""
    missed = (1 - found.judge_weight * found.passed_on) ** 2 * found.cell_effect**2
    null = (found.judge_weight * cells.standard_error[::entries]) ** 2 + missed
    return {
        "labels": labels,
        "terms": list(found.terms),
        "coefficients": found.coefficients.tolist(),
        "covariance": found.coefficient_covariance.tolist(),
        "judge_weight": found.judge_weight,
        "passed_on": found.passed_on,
        "cell_effect": found.cell_effect,
        "untouched_variance": null.tolist(),
    }


def _record(
    measured: ResponseSurface | MeasuredList,
    labels: SheetLabels,
    loss: str,
    rectifier: Rectifier,
    unscored: int,
    replicates: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "loss": loss,
        "of": measured.digest,
        "labels": len(labels.labels),
        "by": labels.by_labeller,
        "said": labels.labelled_by,
        "blank": labels.blank,
        "unscored": unscored,
        "sheet_sha256": labels.digest,
        "seed": labels.key.seed,
        "strata": [one._asdict() for one in labels.key.strata],
        "rectifier": rectifier._asdict(),
        "replicates": dict(replicates),
    }


def _with_loss(
    measured: ResponseSurface | MeasuredList, loss: str, items: Mapping[str, Measurement], record: Mapping[str, Any]
) -> ResponseSurface | MeasuredList:
    """Return the measurement with another loss in the place of one; how it goes with other losses is not known."""
    replicates = {
        name: one._replace(
            losses={**one.losses, loss: items[name]},
            covariances={pair: array for pair, array in one.covariances.items() if loss not in pair},
        )
        for name, one in measured.replicates.items()
    }
    was = measured.quantities[loss]
    basis = f"{was.basis or loss}; {record['labels']} gold labels {record['sheet_sha256'][:16]}"
    quantities = {**measured.quantities, loss: was._replace(unit="probability of a bad reply", basis=basis)}
    provenance = {**measured.provenance, PROVENANCE: dict(record)}
    if isinstance(measured, ResponseSurface):
        made: ResponseSurface | MeasuredList = ResponseSurface(
            grids=measured.grids,
            num_bidders=measured.num_bidders,
            features=measured.measured_features,
            contexts=measured.contexts,
            replicates=replicates,
            provenance=provenance,
            quantities=quantities,
        )
    else:
        made = MeasuredList(
            levers=measured.levers,
            allocations=measured.allocations,
            features=measured.measured_features,
            contexts=measured.contexts,
            replicates=replicates,
            provenance=provenance,
            quantities=quantities,
        )
    return made.sell(*measured.features, loss=dict(measured.offer.charges)).replicate(measured.scored_replicate)
