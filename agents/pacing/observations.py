"""What a campaign observes as a tick begins, as text: a fact a line, for bidders that read."""

from collections.abc import Mapping

import numpy as np

from auctionsim.market import CampaignTerms, State, TickNews, TickStart

LAST = ("multiplier", "auctions", "exposure", "value", "spend")
"""Columns of the last tick's news that are remembered and observed."""


def no_observations(terms: CampaignTerms) -> State:
    """Return the memory of a campaign's ticks, before the first."""
    count = len(terms.budget)
    return {name: np.zeros(count) for name in (*LAST, "ticks", "value_so_far", "spend_so_far")}


def after_news(state: State, news: TickNews) -> State:
    """Return the memory of a campaign's ticks after one more; ticks that it was shut out of do not count."""
    news_of = news._asdict()
    after = {name: np.where(news.taking, news_of[name], state[name]) for name in LAST}
    after["ticks"] = state["ticks"] + news.taking
    for name in ("value", "spend"):
        after[f"{name}_so_far"] = state[f"{name}_so_far"] + np.where(news.taking, news_of[name], 0.0)
    return after


def observation(state: State, terms: CampaignTerms, start: TickStart, row: int) -> str:
    """Return one campaign's observation: the same text for the same facts, to six digits, whoever else there is.

    Args:
        state: As `after_news` returns it.
        terms: Of all campaigns.
        start: The tick's.
        row: Which campaign.
    """
    last = {name: state[name][row] for name in LAST} if state["ticks"][row] else None
    facts = {
        "day": f"{start.day}",
        "tick": f"{start.tick} of {terms.ticks_per_day}",
        "budget per day": _amount(terms.budget[row], np.inf),
        "budget left today": _amount(start.budget_left[row], np.inf),
        "target value per money": _amount(terms.target[row], 0.0),
        "value so far": _amount(state["value_so_far"][row]),
        "spend so far": _amount(state["spend_so_far"][row]),
        "last multiplier": "none" if last is None else _amount(last["multiplier"]),
        "last tick, queries": "none" if last is None else _amount(last["auctions"]),
        "last tick, exposure": "none" if last is None else _amount(last["exposure"]),
        "last tick, value": "none" if last is None else _amount(last["value"]),
        "last tick, spend": "none" if last is None else _amount(last["spend"]),
    }
    return "\n".join(f"{name}: {fact}" for name, fact in facts.items())


def observed_numbers(text: str) -> Mapping[str, float]:
    """Return the numbers of an observation by name, NaN where it says "none": what a policy of numbers reads.

    Example:
        >>> observed_numbers("day: 0\\ntick: 3 of 24\\nbudget left today: none")
        {'day': 0.0, 'tick': 3.0, 'budget left today': nan}
    """
    facts = (line.partition(": ")[::2] for line in text.splitlines())
    return {name: float("nan") if fact == "none" else float(fact.split()[0]) for name, fact in facts}


def _amount(value: float, nothing: float | None = None) -> str:
    return "none" if value == nothing else f"{value:.6g}"
