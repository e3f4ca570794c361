"""Ranks on the board: rows share one unless the interval of their paired difference on B excludes 0.

Cells of a category hold their objective under the same bootstrap draws of prompts and profiles. The deviations of the
differences of two rows' draws, times each cell's `spread` (a bootstrap of few prompts is too narrow by that factor),
have the standard error of the difference; the interval is Student's. A difference may come from one context alone,
whose few prompts say little of their variance: Satterthwaite's degrees of freedom, from what prompts count as by
context, allow for it. All categories together are the mean of the categories, and their variances add up.

Source:
    Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 6 (standard errors; the bootstrap's are
    too small by √((m − 1)/m) with m draws); Satterthwaite (1946), "An approximate distribution of estimates of variance
    components".
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from auctionsim.errors import InputError
from auctionsim.experiments.running.board_cell import CARRIERS, MECHANISMS, SYSTEMS, BoardCell, Price, RowName
from auctionsim.experiments.running.prompt_intervals import CONFIDENCE, Array, PromptMean, ranking_by
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.carrier_orders import TOGETHER

AFTER, CARRIERS_AFTER = "after", "carriers after"
"""Systems, and carriers, whose ads are put on the page after the reply, which costs them no reply_kl: apart."""
BLOCKS = {SYSTEMS: SYSTEMS, AFTER: SYSTEMS, MECHANISMS: MECHANISMS, CARRIERS: CARRIERS, CARRIERS_AFTER: CARRIERS}
"""Rows that are ranked together, by name, and the table that they are of."""
_MANY = 1e6  # degrees of freedom: Student's is the normal law
_ROUNDING = 1e-12  # of sums of float64: differences within it are none


class Contender(NamedTuple):
    """A row of the board where it is ranked.

    Attributes:
        row: Which.
        cells: At one price, one of each category that counts.
    """

    row: RowName
    cells: tuple[BoardCell, ...]

    def mean(self, name: str) -> float | None:
        """Return the mean of a score over categories; None where one of them has none."""
        values = [cell.scores[name] for cell in self.cells]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if len(known) == len(values) else None


def block_of(cell: BoardCell) -> str:
    """Return among which rows a cell is ranked, one of `BLOCKS`."""
    apart = {SYSTEMS: AFTER, CARRIERS: CARRIERS_AFTER}
    return apart.get(cell.row.table, cell.row.table) if cell.acts_after else cell.row.table


def contenders(cells: Sequence[BoardCell], price: Price, category: str) -> list[Contender]:
    """Return the rows that have a cell at a price in a category, or in every category that any row has, in order.

    Args:
        cells: Of one block.
        price: Of the user's loss.
        category: One, or `TOGETHER`.
    Raises:
        ValueError: Two cells of one row in a category at one price.
    """
    own = [cell for cell in cells if cell.price == price and category in (TOGETHER, cell.category)]
    categories = list(dict.fromkeys(cell.category for cell in own))
    by_row: dict[RowName, dict[str, BoardCell]] = {}
    for cell in own:
        there = by_row.setdefault(cell.row, {})
        if cell.category in there:
            raise InputError(f"two cells are of {cell.row.name} in {cell.category} at {cell.price}")
        there[cell.category] = cell
    whole = {row: there for row, there in by_row.items() if len(there) == len(categories)}
    return [Contender(row, tuple(there[name] for name in categories)) for row, there in whole.items()]


def interval(one: Contender, score: str = "objective") -> PromptMean:
    """Return a row's mean of "objective" or "revenue" over categories, with its 95 % interval."""
    return _combined([_category_mean(cell, None, score) for cell in one.cells])


def gap(one: Contender, other: Contender, score: str = "objective") -> PromptMean:
    """Return the paired difference of two rows, the first less the second, with its 95 % interval.

    Raises:
        ValueError: Rows of other categories, or cells whose bootstraps took other draws.
    """
    for a, b in zip(one.cells, other.cells, strict=True):
        if a.category != b.category or _shape(a) != _shape(b):
            raise InputError(f"{a.row.name} and {b.row.name} were not drawn together in {a.category}, {b.category}")
    return _combined([_category_mean(a, b, score) for a, b in zip(one.cells, other.cells, strict=True)])


def _shape(cell: BoardCell) -> tuple[int, list[int]]:
    return len(cell.revenue_draws), [len(context) for context in cell.influences]


class _CategoryMean(NamedTuple):
    """An estimate in one category: its variance, and Σ v²/ν over the contexts' parts v of it with ν degrees."""

    mean: float
    variance: float
    squares: float


