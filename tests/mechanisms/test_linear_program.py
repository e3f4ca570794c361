"""The linear program of the best honest mechanism against closed forms, the virtual-welfare optimum, and the laws."""

import itertools
import math

import pytest
import torch
from finite_list import FiniteList, quarter_list
from hypothesis import given, settings
from hypothesis import strategies as st
from test_optimum import referee_case
from torch import Tensor

from auctionsim import metrics
from auctionsim.mechanisms import LinearProgram, VirtualWelfareMaximizer, honest_bound
from auctionsim.mechanisms.honest_program import ProgramSolution, solve
from auctionsim.mechanisms.program_types import Program, own_types
from auctionsim.mechanisms.type_grids import joint, joint_chances, neighbours, type_axis, with_zero
from auctionsim.priors import Beta, Empirical, Exponential, Mixture, Prior, Uniform, product
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import Items, Lottery, QuadraticSubstrate, Randomised, Substrate
from auctionsim.testing import check_mechanism

F64 = torch.float64
SEARCHED = BoundSettings(use_structure=False)
TWO_ITEMS_BEST = (12 + 2 * math.sqrt(2)) / 27


def both_items() -> Lottery:
    """Return two items for one bidder, additive: neither, one, the other, both."""
    given_ = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2)), dtype=F64)
    return Lottery(given_.unsqueeze(1), torch.zeros(4, dtype=F64), torch.tensor([1.0, 0.0, 0.0, 0.0]))


def two_items(levels: int, *, up: bool, long_range: int = 1 << 14) -> ProgramSolution:
    """Solve one bidder, two items, U[0, 1] each, types rounded up or down."""
    axis = type_axis(Uniform(0, 1), levels)
    types = own_types(
        joint([axis.highs if up else axis.lows] * 2), joint_chances([axis] * 2), neighbours([levels, levels])
    )
    listed = both_items()
    return solve(Program([types], listed.exposures, listed.user_losses, 0.0, False), long_range=long_range)


@pytest.mark.parametrize(("levels", "value"), [(4, 1 / 2), (6, 37 / 72), (10, 0.531), (20, 0.539375)])
def test_two_items_with_types_rounded_down(levels: int, value: float) -> None:
    """One bidder, U[0, 1]², additive, from below; the limit is (12 + 2√2)/27: Manelli and Vincent (2006)."""
    assert two_items(levels, up=False).objective == pytest.approx(value, abs=1e-9)
    assert value < TWO_ITEMS_BEST


@pytest.mark.parametrize(("levels", "value"), [(4, 13 / 16), (6, 13 / 18), (10, 0.652)])
def test_two_items_with_types_rounded_up(levels: int, value: float) -> None:
    """From above; the bound that is proved for any prior is nearer."""
    assert two_items(levels, up=True).objective == pytest.approx(value, abs=1e-9)
    bound = honest_bound(both_items(), Uniform(0, 1), levels=levels)
    assert TWO_ITEMS_BEST < bound.upper < value


@pytest.mark.parametrize("up", [False, True])
def test_pricing_entries_in_changes_nothing(up: bool) -> None:
    whole, lazy = (two_items(6, up=up, long_range=size) for size in (1 << 14, 0))
    assert lazy.rounds > whole.rounds
    assert lazy.objective == pytest.approx(whole.objective, abs=1e-9)
    assert whole.objective <= lazy.at_most + 1e-12 < whole.objective + 1e-6


def earned(rule: LinearProgram, view: Substrate, valuations: Tensor, chances: Tensor) -> float:
    """Return E[Σ t − λ L] over listed profiles."""
    outcome = rule(valuations)
    brought = outcome.payments.sum(1) - rule.user_weight * view.user_loss(outcome.allocation)
    return float((chances * brought).sum())


def agrees(seed: int) -> bool:
    """Tell whether program, either honesty, and virtual-welfare optimum have one value, and the bound is above."""
    substrate, bidders, user_weight = referee_case(seed)
    priors = [Empirical(one.values, one.chances) for one in bidders]
    best = VirtualWelfareMaximizer(substrate, priors, user_weight).optimum().objective
    listed = product(priors, 2).profiles(36)
    assert listed is not None
    view = Randomised(substrate)
    brought = [
        earned(LinearProgram(where, priors, user_weight, levels=6, honest=honest), where, *listed)
        for where in (substrate, view)
        for honest in ("dominant", "bayesian")
    ]
    bounds = [honest_bound(view, priors, user_weight, levels=levels).upper for levels in (6, 3)]
    close = 1e-6 * max(1.0, abs(best))
    return all(abs(one - best) <= close for one in brought) and min(bounds) >= best - close


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_virtual_welfare_optimum_of_finitely_many_types(seed: int) -> None:
    assert agrees(seed)


