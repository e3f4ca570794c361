"""Rules with one winner: the published answer, prices by bisection, ties, zeros, and where the proof holds."""

from pathlib import Path

import pytest
import torch
from shown_list import ShownList, isolated, levels_of, shown_list
from torch import Tensor

from auctionsim import mechanisms as m
from auctionsim.mechanisms.showing_rule import ShowingRule
from auctionsim.mechanisms.showings import showings
from auctionsim.mechanisms.table import Problem, entry
from auctionsim.priors import Uniform
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import Randomised
from auctionsim.testing import mechanism_checks

F64 = torch.float64
RETRIEVAL, RELEVANCE = (torch.tensor(q, dtype=F64) for q in ([0.9, 0.8, 0.6, 0.5], [0.2, 0.4, 0.3, 0.1]))
QUARTERS = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], dtype=F64)
KINDS = ["passing 1", "passing 2", "passing 3", "second price", "first price"]


def rule_of(kind: str, worths: list[float], reserve: float = 0.0) -> ShowingRule:
    view, shown = isolated(worths, {})
    if kind == "second price":
        return m.WinnerSecondPrice(view, shown, reserve)
    if kind == "first price":
        return m.WinnerFirstPrice(view, shown, reserve)
    retrieval = torch.tensor([0.5, 0.25, 1.0, 0.75][: len(worths)], dtype=F64)
    return m.TwoStage(view, shown, int(kind.split()[1]), retrieval=retrieval, reserve=reserve)


def winner_of(retrieval: list[float], relevance: list[float], bids: list[float], passing: int) -> int | None:
    """Return who wins, one plain step after the other."""
    takes_part = [i for i, bid in enumerate(bids) if bid * retrieval[i] > 0 and bid * relevance[i] > 0]
    passes = sorted(takes_part, key=lambda i: -retrieval[i] * bids[i])[:passing]
    return min(passes, key=lambda i: (-relevance[i] * bids[i], i), default=None)


def test_the_published_answer() -> None:
    view, shown = isolated([1.0] * 4, {})
    rule = m.TwoStage(view, shown, 2, retrieval=RETRIEVAL, relevance=RELEVANCE)
    bids = torch.tensor([[[1.0], [0.7], [1.2], [1.0]]], dtype=F64)
    outcome = rule(bids)
    assert outcome.allocation[0].tolist() == [0, 0, 0, 1, 0]
    assert outcome.payments[0].tolist() == pytest.approx([0, 0, 0.933333, 0], abs=1e-6)
    assert ex_post_regret(rule, view, bids).method.startswith("proof")
    wider = m.TwoStage(view, shown, 3, retrieval=RETRIEVAL, relevance=RELEVANCE)(bids)  # ad 2 passes, too
    assert outcome.allocation[0].tolist() == wider.allocation[0].tolist()
    assert float(wider.payments[0, 2]) == pytest.approx(0.28 / 0.3)  # what it takes to beat ad 2


@pytest.mark.parametrize("bidders", [1, 2, 3, 4])
@pytest.mark.parametrize("passing", [1, 2, 3])
def test_winners_are_those_of_plain_steps(bidders: int, passing: int) -> None:
    generator = torch.Generator().manual_seed(passing)
    retrieval, relevance = (QUARTERS[torch.randint(0, 5, (bidders,), generator=generator)].tolist() for _ in range(2))
    view, shown = isolated([1.0] * bidders, {})
    scores = {"retrieval": torch.tensor(retrieval), "relevance": torch.tensor(relevance)}
    rule = m.TwoStage(view, shown, passing, **scores)
    bids = QUARTERS[torch.randint(0, 5, (200, bidders, 1), generator=generator)]
    allocation = rule(bids).allocation
    for row in range(200):
        wins = winner_of(retrieval, relevance, bids[row, :, 0].tolist(), passing)
        assert int(allocation[row].argmax()) == (0 if wins is None else wins + 1)


