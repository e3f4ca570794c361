"""The page of a market run in words and tables, for a reader who has seen no market before."""

from collections.abc import Callable, Mapping

import numpy as np

from auctionsim.experiments.running.run import Row, Section, quoted
from auctionsim.experiments.tables.market_findings import MarketFindings, shown_table
from auctionsim.experiments.tables.market_glossary import COLUMNS
from auctionsim.experiments.tables.market_sums import (
    MarketSums,
    campaign_rows,
    missed_targets,
    movement_rows,
    rule_rows,
    switch_rows,
    time_rows,
)
from auctionsim.experiments.tables.market_users import left_sentence, users_section
from auctionsim.market.ledger import CAMPAIGN_COLUMNS, CATEGORY_COLUMNS
from auctionsim.report.wording import listed, number, percent


def page_tables(found: MarketFindings) -> dict[str, list[Row]]:
    """Return the tables beside the text, by file name; those without rows are left out."""
    tables = {
        "days": list(found.days),
        "controllers": list(found.controllers),
        "campaigns": campaign_rows(found.sums.campaigns, found.market),
        "times_of_day": time_rows(found.sums, found.market),
        "rules": rule_rows(found.sums),
        "rule_switches": switch_rows(found.sums),
        "entries_and_exits": movement_rows(found.market, found.sums.days),
        "user_parameters": list(found.sensitivity),
    }
    return {name: rows for name, rows in tables.items() if rows}


def page_section(found: MarketFindings, figures: Mapping[str, str]) -> Section:
    """Return the text of the page.

    Args:
        found: What it tells of.
        figures: File names of PNGs, with captions.
    """
    parts = (_intro, _short, _days, _times, _budgets, _movements, users_section, _rules, _columns)
    text = "\n\n".join(filter(None, (part(found) for part in parts)))
    return Section(f"A market of {len(found.market.campaigns)} campaigns", text, figures)


def _intro(found: MarketFindings) -> str:
    market = found.market
    arrivals = (
        "Numbers of queries are their means; nothing is drawn."
        if found.mode == "expected"
        else "Queries are drawn at random around their means."
    )
    return (
        f"{len(market.campaigns):,} advertisers' campaigns bid for {len(market.query_types):,} kinds of queries in "
        f"{listed([quoted(name) for name in market.categories])}, over {_in_days(found.sums.days)}. Every query is an "
        f"auction: a rule decides how strongly the answer names each brand, and what each campaign pays. Software bids "
        f"for the campaigns; it sets its bids {market.ticks_per_day:,} times per day. {arrivals} A campaign that has "
        f"spent its budget of the day stays out until midnight. All money is in the unit of valuations."
    )


def _short(found: MarketFindings) -> str:
    sums, market, unsold = found.sums, found.market, _unsold(found)
    revenue = float(sums.campaigns.spend.sum())
    welfare, value = float(sums.campaigns.welfare.sum()), float(sums.campaigns.value.sum())
    limited = np.isfinite(market.campaigns.budget) & (sums.campaigns.days > 0)
    spent, budgets = float(sums.campaigns.spend[limited].sum()), float(sums.campaigns.budget[limited].sum())
    used = f"{percent(spent / budgets)} of all budgets were spent" if limited.any() else "no campaign has a budget"
    with_target = market.campaigns.target > 0
    targets = (
        f"{int(missed_targets(sums.campaigns, market).sum())} of {int(with_target.sum())} campaigns with a target of "
        f"value per money spent missed it"
        if with_target.any()
        else "no campaign has a target of value per money spent"
    )
    lines = [
        f"Revenue, what campaigns paid in all: {number(revenue, 4)}.",
        f"Liquid welfare, what campaigns won in money, at most the budget of each campaign and day: "
        f"{number(welfare, 4)} (without that limit {number(value, 4)}).",
        f"Budgets: {used}; {targets}.",
        left_sentence(found),
        *(
            [f"Nothing was sold in {listed([quoted(name) for name in unsold])}: no answer showed a brand for money."]
            if unsold
            else []
        ),
        f"Rules by which answers were sold: {_rule_sentence(sums)}.",
        f"Check: {found.money}.",
    ]
    return "### In short\n\n" + "\n".join(f"- {line}" for line in lines)


