"""What the days of a market run came to: a row a day, totals, and a section of prose."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from auctionsim.experiments.running.market_days import KeptMarketRun
from auctionsim.experiments.running.run import Section, markdown_table, quoted
from auctionsim.market.conservation import Conservation
from auctionsim.market.ledger import DayLedger

SPENT = 0.99
"""Share of a budget from which on it counts as used up."""


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
    missed = (campaigns.target > 0) & (sums.value < campaigns.target * sums.spend * (1 - 1e-9))
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


def campaign_rows(run: KeptMarketRun, sums: MarketTotals) -> list[dict[str, Any]]:
    """Return a row a campaign: what it spent and won over the whole run."""
    campaigns = run.market.campaigns
    columns = zip(campaigns.name, campaigns.category, campaigns.controller, sums.spend, sums.value, strict=True)
    return [
        {"campaign": name, "category": category, "controller": controller, "spend": float(spend), "value": float(value)}
        for name, category, controller, spend, value in columns
    ]


def market_section(
    run: KeptMarketRun, days: Sequence[Mapping[str, Any]], sums: MarketTotals, money: Conservation
) -> Section:
    """Return what a reader should know of a run."""
    market = run.market
    text = (
        f"{len(market.query_types)} query types, {len(market.campaigns)} campaigns in {len(market.categories)} "
        f"categories, {run.count} days of {market.ticks_per_day} ticks, {run.config.mode} arrivals.\n\n"
        f"Revenue {sums.revenue:.6g}, liquid welfare {sums.welfare:.6g}, {sums.queries:.6g} queries; "
        f"{money.sentence}.\n\n" + markdown_table([_shown(row) for row in days])
    )
    return Section(f"A market of {len(market.campaigns)} campaigns", text, {})


def _shown(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: f"{one:.4g}" if isinstance(one, float) else quoted(str(one)) for name, one in row.items()}
