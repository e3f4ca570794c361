"""Cases that pacing controllers are checked on: terms of a few campaigns, ticks in a row, and what becomes of them."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np

from auctionsim.market import CampaignTerms, Controller, Orders, State, TickNews, TickStart
from auctionsim.testing.strategies import Draw


class TickCase(NamedTuple):
    """What a tick brings, each (campaign,): presence, and what is won if anything is bid.

    Attributes:
        present: Whether the campaign is there.
        share: Of the money that is left (of one unit of money, where there is no budget) that is spent.
        value: Won, in money.
    """

    present: np.ndarray
    share: np.ndarray
    value: np.ndarray


class ControllerCase(NamedTuple):
    """Campaigns' terms and some ticks in a row, from the first of the first day on."""

    terms: CampaignTerms
    ticks: tuple[TickCase, ...]


class ControllerStep(NamedTuple):
    """One tick of a course: how it began, the memory before it, the orders, the news, and the memory after it."""

    start: TickStart
    before: State
    orders: Orders
    news: TickNews
    after: State


def course(
    controller: Controller, case: ControllerCase, kept: Callable[[State], State] = dict
) -> Iterator[ControllerStep]:
    """Yield the ticks of a case: what is spent and won follows from the case wherever something is bid.

    Args:
        controller: Its orders are not checked here.
        case: Terms and ticks.
        kept: Passes the memory on from one call to the next.
    """
    terms = case.terms
    state, left = kept(controller.begin(copied(terms))), terms.budget.copy()
    for number, tick in enumerate(case.ticks):
        day, of_day = divmod(number, terms.ticks_per_day)
        left = terms.budget.copy() if of_day == 0 else left
        start = TickStart(day, of_day, left, tick.present)
        orders = controller.orders(state, copied(terms), copied(start))
        news = _news(start, tick, orders)
        after = kept(controller.learn(state, copied(terms), copied(news)))
        yield ControllerStep(start, state, orders, news, after)
        state, left = after, news.budget_left


def alone(case: ControllerCase, row: int) -> ControllerCase:
    """Return one campaign's case; none where there is no such row."""
    part = slice(row, row + 1)
    terms = CampaignTerms(case.terms.budget[part], case.terms.target[part], case.terms.ticks_per_day)
    return ControllerCase(terms, tuple(TickCase(*(column[part] for column in tick)) for tick in case.ticks))


def _news(start: TickStart, tick: TickCase, given: Orders) -> TickNews:
    """Return what a tick brings: nothing where nothing is bid, at most what is left where something is."""
    taking = start.present & (start.budget_left > 0)
    won = taking & (np.asarray(given.multiplier) > 0) & (np.asarray(given.participation) > 0)
    spend = np.where(won, tick.share * np.where(np.isinf(start.budget_left), 1.0, start.budget_left), 0.0)
    value, auctions = np.where(won, tick.value, 0.0), np.where(won, 8.0, 0.0)
    after = np.maximum(start.budget_left - spend, 0.0)
    sums = spend, value, value, auctions
    ended = np.where(won & (after <= 0), 0.5, np.nan)
    orders = (np.array(column, dtype=np.float64) for column in given)
    return TickNews(start.day, start.tick, *sums, after, start.present, taking, ended, *orders)


def copied(record: Any) -> Any:
    """Return a record of arrays whose arrays are its own."""
    return type(record)(*(np.array(part) if isinstance(part, np.ndarray) else part for part in record))


@st.composite
def controller_cases(draw: Draw) -> ControllerCase:
    """Draw terms of one to three campaigns, and up to five ticks of days of one to four."""
    count, ticks_per_day = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    budgets = st.sampled_from((np.inf, 1.0, 0.25, 1e-6, 1e6))
    targets = st.sampled_from((0.0, 1.0, 0.5, 4.0))

    def column(of: st.SearchStrategy[Any]) -> np.ndarray:
        return np.array(draw(st.lists(of, min_size=count, max_size=count)))

    terms = CampaignTerms(column(budgets), column(targets), ticks_per_day)
    parts = st.sampled_from((0.0, 1.0, 0.5, 0.125))
    ticks = [
        TickCase(column(st.booleans()), column(parts), column(st.sampled_from((0.0, 1.0, 0.5, 100.0))))
        for _ in range(draw(st.integers(1, 5)))
    ]
    return ControllerCase(terms, tuple(ticks))
