"""Lotteries over a carrier's settings: designed on replicate A under a cap on a cost, held to the cap on replicate B.

What is sold to a brand is a lottery over the settings in which it alone moves anything, the null among them: the one
that names the brand most often on A at an expected cost there of at most the cap. A lottery's expected reply_kl is that
of its settings, which whoever sees the lot pays. Every carrier is designed by this one rule, so those with few settings
lose nothing by having no setting at the cap itself.

On other prompts a lottery may cost more than it did on A, and carriers are compared at equal cost. So where it costs
more than the cap on B, it is drawn back along the frontier that was designed on A, to the furthest lottery there that
keeps the cap on B. That looks at B's costs alone, never at what B's replies name. Where it costs less nothing is added:
some carriers keep slack.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from auctionsim.errors import InputError
from auctionsim.experiments.running.carrier_cell import AD_WORDS, FEWEST, CarrierCell
from auctionsim.experiments.running.prompt_intervals import Array, Stratum
from auctionsim.substrates import best_mixture


class CarrierCost(NamedTuple):
    """A cost of a reply: columns of a cell by their prices.

    Attributes:
        prices: By column, each at least 0.
    """

    prices: Mapping[str, float]

    def means(self, cell: CarrierCell, replicate: str) -> Array | None:
        """Return the mean cost of each setting, (setting,), every context alike; None where a column is not there."""
        parts = [setting_means(cell, replicate, column) for column in self.prices]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return np.asarray(sum(price * part for price, part in zip(self.prices.values(), known, strict=True)))

    def strata(self, cell: CarrierCell, replicate: str, shares: Array) -> list[Stratum] | None:
        """Return a lottery's cost prompt by prompt; None where a column is not known of every prompt."""
        parts = [cell.column_strata(replicate, shares, column) for column in self.prices]
        count = len(cell.replicates[replicate].context)
        known = [part for part in parts if part is not None and sum(len(one.values) for one in part) == count]
        if len(known) < len(parts):
            return None
        return [
            some[0]._replace(values=sum(p * one.values for p, one in zip(self.prices.values(), some, strict=True)))
            for some in zip(*known, strict=True)
        ]


def user_cost(price: float) -> CarrierCost:
    """Return the user's loss reply_kl + price · ad words, in nats a reply.

    Args:
        price: ρ, nats a word, at least 0.
    Raises:
        ValueError: A price below 0.
    """
    if not price >= 0:
        raise InputError(f"the price of an ad's word must be >= 0, got {price}")
    return CarrierCost({"reply_kl": 1.0, AD_WORDS: price})


def setting_means(cell: CarrierCell, replicate: str, column: str) -> Array | None:
    """Return a column's mean in each setting, every context alike; None where it was not read in some context."""
    one = cell.replicates[replicate]
    if column not in one.columns:
        return None
    parts = [one.columns[column][:, one.context == k] for k in np.unique(one.context)]
    if any(((~np.isnan(part)).sum(1) < FEWEST).any() for part in parts):
        return None
    return np.asarray(np.stack([np.nanmean(part, axis=1) for part in parts]).mean(0))


def named_means(cell: CarrierCell, replicate: str, brand: int) -> Array:
    """Return the probability that a reply names a brand in each setting, every context alike."""
    one = cell.replicates[replicate]
    shares = one.named[:, :, brand] / one.replies
    return np.asarray(np.stack([shares[:, one.context == k].mean(1) for k in np.unique(one.context)]).mean(0))


def lottery(cell: CarrierCell, brand: int, cost: CarrierCost, cap: float) -> Array | None:
    """Return the shares (setting,) that name a brand most often on A at an expected cost of at most `cap` there.

    None where the cost was not read.
    """
    costs = cost.means(cell, "A")
    if costs is None:
        return None
    alone = cell.alone(brand)
    named = named_means(cell, "A", brand)[alone]
    chosen = best_mixture(torch.from_numpy(named), torch.from_numpy(costs[alone]), cap)
    return cell.shares(dict(zip(alone, chosen.shares.tolist(), strict=True)))


def corners(cell: CarrierCell, brand: int, cost: CarrierCost) -> list[int]:
    """Return the settings that a frontier on A runs through, by rising cost; nothing where the cost was not read."""
    costs = cost.means(cell, "A")
    if costs is None:
        return []
    found = []
    for k in cell.alone(brand):
        shares = lottery(cell, brand, cost, float(costs[k]))
        if shares is not None and shares[k] == 1:
            found.append(k)
    return sorted(found, key=lambda k: float(costs[k]))


class HeldLottery(NamedTuple):
    """A lottery that was designed on A, held to its cap on B.

    Attributes:
        designed: (setting,) shares, as designed.
        shares: (setting,) on B: the designed ones where they keep the cap, else those further back on the frontier.
        named: How often B's replies name the brand, prompt by prompt, with what the drawing back owes to these prompts.
    """

    designed: Array
    shares: Array
    named: list[Stratum]


def held_lottery(cell: CarrierCell, brand: int, cost: CarrierCost, cap: float) -> HeldLottery | None:
    """Design a lottery on A and hold it to the cap on B; None where the cost was not read.

    Between two corners i and j of A's frontier, where B's mean costs c̄ pass the cap, the lottery on B is the one whose
    c̄ is the cap. With n and c what a prompt's replies name and cost under it, a prompt counts as
    n − (n̄_j − n̄_i)/(c̄_j − c̄_i) (c − cap): the linearised crossing, whose mean is n̄.

    Args:
        cell: Of a carrier.
        brand: Who buys.
        cost: What is capped.
        cap: On its expectation.
    """
    designed, costs = lottery(cell, brand, cost, cap), cost.means(cell, "A")
    spent = cost.means(cell, "B")
    if designed is None or costs is None or spent is None:
        return None
    if float(designed @ spent) <= cap:
        return HeldLottery(designed, designed, cell.named_strata("B", designed, brand))
    passed = [k for k in corners(cell, brand, cost) if costs[k] <= cap]
    path = [*(cell.shares({k: 1.0}) for k in (0, *passed)), designed]  # from the null, which costs nothing anywhere
    within = max(k for k, shares in enumerate(path) if float(shares @ spent) <= cap)
    low, high = path[within], path[within + 1]
    rise = float((high - low) @ spent)
    share = (cap - float(low @ spent)) / rise
    shares = (1 - share) * low + share * high
    slope = float((high - low) @ named_means(cell, "B", brand)) / rise
    plain, paid = cell.named_strata("B", shares, brand), cost.strata(cell, "B", shares)
    if paid is None:
        return None
    moved = [one._replace(values=one.values - slope * (c.values - cap)) for one, c in zip(plain, paid, strict=True)]
    return HeldLottery(designed, shares, moved)
