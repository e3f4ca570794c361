"""The scorer: what one mechanism brings on one view under truthful bids, and what it leaves open.

All mechanisms are scored on a `Case`: the same profiles, and the same yardstick, the virtual-welfare optimum of the
view that pays. A mechanism may have been designed elsewhere, such as on replicate A when B pays; then nothing that was
proved of it there is proved here, and its regret is the incentive gap that measurement error opens. Every regret is
over bids up to the largest valuation that the priors can hold, whatever the mechanism knows of them; what counts as
rounding is a share of that.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim import metrics
from auctionsim.checks import checked_count, checked_money
from auctionsim.mechanisms import Mechanism, VirtualWelfareMaximizer
from auctionsim.mechanisms.protocol import dsic_proof_of
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors
from auctionsim.regret import RegretEstimate, ex_post_regret
from auctionsim.scoring.profiles import Profiles, draw_profiles, largest_bid
from auctionsim.scoring.records import EXACT, LOWER_BOUND, PROVED, Estimate, MechanismRow
from auctionsim.substrates.measured import Measured
from auctionsim.substrates.protocol import Substrate, charged_loss_of

ROUNDING = 1e-9  # of the largest bid: what float64 leaves of 0
REACHED = 1e-6  # of the largest bid: how near a supremum is approached
SOLD = 1e-9  # money: an optimum's objective below it is rounding


@dataclass(frozen=True)
class ScoringSettings:
    """Settings of a scorer: how much is computed for a row.

    Attributes:
        draws: Profiles for the means.
        regret_draws: Profiles among them that regret is looked for on; all of them where there are fewer.
        regret_budget: Misreports tried for each and bidder, where regret is searched.
    """

    draws: int = 4096
    regret_draws: int = 128
    regret_budget: int = 512

    def __post_init__(self) -> None:
        checked_count(self.draws, "draws", 2)
        checked_count(self.regret_draws, "regret_draws")
        checked_count(self.regret_budget, "regret_budget")


STANDARD = ScoringSettings()


class Case(NamedTuple):
    """Where mechanisms are scored, the same for all.

    Attributes:
        view: Pays exposure and says what the user loses.
        user_weight: λ.
        profiles: Truthful ones.
        optimum: (batch,), the yardstick's objective on each; None where more than one feature is sold.
        high: Up to which bid regret is looked for.
        settings: How much is computed.
    """

    view: Substrate
    user_weight: float
    profiles: Profiles
    optimum: Tensor | None
    high: float
    settings: ScoringSettings


def case_of(
    view: Substrate,
    priors: Priors,
    user_weight: float,
    settings: ScoringSettings = STANDARD,
    *,
    seed: int,
    profiles: Profiles | None = None,
) -> Case:
    """Return the case of a view, with its profiles and its yardstick.

    Args:
        view: Pays.
        priors: Valuations.
        user_weight: λ ≥ 0.
        settings: How much is computed.
        seed: Of the profiles.
        profiles: Drawn already; None draws them, in all contexts.
    """
    weight = checked_money(user_weight, "user_weight")
    drawn = draw_profiles(view, priors, settings.draws, seed) if profiles is None else profiles
    return Case(view, weight, drawn, yardstick(view, priors, weight, drawn), largest_bid(view, priors), settings)


def yardstick(
    view: Substrate, priors: Priors, user_weight: float, profiles: Profiles
) -> Float[Tensor, " batch"] | None:
    """Return what the view's own virtual-welfare optimum brings on each profile; None for more than one feature."""
    if len(view.features) != 1:
        return None
    return objective(VirtualWelfareMaximizer(view, priors, user_weight)(*profiles), view, profiles, user_weight)


def objective(outcome: Outcome, view: Substrate, profiles: Profiles, user_weight: float) -> Float[Tensor, " batch"]:
    """Return Σ_i t_i − user_weight · L, in money."""
    earned = metrics.revenue(outcome, view, *profiles)
    return earned - user_weight * metrics.user_loss(outcome, view, *profiles)


