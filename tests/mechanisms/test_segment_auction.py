"""Segment auctions: published answers, draws by enumeration, prices by quadrature, and where the proof holds."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from shown_list import ShownList, isolated, levels_of, shown_list
from torch import Tensor

from auctionsim.mechanisms import SegmentAuction, load_mechanism, save_mechanism
from auctionsim.mechanisms.segment_auction import shown_sets
from auctionsim.mechanisms.showings import Showings, showings
from auctionsim.mechanisms.table import Problem, entry
from auctionsim.metrics import utility
from auctionsim.priors import Uniform
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import Randomised
from auctionsim.testing import mechanism_checks

F64 = torch.float64
RELEVANCE = torch.tensor([0.36, 0.87, 0.31, 0.26], dtype=F64)


def shown_with(worths: list[float], most: int = 1) -> tuple[Randomised, Showings]:
    """Return a range where a bidder's exposure is its worth wherever it is shown, in sets of up to `most`."""
    sizes = range(2, most + 1)
    sets = [members for size in sizes for members in itertools.combinations(range(len(worths)), size)]
    return isolated(worths, {members: [worths[i] for i in members] for members in sets})


def rule_of(
    bidders: int, segments: int, *, replacement: bool, relevance: Tensor | None = None, reserve: float = 0.0
) -> SegmentAuction:
    view, shown = shown_with([1.0] * bidders, segments)
    return SegmentAuction(view, shown, segments, replacement=replacement, relevance=relevance, reserve=reserve)


def enumerated(scores: list[float], segments: int, *, replacement: bool) -> dict[frozenset[int], float]:
    """Return how likely each set is drawn, one ordered draw after the other."""
    sets: dict[frozenset[int], float] = {}
    for order in itertools.product(range(len(scores)), repeat=segments):
        if not replacement and len(set(order)) < segments:
            continue
        likely, left = 1.0, sum(scores)
        for j in order:
            likely *= scores[j] / left
            left -= 0.0 if replacement else scores[j]
        sets[frozenset(order)] = sets.get(frozenset(order), 0.0) + likely
    return sets


def chance(scores: list[float], bidder: int, segments: int, *, replacement: bool) -> float:
    sets = enumerated(scores, segments, replacement=replacement)
    return sum(likely for members, likely in sets.items() if bidder in members)


def test_the_published_answer() -> None:
    view, shown = shown_with([1.0] * 4)
    rule = SegmentAuction(view, shown, relevance=RELEVANCE)
    bids = torch.tensor([[[3.0], [3.0], [2.0], [2.0]]], dtype=F64)
    outcome = rule(bids)
    assert outcome.allocation[0].tolist() == pytest.approx([0, 0.223602, 0.540373, 0.128364, 0.107660], abs=1e-6)
    assert outcome.payments[0].tolist() == pytest.approx([0.307168, 0.604673, 0.122490, 0.103574], abs=1e-6)
    proved = ex_post_regret(rule, view, bids)
    assert proved.method.startswith("proof")
    searched = ex_post_regret(rule, view, bids, bounds=BoundSettings(use_structure=False))
    assert float(searched.lower.max()) <= 1e-12


@pytest.mark.parametrize("replacement", [True, False], ids=["replacement", "without"])
@pytest.mark.parametrize(("bidders", "segments"), [(2, 1), (2, 2), (3, 2), (4, 3), (5, 2), (8, 2)])
def test_draws_are_those_of_an_enumeration(bidders: int, segments: int, replacement: bool) -> None:
    scores = torch.rand(3, bidders, generator=torch.Generator().manual_seed(bidders), dtype=F64) + 0.01
    drawn = shown_sets(scores, segments, replacement=replacement)
    for row in range(3):
        expected = enumerated(scores[row].tolist(), segments, replacement=replacement)
        assert {members for members, likely in drawn.items() if float(likely[row]) > 0} == set(expected)
        for members, likely in expected.items():
            assert float(drawn[members][row]) == pytest.approx(likely, rel=1e-12)


