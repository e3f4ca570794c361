"""Sums of a market's ledger in one pass: by campaign, by time of the day and category, and by rule."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from auctionsim.market import ClickModel, Market
from auctionsim.market.ledger import DayLedger

SPENT = 0.99
"""Share of a budget from which on it counts as used up."""
ROUNDING = 1e-9
"""Share of a target that may be missed by rounding alone."""


class CampaignSums(NamedTuple):
    """Sums of each campaign over all days.

    Attributes:
        days: On which it was there.
        spend, value: Money.
        welfare: Value, at most the budget of each day.
        exposure: Won.
        clicks: Mean number, by the click model; NaN without one.
        budget: Over the days on which it was there; infinite where it has none.
        days_spent: On which it used up its budget.
    """

    days: Int[np.ndarray, " campaign"]
    spend: Float[np.ndarray, " campaign"]
    value: Float[np.ndarray, " campaign"]
    welfare: Float[np.ndarray, " campaign"]
    exposure: Float[np.ndarray, " campaign"]
    clicks: Float[np.ndarray, " campaign"]
    budget: Float[np.ndarray, " campaign"]
    days_spent: Int[np.ndarray, " campaign"]


class TimeSums(NamedTuple):
    """Sums over days by time of the day (tick) and category.

    Attributes:
        queries: Arrivals.
        paid: Money.
        exposure: Won by all campaigns.
        sold: Replies in which anything was sold.
        bidding: Days × campaigns that had money left as the tick ended.
        present: Days × campaigns that were there.
    """

    queries: Float[np.ndarray, "tick category"]
    paid: Float[np.ndarray, "tick category"]
    exposure: Float[np.ndarray, "tick category"]
    sold: Float[np.ndarray, "tick category"]
    bidding: Float[np.ndarray, "tick category"]
    present: Float[np.ndarray, "tick category"]


class RuleSums(NamedTuple):
    """Sums over the days of one rule.

    Attributes:
        days: How many.
        queries: Arrivals.
        revenue: Money.
        sold: Replies in which anything was sold.
        losses: Of the users by name, summed over queries.
    """

    days: int
    queries: float
    revenue: float
    sold: float
    losses: Mapping[str, float]


class MarketSums(NamedTuple):
    """Sums of a ledger.

    Attributes:
        days: How many.
        campaigns: By campaign.
        times: By time of the day and category.
        rules: By rule.
        rule_of_day: Name of each day's rule.
    """

    days: int
    campaigns: CampaignSums
    times: TimeSums
    rules: Mapping[str, RuleSums]
    rule_of_day: tuple[str, ...]


def market_sums(days: Iterable[DayLedger], market: Market, clicks: ClickModel | None = None) -> MarketSums:
    """Return the sums of a ledger, each day of which is looked at once.

    Args:
        days: In order, one or more.
        market: Whose ledger it is.
        clicks: By which exposure is clicked; None: clicks are not of interest.
    """
    places = [market.members(category) for category in market.categories]
    campaigns, times = _campaign_zeros(len(market.campaigns)), _time_zeros(market, len(places))
    rules: dict[str, RuleSums] = {}
    rule_of_day = []
    for ledger in days:
        _add_campaigns(campaigns, ledger, market, clicks, places)
        _add_times(times, ledger, places)
        news = ledger.news
        before = rules.get(news.rule, RuleSums(0, 0.0, 0.0, 0.0, dict.fromkeys(news.losses, 0.0)))
        rules[news.rule] = RuleSums(
            before.days + 1,
            before.queries + news.arrivals,
            before.revenue + news.revenue,
            before.sold + news.sold,
            {name: before.losses[name] + loss for name, loss in news.losses.items()},
        )
        rule_of_day.append(news.rule)
    return MarketSums(len(rule_of_day), campaigns, times, rules, tuple(rule_of_day))


def _campaign_zeros(count: int) -> CampaignSums:
    whole, sums = np.zeros((2, count), dtype=np.int64), np.zeros((6, count))
    return CampaignSums(whole[0], sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], whole[1])


def _time_zeros(market: Market, categories: int) -> TimeSums:
    return TimeSums(*np.zeros((6, market.ticks_per_day, categories)))


def _add_campaigns(
    sums: CampaignSums, ledger: DayLedger, market: Market, clicks: ClickModel | None, places: list[np.ndarray]
) -> None:
    columns, budget = ledger.campaigns, market.campaigns.budget
    there = columns["present"].any(0)
    spend, value = columns["spend"].sum(0), columns["value"].sum(0)
    sums.days[:] += there
    sums.spend[:] += spend
    sums.value[:] += value
    sums.welfare[:] += np.minimum(value, budget)
    sums.exposure[:] += columns["exposure"].sum(0)
    sums.budget[:] += np.where(there, budget, 0.0)
    sums.days_spent[:] += there & np.isfinite(budget) & (spend >= SPENT * budget)
    if clicks is None:
        sums.clicks[:] = np.nan
        return
    share = _ad_share(ledger)
    for k, own in enumerate(places):
        sums.clicks[own] += clicks.clicks(columns["exposure"][:, own], share[:, [k]]).sum(0)


def _ad_share(ledger: DayLedger) -> Float[np.ndarray, "tick category"]:
    queries = ledger.categories["arrivals"]
    return np.asarray(np.clip(ledger.categories["sold"] / np.where(queries > 0, queries, 1.0), 0.0, 1.0))


def _add_times(sums: TimeSums, ledger: DayLedger, places: list[np.ndarray]) -> None:
    columns = ledger.campaigns
    sums.queries[:] += ledger.categories["arrivals"]
    sums.paid[:] += ledger.categories["paid"]
    sums.sold[:] += ledger.categories["sold"]
    for k, own in enumerate(places):
        sums.exposure[:, k] += columns["exposure"][:, own].sum(1)
        sums.bidding[:, k] += (columns["present"][:, own] & (columns["budget_left"][:, own] > 0)).sum(1)
        sums.present[:, k] += columns["present"][:, own].sum(1)


def missed_targets(sums: CampaignSums, market: Market) -> np.ndarray:
    """Tell which campaigns have a target of value per money spent and missed it over all days: (campaign,)."""
    target = market.campaigns.target
    missed: np.ndarray = (target > 0) & (sums.value < target * sums.spend * (1 - ROUNDING))
    return missed


def campaign_rows(sums: CampaignSums, market: Market) -> list[dict[str, Any]]:
    """Return a row per campaign over all days; None where there is no such number."""
    table, rows, missed = market.campaigns, [], missed_targets(sums, market)
    for k, name in enumerate(table.name):
        spend, value = float(sums.spend[k]), float(sums.value[k])
        limited = bool(np.isfinite(table.budget[k])) and sums.days[k] > 0
        rows.append(
            {
                "campaign": name,
                "category": table.category[k],
                "brand": table.brand[k],
                "controller": table.controller[k],
                "days_there": int(sums.days[k]),
                "spend": spend,
                "value": value,
                "value_per_spend": value / spend if spend > 0 else None,
                "budget_per_day": float(table.budget[k]) if np.isfinite(table.budget[k]) else None,
                "budget_use": spend / float(sums.budget[k]) if limited else None,
                "days_budget_used_up": int(sums.days_spent[k]),
                "target": float(table.target[k]) if table.target[k] > 0 else None,
                "target_missed": bool(missed[k]) if table.target[k] > 0 else None,
                "exposure": float(sums.exposure[k]),
                "clicks": None if np.isnan(sums.clicks[k]) else float(sums.clicks[k]),
            }
        )
    return rows


def time_rows(sums: MarketSums, market: Market) -> list[dict[str, Any]]:
    """Return a row per time of the day and category, means over days; None where nothing was asked or won."""
    rows, times = [], sums.times
    for tick in range(market.ticks_per_day):
        for k, category in enumerate(market.categories):
            queries, paid, exposure = (float(table[tick, k]) for table in (times.queries, times.paid, times.exposure))
            present = float(times.present[tick, k])
            rows.append(
                {
                    "hour": 24.0 * tick / market.ticks_per_day,
                    "category": category,
                    "queries_per_day": queries / sums.days,
                    "revenue_per_query": paid / queries if queries > 0 else None,
                    "price_per_exposure": paid / exposure if exposure > 0 else None,
                    "replies_with_ads": float(times.sold[tick, k]) / queries if queries > 0 else None,
                    "campaigns_with_money": float(times.bidding[tick, k]) / present if present > 0 else None,
                }
            )
    return rows


def rule_rows(sums: MarketSums) -> list[dict[str, Any]]:
    """Return a row per rule that was used: what its days brought and cost."""
    return [
        {
            "rule": rule,
            "days": own.days,
            "revenue_per_day": own.revenue / own.days,
            "revenue_per_query": own.revenue / own.queries if own.queries > 0 else None,
            "replies_with_ads": own.sold / own.queries if own.queries > 0 else None,
            **{
                f"{name}_per_query": loss / own.queries if own.queries > 0 else None
                for name, loss in own.losses.items()
            },
        }
        for rule, own in sums.rules.items()
    ]


def switch_rows(sums: MarketSums) -> list[dict[str, Any]]:
    """Return a row per day on which the rule was another one than the day before."""
    pairs = zip(sums.rule_of_day, sums.rule_of_day[1:], strict=False)
    return [{"day": k + 1, "before": old, "after": new} for k, (old, new) in enumerate(pairs) if old != new]


def movement_rows(market: Market, days: int) -> list[dict[str, Any]]:
    """Return a row per campaign that entered after the first moment or left before the last one, in order of time."""
    table, rows = market.campaigns, []
    for k, name in enumerate(table.name):
        for event, when in (("enters", float(table.arrival[k])), ("leaves", float(table.exit[k]))):
            if 0 < when < days:
                rows.append(
                    {
                        "day": when,
                        "event": event,
                        "campaign": name,
                        "category": table.category[k],
                        "brand": table.brand[k],
                    }
                )
    return sorted(rows, key=lambda row: (row["day"], row["campaign"]))
