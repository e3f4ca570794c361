"""Means over replies, and losses as they stand to the untouched reply."""

import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.readings.protocol import HIGHER, IS_ONE, LOWER, Reading
from auctionsim.substrates.measurements import Measurement


def summarise(values: Tensor) -> Measurement:
    """Return mean, standard error and count over the third axis; absent entries are NaN and do not count."""
    there = ~values.isnan()
    n = there.sum(2)
    mean = values.nanmean(2)
    squares = torch.where(there, (values - mean.unsqueeze(2)).square(), torch.zeros_like(values)).sum(2)
    return Measurement(mean, (squares / (n - 1).clamp_min(1) / n).sqrt(), n)


def relative(reading: Reading, item: Measurement) -> Measurement:
    """Return a loss relative to the untouched reply: exactly 0, with error 0, at the null, the first intervention.

    The difference of two means has the errors of both. Replies share their random numbers, which is not counted on:
    where that makes them alike the error is too large.

    Raises:
        ValueError: The reading declares that it is a loss as it stands, and is not 0 for untouched replies.
    """
    if reading.loss == IS_ONE:
        worst = float(item.mean[:, 0].abs().max())
        if worst > 0:
            raise InputError(
                f"{reading.name} declares that it {IS_ONE!r}, a loss as it stands, and has a mean of {worst:g} for "
                f"untouched replies, where a loss is 0: declare {LOWER!r} or {HIGHER!r}"
            )
        return item
    mean, error, n = item
    signed = mean - mean[:, :1] if reading.loss == LOWER else mean[:, :1] - mean
    spread = (error.square() + error[:, :1].square()).sqrt()
    spread[:, 0] = 0
    return Measurement(signed, spread, n)
