"""An upper bound on what any truthful mechanism can bring for a continuous prior: one linear program over its cells.

Let a mechanism be truthful (for bidders of the prior, whatever the others bid, or on average over them) with utility
u_i ≥ 0 for every type, draw lots as it may, and allocate within the range. Cut the support of every valuation into
cells. Average what happens over the cells: q(p) is the mean of the lots at types in the profile p of cells, E_i(τ) of
i's exposures, U_i(τ) ≥ 0 of its utility, all at the others' cells or on average over them. Then

1. q, E belong together as in the finite program, and the user's loss is that of q: means of distributions over the
   range are distributions over the range.
2. Truth binds cells: u_i(v) ≥ u_i(v') + (v − v') · e_i(v'). Take v in τ and v' in τ' at the same quantiles of their
   cells, feature by feature, which has both conditional laws. As e ≥ 0, U(τ) ≥ U(τ') + Δ(τ, τ') · E(τ') with Δ_f the
   least difference of the two quantile functions: exactly the distance where densities are uniform and cells equal.
3. Payments are E[v · e(v)] − U, and for every number c, E[v_f e_f] = c E_f + E[(v_f − c) e_f]
   ≤ c E_f + max e_f · E[(v_f − c)₊] − min e_f · E[(c − v_f)₊] within the cell: lines in E_f, of which some are used.

So the program that knows only 1, 2 and 3 has the mechanism among its solutions, and its optimum is a bound. Its error
against the best mechanism is of the order of a cell's length times the exposure, and goes to 0 as cells do. The line
c = the upper end alone is the finite program with types rounded up: a bound too where densities are uniform, and
farther away. With one feature the finite program with types rounded down is attained (`LinearProgram`), so that the two
enclose the optimum; with several, rounding down is no bound by itself, for revenue can fall when valuations rise.

Source:
    The relaxation is ours. That revenue is not monotone with several goods: Hart and Reny (2015), "Maximal revenue with
    multiple goods: nonmonotonicity and other observations". Programs over types: Border (1991), Cai, Daskalakis and
    Weinberg (2012), "An algorithmic characterization of multi-dimensional mechanisms".
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_money
from auctionsim.errors import InputError
from auctionsim.mechanisms.candidates import Candidates, candidates_of
from auctionsim.mechanisms.honest_program import solve
from auctionsim.mechanisms.program_types import Program, ProgramTypes
from auctionsim.mechanisms.type_grids import TypeAxis, joint_chances, neighbours, type_axis
from auctionsim.priors import Priors, product
from auctionsim.substrates.protocol import Substrate, contexts_of

Honesty = Literal["dominant", "bayesian"]
MARKS = (0.0, 0.25, 0.5, 0.75, 1.0)  # quantiles of a cell through whose values the lines of a worth are drawn


class HonestBound(NamedTuple):
    """No truthful mechanism brings more on the prior than this.

    Attributes:
        upper: Largest possible E[Σ t_i] − user_weight · E[L], in money.
        levels: Cells of each valuation.
        honest: Among which mechanisms: truthful whatever the others bid, or on average over them (a larger class).
    """

    upper: float
    levels: int
    honest: str


def honest_bound(
    substrate: Substrate,
    priors: Priors,
    user_weight: float = 0.0,
    *,
    levels: int = 4,
    honest: Honesty = "dominant",
    context: int | None = None,
) -> HonestBound:
    """Bound the objective of every truthful mechanism in which no type of the prior loses, lotteries included.

    Args:
        substrate: With a finite range, or one item; any number of features.
        priors: What valuations are drawn from, independently.
        user_weight: λ ≥ 0, money per unit of user loss.
        levels: Cells of each valuation; profiles are levels^(bidders · features).
        honest: Which mechanisms are meant.
        context: Index into the substrate's contexts; None: of one outcome for all, chosen on their mean. A platform
            that knows the context brings no more than the mean over contexts of this.
    Raises:
        TypeError: A substrate without a finite range.
        ValueError: Fewer than 2 levels.
    Example:
        >>> from auctionsim.priors import Uniform
        >>> from auctionsim.substrates import Items
        >>> bound = honest_bound(Items(2), Uniform(0, 1), levels=10)  # the best auction brings 5/12
        >>> 5 / 12 < bound.upper < 5 / 12 + 0.02
        True
    """
    candidates = candidates_in(substrate, context)
    prior = product(priors, substrate.num_bidders, len(substrate.features))
    bidders = []
    for i in range(prior.num_bidders):
        axes = [type_axis(prior.marginal(i, f), levels) for f in range(prior.num_features)]
        bidders.append(_cells(axes, candidates.exposures[:, i]))
    weight = checked_money(user_weight, "user_weight")
    program = Program(bidders, candidates.exposures, candidates.user_losses, weight, honest == "bayesian")
    return HonestBound(solve(program).at_most, levels, honest)


def candidates_in(substrate: Substrate, context: int | None) -> Candidates:
    """Return a substrate's range in one context that it has, None standing for their mean.

    Raises:
        ValueError: No such context.
    """
    names = contexts_of(substrate)
    if context is not None and not 0 <= context < len(names):
        raise InputError(f"context must index {len(names)} contexts, got {context!r}")
    return candidates_of(substrate, context, torch.device("cpu"))


def _cells(axes: list[TypeAxis], exposures: Float[Tensor, "entry feature"]) -> ProgramTypes:
    """Return a bidder's cells with the worths and differences of the bound."""
    steps, slopes, intercepts = [], [], []
    for f, axis in enumerate(axes):
        marks = axis.within[:, [round(mark * (axis.within.shape[1] - 1)) for mark in MARKS]]  # (level, line)
        least, most = float(exposures[:, f].min()), float(exposures[:, f].max())
        slopes.append(marks)
        intercepts.append(most * _above(axis, marks) - least * _below(axis, marks))
        steps.append(_least_differences(axis))
    every = torch.cartesian_prod(*(torch.arange(len(axis.lows)) for axis in axes)).view(-1, len(axes))
    lines = [
        torch.stack([part[every[:, f]].T for f, part in enumerate(parts)], 2) for parts in (slopes, intercepts)
    ]  # (line, type, feature)
    apart = torch.stack([step[every[:, f]][:, every[:, f]] for f, step in enumerate(steps)], 2)
    return ProgramTypes(joint_chances(axes), apart, lines[0], lines[1], neighbours([len(axis.lows) for axis in axes]))


def _above(axis: TypeAxis, marks: Float[Tensor, "level line"]) -> Float[Tensor, "level line"]:
    """Return at least E[(v − c)₊] in each cell, every slice taken at its upper end."""
    return (axis.within[:, None, 1:] - marks[:, :, None]).clamp_min(0).mean(2)


def _below(axis: TypeAxis, marks: Float[Tensor, "level line"]) -> Float[Tensor, "level line"]:
    """Return at most E[(c − v)₊] in each cell, every slice taken at its upper end."""
    return (marks[:, :, None] - axis.within[:, None, 1:]).clamp_min(0).mean(2)


def _least_differences(axis: TypeAxis) -> Float[Tensor, "level level"]:
    """Return at most the least difference of two cells' values at equal quantiles; 0 of a cell and itself."""
    lower, upper = axis.within[:, :-1], axis.within[:, 1:]
    least = (lower.unsqueeze(1) - upper.unsqueeze(0)).amin(2)
    return least.fill_diagonal_(0.0)