@pytest.mark.parametrize("replacement", [True, False], ids=["replacement", "without"])
@pytest.mark.parametrize(("bidders", "segments"), [(1, 1), (2, 1), (2, 2), (3, 2), (4, 3), (6, 2)])
@pytest.mark.parametrize("reserve", [0.0, 0.25])
def test_charges_are_those_of_a_quadrature(bidders: int, segments: int, replacement: bool, reserve: float) -> None:
    """t_i = b_i π_i(b_i) − ∫ π_i over the bids from the reserve up, π_i by enumeration."""
    generator = torch.Generator().manual_seed(segments)
    relevance = torch.rand(bidders, generator=generator, dtype=F64) * 0.5 + 0.5
    bids = torch.rand(1, bidders, 1, generator=generator, dtype=F64) * 0.5 + 0.4
    rule = rule_of(bidders, segments, replacement=replacement, relevance=relevance, reserve=reserve)
    paid = rule(bids).payments[0]
    nodes, weights = np.polynomial.legendre.leggauss(40)
    scores = (bids[0, :, 0] * relevance).tolist()
    for i in range(bidders):
        own = float(bids[0, i, 0])

        def share(bid: float, i: int = i) -> float:
            moved = [*scores[:i], bid * float(relevance[i]), *scores[i + 1 :]]
            return chance(moved, i, min(segments, bidders), replacement=replacement)

        area = 0.0
        edges = np.linspace(reserve, own, 4)
        for low, high in itertools.pairwise(edges):
            inside = (low + high) / 2 + (high - low) / 2 * nodes
            area += (high - low) / 2 * sum(w * share(bid) for w, bid in zip(weights, inside, strict=True))
        assert float(paid[i]) == pytest.approx(own * share(own) - area, abs=1e-10)


@pytest.mark.parametrize("replacement", [True, False], ids=["replacement", "without"])
def test_prices_are_the_mean_of_what_perturbed_bids_would_have_to_be(replacement: bool) -> None:
    """Every draw is a truthful auction: the price never exceeds the bid, and its mean is what is charged."""
    bids, segments, draws = torch.tensor([1.0, 0.5, 0.25], dtype=F64), 2, 40_000
    generator = torch.Generator().manual_seed(0)
    exponential = torch.rand(segments, draws, 3, generator=generator, dtype=F64).log().neg()
    noise = 1 / exponential  # e^ε, ε standard Gumbel
    heights = bids * noise  # with replacement each segment is perturbed anew, without there is one order
    others = torch.stack([heights.index_fill(2, torch.tensor([i]), 0.0) for i in range(3)], 3)
    if replacement:
        critical = (others.amax(2) / noise).amin(0)  # in the segment that is cheapest to have
    else:
        critical = others[0].sort(1, descending=True).values[:, segments - 1] / noise[0]
    wins = critical <= bids
    price = torch.where(wins, critical, 0.0)
    assert bool((price <= bids).all())
    rule = rule_of(3, segments, replacement=replacement)
    outcome = rule(bids.view(1, 3, 1))
    errors = price.std(0) / draws**0.5
    assert bool(((price.mean(0) - outcome.payments[0]).abs() <= 5 * errors).all())
    frequency = wins.double().mean(0)
    assert bool(((frequency - rule.view.exposure(outcome.allocation)[0, :, 0]).abs() <= 5 * 0.5 / draws**0.5).all())
    assert float(errors.max()) < 0.003


@pytest.mark.parametrize("replacement", [True, False], ids=["replacement", "without"])
@pytest.mark.parametrize("segments", [1, 2])
def test_what_is_drawn_costs_at_most_the_bid_and_costs_the_charge_in_the_mean(segments: int, replacement: bool) -> None:
    worths = [0.5, 0.25, 0.75]
    view, shown = shown_with(worths, segments)
    rule = SegmentAuction(view, shown, segments, replacement=replacement)
    bids = torch.rand(50, 3, 1, generator=torch.Generator().manual_seed(1), dtype=F64)
    bids[::5, 0], bids[::7, 1:] = 0.0, 0.0
    outcome = rule(bids)
    drawn = rule.drawn_payments(bids, outcome)
    mean = (outcome.allocation.unsqueeze(2) * drawn).sum(1)
    assert torch.allclose(mean, outcome.payments, rtol=1e-12, atol=1e-15)
    value = bids[:, :, 0].unsqueeze(1) * view.exposures[:, :, 0]
    assert bool((drawn <= value * (1 + 1e-12)).all())
    assert float(drawn.max()) > 0.1
    assert float(utility(outcome, view, bids).min()) >= 0


