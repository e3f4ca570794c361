"""Truthful profiles to score mechanisms on: valuations drawn from priors, public contexts drawn uniformly."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.priors import Priors, product
from auctionsim.substrates.protocol import Substrate, contexts_of


class Profiles(NamedTuple):
    """Truthful profiles with their public contexts.

    Attributes:
        valuations: (batch, bidder, feature), float64.
        context: (batch,), or None where the view has no contexts or nobody knows which one it is.
    """

    valuations: Tensor
    context: Tensor | None

    def first(self, count: int) -> "Profiles":
        """Return the first `count` of them."""
        return Profiles(self.valuations[:count], None if self.context is None else self.context[:count])


def draw_profiles(
    view: Substrate, priors: Priors, draws: int, seed: int, *, contexts: Sequence[int] | None = None
) -> Profiles:
    """Draw truthful profiles, and a context for each.

    Args:
        view: Where they are scored.
        priors: What valuations are drawn from.
        draws: How many, two at least.
        seed: Of the draws: the same seed draws the same profiles for every mechanism.
        contexts: Which contexts are drawn, uniformly; None for all that the view has; () for profiles without one, as
            where nobody knows the context in time.
    """
    checked_count(draws, "draws", 2)
    generator = torch.Generator().manual_seed(checked_count(seed, "seed", 0))
    valuations = product(priors, view.num_bidders, len(view.features)).sample(draws, generator, torch.float64)
    drawn = range(len(contexts_of(view))) if contexts is None else contexts
    if not drawn:
        return Profiles(valuations, None)
    return Profiles(valuations, torch.tensor([*drawn])[torch.randint(len(drawn), (draws,), generator=generator)])


def largest_bid(view: Substrate, priors: Priors) -> float:
    """Return up to which bid regret is looked for: the largest valuation that the priors can hold."""
    return float(product(priors, view.num_bidders, len(view.features)).high.max())