@pytest.mark.parametrize("kind", KINDS[:4])
@pytest.mark.parametrize("reserve", [0.0, 0.3])
def test_the_price_is_the_bid_at_which_the_winner_drops_out(kind: str, reserve: float) -> None:
    worths = [0.5, 1.0, 0.25, 0.75]
    rule = rule_of(kind, worths, reserve)
    bids = torch.rand(100, 4, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    outcome = rule(bids)
    shown = outcome.allocation[:, 1:] > 0
    for i in range(4):
        low, high = torch.zeros(100, dtype=F64), bids[:, i, 0]
        for _ in range(50):
            middle = (low + high) / 2
            moved = bids.clone()
            moved[:, i, 0] = middle
            still = rule(moved).allocation[:, 1 + i] > 0
            low, high = torch.where(still, low, middle), torch.where(still, middle, high)
        expected = torch.where(shown[:, i], high * worths[i], 0.0)
        assert torch.allclose(outcome.payments[:, i], expected, rtol=0, atol=1e-12)
    assert bool(shown.any())
    assert bool((outcome.payments <= bids[:, :, 0] * torch.tensor(worths)).all())


def test_the_first_of_equals_wins_at_its_bid_and_zeros_win_nothing() -> None:
    tied = torch.tensor([[[0.5], [0.5]], [[0.0], [0.0]], [[0.0], [0.25]]], dtype=F64)
    for kind in ("second price", "first price"):
        outcome = rule_of(kind, [0.5, 0.5])(tied)
        assert outcome.allocation.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
        assert outcome.payments.tolist() == [[0.25, 0], [0, 0], [0, 0.125 if kind == "first price" else 0]]
    worthless = rule_of("second price", [0.0, 0.5])(torch.tensor([[[1.0], [0.25]]], dtype=F64))
    assert worthless.allocation.tolist() == [[0, 0, 1]]
    assert worthless.payments.tolist() == [[0, 0]]
    coarse = m.TwoStage(*isolated([1.0, 1.0], {}), 1, retrieval=torch.tensor([0.0, 1.0]))
    assert coarse(torch.ones(1, 2, 1, dtype=F64)).allocation.tolist() == [[0, 0, 1]]
    kept = rule_of("first price", [0.5, 0.5], 0.5)(tied)
    assert kept.allocation.tolist() == [[0, 1, 0], [1, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reserve", [0.0, 0.25])
def test_conformance_where_being_shown_is_sold(kind: str, reserve: float) -> None:
    rule = rule_of(kind, [0.5, 1.0, 0.25], reserve)
    truthful = kind != "first price"
    assert (rule.dsic_proof(rule.view) is not None) == truthful
    for check in mechanism_checks(rule, rule.view, dsic=truthful, individually_rational=True, examples=4):
        check()


def test_conformance_elsewhere_claims_no_truth() -> None:
    view = Randomised(shown_list(3, 3, contexts=2))
    for name in ("two-stage", "winner-second-price", "winner-first-price"):
        rule = m.design(name, view, Uniform(0, 1))
        for check in mechanism_checks(rule, view, dsic=False, individually_rational=False, examples=4):
            check()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("contexts", [1, 2])
def test_regret_is_exact_on_any_exposure(kind: str, contexts: int) -> None:
    """No bid of a fine grid gains more than the breakpoints say, on exposures that the rule is not proved about."""
    levels = levels_of(3, 1)
    exposures = torch.where(levels > 0, torch.tensor([0.5, 0.75, 1.0]), 0.375)  # much of it where others are shown
    scales = torch.tensor([1.0, 0.5][:contexts]).view(-1, 1, 1)
    view = Randomised(ShownList(levels, exposures * scales, torch.zeros(contexts, len(levels))))
    shown = showings(view, 0)
    rules: dict[str, ShowingRule] = {
        "second price": m.WinnerSecondPrice(view, shown, 0.25),
        "first price": m.WinnerFirstPrice(view, shown, 0.25),
    }
    retrieval = torch.tensor([0.5, 0.25, 1.0])
    rule = rules.get(kind) or m.TwoStage(view, shown, int(kind.split()[1]), retrieval=retrieval, reserve=0.125)
    values = torch.rand(8, 3, 1, generator=torch.Generator().manual_seed(3), dtype=F64)
    context = torch.arange(8) % 2 if contexts == 2 else None
    found = ex_post_regret(rule, view, values, context=context, high=1.0)
    assert found.method.startswith("exact")
    assert found.upper is not None
    searched = ex_post_regret(rule, view, values, context=context, high=1.0, bounds=BoundSettings(use_structure=False))
    assert bool((searched.lower <= found.upper + 1e-12).all())
    assert float((found.upper - searched.lower).max()) < 2e-2
    assert float(found.upper.max()) > 1e-3


def test_what_is_drawn_costs_the_winner_the_charge() -> None:
    rule = rule_of("passing 2", [0.5, 1.0, 0.25])
    bids = torch.rand(30, 3, 1, generator=torch.Generator().manual_seed(4), dtype=F64)
    outcome = rule(bids)
    drawn = rule.drawn_payments(bids, outcome)
    assert torch.equal((outcome.allocation.unsqueeze(2) * drawn).sum(1), outcome.payments)
    assert float(outcome.payments.max()) > 0.1


@pytest.mark.parametrize("name", ["two-stage", "winner-second-price", "winner-first-price"])
def test_they_are_designed_by_their_knobs_and_come_back_from_files(name: str, tmp_path: Path) -> None:
    view = Randomised(shown_list(5, 3, strengths=2))
    rule = entry(name).designed(Problem(view, Uniform(0, 1), settings={"strength": 1.0, "reserve": 0.25}))
    assert isinstance(rule, ShowingRule)
    assert rule.showings == showings(view, 1)
    if isinstance(rule, m.TwoStage):
        weak, strong = (showings(view, strength).worths(view) for strength in range(2))
        assert torch.equal(rule.scores_of("retrieval", strong), (weak + strong) / 2)
        assert torch.equal(rule.scores_of("relevance", strong), strong)
    m.save_mechanism(rule, tmp_path / "rule")
    bids: Tensor = torch.rand(9, 3, 1, generator=torch.Generator().manual_seed(2))
    for before, after in zip(rule(bids), m.load_mechanism(tmp_path / "rule", view)(bids), strict=True):
        assert torch.equal(before, after)
