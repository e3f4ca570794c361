"""The segment auction: each segment of a reply is drawn for an advertiser in proportion to relevance times bid."""

import itertools
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.mechanisms.codecs import Saved
from auctionsim.mechanisms.showing_rule import RESERVES, Sales, ShowingRule, every_strength, showing_codec
from auctionsim.mechanisms.showings import SHOWN_ALONE, Showings, showings
from auctionsim.mechanisms.table import ONE_FEATURE, Entry, Knob, Problem, Published, register
from auctionsim.substrates.protocol import Substrate
from auctionsim.substrates.randomised import Randomised


class SegmentAuction(ShowingRule):
    """Draw each segment's advertiser with probability s_i / Σ_j s_j, s_i = q_i b_i, and charge threshold prices.

    Several segments are drawn with replacement, from everybody each time, or without, from those that have none yet.
    What is sold is being shown at all: with π_i(b_i) the chance that i has some segment, i is charged
    b_i π_i(b_i) − ∫_0^{b_i} π_i(z) dz times its worth in expectation. One segment, S = Σ_{j≠i} s_j:
    (S/q_i) ln(1 + s_i/S) − b_i S/(s_i + S). That is the mean of the lowest bid at which i would still be drawn, where
    the draw is the largest of s_i e^{ε_i}, ε_i i.i.d. standard Gumbel: a mixture of truthful auctions. Truthful and
    individually rational where exposure is being shown. A bid of 0 or a relevance of 0 is never drawn; where there are
    no others, nobody is shown.

    Args:
        view: A `Randomised` range of one feature.
        showings: Which of its entries show whom; every set of up to `segments` bidders.
        segments: K ≥ 1.
        replacement: Whether an advertiser may have several segments.
        relevance: q, (bidder,), ≥ 0; None: the worths, since being shown is worth b_i g_i.
        reserve: The lowest bid that takes part, in money per unit of exposure; 0 is the published rule.
    Raises:
        TypeError, ValueError: A range of another kind, showings that lack a set, numbers out of range.
    Source:
        Hajiaghayi, Lahaie, Rezaei and Shin (2024), "Ad Auctions for LLMs via Retrieval Augmented Generation". They
        price each segment for itself; with one segment it is the same. The reserve is ours.
    Example:
        >>> from auctionsim.substrates import Lottery
        >>> shown = Lottery(torch.eye(3, 2, dtype=torch.float64).roll(1, 0).unsqueeze(2), torch.zeros(3))
        >>> rule = SegmentAuction(shown, Showings(0, (1, 2), {}))
        >>> rule(torch.tensor([[[1.0], [3.0]]])).allocation
        tensor([[0.0000, 0.2500, 0.7500]])
    """

    def __init__(
        self,
        view: Randomised,
        showings: Showings,
        segments: int = 1,
        *,
        replacement: bool = True,
        relevance: Tensor | None = None,
        reserve: float = 0.0,
    ) -> None:
        self.segments, self.replacement = checked_count(segments, "segments"), bool(replacement)
        super().__init__(view, showings, most_shown=segments, reserve=reserve, scores={"relevance": relevance})

    def sales(self, bids: Float[Tensor, "row bidder"], worths: Float[Tensor, " bidder"]) -> Sales:
        """Draw by closed forms: shown sets segment by segment, charges by the integrals of their chances."""
        relevance = self.scores_of("relevance", worths)
        scores = self.admitted(bids) * relevance
        shown = shown_sets(scores, self.segments, replacement=self.replacement)
        charges = [
            _charge(scores, i, relevance[i] * self.reserve, self.segments, replacement=self.replacement)
            for i in range(bids.shape[1])
        ]
        money = torch.stack(charges, 1)
        return Sales(shown, torch.where(relevance > 0, money / relevance.clamp_min(1e-300), 0.0))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Myerson's theorem, where what is sold is being shown."""
        if self.native(substrate):
            return "Myerson: the chance to be shown grows with the bid, and threshold prices are charged"
        return None


def shown_sets(
    scores: Float[Tensor, "row bidder"], segments: int, *, replacement: bool
) -> dict[frozenset[int], Tensor]:
    """Return how likely exactly each set of bidders is drawn for segments, in proportion to scores: (row,) each.

    A row whose scores are all 0, or all taken, draws nobody more. Sums of nonnegative terms: nothing cancels.
    """
    drawn = {frozenset[int](): torch.ones_like(scores[:, 0])}
    for _ in range(segments):
        further: dict[frozenset[int], Tensor] = {}
        for shown, likely in drawn.items():
            open_to = [j for j in range(scores.shape[1]) if replacement or j not in shown]
            total = _sum(scores, open_to)
            nobody = total == 0
            further[shown] = further.get(shown, torch.zeros_like(total)) + torch.where(nobody, likely, 0.0)
            for j in open_to:
                share = torch.where(nobody, 0.0, scores[:, j] / torch.where(nobody, 1.0, total))
                now = shown | {j}
                further[now] = further.get(now, torch.zeros_like(total)) + likely * share
        drawn = further
    return drawn


