"""Prominence in proportion to bids: everybody who bids has a part of the text, and pays by Myerson's formula."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.claims import behaves_as
from auctionsim.errors import InputError, InputTypeError
from auctionsim.mechanisms.candidates import context_groups
from auctionsim.mechanisms.codecs import Codec, Saved, State, needed
from auctionsim.mechanisms.power_share import payment_by_power
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.showings import Showings, showings, strengths
from auctionsim.mechanisms.showings_codec import checked_showings, showings_from, showings_record
from auctionsim.mechanisms.table import Entry, Need, Problem, Published, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.prominence import Prominence
from auctionsim.substrates.protocol import Substrate, contexts_of, same_substrate, treats_bidders_alike
from auctionsim.substrates.randomised import Randomised

LEVEL = 1e-12
"""Of an exposure: means of the same replies differ by as much as they are rounded."""


class ProportionalProminence(Mechanism):
    """Give bidder i the share x_i = s_i / Σ_j s_j of the prominence, and charge t_i = b_i e_i(b) − ∫_0^{b_i} e_i(s) ds.

    On `Prominence` s_i = b_i and e_i = x_i^α. On a `Randomised` range s_i = b_i g_i, g_i the exposure of i where it
    alone is shown, and a vector of shares is a distribution over the entries that show bidders: with m the least share,
    n·m is the probability that all are shown together, and x_i − m that i alone is. So exposure is a piecewise linear
    curve of the shares, and with two bidders that of the own share goes through the exposure where the other alone is
    shown (at 0), where both are (at ½), and where i alone is (at 1). Where nobody bids, nobody is shown.

    The integral is exact: on a range rational functions of the bid, on `Prominence` a series summed until nothing is
    added. Exposure that a bid of 0 gets as well costs nothing. Where exposure rises with the own bid truth is dominant,
    and 0 ≤ t_i ≤ b_i e_i(b). Where a measured curve falls somewhere it is not, and no payments make it so; a payment
    that would be negative is then 0, and t_i ≤ b_i e_i(b) holds all the same.

    Args:
        substrate: A `Prominence`, or a `Randomised` range.
        shown: On a range, the entries that show bidders; it must hold the one that shows all of them. None on
            `Prominence`.
    Raises:
        TypeError: Another substrate.
        ValueError: A range without showings, or without the entry that shows all.
    Source:
        Dubey, Feng, Kidambi, Mehta and Wang (2024), "Auctions with LLM summaries"; Myerson (1981) for the payment. A
        share of a text as a mixture of entries that were measured, and the worth g in it, are ours.
    Example:
        >>> rule = ProportionalProminence(Prominence(3, 0.5))
        >>> rule(torch.tensor([[[1.0], [2.0], [3.0]]], dtype=torch.float64)).payments
        tensor([[0.1263, 0.3245, 0.5228]], dtype=torch.float64)
    """

    def __init__(self, substrate: Prominence | Randomised, shown: Showings | None = None) -> None:
        if not isinstance(substrate, (Prominence, Randomised)):
            raise InputTypeError(f"prominence is shared on Prominence or Randomised, got {type(substrate).__name__}")
        super().__init__(substrate.num_bidders, len(substrate.features), substrate)
        self.range: Prominence | Randomised = substrate
        self.showings = shown
        self._entries: _Entries | None = None
        if isinstance(substrate, Randomised):
            if shown is None:
                raise InputError("on a Randomised range pass the showings: which entries show whom")
            checked_showings(substrate, shown)
            everybody = shown.entry(frozenset(range(substrate.num_bidders)))
            self._entries = _Entries(shown.nobody, shown.alone, everybody, shown.worths(substrate))
        elif shown is not None:
            raise InputError("Prominence has no entries that show bidders: pass no showings")

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Share, and charge, in float64, a block of rows at a time."""
        if isinstance(self.range, Prominence):
            parts = [
                self._on_prominence(bids[rows].double().squeeze(2))
                for rows in row_blocks(len(bids), 4 * self.range.num_bidders)
            ]
            return Outcome(*(torch.cat(part).to(bids.dtype) for part in zip(*parts, strict=True)))
        allocation = bids.new_zeros(len(bids), len(self.range.reference))
        payments = bids.new_zeros(bids.shape[:2])
        for which, group in context_groups(self.range, context, len(bids)):
            for block in row_blocks(len(group), len(self.range.reference)):
                rows = group[block]
                chosen, paid = self._on_range(self.range, bids[rows].double().squeeze(2), which)
                allocation[rows], payments[rows] = chosen.to(bids.dtype), paid.to(bids.dtype)
        return Outcome(allocation, payments)

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Myerson's lemma, where exposure is what it was designed on and rises with the own bid whatever others bid."""
        exact = behaves_as(self.range, Prominence, Randomised) and same_substrate(self.range, substrate)
        if not exact or not self.rises:
            return None
        return "Myerson: exposure rises with the own share, and payments follow the envelope formula"

    def is_anonymous(self, substrate: Substrate) -> bool:
        """On `Prominence`, where all clicks are alike."""
        alike = isinstance(self.range, Prominence) and treats_bidders_alike(self.range)
        return alike and same_substrate(self.range, substrate)

    @property
    def rises(self) -> bool:
        """Whether nobody's exposure falls as its own bid rises, whatever the others bid and in every context.

        With T_i, g_i, c_ij and o_i what i gets where all, i alone, j alone and nobody are shown, that is so for all
        bids of n bidders if and only if o_i ≤ g_i, c_ij ≤ g_i, T_i ≤ g_i and Σ_j c_ij + max_j c_ij ≤ n T_i. Where
        showing some bidder alone is worth nothing its share is always 0, so that all are never shown together: then the
        first two decide, among the others. What falls by less than means round, 1e-12 of an exposure, is level.
        """
        if isinstance(self.range, Prominence):
            return True
        places = [*range(len(contexts_of(self.range))), None]
        assert self._entries is not None
        worth = self._entries.worths > 0
        return all(self._entries.curves(self.range, place).rise(worth) for place in places)

    def _on_prominence(self, bids: Float[Tensor, "row bidder"]) -> Outcome:
        assert isinstance(self.range, Prominence)
        shares, others, _ = _shared(bids)
        payments = payment_by_power(bids, others, self.range.exponent)
        return Outcome(shares.unsqueeze(2), payments)

    def _on_range(self, view: Randomised, bids: Float[Tensor, "row bidder"], context: int | None) -> Outcome:
        assert self._entries is not None
        scores = bids * self._entries.worths.to(bids.device)
        shares, others, total = _shared(scores)
        least = shares.amin(1)
        allocation = bids.new_zeros(len(bids), len(view.reference))
        allocation[:, self._entries.nobody] += (total == 0).double()
        for i, entry in enumerate(self._entries.alone):
            allocation[:, entry] += shares[:, i] - least
        allocation[:, self._entries.everybody] += bids.shape[1] * least
        curves = self._entries.curves(view, context)
        payments = [curves.payment(i, scores, others[:, i]) for i in range(bids.shape[1])]
        worths = self._entries.worths.to(bids.device)
        # scores are money per unit of share, so the integrals are divided by the worth
        charged = torch.stack(payments, 1) / torch.where(worths > 0, worths, 1.0)
        return Outcome(allocation, charged.clamp_min(0))


