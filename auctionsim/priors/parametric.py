"""Priors with a formula: uniform, exponential, beta, truncated normal."""

import math
from functools import cached_property

import numpy as np
import torch
from scipy import special
from torch import Tensor

from auctionsim.checks import MOST_MONEY, checked_money, checked_number
from auctionsim.errors import InputError
from auctionsim.priors.ironing import VirtualValueCurve, started_at_zero
from auctionsim.priors.protocol import Prior, through_scipy

LEAST_SCALE = 1e-9  # of a normal: quotients by it stay numbers


class Uniform(Prior):
    """U[low, high]; φ(v) = 2v − high.

    Example:
        >>> import torch
        >>> Uniform(0.0, 1.0).virtual_value(torch.tensor([0.5, 1.0]))
        tensor([0., 1.])
    """

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        low, high = checked_money(low, "low"), checked_money(high, "high")
        if not low < high:
            raise InputError(f"a uniform prior needs low < high, got [{low}, {high}]")
        super().__init__(low, high, (low + high) / 2, (low, high))

    @property
    def regular(self) -> bool:
        """Always."""
        return True

    def _cdf(self, v: Tensor) -> Tensor:
        return (v - self.low) / (self.high - self.low)

    def _pdf(self, v: Tensor) -> Tensor:
        return torch.full_like(v, 1 / (self.high - self.low))

    def _quantile(self, q: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * q

    def _raw_virtual_value(self, v: Tensor) -> Tensor:
        return 2 * v - self.high

    @cached_property
    def curve(self) -> VirtualValueCurve:
        """Two knots."""
        ends = torch.tensor([self.low, self.high], dtype=torch.float64)
        return started_at_zero(VirtualValueCurve(ends, 2 * ends - self.high))


class Exponential(Prior):
    """Density exp(−v/mean)/mean; φ(v) = v − mean."""

    def __init__(self, mean: float = 1.0) -> None:
        if checked_money(mean, "mean") == 0:
            raise InputError("mean must be positive, got 0")
        super().__init__(0.0, math.inf, float(mean), (float(mean),))

    @property
    def regular(self) -> bool:
        """Always."""
        return True

    def _cdf(self, v: Tensor) -> Tensor:
        return -torch.expm1(-v / self.mean)

    def _pdf(self, v: Tensor) -> Tensor:
        return torch.exp(-v / self.mean) / self.mean

    def _quantile(self, q: Tensor) -> Tensor:
        return -self.mean * torch.log1p(-q)

    def _raw_virtual_value(self, v: Tensor) -> Tensor:
        return v - self.mean

    @cached_property
    def curve(self) -> VirtualValueCurve:
        """One knot: slope 1 from there on."""
        return VirtualValueCurve(torch.zeros(1, dtype=torch.float64), torch.full((1,), -self.mean, dtype=torch.float64))


class Beta(Prior):
    """Beta(a, b) stretched to [low, high]; ironed numerically where a < 1 or b < 1 (its hazard may fall there)."""

    def __init__(self, a: float, b: float, low: float = 0.0, high: float = 1.0) -> None:
        self.a, self.b = checked_number(a, "a", 1e-3, 1e6), checked_number(b, "b", 1e-3, 1e6)
        low, high = checked_money(low, "low"), checked_money(high, "high")
        if not low < high:
            raise InputError(f"a beta prior needs low < high, got [{low}, {high}]")
        super().__init__(low, high, low + (high - low) * self.a / (self.a + self.b), (self.a, self.b, low, high))

    @property
    def regular(self) -> bool:
        """Where the density is log-concave."""
        return self.a >= 1 and self.b >= 1

    def _share(self, v: Tensor) -> Tensor:
        return (v - self.low) / (self.high - self.low)

    def _cdf(self, v: Tensor) -> Tensor:
        return through_scipy(special.betainc, self.a, self.b, self._share(v))

    def _pdf(self, v: Tensor) -> Tensor:
        x = self._share(v)
        powers = torch.special.xlogy(torch.tensor(self.a - 1), x) + torch.special.xlog1py(torch.tensor(self.b - 1), -x)
        return torch.exp(powers - special.betaln(self.a, self.b)) / (self.high - self.low)

    def _quantile(self, q: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * through_scipy(special.betaincinv, self.a, self.b, q)

    def _raw_virtual_value(self, v: Tensor) -> Tensor:
        survival = through_scipy(special.betaincc, self.a, self.b, self._share(v))
        density = self._pdf(v)
        ratio = torch.where(survival > 0, survival / density.clamp_min(1e-300), 0.0)
        return torch.where((density > 0) | (survival <= 0), v - ratio, -torch.inf)


class TruncatedNormal(Prior):
    """A normal with the given location and scale, conditioned on [low, high]; log-concave, hence regular."""

    def __init__(self, location: float, scale: float, low: float = 0.0, high: float = math.inf) -> None:
        self.location = checked_number(location, "location", -MOST_MONEY, MOST_MONEY)
        self.scale = checked_number(scale, "scale", LEAST_SCALE, MOST_MONEY)
        low, high = checked_money(low, "low"), checked_number(high, "high", infinite=True)
        if not low < high or MOST_MONEY < high < math.inf:
            raise InputError(f"a truncated normal needs low < high and scale > 0, got [{low}, {high}], scale {scale}")
        self._a, self._b = (low - self.location) / self.scale, (high - self.location) / self.scale
        self._sign = (
            -1.0 if self._a > 0 else 1.0
        )  # an upper tail is computed as the mirrored lower one: no cancellation
        ends = self._sign * np.array([self._a, self._b])
        self._mass = float(abs(np.diff(special.ndtr(ends))[0]))
        if self._mass < 1e-280:
            raise InputError(f"[{low}, {high}] lies too far out in the tail of Normal({location}, {scale})")
        bells = np.exp(-np.square([self._a, self._b]) / 2) / math.sqrt(2 * math.pi)
        mean = self.location + self.scale * float(bells[0] - bells[1]) / self._mass
        super().__init__(low, high, mean, (self.location, self.scale, low, high))

    @property
    def regular(self) -> bool:
        """Always."""
        return True

    def _z(self, v: Tensor) -> Tensor:
        return (v - self.location) / self.scale

    def _cdf(self, v: Tensor) -> Tensor:
        below = through_scipy(special.ndtr, self._sign * self._z(v)) - float(special.ndtr(self._sign * self._a))
        return (self._sign * below / self._mass).clamp(0, 1)

    def _pdf(self, v: Tensor) -> Tensor:
        return torch.exp(-self._z(v).square() / 2) / (math.sqrt(2 * math.pi) * self.scale * self._mass)

    def _quantile(self, q: Tensor) -> Tensor:
        level = float(special.ndtr(self._sign * self._a)) + self._sign * q * self._mass
        z = self._sign * through_scipy(special.ndtri, level.clamp(0, 1))
        return (self.location + self.scale * z).clamp(self.low, self.high)

    def _raw_virtual_value(self, v: Tensor) -> Tensor:
        """Return v − scale · (Φ(b) − Φ(z))/φ(z), by Mills ratios M = (1 − Φ)/φ on the side where they are small."""
        z, b = self._z(v), self._b
        fade = torch.exp((z.square() - b * b) / 2)  # φ(b)/φ(z)
        upper = _mills(z) - float(_mills(torch.tensor(abs(b)).double())) * fade
        if b < 0:
            ratio = _mills(torch.tensor(-b).double()) * fade - _mills(-z)
        else:
            ratio = torch.where(z >= 0, upper, upper.clamp_min(0))
        return v - self.scale * ratio.clamp_min(0)


def _mills(z: Tensor) -> Tensor:
    """Return (1 − Φ(z)) / φ(z) of the standard normal, infinite where it overflows."""
    return through_scipy(special.erfcx, z / math.sqrt(2)) * math.sqrt(math.pi / 2)
