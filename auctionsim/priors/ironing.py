"""Virtual values made monotone by the concave hull of the revenue curve, and the piecewise linear φ that rules use."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

FLOOR = 100.0  # a virtual value is never below −FLOOR times the largest valuation, so that it can multiply exposure


class VirtualValueCurve(NamedTuple):
    """An ironed virtual value φ as knots, linear in between, with slope 1 above the last one.

    Both columns are nondecreasing float64; nothing is said of values below the first, which is 0 for a prior's whole
    curve. Where two knots share a value φ jumps and takes the upper one (it is continuous from the right), so
    {v : φ(v) ≥ y} always has a smallest element, `inverse(y)`.

    Attributes:
        values: (knot,) valuations.
        phis: (knot,) virtual values, finite.
    """

    values: Tensor
    phis: Tensor

    def evaluate(self, valuations: Tensor) -> Tensor:
        """Return φ(v), float64, for v of any shape, none below the first knot.

        Knots are rounded down to the precision of `valuations`, so that a support point drawn in float32 counts as
        that point and not as a value just below it.
        """
        floating = valuations.dtype if valuations.is_floating_point() else torch.float64
        values, phis = self.at_precision(floating, valuations.device)
        v = valuations.double()
        k = torch.searchsorted(values, v.detach().contiguous(), right=True) - 1
        return phis[k] + (v - values[k]) * self._steepness(values, phis)[k]

    def inverse(self, levels: Tensor, *, beyond: bool = False) -> Tensor:
        """Return inf{v : φ(v) ≥ y}, or, `beyond`, inf{v : φ(v) > y}, among v from the first knot on; float64."""
        values, phis = self.values.to(levels.device), self.phis.to(levels.device)
        y = levels.double()
        k = torch.searchsorted(phis, y.detach().contiguous(), right=beyond)  # the first knot with φ ≥ y, or φ > y
        upper = k.clamp_max(len(phis) - 1)
        lower = (k - 1).clamp_min(0)
        rise = phis[upper] - phis[lower]
        share = torch.where(rise > 0, (y - phis[lower]) / rise.clamp_min(1e-300), 1.0)
        inside = values[lower] + (values[upper] - values[lower]) * share
        inside = torch.where(k == 0, values[0], inside)
        return torch.where(k == len(phis), values[-1] + (y - phis[-1]), inside)

    def flat_levels(self) -> Tensor:
        """Return the φ that whole intervals of valuations share, increasing."""
        level = (self.phis.diff() == 0) & (self.values.diff() > 0)
        return distinct(self.phis[:-1][level])

    def above(self, start: float) -> "VirtualValueCurve":
        """Return the curve on v ≥ start alone, `start` being the value of a knot."""
        first = int(torch.searchsorted(self.values, self.values.new_tensor(start), right=True)) - 1
        return VirtualValueCurve(self.values[first:], self.phis[first:])

    def at_precision(self, dtype: torch.dtype, device: torch.device) -> "VirtualValueCurve":
        """Return the curve whose values are rounded down to `dtype`, still held in float64."""
        return VirtualValueCurve(rounded_down(self.values, dtype).to(device), self.phis.to(device))

    @staticmethod
    def _steepness(values: Float[Tensor, "knot"], phis: Float[Tensor, "knot"]) -> Float[Tensor, "knot"]:
        width = values.diff()
        inner = torch.where(width > 0, phis.diff() / width.clamp_min(1e-300), 0.0)
        return torch.cat([inner, inner.new_ones(1)])


def distinct(values: Tensor) -> Tensor:
    """Return the different values of a vector, increasing."""
    ordered = values.sort().values
    return torch.cat([ordered[:1], ordered[1:][ordered.diff() > 0]])


def rounded_down(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the largest numbers of `dtype` that are ≤ `values`, in float64."""
    near = values.to(dtype)
    below = torch.nextafter(near, torch.full_like(near, -torch.inf))
    return torch.where(near.double() > values, below, near).double()


def concave_hull(x: Float[Tensor, "point"], y: Float[Tensor, "point"]) -> list[int]:
    """Return the indices of the upper hull of points sorted by x, first and last included (Andrew's monotone chain)."""
    xs, ys = x.tolist(), y.tolist()
    hull: list[int] = []
    for k in range(len(xs)):
        while len(hull) > 1:
            i, j = hull[-2], hull[-1]
            if (ys[j] - ys[i]) * (xs[k] - xs[i]) > (ys[k] - ys[i]) * (xs[j] - xs[i]):
                break
            hull.pop()
        hull.append(k)
    return hull


