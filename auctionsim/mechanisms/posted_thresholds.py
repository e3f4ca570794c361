"""Posted thresholds of bidders who take or leave an offer each, where the user's loss depends on who takes."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.priors import Prior, Product

POINTS = 1025  # of a bidder's thresholds, evenly from 0 to its largest valuation, where one is looked for alone
ZOOM = 33  # points between the neighbours of the best, again and again
ROUNDS = 14  # of zooming: 16^-14 of a step is below rounding
JOINT = {1: 1025, 2: 129, 3: 33, 4: 17, 5: 9, 6: 5}  # points a bidder where all are looked for together
FEW = 3  # the same for more bidders
SWEEPS = 200  # over all bidders, at most
Values = Float[Tensor, " point"]


def best_thresholds(
    priors: Product, gains: Float[Tensor, " bidder"], costs: Float[Tensor, " taker_set"]
) -> Float[Tensor, " bidder"]:
    """Return the thresholds θ that bring most under truthful bids: bidder i takes its offer iff v_i ≥ θ_i.

    The objective is Σ_i a_i θ_i P(v_i ≥ θ_i) − Σ_S P(exactly S take) c_S. All combinations of thresholds on an even
    grid, and never offering, are compared; from the best of them, of equals the one that offers least, each bidder's
    threshold in turn is replaced by the best one against the others', which is found in one dimension to the last
    digit, until nothing is gained. So no threshold can be improved alone, and on the grid no combination is better; an
    optimum between grid points that cannot be reached from there by single steps may be missed.

    Args:
        priors: One feature.
        gains: a_i, exposure that the offer brings its taker; bidders with a_i ≤ 0 are offered nothing.
        costs: c_S in money, by sets S of takers: bidder i takes in the sets whose number has bit i.
    Returns:
        Money per unit of exposure; infinite where nothing is offered.
    """
    bidders = [priors.marginal(i) for i in range(len(gains))]
    points = JOINT.get(len(bidders), FEW)
    axes = [_axis(prior, points, float(gain)) for prior, gain in zip(bidders, gains, strict=True)]
    grid = torch.cartesian_prod(*axes).view(-1, len(axes))
    best = grid[_objective(bidders, gains, costs, grid).argmax()]
    reached = float(_objective(bidders, gains, costs, best.unsqueeze(0)))
    for _ in range(SWEEPS):
        moved = best.clone()
        for i, prior in enumerate(bidders):
            moved[i] = _best_response(prior, float(gains[i]), _extra_cost(bidders, costs, moved, i))
        value = float(_objective(bidders, gains, costs, moved.unsqueeze(0)))
        if not value > reached:
            break
        best, reached = moved, value
    return best


def _axis(prior: Prior, points: int, gain: float) -> Values:
    """Return thresholds to compare: never, and even steps."""
    never = torch.tensor([torch.inf], dtype=torch.float64)
    if gain <= 0:
        return never
    return torch.cat([never, torch.linspace(0, prior.finite_high, points, dtype=torch.float64)])


def _takes(prior: Prior, thresholds: Values) -> Values:
    """Return P(v ≥ θ), with the atoms at θ."""
    below = torch.nextafter(thresholds, torch.full_like(thresholds, -torch.inf))
    chances = 1 - prior.cdf(below.clamp(-1.0, torch.finfo(torch.float64).max))
    return torch.where(torch.isinf(thresholds), 0.0, chances)


def _set_chances(takes: Float[Tensor, "point bidder"]) -> Float[Tensor, "point taker_set"]:
    """Return how likely exactly each set takes, bidder i taking in the sets whose number has bit i."""
    chances = torch.ones_like(takes[:, :1])
    for i in range(takes.shape[1]):
        own = takes[:, i : i + 1]
        chances = torch.cat([chances * (1 - own), chances * own], 1)
    return chances


def _objective(
    bidders: list[Prior], gains: Float[Tensor, " bidder"], costs: Tensor, thresholds: Float[Tensor, "point bidder"]
) -> Values:
    takes = torch.stack([_takes(prior, thresholds[:, i].contiguous()) for i, prior in enumerate(bidders)], 1)
    paid = torch.where(takes > 0, gains * torch.where(torch.isinf(thresholds), 0.0, thresholds) * takes, 0.0)
    return paid.sum(1) - _set_chances(takes) @ costs


def _extra_cost(bidders: list[Prior], costs: Tensor, thresholds: Float[Tensor, " bidder"], i: int) -> float:
    """Return how much more the user's loss costs where bidder i takes than where not, the others as they will."""
    takes = torch.stack([_takes(prior, thresholds[j : j + 1]) for j, prior in enumerate(bidders)], 1)
    both = takes.repeat(2, 1)
    both[:, i] = torch.tensor([0.0, 1.0], dtype=torch.float64)
    expected = _set_chances(both) @ costs
    return float(expected[1] - expected[0])


def _best_response(prior: Prior, gain: float, cost: float) -> float:
    """Return the threshold θ that maximises P(v ≥ θ) (a θ − cost), the lowest of equals, infinite where none is > 0."""
    if gain <= 0:
        return float("inf")

    def worth(thresholds: Values) -> Values:
        return _takes(prior, thresholds) * (gain * thresholds - cost)

    points = torch.linspace(0, prior.finite_high, POINTS, dtype=torch.float64)
    if prior.atoms is not None:
        points = torch.cat([points, prior.atoms.values]).sort().values
    best, value = 0.0, 0.0
    for _ in range(ROUNDS):
        worths = worth(points)
        k = int(worths.argmax())
        if float(worths[k]) > value:
            best, value = float(points[k]), float(worths[k])
        low, high = float(points[max(k - 1, 0)]), float(points[min(k + 1, len(points) - 1)])
        points = torch.linspace(low, high, ZOOM, dtype=torch.float64)
    return best if value > 0 else float("inf")
