"""The optimum designed against measurement error: the virtual-welfare maximizer on estimates in place of means."""

from collections.abc import Callable

from torch import Tensor

from auctionsim.errors import InputTypeError
from auctionsim.mechanisms.codecs import Codec, Saved, State, needed
from auctionsim.mechanisms.cross_fitting import CrossFit, cross_fitted
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import ONE_FEATURE, Entry, Problem, of_kind, register
from auctionsim.mechanisms.virtual_welfare import FILE, VirtualWelfareMaximizer
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors
from auctionsim.substrates.estimates import MEASURED, Centre, Estimation, estimated, joint_deviations
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.measured_substrate import MeasuredSubstrate
from auctionsim.substrates.protocol import Substrate
from auctionsim.substrates.surface import ResponseSurface

STRENGTHS = (0.5, 1.0, 2.0)
"""Of shrinking, that cross-fitting chooses among; 1 is empirical Bayes as it stands."""
DEVIATIONS = (0.25, 0.5, 1.0)
"""Standard errors by which cells are lowered, that cross-fitting chooses among beside those of the 95 % region."""


class RobustOptimum(Mechanism):
    """Choose and charge as the virtual-welfare maximizer does on estimates ê, L̂ of what a measured view gives.

    x* = argmax Σ_i φ_i(b_i) ê_i(x) − λ L̂(x) and t_i = b_i ê_i(b) − ∫ ê_i(s, b_{−i}) ds. Truthful and individually
    rational where exposure is ê, and nowhere proved elsewhere; no optimum of anything measured. On lower ends,
    t_i ≤ b_i ê_i ≤ b_i e_i, so no truthful bidder loses, with the confidence of the region (a bid of 0 to every
    allocation at once).

    Args:
        substrate: A measured grid or list that sells one feature; its reported replicate is estimated.
        priors: What valuations are drawn from.
        user_weight: λ ≥ 0, money per unit of user loss.
        estimation: How cells are estimated.
    Attributes:
        estimates: The view that reports ê and L̂.
        rule: The maximizer on it.
    Raises:
        TypeError: A substrate that was not measured.
        ValueError: More than one feature, or an estimate that there is not.
    Source:
        Myerson (1981), "Optimal auction design", on the estimates of `substrates.estimates`.
    """

    def __init__(
        self,
        substrate: Substrate,
        priors: Priors,
        user_weight: float = 0.0,
        estimation: Estimation = MEASURED,
    ) -> None:
        super().__init__(substrate.num_bidders, len(substrate.features), substrate)
        if not isinstance(substrate, MeasuredSubstrate):
            raise InputTypeError(f"estimates are of a measured grid or list, got {type(substrate).__name__}")
        self.estimation = estimation
        self.estimates = estimated(substrate, estimation)
        self.rule = VirtualWelfareMaximizer(self.estimates, priors, user_weight)
        self.priors, self.user_weight = self.rule.priors, self.rule.user_weight

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Clear on the estimates."""
        return self.rule.clear(bids, context)

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Myerson's lemma, where exposure is what was estimated."""
        return self.rule.dsic_proof(substrate)

    def price_sentence(self, case: PriceCase) -> str:
        """Return the lowest bids that get the bidder each part of its exposure, as estimated."""
        return self.rule.price_sentence(case)

    def priced_exposure(self, bids: Tensor, outcome: Outcome, context: Tensor | None = None) -> Tensor:
        """Return what is estimated at the allocation."""
        return self.rule.priced_exposure(bids, outcome, context)


def shrinkages(view: MeasuredSubstrate) -> tuple[Estimation, ...]:
    """Return the shrunk estimates that a view's design chooses among; one context has no mean over contexts."""
    centres: tuple[Centre, ...] = ("contexts", "levers") if len(view.contexts) > 1 else ()
    return tuple(Estimation("shrunk", strength, centre) for centre in centres for strength in STRENGTHS)


def lower_ends(view: MeasuredSubstrate) -> tuple[Estimation, ...]:
    """Return the lower ends that a view's design chooses among, that of the joint 95 % region last."""
    return tuple(Estimation("lower", strength) for strength in (*DEVIATIONS, joint_deviations(view)))


def robust_design(
    problem: Problem,
    candidates: Callable[[MeasuredSubstrate], tuple[Estimation, ...]],
    charged: Callable[[Mechanism], Mechanism] = lambda rule: rule,
) -> tuple[RobustOptimum, CrossFit]:
    """Return the optimum on the estimate that cross-fitting chooses on the problem's own replicate, and the trials.

    Args:
        problem: What it is designed for.
        candidates: Estimates to choose among.
        charged: How the rule is charged where it is tried.
    """

    def design(view: MeasuredSubstrate) -> Mechanism:
        return charged(RobustOptimum(view, problem.priors, problem.user_weight))

    fit = cross_fitted(design, problem, candidates(problem.view))
    return RobustOptimum(problem.view, problem.priors, problem.user_weight, fit.estimation), fit


ON_MEASURED = (of_kind(ResponseSurface, MeasuredList), ONE_FEATURE)


def _state(rule: RobustOptimum) -> State:
    kind, strength, centre = rule.estimation
    inner = FILE.state(rule.rule).settings
    return State({**inner, "estimate": kind, "strength": strength, "centre": centre}, {})


def _made(saved: Saved, substrate: Substrate | None) -> RobustOptimum:
    s = saved.settings
    how = Estimation(s.text("estimate"), s.number("strength", 0), s.text("centre"))  # type: ignore[arg-type]
    inner = FILE.make(saved, needed(substrate))  # priors and weight, and what it refuses
    assert inner.priors is not None
    return RobustOptimum(needed(substrate), inner.priors, s.number("user_weight", 0), how)


ROBUST_FILE = Codec(RobustOptimum, _state, _made)
register(
    Entry(
        "optimum-shrunk",
        "virtual welfare, shrunk cells",
        "The optimum on exposures shrunk towards each other by their standard errors, as far as cross-fitting says.",
        lambda problem: robust_design(problem, shrinkages)[0],
        ROBUST_FILE,
        needs=ON_MEASURED,
    )
)
register(
    Entry(
        "optimum-lower",
        "virtual welfare, lower ends",
        "The optimum on the lower end of what errors allow, as many standard errors down as cross-fitting says.",
        lambda problem: robust_design(problem, lower_ends)[0],
        ROBUST_FILE,
        needs=ON_MEASURED,
    )
)
