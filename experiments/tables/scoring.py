"""What one mechanism brings on one measured view, and what it leaves open: flat rows, pooled over seeds."""

import math
from collections.abc import Sequence
from statistics import fmean, variance
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim import metrics
from auctionsim.comparison import REACHED, estimate
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.mechanisms import AFFINE, MENU, OPTIMUM
from auctionsim.mechanisms import VCG, Mechanism, VirtualWelfareMaximizer, train_affine_maximizer, train_menu
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors, product
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import ResponseSurface

QUANTITIES = ("revenue", "user_loss", "objective", "regret", "ir_violation", "share")
NORMAL = 1.959963984540054  # a 95 % interval is so many standard errors to each side


class Truth(NamedTuple):
    """Truthful profiles and their public contexts.

    Attributes:
        valuations: (batch, bidder, feature).
        context: (batch,), or None where the mechanism is not told and the view has one context or is averaged.
    """

    valuations: Tensor
    context: Tensor | None

    def first(self, count: int) -> "Truth":
        """Return the first `count` of them."""
        return Truth(self.valuations[:count], None if self.context is None else self.context[:count])


def drawn_truth(
    surface: ResponseSurface, priors: Priors, draws: int, seed: int, *, contexts: Sequence[int] | None = None
) -> Truth:
    """Draw truthful profiles, float64, and a context for each among `contexts`, uniformly; None: no context is told."""
    generator = torch.Generator().manual_seed(seed)
    valuations = product(priors, surface.num_bidders, len(surface.features)).sample(draws, generator, torch.float64)
    if contexts is None:
        return Truth(valuations, None)
    return Truth(valuations, torch.tensor(contexts)[torch.randint(len(contexts), (draws,), generator=generator)])


def rivals(
    view: ResponseSurface,
    priors: Priors,
    user_weight: float,
    *,
    seed: int,
    entries: int,
    menu_steps: int,
    menu_batch: int,
    affine_steps: int,
) -> dict[str, Mechanism]:
    """Return the optimum, the affine maximizer, the menu and VCG, designed on the view.

    Args:
        view: Sells one feature.
        priors: What valuations are drawn from.
        user_weight: λ.
        seed: Of what is learned.
        entries: Of the menu.
        menu_steps: Of its training.
        menu_batch: Profiles a step of it.
        affine_steps: Of the affine maximizer's training.
    """
    return {
        OPTIMUM: VirtualWelfareMaximizer(view, priors, user_weight),
        AFFINE: train_affine_maximizer(view, priors, user_weight, steps=affine_steps, seed=seed),
        MENU: train_menu(view, priors, user_weight, seed=seed, entries=entries, steps=menu_steps, batch=menu_batch),
        "VCG": VCG(view, user_weight),
    }


def objective(
    outcome: Outcome, scored_on: ResponseSurface, truth: Truth, user_weight: float
) -> Float[Tensor, " batch"]:
    """Return Σ_i t_i − user_weight · L, in money."""
    paid = metrics.revenue(outcome, scored_on, *truth)
    return paid - user_weight * metrics.user_loss(outcome, scored_on, *truth)


def best_objective(
    scored_on: ResponseSurface, priors: Priors, truth: Truth, user_weight: float
) -> Float[Tensor, " batch"]:
    """Return what the view's own virtual-welfare optimum brings on these profiles, the yardstick of `scored`."""
    best = VirtualWelfareMaximizer(scored_on, priors, user_weight)
    return objective(best(*truth), scored_on, truth, user_weight)


def scored(
    mechanism: Mechanism,
    scored_on: ResponseSurface,
    truth: Truth,
    user_weight: float,
    best: Float[Tensor, " batch"],
    *,
    regret_draws: int,
    regret_budget: int,
    high: float | None = None,
) -> Row:
    """Return a mechanism's means over truthful profiles and their standard errors, paid by `scored_on`.

    Regret and IR violation are the largest among bidders, their mean over profiles. The share is the objective over
    the optimum's on the same profiles, its error that of the paired ratio (linearised); None where the optimum's is
    not above 0: nothing can be sold.

    Args:
        mechanism: Designed anywhere.
        scored_on: The view that pays.
        truth: Profiles.
        user_weight: λ.
        best: `best_objective` on the same profiles.
        regret_draws: Profiles among them that regret is looked for on.
        regret_budget: Misreports tried where regret is searched.
        high: Largest misreport considered; default `ex_post_regret`'s.
    """
    outcome = mechanism(*truth)
    brought = objective(outcome, scored_on, truth, user_weight)
    few = truth.first(regret_draws)
    regret = ex_post_regret(mechanism, scored_on, few.valuations, context=few.context, budget=regret_budget, high=high)
    gap = None if regret.upper is None else float((regret.upper - regret.lower).abs().max())
    samples = {
        "revenue": metrics.revenue(outcome, scored_on, *truth),
        "user_loss": metrics.user_loss(outcome, scored_on, *truth),
        "objective": brought,
        "regret": regret.lower.amax(1),
        "ir_violation": metrics.ir_violation(outcome, scored_on, *truth).amax(1),
    }
    row: Row = {}
    for name, values in samples.items():
        mean, error, _ = estimate(values)
        row |= {name: mean, f"{name}_standard_error": error}
    row |= {"share": None, "share_standard_error": None}
    if is_sold(float(best.mean())):
        share = float(brought.mean() / best.mean())
        residual = estimate((brought - share * best) / best.mean())
        row |= {"share": share, "share_standard_error": residual.standard_error}
    scale = float(few.valuations.max())
    is_exact = (
        gap is not None and gap <= REACHED * scale
    )  # a supremum just above a breakpoint is approached, not reached
    row |= {"regret_is": "exact" if is_exact else "lower bound", "regret_max": regret.max}
    return row | {"n": len(brought), "regret_n": len(few.valuations)}


def is_sold(optimum: float) -> bool:
    """Tell whether an optimum's objective is above 0 by more than rounding."""
    return optimum > 1e-9


def pooled(rows: Sequence[Row], quantities: Sequence[str] = QUANTITIES) -> Row:
    """Return the mean over seeds (or draws) of rows of `scored`, its standard error and 95 % interval.

    The standard error is the larger of what the spread of the seeds' means says and what their own errors say, over
    the root of their number: with two or three seeds the first alone is often small by luck.

    Args:
        rows: Of one mechanism; one at least.
        quantities: Which numbers.
    """
    found: Row = {}
    for name in quantities:
        known = [row for row in rows if row[name] is not None]
        keys = (name, f"{name}_standard_error", f"{name}_low", f"{name}_high")
        if not known:
            found |= dict.fromkeys(keys)
            continue
        means = [row[name] for row in known]
        within = fmean((row[f"{name}_standard_error"] or 0.0) ** 2 for row in known)
        between = variance(means) if len(means) > 1 else 0.0
        mean, error = fmean(means), math.sqrt(max(within, between) / len(known))
        found |= dict(zip(keys, (mean, error, mean - NORMAL * error, mean + NORMAL * error), strict=True))
    exact = all(row["regret_is"] == "exact" for row in rows)
    found |= {"regret_is": "exact" if exact else "lower bound", "regret_max": max(row["regret_max"] for row in rows)}
    return found | {"runs": len(rows), "n": sum(row["n"] for row in rows), "regret_n": sum(r["regret_n"] for r in rows)}


def ratio(above: Row, quantity: str) -> tuple[float, float] | None:
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