def _charge(
    scores: Float[Tensor, "row bidder"], bidder: int, floor: Tensor, segments: int, *, replacement: bool
) -> Float[Tensor, " row"]:
    """Return own · π(own) − ∫_floor^own π(w) dw, own the bidder's score w and π its chance to be shown; 0 at score 0.

    Without replacement, in the time of exponential clocks of rates s_j: i is shown if fewer than K others ring before
    it, and that fewer than K have rung by t has the probability Σ_B c_B e^{−s(B) t} over sets B of others, by
    inclusion and exclusion. So π(w) = Σ_B c_B w/(w + s(B)), a signed sum of auctions of one segment.
    """
    own, others = scores[:, bidder], [j for j in range(scores.shape[1]) if j != bidder]
    if replacement:
        parts = [(1, _sum(scores, others), segments)]
    else:
        parts = [(sign, _sum(scores, rest), 1) for sign, rest in _survivors(others, segments)]
    charge = torch.zeros_like(own)
    for sign, rest, draws in parts:
        charge = charge + sign * (_threshold(own, rest, draws) + _area(floor.expand_as(own), rest, draws))
    return torch.where(own > 0, charge, 0.0)


def _survivors(others: list[int], segments: int) -> list[tuple[int, list[int]]]:
    """Return the sets B of others and their c_B, for which P(fewer than K of them rang by t) = Σ c_B e^{−s(B) t}."""
    least = len(others) - segments + 1  # have not rung
    if least <= 0:
        return [(1, [])]
    return [
        ((-1) ** (size - least) * math.comb(size - 1, least - 1), list(rest))
        for size in range(least, len(others) + 1)
        for rest in itertools.combinations(others, size)
    ]


def _threshold(own: Tensor, rest: Tensor, draws: int) -> Float[Tensor, " row"]:
    """Return w π(w) − ∫_0^w π at w = own, where π(w) = 1 − (S/(w + S))^draws, S = rest."""
    missed = torch.where(own > 0, rest / (own + rest).clamp_min(1e-300), 1.0)
    return _missed_area(own, rest, draws) - own * missed**draws


def _area(own: Tensor, rest: Tensor, draws: int) -> Float[Tensor, " row"]:
    """Return ∫_0^own π(w) dw."""
    return own - _missed_area(own, rest, draws)


def _missed_area(own: Tensor, rest: Tensor, draws: int) -> Float[Tensor, " row"]:
    """Return ∫_0^own (S/(w + S))^draws dw, 0 where S is."""
    if draws == 1:
        ratio = (own / rest.clamp_min(1e-300)).clamp_max(1e300)
        return rest * torch.log1p(ratio)
    missed = torch.where(own > 0, rest / (own + rest).clamp_min(1e-300), 1.0)
    return rest * (1 - missed ** (draws - 1)) / (draws - 1)


def _sum(scores: Float[Tensor, "row bidder"], members: list[int]) -> Float[Tensor, " row"]:
    total = torch.zeros_like(scores[:, 0])
    for j in members:
        total = total + scores[:, j]
    return total


def _settings(rule: SegmentAuction) -> dict[str, Any]:
    return {"segments": rule.segments, "replacement": rule.replacement, "reserve": rule.reserve}


def _made(saved: Saved, view: Randomised, shown: Showings, scores: dict[str, Tensor]) -> SegmentAuction:
    s = saved.settings
    return SegmentAuction(
        view,
        shown,
        s.whole("segments", 1),
        replacement=s.flag("replacement"),
        relevance=scores.get("relevance"),
        reserve=s.number("reserve", 0),
    )


def _segments(view: Randomised) -> tuple[float, ...]:
    """Return one segment, and two where every two bidders are shown together."""
    together = showings(view, 0).together
    pairs = itertools.combinations(range(view.num_bidders), 2)
    return (1.0, 2.0) if all(frozenset(pair) in together for pair in pairs) else (1.0,)


def _designed(problem: Problem, *, replacement: bool) -> SegmentAuction:
    knobs = problem.settings
    return SegmentAuction(
        problem.view,
        showings(problem.view, int(knobs["strength"])),
        int(knobs["segments"]),
        replacement=replacement,
        reserve=knobs["reserve"],
    )


CODEC = showing_codec(SegmentAuction, _settings, _made)
PUBLISHED = Published(
    'Hajiaghayi, Lahaie, Rezaei and Shin (2024), "Ad Auctions for LLMs via Retrieval Augmented Generation", '
    "arXiv:2406.09459",
    "The draw maximises logarithmic welfare, and its prices make truth optimal in each segment's auction.",
    "Having the segment: being the ad that was retrieved for it, whatever the reply then says.",
)
KNOBS: dict[str, Knob] = {"strength": every_strength, "segments": _segments, "reserve": RESERVES}
register(
    Entry(
        "segment-auction",
        "segment auction",
        "Each segment is drawn for an advertiser in proportion to what a showing is worth times the bid.",
        lambda problem: _designed(problem, replacement=True),
        CODEC,
        needs=(SHOWN_ALONE, ONE_FEATURE),
        pays="Who is drawn pays, per showing, the mean of the lowest bids at which it would still have been drawn.",
        published=PUBLISHED,
        knobs=KNOBS,
    )
)
register(
    Entry(
        "segment-auction-without-replacement",
        "segment auction, no repeats",
        "Segments are drawn one after the other for different advertisers, in proportion to worth times bid.",
        lambda problem: _designed(problem, replacement=False),
        CODEC,
        needs=(SHOWN_ALONE, ONE_FEATURE),
        pays="Who has a segment pays, per showing, the mean of the lowest bids at which it would still have had one.",
        published=PUBLISHED,
        knobs=KNOBS,
    )
)
