"""Prices in sentences, by the kind of price: the own bid, a harm to the rest, critical bids, a posted price.

A mechanism states its own price by `Mechanism.price_sentence`; these are the sentences that several share. Amounts are
written with three decimals, and the numbers that a sentence adds up are those of the rule itself.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import Substrate
from auctionsim.wording import amount, equals

MOST_TERMS = 3
"""Critical bids that a sentence lists."""
STEPS, HALVINGS = 96, 24
_SAME = 1e-9
_SHOWN = 5e-4  # of a harm beside larger ones: below it, it would be written as 0
_CLOSE = 0.002  # of a sum of rounded terms


def own_bid_sentence(case: PriceCase, exposure: Tensor) -> str:
    """Return the sentence of a rule that charges the own bid.

    Args:
        case: Whose price.
        exposure: (1, bidder, feature), what payments are for.
    """
    own = exposure[0, case.bidder].to(case.bid)
    if case.payment == 0:
        why = "its bid is 0" if not bool((case.bid > 0).any()) else "it gets no exposure"
        return f"{case.name} pays nothing: {why}."
    pairs = [(float(bid), float(part)) for bid, part in zip(case.bid, own, strict=True) if float(bid * part) != 0]
    terms = " + ".join(f"{amount(bid)} × {amount(part)}" for bid, part in pairs)
    sign = equals(sum(round(bid, 3) * round(part, 3) for bid, part in pairs), case.payment)
    return f"{case.name} pays its own bid for each unit of exposure that it gets: {terms} {sign} {case.charged}."


class WorthToRest(NamedTuple):
    """What an allocation is worth to the others and to the user.

    Attributes:
        others: Σ of the others' bids × exposure, in money.
        user: User weight × user loss, in money.
        bonus: What the rule adds to the allocation by itself, in money; 0 for most.
    """

    others: float
    user: float
    bonus: float = 0.0

    @property
    def worth(self) -> float:
        """What the others and the user have together."""
        return self.others - self.user + self.bonus


def harm_sentence(case: PriceCase, without: WorthToRest, chosen: WorthToRest, weight: float = 1.0) -> str:
    """Return the sentence of a rule that charges what a presence takes from the rest.

    Args:
        case: Whose price.
        without: What the rest would have where the bidder bid nothing.
        chosen: What the rest has.
        weight: The rule's weight of the bidder: its harm is divided by that.
    """
    if case.payment <= _SAME:
        return f"{case.name} pays nothing: its bid takes nothing from the others or the user."
    every = [harm for harm in _harms(case, without, chosen) if abs(harm.size) > _SAME]
    harms = [harm for harm in every if abs(harm.size) >= _SHOWN] or every
    said = f"{case.name} pays what its bid takes from the rest. {' '.join(harm.sentence for harm in harms)}"
    total = without.worth - chosen.worth
    if len(harms) > 1:
        terms = " + ".join(amount(harm.size) for harm in harms).replace("+ −", "− ")
        sign = equals(sum(round(harm.size, 3) for harm in harms), total)
        said += f" Together that is {terms} {sign} {amount(total)}."
    if weight == 1:
        return said
    sign = equals(round(total, 3) / round(weight, 3), case.payment)
    shown = f"{amount(total)} / {amount(weight)} {sign} {case.charged}"
    return f"{said} The rule weighs {case.name} by {amount(weight)}, so the price is {shown}."


class _Harm(NamedTuple):
    """What a bid takes from one side of the rest: in money, and in a sentence."""

    size: float
    sentence: str


def _harms(case: PriceCase, without: WorthToRest, chosen: WorthToRest) -> tuple[_Harm, ...]:
    """Return what the others lose, what the user loses and what the rule's bonus loses."""
    lost, cost, fallen = without.others - chosen.others, chosen.user - without.user, without.bonus - chosen.bonus
    takes, side = ("takes", "from") if lost > 0 else ("gives", "to")
    whose = "its own bid" if len(case.names) == 2 else "their own bids"
    before, after = amount(without.user), amount(chosen.user)
    return (
        _Harm(
            lost,
            f"It {takes} {amount(abs(lost))} {side} {case.others}, whose exposure is worth {amount(chosen.others)} at "
            f"{whose}, and would be worth {amount(without.others)} without it.",
        ),
        _Harm(
            cost,
            f"It {'costs' if cost > 0 else 'saves'} the user {amount(abs(cost))}: the user’s loss counts {after}, and "
            f"would count {before} without it.",
        ),
        _Harm(
            fallen,
            f"It {'lowers' if fallen > 0 else 'raises'} the bonus that the rule gives the outcome by "
            f"{amount(abs(fallen))}, from {amount(without.bonus)} to {amount(chosen.bonus)}.",
        ),
    )


class CriticalBid(NamedTuple):
    """A step of what a bidder gets as its bid rises.

    Attributes:
        bid: The lowest bid that gets it.
        exposure: How much more that is.
    """

    bid: float
    exposure: float