@pytest.mark.deep
def test_it_is_the_virtual_welfare_optimum_on_a_hundred_substrates() -> None:
    assert [seed for seed in range(100, 200) if not agrees(seed)] == []


IRREGULAR = Mixture([Uniform(0, 1), Uniform(2, 3)], [0.7, 0.3])


@pytest.mark.parametrize("prior", [Uniform(0, 1), IRREGULAR, Exponential(1.0)], ids=repr)
@pytest.mark.parametrize("bidders", [1, 2])
def test_one_item_lies_between_what_is_attained_and_the_bound(prior: Prior, bidders: int) -> None:
    """Myerson's revenue; the two ends approach it as cells shrink, regular or not."""
    levels_of_the_best = ((torch.arange(50_000, dtype=F64) + 0.5) / 50_000) ** (1 / bidders)
    best = float(prior.virtual_value(prior.quantile(levels_of_the_best)).clamp_min(0).mean())  # 1 item, alike bidders
    gaps = []
    for levels in (6, 18):
        rule = LinearProgram(Items(bidders), prior, levels=levels)
        cells = [row[0] for row in rule.axes]
        middles = torch.cartesian_prod(*(axis.within[:, len(axis.within[0]) // 2] for axis in cells))
        chances = torch.cartesian_prod(*(axis.chances for axis in cells)).view(-1, bidders).prod(1)
        attained = earned(rule, Items(bidders), middles.view(-1, bidders, 1), chances)
        upper = honest_bound(Items(bidders), prior, levels=levels).upper
        assert attained <= best + 1e-4
        assert best <= upper + 1e-4
        gaps.append((upper - attained) / best)
    assert gaps[1] < 0.5 * gaps[0]


def test_what_is_attained_on_uniform_types() -> None:
    """One bidder, N even: a price of ½ sells to half. Types in a cell are served alike, so nothing is lost."""
    rule = LinearProgram(Items(1), Uniform(0, 1), levels=8)
    bids = torch.tensor([[[0.49]], [[0.5]], [[3.0]]], dtype=F64)
    assert rule(bids).payments.flatten().tolist() == [0.0, 0.5, 0.5]
    assert float(rule.table(None).payments.mean()) == pytest.approx(0.25, abs=1e-12)


MIXED = Randomised(quarter_list(7, bidders=2, entries=5, contexts=2))
ONE_BIDDER = Randomised(quarter_list(11, bidders=1, entries=6, features=2))
RULES = {
    "items": LinearProgram(Items(3), Uniform(0, 1), levels=4),
    "lots in contexts": LinearProgram(MIXED, [Uniform(0, 1), IRREGULAR], 0.25, levels=5),
    "sure, opt-out": LinearProgram(quarter_list(4, bidders=2, entries=6), Uniform(1, 2), 0.25, levels=4, opt_out=True),
    "menu": LinearProgram(ONE_BIDDER, Uniform(0, 1), 0.5, levels=4),
    "menu, opt-out": LinearProgram(both_items(), Uniform(1, 2), levels=3, opt_out=True),
}


@pytest.mark.parametrize("name", RULES)
def test_the_laws_hold_for_bids_anywhere(name: str) -> None:
    """With several features somebody may be paid to take what another wants the other way round."""
    rule, skip = RULES[name], ["payments_nonnegative"] * name.startswith("menu")
    check_mechanism(rule, rule.range, dsic=True, individually_rational=True, skip=skip, examples=4)


@pytest.mark.parametrize("name", RULES)
def test_no_misreport_gains(name: str, generator: torch.Generator) -> None:
    rule = RULES[name]
    v = 1.5 * rule.priors.high.max() * torch.rand(20, *rule.priors.high.shape, generator=generator, dtype=F64)
    searched = ex_post_regret(rule, rule.range, v, bounds=SEARCHED, budget=128)
    assert searched.max <= 1e-9
    assert ex_post_regret(rule, rule.range, v).method.startswith("proof")


def test_paid_elsewhere_the_breakpoints_are_the_cells(generator: torch.Generator) -> None:
    here, there = (quarter_list(seed, bidders=2, entries=6) for seed in (3, 4))
    rule = LinearProgram(here, Uniform(0, 1), 0.25, levels=5)
    v = torch.rand(20, 2, 1, generator=generator, dtype=F64)
    exact = ex_post_regret(rule, there, v)
    assert exact.method.startswith("exact")
    assert exact.upper is not None
    searched = ex_post_regret(rule, there, v, bounds=SEARCHED, budget=256)
    assert bool((exact.upper >= searched.lower - 1e-9).all())
    assert exact.mean > 0


def test_a_menu_of_several_features_gives_ties_to_the_seller() -> None:
    """Types that are a grid: the deployed menu earns the program's value on them, and its share of the limit on U."""
    rule = LinearProgram(both_items(), Uniform(0, 1), levels=10)
    (axes,) = rule.axes
    types = joint([axis.lows for axis in axes]).unsqueeze(1)
    assert earned(rule, both_items(), types, joint_chances(axes)) == pytest.approx(0.531, abs=1e-6)
    fine = (torch.arange(200, dtype=F64) + 0.5) / 200
    everybody = torch.cartesian_prod(fine, fine).unsqueeze(1)
    brought = float(rule(everybody).payments.mean())
    assert 0.95 * TWO_ITEMS_BEST < brought <= TWO_ITEMS_BEST + 1e-3


def test_opting_out_is_free_and_costs_the_seller_what_cannot_be_withheld() -> None:
    """Nobody can be kept from .5 of a unit: U[1, 2] pays for all of it, or for what lies above."""
    shown = FiniteList(torch.tensor([[[[0.5]], [[1.0]]]]), torch.zeros(1, 2))
    bound, free = (LinearProgram(shown, Uniform(1, 2), levels=4, opt_out=out) for out in (False, True))
    bids = torch.tensor([[[0.0]], [[1.0]]], dtype=F64)
    assert bound(bids).payments.flatten().tolist() == [1.0, 1.0]
    assert free(bids).payments.flatten().tolist() == [0.0, 0.5]
    assert float(metrics.ir_violation(free(bids), shown, bids).max()) == 0


def test_contexts_are_programs_of_their_own() -> None:
    listed = quarter_list(7, bidders=2, entries=5, contexts=2)
    rule = LinearProgram(MIXED, [Uniform(0, 1), IRREGULAR], 0.25, levels=5)
    for context in (0, 1):
        alone = Randomised(FiniteList(listed.exposures[context, None], listed.losses[context, None]))
        other = LinearProgram(alone, [Uniform(0, 1), IRREGULAR], 0.25, levels=5)
        assert torch.allclose(rule.table(context).payments, other.table(None).payments, atol=1e-8)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(2, 12), st.sampled_from([Uniform(1, 3), IRREGULAR, Exponential(2.0)]))
def test_cells_cover_the_prior(seed: int, levels: int, prior: Prior) -> None:
    axis = type_axis(prior, levels)
    assert float(axis.chances.sum()) == pytest.approx(1)
    assert len(axis.chances) <= levels
    v = prior.sample((200,), torch.Generator().manual_seed(seed), F64)
    cell = axis.rounded(v)
    assert bool(((axis.lows[cell] <= v) & (v <= axis.highs[cell])).all())
    assert bool((axis.within.diff(dim=1) >= 0).all())
    zero = with_zero(axis)
    assert float(zero.lows[0]) == 0
    assert float(zero.chances.sum()) == pytest.approx(1)


def test_a_list_of_values_is_its_own_grid() -> None:
    prior = Empirical([0.25, 1.0, 2.0], [1.0, 2.0, 1.0])
    axis = type_axis(prior, 3)
    assert axis.lows.tolist() == axis.highs.tolist() == [0.25, 1.0, 2.0]
    assert axis.chances.tolist() == [0.25, 0.5, 0.25]
    coarse = type_axis(prior, 2)
    assert len(coarse.lows) == 2
    assert float(coarse.chances.sum()) == 1


def test_what_cannot_be_done_is_refused() -> None:
    listed = quarter_list(3, bidders=2, entries=4, features=2)
    with pytest.raises(NotImplementedError, match="2 bidders and 2 features"):
        LinearProgram(listed, Uniform(0, 1))
    with pytest.raises(ValueError, match="levels"):
        LinearProgram(Items(2), Uniform(0, 1), levels=1)
    with pytest.raises(ValueError, match="16384 profiles"):
        LinearProgram(Items(3), Uniform(0, 1), levels=64)
    with pytest.raises((ValueError, TypeError), match="honest"):
        LinearProgram(Items(2), Uniform(0, 1), honest="never")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no finite range"):
        LinearProgram(QuadraticSubstrate(2), Uniform(0, 1))
    with pytest.raises(ValueError, match="context must index 0"):
        honest_bound(Items(2), Uniform(0, 1), context=1)
    lots = LinearProgram(quarter_list(1, bidders=1, entries=6, features=2), Beta(1, 2), 0.25, levels=5)
    with pytest.raises(NotImplementedError, match="Randomised"):
        lots.table(None)
