"""One category's part of a market: it clears a tick, and splits it exactly where a budget ends.

Nothing crosses between categories but the orders that campaigns get and the spend that they report, so that categories
may live in different processes; every sum is taken in one order, wherever it is taken.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from auctionsim.market.clearing import ClearedRows, cleared_rows
from auctionsim.market.market import Market
from auctionsim.market.query_blocks import Absences, QueryBlock, query_blocks
from auctionsim.market.shortlist import ABSENT, NOBODY, Shortlist, next_scores, shortlist

ROUNDING = 1e-12
"""Share of a budget within which it counts as spent."""


class TickCall(NamedTuple):
    """The orders and the traffic of one category for one tick.

    Attributes:
        day, tick: Which.
        multiplier: Bids are multiplier · valuation.
        participation: Share of query types that are bid for.
        taking: Whether the campaign is there and may still spend.
        budget_left: Money.
        traffic: What mean arrivals are multiplied by: users that are left, for instance.
        rule: Name of the rule that all placements are sold by; "": the usual one.
        sampled: Whether arrivals are drawn.
    """

    day: int
    tick: int
    multiplier: Float[np.ndarray, " campaign"]
    participation: Float[np.ndarray, " campaign"]
    taking: Bool[np.ndarray, " campaign"]
    budget_left: Float[np.ndarray, " campaign"]
    traffic: float = 1.0
    rule: str = ""
    sampled: bool = False


class CampaignTally(NamedTuple):
    """Sums of a tick for each campaign, over queries.

    Attributes:
        spend: Money paid, at most what was left.
        value: Valuation · relevance · exposure, in money.
        exposure: Won.
        auctions: Queries that were bid for.
        shortlisted: Queries in which the campaign stood for its brand.
        ended: When its budget ended, as a share of the tick; NaN: it did not.
    """

    spend: Float[np.ndarray, " campaign"]
    value: Float[np.ndarray, " campaign"]
    exposure: Float[np.ndarray, " campaign"]
    auctions: Float[np.ndarray, " campaign"]
    shortlisted: Float[np.ndarray, " campaign"]
    ended: Float[np.ndarray, " campaign"]

    @classmethod
    def nothing(cls, campaigns: int) -> "CampaignTally":
        """Return zeros; their arrays may be written to."""
        spend, value, exposure, auctions, shortlisted = np.zeros((5, campaigns))
        return cls(spend, value, exposure, auctions, shortlisted, np.full(campaigns, np.nan))


class Tally(NamedTuple):
    """Sums of a tick over a category's queries: campaigns, users, money.

    Attributes:
        campaigns: To each campaign.
        paid: Money, summed over query types instead of campaigns: the same as their spend, up to rounding.
        arrivals: Queries.
        losses: Of the users, by name, summed over queries.
        sold: Replies in which anything was sold.
        splits: How often the tick was split.
    """

    campaigns: CampaignTally
    paid: float
    arrivals: float
    losses: Mapping[str, float]
    sold: float
    splits: int


class FrozenTick(NamedTuple):
    """The bids of a tick as it begins.

    Attributes:
        blocks: Rows of query types that are cleared together.
        scores: Of each block (row, column): bid × relevance, `ABSENT` where a campaign does not take part.
        weights: Queries of each of the category's rows: means, or drawn.
    """

    blocks: tuple[QueryBlock, ...]
    scores: tuple[np.ndarray, ...]
    weights: Float[np.ndarray, " row"]


class _Open:
    """A block during a tick: the scores of those who take part, and what every row's auction gives."""

    def __init__(self, block: QueryBlock, market: Market, call: TickCall, absences: Absences) -> None:
        self.block, self.market, self.rule = block, market, call.rule
        self.scores = block.scores(call.multiplier, call.taking, absences)
        self.standing = shortlist(self.scores, block.spans)
        self.following = next_scores(self.scores, self.standing, block.spans) if market.entry_price else None
        self.gives = self._cleared(np.arange(len(block.rows)))

    def _cleared(self, rows: Int[np.ndarray, " row"]) -> ClearedRows:
        """Clear some rows, as they stand."""
        block = self.block
        return cleared_rows(
            block.placement,
            self.rule,
            Shortlist(*(column[rows] for column in self.standing)),
            None if block.context is None else block.context[rows],
            self.market.losses,
            None if self.following is None else self.following[rows],
        )

    def leave(self, campaign: int) -> None:
        """Clear again, without a campaign, the rows in which it made a difference."""
        place = np.flatnonzero(self.block.columns == campaign)
        if not len(place):
            return
        column = int(place[0])
        brand = next(b for b, (begin, end) in enumerate(self.block.spans) if begin <= column < end)
        there = self.standing.campaign[:, brand] == column
        if self.following is not None:
            there |= self.scores[:, column] >= self.following[:, brand]
        self.scores[:, column] = ABSENT
        rows = np.flatnonzero(there)
        if not len(rows):
            return
        again = shortlist(self.scores[rows], self.block.spans)
        for old, new in zip(self.standing, again, strict=True):
            old[rows] = new
        if self.following is not None:
            self.following[rows] = next_scores(self.scores[rows], again, self.block.spans)
        gives = self._cleared(rows)
        self.gives.payments[rows], self.gives.exposure[rows] = gives.payments, gives.exposure
        self.gives.sold[rows] = gives.sold
        for name, loss in gives.losses.items():
            self.gives.losses[name][rows] = loss

    def who(self) -> Int[np.ndarray, "row brand"]:
        """Return the category's campaign that stands for each brand, `NOBODY` where none does."""
        standing = self.standing.campaign
        return np.where(standing == NOBODY, NOBODY, self.block.columns[standing])

    def value(self) -> Float[np.ndarray, "row brand"]:
        """Return what the exposure is worth to who stands for each brand."""
        standing = self.standing.campaign
        worth = np.take_along_axis(self.block.worth, np.maximum(standing, 0), 1)
        return np.where(standing == NOBODY, 0.0, worth * self.gives.exposure)


