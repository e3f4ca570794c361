"""Evaluations of options from what there is: estimates, checks of their assumptions, and one recommendation."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from auctionsim.errors import InputError, MissingPackageError
from auctionsim.logs.agreement import AgreementTest, agreement, replay_agreement
from auctionsim.logs.estimators.registry import estimator, estimator_names
from auctionsim.logs.protocol import STANDARD_ESTIMATION, EstimationSettings
from auctionsim.logs.recommendation import Recommendation, recommend
from auctionsim.logs.session_log import Sources
from auctionsim.logs.value_estimates import ValueEstimates
from auctionsim.seeds import checked_seed

ASSOCIATIONAL = "associational only"
"""What the first line of a report says where nothing was randomised."""
LEVEL = 0.05
"""At which the checks of assumptions reject."""


class LogEvaluation(NamedTuple):
    """Estimates of all options by all estimators, checks of assumptions, and a recommendation.

    Attributes:
        estimates: By estimator.
        refusals: Why other estimators gave none, by name.
        agreement: The test that M acts through Y alone and U does not reach Y; None without an experiment.
        drift: The test that the simulator is right; None without an experiment and replays.
        recommendation: By the headline estimator.
        confounding: Strength of a hidden confounder that bounds of the log alone grant.
    """

    estimates: Mapping[str, ValueEstimates]
    refusals: Mapping[str, str]
    agreement: AgreementTest | None
    drift: AgreementTest | None
    recommendation: Recommendation
    confounding: float

    def lines(self) -> list[str]:
        """Return the evaluation as text, a line each: what it rests on, the recommendation, the checks."""
        one = self.recommendation
        basis = f"{one.sessions} randomised sessions" if one.sessions else "no randomised sessions"
        lines = [
            f"{ASSOCIATIONAL}: nothing was randomised, so these values say what went together, not what options cause"
            if one.associational
            else f"causal, on {basis}"
        ]
        low, high = one.interval
        lines.append(f"highest value: {one.option} ({one.value:.4g}, from {low:.4g} to {high:.4g}), by {one.estimator}")
        lines.append(
            f"lead over {one.runner_up}: {one.lead:.4g}, from {one.lead_interval[0]:.4g} to {one.lead_interval[1]:.4g}"
        )
        if one.associational:
            lines.append("no number of sessions that are not randomised settles it: randomise some")
            lines += _bounds(self.estimates.get("double_ml_obs"), self.confounding)
        else:
            lines.append(
                f"probability that another option is better: {one.probability_wrong:.3f}; "
                f"expected regret {one.expected_regret:.3g}"
            )
            lines.append(_next_step(one))
        lines += _verdict("M acts through Y alone, and U does not reach Y", self.agreement)
        lines += _verdict("the simulator has not drifted", self.drift)
        return lines


def evaluate(
    sources: Sources,
    settings: EstimationSettings = STANDARD_ESTIMATION,
    *,
    seed: int,
    names: Sequence[str] = (),
) -> LogEvaluation:
    """Value the options by every estimator that the sources allow, and recommend one.

    The headline estimator is the most precise one whose assumptions are not rejected: with an experiment and replays
    `exp_only_direct`; `exp_only_doubly_robust` where direct and doubly robust values disagree; `exp_only_augmented`
    where the simulator has drifted; without replays `exp_means`; without an experiment the first that there is of
    `obs_only_direct` and `raw_means`. A choice by tests makes intervals somewhat too narrow.

    Args:
        sources: One log, one experiment, or both, with replays or without; no axis of draws.
        settings: Of the estimators.
        seed: Of folds, the bootstrap and probabilities.
        names: Estimators beside the headline; () for all.
    Raises:
        ValueError: Several logs at once, or an unknown estimator.
    """
    if sources.population.option.ndim != 1:
        raise InputError(f"one log is evaluated at a time, got logs of shape {sources.population.option.shape}")
    generator = np.random.default_rng(checked_seed(seed))
    estimates, refusals = {}, {}
    checks = _checks(sources, settings)
    headline = _headline(sources, *checks)
    for name in dict.fromkeys((headline, *(names or estimator_names()))):
        try:
            estimates[name] = estimator(name).estimate(sources, settings, generator)
        except (InputError, MissingPackageError) as error:
            if name == headline or name not in estimator_names():
                raise
            refusals[name] = str(error)
    best = recommend(estimates[headline], generator)
    return LogEvaluation(estimates, refusals, *checks, best, settings.confounding)


def _checks(sources: Sources, settings: EstimationSettings) -> tuple[AgreementTest | None, AgreementTest | None]:
    if sources.exp is None:
        return None, None
    return agreement(sources, settings), None if sources.replays is None else replay_agreement(sources)


def _headline(sources: Sources, agree: AgreementTest | None, drift: AgreementTest | None) -> str:
    if sources.exp is None:
        return "raw_means" if sources.replays is None else "obs_only_direct"
    if drift is None or agree is None:
        return "exp_means"
    if drift.rejects(LEVEL):
        return "exp_only_augmented"
    return "exp_only_doubly_robust" if agree.rejects(LEVEL) else "exp_only_direct"


def _next_step(one: Recommendation) -> str:
    if one.further_sessions is None:
        return f"no number of sessions tells {one.option} from {one.runner_up} if they are as far apart as estimated"
    if not one.further_sessions:
        return f"settled at {one.target:g}: no further sessions are needed"
    return (
        f"next: some {one.further_sessions} more randomised sessions bring the probability of being wrong to "
        f"{one.target:g}, if options are as far apart as estimated"
    )


def _bounds(one: ValueEstimates | None, confounding: float) -> list[str]:
    """Return what the log alone can say of each option, and whether that singles one out."""
    if one is None:
        return []
    low, high = one.diagnostics["bound_lower"], one.diagnostics["bound_upper"]
    lines = [f"bounds if a hidden confounder explains at most {confounding:.0%} of what is left of outcome and choice:"]
    lines += [f"  {name}: from {a:.4g} to {b:.4g}" for name, a, b in zip(one.options, low, high, strict=True)]
    best = int(low.argmax())
    others = np.delete(high, best)
    alone = low[best] > others.max()
    return [*lines, f"  {one.options[best]} is above all others" if alone else "  they single no option out"]


def _verdict(words: str, test: AgreementTest | None) -> list[str]:
    if test is None:
        return []
    verdict = "REJECTED" if test.rejects(LEVEL) else "not rejected"
    return [f"check that {words}: {verdict} (p = {float(test.p_value):.3g}, χ² {float(test.statistic):.3g})"]
