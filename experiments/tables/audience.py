"""One mechanism designed for an audience in four ways: what it earns, and what each kind of users loses."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.audiences import Audience, KindLosses, PrivateAudience, PublicAudience
from auctionsim.experiments.running.run import Row
from auctionsim.mechanisms import design
from auctionsim.metrics import revenue
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors
from auctionsim.scoring import Estimate, Profiles, draw_profiles, estimate
from auctionsim.substrates import Substrate, contexts_of, observe

KNOWN = "kind known"
PRIVATE = {"mean": "mean over kinds", "worst": "worst kind", "tail": "tail of users"}


class AudienceRow(NamedTuple):
    """A design, and what it brings; means over the same profiles for all designs.

    Attributes:
        charged: What the design charges for.
        revenue: Σ t_i.
        objective: Revenue less λ times the mean user's loss.
        losses: Of every kind, over the profiles that it meets.
        tail_loss: Mean loss of the share of users that lose most.
    """

    charged: str
    revenue: Estimate
    objective: Estimate
    losses: KindLosses
    tail_loss: float


class AudienceCase(NamedTuple):
    """What designs are made for and held against.

    Attributes:
        view: A substrate with every loss that a kind has.
        audience: Kinds of users.
        priors: Valuations.
        user_weight: λ, money per unit of each kind's loss.
        tail: Share of users whose mean is the tail's loss.
        draws: Profiles.
        seed: Of profiles and of what is learned.
    """

    view: Substrate
    audience: Audience
    priors: Priors
    user_weight: float
    tail: float
    draws: int
    seed: int


def audience_rows(case: AudienceCase, mechanism: str) -> list[AudienceRow]:
    """Return a row for each design: the kind known, then one allocation for all kinds by mean, worst kind and tail.

    Args:
        case: The audience and where it reads.
        mechanism: Its name in the table of mechanisms.
    """
    profiles = draw_profiles(case.view, case.priors, case.draws, case.seed)
    public = PublicAudience(case.view, case.audience)
    known = design(mechanism, public, case.priors, case.user_weight, seed=case.seed)
    count = len(case.audience.kinds)
    own = torch.zeros(case.draws, dtype=torch.int64) if profiles.context is None else profiles.context
    outcomes = [known(profiles.valuations, own * count + kind) for kind in range(count)]
    rows = [_row(KNOWN, case, profiles, outcomes)]
    for risk, words in PRIVATE.items():
        private = PrivateAudience(case.view, case.audience, risk, tail=case.tail)  # type: ignore[arg-type]
        rule = design(mechanism, private, case.priors, case.user_weight, seed=case.seed)
        outcome = rule(profiles.valuations, profiles.context if contexts_of(private) else None)
        rows.append(_row(words, case, profiles, [outcome] * count))
    return rows


def _row(words: str, case: AudienceCase, profiles: Profiles, outcomes: Sequence[Outcome]) -> AudienceRow:
    """Return the row of a design, its outcome on every profile where the user is of each kind in turn."""
    shares = case.audience.shares
    paid = torch.stack([revenue(one, case.view, *profiles) for one in outcomes], 1) @ shares
    columns = [_losses(case, profiles, one)[:, kind] for kind, one in enumerate(outcomes)]
    losses = KindLosses(case.audience.names, shares, torch.stack(columns, 1))
    gained = paid - case.user_weight * (losses.losses @ shares)
    return AudienceRow(words, estimate(paid), estimate(gained), losses, losses.tail_mean(case.tail))


def _losses(case: AudienceCase, profiles: Profiles, outcome: Outcome) -> Tensor:
    observed = observe(case.view, outcome.allocation, profiles.context)
    return case.audience.losses_of(observed.losses).losses


def audience_table(rows: Sequence[AudienceRow], tail: float) -> list[Row]:
    """Return the rows as a table: revenue and objective with standard errors, then losses."""
    return [
        {
            "charged for": row.charged,
            "revenue": f"{row.revenue.mean:.4f} ± {row.revenue.standard_error or 0:.4f}",
            "objective": f"{row.objective.mean:.4f} ± {row.objective.standard_error or 0:.4f}",
            "mean loss": f"{row.losses.mean:.4f}",
            "worst kind's loss": f"{row.losses.worst:.4f}",
            f"loss of the worst-off {100 * tail:g} %": f"{row.tail_loss:.4f}",
            **{
                f"loss of {name}": f"{loss:.4f}"
                for name, loss in zip(row.losses.names, row.losses.by_kind.tolist(), strict=True)
            },
        }
        for row in rows
    ]