class _Entries(NamedTuple):
    """Which entries a vector of shares mixes, and by what bids are weighed.

    Attributes:
        nobody: Where nobody bids.
        alone: (bidder,).
        everybody: All of them together.
        worths: (bidder,) g_i, contexts averaged.
    """

    nobody: int
    alone: tuple[int, ...]
    everybody: int
    worths: Tensor

    def curves(self, view: Randomised, context: int | None) -> "_Curves":
        """Return what these entries give in a context, None for their mean."""
        exposures = view.entries(context).exposures.squeeze(2)
        alone = torch.stack([exposures[entry] for entry in self.alone])  # (entry that shows j alone, bidder i)
        return _Curves(exposures[self.nobody], alone, exposures[self.everybody])


class _Curves(NamedTuple):
    """Exposures that shares mix.

    Attributes:
        nobody: (bidder,) o_i.
        alone: (bidder j, bidder i) c_ij, what i gets where j alone is shown; on the diagonal g_i.
        together: (bidder,) T_i.
    """

    nobody: Tensor
    alone: Tensor
    together: Tensor

    def rise(self, worth: Bool[Tensor, " bidder"]) -> bool:
        """Tell whether exposure rises with the own bid, see `ProportionalProminence.rises`; who is worth showing."""
        n = len(self.together)
        own = self.alone.diagonal()
        others = self.alone - torch.diag(own)
        falls = [self.nobody - own, *(other - own for other in others[worth])]
        if bool(worth.all()):
            falls += [self.together - own, others.sum(0) + others.amax(0) - n * self.together]
        return all(bool((fall[worth] <= LEVEL * self.alone.max()).all()) for fall in falls)

    def payment(
        self, i: int, scores: Float[Tensor, "row bidder"], others: Float[Tensor, " row"]
    ) -> Float[Tensor, " row"]:
        """Return ∫ x de_i over i's score x from 0 on, the others' scores r_j held, their sum R: (row,).

        Below ρ = min_j r_j the least share is i's own and e_i = (n x T + Σ_j (r_j − x) c_j) / (x + R), above it
        e_i = (n ρ T + (x − ρ) g + Σ_j (r_j − ρ) c_j) / (x + R): in both K / (x + R)² is the slope, K a constant.
        """
        rivals = [j for j in range(scores.shape[1]) if j != i]
        if not rivals:
            return torch.zeros_like(others)
        n, own, together = scores.shape[1], self.alone[i, i], self.together[i]
        least = scores[:, rivals].amin(1)
        below, above = n * together * others, own * (others + least) - n * least * together
        for j in rivals:
            crosstalk = self.alone[j, i]
            below = below - crosstalk * (others + scores[:, j])
            above = above - crosstalk * (scores[:, j] - least)
        x = scores[:, i]
        turn = _integral(torch.minimum(x, least), others)
        return below * turn + above * (_integral(x, others) - turn)