def score(label: str, mechanism: Mechanism, case: Case, *, recipe: str = "") -> MechanismRow:
    """Return a mechanism's row on a case.

    Args:
        label: Of the mechanism.
        mechanism: Designed anywhere; one that charges for what is delivered charges for what the view delivers.
        case: Where it is scored.
        recipe: "quick" where it was trained by the quick recipe.
    """
    view, profiles = case.view, case.profiles
    mechanism = mechanism.delivered(view)
    outcome = mechanism(*profiles)
    brought = objective(outcome, view, profiles, case.user_weight)
    utility = metrics.utility(outcome, view, *profiles)
    few = profiles.first(case.settings.regret_draws)
    regret = ex_post_regret(
        mechanism, view, few.valuations, context=few.context, budget=case.settings.regret_budget, high=case.high
    )
    charged = charged_loss_of(view)
    return MechanismRow(
        mechanism=label,
        replicate=replicate_of(view),
        user_weight=case.user_weight,
        revenue=estimate(metrics.revenue(outcome, view, *profiles)),
        bidder_utility=estimate(utility.sum(1)),
        welfare=estimate(metrics.welfare(outcome, view, *profiles)),
        user_loss=estimate(metrics.user_loss(outcome, view, *profiles)),
        objective=estimate(brought),
        objective_share=share_of(brought, case.optimum),
        regret=estimate(regret.lower.amax(1)),
        regret_max=regret.max,
        regret_is=nature_of(regret, mechanism, case),
        regret_method=regret.method,
        ir_violation=estimate(metrics.ir_violation(outcome, view, *profiles).amax(1)),
        participation_gain=estimate(metrics.participation_gain(outcome, view, *profiles).mean(1)),
        objective_ir=_with_payments_cut(outcome, utility, case),
        objective_best_response=_under_best_responses(mechanism, regret, few, case),
        recipe=recipe,
        loss=charged.name,
        loss_unit=charged.unit,
    )


def nature_of(regret: RegretEstimate, mechanism: Mechanism, case: Case) -> str:
    """Return what a number of regret is; a supremum just above a breakpoint is approached, not reached."""
    if dsic_proof_of(mechanism, case.view) is not None:
        return PROVED
    gap = None if regret.upper is None else float((regret.upper - regret.lower).abs().max())
    return EXACT if gap is not None and gap <= REACHED * case.high else LOWER_BOUND


def share_of(brought: Float[Tensor, " batch"], optimum: Float[Tensor, " batch"] | None) -> Estimate | None:
    """Return Σ brought / Σ optimum, with the standard error of the paired ratio; None where nothing can be sold."""
    if optimum is None or not is_sold(float(optimum.mean())):
        return None
    share = float(brought.mean() / optimum.mean())
    residual = estimate((brought - share * optimum) / optimum.mean())
    return Estimate(share, residual.standard_error, residual.n)


def is_sold(optimum: float) -> bool:
    """Tell whether an optimum's objective is above 0 by more than rounding."""
    return optimum > SOLD


def estimate(samples: Tensor) -> Estimate:
    """Return mean and standard error of independent draws."""
    error = float(samples.std() / len(samples) ** 0.5) if len(samples) > 1 else None
    return Estimate(float(samples.mean()), error, len(samples))


def _with_payments_cut(outcome: Outcome, utility: Tensor, case: Case) -> float | None:
    """Return the objective with payments cut to the bidders' values, None where no bidder loses."""
    if not bool((utility < -ROUNDING * case.high).any()):
        return None
    cut = outcome._replace(payments=torch.minimum(outcome.payments, utility + outcome.payments))
    return float(objective(cut, case.view, case.profiles, case.user_weight).mean())


def _under_best_responses(mechanism: Mechanism, regret: RegretEstimate, few: Profiles, case: Case) -> float | None:
    """Return the objective when every bidder answers the truthful others best, None where nobody gains by it."""
    if regret.max <= ROUNDING * case.high:
        return None
    outcome = mechanism(regret.best_misreports.to(few.valuations), few.context)
    return float(objective(outcome, case.view, few, case.user_weight).mean())


def replicate_of(view: Substrate) -> str:
    """Return which replicate of a measurement pays, "" where the view is no measurement's."""
    return view.scored_replicate if isinstance(view, Measured) else ""
