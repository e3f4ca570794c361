"""The laws of what a prior is to a mechanism: virtual values and their curve, the monopoly price, copies, products.

A law is a function (claim, case) that raises `BrokenClaimError`; its first line is what it claims.
"""

import copy
import math
import pickle

import torch
from torch import Tensor

from auctionsim.errors import BrokenClaimError
from auctionsim.priors import Prior, product
from auctionsim.priors.ironing import FLOOR
from auctionsim.testing.prior_laws import CELLS, PriorCase, PriorClaim, points
from auctionsim.testing.sentences import money, vector


def virtual_value(claim: PriorClaim, case: PriorCase) -> None:
    """The virtual value is nondecreasing, at most v, v above the support; where nothing is ironed, v − (1 − F)/f."""
    prior, v = claim.prior, points(claim, case)
    phi = prior.virtual_value(v)
    if bool(phi.isnan().any()) or bool((phi > v + claim.rounding).any()):
        raise BrokenClaimError(
            f"the virtual values of {vector(v)} are {vector(phi)}: above the valuation, or no number"
        )
    falls = phi.diff() < -claim.rounding
    if bool(falls.any()):
        k = int(falls.nonzero()[0])
        raise BrokenClaimError(
            f"the virtual value falls from {vector(phi[k])} to {vector(phi[k + 1])} at {vector(v[k])}"
        )
    above = v > prior.high
    if bool(((phi - v).abs() > claim.rounding)[above].any()):
        raise BrokenClaimError(f"above the support, at {vector(v[above][0])}, it is {vector(phi[above][0])}")
    if prior.regular and prior.atoms is None:
        inside = (v > prior.support_low) & (v < prior.finite_high) & (prior.pdf(v) > 1e-9)
        raw = v - (1 - prior.cdf(v)) / prior.pdf(v)
        far = inside & ((phi - raw).abs() > 1e-6 * prior.finite_high + 1e-6 * raw.abs())
        if bool(far.any()):
            raise BrokenClaimError(
                f"it says that nothing is ironed, but at {vector(v[far][0])} the virtual value is "
                f"{vector(phi[far][0])}, and v − (1 − F)/f is {vector(raw[far][0])}"
            )


def curve(claim: PriorClaim, case: PriorCase) -> None:
    """The curve that rules use is the virtual value, within 2e-6 of the range where it is above −1/10 of it."""
    prior, v = claim.prior, points(claim, case)
    high = prior.finite_high
    v = v[v <= high]  # beyond it no valuation is drawn
    exact, used = prior.virtual_value(v), prior.curve.evaluate(v)
    floored = exact.clamp_min(-FLOOR * high)
    near = exact > -0.1 * high
    room = torch.where(near, 1e-5 * high, 1e-3 * (high - floored))
    smooth = _is_smooth(claim, v)
    far = ((used - floored).abs() > room) & smooth
    if bool(far.any()):
        raise BrokenClaimError(f"at {vector(v[far][0])} the curve is {vector(used[far][0])}, φ {vector(exact[far][0])}")


def monopoly_price(claim: PriorClaim, case: PriorCase) -> None:
    """E[max(φ(V), 0)] is the revenue of the best posted price, and the monopoly price earns it: so is φ ironed."""
    prior = claim.prior
    middles = (torch.arange(CELLS, dtype=torch.float64) + 0.5) / CELLS
    surplus = float(prior.virtual_value(prior.quantile(middles)).clamp_min(0).mean())
    ladder = torch.cat([prior.quantile(middles), prior.quantile(case.levels).clamp_max(prior.finite_high)])
    best = float(_posted(prior, ladder).max())
    earned = float(_posted(prior, ladder.new_tensor([prior.monopoly_price]))[0])
    room = max(4.0 / CELLS, claim.tolerance) * prior.finite_high
    if abs(surplus - best) > room or earned < best - room:
        raise BrokenClaimError(
            f"E[max(φ, 0)] is {money(surplus)} and the monopoly price {money(prior.monopoly_price)} earns "
            f"{money(earned)}, where the best posted price earns {money(best)}"
        )


def likeness(claim: PriorClaim, case: PriorCase) -> None:
    """A copy and a pickled copy are equal, hash alike and draw alike; nothing else is equal to it."""
    twins = {"deep copy": copy.deepcopy(claim.prior), "pickled copy": _pickled(claim.prior)}
    for what, twin in twins.items():
        if twin is None:
            continue
        if not (twin == claim.prior and claim.prior == twin and hash(twin) == hash(claim.prior)):
            raise BrokenClaimError(f"a {what} of {claim.prior!r} is not equal to it, or has another hash")
        if not torch.equal(twin.quantile(case.levels), claim.prior.quantile(case.levels)):
            raise BrokenClaimError(f"a {what} of {claim.prior!r} has other quantiles")
    if claim.prior == object() or claim.prior == _Shifted(claim.prior):
        raise BrokenClaimError(f"{claim.prior!r} is equal to what is another prior")


def independent(claim: PriorClaim, case: PriorCase) -> None:
    """In a product every bidder and feature draws by itself, within a finite high, from one number in [0, 1] each."""
    both = product(claim.prior, 3, 2)
    if not bool(both.high.isfinite().all()):
        raise BrokenClaimError(f"the product's high is {vector(both.high)}")
    drawn = both.sample(4, torch.Generator().manual_seed(case.seed), case.dtype)
    if drawn.shape != (4, 3, 2) or drawn.dtype != case.dtype:
        raise BrokenClaimError(f"4 rows of 3 bidders × 2 features are {drawn.dtype} {tuple(drawn.shape)}")
    levels = torch.rand(4, 3, 2, generator=torch.Generator().manual_seed(case.seed), dtype=torch.float64)
    if not torch.equal(drawn, both.quantile(levels, case.dtype)):
        raise BrokenClaimError("the product's samples are not the quantiles of one uniform number each")
    mixed = product([claim.prior, _Shifted(claim.prior), claim.prior], 3, 2).quantile(levels, case.dtype)
    if not torch.equal(mixed[:, [0, 2]], drawn[:, [0, 2]]):
        raise BrokenClaimError("a bidder's valuations change with another bidder's prior")


class _Shifted(Prior):
    """Another prior than the given one, with all of its valuations moved up by 1."""

    def __init__(self, inner: Prior) -> None:
        super().__init__(inner.low + 1, inner.finite_high + 1, inner.mean + 1, ())
        self.inner = inner

    def _cdf(self, v: Tensor) -> Tensor:
        return self.inner.cdf(v - 1)

    def _pdf(self, v: Tensor) -> Tensor:
        return self.inner.pdf(v - 1)

    def _quantile(self, q: Tensor) -> Tensor:
        return self.inner.quantile(q).clamp_max(self.inner.finite_high) + 1


def _posted(prior: Prior, prices: Tensor) -> Tensor:
    """Return p · P(V ≥ p)."""
    below = prior.cdf(torch.nextafter(prices, torch.full_like(prices, -math.inf)))
    return prices * (1 - below)


def _is_smooth(claim: PriorClaim, v: Tensor) -> Tensor:
    """Tell where the virtual value does not jump: a curve may round the place of a jump."""
    beside = 1e-6 * claim.prior.finite_high
    low, high = claim.prior.virtual_value((v - beside).clamp_min(0)), claim.prior.virtual_value(v + beside)
    return (high - low).abs() <= 1e-3 * claim.prior.finite_high


def _pickled(prior: Prior) -> Prior | None:
    try:
        data = pickle.dumps(prior)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    twin: Prior = pickle.loads(data)
    return twin
