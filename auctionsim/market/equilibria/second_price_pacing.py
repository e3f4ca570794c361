"""Second-price pacing equilibria of small markets, by the integer program that has all of them as its points.

A market may have many. The program is solved for any, or for the one with the most or the least revenue. Its answer
is held to the conditions (`pacing_conditions` with rule "second"), as multipliers from elsewhere can be.

With bids α_i v_ij, spends s_ij, prices p_j, highest bids h_j, M_j = max_i v_ij and the binaries d_ij (may win), w_ij
(the winner whose own bid does not set the price), r_ij (whose bid is the price), y_i (spends all of the budget):

    Σ_j s_ij ≤ B_i;  Σ_j s_ij ≥ B_i y_i;  α_i ≥ 1 − y_i;  Σ_i s_ij = p_j;  s_ij ≤ M_j d_ij
    α_i v_ij ≤ h_j ≤ α_i v_ij + M_j (1 − d_ij);  α_i v_ij − v_ij w_ij ≤ p_j ≤ α_i v_ij + M_j (1 − r_ij)
    w_ij ≤ d_ij;  Σ_i w_ij = Σ_i r_ij = 1;  w_ij + r_ij ≤ 1
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from auctionsim.checks import checked_positive
from auctionsim.errors import FailedRunError, InputError
from auctionsim.market.equilibria.conditions import PacingConditions, pacing_conditions
from auctionsim.market.equilibria.item_market import ItemMarket

Goal = Literal["any", "most_revenue", "least_revenue"]
REVENUE = {"any": 0.0, "most_revenue": -1.0, "least_revenue": 1.0}  # weights of what is minimised
FEASIBLE = 1e-10  # HiGHS's tolerance once binaries are fixed
ACCEPTED = 1e-7  # the largest breach of a condition that is returned


@dataclass(frozen=True, eq=False)
class SecondPricePacing:
    """One second-price pacing equilibrium; there may be others.

    Attributes:
        multipliers: (bidder,) in [0, 1]: bid per value.
        prices: (item,) money: second highest bids.
        shares: (bidder, item), ≥ 0, Σ over bidders 1 where anybody bids above 0.
        spends: (bidder,) money.
        conditions: By how much each condition of an equilibrium is broken: at most 1e-7 (money: of the largest value).
    """

    multipliers: Float[np.ndarray, " bidder"]
    prices: Float[np.ndarray, " item"]
    shares: Float[np.ndarray, "bidder item"]
    spends: Float[np.ndarray, " bidder"]
    conditions: PacingConditions


def second_price_pacing(market: ItemMarket, goal: Goal = "any", most_seconds: float = 60.0) -> SecondPricePacing:
    """Return a second-price pacing equilibrium of a small market: any, or the one with the most or the least revenue.

    One always exists. To compute any is hard in general (PPAD): time grows fast with bidders × items, 3 × 8 take
    seconds and 5 × 8 may take minutes. An extreme one is so up to HiGHS's gap of 1e-4 of the revenue.

    Args:
        market: Values and budgets.
        goal: Which one to return.
        most_seconds: Limit of the search, > 0.
    Raises:
        ValueError: Another goal, no positive limit.
        RuntimeError: The limit is reached, or the program's answer breaks a condition by more than 1e-7.
    Source:
        Conitzer, Kroer, Sodomka and Stier-Moses (2022), "Multiplicative pacing equilibria in auction markets"; how hard
        it is: Chen, Kroer and Kumar (2024), "The complexity of pacing for second-price auctions".
    Example:
        >>> market = ItemMarket(np.array([[10.0, 6.0], [6.0, 10.0]]), np.array([6.0, 4.0]))
        >>> most, least = (second_price_pacing(market, goal) for goal in ("most_revenue", "least_revenue"))
        >>> [round(float(one.prices.sum()), 6) for one in (most, least)]
        [10.0, 9.6]
    """
    if goal not in get_args(Goal):
        raise InputError(f"goal must be one of {get_args(Goal)}, got {goal!r}")
    limit = checked_positive(most_seconds, "most_seconds")
    unit = float(market.values.max()) or 1.0
    own = np.zeros((1, market.num_items)) if market.num_bidders == 1 else np.zeros((0, market.num_items))
    values = np.concatenate([market.values / unit, own])  # a lone bidder meets one who bids 0
    budgets = np.concatenate([market.budgets / unit, np.ones(len(own))])
    program = _PacingProgram(values, np.minimum(budgets, 2 * values.sum(1) + 1))
    numbers = program.solution(REVENUE[goal], limit)
    multipliers, prices, shares = _equilibrium(program.places, numbers, market.num_bidders, unit)
    conditions = pacing_conditions(market, multipliers, shares, prices, "second")
    if conditions.largest > ACCEPTED:
        raise FailedRunError(f"HiGHS's answer is no pacing equilibrium: {conditions.breaches(ACCEPTED)[0]}")
    return SecondPricePacing(multipliers, prices, shares, shares @ prices, conditions)


class _PacingColumns(NamedTuple):
    """Where each kind of variable stands."""

    alpha: np.ndarray
    spend: np.ndarray
    price: np.ndarray
    highest: np.ndarray
    wins: np.ndarray
    first: np.ndarray
    second: np.ndarray
    spent: np.ndarray


def _places(n: int, m: int) -> _PacingColumns:
    shapes = ((n,), (n, m), (m,), (m,), (n, m), (n, m), (n, m), (n,))
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    return _PacingColumns(
        *(np.arange(a, b).reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes, strict=False))
    )


class _PacingProgram:
    """The integer program: rows low ≤ A x ≤ high, and which variables are binary."""

    def __init__(self, values: np.ndarray, budgets: np.ndarray) -> None:
        self.places = _places(*values.shape)
        self.size = int(self.places.spent[-1]) + 1
        self.binary = np.zeros(self.size)
        for kind in (self.places.wins, self.places.first, self.places.second, self.places.spent):
            self.binary[kind] = 1
        self.most = np.where(self.binary > 0, 1.0, np.inf)
        self.most[self.places.alpha] = 1.0
        self.rows: list[np.ndarray] = []
        self.low: list[float] = []
        self.high: list[float] = []
        self._budget_rows(budgets)
        self._item_rows(values)

    def _row(self, low: float, high: float, *terms: tuple[np.ndarray | np.int64, float]) -> None:
        row = np.zeros(self.size)
        for columns, factor in terms:
            row[columns] += factor
        self.rows.append(row)
        self.low.append(low)
        self.high.append(high)

    def _budget_rows(self, budgets: np.ndarray) -> None:
        at = self.places
        for i, budget in enumerate(budgets):
            self._row(-np.inf, budget, (at.spend[i], 1))
            self._row(0, np.inf, (at.spend[i], 1), (at.spent[i], -budget))
            self._row(1, np.inf, (at.alpha[i], 1), (at.spent[i], 1))

    def _item_rows(self, values: np.ndarray) -> None:
        at = self.places
        for j, most in enumerate(values.max(0)):
            self._row(0, 0, (at.spend[:, j], 1), (at.price[j], -1))
            self._row(1, 1, (at.first[:, j], 1))
            self._row(1, 1, (at.second[:, j], 1))
            for i, v in enumerate(values[:, j]):
                self._row(-np.inf, 0, (at.spend[i, j], 1), (at.wins[i, j], -most))
                self._row(0, np.inf, (at.highest[j], 1), (at.alpha[i], -v))
                self._row(-np.inf, most, (at.highest[j], 1), (at.alpha[i], -v), (at.wins[i, j], most))
                self._row(0, np.inf, (at.price[j], 1), (at.alpha[i], -v), (at.first[i, j], v))
                self._row(-np.inf, most, (at.price[j], 1), (at.alpha[i], -v), (at.second[i, j], most))
                self._row(-np.inf, 0, (at.first[i, j], 1), (at.wins[i, j], -1))
                self._row(-np.inf, 1, (at.first[i, j], 1), (at.second[i, j], 1))

    def solution(self, weight: float, limit: float) -> np.ndarray:
        """Return the variables with the least weight × revenue; binaries are rounded and the rest solved again."""
        cost = np.zeros(self.size)
        cost[self.places.price] = weight
        matrix, low, high = np.array(self.rows), np.array(self.low), np.array(self.high)
        answer: Any = milp(
            cost,
            integrality=self.binary.astype(np.int64),
            bounds=Bounds(np.zeros(self.size), self.most),
            constraints=LinearConstraint(matrix, low, high),
            options={"time_limit": limit},
        )
        if answer.status != 0:
            raise FailedRunError(f"HiGHS finds no pacing equilibrium within {limit} s: {answer.message}")
        return self._polished(cost, matrix, low, high, answer.x)

    def _polished(
        self, cost: np.ndarray, matrix: np.ndarray, low: np.ndarray, high: np.ndarray, start: np.ndarray
    ) -> np.ndarray:
        rounded = np.where(self.binary > 0, np.round(start), np.nan)
        bounds = np.column_stack(
            [np.where(self.binary > 0, rounded, 0.0), np.where(self.binary > 0, rounded, self.most)]
        )
        above, below = np.isfinite(high), np.isfinite(low)
        solver: Any = linprog
        answer = solver(
            cost,
            A_ub=np.concatenate([matrix[above], -matrix[below]]),
            b_ub=np.concatenate([high[above], -low[below]]),
            bounds=bounds,
            method="highs-ds",
            options={"primal_feasibility_tolerance": FEASIBLE, "dual_feasibility_tolerance": FEASIBLE},
        )
        return np.asarray(answer.x if answer.status == 0 else start)


def _equilibrium(
    at: _PacingColumns, numbers: np.ndarray, num_bidders: int, unit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return multipliers, prices and shares; an item that costs nothing goes to the one named first."""
    multipliers = np.clip(numbers[at.alpha], 0, 1)
    prices, spend = np.maximum(numbers[at.price], 0.0), np.maximum(numbers[at.spend], 0.0)
    paid = prices > ACCEPTED / 10
    shares = np.where(paid, spend / np.where(paid, spend.sum(0), 1.0), np.round(numbers[at.first]))
    return multipliers[:num_bidders], np.where(paid, prices, 0.0) * unit, shares[:num_bidders]
