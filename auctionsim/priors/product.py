"""Independent valuations of several bidders and features: what a `priors` argument means."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.errors import InputError, InputTypeError
from auctionsim.priors.protocol import Prior, rounded_inside

Priors: TypeAlias = "Prior | Sequence[Prior] | Sequence[Sequence[Prior]] | Product"
"""One prior for all bidders, or one a bidder, or one a bidder and feature."""


class Product:
    """A joint prior of independent valuations, one distribution a bidder and feature.

    Attributes:
        marginals: bidder × feature.
        low: (bidder, feature) smallest valuations, float64.
        high: (bidder, feature) largest valuations, float64, finite: an unbounded prior is cut at its 1 − 2⁻²⁴
            quantile, which is what a draw beyond it becomes.
    """

    def __init__(self, marginals: tuple[tuple[Prior, ...], ...]) -> None:
        self.marginals = marginals
        self.low = torch.tensor([[p.low for p in row] for row in marginals], dtype=torch.float64)
        self.high = torch.tensor([[p.finite_high for p in row] for row in marginals], dtype=torch.float64)

    @property
    def num_bidders(self) -> int:
        """How many bidders."""
        return len(self.marginals)

    @property
    def num_features(self) -> int:
        """How many numbers a bidder."""
        return len(self.marginals[0])

    def marginal(self, bidder: int, feature: int = 0) -> Prior:
        """Return one valuation's prior."""
        return self.marginals[bidder][feature]

    def sample(self, batch: int, generator: torch.Generator | None, dtype: torch.dtype | None = None) -> Tensor:
        """Draw (batch, bidder, feature) valuations in [low, high], one float64 uniform each, by inverse transform."""
        device = None if generator is None else generator.device
        shape = (batch, self.num_bidders, self.num_features)
        return self.quantile(torch.rand(shape, generator=generator, dtype=torch.float64, device=device), dtype)

    def quantile(self, levels: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Return the valuations at levels (batch, bidder, feature) in [0, 1], within [low, high]."""
        dtype = dtype or torch.get_default_dtype()
        if len({prior for row in self.marginals for prior in row}) == 1:
            return self._column(self.marginal(0), levels, dtype)
        columns = [
            torch.stack([self._column(prior, levels[:, i, j], dtype) for j, prior in enumerate(row)], -1)
            for i, row in enumerate(self.marginals)
        ]
        return torch.stack(columns, 1)

    def profiles(self, most: int) -> tuple[Tensor, Tensor] | None:
        """Return all valuations (profile, bidder, feature) and their probabilities (profile,), float64.

        None where a marginal is no list of values, or where there are more than `most` profiles.
        """
        lists = [prior.atoms for row in self.marginals for prior in row]
        atoms = [one for one in lists if one is not None]
        if len(atoms) < len(lists) or math.prod(len(one.values) for one in atoms) > most:
            return None
        values = torch.cartesian_prod(*(one.values for one in atoms))
        chances = torch.cartesian_prod(*(one.probabilities for one in atoms))
        shape = (-1, self.num_bidders, self.num_features)
        return values.view(shape), chances.view(-1, len(atoms)).prod(1)

    @staticmethod
    def _column(prior: Prior, levels: Tensor, dtype: torch.dtype) -> Tensor:
        return rounded_inside(prior.quantile(levels), prior.low, prior.finite_high, dtype)

    def __repr__(self) -> str:
        return f"Product({self.marginals!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Product) and other.marginals == self.marginals

    def __hash__(self) -> int:
        return hash(self.marginals)


def product(priors: Priors, num_bidders: int, num_features: int = 1) -> Product:
    """Return the joint prior that a `priors` argument stands for.

    Args:
        priors: One prior for all valuations (i.i.d.); or one a bidder; or for each bidder one a feature; or a product
            already made.
        num_bidders: How many bidders it must cover.
        num_features: How many features a bidder.
    Raises:
        TypeError: Something that is no prior.
        ValueError: The wrong number of bidders or features.
    Example:
        >>> from auctionsim.priors import Uniform
        >>> product([Uniform(0, 1), Uniform(0, 2)], num_bidders=2).high.flatten()
        tensor([1., 2.], dtype=torch.float64)
    """
    checked_count(num_bidders, "num_bidders")
    checked_count(num_features, "num_features")
    if isinstance(priors, Product):
        if (priors.num_bidders, priors.num_features) != (num_bidders, num_features):
            raise InputError(
                f"priors cover {priors.num_bidders} bidders × {priors.num_features} features, "
                f"need {num_bidders} × {num_features}"
            )
        return priors
    if isinstance(priors, Prior):
        return Product(((priors,) * num_features,) * num_bidders)
    if not isinstance(priors, Sequence):
        raise InputTypeError(f"priors must be a Prior or a sequence of them, got {type(priors).__name__}")
    if len(priors) != num_bidders:
        raise InputError(f"priors must name one prior a bidder: {num_bidders} bidders, got {len(priors)}")
    return Product(tuple(_row(entry, num_features) for entry in priors))


def _row(entry: Prior | Sequence[Prior], num_features: int) -> tuple[Prior, ...]:
    if isinstance(entry, Prior):
        return (entry,) * num_features
    if not isinstance(entry, Sequence) or not all(isinstance(prior, Prior) for prior in entry):
        raise InputTypeError(f"each bidder's entry in priors must be a Prior or a sequence of them, got {entry!r}")
    if len(entry) != num_features:
        raise InputError(f"priors must name one prior a feature: {num_features} features, got {len(entry)}")
    return tuple(entry)
