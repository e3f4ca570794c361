"""One cell of the reference corpus: an environment, a learner and a seed, a row for each bidder; and every column."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from auctionsim.errors import InputError
from auctionsim.records import Record

TEXT, WHOLE, NUMBER = "text", "whole", "number"


class CorpusColumn(NamedTuple):
    """A column of the corpus.

    Attributes:
        kind: "text", "whole" or "number".
        meaning: With its unit, a clause for a stranger.
        may_be_none: Whether a row can lack it.
    """

    kind: str
    meaning: str
    may_be_none: bool = False


COLUMNS: Mapping[str, CorpusColumn] = {
    "environment": CorpusColumn(TEXT, "Gymnasium id"),
    "learner": CorpusColumn(TEXT, "name of the learner, the same for all bidders"),
    "constraint": CorpusColumn(TEXT, "none, or budget: bids must keep to a spend per auction, and so must deviations"),
    "seed": CorpusColumn(WHOLE, "of learning and of the auctions that are scored"),
    "bidder": CorpusColumn(WHOLE, "from 0 on"),
    "bidders": CorpusColumn(WHOLE, "in the auction"),
    "utility": CorpusColumn(NUMBER, "what the bidder earns per auction, all bidding as they learned, money"),
    "utility_error": CorpusColumn(NUMBER, "its standard error over drawn auctions"),
    "regret": CorpusColumn(
        NUMBER,
        "estimated gain of the best deviation that was tried, per auction, the others bidding as they learned; "
        "unbiased for that deviation, so a lower bound in expectation, and not clipped at 0",
    ),
    "regret_upper": CorpusColumn(NUMBER, "upper bound on the regret where one is proved, at 95 % confidence", True),
    "regret_method": CorpusColumn(TEXT, "how the regret came about; begins with proof where truth is the best reply"),
    "exploitability": CorpusColumn(NUMBER, "mean of the regret over bidders"),
    "exploitability_low": CorpusColumn(NUMBER, "lower end of its 95 % interval over drawn auctions", True),
    "exploitability_high": CorpusColumn(NUMBER, "upper end", True),
    "over_truth": CorpusColumn(
        NUMBER, "what the learned bids earn above the truthful ones against the same others, per auction, money"
    ),
    "over_truth_error": CorpusColumn(NUMBER, "its standard error, paired over drawn auctions"),
    "truthful_play_utility": CorpusColumn(NUMBER, "what the bidder earns per auction where all tell the truth, money"),
    "worth": CorpusColumn(
        NUMBER, "what the bidder's exposure is worth to it where all tell the truth, per auction, money"
    ),
    "bid_ratio": CorpusColumn(NUMBER, "mean bid over mean valuation"),
    "distance_to_truth": CorpusColumn(NUMBER, "root mean squared distance of bids from valuations, money"),
    "distance_to_equilibrium": CorpusColumn(
        NUMBER, "the same from the equilibrium in closed form, where one is known", True
    ),
    "budget": CorpusColumn(NUMBER, "money per auction that may be spent on average", True),
    "spend": CorpusColumn(NUMBER, "money per auction that is spent"),
    "revenue": CorpusColumn(NUMBER, "payments of all bidders per auction, money"),
    "truthful_play_revenue": CorpusColumn(NUMBER, "the same where all tell the truth"),
    "user_loss": CorpusColumn(NUMBER, "what the user loses per auction, in the substrate's unit"),
    "truthful_play_user_loss": CorpusColumn(NUMBER, "the same where all tell the truth"),
    "seconds": CorpusColumn(NUMBER, "that learning took, on the machine that made the cell"),
    "steps": CorpusColumn(WHOLE, "auctions that were cleared while bidders learned, those for trial bids included"),
}
"""Every column of the corpus, in order."""
KEY = ("environment", "learner", "seed", "bidder")


class CorpusCell(NamedTuple):
    """A cell: an environment, a learner and a seed.

    Attributes:
        rows: One a bidder, in order, by `COLUMNS`.
    """

    rows: tuple[dict[str, Any], ...]


def corpus_cell_document(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a cell as JSON has it."""
    return {"rows": [{name: row[name] for name in COLUMNS} for row in rows]}


def corpus_cell_from(record: Record) -> CorpusCell:
    """Return the cell of a document that `corpus_cell_document` made.

    Raises:
        ValueError: Something else.
    """
    rows = tuple(_row(one.only(*COLUMNS)) for one in record.records("rows"))
    count = rows[0]["bidders"] if rows else 0
    if not rows or len(rows) != count or [row["bidder"] for row in rows] != list(range(count)):
        raise InputError("a cell of the corpus has one row for each bidder, from 0 on")
    if any(row[name] != rows[0][name] for row in rows for name in ("environment", "learner", "seed")):
        raise InputError("a cell of the corpus is of one environment, learner and seed")
    for name in ("worth", "budget"):
        if any(row[name] is not None and row[name] <= 0 for row in rows):
            raise InputError(f"{name} must be above 0 in every row of a cell of the corpus")
    return CorpusCell(rows)


def _row(record: Record) -> dict[str, Any]:
    return {name: _value(record, name, column) for name, column in COLUMNS.items()}


def _value(record: Record, name: str, column: CorpusColumn) -> Any:
    if column.may_be_none and record.value(name) is None:
        return None
    if column.kind == TEXT:
        return record.text(name)
    return record.whole(name, 0) if column.kind == WHOLE else record.number(name)
