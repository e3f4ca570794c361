"""Choices of a mechanism on a loss before and after gold labels corrected it."""

from typing import NamedTuple

import torch

from auctionsim.experiments.running.gold_labels import Measured
from auctionsim.mechanisms import design
from auctionsim.metrics import mean_interval, revenue, user_loss
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors
from auctionsim.scoring import draw_profiles


class GoldChoicesSettings(NamedTuple):
    """What is auctioned, and on how many profiles choices are compared.

    Attributes:
        feature: What is sold.
        loss: What is charged, before and after.
        mechanism: A name in the table of mechanisms.
        user_weight: λ, money per unit of the loss.
        draws: Truthful profiles.
        seed: Of profiles and of learned mechanisms.
        quick: The quick recipe of learned mechanisms.
    """

    feature: str = "slot_probability"
    loss: str = "quality"
    mechanism: str = "optimum"
    user_weight: float = 1.0
    draws: int = 4096
    seed: int = 0
    quick: bool = True


class GoldChoice(NamedTuple):
    """Mean outcome of one design: designed on replicate A, scored on B.

    Attributes:
        charged: Which loss the design charges: "judge alone" or "corrected".
        revenue: Mean payment, with the half width of its interval over profiles.
        loss_judge: Mean user loss on B by the judge alone, likewise.
        loss_corrected: Mean user loss on B as corrected, likewise.
    """

    charged: str
    revenue: tuple[float, float]
    loss_judge: tuple[float, float]
    loss_corrected: tuple[float, float]


class GoldChoices(NamedTuple):
    """Outcomes before and after, and how often they differ.

    Attributes:
        before: By the judge alone.
        after: By the corrected loss.
        changed: Share of profiles whose allocation is another.
        draws: How many profiles.
    """

    before: GoldChoice
    after: GoldChoice
    changed: float
    draws: int


def gold_choices(judged: Measured, corrected: Measured, priors: Priors, settings: GoldChoicesSettings) -> GoldChoices:
    """Design a mechanism on a loss as it was judged and as gold labels corrected it, and compare what it chooses.

    Args:
        judged: The measurement.
        corrected: The same with its loss corrected.
        priors: Of valuations.
        settings: What is auctioned.
    """
    views = [one.sell(settings.feature, loss=settings.loss) for one in (judged, corrected)]
    profiles = draw_profiles(views[0], priors, settings.draws, settings.seed)
    outcomes = []
    for view in views:
        rule = design(settings.mechanism, view, priors, settings.user_weight, seed=settings.seed, quick=settings.quick)
        outcomes.append(rule(profiles.valuations, profiles.context))
    scored = [view.replicate("B") for view in views]

    def choice(name: str, outcome: Outcome) -> GoldChoice:
        numbers = [revenue(outcome, scored[0], profiles.valuations, profiles.context)]
        numbers += [user_loss(outcome, view, profiles.valuations, profiles.context) for view in scored]
        first, second, third = (_mean(one) for one in numbers)
        return GoldChoice(name, first, second, third)

    before, after = (one.allocation.flatten(1) for one in outcomes)
    changed = float((before != after).any(1).to(torch.float64).mean())
    return GoldChoices(choice("judge alone", outcomes[0]), choice("corrected", outcomes[1]), changed, settings.draws)


def _mean(samples: torch.Tensor) -> tuple[float, float]:
    low, high = mean_interval(samples)
    return float(samples.mean()), (high - low) / 2
