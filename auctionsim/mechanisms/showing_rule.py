"""The base of mechanisms that choose whom a reply shows, and charge for being shown."""

import itertools
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.checks import MOST_MONEY, checked_count, checked_money, checked_tensor
from auctionsim.claims import behaves_as
from auctionsim.errors import InputError
from auctionsim.mechanisms.candidates import context_groups
from auctionsim.mechanisms.codecs import Codec, Saved, State
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.showings import Showings, strengths
from auctionsim.mechanisms.showings_codec import checked_showings, showings_from, showings_record
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import Substrate, contexts_of, same_substrate
from auctionsim.substrates.randomised import Randomised

LEVEL = 1e-12
"""Of exposure: means of equal readings differ by their rounding."""


class Sales(NamedTuple):
    """Whom each auction shows, and what it charges, before exposures count.

    Attributes:
        shown: By sets of bidders, how likely exactly these are shown: (row,), float64, together 1; sets that are never
            shown may be left out.
        charges: (row, bidder) expected charges, in money per unit of the bidder's worth.
    """

    shown: Mapping[frozenset[int], Tensor]
    charges: Tensor


class ShowingRule(Mechanism):
    """A mechanism on a finite range whose entries show bidders: it allocates how likely each set of them is shown.

    A bid b_i is money per unit of exposure, and g_i, bidder i's worth, is its exposure where it alone is shown, in the
    row's own context. Being shown is then worth b_i g_i by i's report, and i pays g_i times what the rule charges for a
    showing at a bid b_i: with g = 1 the rule is the published one. Nobody pays more in expectation than b_i g_i times
    its chance to be shown.

    Args:
        view: A `Randomised` range of one feature.
        showings: Which of its entries show whom.
        most_shown: How many bidders at most are shown at once.
        reserve: The lowest bid that takes part, in money per unit of exposure.
        scores: By name, numbers of each bidder ≥ 0 that the rule reads beside bids, (bidder,); None: the worths.
    """

    def __init__(
        self,
        view: Randomised,
        showings: Showings,
        *,
        most_shown: int = 1,
        reserve: float = 0.0,
        scores: Mapping[str, Tensor | None] | None = None,
    ) -> None:
        checked_showings(view, showings)
        super().__init__(view.num_bidders, 1, view)
        self.view = view
        self.most_shown = min(checked_count(most_shown, "most_shown"), view.num_bidders)
        self.reserve = checked_money(reserve, "reserve")
        self.showings = _with_sets(view, showings, self.most_shown)
        self.scores = {name: _checked_scores(given, name, view.num_bidders) for name, given in (scores or {}).items()}

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Show and charge in float64, a block of rows at a time."""
        allocation = bids.new_empty(len(bids), len(self.view.reference))
        payments = bids.new_empty(bids.shape[:2])
        for which, group in context_groups(self.view, context, len(bids)):
            worths = self._worths(which).to(bids.device)
            for block in row_blocks(len(group), len(self.view.reference) * bids.shape[1]):
                rows = group[block]
                chosen, paid = self._cleared(bids[rows, :, 0].double(), worths)
                allocation[rows], payments[rows] = chosen.to(bids.dtype), paid.to(bids.dtype)
        return Outcome(allocation, payments)

    @abstractmethod
    def sales(self, bids: Float[Tensor, "row bidder"], worths: Float[Tensor, " bidder"]) -> Sales:
        """Return whom each row shows and what it charges, from bids and worths in float64."""

    def native(self, substrate: Substrate) -> bool:
        """Tell whether what the substrate sells is being shown, the exposure that such rules are proved about.

        So it is where the rule was made for it, and in every context a bidder's exposure is its worth in each entry
        that shows it, with whomever, and 0 in each that does not, up to the rounding of means.
        """
        if not (behaves_as(self.view, Randomised) and same_substrate(self.view, substrate)):
            return False
        entries = self._entries()
        shows = torch.tensor([[i in shown for i in range(self.view.num_bidders)] for shown in entries])
        for which in (None, *range(len(contexts_of(self.view)))):
            given = self.view.entries(which).exposures[list(entries.values()), :, 0]
            if not torch.allclose(given, torch.where(shows, self._worths(which), 0.0), rtol=0, atol=LEVEL):
                return False
        return True

    def drawn_payments(self, bids: Tensor, outcome: Outcome, context: Tensor | None = None) -> Tensor:
        """Charge a bidder in the entries that show it, alike in each: its expected payment over its chance to be shown.

        So no bidder pays more than its bid times its worth whatever is drawn, and nothing where it is not shown.
        """
        del bids, context
        shows = self._shows().to(outcome.allocation)
        chance = torch.zeros_like(outcome.payments)
        for entry, mine in enumerate(shows):
            chance = chance + outcome.allocation[:, entry, None] * mine
        price = torch.where(chance > 0, outcome.payments / chance.clamp_min(torch.finfo(chance.dtype).tiny), 0.0)
        return price.unsqueeze(1) * shows

    def admitted(self, bids: Float[Tensor, "row bidder"]) -> Float[Tensor, "row bidder"]:
        """Return bids, 0 in place of those below the reserve."""
        return torch.where(bids >= self.reserve, bids, 0.0)

    def scores_of(self, name: str, worths: Float[Tensor, " bidder"]) -> Float[Tensor, " bidder"]:
        """Return the numbers of bidders that the rule reads beside bids: those that were given, else the worths."""
        given = self.scores[name]
        return worths if given is None else given.to(worths)

    def by_context(
        self,
        bids: Float[Tensor, "batch bidder 1"],
        context: Tensor | None,
        numbers: Callable[[Float[Tensor, "row bidder"], Float[Tensor, " bidder"]], Tensor],
    ) -> Float[Tensor, "batch bidder"]:
        """Return numbers of bids and worths in float64, each row's by the worths of its own context."""
        whole = bids.new_empty(bids.shape[:2], dtype=torch.float64)
        for which, rows in context_groups(self.view, context, len(bids)):
            whole[rows] = numbers(bids[rows, :, 0].double(), self._worths(which).to(bids.device))
        return whole

    def _cleared(self, bids: Float[Tensor, "row bidder"], worths: Float[Tensor, " bidder"]) -> Outcome:
        sold = self.sales(bids, worths)
        allocation = bids.new_zeros(len(bids), len(self.view.reference))
        chance = torch.zeros_like(bids)
        for shown, likely in sold.shown.items():
            allocation[:, self.showings.entry(shown)] = likely
            for i in shown:
                chance[:, i] = chance[:, i] + likely
        charges = torch.minimum(sold.charges.clamp_min(0), bids * chance)  # outside only by rounding
        return Outcome(allocation, worths * charges)

    def _worths(self, context: int | None) -> Float[Tensor, " bidder"]:
        exposures = self.view.entries(context).exposures
        return torch.stack([exposures[entry, i, 0] for i, entry in enumerate(self.showings.alone)])

    def _entries(self) -> dict[frozenset[int], int]:
        """Return the entries that the rule uses, by whom they show."""
        sets = _sets(self.view.num_bidders, self.most_shown)
        return {shown: self.showings.entry(shown) for shown in sets}

    def _shows(self) -> Bool[Tensor, "entry bidder"]:
        shows = torch.zeros(len(self.view.reference), self.view.num_bidders, dtype=torch.bool)
        for shown, entry in self._entries().items():
            shows[entry, list(shown)] = True
        return shows


