"""Priors made from others or from data: mixtures and samples."""

import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from auctionsim.checks import MOST_MONEY, checked_number
from auctionsim.errors import InputError, UnsupportedError
from auctionsim.priors.ironing import VirtualValueCurve, distinct, hull_slopes, started_at_zero
from auctionsim.priors.protocol import Atoms, Prior, as_float64, in_dtype_of

LEAST_SHARE = 1e-12
"""Of the probability, that a value of an empirical prior may have: quotients by it stay numbers."""


class Mixture(Prior):
    """Draw from component k with probability weights[k]; ironed numerically."""

    def __init__(self, components: Sequence[Prior], weights: Sequence[float] | None = None) -> None:
        self.components = tuple(components)
        shares = [1.0] * len(self.components) if weights is None else [checked_number(w, "weights") for w in weights]
        if not self.components or len(shares) != len(self.components) or sum(shares) <= 0:
            raise InputError(
                "a mixture needs one weight a component, some positive, "
                f"got {len(self.components)} components and weights {weights!r}"
            )
        if any(component.atoms is not None for component in self.components):
            raise InputError("a mixture's components need densities: pool the samples into one Empirical instead")
        self.weights = tuple(share / sum(shares) for share in shares)
        used = [(c, w) for c, w in zip(self.components, self.weights, strict=True) if w > 0]
        low, high = min(c.low for c, _ in used), max(c.high for c, _ in used)
        self._used = tuple(used)
        super().__init__(low, high, sum(w * c.mean for c, w in used), (self.components, self.weights))

    def _cdf(self, v: Tensor) -> Tensor:
        return torch.stack([w * c.cdf(v) for c, w in self._used]).sum(0)

    def _pdf(self, v: Tensor) -> Tensor:
        return torch.stack([w * c.pdf(v) for c, w in self._used]).sum(0)

    def _quantile(self, q: Tensor) -> Tensor:
        """Bisect between the components' quantiles; inf{v : F(v) ≥ q} is the upper end."""
        ends = torch.stack([c._quantile(q) for c, _ in self._used])
        lower, upper = ends.amin(0), ends.amax(0)
        for _ in range(64):
            middle = lower + (upper - lower) / 2
            reached = self._cdf(middle) >= q
            lower, upper = torch.where(reached, lower, middle), torch.where(reached, middle, upper)
        return upper

    def _landmarks(self) -> Tensor:
        ends = [end for c, _ in self._used for end in (c.low, c.finite_high) if end <= self.finite_high]
        return distinct(torch.cat([super()._landmarks(), torch.tensor(ends, dtype=torch.float64)]))


class Empirical(Prior):
    """The distribution of given samples, equally likely or weighted; virtual values are ironed exactly.

    It is also how a prior on finitely many values is written: the virtual value at value k is
    v_k − (v_{k+1} − v_k) P(V > v_k) / P(V = v_k), ironed.

    Args:
        samples: Finite, ≥ 0, in any order; equal ones count as often as they come.
        weights: ≥ 0, one a sample, in proportion to its probability; None for all alike.
    """

    def __init__(self, samples: Tensor | Sequence[float], weights: Tensor | Sequence[float] | None = None) -> None:
        try:
            values = torch.as_tensor(samples, dtype=torch.float64).detach().flatten()
        except OverflowError:
            raise InputError("an empirical prior's samples must be numbers that a double holds") from None
        if not len(values) or not bool(((values <= MOST_MONEY) & (values >= 0)).all()):
            raise InputError("an empirical prior needs at least one sample, all finite and >= 0")
        values, order = values.sort(stable=True)
        counts = _checked_weights(weights, len(values))[order]
        self._support = distinct(values[counts > 0])
        place = torch.searchsorted(self._support, values).clamp_max(len(self._support) - 1)
        self._counts = torch.zeros_like(self._support).index_add(0, place, counts)
        parameters = (tuple(values.tolist()),)
        super().__init__(
            float(self._support[0]),
            float(self._support[-1]),
            float((self._support * self._counts).sum() / self._counts.sum()),
            parameters if weights is None else (*parameters, tuple(counts.tolist())),
        )

    @property
    def atoms(self) -> Atoms:
        """The different samples and how likely each is."""
        return Atoms(self._support.clone(), self._counts / self._counts.sum())

    @cached_property
    def _reached(self) -> Tensor:
        """P(V ≤ v) at each value, the last exactly 1."""
        reached = self._counts.cumsum(0)
        return reached / reached[-1]

    def _cdf(self, v: Tensor) -> Tensor:
        return torch.cat([self._reached.new_zeros(1), self._reached])[
            torch.searchsorted(self._support, v.contiguous(), right=True)
        ]

    def _pdf(self, v: Tensor) -> Tensor:  # noqa: ARG002
        raise UnsupportedError("an empirical prior has no density")

    def _quantile(self, q: Tensor) -> Tensor:
        return self._support[torch.searchsorted(self._reached, q.contiguous()).clamp_max(len(self._support) - 1)]

    def virtual_value(self, v: Tensor | float) -> Tensor:
        """Return the slope of the ironed revenue curve at the largest support point ≤ v; min(φ(low), 0) below all."""
        return in_dtype_of(self.curve.evaluate(v if isinstance(v, Tensor) else as_float64(v)), v)

    @cached_property
    def curve(self) -> VirtualValueCurve:
        """A staircase with a step at every support point."""
        at_least = self._counts.flip(0).cumsum(0).flip(0) / self._counts.sum()
        slopes = hull_slopes(self._support, at_least).slopes
        values = self._support.repeat_interleave(2)
        phis = torch.stack([torch.cat([slopes[:1].clamp_max(0), slopes[:-1]]), slopes], 1).flatten()
        return started_at_zero(VirtualValueCurve(values, phis))


def _checked_weights(weights: Tensor | Sequence[float] | None, count: int) -> Tensor:
    """Return how much each sample counts: (sample,).

    Raises:
        ValueError: Not one weight a sample, one below 0 or not finite, or none above 0.
    """
    if weights is None:
        return torch.ones(count, dtype=torch.float64)
    try:
        counts = torch.as_tensor(weights, dtype=torch.float64).detach().flatten()
    except OverflowError:
        raise InputError("an empirical prior's weights must be numbers that a double holds") from None
    if len(counts) != count or not bool((torch.isfinite(counts) & (counts >= 0)).all()) or not float(counts.sum()) > 0:
        raise InputError(
            f"an empirical prior needs one weight a sample, finite and >= 0, some above 0: "
            f"{count} samples, weights {weights!r}"
        )
    if not bool(((counts == 0) | (counts >= LEAST_SHARE * counts.sum())).all()) or not math.isfinite(
        float(counts.sum())
    ):
        raise InputError(
            f"an empirical prior's weights must be 0 or at least {LEAST_SHARE:g} of their sum, got {weights!r:.200}"
        )
    return counts
