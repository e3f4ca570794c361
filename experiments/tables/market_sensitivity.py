"""How a market's results move with its users' parameters: the same days again, one parameter changed at a time.

Every line is a run of its own, not the ledger scaled: fewer users mean fewer queries, budgets that last longer, other
bids and maybe another rule, which no factor on the ledger would show. Everything else, the seed included, is the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from auctionsim.checks import checked_count
from auctionsim.market import Actors, DayRecord, Market, Simulation, SimulationSettings
from auctionsim.market.simulation import Clear
from auctionsim.market.users import PARAMETERS, RetainedUsers

FACTORS = (0.5, 2.0)


def sensitivity_rows(
    run: Callable[[RetainedUsers], Iterator[DayRecord]],
    users: RetainedUsers,
    days: int,
    factors: Sequence[float] = FACTORS,
    tick: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """Return a row for the users as they are, and one per parameter that is not 0 and factor.

    Args:
        run: Simulates days with other users, from the first day on.
        users: As they are.
        days: Of every run, ≥ 1.
        factors: By which a parameter of all types is multiplied.
        tick: Called after every run.
    """
    count = checked_count(days, "days")
    varied = [(name, factor) for name in changeable(users) for factor in factors]
    rows: list[dict[str, Any]] = []
    for name, factor in [("none", 1.0), *varied]:
        own = users if name == "none" else users.varied(name, factor)
        last = _totals(run(own), own, count)
        first = rows[0] if rows else {"days": count, **last}
        rows.append(
            {
                "parameter": name,
                "factor": factor,
                "days": count,
                **last,
                "revenue_change": last["revenue"] / first["revenue"] - 1 if first["revenue"] else None,
            }
        )
        tick()
    return rows


def changeable(users: RetainedUsers) -> list[str]:
    """Return the parameters whose multiplication changes anything."""
    return [name for name in PARAMETERS if users.varied(name, 2.0) != users]


def _totals(days: Iterator[DayRecord], users: RetainedUsers, count: int) -> dict[str, float]:
    revenue, queries, loss, users_left, traffic = 0.0, 0.0, 0.0, 1.0, 1.0
    for day in islice(days, count):
        revenue, queries = revenue + day.news.revenue, queries + day.news.arrivals
        loss += day.news.losses[users.loss]
        users_left, traffic = users.numbers(day.state.users)["total"], day.news.returning
    return {"users_left": users_left, "traffic": traffic, "queries": queries, "revenue": revenue, "loss": loss}


def with_users(
    market: Market, actors: Actors, settings: SimulationSettings, clear: Clear | None = None
) -> Callable[[RetainedUsers], Iterator[DayRecord]]:
    """Return what simulates a market with other users."""
    return lambda users: Simulation(market, replace(actors, users=users), settings, clear).days()
