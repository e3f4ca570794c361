"""Verdicts on incentive claims: one sentence a system, by a rule on the regret that was measured on this exposure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from auctionsim.experiments.entries import NEITHER, SystemEntry
from auctionsim.experiments.running.board_cell import BoardCell
from auctionsim.experiments.running.run import Row
from auctionsim.report.wording import number

TOLERANCE = 1e-6
"""Money, the largest valuation being 1: a gain within it is none."""
HELD, UNVIOLATED, BROKEN, UNCLAIMED = (
    "held where it was designed",
    "no violation was found",
    "broken",
    "nothing was claimed",
)
LOWER_BOUND = "lower bound"
RULE = (
    "A verdict is a rule on numbers. A bidder's gain is what its best misreport brings it, expected over what is "
    "drawn, if it values being named on the page; all cells of a system count, categories and prices. Where a system's "
    f"authors claim that truth is dominant: “{HELD}” if no bidder gains more than {TOLERANCE:g} on replicate A and "
    f"that is proved or computed exactly; “{UNVIOLATED}” if a search found no more but is only a lower bound; "
    f"“{BROKEN}” otherwise. Gains are looked for at profiles drawn from the prior: what is exact is exact at these; "
    "only what is proved holds at all. Average gains are means over profiles of the largest among bidders. What "
    "deployment adds "
    "is the same on replicate B, where the rule charges by what it knows of A. A claim that is broken here is not "
    "refuted: its theorem is about another exposure."
)


class IncentiveVerdict(NamedTuple):
    """What was found about a system's incentives.

    Attributes:
        name: Of the system.
        claim: What its authors claim.
        verdict: `HELD`, `UNVIOLATED`, `BROKEN` or `UNCLAIMED`.
        sentence: The verdict and its numbers.
        regret_max_A: The largest gain where it was designed.
        regret_A: The mean gain there.
        regret_is_A: Its kind there: the weakest of its cells'.
        regret_max: The largest gain on B.
        regret: The mean there.
        regret_is: Its kind there.
    """

    name: str
    claim: str
    verdict: str
    sentence: str
    regret_max_A: float  # noqa: N815  # replicate A
    regret_A: float  # noqa: N815
    regret_is_A: str  # noqa: N815
    regret_max: float
    regret: float
    regret_is: str


class Gain(NamedTuple):
    """What misreports bring over some cells.

    Attributes:
        largest: Over profiles and bidders.
        mean: Over profiles, of the largest among bidders.
        kind: The weakest: "lower bound", "exact" or "proved 0".
        place: Where the largest is.
    """

    largest: float
    mean: float
    kind: str
    place: str

    @property
    def is_none(self) -> bool:
        """Whether nobody gains, as far as this tells."""
        return self.largest <= TOLERANCE

    @property
    def words(self) -> str:
        """The gain as a sentence has it."""
        least = "at least " if self.kind == LOWER_BOUND else ""
        return f"up to {least}{number(self.largest)} ({number(self.mean)} on average)"


def gain(cells: Sequence[BoardCell], replicate: str) -> Gain:
    """Return what misreports bring on "A", where cells were designed, or on "B"."""
    end = "_A" if replicate == "A" else ""
    worst = max(cells, key=lambda cell: cell.scores[f"regret_max{end}"] or 0.0)
    means = [cell.scores[f"regret{end}"] or 0.0 for cell in cells]
    kinds = {cell.regret_is_A if replicate == "A" else cell.regret_is for cell in cells}
    kind = next((one for one in (LOWER_BOUND, "exact") if one in kinds), "proved 0")
    words = f", {worst.price.words:g} more for a word of an ad" if worst.price.words else ""
    place = f"{worst.category}, λ = {worst.price.user_weight:g} on {worst.price.loss}{words}"
    return Gain(worst.scores[f"regret_max{end}"] or 0.0, sum(means) / len(means), kind, place)


def verdict(entry: SystemEntry, cells: Sequence[BoardCell]) -> IncentiveVerdict:
    """Return the verdict on a system.

    Args:
        entry: The system.
        cells: All of its own, one or more.
    """
    designed, deployed = gain(cells, "A"), gain(cells, "B")
    if entry.claim == NEITHER:
        found = UNCLAIMED
        first = f"Its authors do not claim truthfulness, and a bidder gains {designed.words}"
        if designed.is_none:
            first = f"Its authors do not claim truthfulness; no bidder gains more than {TOLERANCE:g}"
    elif not designed.is_none:
        found, first = BROKEN, f"Claimed {entry.claim}; broken on this exposure: a bidder gains {designed.words}"
    elif designed.kind == LOWER_BOUND:
        found = UNVIOLATED
        first = f"Claimed {entry.claim}; no violation was found, by a search that is only a lower bound"
    else:
        found = HELD
        first = f"Claimed {entry.claim}; held where it was designed ({_kind(designed.kind)})"
    place = f" ({designed.place})" if not designed.is_none else ""
    return IncentiveVerdict(
        entry.name, entry.claim, found, f"{first}{place}; {_deployed(deployed)}.", designed.largest,
        designed.mean, designed.kind, deployed.largest, deployed.mean, deployed.kind,
    )  # fmt: skip


def _kind(kind: str) -> str:
    return "proved" if kind == "proved 0" else "computed exactly at the profiles drawn"


def _deployed(deployed: Gain) -> str:
    if deployed.is_none:
        least = " that was found" if deployed.kind == LOWER_BOUND else ""
        return f"on other prompts no bidder gains more than {TOLERANCE:g}{least}"
    return f"on other prompts than it was designed on a bidder gains {deployed.words}"


def verdicts(cells: Sequence[BoardCell], systems: Mapping[str, SystemEntry]) -> list[IncentiveVerdict]:
    """Return the verdicts on systems that have a cell, in order.

    Args:
        cells: Of systems.
        systems: By name.
    """
    by_name = {name: [cell for cell in cells if cell.row.name == name] for name in systems}
    return [verdict(systems[name], own) for name, own in by_name.items() if own]


def verdict_rows(listed: Sequence[IncentiveVerdict]) -> list[Row]:
    """Return verdicts as a table has them."""
    return [one._asdict() for one in listed]
