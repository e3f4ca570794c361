"""The range of misreports: up to `high`, to what the mechanism's priors hold, or a multiple of the row.

A bound on bids is money, so it scales with the currency: no number here stands for an amount. A row's bound depends on
that row and the mechanism alone, never on the rest of the batch. A row of zeros, under a mechanism that knows no prior,
has no scale at all: only the bid 0 is considered there, and `RegretEstimate.bids_up_to` says 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_positive
from auctionsim.errors import InputError
from auctionsim.mechanisms.protocol import priors_of
from auctionsim.priors import product
from auctionsim.regret.estimate import Game

MULTIPLE = 2.0  # of the row's largest valuation or report, where nothing else says what bids can be


def default_high(game: Game) -> Float[Tensor, "batch 1 1"]:
    """Return how far up each row is searched where the caller does not say.

    The largest valuation of the mechanism's own `priors`, and just above the row's own numbers where these are more;
    `MULTIPLE` times the row's largest valuation or report for a mechanism without priors.
    """
    largest = torch.maximum(game.valuations, game.reports).amax((1, 2), keepdim=True)
    known = prior_high(game.mechanism, *game.valuations.shape[1:])
    if known is None:
        return MULTIPLE * largest
    return (largest * (1 + just(largest))).clamp_min(known)


def checked_high(game: Game, high: float | Tensor | None) -> Float[Tensor, "batch bidder feature"]:
    """Return the upper ends of the boxes to search, by default `default_high`'s.

    Raises:
        ValueError: Not finite and positive, or a shape that does not broadcast.
    """
    if high is None:
        return default_high(game).expand_as(game.valuations)
    if not isinstance(high, Tensor):
        high = checked_positive(high, "high")
    box = torch.as_tensor(high, dtype=game.valuations.dtype, device=game.valuations.device)
    try:
        box = box.expand_as(game.valuations)
    except RuntimeError as error:
        raise InputError(f"high must broadcast to {tuple(game.valuations.shape)}, got {tuple(box.shape)}") from error
    if not bool((torch.isfinite(box) & (box > 0)).all()):
        raise InputError(f"high must be finite and > 0, got {float(box.min())} … {float(box.max())}")
    return box


def prior_high(mechanism: object, num_bidders: int, num_features: int) -> float | None:
    """Return the largest valuation that the mechanism's own `priors` can hold, or None where it names none.

    Raises:
        TypeError, ValueError: What it declares is no `priors` argument for so many bidders and features.
    """
    named = priors_of(mechanism)
    high = 0.0 if named is None else float(product(named, num_bidders, num_features).high.max())
    return high if high > 0 else None


def just(amounts: Tensor) -> float:
    """Return a relative step that a comparison of sums of a few amounts still sees."""
    return 16 * torch.finfo(amounts.dtype).eps
