"""The scorer: rows against hand-made numbers, paired errors, what a regret is, and the same profiles for everybody."""

import math

import pytest
import torch
from measured_fakes import CONTEXTS, fake_surface
from torch import Tensor

from auctionsim import metrics
from auctionsim.mechanisms import VCG, FirstPrice, Mechanism, Menu, MenuAuction, PayAsBid, SecondPrice, design
from auctionsim.outcome import Outcome
from auctionsim.priors import Uniform
from auctionsim.scoring import ScoringSettings, case_of, compare, draw_profiles, largest_bid, score, tidy, trade_off
from auctionsim.scoring.records import EXACT, LOWER_BOUND, PROVED
from auctionsim.scoring.scorer import share_of
from auctionsim.substrates import Items, QuadraticSubstrate

PRIOR = Uniform(0, 1)
FEW = ScoringSettings(draws=64, regret_draws=8, regret_budget=32)

OFFERS = Menu(torch.tensor([[[0.5], [1.0]], [[0.25], [0.75]]]), torch.tensor([[0.1, 0.3], [0.05, 0.25]]))


class Fee(Mechanism):
    """Leave everything untouched and charge a tenth, more than what exposure is worth to some."""

    def __init__(self) -> None:
        super().__init__(2, 1, QuadraticSubstrate(2))

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        del context
        return Outcome(bids.new_zeros(len(bids), 2, 1), torch.full_like(bids[..., 0], 0.1))


def test_a_row_is_the_means_of_the_metrics() -> None:
    view = fake_surface(2).sell("slot_probability").replicate("B")
    rule = PayAsBid(view, 0.5)
    case = case_of(view, PRIOR, 0.5, FEW, seed=3)
    row = score("pay as bid", rule, case, recipe="quick")
    outcome = rule(*case.profiles)
    for name in ("revenue", "welfare", "user_loss"):
        samples = getattr(metrics, name)(outcome, view, *case.profiles)
        assert getattr(row, name) == (float(samples.mean()), float(samples.std() / 8), 64)
    assert row.objective.mean == pytest.approx(row.revenue.mean - 0.5 * row.user_loss.mean)
    assert row.bidder_utility.mean == pytest.approx(row.welfare.mean - row.revenue.mean)
    assert (row.replicate, row.user_weight, row.titled) == ("B", 0.5, "pay as bid, quick recipe")
    assert row.regret.n == 8
    assert row.objective_ir is None  # truth earns exactly 0
    assert row.objective_best_response is not None
    assert row.objective_best_response < row.objective.mean  # bidders shade


def test_what_a_regret_is() -> None:
    items = case_of(Items(2), PRIOR, 0.0, FEW, seed=0)
    assert score("second", SecondPrice(), items).regret_is == PROVED
    assert score("first", FirstPrice(), items).regret_is == LOWER_BOUND  # searched
    crossed = case_of(QuadraticSubstrate(2, 0.5), PRIOR, 0.0, FEW, seed=0)
    menu = score("menu", MenuAuction(QuadraticSubstrate(2, 0.5), OFFERS), crossed)
    assert menu.regret_is == EXACT  # every breakpoint of a fixed menu
    assert menu.regret_is_exact
    assert menu.regret.mean > 0
    other = VCG(QuadraticSubstrate(2, 0.5))  # proved where it was designed, searched elsewhere
    here = case_of(QuadraticSubstrate(2, 0.2), PRIOR, 0.0, FEW, seed=0)
    found = score("VCG of elsewhere", other, here)
    assert found.regret_is == LOWER_BOUND
    assert not found.regret_is_exact
    assert score("VCG", VCG(QuadraticSubstrate(2, 0.2)), here).regret_is == PROVED


def test_the_yardstick_is_its_own_share_without_error_and_ratios_are_paired() -> None:
    case = case_of(Items(2), PRIOR, 0.0, ScoringSettings(2048, 2, 2), seed=0)
    row = score("optimum", design("optimum", Items(2), PRIOR), case)
    assert row.objective_share is not None
    assert row.objective_share[:2] == (1.0, 0.0)
    second = score("second", SecondPrice(), case).objective_share
    assert second is not None
    assert second.standard_error is not None
    assert abs(second.mean - 0.8) < 4 * second.standard_error  # 1/3 of 5/12
    optimum = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
    assert share_of(0.5 * optimum, optimum) == (0.5, 0.0, 4)  # half of it in every profile: nothing to be unsure of
    by_hand = share_of(torch.tensor([2.0, 2.0, 2.0, 0.0], dtype=torch.float64), optimum)
    assert by_hand is not None
    residuals = torch.tensor([1.5, 1.0, 0.5, -3.0]).double() / 3
    assert by_hand[:2] == pytest.approx((0.5, float(residuals.std()) / 2))
    assert share_of(optimum, torch.zeros(4)) is None


