"""An interior-point method for the quasi-linear Eisenberg–Gale program, in its dual form.

    min over 0 < β ≤ 1 and p of Σ_j p_j − Σ_i B_i log β_i  subject to  p_j ≥ β_i v_ij

β are multipliers and p prices; the multipliers of the constraints p_j ≥ β_i v_ij are the shares x_ij. The program is
convex, and strictly so in β. Mehrotra's predictor and corrector take Newton steps on its optimality conditions.

Source: Mehrotra (1992), "On the implementation of a primal-dual interior point method"; the program: Chen, Ye and Zhang
(2007), "A note on equilibrium pricing as convex optimization", and Conitzer et al. (2022), "Pacing equilibrium in first
price auction markets".
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

ITERATIONS = 300
CLOSE, CLOSEST = 1e-9, 1e-17  # mean complementarity per mean price from which on points are close, and at which to stop
EXACT = 1e-6  # relative error of money that is spent or left, beyond which a point is not close
BACK = 0.9995  # share of the way to the boundary


class InteriorPoint(NamedTuple):
    """A point strictly inside: slacks are positive, and their products with multipliers are nearly 0.

    Attributes:
        beta: (bidder,) multipliers.
        prices: (item,).
        shares: (bidder, item), 0 where an item is worth nothing.
        slack: (bidder, item) p_j − β_i v_ij; 1 where an item is worth nothing.
        room: (bidder,) 1 − β_i.
        unspent: (bidder,) multiplier of β_i ≤ 1: the money that i does not spend.
    """

    beta: Float[np.ndarray, " bidder"]
    prices: Float[np.ndarray, " item"]
    shares: Float[np.ndarray, "bidder item"]
    slack: Float[np.ndarray, "bidder item"]
    room: Float[np.ndarray, " bidder"]
    unspent: Float[np.ndarray, " bidder"]


class _Residuals(NamedTuple):
    """How far a point is from equality in each condition, the sign such that a Newton step adds it."""

    sold: np.ndarray
    spend: np.ndarray
    slack: np.ndarray
    room: np.ndarray


def interior_points(
    values: Float[np.ndarray, "bidder item"], budgets: Float[np.ndarray, " bidder"]
) -> list[InteriorPoint]:
    """Return points ever closer to the optimum; where many are optimal, rounding makes the last ones worse again.

    Args:
        values: Every row and every column has a positive entry.
        budgets: Finite, > 0; best summing to about 1.
    """
    wanted = values > 0
    point, close = _start(values, budgets, wanted), list[InteriorPoint]()
    for _ in range(ITERATIONS):
        gap = _complementarity(point, wanted)
        error = np.abs(point.beta * _worth(point, values) / budgets - 1).max()
        if gap * values.shape[1] < CLOSE and error < EXACT:
            close.append(point)
        if gap * values.shape[1] < CLOSEST or (close and error > EXACT):
            break
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                point = _step(point, values, budgets, gap)
        except (np.linalg.LinAlgError, FloatingPointError):  # ties make the last systems singular
            break
    return close or [point]


def _step(point: InteriorPoint, values: np.ndarray, budgets: np.ndarray, gap: float) -> InteriorPoint:
    """Return the point after one step: a predictor says how much of the gap goes, a corrector aims at what is left."""
    wanted, residuals = values > 0, _residuals(point, values, budgets)
    target = np.zeros_like(values), np.zeros_like(budgets)
    guess = _direction(point, values, residuals, target)
    after = _complementarity(_moved(point, guess, _length(point, guess)), wanted)
    centre = (after / gap) ** 3 * gap
    target = centre - guess.shares * guess.slack, centre - guess.unspent * guess.room
    step = _direction(point, values, residuals, target)
    return _moved(point, step, BACK * _length(point, step))


def _start(values: np.ndarray, budgets: np.ndarray, wanted: np.ndarray) -> InteriorPoint:
    beta = 0.9 * np.minimum(1.0, budgets / values.sum(1))  # from below: all of a budget on all items
    prices = 2 * (beta[:, None] * values).max(0)
    shares = wanted / wanted.sum(0)
    slack = np.where(wanted, prices - beta[:, None] * values, 1.0)
    return InteriorPoint(beta, prices, shares, slack, 1 - beta, budgets.copy())


def _complementarity(point: InteriorPoint, wanted: np.ndarray) -> float:
    total = (point.shares * point.slack).sum() + (point.unspent * point.room).sum()
    return float(total / (wanted.sum() + len(point.beta)))


def _residuals(point: InteriorPoint, values: np.ndarray, budgets: np.ndarray) -> _Residuals:
    return _Residuals(
        1 - point.shares.sum(0),
        budgets / point.beta - _worth(point, values),
        np.where(values > 0, point.prices - point.beta[:, None] * values - point.slack, 0.0),
        1 - point.beta - point.room,
    )


def _direction(
    point: InteriorPoint, values: np.ndarray, residuals: _Residuals, target: tuple[np.ndarray, np.ndarray]
) -> InteriorPoint:
    """Return the Newton step towards products of `target`; prices, shares and slacks are eliminated from its system."""
    ratio = point.shares / point.slack
    cap = point.unspent / point.room
    lead = np.where(values > 0, target[0] / point.slack - point.shares, 0.0) - ratio * residuals.slack
    end = target[1] / point.room - point.unspent - cap * residuals.room
    column = ratio.sum(0)
    cross = ratio * values
    right = residuals.spend - (values * lead).sum(1) - end
    right += (cross / column) @ (lead.sum(0) - residuals.sold)
    matrix = -(cross / column) @ cross.T
    others = _sums_of_others(ratio)  # exact where one bidder's ratio is nearly the whole column
    np.fill_diagonal(matrix, _worth(point, values) / point.beta + cap + (cross * values * others / column).sum(1))
    beta = np.linalg.solve(matrix, right)
    prices = (lead.sum(0) - residuals.sold + (cross * beta[:, None]).sum(0)) / column
    slack = np.where(values > 0, prices - values * beta[:, None] + residuals.slack, 0.0)
    shares = lead - ratio * (slack - residuals.slack)
    room = residuals.room - beta
    return InteriorPoint(beta, prices, shares, slack, room, end + cap * residuals.room - cap * room)


def _worth(point: InteriorPoint, values: np.ndarray) -> np.ndarray:
    """Return u_i = Σ_j v_ij x_ij + unspent money; at the optimum β_i u_i = B_i, which is linearised as a product."""
    return np.asarray((values * point.shares).sum(1) + point.unspent)


def _sums_of_others(ratio: np.ndarray) -> np.ndarray:
    """Return of each entry the sum of the other entries of its column, without a difference."""
    zero = np.zeros((1, ratio.shape[1]))
    above = np.concatenate([zero, np.cumsum(ratio, 0)[:-1]])
    below = np.concatenate([np.cumsum(ratio[::-1], 0)[::-1][1:], zero])
    return np.asarray(above + below)


def _length(point: InteriorPoint, step: InteriorPoint) -> float:
    """Return the share of a step, at most 1, after which the first positive number is 0."""
    return min(
        _reach(point.beta, step.beta),
        _reach(point.slack, step.slack),
        _reach(point.room, step.room),
        _reach(point.shares, step.shares),
        _reach(point.unspent, step.unspent),
    )


def _reach(numbers: np.ndarray, step: np.ndarray) -> float:
    falls = step < 0
    return float(min(1.0, (numbers[falls] / -step[falls]).min(initial=np.inf)))


def _moved(point: InteriorPoint, step: InteriorPoint, length: float) -> InteriorPoint:
    return InteriorPoint(
        point.beta + length * step.beta,
        point.prices + length * step.prices,
        point.shares + length * step.shares,
        point.slack + length * step.slack,
        point.room + length * step.room,
        point.unspent + length * step.unspent,
    )
