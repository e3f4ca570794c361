"""What every prior promises: a distribution of one valuation, and the virtual value an optimal auction weighs it by."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from auctionsim.checks import checked_number
from auctionsim.claims import in_force, source_of
from auctionsim.errors import InputError
from auctionsim.priors.ironing import (
    HullSlopes,
    VirtualValueCurve,
    distinct,
    hull_slopes,
    refined_curve,
    rounded_down,
    started_at_zero,
)
from auctionsim.priors.likeness import same_attributes

CLOSED_FORMS = ("_raw_virtual_value", "regular", "curve", "virtual_value", "atoms")  # claims of a class of priors
CUT = 1 - 2.0**-24  # an unbounded prior ends at this quantile wherever a finite bound is needed


class Atoms(NamedTuple):
    """A distribution on finitely many numbers.

    Attributes:
        values: (atom,) increasing, float64.
        probabilities: (atom,) positive, summing to 1.
    """

    values: Tensor
    probabilities: Tensor


class Prior(ABC):
    """A distribution of one valuation, one number ≥ 0.

    Two priors are equal where they are of the same class and hold the same: parameters and every attribute of one's
    own. All functions work elementwise on tensors of any shape (or a number), compute in float64, and answer in the
    argument's dtype.

    A subclass that changes the distribution of a prior with closed forms (`curve`, `regular`, virtual values) loses
    them, unless it writes its own: they are then computed from its functions.

    Attributes:
        low: No valuation is smaller.
        high: The largest valuation, perhaps infinite.
        mean: The expected valuation.
        parameters: What it was made with, in the constructor's order; they are shown by `repr`.
    """

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        for name in CLOSED_FORMS:
            if source_of(cls, name) is not Prior and not in_force(cls, name):
                setattr(cls, name, vars(Prior)[name])

    def __init__(self, low: float, high: float, mean: float, parameters: tuple[Any, ...]) -> None:
        self.low, self.high, self.mean, self.parameters = low, high, mean, parameters

    @abstractmethod
    def _cdf(self, v: Tensor) -> Tensor:
        """Return P(V ≤ v) for float64 v inside [low, high]."""

    @abstractmethod
    def _pdf(self, v: Tensor) -> Tensor:
        """Return the density for float64 v inside [low, high]."""

    @abstractmethod
    def _quantile(self, q: Tensor) -> Tensor:
        """Return inf{v : F(v) ≥ q} for float64 q in [0, 1]."""

    def _raw_virtual_value(self, v: Tensor) -> Tensor:
        """Return v − (1 − F)/f for float64 v inside [low, high]; −inf where the density is 0 but not the survival."""
        density, survival = self._pdf(v), 1 - self._cdf(v)
        ratio = torch.where(survival > 0, survival / density.clamp_min(1e-300), 0.0)
        return torch.where((density > 0) | (survival <= 0), v - ratio, -torch.inf)

    @property
    def atoms(self) -> Atoms | None:
        """The values and their probabilities, where the prior is a list of them; else None."""
        return None

    @property
    def support_low(self) -> float:
        """Where the support starts: no valuation lies below it, and some lie as near to it as one likes.

        It is `low` unless the distribution function says that nothing lies between `low` and a larger number.
        """
        return self._start[0]

    @cached_property
    def _start(self) -> tuple[float, float]:
        """The last number below which nothing lies, and the first one with something at it or below."""

        def empty(v: float) -> bool:
            return float(self._cdf(torch.tensor([v], dtype=torch.float64))) <= 0

        below, reached = self.low, self.finite_high
        if not (empty(below) and empty(below + 2.0**-52 * max(1.0, reached)) and below < reached):
            return below, below
        while below < (middle := below + (reached - below) / 2) < reached:
            below, reached = (middle, reached) if empty(middle) else (below, middle)
        return below, reached

    @property
    def regular(self) -> bool:
        """Whether v − (1 − F)/f is known to be nondecreasing, so that nothing is ironed."""
        return False

    def cdf(self, v: Tensor | float) -> Tensor:
        """Return P(V ≤ v)."""
        x = as_float64(v)
        inside = self._cdf(x.clamp(self.low, self.high))
        return in_dtype_of(torch.where(x < self.low, 0.0, torch.where(x >= self.high, 1.0, inside)), v)

    def pdf(self, v: Tensor | float) -> Tensor:
        """Return the density, 0 outside [low, high]."""
        x = as_float64(v)
        inside = self._pdf(x.clamp(self.low, self.high))
        return in_dtype_of(torch.where((x >= self.low) & (x <= self.high), inside, 0.0), v)

    def quantile(self, q: Tensor | float) -> Tensor:
        """Return the smallest v with P(V ≤ v) ≥ q, low at q = 0.

        Raises:
            ValueError: q outside [0, 1].
        """
        x = as_float64(q)
        if not bool(((x >= 0) & (x <= 1)).all()):
            raise InputError(f"a quantile is asked at q in [0, 1], got {x.min().item()} … {x.max().item()}")
        return in_dtype_of(self._quantile(x), q)

    def sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Draw by inverse transform: one float64 uniform each, then rounded to `dtype` within [low, high]."""
        u = torch.rand(
            shape, generator=generator, dtype=torch.float64, device=None if generator is None else generator.device
        )
        return rounded_inside(self._quantile(u), self.low, self.high, dtype or torch.get_default_dtype())

    def virtual_value(self, v: Tensor | float) -> Tensor:
        """Return the ironed virtual value φ, nondecreasing on all v ≥ 0.

        On the support: v − (1 − F)/f, ironed in quantile space, and constant over its gaps; above it v. Below it
        min(φ(support_low), 0), which leaves whoever bids there what it would get if ignored; no valuation lies there,
        and a mechanism is free to choose otherwise. E[max(φ(V), 0)] is the revenue of the best posted price.
        """
        x = as_float64(v)
        inside = x.clamp(self._start[1], self.high)
        phi = self._raw_virtual_value(inside)
        if not self.regular:
            phi = self._hull.iron(inside, phi)
        phi = torch.where(x >= self.high, x, phi)
        return in_dtype_of(torch.where(x < self.support_low, phi.clamp_max(0), phi), v)

    @cached_property
    def curve(self) -> VirtualValueCurve:
        """The virtual value as a piecewise linear curve on v ≥ 0, with its generalised inverse: what rules use.

        Within 2e-6 · high of `virtual_value` wherever that is not far below 0; exact for uniform, exponential and
        empirical priors.
        """
        return started_at_zero(refined_curve(self.virtual_value, self._landmarks(), self.finite_high))

    @cached_property
    def finite_high(self) -> float:
        """`high`, or the 1 − 2⁻²⁴ quantile where it is infinite."""
        return self.high if math.isfinite(self.high) else float(self._quantile(torch.tensor(CUT, dtype=torch.float64)))

    @property
    def monopoly_price(self) -> float:
        """The lowest revenue-maximal price for one bidder: where φ reaches 0."""
        return max(float(self.curve.inverse(torch.zeros(1))), self.support_low)

    @cached_property
    def _hull(self) -> HullSlopes:
        """Bounds of the ironed virtual value, from a fine grid in both valuations and quantiles."""
        quantiles = self._quantile(torch.linspace(0, CUT, 8193, dtype=torch.float64))
        evenly = torch.linspace(self._start[1], self.finite_high, 8193, dtype=torch.float64)
        values = distinct(torch.cat([evenly, quantiles, self._landmarks()]).clamp_min(self._start[1]))
        survival = 1 - self._cdf(values)
        return hull_slopes(values[survival > 0], survival[survival > 0])

    def _landmarks(self) -> Tensor:
        """Return where the density may jump or be extreme: increasing, from the support's start to the finite high."""
        spread = self._quantile(torch.linspace(0, CUT, 33, dtype=torch.float64))
        ends = spread.new_tensor([self.support_low, self.finite_high])
        return distinct(torch.cat([spread.clamp_min(self.support_low), ends]))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.parameters))})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and same_attributes(self, other)

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.low, self.high))


