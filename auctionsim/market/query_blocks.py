"""Blocks of query types that are cleared together: which campaigns may stand there, and what a bid is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from auctionsim.market.market import Market
from auctionsim.market.placements import Placement
from auctionsim.market.shortlist import ABSENT

Absences = Mapping[int, Bool[np.ndarray, " row"]]
"""By campaign, the rows in which it does not take part, of those who are there for some rows only."""


@dataclass(frozen=True)
class QueryBlock:
    """Rows of query types that are sold on one placement, all with a context or all without.

    Attributes:
        placement: Where.
        rows: Which of the category's rows.
        context: Of each row; None: the mean over contexts.
        columns: The category's campaigns that may stand here, brand by brand.
        spans: First and last place (exclusive) among `columns` of each brand.
        worth: What one exposure is worth to each campaign: valuation · relevance.
    """

    placement: Placement
    rows: Int[np.ndarray, " row"]
    context: Int[np.ndarray, " row"] | None
    columns: Int[np.ndarray, " column"]
    spans: tuple[tuple[int, int], ...]
    worth: Float[np.ndarray, "row column"]

    def scores(
        self, multiplier: Float[np.ndarray, " campaign"], taking: Bool[np.ndarray, " campaign"], absences: Absences
    ) -> Float[np.ndarray, "row column"]:
        """Return bid × relevance of every campaign in every row, `ABSENT` where it does not take part.

        Args:
            multiplier: Bids are multiplier · valuation; of the category's campaigns, as the others.
            taking: Whether the campaign is there and may still spend.
            absences: Rows that campaigns leave out.
        """
        scores = multiplier[self.columns] * self.worth
        scores[:, ~taking[self.columns]] = ABSENT
        for column in np.flatnonzero(np.isin(self.columns, list(absences))):
            scores[absences[int(self.columns[column])][self.rows], column] = ABSENT
        return np.asarray(scores)


def query_blocks(
    market: Market,
    types: Int[np.ndarray, " type"],
    members: Int[np.ndarray, " campaign"],
    valuations: Float[np.ndarray, "type signal campaign"],
) -> list[QueryBlock]:
    """Return a category's rows, sorted by what they are sold on."""
    queries, campaigns = market.query_types, market.campaigns
    relevance = queries.relevance[types][:, None, None] * campaigns.relevance[members]
    worth = (valuations * relevance).reshape(len(types) * market.signals, len(members))
    contexts = np.array([market.placements[queries.placement[k]].context(queries.context[k]) for k in types])
    kinds = [(queries.placement[k], bool(c >= 0)) for k, c in zip(types, contexts, strict=True)]
    blocks = []
    for kind in sorted(set(kinds)):
        own = np.flatnonzero([other == kind for other in kinds])
        rows = (own[:, None] * market.signals + np.arange(market.signals)).ravel()
        placement = market.placements[kind[0]]
        columns, spans = _columns(placement, [campaigns.brand[member] for member in members])
        context = np.repeat(contexts[own], market.signals) if kind[1] else None
        blocks.append(
            QueryBlock(placement, rows, context, columns, spans, np.ascontiguousarray(worth[rows][:, columns]))
        )
    return blocks


def _columns(placement: Placement, brands: Sequence[str]) -> tuple[np.ndarray, tuple[tuple[int, int], ...]]:
    """Return the places of the campaigns that may stand on a placement, brand by brand, and each brand's span."""
    by_brand = [np.flatnonzero([own == brand for own in brands]) for brand in placement.brands]
    ends = np.cumsum([len(own) for own in by_brand])
    begins = ends - [len(own) for own in by_brand]
    spans = tuple((int(begin), int(end)) for begin, end in zip(begins, ends, strict=True))
    return np.concatenate(by_brand).astype(np.int64), spans
