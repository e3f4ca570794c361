"""Several bidders with several features: each takes its favourite type at prices that make types as likely as planned.

A program that is honest on average has for bidder i a menu of types τ: expected exposures Ē_i(τ) over the others' types
and payments. A bidder between the types takes its favourite of the menu, and truth is best whatever the prices, as
long as Ē_i is what happens: that is, as long as the others' favourites are as likely as the types that they stand for.
There are prices that bring this about. With f_i the chances of the types, minimise over t_i the convex function

    E_v[max_τ (v · Ē_i(τ) − t_i(τ))] + Σ_τ f_i(τ) t_i(τ),

whose derivative is f_i(τ) less the chance that τ is the favourite (the dual of the optimal transport of valuations to
types). Types of equal exposure are one type with the mean of their lots, as no price tells them apart. A constant is
free: the least valuation keeps 0. What is left of the chances' error is in `residual`: the numbers Ē that bidders are
held to are compared with what favourites bring, and the difference costs at most what `BayesianProof` says.

Source:
    Semi-discrete transport: Aurenhammer, Hoffmann and Aronov (1998), "Minkowski-type theorems and least-squares
    clustering". That a rule on types keeps its law by matching reports to types: Hartline, Kleinberg and Malekian
    (2011), "Bayesian incentive compatibility via matchings"; here it is done once, in the limit, by prices.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor

from auctionsim.mechanisms.program_cells import Numbers
from auctionsim.priors import Prior

NODES = 512  # quantiles of all features but the last, at which the favourites are exactly known
FINE = 4096  # of the integral of the last feature's survival function, which only steers the search
SAME = 1e-9  # of the largest exposure: types that no price tells apart
FINER, COMPARED = 2**13, 2**22  # nodes at which the last steps are taken, fewer where nodes × pairs are more than this
STEPS = (1e-3, 1e-4, 1e-5, 1e-6)  # of the differences, as shares of the largest worth
NEAR = 1e-8  # chances that are no farther from those planned are left as they are
CELLS = 2**22  # node × pair of types at once


class Favourites(NamedTuple):
    """One bidder's menu of types.

    Attributes:
        exposures: (type, feature), expected over the others' favourites.
        payments: (type,).
    """

    exposures: Tensor
    payments: Tensor

    def of(self, bids: Float[Tensor, "row feature"]) -> Int[Tensor, " row"]:
        """Return the favourite at each bid, the first of equals."""
        worth = -self.payments.to(bids.device).expand(len(bids), -1)
        for f in range(bids.shape[1]):
            worth = worth + bids[:, f, None].double() * self.exposures[:, f].to(bids.device)
        return worth.argmax(1)


class LastFeature(NamedTuple):
    """The prior of the feature along which favourites are exact, with the integral of its survival function.

    Attributes:
        prior: The distribution.
        points: (point,) along the support.
        areas: (point,) ∫ P(V > s) ds from the support's start.
    """

    prior: Prior
    points: Tensor
    areas: Tensor

    @classmethod
    def of(cls, prior: Prior) -> "LastFeature":
        """Integrate a prior's survival function."""
        points = torch.linspace(prior.support_low, prior.finite_high, FINE + 1, dtype=torch.float64)
        survival = 1 - prior.cdf(points)
        steps = (survival[1:] + survival[:-1]) / 2 * points.diff()
        return cls(prior, points, torch.cat([steps.new_zeros(1), steps.cumsum(0)]))

    def area(self, ends: Tensor) -> Tensor:
        """Return the integral up to each number, which lies in the support."""
        place = torch.searchsorted(self.points, ends.contiguous()).clamp(1, FINE)
        share = (ends - self.points[place - 1]) / (self.points[1] - self.points[0])
        return self.areas[place - 1] + share * (self.areas[place] - self.areas[place - 1])


