"""Mechanisms designed to charge for one loss and scored by another, with intervals of both kinds of chance."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim import metrics
from auctionsim.experiments.running.priced_losses import PricedLoss, sold_at
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.measurement_noise import loss_error
from auctionsim.mechanisms import Mechanism, VirtualWelfareMaximizer
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors
from auctionsim.scoring import Case, Profiles, ScoringSettings, estimate, largest_bid, objective, score, tidy
from auctionsim.scoring.scorer import is_sold
from auctionsim.substrates import ResponseSurface

NOBODY = "nothing"
"""What a mechanism was designed on that charges for no loss."""
OPEN = ("regret", "regret_standard_error", "regret_is", "ir_violation", "ir_violation_standard_error", "recipe")
"""What a design leaves open, whichever loss scores it."""


class ScoredLoss(NamedTuple):
    """One loss on one replicate, with the best that can be had there.

    Attributes:
        loss: Name and rates.
        view: Sells the feature at the cost of that loss, scored on the replicate.
        optimum: (batch,) objective of the replicate's own optimum.
        weights: (context, entry) of what the optimum allocates.
    """

    loss: PricedLoss
    view: ResponseSurface
    optimum: Tensor
    weights: Tensor


class Payer(NamedTuple):
    """A replicate that pays, by every loss.

    Attributes:
        replicate: "A" or "B".
        price: Money that the dearest cell of a loss costs.
        profiles: Truthful bidders in their contexts.
        losses: All that scores.
        cases: Of each loss, in the same order, for the scorer.
    """

    replicate: str
    price: float
    profiles: Profiles
    losses: tuple[ScoredLoss, ...]
    cases: tuple[Case, ...]


def payer(
    surface: ResponseSurface,
    replicate: str,
    losses: Sequence[PricedLoss],
    priors: Priors,
    price: float,
    profiles: Profiles,
    settings: ScoringSettings,
) -> Payer:
    """Return a replicate with the optimum of every loss on it.

    Args:
        surface: Sells one feature.
        replicate: "A" or "B".
        losses: That score.
        priors: Valuations.
        price: Money that the dearest cell of a loss costs.
        profiles: Truthful bidders in their contexts.
        settings: How much is computed.
    """
    scored, cases = [], []
    for loss in losses:
        view = sold_at(surface, loss).replicate(replicate)
        outcome = VirtualWelfareMaximizer(view, priors, price)(*profiles)
        best = objective(outcome, view, profiles, price)
        scored.append(ScoredLoss(loss, view, best, view.cell_weights(outcome.allocation, profiles.context)))
        cases.append(Case(view, price, profiles, best, largest_bid(view, priors), settings))
    return Payer(replicate, price, profiles, tuple(scored), tuple(cases))


def matrix_rows(label: str, rules: Mapping[str, Mechanism], payers: Sequence[Payer], recipe: str = "") -> Iterator[Row]:
    """Yield a row for each replicate, loss that was designed on, and loss that scores.

    Revenue is what the rule charges. The share is of the objective that the replicate's own optimum for the scoring
    loss has; `lost` is how much of that objective is given up against the same mechanism designed on the scoring loss.
    Standard errors: `_draws` of valuations and contexts, paired; `_noise` of the measured losses in the cells that are
    chosen, the exposures being taken as measured. Both are those of ratios, linearised: the optimum's is among them.

    Args:
        label: Of the mechanism.
        rules: By the name of the loss that they were designed on, `NOBODY` among them or not.
        payers: Replicates.
        recipe: "quick" where the mechanism was trained so.
    """
    for paid in payers:
        outcomes = {designed: rule(*paid.profiles) for designed, rule in rules.items()}
        for designed, rule in rules.items():
            names = [one.loss.name for one in paid.losses]
            own = names.index(designed) if designed in names else 0
            (whole,) = tidy([score(label, rule, paid.cases[own], recipe=recipe)])
            left = {name: whole[name] for name in OPEN}
            for one in paid.losses:
                yield {
                    "replicate": paid.replicate,
                    "mechanism": label,
                    "designed_on": designed,
                    "scored_on": one.loss.name,
                    "price": paid.price,
                    **_scored(outcomes[designed], outcomes.get(one.loss.name), one, paid),
                    **left,
                    "n": len(paid.profiles.valuations),
                }


def _scored(outcome: Outcome, own: Outcome | None, one: ScoredLoss, paid: Payer) -> Row:
    view, profiles, price = one.view, paid.profiles, paid.price
    brought = objective(outcome, view, profiles, price)
    earned, lost = estimate(metrics.revenue(outcome, view, *profiles)), metrics.user_loss(outcome, view, *profiles)
    weights = view.cell_weights(outcome.allocation, profiles.context)
    size = one.loss.dearest or 1.0  # from shares of the dearest cell to the loss's own unit
    row: Row = {
        "revenue": earned.mean,
        "revenue_standard_error": earned.standard_error,
        "loss": size * float(lost.mean()),
        "loss_draws": size * float(estimate(lost).standard_error or 0.0),
        "loss_noise": size * loss_error(view, weights),
        "unit": one.loss.unit,
        "objective": float(brought.mean()),
        "objective_draws": estimate(brought).standard_error,
        "objective_noise": price * loss_error(view, weights),
    }
    best = float(one.optimum.mean())
    if not is_sold(best):
        return row | dict.fromkeys(("share", "share_draws", "share_noise", "lost", "lost_draws", "lost_noise"))
    share = row["objective"] / best
    row["share"] = share
    row["share_draws"] = estimate((brought - share * one.optimum) / best).standard_error
    row["share_noise"] = price * loss_error(view, weights - share * one.weights) / best
    row |= dict.fromkeys(("lost", "lost_draws", "lost_noise"))
    if own is not None:
        gap = objective(own, view, profiles, price) - brought
        moved = view.cell_weights(own.allocation, profiles.context) - weights
        given_up = row["lost"] = float(gap.mean()) / best
        row["lost_draws"] = estimate((gap - given_up * one.optimum) / best).standard_error
        row["lost_noise"] = price * loss_error(view, moved - given_up * one.weights) / best
    return row


def curve_rows(
    label: str, designed: str, rule: Mechanism, payers: Sequence[Payer], price: float
) -> Iterator[dict[str, Any]]:
    """Yield what a rule earns and what every single loss is under it: a point of the trade-off on each replicate.

    Args:
        label: Of the mechanism.
        designed: The loss that it was designed on.
        rule: The mechanism.
        payers: Replicates, at any price: what they charge for is not looked at.
        price: At which the rule was designed.
    """
    for paid in payers:
        outcome = rule(*paid.profiles)
        earned = estimate(metrics.revenue(outcome, paid.losses[0].view, *paid.profiles))
        weights = paid.losses[0].view.cell_weights(outcome.allocation, paid.profiles.context)
        for one in paid.losses:
            if not one.loss.is_single:
                continue
            lost = estimate(metrics.user_loss(outcome, one.view, *paid.profiles))
            size = one.loss.dearest or 1.0
            yield {
                "replicate": paid.replicate,
                "mechanism": label,
                "designed_on": designed,
                "price": price,
                "scored_on": one.loss.name,
                "unit": one.loss.unit,
                "revenue": earned.mean,
                "revenue_standard_error": earned.standard_error,
                "loss": size * lost.mean,
                "loss_draws": size * (lost.standard_error or 0.0),
                "loss_noise": size * loss_error(one.view, weights),
            }


def rows_of(rows: Sequence[Row], wanted: Mapping[str, object]) -> list[Row]:
    """Return the rows that have these values by column."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def total_error(row: Row, name: str) -> float:
    """Return the standard error of a number from both chances: of valuations, and of the measurement."""
    return float(torch.tensor([row[f"{name}_draws"] or 0.0, row[f"{name}_noise"]], dtype=torch.float64).norm())