def showing_codec(
    kind: Callable[..., ShowingRule],
    settings: Callable[[Any], dict[str, Any]],
    made: Callable[[Saved, Randomised, Showings, dict[str, Tensor]], ShowingRule],
) -> Codec:
    """Return the file form of a rule: its showings, its own settings, and its scores where they were given.

    Args:
        kind: The class.
        settings: From a rule to its own settings.
        made: From what a file has, the range, the showings and the scores that were given, to the rule.
    """
    assert isinstance(kind, type)

    def state(rule: ShowingRule) -> State:
        given = {name: held for name, held in rule.scores.items() if held is not None}
        return State({"showings": showings_record(rule.showings), **settings(rule)}, given)

    def make(saved: Saved, substrate: Substrate | None) -> ShowingRule:
        if not isinstance(substrate, Randomised):
            raise InputError(f"it needs a Lottery or a Randomised range, got {type(substrate).__name__}")
        shown = showings_from(saved.settings.record("showings"))
        names = [name for name in saved.stored.arrays if not name.startswith("sample_")]
        scores = {name: saved.array(name, (substrate.num_bidders,)) for name in names}
        return made(saved, substrate, shown, scores)

    return Codec(kind, state, make)


def _sets(bidders: int, most: int) -> list[frozenset[int]]:
    sizes = range(min(most, bidders) + 1)
    return [frozenset(shown) for size in sizes for shown in itertools.combinations(range(bidders), size)]


def _with_sets(view: Randomised, shown: Showings, most_shown: int) -> Showings:
    """Return showings that hold every set that may be shown, each an entry of its own: a copy."""
    used = [shown.entry(members) for members in _sets(view.num_bidders, most_shown)]
    if len(set(used)) < len(used):
        raise InputError(f"whom a reply shows must be told by its entry, and showings name one twice: {used}")
    return Showings(shown.nobody, tuple(shown.alone), dict(shown.together))


def _checked_scores(given: Tensor | None, name: str, bidders: int) -> Tensor | None:
    if given is None:
        return None
    held = checked_tensor(given, name).detach().to("cpu", torch.float64, copy=True)
    if held.shape != (bidders,) or not bool(((held >= 0) & (held <= MOST_MONEY)).all()):
        raise InputError(
            f"{name} must be {bidders} numbers of 0 … {MOST_MONEY:g}, one per bidder, got {given.tolist()}"
        )
    return held


def every_strength(view: Substrate) -> tuple[float, ...]:
    """Return the strengths at which a range shows bidders, which a design may choose among: a knob."""
    return tuple(float(strength) for strength in range(strengths(view)))


RESERVES = (0.0, 0.25, 0.5, 0.75, 0.875, 1.0)
"""Reserves that a design may choose among, in money per unit of exposure: a knob. At 1, U[0, 1] buys nothing."""
