"""VCG charged by what was delivered, and VCG on estimates: what a misreport gains."""

from pathlib import Path

import pytest
import torch
from finite_list import FiniteList
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from auctionsim.mechanisms import VCG, DeliveredVCG, load_mechanism, save_mechanism
from auctionsim.metrics import utility
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import Items, Lottery, Randomised
from auctionsim.testing import check_mechanism

F64 = torch.float64


def two_lists(seed: int, bidders: int, entries: int, error: float = 1.0) -> tuple[Randomised, Randomised]:
    """Return estimates and what is delivered, on one range; exposures differ by at most `error`."""
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> Tensor:
        return torch.rand(1, entries, *shape, generator=generator, dtype=F64)

    truth, losses = 1 + numbers(bidders, 1), numbers()
    guess = truth + error * (2 * numbers(bidders, 1) - 1)
    return Randomised(FiniteList(guess.clamp_min(0), losses)), Randomised(FiniteList(truth, numbers()))


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 5), st.booleans())
def test_a_misreport_gains_what_delivered_welfare_gains(seed: int, bidders: int, entries: int, weighted: bool) -> None:
    estimates, truth = two_lists(seed, bidders, entries)
    generator = torch.Generator().manual_seed(seed + 1)
    values, lies = (torch.rand(6, bidders, 1, generator=generator, dtype=F64) for _ in range(2))
    weights = 0.5 + torch.rand(bidders, generator=generator, dtype=F64) if weighted else torch.ones(bidders, dtype=F64)
    user_weight = 0.3
    rule = DeliveredVCG(estimates, user_weight, weights).delivered(truth)
    honest = rule(values)

    def welfare(allocation: Tensor) -> Tensor:
        value = (weights.view(1, -1, 1) * values * truth.exposure(allocation)).sum((1, 2))
        return value - user_weight * truth.user_loss(allocation)

    for i in range(bidders):
        bids = values.clone()
        bids[:, i] = lies[:, i]
        told = rule(bids)
        gain = (utility(told, truth, values) - utility(honest, truth, values))[:, i]
        social = (welfare(told.allocation) - welfare(honest.allocation)) / weights[i]
        torch.testing.assert_close(gain, social, atol=1e-12, rtol=0)


def test_it_is_not_individually_rational_where_estimates_err() -> None:
    """The first is estimated to be named by a reply that then names nobody: it pays for what it did not get."""
    null = [[0.0], [0.0]]
    estimates = Lottery(
        torch.tensor([null, [[1.0], [0.0]], [[0.0], [0.75]]]), torch.zeros(3), torch.tensor([1.0, 0, 0])
    )
    truth = Lottery(torch.tensor([null, [[0.0], [0.0]], [[0.0], [0.75]]]), torch.zeros(3), torch.tensor([1.0, 0, 0]))
    values = torch.tensor([[[1.0], [1.0]]], dtype=F64)
    rule = DeliveredVCG(estimates).delivered(truth)
    outcome = rule(values)
    assert outcome.allocation[0].tolist() == [0, 1, 0]
    assert outcome.payments[0].tolist() == [0.75, 1.0]
    assert utility(outcome, truth, values)[0].tolist() == [-0.75, -1.0]
    assert rule.dsic_proof(truth) is None
    assert rule.dsic_proof(estimates) is None
    found = ex_post_regret(rule, truth, values)
    assert found.lower[0].tolist() == [0.75, 0.75]  # what delivered welfare gains where either has the third chosen


