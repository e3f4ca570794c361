"""Equilibria in closed form, where an auction has one: what learned bids are measured against."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.agents.strategies import Strategy, TableStrategy, Truthful
from auctionsim.checks import checked_number
from auctionsim.claims import behaves_as
from auctionsim.errors import InputError
from auctionsim.mechanisms import AllPay, FirstPrice, NearestBid, ThirdPrice
from auctionsim.mechanisms.protocol import dsic_proof_of
from auctionsim.priors import Prior, Product, Uniform, product
from auctionsim.regret import quasi_linear
from auctionsim.substrates import Bundles, Items
from auctionsim.substrates.protocol import Substrate, same_substrate

POINTS = 1 << 13  # of a table, evenly and at equally likely valuations each
Utility = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class RiskAverse:
    """Constant relative risk aversion: (value − payment)^exponent on gains; losses count as they are.

    Args:
        exponent: ρ in (0, 1]; 1 is risk neutral.
    """

    exponent: float

    def __post_init__(self) -> None:
        if checked_number(self.exponent, "exponent", 0.0, 1.0) == 0:
            raise InputError("exponent must lie in (0, 1], got 0")

    def __call__(self, value: Tensor, payment: Tensor) -> Tensor:
        """Return the utility, elementwise."""
        gain = value - payment
        return torch.where(gain > 0, gain.clamp_min(0) ** self.exponent, gain)


def closed_form_equilibrium(
    mechanism: Any, substrate: Substrate, priors: Any, utility: Utility = quasi_linear
) -> list[Strategy] | None:
    """Return one equilibrium strategy a bidder, or None where no closed form is known here.

    - A mechanism with a proof of truthfulness on this substrate, risk neutral: truth.
    - One item, n bidders of one prior F, no reserve. First price, with G = F^((n−1)/ρ), ρ the exponent of
      `RiskAverse`: b = v − ∫ G / G(v). All-pay, G = F^(n−1): b = v G(v) − ∫ G. Third price, where it increases:
      b = v + F(v) / ((n − 2) f(v)). Integrals run from the lowest valuation to v, by the trapezoid rule on a table.
    - First price between U[0, a] and U[0, c]: b = (1 − √(1 − k v²)) / (k v), k = 1/a² − 1/c² for the first.
    - LLG, nearest bid, independent locals U[0, a] and a global U[0, 2a]: locals bid a ln(2 / (2 − v/a)).

    Args:
        mechanism: Any mechanism.
        substrate: What it is played on.
        priors: As everywhere.
        utility: Risk neutral, or `RiskAverse`.
    Source:
        Krishna (2002), "Auction Theory", sections 2.3, 3.2 and 4.3; Cox, Smith and Walker (1988), for risk aversion;
        Kagel and Levin (1993), for the third price; Ausubel and Baranov (2020), for LLG.
    Example:
        >>> import torch
        >>> from auctionsim.mechanisms import FirstPrice
        >>> from auctionsim.priors import Uniform
        >>> strategies = closed_form_equilibrium(FirstPrice(), Items(2), Uniform(0.0, 1.0))
        >>> round(float(strategies[0](torch.tensor([[0.5]]))), 3)
        0.25
    """
    n = substrate.num_bidders
    given = product(priors, n, len(substrate.features))
    if utility is quasi_linear:
        if behaves_as(mechanism, NearestBid) and same_substrate(substrate, Bundles.llg()):
            return _nearest_bid(given)
        if dsic_proof_of(mechanism, substrate) is not None:
            return [Truthful()] * n
    sells_one = behaves_as(substrate, Items) and len(substrate.features) == 1
    if not sells_one or not behaves_as(mechanism, FirstPrice, AllPay, ThirdPrice) or mechanism.reserve != 0:
        return None
    if len(set(given.marginals)) == 1:
        equilibrium = _symmetric(mechanism, given.marginal(0), n, utility)
        return None if equilibrium is None else [equilibrium] * n
    if behaves_as(mechanism, FirstPrice) and n == 2 and utility is quasi_linear:
        return _two_uniforms(given)
    return None


def _symmetric(mechanism: Any, prior: Prior, n: int, utility: Utility) -> Strategy | None:
    exponent = 1.0 if utility is quasi_linear else utility.exponent if isinstance(utility, RiskAverse) else None
    if n < 2 or exponent is None:
        return None
    v = _table_points(prior)
    if behaves_as(mechanism, FirstPrice):
        wins = prior.cdf(v) ** ((n - 1) / exponent)
        lost = torch.cumulative_trapezoid(wins, v)
        return TableStrategy(v, torch.cat([v[:1], v[1:] - torch.where(wins[1:] > 0, lost / wins[1:], 0.0)]))
    if exponent != 1:
        return None
    if behaves_as(mechanism, AllPay):
        wins = prior.cdf(v) ** (n - 1)
        area = torch.cat([v.new_zeros(1), torch.cumulative_trapezoid(wins, v)])
        return TableStrategy(v, (v * wins - area).clamp_min(0))
    if behaves_as(mechanism, ThirdPrice) and n > 2:
        density, below = prior.pdf(v), prior.cdf(v)
        bids = v + torch.where(below > 0, below / density, 0.0) / (n - 2)
        return TableStrategy(v, bids) if bool(bids.isfinite().all() and (bids.diff() >= 0).all()) else None
    return None


def _table_points(prior: Prior) -> Float[Tensor, " point"]:
    levels = torch.linspace(0, 1, POINTS + 1, dtype=torch.float64)
    evenly = prior.low + (prior.finite_high - prior.low) * levels
    likely = prior.quantile(levels[:-1])
    points = torch.cat([evenly, likely]).sort().values
    return points[torch.cat([points.new_ones(1), points.diff()]) > 0]


def _two_uniforms(given: Product) -> list[Strategy] | None:
    """Source: Griesmer, Levitan and Shubik (1967), "Toward a study of bidding processes, part IV"."""
    marginals = [given.marginal(i) for i in range(2)]
    if any(type(prior) is not Uniform or prior.low != 0 for prior in marginals):
        return None
    widths = [prior.high for prior in marginals]
    return [_weak_or_strong(own, rival) for own, rival in (widths, widths[::-1])]


def _weak_or_strong(own: float, rival: float) -> Strategy:
    k = 1 / own**2 - 1 / rival**2

    def bid(valuations: Tensor) -> Tensor:
        v = valuations.double()
        return (v / (1 + (1 - k * v * v).clamp_min(0).sqrt())).to(valuations.dtype)

    return bid


def _nearest_bid(given: Product) -> list[Strategy] | None:
    local, other, whole = (given.marginal(i) for i in range(3))
    if type(local) is not Uniform or local != other or local.low != 0 or whole != Uniform(0.0, 2 * local.high):
        return None
    width = local.high

    def bid(valuations: Tensor) -> Tensor:
        return width * torch.log(2 / (2 - valuations / width))

    return [bid, bid, Truthful()]
