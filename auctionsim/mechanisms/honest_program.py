"""The linear program of the best honest mechanism for bidders of finitely many types: any features, entries and law.

Variables: for every profile p of types the shares q_p of the range's entries, and for every bidder i, type τ and group
g of the others' types its expected exposures E_i(τ, g) and its utility U_i(τ, g) ≥ 0. A group is one profile of the
others where truth must be dominant, and all of them together, as likely as they are, where it must be best on average
(Bayesian). The program is

    max  E[Σ_i (worth of E_i at its type) − U_i − user_weight · L]
    with U_i(τ, g) ≥ U_i(τ', g) + Δ_i(τ, τ') · E_i(τ', g) for all τ ≠ τ'.

For bidders of exactly these types the worth is τ · E and Δ(τ, τ') = τ − τ': payments are what is left of the worth, and
the optimum is that of all mechanisms, those that draw lots too. `honest_bound` gives other worths and differences.

Solved by HiGHS through scipy, with two kinds of laziness that change nothing of the answer: constraints come in when
they are broken (neighbours first), and where the range is long, entries come into a profile when they would pay: with
z the duals of E's definition, entry k of profile p is priced by Σ_i z_i · e_ik − P(p) · user_weight · L_k, as a virtual
welfare. What the prices leave open bounds the optimum from above, so that an early end would still be a bound.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import vstack
from torch import Tensor

from auctionsim.errors import FailedRunError
from auctionsim.mechanisms.program_cuts import broken_cuts, cut_rows, near_cuts
from auctionsim.mechanisms.program_rows import Matrices, ProgramRows
from auctionsim.mechanisms.program_types import Program

LONG_RANGE = 1 << 14  # shares from which on entries are priced in
ROUNDS = 200
EXACT = 1e-9  # of the largest worth: what counts as broken or as paying


class ProgramSolution(NamedTuple):
    """An optimum.

    Attributes:
        shares: (type of bidder 0, type of bidder 1, …, entry), float64, sums to 1.
        utilities: Of every bidder, (type, group).
        objective: Its value.
        at_most: No more than this is possible: the objective plus what entries that were left out could add.
        rounds: How many programs were solved.
    """

    shares: Tensor
    utilities: tuple[Tensor, ...]
    objective: float
    at_most: float
    rounds: int


def solve(program: Program, *, long_range: int = LONG_RANGE) -> ProgramSolution:
    """Solve a program.

    Args:
        program: With at least one entry.
        long_range: Number of shares (profiles × entries) from which on entries are priced in one by one.
    Raises:
        RuntimeError: HiGHS finds no optimum, or the rounds do not end.
    """
    rows = ProgramRows(program)
    exact = EXACT * rows.scale
    short = rows.profiles * len(program.exposures) <= long_range
    columns = rows.every_column() if short else rows.first_columns()
    cuts = [cut_rows(rows, near_cuts(rows))]
    for count in range(1, ROUNDS + 1):
        optimum = _optimum(rows.matrices(columns, vstack(cuts, format="csr")))
        fresh, open_gain = rows.priced(optimum.eqlin.marginals, columns, exact)
        broken = broken_cuts(rows, optimum.x[columns.shape[1] :], exact)
        if not len(broken) and not fresh.shape[1]:
            objective = -float(optimum.fun)
            shares, utilities = rows.shares(columns, optimum.x), rows.utilities(columns, optimum.x)
            return ProgramSolution(shares, utilities, objective, objective + open_gain, count)
        if len(broken):
            cuts.append(cut_rows(rows, broken))
        columns = np.concatenate([columns, fresh], 1)
    raise FailedRunError(f"the program of {rows.profiles} profiles is not solved after {ROUNDS} rounds")


def _optimum(matrices: Matrices) -> Any:
    """Return HiGHS's optimum, scipy's `OptimizeResult`."""
    solver: Any = linprog  # its stubs know no sparse matrices
    optimum = solver(
        matrices.cost,
        A_ub=matrices.least,
        b_ub=matrices.most,
        A_eq=matrices.equal,
        b_eq=matrices.right,
        bounds=matrices.bounds,
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if optimum.status != 0:
        raise FailedRunError(f"HiGHS finds no optimum: {optimum.message}")
    return optimum