def _integral(x: Float[Tensor, " row"], others: Float[Tensor, " row"]) -> Float[Tensor, " row"]:
    """Return ∫_0^x s / (s + R)² ds = log(1 + x/R) − x / (x + R), and 0 where R = 0: exposure then jumps at 0."""
    rivalled = (others > 0) & (x > 0)
    own, rest = torch.where(rivalled, x, 0.0), torch.where(rivalled, others, 1.0)
    ratio = (own / rest).clamp_max(torch.finfo(x.dtype).max)
    return ratio.log1p() - own / (own + rest)


def _shared(scores: Float[Tensor, "row bidder"]) -> tuple[Tensor, Tensor, Tensor]:
    """Return shares (row, bidder), 0 where nobody bids, the others' sums (row, bidder), and all sums (row,).

    Summed term by term and not by subtraction: the others' sum is exact to rounding beside a bid of any size.
    """
    n = scores.shape[1]
    others = torch.zeros_like(scores)
    total = torch.zeros_like(scores[:, 0])
    for i in range(n):
        total = total + scores[:, i]
        for j in range(n):
            if j != i:
                others[:, i] = others[:, i] + scores[:, j]
    return scores / torch.where(total > 0, total, 1.0).unsqueeze(1), others, total


def _state(rule: ProportionalProminence) -> State:
    return State({"showings": None if rule.showings is None else showings_record(rule.showings)}, {})


def _made(saved: Saved, substrate: Substrate | None) -> ProportionalProminence:
    place = needed(substrate)
    if not isinstance(place, (Prominence, Randomised)):
        raise InputError(f"prominence is shared on Prominence or Randomised, got {type(place).__name__}")
    none = saved.settings.value("showings") is None
    return ProportionalProminence(place, None if none else showings_from(saved.settings.record("showings")))


def _shows_all(view: Substrate) -> bool:
    """Tell whether prominence can be shared on a view."""
    if behaves_as(view, Prominence):
        return True
    if not isinstance(view, Randomised) or len(view.features) != 1 or not strengths(view):
        return False
    n = view.num_bidders
    return n == 1 or frozenset(range(n)) in showings(view, 0).together


def _strengths(view: Substrate) -> tuple[float, ...]:
    return (0.0,) if isinstance(view, Prominence) else tuple(map(float, range(strengths(view))))


def _designed(problem: Problem) -> ProportionalProminence:
    view = problem.view
    if isinstance(view, Prominence):
        return ProportionalProminence(view)
    return ProportionalProminence(view, showings(view, int(problem.settings["strength"])))


register(
    Entry(
        "proportional-prominence",
        "proportional prominence",
        "Each brand's share of the text is its share of all bids, each bid times what being shown alone is worth.",
        _designed,
        Codec(ProportionalProminence, _state, _made),
        needs=(
            Need("Prominence, or a Randomised range over levers that shows each alone and all together", _shows_all),
        ),
        pays="Everybody who bids gets a part of the text in proportion to its bid; each pays for every bit of exposure "
        "the bid at which it would just have got it.",
        published=Published(
            "Dubey, Feng, Kidambi, Mehta and Wang (2024), Auctions with LLM summaries, KDD 2024, arXiv 2404.08126",
            "Truthful bidding is dominant if a higher bid brings a higher prominence, the language model follows the "
            "prominence, and predicted clicks are right on average.",
            "the predicted click probability of an ad, given the prominence that the summary is asked to give it",
        ),
        knobs={"strength": _strengths},
    )
)
