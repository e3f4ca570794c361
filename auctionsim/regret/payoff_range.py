"""Ranges of payoffs: bounds on exposure that a substrate states, and on gains that follow from them."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import claimed
from auctionsim.regret.estimate import Game, cleared
from auctionsim.substrates.protocol import Substrate, contexts_of, finite_range_of, is_finite


def exposure_range(substrate: Substrate) -> Float[Tensor, "two bidder feature"] | None:
    """Return the smallest and the largest exposure of every bidder and feature, or None where none are stated.

    Stated by a finite range, of which every allocation is a mixture, or by definition for the classical substrates.
    Both are claims (see `auctionsim.claims`): a subclass that overrides `exposure` may pay anything.
    """
    n, m = substrate.num_bidders, len(substrate.features)
    ends = claimed(substrate, "exposure_bounds")
    if ends is not None:
        return torch.tensor(ends, dtype=torch.float64).view(2, 1, 1).expand(2, n, m)
    if not is_finite(substrate) or claimed(substrate, "finite_range") is None:
        return None
    count = len(contexts_of(substrate))
    ranges = [finite_range_of(substrate)]
    if count:
        ranges.append(finite_range_of(substrate, torch.arange(count)))
    listed = torch.cat([part.exposures.reshape(-1, n, m).double() for part in ranges])
    return torch.stack([listed.amin(0), listed.amax(0)])


def largest_gain(game: Game, high: Float[Tensor, "batch bidder feature"]) -> float:
    """Return what a bidder of any row can gain, averaged over bidders, if nobody is paid and nobody loses by the truth.

    Then a gain is at most the value of all the exposure there is: Σ_f high_f · e_f, high the largest bid considered in
    any row, e_f the largest exposure that the substrate states (classical ones, grids, lists) or, where it states none,
    the larger of 1 and what is paid at the reports. Reports that are not the truth may lose as much again.
    """
    stated = exposure_range(game.substrate)
    if stated is None:
        with torch.no_grad():
            outcome = cleared(game.mechanism, game.reports, game.context)
            seen = game.substrate.exposure(outcome.allocation, game.context).amax(0).double()
        most = seen.clamp_min(1.0)
    else:
        most = stated[1].to(high.device)
    worth = float((high.amax((0, 1)).double() * most).sum(1).mean())
    return worth if game.reports is game.valuations or torch.equal(game.reports, game.valuations) else 2 * worth
