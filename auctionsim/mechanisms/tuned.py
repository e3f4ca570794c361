"""Designing by trial: of the values that a mechanism's knobs can have, those that bring most on the view at hand."""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import torch

from auctionsim import metrics
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import Entry, Problem
from auctionsim.priors import product
from auctionsim.seeds import seeded

PROFILES = 2048
"""Truthful profiles that settings are tried on."""


class Tuned(NamedTuple):
    """A mechanism and the settings that it was designed with.

    Attributes:
        mechanism: The best.
        settings: By knob.
        tried: How many combinations of settings were.
    """

    mechanism: Mechanism
    settings: Mapping[str, float]
    tried: int


def tuned(entry: Entry, problem: Problem, *, profiles: int = PROFILES) -> Tuned:
    """Design a mechanism with every combination of its knobs' values and keep the best.

    Best is the greatest mean of Σ_i t_i − user_weight · L under truthful bids on the problem's own view, without a
    context, on profiles drawn by the problem's seed, the same for all; the first of equals. Knobs that the problem's
    settings fix stay as they are.

    Args:
        entry: In the table of mechanisms.
        problem: What it is designed for.
        profiles: How many are drawn.
    Raises:
        ValueError: A view that lacks what the mechanism needs, or a setting of no knob.
    """
    free = {name: values for name, values in entry.knobs_on(problem.view).items() if name not in problem.settings}
    combinations = [dict(zip(free, values, strict=True)) for values in itertools.product(*free.values())]
    designs = [entry.designed(problem._replace(settings={**problem.settings, **some})) for some in combinations]
    if len(designs) == 1:
        return Tuned(designs[0], {**problem.settings, **combinations[0]}, 1)
    view = problem.view
    drawn = product(problem.priors, view.num_bidders, len(view.features)).sample(
        profiles, seeded(problem.seed), torch.float64
    )
    brought = []
    for rule in designs:
        outcome = rule(drawn, None)
        loss = metrics.user_loss(outcome, view, drawn)
        brought.append(float((metrics.revenue(outcome, view, drawn) - problem.user_weight * loss).mean()))
    best = brought.index(max(brought))
    return Tuned(designs[best], {**problem.settings, **combinations[best]}, len(designs))
