"""The findings of a market run, from which its page and its figures are made, and how their tables are shown."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from auctionsim.experiments.running.run import Row, markdown_table
from auctionsim.experiments.tables.market_sums import MarketSums
from auctionsim.market import Market, RetainedUsers

MOST_LINES = 31
"""Of a table in the text; the files have all."""


class MarketFindings(NamedTuple):
    """All that the page of a market run tells of.

    Attributes:
        market: The market.
        sums: Of its ledger.
        days: A row per day.
        controllers: A row per controller.
        users: Who came back or stayed away; None: as many every day.
        sensitivity: Rows of `sensitivity_rows`; none without users.
        mode: "expected" or "sampled".
        money: The sentence on whether money is conserved.
    """

    market: Market
    sums: MarketSums
    days: Sequence[Row]
    controllers: Sequence[Row]
    users: RetainedUsers | None
    sensitivity: Sequence[Row]
    mode: str
    money: str


def shown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return a table of at most `MOST_LINES` lines, the first and the last ones."""
    if len(rows) <= MOST_LINES:
        return markdown_table(rows)
    half = MOST_LINES // 2
    gap = dict.fromkeys(rows[0], "…")
    return markdown_table([*rows[:half], gap, *rows[-half:]])