def test_more_features_than_one_have_no_yardstick() -> None:
    row = score("VCG", VCG(Items(2, 2)), case_of(Items(2, 2), PRIOR, 0.0, FEW, seed=0))
    assert row.objective_share is None
    assert tidy([row])[0]["objective_share_standard_error"] is None
    assert row.revenue.mean > 0


def test_payments_are_cut_where_a_bidder_loses() -> None:
    row = score("fee", Fee(), case_of(QuadraticSubstrate(2), PRIOR, 1.0, FEW, seed=0))
    assert row.revenue.mean == pytest.approx(0.2)
    assert row.ir_violation.mean == pytest.approx(0.1)
    assert row.participation_gain.mean == pytest.approx(-0.1)
    assert row.objective_ir == pytest.approx(0.0)  # nothing is worth anything there
    assert row.objective_best_response is None  # no lie changes it


def test_profiles_are_the_same_for_everybody_and_contexts_may_be_withheld() -> None:
    view = fake_surface(2).sell("hits")
    drawn, again = (draw_profiles(view, PRIOR, 500, 1) for _ in range(2))
    assert drawn.context is not None
    assert again.context is not None
    assert torch.equal(drawn.valuations, again.valuations)
    assert torch.equal(drawn.context, again.context)
    assert set(drawn.context.tolist()) == set(range(len(CONTEXTS)))
    some = draw_profiles(view, PRIOR, 500, 1, contexts=(2, 0)).context
    assert some is not None
    assert set(some.tolist()) == {0, 2}
    assert draw_profiles(view, PRIOR, 4, 1, contexts=()).context is None
    assert draw_profiles(Items(2), PRIOR, 4, 1).context is None
    assert not torch.equal(draw_profiles(view, PRIOR, 500, 2).valuations, drawn.valuations)
    first = drawn.first(3)
    assert first.context is not None
    assert len(first.valuations) == len(first.context) == 3
    assert largest_bid(view, [Uniform(0, 1), Uniform(0, 2.5)]) == 2.5


def test_both_replicates_pay_for_the_same_profiles() -> None:
    surface = fake_surface(2).sell("slot_probability")
    rules = {"VCG": VCG(surface, 0.5), "optimum": design("optimum", surface, PRIOR, 0.5)}
    ticks: list[int] = []
    how = {"recipes": {"optimum": "quick"}, "progress": lambda: ticks.append(1)}
    rows = compare(rules, surface, PRIOR, 0.5, FEW, seed=0, **how)  # type: ignore[arg-type]
    assert [(row.mechanism, row.replicate) for row in rows] == [(n, r) for r in "AB" for n in rules]
    assert [row.recipe for row in rows] == ["", "quick"] * 2
    assert len(ticks) == 4
    assert [row.regret_is for row in rows[:2]] == [PROVED, PROVED]
    assert PROVED not in {row.regret_is for row in rows[2:]}  # B is not where they were designed
    points = trade_off(rules, surface, PRIOR, 0.5, seed=0, draws=FEW.draws)
    for row, point in zip(rows, points, strict=True):
        assert point.revenue == row.revenue.mean
        assert point.user_loss == row.user_loss.mean
        assert point.objective == pytest.approx(row.objective.mean)
        assert row.objective_share is not None
        assert point.objective / point.optimum == pytest.approx(row.objective_share.mean)
    flat = tidy(rows)
    assert flat[0]["revenue_draws"] == 64
    assert flat[0]["objective_share_draws"] == 64
    assert math.isclose(flat[0]["revenue"], rows[0].revenue.mean)


def test_settings_that_say_nothing_are_refused() -> None:
    for bad in ({"draws": 1}, {"regret_draws": 0}, {"regret_budget": 0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            ScoringSettings(**bad)
    with pytest.raises(ValueError, match="user_weight"):
        case_of(Items(2), PRIOR, -1.0, FEW, seed=0)
