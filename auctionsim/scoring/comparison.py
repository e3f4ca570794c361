"""Mechanisms side by side on both replicates of one measured surface: designed on A, paid by A and by B."""

from collections.abc import Callable, Mapping

from auctionsim import metrics
from auctionsim.mechanisms import Mechanism
from auctionsim.priors import Priors
from auctionsim.scoring.profiles import Profiles, draw_profiles
from auctionsim.scoring.records import MechanismRow, TradeOffPoint
from auctionsim.scoring.scorer import STANDARD, ScoringSettings, case_of, score, yardstick
from auctionsim.substrates.measurements import REPLICATES
from auctionsim.substrates.surface import ResponseSurface


def compare(
    mechanisms: Mapping[str, Mechanism],
    surface: ResponseSurface,
    priors: Priors,
    user_weight: float,
    settings: ScoringSettings = STANDARD,
    *,
    seed: int,
    recipes: Mapping[str, str] | None = None,
    progress: Callable[[], None] | None = None,
) -> list[MechanismRow]:
    """Score every mechanism on both replicates, on the same truthful profiles and uniformly drawn contexts.

    Args:
        mechanisms: By label, designed on replicate A.
        surface: Sells one feature.
        priors: Valuations.
        user_weight: λ of the objective.
        settings: How much is computed.
        seed: Of the profiles.
        recipes: By label, "quick" where it was trained so.
        progress: Called after each row.
    Returns:
        One row a mechanism and replicate.
    """
    rows = []
    profiles = draw_profiles(surface, priors, settings.draws, seed)
    for name in REPLICATES:
        case = case_of(surface.replicate(name), priors, user_weight, settings, seed=seed, profiles=profiles)
        for label, mechanism in mechanisms.items():
            rows.append(score(label, mechanism, case, recipe=(recipes or {}).get(label, "")))
            if progress is not None:
                progress()
    return rows


def trade_off(
    mechanisms: Mapping[str, Mechanism],
    surface: ResponseSurface,
    priors: Priors,
    user_weight: float,
    *,
    seed: int,
    draws: int = 4096,
) -> list[TradeOffPoint]:
    """Return what every mechanism earns and costs the user at one user weight, on both replicates, without regret."""
    profiles = draw_profiles(surface, priors, draws, seed)
    return [
        point
        for name in REPLICATES
        for point in _points(mechanisms, surface.replicate(name), priors, user_weight, profiles)
    ]


def _points(
    mechanisms: Mapping[str, Mechanism],
    view: ResponseSurface,
    priors: Priors,
    user_weight: float,
    profiles: Profiles,
) -> list[TradeOffPoint]:
    best = yardstick(view, priors, user_weight, profiles)
    assert best is not None
    points = []
    for label, mechanism in mechanisms.items():
        outcome = mechanism.delivered(view)(*profiles)
        earned = float(metrics.revenue(outcome, view, *profiles).mean())
        lost = float(metrics.user_loss(outcome, view, *profiles).mean())
        numbers = (earned, lost, earned - user_weight * lost, float(best.mean()))
        points.append(TradeOffPoint(label, view.scored_replicate, user_weight, *numbers))
    return points