@pytest.mark.parametrize("replacement", [True, False], ids=["replacement", "without"])
def test_zeros_are_never_drawn_and_move_nothing(replacement: bool) -> None:
    rule = rule_of(3, 2, replacement=replacement)
    outcome = rule(torch.tensor([[[0.0], [0.0], [0.0]], [[0.5], [0.0], [0.0]], [[0.5], [0.25], [0.0]]], dtype=F64))
    pair = rule_of(2, 2, replacement=replacement)(torch.tensor([[[0.5], [0.25]]], dtype=F64))
    assert outcome.allocation[0].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert outcome.allocation[1].tolist() == [0, 1, 0, 0, 0, 0, 0]
    assert outcome.payments[:2].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert torch.equal(outcome.allocation[2, [0, 1, 2, 4]], pair.allocation[0])
    assert torch.allclose(outcome.payments[2, :2], pair.payments[0], rtol=1e-14, atol=0)
    if not replacement:  # both are sure of a segment, and nobody is left to pay against
        assert pair.payments.tolist() == [[0, 0]]
    irrelevant = rule_of(3, 1, replacement=replacement, relevance=torch.tensor([0.0, 1.0, 1.0], dtype=F64))
    sold = irrelevant(torch.ones(1, 3, 1, dtype=F64))
    assert sold.allocation[0].tolist() == [0, 0, 0.5, 0.5]
    assert float(sold.payments[0, 0]) == 0


@pytest.mark.parametrize("replacement", [True, False], ids=["replacement", "without"])
def test_a_bid_below_the_reserve_takes_no_part_and_others_pay_it_at_least(replacement: bool) -> None:
    rule = rule_of(3, 2, replacement=replacement, reserve=0.5)
    outcome = rule(torch.tensor([[[0.5], [1.0], [0.49]], [[0.5], [1.0], [0.0]]], dtype=F64))
    assert torch.equal(outcome.allocation[0], outcome.allocation[1])
    assert torch.equal(outcome.payments[0], outcome.payments[1])
    shares = rule.view.exposure(outcome.allocation)[0, :, 0]
    assert bool((outcome.payments[0] >= 0.5 * shares - 1e-15).all())
    assert float(outcome.payments[0, 0]) == pytest.approx(0.5 * float(shares[0]))  # its bid is the reserve


@pytest.mark.parametrize("replacement", [True, False], ids=["replacement", "without"])
@pytest.mark.parametrize("segments", [1, 2, 3])
def test_amounts_of_any_size_are_charged_between_nothing_and_the_bid(segments: int, replacement: bool) -> None:
    rule = rule_of(4, segments, replacement=replacement)
    sizes = torch.tensor([1e-300, 1e-12, 1.0, 1e30], dtype=F64)
    bids = torch.cartesian_prod(sizes, sizes, sizes, sizes).unsqueeze(2)
    outcome = rule(bids)
    assert bool(torch.isfinite(outcome.payments).all())
    assert bool(rule.view.feasible(outcome.allocation).all())
    assert float(utility(outcome, rule.view, bids).min()) >= -1e-15 * 1e30
    shares = rule.view.exposure(outcome.allocation)[:, :, 0]
    assert bool((outcome.payments <= bids[:, :, 0] * shares * (1 + 1e-12)).all())
    scaled = rule(bids * 1024)
    assert torch.allclose(scaled.payments, outcome.payments * 1024, rtol=1e-9, atol=0)


NATIVE = [
    pytest.param(SegmentAuction(*shown_with([0.5, 0.25])), id="one segment"),
    pytest.param(SegmentAuction(*shown_with([0.5, 1.0, 0.25], 2), 2), id="two, replacement"),
    pytest.param(
        SegmentAuction(*shown_with([0.5, 1.0, 0.25], 2), 2, replacement=False, reserve=0.25), id="two without"
    ),
]


@pytest.mark.parametrize("rule", NATIVE)
def test_conformance_where_being_shown_is_sold(rule: SegmentAuction) -> None:
    assert rule.dsic_proof(rule.view) is not None
    for check in mechanism_checks(rule, rule.view, dsic=True, individually_rational=True, examples=4):
        check()


