"""The linear program of the best honest mechanism against closed forms, the virtual-welfare optimum, and the laws."""

import itertools
import math
from pathlib import Path

import pytest
import torch
from finite_list import FiniteList, quarter_list
from hypothesis import given, settings
from hypothesis import strategies as st
from test_optimum import referee_case
from torch import Tensor

from auctionsim import metrics
from auctionsim.mechanisms import (
    VCG,
    LinearProgram,
    VirtualWelfareMaximizer,
    honest_bound,
    load_mechanism,
    save_mechanism,
)
from auctionsim.mechanisms.honest_program import ProgramSolution, solve
from auctionsim.mechanisms.program_types import Program, own_types
from auctionsim.mechanisms.type_grids import joint, joint_chances, neighbours, type_axis, with_zero
from auctionsim.priors import Beta, Empirical, Exponential, Mixture, Prior, Uniform, product
from auctionsim.regret import BoundSettings, InterimSettings, ex_interim_regret, ex_post_regret
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


def several(opt_out: bool = False, priors: Prior | None = None) -> LinearProgram:
    """Return a rule for two bidders with two features."""
    view = Randomised(quarter_list(3, bidders=2, entries=5, features=2))
    return LinearProgram(view, priors or Uniform(0, 1), 0.25, levels=(3, 2), honest="bayesian", opt_out=opt_out)


SEVERAL = {"uniform": several(), "opt-out": several(True, Uniform(0.5, 2)), "gap": several(priors=IRREGULAR)}


@pytest.mark.parametrize("name", SEVERAL)
def test_favourites_are_as_likely_as_the_menus_suppose(name: str) -> None:
    """What menus promise is what a fine grid of rivals brings, and the least valuation keeps 0."""
    rule = SEVERAL[name]
    levels = (torch.arange(100, dtype=F64) + 0.5) / 100
    menus = rule.favourites(None).menus
    for i, menu in enumerate(menus):
        (rivals,) = [row for j, row in enumerate(rule.priors.marginals) if j != i]
        types = torch.cartesian_prod(*(prior.quantile(levels) for prior in rivals))
        sent = menus[1 - i].of(types)
        for k in set(menu.of(types).tolist()):
            pair = (sent.new_full((), k).expand_as(sent), sent)[:: 1 - 2 * i]
            place = pair[0] * len(menus[1].payments) + pair[1]
            brought = rule.range.exposure(rule.table(None).allocations[place])[:, i].mean(0)
            assert torch.allclose(brought, menu.exposures[k], atol=0.03)
        least = torch.tensor(
            [0.0 if rule.opt_out else prior.support_low for prior in rule.priors.marginals[i]]
        ).double()
        assert float((menu.exposures @ least - menu.payments).max()) == pytest.approx(0, abs=1e-12)
    assert float(rule.favourites(None).residual.max()) < 1e-3


@pytest.mark.parametrize("name", SEVERAL)
def test_no_bid_is_better_than_the_truth_on_average(name: str) -> None:
    rule, prior = SEVERAL[name], SEVERAL[name].priors
    proved = ex_interim_regret(rule, rule.range, prior, draws=64)
    assert proved.method.startswith("proof in expectation")
    assert proved.upper is not None
    assert float(proved.upper.max()) < 5e-3
    few = InterimSettings(use_structure=False, types=12, budget=64)
    searched = ex_interim_regret(rule, rule.range, prior, draws=1024, settings=few)
    assert searched.interval is not None
    assert searched.interval.low <= 0
    assert rule.bic_proof(rule.range, Uniform(0, 3)) is None  # for other rivals nothing is claimed
    assert rule.dsic_proof(rule.range) is None


def test_one_feature_on_average_is_proved_without_an_error() -> None:
    rule = LinearProgram(Items(2), Uniform(0, 1), levels=6, honest="bayesian")
    proof = rule.bic_proof(Items(2), Uniform(0, 1))
    assert proof is not None
    assert float(proof.residual.max()) == 0
    bids = torch.tensor([[[0.9], [0.1]], [[0.9], [0.8]]], dtype=F64)
    assert float(rule(bids).payments[:, 0].diff()) == 0  # what it pays depends on its own bid alone
    brought = earned(rule, Items(2), *_cells_of(rule))
    assert brought == pytest.approx(
        earned(LinearProgram(Items(2), Uniform(0, 1), levels=6), Items(2), *_cells_of(rule))
    )


def _cells_of(rule: LinearProgram) -> tuple[Tensor, Tensor]:
    axes = [row[0] for row in rule.axes]
    values = torch.cartesian_prod(*(axis.lows for axis in axes)).view(-1, len(axes), 1)
    return values, torch.cartesian_prod(*(axis.chances for axis in axes)).view(-1, len(axes)).prod(1)


def test_several_features_stay_below_the_bound_and_come_near_it() -> None:
    rule = SEVERAL["uniform"]
    fine = torch.rand(20_000, 2, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    brought = earned(rule, rule.range, fine, torch.full((20_000,), 1 / 20_000, dtype=F64))
    upper = honest_bound(rule.range, Uniform(0, 1), 0.25, levels=(5, 5), honest="bayesian").upper
    assert 0.65 * upper < brought < upper
    vcg = VCG(rule.range, 0.25)(fine)
    assert brought > float((vcg.payments.sum(1) - 0.25 * rule.range.user_loss(vcg.allocation)).mean())


@pytest.mark.parametrize(
    "rule", [SEVERAL["gap"], RULES["menu"], RULES["lots in contexts"]], ids=["gap", "menu", "lots"]
)
def test_files_hold_menus_and_tables(rule: LinearProgram, tmp_path: Path, generator: torch.Generator) -> None:
    save_mechanism(rule, tmp_path / "rule")
    loaded = load_mechanism(tmp_path / "rule", rule.range)
    assert isinstance(loaded, LinearProgram)
    bids = 3 * torch.rand(50, *rule.priors.high.shape, generator=generator, dtype=F64)
    for before, after in zip(rule(bids), loaded(bids), strict=True):
        assert torch.equal(before, after)
    assert repr(loaded) == repr(rule)
    if rule.takes_favourites:
        assert torch.equal(loaded.favourites(None).residual, rule.favourites(None).residual)


def test_what_cannot_be_done_is_refused() -> None:
    listed = quarter_list(3, bidders=2, entries=4, features=2)
    for where, honest in ((listed, "bayesian"), (Randomised(listed), "dominant")):
        with pytest.raises(NotImplementedError, match="2 bidders with 2 features need honest"):
            LinearProgram(where, Uniform(0, 1), honest=honest)
    with pytest.raises(NotImplementedError, match="menus of expected exposures"):
        RULES["items"].favourites(None)
    with pytest.raises(ValueError, match="one for each of 2 features"):
        honest_bound(listed, Uniform(0, 1), levels=(2, 2, 2))
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
