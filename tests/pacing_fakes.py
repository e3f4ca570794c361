"""A plain loop of repeated auctions of one item, many markets side by side, to hold pacing controllers to theory."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from auctionsim.market import CampaignTerms, Controller, Orders, TickNews, TickStart


class Draws(NamedTuple):
    """A tick's queries: valuations (query, market, bidder), and the best bid of nobody's (query, market)."""

    values: np.ndarray
    outside: np.ndarray


class Course(NamedTuple):
    """What happened, each (tick, market, bidder)."""

    multiplier: np.ndarray
    participation: np.ndarray
    spend: np.ndarray
    value: np.ndarray


def uniform_draws(seeds: int, bidders: int, queries: int, *, rival: bool = False) -> Callable[[int], Draws]:
    """Return draws from U[0, 1], a market per seed; a rival outside bids its valuation."""
    generators = [np.random.default_rng([seed, bidders]) for seed in range(seeds)]

    def tick(_: int) -> Draws:
        numbers = np.stack([one.random((queries, bidders + 1)) for one in generators], 1)
        return Draws(numbers[..., :-1], numbers[..., -1] * rival)

    return tick


def repeated_auctions(
    controller: Controller, terms: CampaignTerms, draws: Callable[[int], Draws], shape: tuple[int, int], *, first: bool
) -> Course:
    """Run one day of auctions under first or second price.

    A bid is at most the money that is left as the tick begins; a tick that would cost more is cut in proportion.

    Args:
        controller: Bids for every bidder of every market.
        terms: Of all bidders, market by market.
        draws: A tick's queries.
        shape: Numbers of markets and bidders.
        first: Whether the price is the bid.
    """
    state, left, course = controller.begin(terms), terms.budget.copy(), []
    present = np.ones(len(left), dtype=bool)
    generator = np.random.default_rng(1)
    for tick in range(terms.ticks_per_day):
        start = TickStart(0, tick, left, present)
        orders, taking = controller.orders(state, terms, start), left > 0
        spend, value = cleared(draws(tick), orders, taking, left, generator, shape, first)
        share = np.minimum(1, left / np.maximum(spend, 1e-300))
        spend, value = spend * share, value * share
        left = np.where(share < 1, 0.0, left - spend)
        nothing = np.zeros(len(left))
        ended = np.where(share < 1, share, np.nan)
        news = TickNews(0, tick, spend, value, nothing, nothing, left, present, taking, ended, *orders)
        state = controller.learn(state, terms, news)
        course.append((*orders, spend, value))
    return Course(*(np.stack(column).reshape(-1, *shape) for column in zip(*course, strict=True)))


def cleared(
    drawn: Draws,
    orders: Orders,
    taking: np.ndarray,
    left: np.ndarray,
    generator: np.random.Generator,
    shape: tuple[int, int],
    first: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return spend and value of a tick, market by market."""
    bids = np.minimum(drawn.values * orders.multiplier.reshape(shape), left.reshape(shape))
    bidding = taking.reshape(shape) & (generator.random(bids.shape) < orders.participation.reshape(shape))
    bids = np.where(bidding, bids, 0.0)
    every = np.concatenate([bids, drawn.outside[..., None]], 2)
    best = every.argmax(2)
    ranked = np.sort(every, 2)
    price = ranked[..., -1] if first else ranked[..., -2]
    wins = (best[..., None] == np.arange(shape[1])) & (bids > 0)
    return (wins * price[..., None]).sum(0).ravel(), (wins * drawn.values).sum(0).ravel()