def _category_mean(cell: BoardCell, other: BoardCell | None, score: str) -> _CategoryMean:
    """Return a cell's score, or how far it is above another cell's."""
    value, draws, contexts = _numbers(cell, score)
    if other is not None:
        theirs = _numbers(other, score)
        value, draws = value - theirs[0], draws - theirs[1]
        contexts = [a - b for a, b in zip(contexts, theirs[2], strict=True)]
    parts = [(one.var(ddof=1) / len(one) / len(contexts) ** 2, len(one) - 1) for one in contexts]
    squares = sum(float(part) ** 2 / degrees for part, degrees in parts)
    return _CategoryMean(value, float(draws.var(ddof=1)) * cell.spread**2, squares)


def _numbers(cell: BoardCell, score: str) -> tuple[float, Array, list[Array]]:
    """Return a score, its draws and what prompts count as in it, by context."""
    draws, influences = cell.draws, cell.influences
    if score == "revenue":
        draws, influences = cell.revenue_draws, cell.revenue_influences
    value = cell.scores[score]
    if value is None:
        raise InputError(f"{cell.row.name} in {cell.category} has no {score}")
    return value, np.array(draws), [np.array(one) for one in influences]


def _combined(parts: Sequence[_CategoryMean]) -> PromptMean:
    """Return the mean of independent estimates with its interval."""
    from scipy.special import stdtrit

    count = len(parts)
    mean = sum(part.mean for part in parts) / count
    total = sum(part.variance for part in parts) / count**2
    if math.sqrt(total) <= _ROUNDING:
        mean = 0.0 if abs(mean) <= _ROUNDING else mean
        return PromptMean(mean, mean, mean)
    squares = sum(part.squares for part in parts) / count**4
    freedom = min(total**2 / squares, _MANY) if squares else _MANY
    half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * math.sqrt(total)
    return PromptMean(mean, mean - half, mean + half)


def rank_rows(cells: Sequence[BoardCell], price: Price, category: str, score: str = "objective") -> list[Row]:
    """Return the rows of a block at a price, best first, with ranks and how far each is behind the first.

    Args:
        cells: Of one block, or of blocks that are to be in one order.
        price: Of the user's loss.
        category: One, or `TOGETHER`.
        score: "objective" or "revenue".
    """
    return ranked(contenders(cells, price, category), category, score)


def ranked(rows: Sequence[Contender], category: str, score: str = "objective") -> list[Row]:
    """Return contenders, best first, with ranks and how far each is behind the first.

    Args:
        rows: At one price.
        category: What the table says of where.
        score: "objective" or "revenue".
    """
    if not rows:
        return []
    ends = [interval(one, score) for one in rows]
    ranks = ranking_by([end.mean for end in ends], lambda i, j: gap(rows[i], rows[j], score))
    first = rows[ranks.order[0]]
    listed = []
    for k in ranks.order:
        one, price = rows[k], rows[k].cells[0].price
        behind = PromptMean(0.0, 0.0, 0.0) if one is first else gap(first, one, score)
        listed.append(
            {"category": category, **price._asdict(), "name": one.row.name, "carrier": one.row.carrier,
             "mechanism": one.row.mechanism, "rank": ranks.rank[k], "best_rank": ranks.best[k],
             "worst_rank": ranks.worst[k], **ends[k].columns(score), **behind.columns("behind"),
             "resolved": ranks.resolved}
        )  # fmt: skip
    return listed


def block_ranks(cells: Sequence[BoardCell]) -> Iterator[Row]:
    """Yield ranks, block by block and price by price where ads' words are free, all categories together first."""
    for block in BLOCKS:
        own = [cell for cell in cells if block_of(cell) == block]
        prices = dict.fromkeys(cell.price for cell in own if not cell.price.words)
        categories = dict.fromkeys(cell.category for cell in own)
        for price in prices:
            for category in (TOGETHER, *categories):
                yield from ({"block": block, **row} for row in rank_rows(own, price, category))


def word_ranks(cells: Sequence[BoardCell], user_weight: float) -> list[Row]:
    """Return systems before, inside and after the reply in one order, at each price of a word of an ad.

    Args:
        cells: All of them.
        user_weight: At which words are charged, money per nat of reply_kl + ρ · ad words.
    """
    own = [cell for cell in cells if cell.row.table == SYSTEMS]
    prices = dict.fromkeys(
        cell.price for cell in own if cell.price.loss == "reply_kl" and cell.price.user_weight == user_weight
    )
    return [row for price in sorted(prices, key=lambda one: one.words) for row in rank_rows(own, price, TOGETHER)]
