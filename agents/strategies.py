"""Strategies that need no learning: truth, shading, a table, noise, and one strategy a context.

What a strategy is, `auctionsim.strategies` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_finite, checked_number, checked_tensor
from auctionsim.errors import InputError
from auctionsim.strategies import Situation, Strategy, bids_of, observed_by

__all__ = ["ByContext", "Shading", "Strategy", "TableStrategy", "Truthful", "UniformBids"]


@dataclass(frozen=True)
class Truthful:
    """Bid the valuation."""

    def __call__(self, valuations: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch feature"]:
        """Return the valuations themselves."""
        return valuations


@dataclass(frozen=True)
class Shading:
    """Bid a fixed share of the valuation; (n − 1)/n is the equilibrium of n × U[0, 1] under first price.

    Args:
        factor: ≥ 0; above 1 it overbids.
    Example:
        >>> import torch
        >>> Shading(0.5)(torch.tensor([[1.0], [0.5]])).tolist()
        [[0.5], [0.25]]
    """

    factor: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", checked_number(self.factor, "factor"))

    def __call__(self, valuations: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch feature"]:
        """Return factor × valuations."""
        return self.factor * valuations


class UniformBids:
    """Bid noise: uniform on [low, high], whatever the valuation.

    Args:
        low: ≥ 0.
        high: ≥ low.
        generator: Where the noise comes from; each call moves it on.
    """

    draws = True

    def __init__(self, low: float, high: float, generator: torch.Generator) -> None:
        self.low = checked_number(low, "low")
        self.high = checked_number(high, "high", self.low)
        self.generator = generator

    def __call__(self, valuations: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch feature"]:
        """Return fresh bids in the valuations' shape."""
        noise = torch.rand(valuations.shape, generator=self.generator, dtype=valuations.dtype)
        return self.low + (self.high - self.low) * noise


class TableStrategy:
    """Interpolate a table linearly, each feature by itself; constant beyond its ends.

    Args:
        valuations: (point,), strictly increasing.
        bids: (point, feature), ≥ 0; or (point,) for one feature.
    """

    def __init__(self, valuations: Tensor, bids: Tensor) -> None:
        checked_tensor(valuations, "valuations")
        if valuations.ndim != 1 or len(valuations) < 2 or not bool((valuations.diff() > 0).all()):
            raise InputError(f"a table needs at least 2 strictly increasing valuations, got {tuple(valuations.shape)}")
        columns = bids.unsqueeze(1) if checked_tensor(bids, "bids").ndim == 1 else bids
        if columns.ndim != 2 or len(columns) != len(valuations) or not columns.shape[1]:
            raise InputError(f"a table needs one row of bids a valuation ({len(valuations)}), got {tuple(bids.shape)}")
        checked_finite(valuations, "a table's valuations"), checked_finite(bids, "a table's bids")
        self.valuations = valuations
        self.bids = columns

    def __call__(self, valuations: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch feature"]:
        """Return the interpolated bids."""
        points, table = self.valuations.to(valuations.dtype), self.bids.to(valuations.dtype)
        v = valuations.clamp(points[0], points[-1])
        right = torch.searchsorted(points, v.contiguous()).clamp(1, len(points) - 1)
        share = (v - points[right - 1]) / (points[right] - points[right - 1])
        below, above = table.gather(0, right - 1), table.gather(0, right)
        return below + share * (above - below)


class ByContext:
    """Play one strategy in each public context.

    Args:
        strategies: One a context, in the substrate's order; each may observe more.
    Attributes:
        observes: The context, and what any of them observes.
    """

    def __init__(self, strategies: Sequence[Strategy]) -> None:
        if not strategies:
            raise InputError("one strategy a context is needed, got none")
        self.strategies = tuple(strategies)
        self.observes = tuple(dict.fromkeys(["context", *(name for one in strategies for name in observed_by(one))]))

    @torch.no_grad()
    def __call__(
        self, valuations: Float[Tensor, "batch feature"], situation: Situation
    ) -> Float[Tensor, "batch feature"]:
        """Return each row's bid by its context's strategy.

        Raises:
            ValueError: No context is told, or one beyond the strategies.
        """
        context = situation.context
        if context is None or bool(((context < 0) | (context >= len(self.strategies))).any()):
            numbers = "none" if context is None else sorted(set(context.tolist()))
            raise InputError(f"these strategies are for contexts 0 … {len(self.strategies) - 1}, told: {numbers}")
        bids = torch.zeros_like(valuations)
        for k, one in enumerate(self.strategies):
            rows = context == k
            known = Situation(*(None if part is None else part[rows] for part in situation))
            bids[rows] = bids_of(one, valuations[rows], known).to(bids.dtype)
        return bids
