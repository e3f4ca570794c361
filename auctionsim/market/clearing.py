"""Clearing: one auction per row among the brands' shortlisted campaigns, by the placement's rule."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from auctionsim.market.placements import Placement, losses_under, sold_share
from auctionsim.market.shortlist import NOBODY, Shortlist
from auctionsim.mechanisms import Mechanism


class ClearedRows(NamedTuple):
    """What each row's auction gives per query.

    Attributes:
        payments: In money; 0 where no campaign stands for the brand.
        exposure: Each brand's, whoever stands for it.
        losses: What the user loses, by name.
        sold: Share of replies in which anything is sold.
    """

    payments: Float[np.ndarray, "row brand"]
    exposure: Float[np.ndarray, "row brand"]
    losses: Mapping[str, Float[np.ndarray, " row"]]
    sold: Float[np.ndarray, " row"]


def cleared_rows(
    placement: Placement,
    rule: str,
    standing: Shortlist,
    context: Int[np.ndarray, " row"] | None,
    losses: Sequence[str],
    runner_up: Float[np.ndarray, "row brand"] | None = None,
) -> ClearedRows:
    """Clear one auction per row.

    Under an entry price who stands for a brand also pays what the rule would leave it at the brand's next score s,
    u(s) = s · e(s) − t(s), the others' scores held. A truthful rule then charges v · e(v) − ∫_s^v e in all: what is
    right for an exposure that is e above s and nothing below, so that the whole is truthful, the shortlist included.

    Args:
        placement: What is sold.
        rule: Of the placement, by name.
        standing: Who stands for each brand, and with which score.
        context: Index of each row's context; None: the mean over contexts.
        losses: Which losses are read.
        runner_up: Each brand's next score, where the place on the shortlist has a price; None: it has none.
    """
    mechanism = placement.rule(rule)
    where = None if context is None else torch.from_numpy(context)
    with torch.no_grad():
        scores = torch.from_numpy(standing.score).unsqueeze(2)
        outcome = mechanism(scores, where)
        exposure, every = losses_under(placement.view, outcome.allocation, where)
        payments = outcome.payments.numpy()
        if runner_up is not None:
            payments = payments + _entry_prices(placement, mechanism, standing.score, runner_up, where)
        sold = sold_share(placement.view, outcome.allocation).numpy()
    return ClearedRows(
        payments=np.where(standing.campaign == NOBODY, 0.0, payments),
        exposure=exposure.numpy().copy(),
        losses={name: every[name].numpy().copy() for name in losses},
        sold=sold.copy(),
    )


def _entry_prices(
    placement: Placement,
    mechanism: Mechanism,
    score: Float[np.ndarray, "row brand"],
    runner_up: Float[np.ndarray, "row brand"],
    context: torch.Tensor | None,
) -> Float[np.ndarray, "row brand"]:
    """Return what the rule would leave each brand's campaign if its score were the next one, one brand at a time."""
    rows, brands = score.shape
    scores = torch.from_numpy(score).repeat(brands, 1, 1)
    lowest = torch.from_numpy(runner_up)
    for brand in range(brands):
        scores[brand, :, brand] = lowest[:, brand]
    profiles = scores.view(brands * rows, brands, 1)
    where = None if context is None else context.repeat(brands)
    outcome = mechanism(profiles, where)
    exposure, _ = losses_under(placement.view, outcome.allocation, where)
    left = (profiles[..., 0] * exposure - outcome.payments).view(brands, rows, brands)
    return torch.diagonal(left, dim1=0, dim2=2).numpy() * (runner_up > 0)
