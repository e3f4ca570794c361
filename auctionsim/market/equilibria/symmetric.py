"""Closed forms of pacing among bidders that are alike: multipliers that spend a budget per auction exactly.

A bid is multiplier × valuation. Valuations are independent and uniform on [0, 1]; the market is large, so that a budget
of ρ per auction is spent on average. All are tests of pacing controllers.
"""

import math
from typing import NamedTuple

from auctionsim.checks import checked_count, checked_number


class LonePacing(NamedTuple):
    """The best multiplier of one paced bidder, and what it brings per auction.

    Attributes:
        multiplier: Bid per valuation, 1/(1 + μ), in [0, 1].
        dual: μ ≥ 0, what one more unit of budget is worth; inf where there is no budget.
        spend: Money, at most the budget.
        utility: Money, value won less spend.
    """

    multiplier: float
    dual: float
    spend: float
    utility: float


def second_price_multiplier(num_bidders: int, budget: float) -> float:
    """Return the multiplier at which n alike bidders under second price spend ρ per auction each.

    All bid α v, so the price is α times the second highest of n uniforms: revenue α (n − 1)/(n + 1), and a bidder's
    spend α (n − 1)/(n (n + 1)). So α = ρ n (n + 1)/(n − 1), capped at 1.

    Args:
        num_bidders: n ≥ 2.
        budget: ρ ≥ 0, money per auction and bidder; inf: none.
    Raises:
        TypeError: The budget is no number.
        ValueError: Fewer than 2 bidders, or a budget < 0.
    Source:
        The balance of Balseiro, Besbes and Weintraub (2015), "Repeated auctions with budgets in ad exchanges", for
        uniform valuations.
    Example:
        >>> round(second_price_multiplier(2, 1 / 12), 12)
        0.5
    """
    n, rho = checked_count(num_bidders, "num_bidders", 2), _budget(budget)
    return min(1.0, rho * n * (n + 1) / (n - 1))


def first_price_multiplier(num_bidders: int, budget: float) -> float:
    """Return the multiplier at which n alike bidders under first price spend ρ per auction each.

    All bid α v: revenue is α n/(n + 1), a bidder's spend α/(n + 1). So α = ρ (n + 1), capped at 1.

    Args:
        num_bidders: n ≥ 1.
        budget: ρ ≥ 0, money per auction and bidder; inf: none.
    Raises:
        TypeError: The budget is no number.
        ValueError: Fewer than 1 bidder, or a budget < 0.
    Source:
        The balance of Conitzer et al. (2022), "Pacing equilibrium in first price auction markets", for uniform
        valuations in a large market.
    Example:
        >>> first_price_multiplier(2, 1 / 6)
        0.5
    """
    n, rho = checked_count(num_bidders, "num_bidders"), _budget(budget)
    return min(1.0, rho * (n + 1))


def lone_second_price_pacing(budget: float) -> LonePacing:
    """Return the best pacing of one bidder U[0, 1] against a highest rival bid U[0, 1] under second price.

    Bidding α v it spends E[(α v)²/2] = α²/6 per auction and has the value E[α v²] = α/3. So α = 1/(1 + μ) = √(6ρ) and
    the utility is √(6ρ)/3 − ρ, up to ρ = 1/6, where the budget ceases to bind.

    Args:
        budget: ρ ≥ 0, money per auction; inf: none.
    Raises:
        TypeError: The budget is no number.
        ValueError: It is < 0.
    Source:
        The setting of Balseiro and Gur (2019), "Learning in repeated auctions with budgets", for uniform draws.
    Example:
        >>> lone_second_price_pacing(1 / 24)
        LonePacing(multiplier=0.5, dual=1.0, spend=0.041666666666666664, utility=0.125)
    """
    alpha = min(1.0, math.sqrt(6 * _budget(budget)))
    spend = alpha**2 / 6
    return LonePacing(alpha, 1 / alpha - 1 if alpha else math.inf, spend, alpha / 3 - spend)


def _budget(value: float) -> float:
    return checked_number(value, "budget", infinite=True)
