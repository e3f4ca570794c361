"""Judges' means of a measurement's cells as they stand, from a loss that is measured beside the untouched reply."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.gold.cells import JudgedCells
from auctionsim.measurement.stored_replies import Asked, StoredReplies
from auctionsim.readings.protocol import HIGHER, Reading, ReferenceReading, TextReading
from auctionsim.readings.values import read_beside, read_texts
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.measurements import Measurement
from auctionsim.substrates.surface import ResponseSurface


def untouched_replies(stored: StoredReplies) -> dict[Asked, list[int]]:
    """Return the untouched replies by prompt."""
    replies = stored.kept.replies
    return {
        asked: [number for number in numbers if replies[number].intervention == 0]
        for asked, numbers in stored.by_prompt().items()
    }


def bad_values(
    judge: Reading, stored: StoredReplies, numbers: Sequence[int], untouched: Mapping[Asked, list[int]]
) -> dict[int, float | None]:
    """Return how bad the judge calls these replies, from 0 to 1, by number; None where it does not score."""
    replies = [stored.reply(number) for number in numbers]
    if isinstance(judge, TextReading):
        values = read_texts(judge, replies, stored.brands)
    else:
        assert isinstance(judge, ReferenceReading)
        beside = []
        for number in numbers:
            one = stored.kept.replies[number]
            others = untouched[Asked(one.replicate, one.context, one.prompt)]
            beside.append([stored.reply(k) for k in others if k != number])
        values = read_beside(judge, replies, stored.brands, beside)
    found = [value if isinstance(value, float) else None for value in values]
    if judge.loss == HIGHER:
        found = [None if value is None else 1 - value for value in found]
    return dict(zip(numbers, found, strict=True))


def judged_cells(
    measured: ResponseSurface | MeasuredList,
    stored: StoredReplies,
    replicate: str,
    loss: str,
    dose: Float[np.ndarray, " entry"],
    values: Sequence[float | None],
) -> JudgedCells:
    """Return the judge's means as they stand: the measured loss above the untouched replies' own mean."""
    item = Measurement(*(on_interventions(measured, part) for part in measured.replicates[replicate].losses[loss]))
    mean, error, count = (part.numpy().copy() for part in item)
    for context, name in enumerate(measured.contexts):
        own = [
            value
            for value, reply in zip(values, stored.kept.replies, strict=True)
            if value is not None and (reply.replicate, reply.context, reply.intervention) == (replicate, context, 0)
        ]
        if len(own) < 2:
            raise InputError(f"context {name!r} has fewer than two untouched replies that the judge scores")
        variance = float(np.var(own, ddof=1)) / len(own)
        mean[context] += np.mean(own)
        error[context] = np.sqrt(np.maximum(error[context] ** 2 - variance, 0))
        error[context, 0] = np.sqrt(variance)
    contexts = len(measured.contexts)
    where = np.repeat(np.arange(contexts), len(dose))
    return JudgedCells(mean.ravel(), error.ravel(), count.ravel(), np.tile(dose, contexts), where)


def on_interventions(measured: ResponseSurface | MeasuredList, array: Tensor) -> Tensor:
    """Return an array over a measurement's cells on its distinct interventions: (context, entry)."""
    return array.flatten(1, len(measured.cells.shape))[:, measured.cells.distinct]