def critical_bids(
    clear: Callable[[Tensor, Tensor | None], Outcome],
    exposure: Callable[[Tensor, Outcome, Tensor | None], Tensor],
    case: PriceCase,
) -> tuple[CriticalBid, ...]:
    """Return the steps by which a bidder's exposure rises up to its bid, the others' bids as they are.

    Found on an even grid of bids and by halving the stretches in which it moves; two steps in one stretch are found as
    one. The first step, at a bid of 0, is what the bidder gets for nothing.

    Args:
        clear: Bids and context in, an outcome out.
        exposure: Of bids, outcome and context, (row, bidder, feature).
        case: Whose exposure, of one feature.
    """
    top = float(case.bid[0])

    def reached(bids: Tensor) -> Tensor:
        rows = case.bids.repeat(len(bids), 1, 1)
        rows[:, case.bidder, 0] = bids
        context = None if case.context is None else case.context.repeat(len(bids))
        return exposure(rows, clear(rows, context), context)[:, case.bidder, 0].double()

    grid = torch.linspace(0, top, STEPS + 1, dtype=torch.float64).to(case.bids)
    levels = reached(grid)
    moves = (levels.diff().abs() > _SAME).nonzero().squeeze(1)
    low, high, below = grid[moves], grid[moves + 1], levels[moves]
    for _ in range(HALVINGS if len(moves) else 0):
        middle = (low + high) / 2
        still = (reached(middle) - below).abs() <= _SAME
        low, high = torch.where(still, middle, low), torch.where(still, high, middle)
    rises = levels.diff()[moves]
    steps = [CriticalBid(float(bid), float(rise)) for bid, rise in zip(high, rises, strict=True)]
    return (CriticalBid(0.0, float(levels[0])), *steps)


def threshold_sentence(case: PriceCase, steps: tuple[CriticalBid, ...]) -> str:
    """Return the sentence of a rule that charges every part of an exposure the lowest bid that gets it.

    Args:
        case: Whose price.
        steps: By `critical_bids`.
    """
    free, paid = steps[0].exposure, [step for step in steps[1:] if abs(step.exposure) > _SAME]
    unpriced = f" The {amount(free)} that it gets at any bid is free." if free > _SAME else ""
    if case.payment <= _SAME:
        more = (
            f"the {amount(free)} of exposure that it has, it would have at any bid"
            if free > _SAME
            else "it gets nothing"
        )
        return f"{case.name} pays nothing: {more}."
    priced = sum(step.exposure for step in paid)
    exact = abs(sum(step.bid * step.exposure for step in paid) - case.payment) <= _CLOSE * case.payment
    if exact and len(paid) == 1:
        sign = equals(round(paid[0].bid, 3) * round(priced, 3), case.payment)
        return (
            f"{case.name} pays the lowest bid that gets it its exposure. From a bid of {amount(paid[0].bid)} on it has "
            f"{amount(priced)} more, and {amount(paid[0].bid)} × {amount(priced)} {sign} {case.charged}.{unpriced}"
        )
    if exact and len(paid) <= MOST_TERMS:
        sums = " + ".join(f"{amount(step.bid)} × {amount(step.exposure)}" for step in paid)
        sign = equals(sum(round(step.bid, 3) * round(step.exposure, 3) for step in paid), case.payment)
        return (
            f"{case.name} pays for each part of its exposure the lowest bid that gets it that part: {sums} {sign} "
            f"{case.charged}.{unpriced}"
        )
    if priced <= _SAME:
        return f"{case.name} pays {case.charged}, the lowest bid that gets it what it has."
    return (
        f"{case.name} pays for each part of its exposure the lowest bid that gets it that part. These bids rise from "
        f"{amount(min(step.bid for step in paid))} to {amount(max(step.bid for step in paid))} and average "
        f"{amount(case.payment / priced)}; times {amount(priced)} of exposure that is {case.charged}.{unpriced}"
    )


def posted_sentence(case: PriceCase, what: str, reckoned: Tensor | None = None) -> str:
    """Return the sentence of a rule by which a bidder picks an entry of a price list.

    Args:
        case: Whose price.
        what: The picked entry in words.
        reckoned: (feature,), the exposure by which the entry was picked, None where it is not known.
    """
    if reckoned is None:
        return f"{case.name} picks “{what}” from its menu and pays the price that is posted for it, {case.charged}."
    worth = float((case.bid * reckoned.to(case.bid)).sum())
    if case.payment == 0 and what == "nothing":
        return f"{case.name} pays nothing: at its bid no entry of its menu is worth the posted price."
    return (
        f"{case.name} pays the price posted for the entry of its menu that its bid likes best: “{what}” is worth "
        f"{amount(worth)} at its bid, at a price of {case.charged}."
    )


def worth_to_rest(
    substrate: Substrate, weighted: Tensor, allocation: Tensor, context: Tensor | None, user_weight: float
) -> WorthToRest:
    """Return what weighted bids (1, bidder, feature) and the user have of an allocation of one row."""
    exposure = substrate.exposure(allocation, context)
    loss = float(substrate.user_loss(allocation, context)[0]) if user_weight else 0.0
    return WorthToRest(float((weighted * exposure).sum()), user_weight * loss)


def without_bidder(bids: Tensor, bidder: int) -> Tensor:
    """Return the same bids with one bidder's at 0."""
    return bids.index_fill(1, torch.tensor([bidder], device=bids.device), 0.0)