class CategoryMarket:
    """A category of a market.

    Args:
        market: The whole.
        category: Which.
    """

    def __init__(self, market: Market, category: str) -> None:
        self.market, self.category = market, category
        self.members = market.members(category)
        self.types = market.types(category)
        self.blocks = query_blocks(market, self.types, self.members, market.valuations(category))

    def tick(self, call: TickCall) -> Tally:
        """Clear a tick.

        Args:
            call: Arrays over the category's campaigns, in the order of `members`.
        """
        weights = self._weights(call)
        absences = self._absences(call)
        open_blocks = [_Open(block, self.market, call, absences) for block in self.blocks]
        book = _Book(len(self.members), self.market.losses, call.budget_left)
        if call.sampled:
            _in_order(open_blocks, book, weights, self._generator("order", call))
        else:
            _by_rates(open_blocks, book, weights)
        return book.tally(float(weights.sum()))

    def frozen(self, call: TickCall) -> FrozenTick:
        """Return a tick as it begins: everybody's scores, and how many queries of each row arrive."""
        absences = self._absences(call)
        scores = tuple(block.scores(call.multiplier, call.taking, absences) for block in self.blocks)
        return FrozenTick(tuple(self.blocks), scores, self._weights(call))

    def _weights(self, call: TickCall) -> Float[np.ndarray, " row"]:
        """Return the arrivals of each row: means, or drawn."""
        begin, end = (24.0 * k / self.market.ticks_per_day for k in (call.tick, call.tick + 1))
        means = self.market.query_types.arriving(begin, end)[self.types] * call.traffic / self.market.signals
        rows = np.repeat(means, self.market.signals)
        return self._generator("arrivals", call).poisson(rows).astype(np.float64) if call.sampled else rows

    def _absences(self, call: TickCall) -> Absences:
        """Return which rows campaigns leave out that bid for a share of them only, drawn anew every tick."""
        left_out = {}
        rows = len(self.types) * self.market.signals
        for place in np.flatnonzero(call.taking & (call.participation < 1)):
            name = self.market.campaigns.name[self.members[place]]
            draws = self._generator("participation", call, name).random(rows)
            left_out[int(place)] = draws >= call.participation[place]
        return left_out

    def _generator(self, what: str, call: TickCall, *more: str) -> np.random.Generator:
        return self.market.generator(what, self.category, call.day, call.tick, *more)


