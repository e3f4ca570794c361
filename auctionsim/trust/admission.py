"""Admission of a score as a loss: by a report of the gate that it passed, on the whole battery of attacks."""

import dataclasses

from auctionsim.errors import InputError, UnsupportedError
from auctionsim.readings.protocol import Reading, ReferenceReading, TextReading
from auctionsim.trust.attacks import battery
from auctionsim.trust.gate import GateReport


def as_loss(one: Reading, report: GateReport) -> Reading:
    """Return a score as a loss, if it passed the gate.

    Args:
        one: The reading that the report is of.
        report: Of the gate, on this basis.
    Raises:
        NotImplementedError: It did not pass, or was not tried on the whole battery; names the rule and the numbers.
        ValueError: The report is another reading's, or on another basis.
    """
    basis = "" if one.basis is None else one.basis()
    if (report.reading, report.basis) != (one.name, basis):
        raise InputError(
            f"the report is of {report.reading} on {report.basis or 'nothing'!r}, not of {one.name} on {basis!r}"
        )
    if not isinstance(one, TextReading | ReferenceReading):
        raise UnsupportedError(f"{one.name} is no score of texts: it needs {one.needs}")
    if not report.passed:
        raise UnsupportedError(
            f"{one.name} may not feed a loss, as it failed the gate on {report.kind}: {report.failure}"
        )
    tried = {effect.attack for effect in report.attacks}
    left_out = [attack.name for attack in battery() if attack.name not in tried]
    if left_out:
        raise UnsupportedError(f"{one.name} may not feed a loss: it was not tried on {', '.join(left_out)}")
    return dataclasses.replace(one, loss=report.better, admission=report.digest)
