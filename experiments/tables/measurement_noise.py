"""How the noise of measured cells goes into what an auction's user loses on average."""

import torch
from torch import Tensor

from auctionsim.experiments.running.sub_surfaces import cells_of
from auctionsim.substrates import ResponseSurface


def loss_error(view: ResponseSurface, weights: Tensor) -> float:
    """Return the standard error of Σ weights · loss over the cells of the replicate that a view scores.

    Distinct interventions and contexts are measured independently. A loss by difference to the untouched reply shares
    that one's mean with all cells of its context: with z² the variance of that mean, which lies between 0 and the
    least variance m² of a cell, the variance of a context is

        Σ w²(s² − z²) + (Σ w)² z²,

    and the larger of both ends is taken. So the error is exact for a loss that is one as it stands, such as `kl`, and
    an upper bound for one by difference.

    Args:
        view: Whose charged loss and replicate are meant.
        weights: (context, entry), of either sign, as `cell_weights` orders them. The null loses exactly 0.
    """
    flat = view.charged_measurement(view.scored_replicate).standard_error
    cells = cells_of(view)
    variance = flat.flatten(1, len(cells.shape))[:, cells.distinct][:, 1:].square()
    own = weights[:, 1:].to(variance)
    alone = (own.square() * variance).sum(1)
    if all(view.quantities[name].low >= 0 for name, _ in view.offer.charges):
        return float(alone.sum().sqrt())
    shared = variance.amin(1)
    together = alone + shared * (own.sum(1).square() - own.square().sum(1))
    return float(torch.maximum(alone, together).sum().sqrt())