def _in_days(count: int) -> str:
    return f"{count:,} day{'s' if count != 1 else ''}"


def _unsold(found: MarketFindings) -> list[str]:
    """Return the names of categories in which nothing was sold on any day."""
    sold = found.sums.times.sold.sum(axis=0)
    return [name for name, amount in zip(found.market.categories, sold, strict=True) if not amount > 0]


def _rule_sentence(sums: MarketSums) -> str:
    switches = sum(old != new for old, new in zip(sums.rule_of_day, sums.rule_of_day[1:], strict=False))
    used = listed([f"{quoted(name)} on {_in_days(own.days)}" for name, own in sums.rules.items()])
    changes = {0: "never", 1: "once"}.get(switches, f"{switches} times")
    return f"{used}, changed {changes}"


def _days(found: MarketFindings) -> str:
    some = found.days[0]
    losses = [name for name in some if name.endswith("_per_query") and name != "sold_per_query"]
    rows = [
        {
            "Day": str(row["day"]),
            "Rule": quoted(str(row["rule"])),
            "Queries": number(row["queries"], 4),
            "Revenue": number(row["revenue"], 4),
            "Liquid welfare": number(row["liquid_welfare"], 4),
            "Campaigns there": str(row["campaigns"]),
            "Budgets spent": percent(row["budget_use"]),
            "Campaigns out of money": str(row["budgets_ended"]),
            "Replies with ads": percent(row["sold_per_query"]),
            **{f"Loss per reply, {quoted(name.removesuffix('_per_query'))}": number(row[name]) for name in losses},
            **({"Users left": percent(row["users_total"])} if "users_total" in row else {}),
        }
        for row in found.days
    ]
    note = (
        "Loss per reply is how much worse replies are than those of the model that nobody pays, by each measure, a "
        "mean over all replies; below 0 they are better."
    )
    return f"### Day by day\n\n{note}\n\n{shown_table(rows)}"


def _times(found: MarketFindings) -> str:
    times, market = found.sums.times, found.market
    rows = []
    for tick in range(market.ticks_per_day):
        queries, paid, exposure = (float(one[tick].sum()) for one in (times.queries, times.paid, times.exposure))
        present = float(times.present[tick].sum())
        minutes = round(24 * 60 * tick / market.ticks_per_day)
        rows.append(
            {
                "From": f"{minutes // 60:02d}:{minutes % 60:02d}",
                "Queries per day": number(queries / found.sums.days, 4),
                "Revenue per 1,000 queries": number(1000 * paid / queries if queries > 0 else None, 4),
                "Price per unit of exposure": number(paid / exposure if exposure > 0 else None, 4),
                "Campaigns with money left": percent(float(times.bidding[tick].sum()) / present if present else None),
            }
        )
    note = (
        "Means over all days and categories. Exposure is what is sold: how much an answer names a brand. A "
        "campaign without money left bids no more on that day."
    )
    return f"### Prices over the day\n\n{note}\n\n{shown_table(rows)}"


def _budgets(found: MarketFindings) -> str:
    market, sums = found.market, found.sums.campaigns
    names = np.array(market.campaigns.controller)
    limited, targets = np.isfinite(market.campaigns.budget) & (sums.days > 0), market.campaigns.target > 0
    missed = missed_targets(sums, market)
    rows = []
    for name in dict.fromkeys(market.campaigns.controller):
        own = names == name
        spend, budgets = float(sums.spend[own & limited].sum()), float(sums.budget[own & limited].sum())
        days = int(sums.days[own & limited].sum())
        all_spend = float(sums.spend[own].sum())
        rows.append(
            {
                "Bidding software": quoted(name),
                "Campaigns": str(int(own.sum())),
                "Spend": number(all_spend, 4),
                "Value won per money": number(float(sums.value[own].sum()) / all_spend if all_spend > 0 else None),
                "Budgets spent": percent(spend / budgets if budgets > 0 else None),
                "Days out of money": percent(float(sums.days_spent[own & limited].sum()) / days if days else None),
                "With a target": str(int((own & targets).sum())),
                "Targets missed": str(int((own & missed).sum())),
            }
        )
    note = "Bidding software sets a multiplier for each campaign before every tick: a bid is multiplier × valuation."
    if "none" in names:
        note += f" {quoted('none')} means no such software: the campaign bids its valuation."
    return f"### Budgets and targets\n\n{note}\n\n{shown_table(rows)}{_worst(found, missed)}"