class HullSlopes(NamedTuple):
    """The concave hull of the revenue curve, cell by cell of a grid of valuations; the last cell is open above.

    Attributes:
        values: (cell,) the left end of each cell, increasing.
        slopes: (cell,) slope of the hull over the cell's quantiles, nondecreasing.
        ironed: (cell,) whether the hull lies above the curve there.
    """

    values: Tensor
    slopes: Tensor
    ironed: Tensor

    def iron(self, valuations: Tensor, raw: Tensor) -> Tensor:
        """Return φ from raw = v − (1−F)/f: the hull's slope where ironed, else raw between the neighbours' slopes."""
        k = (torch.searchsorted(self.values, valuations, right=True) - 1).clamp_min(0)
        ends = self.slopes.new_full((1,), torch.inf)
        lower = torch.where(self.ironed, self.slopes, torch.cat([-ends, self.slopes[:-1]]))[k]
        upper = torch.where(self.ironed, self.slopes, torch.cat([self.slopes[1:], ends]))[k]
        return torch.maximum(torch.minimum(raw, upper), lower)


def hull_slopes(values: Float[Tensor, "point"], survival: Float[Tensor, "point"]) -> HullSlopes:
    """Iron in quantile space: take slopes of the concave hull of the revenue curve R(q) = q · v(q), q = P(V ≥ v).

    Args:
        values: Valuations, increasing.
        survival: P(V ≥ v) at each, nonincreasing, positive.
    Source:
        Myerson (1981), "Optimal auction design", section 6; Bulow and Roberts (1989) for the revenue curve.
    """
    q = torch.cat([survival.new_zeros(1), survival.flip(0)])  # increasing quantile, decreasing value
    revenue = torch.cat([survival.new_zeros(1), (survival * values).flip(0)])
    # In a gap of the support q stands still while v rises: only the highest point of that wall is on the hull.
    hull = concave_hull(q, revenue)
    cells = len(values)
    slopes = values.new_empty(cells)
    ironed = torch.zeros(cells, dtype=torch.bool)
    for i, j in itertools.pairwise(hull):
        rise, run = float(revenue[j] - revenue[i]), float(q[j] - q[i])
        first, last = cells - j, cells - i  # point j is value number cells − j: the edge covers these cells
        slopes[first:last] = rise / run if run > 0 else -torch.inf
        ironed[first:last] = last - first > 1
    return HullSlopes(values, slopes.cummax(0).values, ironed)


def refined_curve(
    phi: Callable[[Tensor], Tensor], knots: Float[Tensor, "knot"], high: float, tolerance: float = 2e-6
) -> VirtualValueCurve:
    """Interpolate a nondecreasing φ, splitting every segment whose middle is off.

    Args:
        phi: The virtual value, defined on the knots' range; −inf is raised to the floor.
        knots: Where to begin: increasing from 0, the last one `high`.
        high: The largest valuation: the money scale of `tolerance` and of the floor.
        tolerance: Largest error at a middle, times `high`; a hundred times coarser where φ is well below 0, where an
            error of that size moves the optimum by its square.
    """

    def floored(v: Tensor) -> Tensor:
        return phi(v).clamp_min(-FLOOR * high)

    values, phis = knots.double(), floored(knots.double())
    for _ in range(40):
        middle = (values[:-1] + values[1:]) / 2
        exact = floored(middle)
        error = (exact - (phis[:-1] + phis[1:]) / 2).abs()
        allowed = torch.where(exact > -0.1 * high, tolerance * high, 100 * tolerance * (high - exact))
        split = (error > allowed) & (values.diff() > 1e-10 * high)
        if not bool(split.any()):
            break
        values, order = torch.cat([values, middle[split]]).sort()
        phis = torch.cat([phis, exact[split]])[order]
    return VirtualValueCurve(values, phis.cummax(0).values)


def started_at_zero(curve: VirtualValueCurve) -> VirtualValueCurve:
    """Extend a curve down to value 0 by min(φ(low), 0), so that nobody below the support wins what it should not."""
    first, phi = curve.values[:1], curve.phis[:1]
    if float(first) == 0:
        return curve
    outside = phi.clamp_max(0)
    values = torch.cat([torch.zeros_like(first), first, curve.values])
    return VirtualValueCurve(values, torch.cat([outside, outside, curve.phis]))
