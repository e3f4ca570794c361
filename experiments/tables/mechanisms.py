"""Every mechanism on one measured surface, as tables to read in a terminal."""

import math
import time
from collections.abc import Sequence

from rich.table import Table

from auctionsim import metrics
from auctionsim.mechanisms import Mechanism, VirtualWelfareMaximizer
from auctionsim.mechanisms.table import entry
from auctionsim.priors import Priors, Uniform
from auctionsim.regret import RegretEstimate, ex_post_regret
from auctionsim.scoring import Estimate, MechanismRow, draw_profiles, estimate, largest_bid
from auctionsim.substrates import ResponseSurface

OPTIMUM, AFFINE, MENU, VCG, PAY_AS_BID = (
    entry(name).label for name in ("optimum", "affine", "menu", "vcg", "pay-as-bid")
)
"""Labels of mechanisms that tables single out."""
PRIOR = Uniform(0.0, 1.0)


def recipe_sentence(*, quick: bool) -> str:
    """Say by which recipe the learned mechanisms of a section were trained."""
    return f"Learned mechanisms are trained by the {'quick' if quick else 'full'} recipe."


def regret_table(
    mechanism: Mechanism, surface: ResponseSurface, priors: Priors, *, draws: int, budget: int, seed: int
) -> Table:
    """Return the ex-post regret of a mechanism on both replicates: the largest among bidders, a profile."""
    profiles = draw_profiles(surface, priors, draws, seed)
    name = type(mechanism).__name__
    if isinstance(mechanism, VirtualWelfareMaximizer):
        name += f" (bids below the support: {mechanism.below_support})"
    table = Table(title=f"{name} on {', '.join(surface.features)}, {draws} truthful profiles")
    table.add_column("largest regret among bidders")
    columns = []
    for replicate in ("A", "B"):
        table.add_column(f"paid by replicate {replicate}", justify="right")
        scored = surface.replicate(replicate)
        began = time.perf_counter()
        high = largest_bid(surface, priors)
        regret = ex_post_regret(
            mechanism, scored, profiles.valuations, context=profiles.context, budget=budget, high=high
        )
        seconds = time.perf_counter() - began
        worst = regret.lower.amax(1)
        revenue = float(metrics.revenue(mechanism(*profiles), scored, *profiles).mean())
        columns.append(
            (
                _shown(estimate(worst)),
                f"{float(worst.quantile(0.95)):.5f}",
                f"{float(worst.max()):.5f}",
                "none proved" if regret.upper is None else f"{float(regret.upper.amax(1).mean()):.5f}",
                "–" if revenue <= 0 else f"{float(worst.mean()) / revenue:.4f}",
                _reach(regret),
                str(regret.budget),
                f"{seconds:.2f}",
                regret.method,
            )
        )
    titles = (
        "mean",
        "95th percentile",
        "max",
        "upper bound of the mean",
        "mean / revenue",
        "over bids up to",
        "misreports",
        "seconds",
        "how",
    )
    for title, *values in zip(titles, *columns, strict=True):
        table.add_row(title, *values)
    return table


def _reach(regret: RegretEstimate) -> str:
    """Return over which bids the numbers hold."""
    assert regret.bids_up_to is not None
    highest = float(regret.bids_up_to.max())
    return "any" if highest == math.inf else f"{highest:.4g}"


def comparison_tables(rows: Sequence[MechanismRow], title: str) -> tuple[Table, Table]:
    """Return one user weight's mechanisms, each on both replicates: what they bring, and what they keep of promises."""
    first = ("mechanism", "on")
    brings, keeps = Table(*first, title=title), Table(*first, title=f"{title}: truth and participation")
    brings.caption = "; ".join(dict.fromkeys(f"user loss: {row.loss}, {row.loss_unit}" for row in rows))
    for name in ("revenue", "bidder utility", "user loss", "welfare", "objective", "% of optimum"):
        brings.add_column(name, justify="right")
    for name in ("regret", "is", "IR violation", "participation gain", "objective, IR kept", "under best responses"):
        keeps.add_column(name, justify="right")
    for row in rows:
        share = "–" if row.objective_share is None else f"{100 * row.objective_share.mean:.1f}"
        means = (row.revenue, row.bidder_utility, row.user_loss, row.welfare, row.objective)
        brings.add_row(row.titled, row.replicate, *map(_shown, means), share)
        corrected = ("–" if x is None else f"{x:.4f}" for x in (row.objective_ir, row.objective_best_response))
        safety = (_shown(row.regret), row.regret_is, _shown(row.ir_violation), _shown(row.participation_gain))
        keeps.add_row(row.titled, row.replicate, *safety, *corrected)
    return brings, keeps


def _shown(value: Estimate) -> str:
    if value.standard_error is None:
        return f"{value.mean:.4f}"
    return f"{value.mean:.4f}±{value.standard_error:.4f}"