def transport_payments(
    priors: Sequence[Prior], exposures: Float[Tensor, "type feature"], chances: Float[Tensor, " type"], start: Tensor
) -> Float[Tensor, " type"]:
    """Return payments at which each type is the favourite as often as planned; equal exposures must be one type.

    Args:
        priors: One a feature, two at least.
        exposures: What a type brings.
        chances: How likely each is to be.
        start: Payments to start from.
    """
    scale = float((exposures.abs().amax(0) * torch.tensor([prior.finite_high for prior in priors])).sum()) or 1.0
    crowd = Crowd.of(priors, exposures, NODES)

    def dual(payments: Numbers) -> tuple[float, Numbers]:
        paid = torch.from_numpy(payments) * scale
        likely, worth = crowd.favourite_chances(Favourites(exposures, paid))
        return (worth + float(chances @ paid)) / scale, (chances - likely).numpy()

    search: Any = minimize  # its stubs want options by method
    options = {"gtol": 1e-10, "ftol": 0, "maxiter": 5000, "maxcor": 30}
    best = search(dual, (start / scale).numpy(), jac=True, method="L-BFGS-B", options=options)
    finer = Crowd.of(priors, exposures, max(2 * NODES, min(FINER, COMPARED // len(chances) ** 2)))
    return _polished(finer, Favourites(exposures, torch.from_numpy(best.x) * scale), chances, scale).payments


def _polished(crowd: "Crowd", menu: Favourites, chances: Float[Tensor, " type"], scale: float) -> Favourites:
    """Take Newton steps on the chances, by differences, each as long as it comes nearer to what was planned."""
    wrong = crowd.favourite_chances(menu)[0] - chances
    for reach in (share * scale for share in STEPS):
        if float(wrong.abs().max()) <= NEAR:
            break
        slopes = [
            crowd.favourite_chances(menu._replace(payments=menu.payments + move))[0]
            - crowd.favourite_chances(menu._replace(payments=menu.payments - move))[0]
            for move in torch.eye(len(chances), dtype=torch.float64) * reach
        ]
        step = torch.linalg.lstsq(torch.stack(slopes, 1) / (2 * reach), -wrong.unsqueeze(1), driver="gelsd")
        tried = menu._replace(payments=menu.payments + step.solution.squeeze(1))
        still = crowd.favourite_chances(tried)[0] - chances
        if float(still.abs().max()) < float(wrong.abs().max()):
            menu, wrong = tried, still
    return menu


class Crowd(NamedTuple):
    """Valuations of one bidder: equally likely nodes of all features but one, and that one's prior.

    Attributes:
        nodes: (node, feature), the one feature left at 0.
        exact: Which feature that is.
        last: Its prior.
    """

    nodes: Tensor
    exact: int
    last: LastFeature

    @classmethod
    def of(cls, priors: Sequence[Prior], exposures: Float[Tensor, "type feature"], count: int) -> "Crowd":
        """Lay about `count` nodes out; the feature that moves most money is the exact one."""
        highs = exposures.new_tensor([prior.finite_high for prior in priors])
        exact = int(((exposures.amax(0) - exposures.amin(0)) * highs).argmax())
        each = max(2, round(count ** (1 / (len(priors) - 1))))
        levels = (torch.arange(each, dtype=torch.float64) + 0.5) / each
        columns = [levels.new_zeros(1) if f == exact else prior.quantile(levels) for f, prior in enumerate(priors)]
        return cls(torch.cartesian_prod(*columns), exact, LastFeature.of(priors[exact]))

    def favourite_chances(self, menu: Favourites) -> tuple[Float[Tensor, " type"], float]:
        """Return how likely each type is the favourite, and the mean utility.

        At each node a type is the favourite on an interval of the exact feature.
        """
        last, slopes = self.last, menu.exposures[:, self.exact]
        low, high = last.points[0], last.points[-1]
        likely, worth = torch.zeros_like(slopes), 0.0
        run = slopes.unsqueeze(1) - slopes.unsqueeze(0)  # (type, other)
        earlier = torch.ones_like(run, dtype=torch.bool).tril(-1)  # the other comes first
        for part in self.nodes.split(max(1, CELLS // run.numel())):  # type: ignore[no-untyped-call]
            heights = part @ menu.exposures.T - menu.payments  # (node, type)
            lead = heights.unsqueeze(1) - heights.unsqueeze(2)  # (node, type, other): how far the other is ahead at 0
            crossing = lead / torch.where(run == 0, 1.0, run)
            starts = torch.where(run > 0, crossing, -torch.inf).amax(2).clamp(low, high)
            ends = torch.where(run < 0, crossing, torch.inf).amin(2).clamp(low, high)
            beaten = ((run == 0) & ((lead > 0) | ((lead == 0) & earlier))).any(2)
            ends = torch.where(beaten | (ends < starts), starts, ends)
            # the first interval holds the support's start itself, which may be as likely as it likes
            below = torch.where(starts <= low, 0.0, last.prior.cdf(starts))
            chance = torch.where(ends > starts, last.prior.cdf(ends) - below, 0.0)
            likely += chance.sum(0)
            worth += float((heights + low * slopes).amax(1).sum())
            worth += float((slopes * (last.area(ends) - last.area(starts))).sum())
        return likely / len(self.nodes), worth / len(self.nodes)


def classes_of(exposures: Float[Tensor, "type feature"], chances: Float[Tensor, " type"]) -> Int[Tensor, " type"]:
    """Return for each type the first type of chance above 0 that has the same exposures, itself perhaps."""
    close = SAME * max(1e-300, float(exposures.abs().max()))
    alike = (exposures.unsqueeze(1) - exposures.unsqueeze(0)).abs().amax(2) <= close
    alike &= chances > 0
    return torch.where(alike.any(1), alike.double().argmax(1), int(chances.argmax()))
