"""Rows of one mechanism over seeds, draws or brand sets as one: means, standard errors, intervals, ratios."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, variance
from typing import Any

from auctionsim.scoring.records import EXACT, LOWER_BOUND, PROVED

Flat = dict[str, Any]
QUANTITIES = ("revenue", "user_loss", "objective", "regret", "ir_violation", "objective_share")
NORMAL = 1.959963984540054  # a 95 % interval is so many standard errors to each side


def pooled(rows: Sequence[Mapping[str, Any]], quantities: Sequence[str] = QUANTITIES) -> Flat:
    """Return the mean over seeds (or draws) of one mechanism's rows, its standard error and 95 % interval.

    The standard error is the larger of what the spread of the seeds' means says and what their own errors say, over
    the root of their number: with two or three seeds the first alone is often small by luck.

    Args:
        rows: Of one mechanism, flat as `tidy` writes them; one at least.
        quantities: Which numbers.
    Returns:
        Each quantity, its `_standard_error`, `_low` and `_high` (None where no row has it); `regret_is`, `regret_max`,
        `recipe`, `loss` and `loss_unit`; `runs`, and `n` and `regret_n` profiles in all.
    """
    whole: Flat = {}
    for name in quantities:
        with_it = [row for row in rows if row[name] is not None]
        keys = (name, f"{name}_standard_error", f"{name}_low", f"{name}_high")
        if not with_it:
            whole |= dict.fromkeys(keys)
            continue
        means = [row[name] for row in with_it]
        within = fmean((row[f"{name}_standard_error"] or 0.0) ** 2 for row in with_it)
        between = variance(means) if len(means) > 1 else 0.0
        mean, error = fmean(means), math.sqrt(max(within, between) / len(with_it))
        whole |= dict(zip(keys, (mean, error, mean - NORMAL * error, mean + NORMAL * error), strict=True))
    natures = {row["regret_is"] for row in rows}
    weakest = next(nature for nature in (LOWER_BOUND, EXACT, PROVED) if nature in natures)
    whole |= {"regret_is": weakest, "regret_max": max(row["regret_max"] for row in rows)}
    whole |= {name: rows[0][name] for name in ("recipe", "loss", "loss_unit")}
    draws = {"n": "revenue_draws", "regret_n": "regret_draws"}
    return whole | {"runs": len(rows)} | {name: sum(row[column] for row in rows) for name, column in draws.items()}


def ratio(above: Mapping[str, Any], quantity: str) -> tuple[float, float] | None:
    """Return a pooled quantity over the revenue and its standard error (errors taken as independent).

    Returns:
        None where the revenue is not above 0 by two standard errors: a ratio would say nothing.
    """
    revenue, revenue_error = above["revenue"], above["revenue_standard_error"]
    if revenue <= max(2 * revenue_error, 1e-9):
        return None
    share = above[quantity] / revenue
    error = math.hypot(above[f"{quantity}_standard_error"], share * revenue_error) / revenue
    return share, error
