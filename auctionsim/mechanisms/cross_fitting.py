"""Cross-fitting: which estimate a design should use, chosen on one replicate alone by halves that stand for two.

A design on one half of a replicate's samples is paid by the other half, as a design on replicate A is paid by B. Halves
are drawn by `estimates.halves`, from means and standard errors, with independent errors: what all cells of a context
share, such as its prompts, does not differ between them.

What is kept of the objective is counted with payments cut to what a truthful bidder got, v_i · e_i. Uncut it would
reward errors: a design chooses the cells that look best, charges for what they promised, and so earns most where it
errs most.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim import metrics
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import Problem
from auctionsim.priors import Product, product
from auctionsim.seeds import seeded
from auctionsim.substrates.estimates import MEASURED, Estimation, estimated, halves
from auctionsim.substrates.measured_substrate import MeasuredSubstrate
from auctionsim.substrates.protocol import contexts_of

SPLITS = 2
"""How often a replicate is halved; each half is designed on once."""
PROFILES = 96
MISREPORTS = 12
"""Own bids that regret is looked for among, at equal steps of probability."""
KEPT = 0.98
"""The share of the objective of measured cells that another estimate must keep."""


class EstimateTrial(NamedTuple):
    """What designs on one half brought on the other, means over halves.

    Attributes:
        estimation: How cells were estimated.
        objective: Σ min(t_i, v_i · e_i) − user_weight · L, in money.
        revenue: Σ min(t_i, v_i · e_i), in money.
        regret: Mean over profiles of the largest gain among bidders by one of `MISREPORTS` bids, in money.
    """

    estimation: Estimation
    objective: float
    revenue: float
    regret: float


class CrossFit(NamedTuple):
    """The estimate that was chosen, and all that were tried, measured cells first."""

    estimation: Estimation
    trials: tuple[EstimateTrial, ...]


def cross_fitted(
    design: Callable[[MeasuredSubstrate], Mechanism],
    problem: Problem,
    candidates: Sequence[Estimation],
    *,
    splits: int = SPLITS,
    profiles: int = PROFILES,
) -> CrossFit:
    """Choose how to estimate cells: the least regret over revenue that keeps `KEPT` of measured cells' objective.

    Measured cells are always tried, and chosen where nothing is better; so is the first of equals.

    Args:
        design: Makes the mechanism on a view.
        problem: What it is designed for, on a measured view: only the replicate that this reports is read.
        candidates: Estimates to choose among.
        splits: How often the replicate is halved.
        profiles: Truthful profiles in each half, with contexts drawn uniformly.
    """
    generator = seeded(problem.seed)
    tried = (MEASURED, *(one for one in candidates if one != MEASURED))
    sums = torch.zeros(len(tried), 3, dtype=torch.float64)
    prior = product(problem.priors, problem.view.num_bidders, 1)
    for _ in range(splits):
        one, other = halves(problem.view, generator)
        valuations = prior.sample(profiles, generator, torch.float64)
        count = len(contexts_of(problem.view))
        context = torch.randint(count, (profiles,), generator=generator)
        for designed_on, paid_by in ((one, other), (other, one)):
            for row, how in enumerate(tried):
                rule = design(estimated(designed_on, how)).delivered(paid_by)
                sums[row] += _brought(rule, paid_by, valuations, context, problem.user_weight, prior)
    trials = tuple(
        EstimateTrial(how, *(float(number) for number in numbers))
        for how, numbers in zip(tried, sums / (2 * splits), strict=True)
    )
    return CrossFit(_best(trials).estimation, trials)


def _best(trials: Sequence[EstimateTrial]) -> EstimateTrial:
    least = min(trials[0].objective, KEPT * trials[0].objective)
    kept = [trial for trial in trials if trial.objective >= least and trial.revenue > 0]
    return min(kept, key=lambda trial: trial.regret / trial.revenue) if kept else trials[0]


def _brought(
    rule: Mechanism, view: MeasuredSubstrate, valuations: Tensor, context: Tensor, user_weight: float, prior: Product
) -> Tensor:
    """Return the mean objective, revenue and regret of truthful bids, paid by a view: (3,)."""
    outcome = rule(valuations, context)
    loss = metrics.user_loss(outcome, view, valuations, context)
    utility = metrics.utility(outcome, view, valuations, context)
    revenue = (outcome.payments + utility.clamp_max(0)).sum(1)
    levels = ((torch.arange(MISREPORTS, dtype=torch.float64) + 0.5) / MISREPORTS).view(-1, 1, 1)
    bids = prior.quantile(levels.expand(-1, prior.num_bidders, 1), torch.float64)  # (misreport, bidder, 1)
    rows, places = len(valuations), context.repeat(MISREPORTS)
    gains = []
    for i in range(prior.num_bidders):
        reports = valuations.repeat(MISREPORTS, 1, 1)
        reports[:, i] = bids[:, i].repeat_interleave(rows, 0)
        answered = rule(reports, places)
        own = metrics.utility(answered, view, valuations.repeat(MISREPORTS, 1, 1), places)[:, i]
        gains.append(own.view(MISREPORTS, rows).amax(0) - utility[:, i])
    regret = torch.stack(gains).amax(0).clamp_min(0)
    return torch.stack([(revenue - user_weight * loss).mean(), revenue.mean(), regret.mean()])
