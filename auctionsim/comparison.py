"""How mechanisms compare on one measured surface: the same profiles, the optimum, regret and IR beside them.

Mechanisms are designed on replicate A and scored on A and on B. On B nothing that was designed on A is proved any more:
its regret there is the incentive gap that measurement error opens. Every regret is over bids up to the largest
valuation that the priors can hold, whatever the mechanism knows of them; what counts as rounding is a share of that.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim import metrics
from auctionsim.checks import checked_count
from auctionsim.mechanisms import Mechanism, VirtualWelfareMaximizer
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors, product
from auctionsim.regret import ex_post_regret
from auctionsim.report.records import Estimate, MechanismRow, TradeOffPoint
from auctionsim.substrates.measurements import REPLICATES
from auctionsim.substrates.surface import ResponseSurface

ROUNDING = 1e-9  # of the largest bid: what float64 leaves of 0
REACHED = 1e-6  # of the largest bid: how near a supremum is approached

MakeMechanisms = Callable[[ResponseSurface, float], Mapping[str, Mechanism]]
"""From a surface to design on and a user weight to named mechanisms."""


class _Profiles(NamedTuple):
    """Truthful profiles with their public contexts."""

    valuations: Tensor
    context: Tensor

    def first(self, count: int) -> "_Profiles":
        """Return the first `count` of them."""
        return _Profiles(self.valuations[:count], self.context[:count])


def compare(
    mechanisms: Mapping[str, Mechanism],
    surface: ResponseSurface,
    priors: Priors,
    user_weight: float,
    *,
    seed: int,
    draws: int = 4096,
    regret_draws: int = 128,
    regret_budget: int = 512,
    progress: Callable[[], None] | None = None,
) -> list[MechanismRow]:
    """Score every mechanism on both replicates, on the same truthful profiles and uniformly drawn contexts.

    Args:
        mechanisms: By name, designed on replicate A.
        surface: Sells one feature.
        priors: Valuations.
        user_weight: λ of the objective.
        seed: Of the profiles.
        draws: Profiles for the means.
        regret_draws: Profiles among them on which regret is looked for.
        regret_budget: Misreports tried for each.
        progress: Called after each row.
    Returns:
        One row a mechanism and replicate.
    """
    rows = []
    profiles = draw_profiles(surface, priors, draws, seed)
    high = largest_bid(surface, priors)
    for name in REPLICATES:
        scored = surface.replicate(name)
        best = VirtualWelfareMaximizer(scored, priors, user_weight)
        optimum = _objective(best(*profiles), scored, profiles, user_weight)
        for label, mechanism in mechanisms.items():
            row = _row(label, name, mechanism, scored, profiles, user_weight, float(optimum.mean()), high)
            rows.append(_with_regret(row, mechanism, scored, profiles.first(regret_draws), regret_budget, high))
            if progress is not None:
                progress()
    return rows


def trade_off(
    make: MakeMechanisms,
    surface: ResponseSurface,
    priors: Priors,
    user_weights: tuple[float, ...],
    *,
    seed: int,
    draws: int = 4096,
    progress: Callable[[], None] | None = None,
) -> list[TradeOffPoint]:
    """Sweep the user weight: design every mechanism anew at each, score it on both replicates."""
    points = []
    profiles = draw_profiles(surface, priors, draws, seed)
    for user_weight in user_weights:
        mechanisms = make(surface.replicate("A"), user_weight)
        for name, scored in ((name, surface.replicate(name)) for name in REPLICATES):
            best = VirtualWelfareMaximizer(scored, priors, user_weight)
            optimum = float(_objective(best(*profiles), scored, profiles, user_weight).mean())
            for label, mechanism in mechanisms.items():
                outcome = mechanism(*profiles)
                earned = float(metrics.revenue(outcome, scored, *profiles).mean())
                lost = float(metrics.user_loss(outcome, scored, *profiles).mean())
                objective = earned - user_weight * lost
                points.append(TradeOffPoint(label, name, user_weight, earned, lost, objective, optimum))
        if progress is not None:
            progress()
    return points


def draw_profiles(surface: ResponseSurface, priors: Priors, draws: int, seed: int) -> _Profiles:
    """Draw truthful profiles and contexts, float64."""
    generator = torch.Generator().manual_seed(checked_count(seed, "seed", 0))
    valuations = product(priors, surface.num_bidders, len(surface.features)).sample(draws, generator, torch.float64)
    return _Profiles(valuations, torch.randint(len(surface.contexts), (draws,), generator=generator))


def largest_bid(surface: ResponseSurface, priors: Priors) -> float:
    """Return up to which bid regret is looked for: the largest valuation that the priors can hold."""
    return float(product(priors, surface.num_bidders, len(surface.features)).high.max())


def estimate(samples: Tensor) -> Estimate:
    """Return mean and standard error of independent draws."""
    error = float(samples.std() / len(samples) ** 0.5) if len(samples) > 1 else None
    return Estimate(float(samples.mean()), error, len(samples))


def _objective(outcome: Outcome, scored: ResponseSurface, profiles: _Profiles, user_weight: float) -> Tensor:
    return metrics.revenue(outcome, scored, *profiles) - user_weight * metrics.user_loss(outcome, scored, *profiles)


def _row(
    label: str,
    replicate: str,
    mechanism: Mechanism,
    scored: ResponseSurface,
    profiles: _Profiles,
    user_weight: float,
    optimum: float,
    high: float,
) -> MechanismRow:
    outcome = mechanism(*profiles)
    objective = estimate(_objective(outcome, scored, profiles, user_weight))
    utility = metrics.utility(outcome, scored, *profiles)
    value = utility + outcome.payments
    cut = outcome._replace(payments=torch.minimum(outcome.payments, value))
    broken = bool((utility < -ROUNDING * high).any())
    return MechanismRow(
        mechanism=label,
        replicate=replicate,
        user_weight=user_weight,
        revenue=estimate(metrics.revenue(outcome, scored, *profiles)),
        bidder_utility=estimate(utility.sum(1)),
        welfare=estimate(metrics.welfare(outcome, scored, *profiles)),
        user_loss=estimate(metrics.user_loss(outcome, scored, *profiles)),
        objective=objective,
        objective_share=objective.mean / optimum if optimum > 0 else None,
        regret=Estimate(0.0, None, 0),
        regret_max=0.0,
        regret_is="",
        regret_method="",
        ir_violation=estimate(metrics.ir_violation(outcome, scored, *profiles).amax(1)),
        participation_gain=estimate(metrics.participation_gain(outcome, scored, *profiles).mean(1)),
        objective_ir=float(_objective(cut, scored, profiles, user_weight).mean()) if broken else None,
    )


def _with_regret(
    row: MechanismRow, mechanism: Mechanism, scored: ResponseSurface, few: _Profiles, budget: int, high: float
) -> MechanismRow:
    """Add regret, and the objective when every bidder answers the truthful others best."""
    regret = ex_post_regret(mechanism, scored, few.valuations, context=few.context, budget=budget, high=high)
    gap = None if regret.upper is None else float((regret.upper - regret.lower).abs().max())
    exact = gap is not None and gap <= REACHED * high  # a supremum just above a breakpoint is approached, not reached
    play = None
    if regret.max > ROUNDING * high:
        outcome = mechanism(regret.best_misreports.to(few.valuations), few.context)
        play = float(_objective(outcome, scored, few, row.user_weight).mean())
    return row._replace(
        regret=estimate(regret.lower.amax(1)),
        regret_max=regret.max,
        regret_is="exact" if exact else "lower bound",
        regret_method=regret.method,
        objective_best_response=play,
    )


def best_single_setting(surface: ResponseSurface, bidder: int, feature: str, loss_limit: float) -> Tensor | None:
    """Return the levers (lever,) that raise a brand's feature most, rivals at null, or None where none raises it.

    Both replicates and all contexts are pooled. The gain is taken one standard error lower than measured, the user loss
    one higher; it must stay under the limit. Ties go to the first setting of the grid.
    """
    index = surface.measured_features.index(feature)
    best, best_gain = None, 0.0
    for setting in single_settings(surface):
        allocation = surface.null_allocation(2, dtype=torch.float64)
        allocation[1, bidder] = setting
        views = [surface.sell(surface.measured_features[index]).replicate(name) for name in REPLICATES]
        exposure = torch.stack([view.exposure(allocation)[:, bidder, 0] for view in views]).mean(0)
        errors = [view.standard_error(allocation) for view in views]
        spread = torch.stack([error.exposure[:, bidder, 0].square() for error in errors]).sum(0).sqrt() / len(views)
        loss = torch.stack([view.user_loss(allocation)[1] for view in views]).mean()
        loss_error = torch.stack([error.user_loss[1].square() for error in errors]).sum().sqrt() / len(views)
        gain = float(exposure[1] - exposure[0] - spread.square().sum().sqrt())
        if gain > best_gain and float(loss + loss_error) < loss_limit:
            best, best_gain = setting, gain
    return best


def single_settings(surface: ResponseSurface) -> Iterator[Tensor]:
    """Yield every setting of one bidder's levers that is not its null."""
    grids = [torch.tensor(grid.values, dtype=torch.float64) for grid in surface.grids]
    nulls = torch.tensor([grid.null for grid in surface.grids], dtype=torch.float64)
    for setting in torch.cartesian_prod(*grids).view(-1, len(grids)):  # one grid alone comes flat
        if bool((setting != nulls).all()):
            yield setting
