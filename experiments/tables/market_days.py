"""What the days of a market run came to: a row per day and controller, and totals."""

from typing import Any, NamedTuple

import numpy as np

from auctionsim.experiments.running.market_days import KeptMarketRun
from auctionsim.experiments.tables.market_sums import ROUNDING, SPENT
from auctionsim.market.ledger import DayLedger


class MarketTotals(NamedTuple):
    """Sums of a whole run.

    Attributes:
        revenue: Money.
        welfare: Σ over campaigns and days of what they won, in money, at most their budget of the day: liquid welfare.
        queries: Arrivals.
        spend: (campaign,), over all days.
        value: (campaign,), likewise.
    """

    revenue: float
    welfare: float
    queries: float
    spend: np.ndarray
    value: np.ndarray


def day_rows(run: KeptMarketRun) -> list[dict[str, Any]]:
    """Return a row a day, with what users and platform say of themselves."""
    rows = []
    for ledger in run.days():
        row = day_row(ledger)
        for what, actor in (("users", run.actors.users), ("platform", run.actors.platform)):
            numbers = {} if actor is None else actor.numbers(getattr(ledger.state, what))
            row |= {f"{what}_{name}": one for name, one in numbers.items()}
        rows.append(row)
    return rows


def day_row(ledger: DayLedger) -> dict[str, Any]:
    """Return what a day came to: what was sold by which rule, what that cost users, and how budgets were used."""
    spend, value = ledger.campaigns["spend"].sum(0), ledger.campaigns["value"].sum(0)
    budget = ledger.campaigns["budget_left"][0] + ledger.campaigns["spend"][0]
    limited = ledger.campaigns["present"].any(0) & np.isfinite(budget)
    queries = ledger.news.arrivals or np.nan
    return {
        "day": ledger.news.day,
        "rule": ledger.news.rule,
        "traffic": ledger.news.traffic,
        "queries": ledger.news.arrivals,
        "revenue": ledger.news.revenue,
        "value": float(value.sum()),
        "liquid_welfare": float(np.minimum(value, budget).sum()),
        "campaigns": int(ledger.campaigns["present"].any(0).sum()),
        "budget_use": float(spend[limited].sum() / budget[limited].sum()) if limited.any() else np.nan,
        "budgets_ended": int((spend[limited] >= SPENT * budget[limited]).sum()),
        "splits": int(ledger.categories["splits"].sum()),
        "sold_per_query": ledger.news.sold / queries,
        **{f"{name}_per_query": loss / queries for name, loss in ledger.news.losses.items()},
    }


def totals(run: KeptMarketRun) -> MarketTotals:
    """Return the sums of a run."""
    campaigns = len(run.market.campaigns)
    revenue, welfare, queries = 0.0, 0.0, 0.0
    spend, value = np.zeros(campaigns), np.zeros(campaigns)
    for ledger in run.days():
        of_day = ledger.campaigns["value"].sum(0)
        revenue, queries = revenue + ledger.news.revenue, queries + ledger.news.arrivals
        welfare += float(np.minimum(of_day, run.market.campaigns.budget).sum())
        spend += ledger.campaigns["spend"].sum(0)
        value += of_day
    return MarketTotals(revenue, welfare, queries, spend, value)


def controller_rows(run: KeptMarketRun, sums: MarketTotals) -> list[dict[str, Any]]:
    """Return a row a controller: what its campaigns spent and won, and how many missed their target of return."""
    campaigns = run.market.campaigns
    names = np.array(campaigns.controller)
    missed = (campaigns.target > 0) & (sums.value < campaigns.target * sums.spend * (1 - ROUNDING))
    rows = []
    for name in dict.fromkeys(campaigns.controller):
        own = names == name
        rows.append(
            {
                "controller": name,
                "campaigns": int(own.sum()),
                "spend": float(sums.spend[own].sum()),
                "value": float(sums.value[own].sum()),
                "value_per_spend": float(sums.value[own].sum() / max(sums.spend[own].sum(), 1e-300)),
                "with_target": int((own & (campaigns.target > 0)).sum()),
                "target_missed": int((own & missed).sum()),
            }
        )
    return rows
