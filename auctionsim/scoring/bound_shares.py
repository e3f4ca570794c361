"""Mechanisms as shares of what any honest one could bring: the yardstick where several features are sold."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from auctionsim.mechanisms import Mechanism, honest_bound
from auctionsim.priors import Priors
from auctionsim.scoring.records import Estimate, MechanismRow
from auctionsim.scoring.scorer import STANDARD, ScoringSettings, case_of, score
from auctionsim.substrates.protocol import Substrate, contexts_of


class BoundShare(NamedTuple):
    """One mechanism beside the bound of all honest mechanisms on the same view.

    Attributes:
        row: What it brings, costs and leaves open.
        bound: No honest mechanism brings more than this, in money; the mean over contexts.
        share: The row's objective over the bound; the share of the best honest mechanism's is no less. None where the
            bound is not above 0. A mechanism that is not honest may pass 1.
    """

    row: MechanismRow
    bound: float
    share: Estimate | None


def mean_bound(view: Substrate, priors: Priors, user_weight: float, levels: int | Sequence[int]) -> float:
    """Return `honest_bound` among mechanisms honest on average, the larger class, where everybody knows the context.

    Args:
        view: With a finite range, or one item; any number of features.
        priors: What valuations are drawn from.
        user_weight: λ.
        levels: Cells of each valuation, one number or one a feature.
    """
    places = range(len(contexts_of(view))) or (None,)
    bounds = [
        honest_bound(view, priors, user_weight, levels=levels, honest="bayesian", context=place).upper
        for place in places
    ]
    return sum(bounds) / len(bounds)


def bound_shares(
    mechanisms: Mapping[str, Mechanism],
    view: Substrate,
    priors: Priors,
    user_weight: float,
    *,
    levels: int | Sequence[int],
    settings: ScoringSettings = STANDARD,
    seed: int,
) -> list[BoundShare]:
    """Score mechanisms and put each beside the bound, on the same truthful profiles and uniformly drawn contexts.

    Args:
        mechanisms: By label; each takes the view's bids and allocates on it.
        view: As in `mean_bound`.
        priors: What valuations are drawn from.
        user_weight: λ of the objective.
        levels: Cells of the bound.
        settings: How much is computed of each mechanism.
        seed: Of the profiles.
    """
    bound = mean_bound(view, priors, user_weight, levels)
    case = case_of(view, priors, user_weight, settings, seed=seed)
    rows = [score(label, mechanism, case) for label, mechanism in mechanisms.items()]
    return [BoundShare(row, bound, _share(row.objective, bound)) for row in rows]


def _share(objective: Estimate, bound: float) -> Estimate | None:
    """Return the share; the bound has no error of sampling."""
    if bound <= 0:
        return None
    error = None if objective.standard_error is None else objective.standard_error / bound
    return Estimate(objective.mean / bound, error, objective.n)
