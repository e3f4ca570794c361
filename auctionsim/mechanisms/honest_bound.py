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
3. The corner is a type like others: with C(τ) ≥ 0 the mean utility of τ's lower corner and t(τ') the mean payment in
   τ', C(τ) ≥ corner(τ) · E(τ') − t(τ'). And utility grows inside a cell: along a path to v that goes along feature f
   last, u(v) − u(corner) ≥ Σ_{g≠f} min e_g (v_g − corner_g) + ∫ e_f, and e_f does not fall in v_f. So
   U ≥ C + top_f E_f − E[v_f e_f] + k_f, k_f being 0 for a uniform density and exposures from 0 (`_rise`).
4. Payments are E[v · e(v)] − U, and for every number c, E[v_f e_f] = c E_f + E[(v_f − c) e_f]
   ≤ c E_f + E_f(next) E[(v_f − c)₊] − E_f(previous) E[(c − v_f)₊], the cells after and before τ along f: e_f does not
   fall in v_f, so within the cell it lies between. Some of these lines are used.

So the program that knows only these has the mechanism among its solutions, and its optimum is a bound. Its error
against the best mechanism is of the order of a cell's length times the exposure, and goes to 0 as cells do. The line
c = the upper end alone is the finite program with types rounded up: a bound too where densities are uniform, and
farther away. With one feature the finite program with types rounded down is attained (`LinearProgram`), so that the two
enclose the optimum; with several, rounding down is no bound by itself, for revenue can fall when valuations rise.

Source:
    The relaxation is ours. That revenue is not monotone with several goods: Hart and Reny (2015), "Maximal revenue with
    multiple goods: nonmonotonicity and other observations". Programs over types: Border (1991), Cai, Daskalakis and
    Weinberg (2012), "An algorithmic characterization of multi-dimensional mechanisms".
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count, checked_money
from auctionsim.errors import InputError
from auctionsim.mechanisms.candidates import Candidates, candidates_of
from auctionsim.mechanisms.honest_program import solve
from auctionsim.mechanisms.program_types import CellInside, Program, ProgramTypes
from auctionsim.mechanisms.type_grids import WITHIN, TypeAxis, joint_chances, neighbours, type_axis
from auctionsim.priors import Priors, product
from auctionsim.substrates.protocol import Substrate, contexts_of

Honesty = Literal["dominant", "bayesian"]
MARKS = (0.0, 0.25, 0.5, 0.75, 1.0)  # quantiles of a cell through whose values the lines of a worth are drawn


class HonestBound(NamedTuple):
    """No truthful mechanism brings more on the prior than this.

    Attributes:
        upper: Largest possible E[Σ t_i] − user_weight · E[L], in money.
        levels: Cells of each valuation, by feature.
        honest: Among which mechanisms: truthful whatever the others bid, or on average over them (a larger class).
    """

    upper: float
    levels: tuple[int, ...]
    honest: str


def honest_bound(
    substrate: Substrate,
    priors: Priors,
    user_weight: float = 0.0,
    *,
    levels: int | Sequence[int] = 4,
    honest: Honesty = "dominant",
    context: int | None = None,
) -> HonestBound:
    """Bound the objective of every truthful mechanism in which no type of the prior loses, lotteries included.

    Args:
        substrate: With a finite range, or one item; any number of features.
        priors: What valuations are drawn from, independently.
        user_weight: λ ≥ 0, money per unit of user loss.
        levels: Cells of each valuation, one number or one a feature; profiles are as many as all combinations. More for
            the features that matter; with `honest="bayesian"` more are solved in a second, so that this is often the
            lower bound, although it holds for a larger class.
        honest: Which mechanisms are meant.
        context: Index into the substrate's contexts; None: of one outcome for all, chosen on their mean. A platform
            that knows the context brings no more than the mean over contexts of this.
    Raises:
        TypeError: A substrate without a finite range.
        ValueError: Fewer than 2 levels, or not one number a feature.
    Example:
        >>> from auctionsim.priors import Uniform
        >>> from auctionsim.substrates import Items
        >>> bound = honest_bound(Items(2), Uniform(0, 1), levels=10)  # the best auction brings 5/12
        >>> 5 / 12 < bound.upper < 5 / 12 + 0.03
        True
    """
    candidates = candidates_in(substrate, context)
    prior = product(priors, substrate.num_bidders, len(substrate.features))
    counts = levels_by_feature(levels, prior.num_features)
    bidders = []
    for i in range(prior.num_bidders):
        axes = [type_axis(prior.marginal(i, f), count) for f, count in enumerate(counts)]
        bidders.append(_cells(axes, candidates.exposures[:, i]))
    weight = checked_money(user_weight, "user_weight")
    program = Program(bidders, candidates.exposures, candidates.user_losses, weight, honest == "bayesian")
    return HonestBound(solve(program).at_most, counts, honest)


def levels_by_feature(levels: int | Sequence[int], features: int) -> tuple[int, ...]:
    """Return the cells of each valuation by feature.

    Raises:
        ValueError: Fewer than 2, or not one number a feature.
    """
    counts = (levels,) * features if isinstance(levels, int) else tuple(levels)
    if len(counts) != features:
        raise InputError(f"levels must be one number, or one for each of {features} features, got {levels}")
    return tuple(checked_count(count, "levels", 2) for count in counts)


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
    every = torch.cartesian_prod(*(torch.arange(len(axis.lows)) for axis in axes)).view(-1, len(axes))

    def by_type(parts: list[Tensor]) -> Tensor:
        """Return a number a level of each feature as one a type and feature, along a first axis where there is one."""
        return torch.stack([part[..., every[:, f]] for f, part in enumerate(parts)], -1)

    least, most = exposures.amin(0), exposures.amax(0)
    marks = [axis.within[:, [round(mark * WITHIN) for mark in MARKS]].T for axis in axes]  # (line, level)
    beyond = [(axis.within[None, :, 1:] - line[:, :, None]) for axis, line in zip(axes, marks, strict=True)]
    means = [axis.within[:, :-1].mean(1) for axis in axes]  # no more than the cells' means
    floors = by_type([low * (mean - axis.within[:, 0]) for axis, mean, low in zip(axes, means, least, strict=True)])
    rises = by_type([_rise(axis, *map(float, ends)) for axis, *ends in zip(axes, least, most, strict=True)])
    strides = [math.prod(len(axis.lows) for axis in axes[f + 1 :]) for f in range(len(axes))]
    here, stride = torch.arange(len(every)).unsqueeze(1), torch.tensor(strides)
    last = torch.tensor([len(axis.lows) - 1 for axis in axes])
    inside = CellInside(
        corners=by_type([axis.within[:, 0] for axis in axes]),
        tops=by_type([axis.within[:, -1] for axis in axes]),
        gains=rises + floors.sum(1, keepdim=True) - floors,
        marks=by_type(marks),
        beyond=by_type([part.clamp_min(0).mean(2) for part in beyond]),  # every slice at its upper end
        short=by_type([(-part).clamp_min(0).mean(2) for part in beyond]),
        following=torch.where(every < last, here + stride, -1),
        previous=torch.where(every > 0, here - stride, -1),
        least=least,
        most=most,
    )
    steps = [_least_differences(axis)[every[:, f]][:, every[:, f]] for f, axis in enumerate(axes)]
    near = neighbours([len(axis.lows) for axis in axes])
    return ProgramTypes(joint_chances(axes), torch.stack(steps, 2), inside.tops, near, inside)


def _rise(axis: TypeAxis, least: float, most: float) -> Float[Tensor, " level"]:
    """Return k in E[∫ e] ≥ top · E − worth + k for exposures that do not fall, from `least` to `most`.

    Such an exposure is `least` plus (most − least) times a mixture of steps to 1 at numbers c. Of a step,
    E[(v − c)₊] − top · P(v ≥ c) + E[v; v ≥ c] = E[2v − c − top; v ≥ c], which is 0 for a uniform density; its least
    value is taken with every slice at its lower end and c at the upper end of its own.
    """
    lower, upper, top = axis.within[:, :-1], axis.within[:, 1:], axis.within[:, -1:]
    slices = lower.shape[1]
    beyond = (2 * lower).flip(1).cumsum(1).flip(1) - 2 * lower  # of the slices after one's own
    count = torch.arange(slices - 1, -1, -1, dtype=lower.dtype)
    of_steps = (beyond - count * (upper + top) - (top - lower)) / slices
    ends = 2 * lower.mean(1) - lower[:, 0] - top[:, 0]
    return least * ends + (most - least) * of_steps.amin(1).clamp_max(0)


def _least_differences(axis: TypeAxis) -> Float[Tensor, "level level"]:
    """Return at most the least difference of two cells' values at equal quantiles; 0 of a cell and itself."""
    lower, upper = axis.within[:, :-1], axis.within[:, 1:]
    least = (lower.unsqueeze(1) - upper.unsqueeze(0)).amin(2)
    return least.fill_diagonal_(0.0)
