"""From an optimal program to a rule for every bid: what each profile of types is allocated, and what each type pays."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import behaves_as
from auctionsim.errors import FailedRunError, UnsupportedError
from auctionsim.mechanisms.candidates import Candidates
from auctionsim.mechanisms.honest_program import ProgramSolution, solve
from auctionsim.mechanisms.program_types import Program, own_types
from auctionsim.mechanisms.type_grids import TypeAxis, joint, joint_chances, neighbours
from auctionsim.mechanisms.virtual_welfare import VirtualWelfareMaximizer
from auctionsim.priors import Empirical
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate
from auctionsim.substrates.randomised import Randomised

CLOSE = 1e-7  # of the largest amount at stake: a sure rule that falls short by more is not the program's optimum


class TypeTable(NamedTuple):
    """What is had and paid at every profile of types.

    Attributes:
        allocations: (profile, …), the last bidder's type changing fastest.
        payments: (profile, bidder).
    """

    allocations: Tensor
    payments: Tensor


class GridMarket(NamedTuple):
    """Where a program's rule is to hold, in one context.

    Attributes:
        substrate: Where it allocates.
        candidates: Its range in that context.
        context: Index, or None for the mean.
        axes: Of every bidder, of every feature.
        user_weight: λ.
        bayesian: Honest on average over the others' types.
    """

    substrate: Substrate
    candidates: Candidates
    context: int | None
    axes: Sequence[Sequence[TypeAxis]]
    user_weight: float
    bayesian: bool

    @property
    def values(self) -> list[Tensor]:
        """Every bidder's types: (type, feature), each cell's lower end."""
        return [joint([axis.lows for axis in row]) for row in self.axes]

    @property
    def chances(self) -> list[Tensor]:
        """How likely they are: (type,)."""
        return [joint_chances(row) for row in self.axes]


def can_mix(substrate: Substrate) -> bool:
    """Tell whether a mean of allocations is the lottery over them: distributions over entries, chances of an item."""
    return isinstance(substrate, Randomised) or behaves_as(substrate, Items)


def type_table(market: GridMarket) -> TypeTable:
    """Solve the program of the cells' lower ends and return what it allocates and charges.

    Where allocations cannot be mixed and there is one feature, the sure optimum is taken: the largest ironed virtual
    welfare of the finitely many types, which is held against the program's value.

    Raises:
        RuntimeError: The program is not solved, or the sure rule is not optimal.
        NotImplementedError: Several features, and lots that are not sure where allocations cannot be mixed.
    """
    chances, candidates, solution = market.chances, market.candidates, solved(market)
    shares = solution.shares.flatten(0, -2)
    mixed = torch.tensordot(shares, candidates.allocations.double(), dims=1)
    exposures = torch.tensordot(shares, candidates.exposures, dims=1)
    losses = shares @ candidates.user_losses
    if not can_mix(market.substrate):
        if bool((shares.amax(1) < 1 - 1e-9).any()) and len(market.axes[0]) > 1:
            raise UnsupportedError(
                "the best honest mechanism draws lots here, and levers cannot be mixed: design it on Randomised(view)"
            )
        mixed, exposures, losses = _sure(market) if len(market.axes[0]) == 1 else (mixed, exposures, losses)
    if len(market.axes[0]) == 1:
        payments = _payments(market, exposures)
    else:
        payments = _menu_payments(market, exposures, solution.utilities)
    likely = _profile_chances(chances)
    value = float((likely * (payments.sum(1) - market.user_weight * losses)).sum())
    stakes = [
        float((one.amax(0) * e.abs().amax(0)).sum())
        for one, e in zip(market.values, candidates.exposures.unbind(1), strict=True)
    ]
    scale = sum(stakes) + market.user_weight * float(candidates.user_losses.abs().max())
    if abs(value - solution.objective) > CLOSE * scale:
        raise FailedRunError(f"the rule brings {value!r} where the program has {solution.objective!r}")
    return TypeTable(mixed, payments)


def solved(market: GridMarket) -> ProgramSolution:
    """Solve the program of the cells' lower ends."""
    bidders = [
        own_types(value, chance, neighbours([len(axis.lows) for axis in row]))
        for value, chance, row in zip(market.values, market.chances, market.axes, strict=True)
    ]
    listed = market.candidates
    return solve(Program(bidders, listed.exposures, listed.user_losses, market.user_weight, market.bayesian))


def _sure(market: GridMarket) -> tuple[Tensor, Tensor, Tensor]:
    """Return allocations, exposures (profile, bidder, 1) and losses of the largest virtual welfare at every profile."""
    priors = [
        Empirical(value[chance > 0, 0], chance[chance > 0])
        for value, chance in zip(market.values, market.chances, strict=True)
    ]
    rule = VirtualWelfareMaximizer(market.substrate, priors, market.user_weight)
    profiles = torch.cartesian_prod(*(value[:, 0] for value in market.values)).view(-1, len(priors), 1)
    where = None if market.context is None else torch.full((len(profiles),), market.context)
    allocation = rule(profiles, where).allocation
    substrate = market.substrate
    return allocation, substrate.exposure(allocation, where), substrate.user_loss(allocation, where)


def _payments(market: GridMarket, exposures: Float[Tensor, "profile bidder 1"]) -> Float[Tensor, "profile bidder"]:
    """Return Myerson's payments of exposures that are constant from each type to the next: the steps, each at its bid.

    Raises:
        RuntimeError: Exposures that fall in the own type by more than rounding.
    """
    sizes, chances = [len(one) for one in market.chances], market.chances
    by_type = exposures.squeeze(2).view(*sizes, -1)
    paid = torch.empty_like(by_type)
    for i, row in enumerate(market.axes):
        own = by_type[..., i].movedim(i, 0)
        if market.bayesian:
            others = _profile_chances(chances[:i] + chances[i + 1 :]).view(own.shape[1:])
            own = (own * others).flatten(1).sum(1).view(-1, *[1] * (len(sizes) - 1)).expand_as(own)
        steps = torch.cat([own[:1], own.diff(dim=0)])
        if float(steps[1:].min() if len(steps) > 1 else 0.0) < -1e-8 * max(1e-300, float(own.abs().max())):
            raise FailedRunError(f"bidder {i}'s exposure falls by {-float(steps[1:].min()):g} as its type rises")
        lows = row[0].lows.view(-1, *[1] * (len(sizes) - 1))
        paid[..., i] = (lows * steps).cumsum(0).movedim(0, i)
    return paid.flatten(0, -2)


def _menu_payments(
    market: GridMarket, exposures: Float[Tensor, "profile bidder feature"], utilities: Sequence[Tensor]
) -> Float[Tensor, "profile bidder"]:
    """Return what one bidder of several features pays: the worth of what it has, less its utility."""
    return (market.values[0] * exposures[:, 0]).sum(1, keepdim=True) - utilities[0]


def _profile_chances(chances: Sequence[Tensor]) -> Float[Tensor, " profile"]:
    likely = torch.ones(1, dtype=torch.float64)
    for chance in chances:
        likely = (likely.unsqueeze(1) * chance).flatten()
    return likely
