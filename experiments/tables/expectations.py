"""What was expected of a study before it ran, beside what came out: one line each, failures among them."""

from collections.abc import Sequence
from typing import NamedTuple

from auctionsim.experiments.running.run import markdown_table

HELD, PARTLY, FAILED, UNKNOWN = "as expected", "in part", "not as expected", "not judged"
"""Verdicts, each by the rule that the expectation states."""


class Expectation(NamedTuple):
    """An expectation with its verdict.

    Attributes:
        expected: What was expected, with the rule that judges it.
        outcome: The numbers.
        verdict: `HELD`, `PARTLY`, `FAILED` or `UNKNOWN`.
    """

    expected: str
    outcome: str
    verdict: str


def verdict_of(met: int, cases: int) -> str:
    """Return the verdict on an expectation that was met in some of several cases."""
    if not cases:
        return UNKNOWN
    return HELD if met == cases else PARTLY if met else FAILED


def expectations_table(listed: Sequence[Expectation]) -> str:
    """Return the expectations as a markdown table, the verdicts in bold."""
    rows = [{"expected": one.expected, "came out": one.outcome, "verdict": f"**{one.verdict}**"} for one in listed]
    return markdown_table(rows)