def test_conformance_elsewhere_claims_no_truth() -> None:
    view = Randomised(shown_list(3, 2, strengths=2, contexts=2))
    for replacement in (True, False):
        rule = SegmentAuction(view, showings(view, 1), 2, replacement=replacement)
        for check in mechanism_checks(rule, view, dsic=False, individually_rational=False, examples=5):
            check()


def test_the_proof_is_about_being_shown_alone() -> None:
    rule = SegmentAuction(*shown_with([0.5, 0.25], 2), 2)
    other = Randomised(shown_list(3, 2))
    assert rule.dsic_proof(other) is None
    crosstalk = SegmentAuction(other, showings(other, 0))
    assert crosstalk.dsic_proof(other) is None
    view, shown = isolated([0.5, 0.25], {(0, 1): [0.5, 0.125]})  # beside another a showing is worth less
    assert SegmentAuction(view, shown).dsic_proof(view) is not None
    assert SegmentAuction(view, shown, 2).dsic_proof(view) is None
    found = ex_post_regret(SegmentAuction(view, shown, 2), view, torch.tensor([[[1.0], [1.0]]], dtype=F64))
    assert float(found.lower[0, 1]) > 1e-3


def test_worths_are_those_of_the_row_s_context() -> None:
    levels = levels_of(2, 1)
    exposures = torch.stack([levels * torch.tensor([0.5, 0.25]), levels * torch.tensor([0.25, 1.0])])
    view = Randomised(ShownList(levels, exposures, torch.zeros(2, len(levels))))
    rule, shown = SegmentAuction(view, showings(view, 0), 2), showings(view, 0)
    bids, context = torch.tensor([[[1.0], [0.5]]], dtype=F64).repeat(2, 1, 1), torch.tensor([0, 1])
    outcome = rule(bids, context)
    for row, worths in enumerate([[0.5, 0.25], [0.25, 1.0]]):
        alone = SegmentAuction(*shown_with(worths, 2), 2)(bids[:1])
        entries = [shown.nobody, *shown.alone, shown.entry(frozenset({0, 1}))]
        assert torch.equal(outcome.allocation[row, entries], alone.allocation[0])
        assert torch.equal(outcome.payments[row], alone.payments[0])
    assert rule.dsic_proof(view) is not None
    for where in (context, None):
        searched = ex_post_regret(rule, view, bids, context=where, bounds=BoundSettings(use_structure=False))
        assert float(searched.lower.max()) <= 1e-12


def test_showings_that_lack_a_set_are_refused() -> None:
    view, shown = shown_with([0.5, 0.25, 1.0])
    with pytest.raises(ValueError, match=r"no entry of the range shows the bidders \[0, 1\] together"):
        SegmentAuction(view, shown, 2)
    with pytest.raises(ValueError, match="showings name one twice"):
        SegmentAuction(view, shown._replace(alone=(1, 1, 3)))
    with pytest.raises(ValueError, match="relevance must be 3 numbers"):
        SegmentAuction(view, shown, relevance=torch.tensor([1.0, -1.0, 1.0]))
    with pytest.raises(ValueError, match="segments"):
        SegmentAuction(view, shown, 0)


def test_it_is_designed_by_its_knobs_and_comes_back_from_a_file(tmp_path: Path) -> None:
    view = Randomised(shown_list(5, 3, strengths=2))
    line = entry("segment-auction-without-replacement")
    assert line.knobs_on(view)["segments"] == (1.0, 2.0)
    settings = {"strength": 1.0, "segments": 2.0, "reserve": 0.25}
    rule = line.designed(Problem(view, Uniform(0, 1), settings=settings))
    assert isinstance(rule, SegmentAuction)
    assert (rule.segments, rule.replacement, rule.reserve) == (2, False, 0.25)
    assert rule.showings == showings(view, 1)
    weighed = SegmentAuction(view, showings(view, 1), 2, relevance=torch.tensor([0.5, 0.25, 1.0]), reserve=0.125)
    for one in (rule, weighed):
        save_mechanism(one, tmp_path / "rule")
        bids = torch.rand(9, 3, 1, generator=torch.Generator().manual_seed(2))
        for before, after in zip(one(bids), load_mechanism(tmp_path / "rule", view)(bids), strict=True):
            assert torch.equal(before, after)
