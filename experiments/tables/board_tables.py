"""The board's tables: tidy rows of its cells, ranks and verdicts, with the names that a reader knows rows by."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from auctionsim.carriers.registry import CarrierEntry
from auctionsim.experiments.entries import SystemEntry
from auctionsim.experiments.running.board_cell import CARRIERS, MECHANISMS, SYSTEMS, BoardCell
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.board_lotteries import capped_ranks
from auctionsim.experiments.tables.board_ranks import AFTER, BLOCKS, block_of, block_ranks, word_ranks
from auctionsim.experiments.tables.board_scores import best_optima, cell_rows
from auctionsim.experiments.tables.board_verdicts import IncentiveVerdict, verdicts
from auctionsim.mechanisms.table import Entry


class BoardNames(NamedTuple):
    """What the rows of the board are, from the tables that they are registered in.

    Attributes:
        systems: By name.
        mechanisms: By name.
        carriers: By name.
    """

    systems: Mapping[str, SystemEntry]
    mechanisms: Mapping[str, Entry]
    carriers: Mapping[str, CarrierEntry]

    def label(self, table: str, name: str) -> str:
        """Return how a row is called; its name where nothing of that name is registered."""
        tables: Mapping[str, Mapping[str, SystemEntry | Entry | CarrierEntry]] = {
            SYSTEMS: self.systems,
            MECHANISMS: self.mechanisms,
            CARRIERS: self.carriers,
        }
        known = tables[table].get(name)
        return known.label if known else name


class BoardTables(NamedTuple):
    """The tables of the board.

    Attributes:
        systems: Cells of systems before or inside the reply, a row each.
        after: Cells of systems after it.
        mechanisms: Cells of mechanisms on one carrier.
        carriers: Cells of the optimum on each carrier.
        ranks: Of every block at every price, by objective.
        words: Of systems in one order at every price of a word of an ad.
        capped: Of lotteries at equal reply_kl, by revenue.
        verdicts: On incentive claims, a row a system.
    """

    systems: list[Row]
    after: list[Row]
    mechanisms: list[Row]
    carriers: list[Row]
    ranks: list[Row]
    words: list[Row]
    capped: list[Row]
    verdicts: list[IncentiveVerdict]


def board_tables(
    cells: Sequence[BoardCell], names: BoardNames, caps: Sequence[float], user_weight: float
) -> BoardTables:
    """Return all tables of some cells.

    Args:
        cells: Of all rows, categories and prices.
        names: What the rows are.
        caps: On reply_kl, nats per reply.
        user_weight: At which words of ads are charged.
    Raises:
        ValueError: Two cells of one row in a category at one price, or rows that were not drawn together.
    """
    best = best_optima(cells)

    def rows_in(table: str, *blocks: str) -> list[Row]:
        return _labelled(cell_rows([c for c in cells if block_of(c) in blocks], best), names, table)

    return BoardTables(
        systems=rows_in(SYSTEMS, SYSTEMS),
        after=rows_in(SYSTEMS, AFTER),
        mechanisms=rows_in(MECHANISMS, MECHANISMS),
        carriers=rows_in(CARRIERS, *(block for block, table in BLOCKS.items() if table == CARRIERS)),
        ranks=[row for one in block_ranks(cells) for row in _labelled([one], names, BLOCKS[one["block"]])],
        words=_labelled(word_ranks(cells, user_weight), names, SYSTEMS),
        capped=[row for one in capped_ranks(cells, caps) for row in _labelled([one], names, BLOCKS[one["block"]])],
        verdicts=verdicts([cell for cell in cells if cell.row.table == SYSTEMS], names.systems),
    )


def _labelled(rows: Iterable[Row], names: BoardNames, table: str) -> list[Row]:
    return [{"label": names.label(table, row["name"]), **row} for row in rows]