def test_charges_may_be_negative() -> None:
    """The others got more than the estimates hoped for: whoever brought that about is paid."""
    estimates = Lottery(torch.tensor([[[0.0], [0.0]], [[1.0], [0.0]]]), torch.zeros(2), torch.tensor([1.0, 0.0]))
    truth = Lottery(torch.tensor([[[0.0], [0.0]], [[1.0], [0.5]]]), torch.zeros(2), torch.tensor([1.0, 0.0]))
    outcome = DeliveredVCG(estimates).delivered(truth)(torch.ones(1, 2, 1, dtype=F64))
    assert outcome.payments[0].tolist() == [-0.5, 0.0]


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 5))
def test_its_regret_is_exact_by_breakpoints_and_no_search_finds_more(seed: int, bidders: int, entries: int) -> None:
    estimates, truth = two_lists(seed, bidders, entries)
    weights = 0.5 + torch.rand(bidders, generator=torch.Generator().manual_seed(seed), dtype=F64)
    rule = DeliveredVCG(estimates, 0.3, weights).delivered(truth)
    values = torch.rand(4, bidders, 1, generator=torch.Generator().manual_seed(seed), dtype=F64)
    exact = ex_post_regret(rule, truth, values, high=1.0)
    assert exact.upper is not None
    assert torch.equal(exact.upper, exact.lower)
    searched = ex_post_regret(rule, truth, values, high=1.0, bounds=BoundSettings(use_structure=False))
    assert bool((searched.lower <= exact.upper + 1e-12).all())


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 5))
def test_on_its_own_estimates_it_is_vcg(seed: int, bidders: int, entries: int) -> None:
    estimates, _ = two_lists(seed, bidders, entries)
    bids = torch.rand(7, bidders, 1, generator=torch.Generator().manual_seed(seed), dtype=F64)
    for rule in (DeliveredVCG(estimates, 0.5), DeliveredVCG(estimates, 0.5).delivered(estimates)):
        for ours, theirs in zip(rule(bids), VCG(estimates, 0.5)(bids), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)
        assert rule.dsic_proof(estimates) is not None


def test_it_conforms_where_estimates_are_delivered() -> None:
    estimates, truth = two_lists(3, 2, 4)
    weights = torch.tensor([1.0, 0.5])
    check_mechanism(
        DeliveredVCG(estimates, 0.25, weights), estimates, dsic=True, individually_rational=True, examples=4
    )
    skip = ("payments_nonnegative",)
    rule = DeliveredVCG(estimates, 0.25).delivered(truth)
    check_mechanism(rule, truth, dsic=False, individually_rational=False, skip=skip, examples=4)
    perfect = DeliveredVCG(truth, 0.25).delivered(truth)
    check_mechanism(perfect, truth, dsic=True, individually_rational=True, examples=4)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(2, 5), st.sampled_from([0.01, 0.1, 0.5]))
def test_vcg_charged_on_estimates_leaves_at_most_twice_the_error_to_gain(
    seed: int, bidders: int, entries: int, error: float
) -> None:
    """|ê − e| ≤ ε on the range: whoever lies gains at most 2 ε v_i. With delivered charges no such bound is needed."""
    estimates, truth = two_lists(seed, bidders, entries, error)
    off = float((estimates.exposures - truth.exposures).abs().max())
    assert off <= error
    generator = torch.Generator().manual_seed(seed + 1)
    values, lies = (torch.rand(32, bidders, 1, generator=generator, dtype=F64) for _ in range(2))
    rule = VCG(estimates, 0.2)
    honest = utility(rule(values), truth, values)
    for i in range(bidders):
        bids = values.clone()
        bids[:, i] = 2 * lies[:, i]
        gain = (utility(rule(bids), truth, values) - honest)[:, i]
        assert bool((gain <= 2 * off * values[:, i, 0] + 1e-12).all())


def test_the_bound_of_vcg_on_estimates_is_reached() -> None:
    """Two entries whose exposures are estimated ε too high and ε too low: a lie gains 2 ε v − a hair."""
    estimates = Lottery(torch.tensor([[[0.5]], [[0.499]]]), torch.zeros(2), torch.tensor([0.0, 1.0]))
    truth = Lottery(torch.tensor([[[0.4]], [[0.599]]]), torch.zeros(2), torch.tensor([0.0, 1.0]))
    value = torch.ones(1, 1, 1, dtype=F64)
    found = ex_post_regret(VCG(estimates), truth, value)
    assert found.max == pytest.approx(0.2 - 0.001, abs=1e-6)  # by a bid of 0, which leaves the reference


def test_what_does_not_fit_is_refused_and_files_keep_weights(tmp_path: Path) -> None:
    estimates, truth = two_lists(0, 2, 3)
    with pytest.raises(ValueError, match="weights must be 2 positive numbers"):
        DeliveredVCG(estimates, weights=torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match="must fit the estimates"):
        DeliveredVCG(estimates).delivered(Items(2))
    rule = DeliveredVCG(estimates, 0.25, torch.tensor([1.0, 0.5]))
    save_mechanism(rule, tmp_path / "rule")
    loaded = load_mechanism(tmp_path / "rule", estimates)
    bids = torch.rand(5, 2, 1, dtype=F64)
    assert torch.equal(loaded(bids).payments, rule(bids).payments)
    with pytest.raises(TypeError, match="file form where the estimates are what is delivered"):
        save_mechanism(rule.delivered(truth), tmp_path / "other")