def through_scipy(function: Callable[..., Any], *arguments: float | Tensor) -> Tensor:
    """Evaluate a special function elementwise; its last argument is a float64 tensor."""
    last = arguments[-1]
    assert isinstance(last, Tensor)
    answer = function(*arguments[:-1], last.detach().cpu().numpy())
    return torch.as_tensor(np.asarray(answer, dtype=np.float64), device=last.device)


def as_float64(v: Tensor | float) -> Tensor:
    """Return a tensor, or a number as a 0-dimensional one, in float64."""
    if isinstance(v, Tensor):
        return v.double()
    return torch.tensor(checked_number(v, "a number", -math.inf, infinite=True), dtype=torch.float64)


def in_dtype_of(answer: Tensor, argument: Tensor | float) -> Tensor:
    """Return the answer in the argument's floating dtype; float64 for a number."""
    return answer.to(argument.dtype) if isinstance(argument, Tensor) and argument.is_floating_point() else answer


def rounded_inside(values: Tensor, low: float, high: float, dtype: torch.dtype) -> Tensor:
    """Round to `dtype` without leaving [low, high], unless no number of that dtype lies within."""
    ends = torch.tensor([-low, high], dtype=torch.float64, device=values.device)
    bottom, top = rounded_down(ends, dtype) * ends.new_tensor([-1.0, 1.0])
    rounded = values.to(dtype)
    return rounded if bottom > top else rounded.clamp(float(bottom), float(top))
