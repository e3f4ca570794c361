"""The figures of a market run: days, the time of day, budgets and targets, and the users' parameters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.market_findings import MarketFindings
from auctionsim.experiments.tables.market_glossary import PARAMETER_WORDS
from auctionsim.experiments.tables.market_sums import campaign_rows, time_rows

DAYS, TIMES, CAMPAIGNS, PARAMETERS = (
    "over_the_days.png",
    "over_the_hours.png",
    "budgets_and_targets.png",
    "user_parameters.png",
)
FIGURES = (DAYS, TIMES, CAMPAIGNS, PARAMETERS)
"""File names of all figures."""


def draw_market(found: MarketFindings, folder: Path) -> dict[str, str]:
    """Draw all figures of a run into a folder; return captions by file name."""
    _draw_days(found.days, folder / DAYS)
    _draw_times(time_rows(found.sums, found.market), folder / TIMES)
    _draw_campaigns(campaign_rows(found.sums.campaigns, found.market), folder / CAMPAIGNS)
    captions = {
        DAYS: "Money, users and the platform's rule, day by day.",
        TIMES: "Queries, prices and who still has money, by time of the day: means over all days.",
        CAMPAIGNS: "How much of its budget each campaign spent, and how it stands to its target.",
    }
    if len(found.sensitivity) > 1:
        _draw_parameters(found.sensitivity, folder / PARAMETERS)
        captions[PARAMETERS] = "What half and twice of each number of the users does to revenue and to users left."
    return captions


def _draw_days(rows: Sequence[Row], path: Path) -> None:
    figure, ((money, people), (losses, rules)) = sheet(2, 2, (13, 8))
    days = [row["day"] for row in rows]
    marker = "o" if len(days) < 40 else None
    for name, label in (("revenue", "revenue"), ("liquid_welfare", "liquid welfare")):
        money.plot(days, [row[name] for row in rows], marker=marker, markersize=3, label=label)
    money.set(title="Money per day", xlabel="day", ylabel="money")
    people.plot(days, [row["traffic"] for row in rows], marker=marker, markersize=3, label="queries, first day = 1")
    for name in (one for one in rows[0] if one == "users_total" or one.startswith("users_of_")):
        label = "users at the day's end" if name == "users_total" else f"of type {name.removeprefix('users_of_')}"
        people.plot(days, [row[name] for row in rows], marker=marker, markersize=3, linestyle="--", label=label)
    people.set(title="Users left", xlabel="day", ylabel="share of the first day's")
    losses.plot(days, [row["sold_per_query"] for row in rows], color="black", linestyle=":", label="replies with ads")
    for name in (one for one in rows[0] if one.endswith("_per_query") and one != "sold_per_query"):
        losses.plot(days, [row[name] for row in rows], label=f"loss per reply, {name.removesuffix('_per_query')}")
    losses.set(title="What a reply is like", xlabel="day", ylabel="per reply")
    names = list(dict.fromkeys(row["rule"] for row in rows))
    rules.scatter(days, [names.index(row["rule"]) for row in rows], s=12)
    rules.set(title="Rule of the day", xlabel="day", yticks=range(len(names)), yticklabels=names)
    for panel in (money, people, losses):
        panel.set_ylim(bottom=min(0.0, panel.get_ylim()[0]))
        panel.legend(fontsize=8)
    saved(figure, path)


def _draw_times(rows: Sequence[Row], path: Path) -> None:
    panels = (
        ("queries_per_day", "Queries", "queries per tick"),
        ("revenue_per_query", "Revenue per query", "money"),
        ("price_per_exposure", "Price per unit of exposure", "money"),
        ("campaigns_with_money", "Campaigns with money left", "share of those there"),
    )
    figure, axes = sheet(1, len(panels), (4.4 * len(panels), 4))
    categories = list(dict.fromkeys(row["category"] for row in rows))
    for panel, (name, title, unit) in zip(axes.flat, panels, strict=True):
        for k, category in enumerate(categories):
            own = [row for row in rows if row["category"] == category]
            values = [np.nan if row[name] is None else row[name] for row in own]
            mark = MARKS[k % len(MARKS)]
            panel.plot([row["hour"] for row in own], values, marker=mark, markersize=3, label=category)
        panel.set(title=title, xlabel="hour of the day", ylabel=unit)
        panel.set_ylim(bottom=0)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize=8)
    saved(figure, path)


def _draw_campaigns(rows: Sequence[Row], path: Path) -> None:
    figure, ((budgets, targets),) = sheet(1, 2, (13, 4.5))
    for k, name in enumerate(dict.fromkeys(row["controller"] for row in rows)):
        own = [row for row in rows if row["controller"] == name]
        used = sorted(row["budget_use"] for row in own if row["budget_use"] is not None)
        style: Mapping[str, Any] = {"color": f"C{k}", "label": name}
        if used:
            budgets.plot(used, np.arange(1, len(used) + 1) / len(used), drawstyle="steps-post", **style)
        aimed = [row for row in own if row["target"] is not None and row["value_per_spend"] is not None]
        if aimed:
            x, y = ([row[one] for row in aimed] for one in ("target", "value_per_spend"))
            targets.scatter(x, y, s=14, marker=MARKS[k % len(MARKS)], **style)
    ends = [row["target"] for row in rows if row["target"] is not None]
    if ends:
        targets.plot([min(ends), max(ends)], [min(ends), max(ends)], color="black", linewidth=0.8, label="just reached")
        targets.set_yscale("log")
    budgets.set(title="Budgets spent", xlabel="share of the budget, all days", ylabel="share of campaigns up to it")
    targets.set(title="Targets", xlabel="target, value per money", ylabel="value won per money")
    for panel in (budgets, targets):
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=8)
        else:
            panel.text(0.5, 0.5, "no campaign has one", transform=panel.transAxes, ha="center")
    saved(figure, path)


def _draw_parameters(rows: Sequence[Row], path: Path) -> None:
    figure, (panels,) = sheet(1, 2, (13, 4))
    base, varied = rows[0], rows[1:]
    names = list(dict.fromkeys(row["parameter"] for row in varied))
    for panel, (column, title) in zip(panels, (("revenue", "Revenue"), ("users_left", "Users left")), strict=True):
        for k, factor in enumerate(dict.fromkeys(row["factor"] for row in varied)):
            own = [row for row in varied if row["factor"] == factor]
            places = [names.index(row["parameter"]) + 0.15 * (k - 0.5) for row in own]
            panel.scatter([row[column] for row in own], places, color=f"C{k}", label=f"times {factor:g}")
        panel.axvline(base[column], color="black", linewidth=0.8, label="as put in")
        panel.set(title=f"{title}, {base['days']} days", yticks=range(len(names)), xlabel=title.lower())
        panel.set_yticklabels([PARAMETER_WORDS[name] for name in names] if panel is panels[0] else [])
        panel.legend(fontsize=8)
    saved(figure, path)