class _Book:
    """Sums of a tick while it goes on, and what budgets are left."""

    def __init__(self, campaigns: int, losses: Sequence[str], left: Float[np.ndarray, " campaign"]) -> None:
        self.given, self.left = left, left.copy()
        self.won = CampaignTally.nothing(campaigns)
        self.paid = self.sold = 0.0
        self.losses = dict.fromkeys(losses, 0.0)
        self.splits = 0

    def spending(self, blocks: Sequence[_Open], weights: Float[np.ndarray, " row"]) -> Float[np.ndarray, " campaign"]:
        """Return what each campaign would spend on so many queries of each row."""
        return self._by_campaign(blocks, [one.gives.payments for one in blocks], weights)

    def _by_campaign(
        self, blocks: Sequence[_Open], amounts: Sequence[np.ndarray], weights: Float[np.ndarray, " row"]
    ) -> Float[np.ndarray, " campaign"]:
        total = np.zeros(len(self.left) + 1)  # the last place is nobody's
        for one, amount in zip(blocks, amounts, strict=True):
            weighted = weights[one.block.rows][:, None] * amount
            total += np.bincount(one.who().ravel() % len(total), weighted.ravel(), len(total))
        return total[:-1]

    def add(
        self, blocks: Sequence[_Open], weights: Float[np.ndarray, " row"], spend: Float[np.ndarray, " campaign"]
    ) -> None:
        """Add so many queries of each row, for which campaigns spend so much."""
        won = self.won
        won.spend[:] += spend
        self.left -= np.where(np.isinf(self.left), 0.0, spend)
        won.value[:] += self._by_campaign(blocks, [one.value() for one in blocks], weights)
        won.exposure[:] += self._by_campaign(blocks, [one.gives.exposure for one in blocks], weights)
        ones = [np.ones_like(one.gives.exposure) for one in blocks]
        won.shortlisted[:] += self._by_campaign(blocks, ones, weights)
        for one in blocks:
            own = weights[one.block.rows]
            won.auctions[one.block.columns] += np.einsum("r,rc->c", own, one.scores >= 0)
            self.paid += float((own[:, None] * one.gives.payments).sum())
            self.sold += float((own * one.gives.sold).sum())
            for name in self.losses:
                self.losses[name] += float((own * one.gives.losses[name]).sum())

    def end(self, blocks: Sequence[_Open], campaigns: Int[np.ndarray, " some"], when: float) -> None:
        """Take campaigns out whose budget has ended."""
        self.splits += 1
        for campaign in campaigns:
            self.won.ended[campaign] = when
            for one in blocks:
                one.leave(int(campaign))

    def tally(self, arrivals: float) -> Tally:
        """Return the sums; parts of a tick add up to a budget but for rounding, which is not spent."""
        np.minimum(self.won.spend, self.given, out=self.won.spend)
        return Tally(self.won, self.paid, arrivals, self.losses, self.sold, self.splits)


def _by_rates(blocks: Sequence[_Open], book: _Book, weights: Float[np.ndarray, " row"]) -> None:
    """Let queries flow at even rates through the tick, until each budget ends."""
    passed = 0.0
    while passed < 1:
        rates = book.spending(blocks, weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            until = np.where(rates > 0, book.left / rates, np.inf)
        step = min(float(until.min(initial=np.inf)), 1 - passed)
        ends = np.flatnonzero(until <= step * (1 + ROUNDING))
        spend = rates * step
        spend[ends] = book.left[ends]
        book.add(blocks, weights * step, spend)
        passed = passed + step if len(ends) else 1.0
        if len(ends):
            book.left[ends] = 0.0
            book.won.spend[ends] = book.given[ends]
            book.end(blocks, ends, passed)


def _in_order(
    blocks: Sequence[_Open], book: _Book, counts: Float[np.ndarray, " row"], generator: np.random.Generator
) -> None:
    """Let drawn queries come one after the other; who cannot pay for one bids no more, from that one on."""
    spend = book.spending(blocks, counts)
    if (spend <= book.left * (1 + ROUNDING)).all():
        book.add(blocks, counts, np.minimum(spend, book.left))
        return
    order = generator.permutation(np.repeat(np.arange(len(counts)), counts.astype(np.int64)))
    begin = 0
    while begin < len(order):
        counts = np.bincount(order[begin:], minlength=len(counts)).astype(np.float64)
        spend = book.spending(blocks, counts)
        over = np.flatnonzero(spend > book.left * (1 + ROUNDING))
        if not len(over):
            book.add(blocks, counts, np.minimum(spend, book.left))
            return
        stops = [_affordable(blocks, int(place), order[begin:], float(book.left[place])) for place in over]
        first = min(stops)
        counts = np.bincount(order[begin : begin + first], minlength=len(counts)).astype(np.float64)
        book.add(blocks, counts, np.minimum(book.spending(blocks, counts), book.left))
        begin += first
        gone = over[np.array(stops) == first]
        book.end(blocks, gone, begin / len(order))


def _affordable(blocks: Sequence[_Open], campaign: int, order: Int[np.ndarray, " query"], left: float) -> int:
    """Return how many queries, in order, a campaign can pay for."""
    prices = np.zeros(sum(len(one.block.rows) for one in blocks))
    for one in blocks:
        own = np.where(one.who() == campaign, one.gives.payments, 0.0).sum(1)
        prices[one.block.rows] = own
    too_much = prices[order].cumsum() > left * (1 + ROUNDING)
    return int(too_much.argmax()) if too_much.any() else len(order)