def _worst(found: MarketFindings, missed: np.ndarray) -> str:
    """Return the campaigns that missed their target by most."""
    rows = [row for row in campaign_rows(found.sums.campaigns, found.market) if row["target_missed"]]
    if not missed.any():
        return ""
    rows = sorted(rows, key=lambda row: row["value_per_spend"] / row["target"])[:10]
    shown = [
        {
            "Campaign": quoted(row["campaign"]),
            "Bidding software": quoted(row["controller"]),
            "Target, value per money": number(row["target"]),
            "Value won per money": number(row["value_per_spend"]),
            "Spend": number(row["spend"], 4),
        }
        for row in rows
    ]
    return f"\n\nThe {len(shown)} campaigns furthest below their target:\n\n{shown_table(shown)}"


def _movements(found: MarketFindings) -> str:
    rows = [
        {
            "Campaign": quoted(row["campaign"]),
            "What": row["event"],
            "Day": number(row["day"], 4),
            "Category": quoted(row["category"]),
            "Brand": quoted(row["brand"]),
        }
        for row in movement_rows(found.market, found.sums.days)
    ]
    if not rows:
        return "### Who entered and who left\n\nAll campaigns were there from the first moment to the last."
    entered = sum(row["What"] == "enters" for row in rows)
    note = f"{entered} campaigns entered and {len(rows) - entered} left while the market ran."
    return f"### Who entered and who left\n\n{note}\n\n{shown_table(rows)}"


def _rules(found: MarketFindings) -> str:
    def shown(row: Row) -> dict[str, str]:
        losses = {
            f"Loss per reply, {quoted(name.removesuffix('_per_query'))}": number(value)
            for name, value in row.items()
            if name.endswith("_per_query") and name != "revenue_per_query"
        }
        per_query = row["revenue_per_query"]
        return {
            "Rule": quoted(row["rule"]),
            "Days": str(row["days"]),
            "Revenue per day": number(row["revenue_per_day"], 4),
            "Revenue per 1,000 queries": number(None if per_query is None else 1000 * per_query, 4),
            "Replies with ads": percent(row["replies_with_ads"]),
            **losses,
        }

    text = f"### Rules of the platform\n\n{shown_table([shown(row) for row in rule_rows(found.sums)])}"
    switches = [
        {"Day": str(row["day"]), "From": quoted(row["before"]), "To": quoted(row["after"])}
        for row in switch_rows(found.sums)
    ]
    if not switches:
        return text
    note = (
        "Days differ in more than the rule: a later day has other users and bids that have adapted. What a rule "
        "brings by itself is for a run with that rule alone."
    )
    return f"{text}\n\n{note} The rule was changed on these days:\n\n{shown_table(switches)}"


def _columns(found: MarketFindings) -> str:
    own = [name for rows in page_tables(found).values() for name in rows[0]]
    names = dict.fromkeys([*own, "tick", *CAMPAIGN_COLUMNS, *CATEGORY_COLUMNS])
    lines = [f"- {name.replace('_', ' ')}: {words}" for name in names if (words := meaning(name))]
    return "### Columns of the tables below\n\nTables have names as in the files.\n\n" + "\n".join(lines)


def meaning(name: str) -> str:
    """Return what a column of the page's tables holds; "" for one that is not known."""
    if name in COLUMNS:
        return COLUMNS[name]
    patterns: tuple[tuple[Callable[[str], bool], str], ...] = (
        (
            lambda one: one.startswith("users_of_"),
            "users of this type at the day's end, 1 = all users of the first day",
        ),
        (lambda one: one.startswith("users_left_"), "users who have left for this reason since the first day"),
        (lambda one: one.endswith("_per_query"), "this loss of the user per query"),
        (lambda one: one.startswith("loss_"), "this loss of the user, summed over queries"),
    )
    return next((words for fits, words in patterns if fits(name)), "")
