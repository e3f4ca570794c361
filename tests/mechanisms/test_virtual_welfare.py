"""The virtual-welfare maximiser: Myerson's closed forms, and truthfulness by brute force."""

import pytest
import torch
from finite_list import FiniteList, quarter_list
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from auctionsim.mechanisms import SecondPrice, VirtualWelfareMaximizer
from auctionsim.mechanisms import virtual_choice as module
from auctionsim.mechanisms.virtual_welfare import BelowSupport
from auctionsim.priors import Beta, Empirical, Exponential, Mixture, Prior, TruncatedNormal, Uniform
from auctionsim.substrates import Items, QuadraticSubstrate, Substrate

UNIT = Uniform(0, 1)
SCARCE = Mixture([TruncatedNormal(0.25, 0.05, 0.0, 1.0), TruncatedNormal(0.8, 0.05, 0.0, 1.0)], [0.7, 0.3])
QUARTERS = Empirical([0.25, 0.5, 0.5, 0.75, 1.0, 1.0])
COARSE_BIMODAL = Empirical([0.25, 0.25, 0.25, 0.5, 1.25, 1.5])
PRIORS = [UNIT, Uniform(1, 2), Exponential(0.5), Beta(2, 5), SCARCE, QUARTERS, Empirical([0.0, 1.0, 1.0, 1.0, 3.0])]


def grid(bidders: int, highest: int = 8, dtype: torch.dtype = torch.float64) -> Tensor:
    """All bid profiles in quarters up to highest/4."""
    axis = torch.arange(highest + 1, dtype=dtype) / 4
    return torch.cartesian_prod(*[axis] * bidders).view(-1, bidders, 1)


@pytest.mark.parametrize("bidders", [1, 2, 3])
def test_uniform_items_are_a_second_price_auction_with_reserve_one_half(
    bidders: int, generator: torch.Generator
) -> None:
    bids = torch.rand(500, bidders, 1, generator=generator, dtype=torch.float64)
    ours, classical = VirtualWelfareMaximizer(Items(bidders), UNIT)(bids), SecondPrice(reserve=0.5)(bids)
    assert torch.equal(ours.allocation, classical.allocation)
    assert torch.allclose(ours.payments, classical.payments, atol=1e-12)


def test_revenue_of_known_auctions() -> None:
    for bidders, expected in [(1, 1 / 4), (2, 5 / 12), (3, 17 / 32)]:
        rule = VirtualWelfareMaximizer(Items(bidders), UNIT)
        coarse, fine = (rule.optimum(nodes=nodes).objective for nodes in (40, 80))
        assert (4 * fine - coarse) / 3 == pytest.approx(expected, abs=1e-6)
    assert VirtualWelfareMaximizer(Items(1), Uniform(1, 2)).optimum(nodes=100).objective == pytest.approx(1, abs=1e-9)
    assert VirtualWelfareMaximizer(Items(1), Uniform(2, 3)).optimum(nodes=100).objective == pytest.approx(2, abs=1e-9)
    sampled = VirtualWelfareMaximizer(Items(3), Exponential(3.0)).optimum(
        draws=2**18, generator=torch.Generator().manual_seed(0)
    )
    assert sampled.interval is not None
    low, high = sampled.interval
    assert low < 2.751693 < high
    assert high - low < 0.03


def test_asymmetric_thresholds_map_back() -> None:
    # Myerson's asymmetric example: bidder 0 U[0,1], bidder 1 U[0,2]; bidder 1 wins iff 2 b_1 − 2 > max(2 b_0 − 1, 0)
    # and pays max(b_0 + 1/2, 1).
    rule = VirtualWelfareMaximizer(Items(2), [UNIT, Uniform(0, 2)])
    bids = torch.tensor([[[0.8], [1.4]], [[0.8], [1.2]], [[0.2], [1.1]], [[0.2], [0.9]]], dtype=torch.float64)
    expected = torch.tensor([[0.0, 1.3], [0.7, 0.0], [0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(rule(bids).payments, expected, atol=1e-12)


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_the_separable_neuron_auction(weight: float) -> None:
    substrate = QuadraticSubstrate(2)
    rule = VirtualWelfareMaximizer(substrate, UNIT, weight)
    coarse, fine = (rule.optimum(nodes=nodes) for nodes in (100, 200))
    assert (4 * fine.objective - coarse.objective) / 3 == pytest.approx(2 / (12 * weight), abs=1e-6)
    assert (4 * fine.revenue - coarse.revenue) / 3 == pytest.approx(2 / (6 * weight), abs=1e-6)
    assert (4 * fine.user_loss - coarse.user_loss) / 3 == pytest.approx(2 / (12 * weight**2), abs=1e-6)
    valuations = grid(2, 4)
    outcome = rule(valuations)
    lever = (2 * valuations - 1).clamp_min(0) / weight
    assert torch.allclose(outcome.allocation, lever, atol=1e-12)
    # t(v) = v x(v) − ∫_½^v (2s − 1)/w ds
    expected = valuations * lever - (valuations - 0.5).clamp_min(0).square() / weight
    assert torch.allclose(outcome.payments, expected.squeeze(2), atol=1e-12)


def test_a_numerical_virtual_value_reaches_its_optimum_to_1e6() -> None:
    """Beta(2, 5) on the separable quadratic: the objective is E[(φ₊)²]/(2w), by a fine quadrature of the exact φ."""
    prior, nodes = Beta(2, 5), 20000
    quantiles = (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes
    exact = prior.virtual_value(prior.quantile(quantiles)).clamp_min(0).square().mean() / 2
    rule = VirtualWelfareMaximizer(QuadraticSubstrate(1), prior, 1.0)
    assert rule.optimum(nodes=nodes).objective == pytest.approx(float(exact), abs=1e-6)
    bids = prior.quantile(quantiles[::97]).view(-1, 1, 1)
    outcome = rule(bids)
    paid = outcome.payments.squeeze(1)
    assert torch.allclose(outcome.allocation.flatten(), prior.virtual_value(bids.flatten()).clamp_min(0), atol=1e-5)
    fine = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    area = torch.cumulative_trapezoid(prior.virtual_value(fine).clamp_min(0), fine)
    place = (bids.flatten() * 200_000).round().long() - 1
    integral = bids.flatten() * outcome.allocation.flatten() - paid
    assert torch.allclose(integral, area[place.clamp_min(0)], atol=1e-5)


@pytest.mark.parametrize("below_support", ["threat", "ignored"])
def test_payments_equal_the_integral_of_exposure(below_support: BelowSupport) -> None:
    """Every way of integrating against a Riemann sum over single auctions."""
    steps = 3000
    for prior in PRIORS if below_support == "threat" else [p for p in PRIORS if p.low > 0]:
        for substrate in (quarter_list(3, bidders=2, entries=9), Items(2), QuadraticSubstrate(2, 0.5)):
            rule = VirtualWelfareMaximizer(substrate, prior, 0.25, below_support=below_support)
            start = prior.support_low if below_support == "threat" else 0.0
            own = start + (torch.arange(steps, dtype=torch.float64) + 0.5) * (1.9 - start) / steps
            for other in torch.tensor([0.3, 0.7, 1.6], dtype=torch.float64).clamp_min(start).split(1):
                profiles = torch.stack([own, other.expand(steps)], 1).unsqueeze(2)
                exposure = substrate.exposure(substrate.maximise(prior.curve.evaluate(profiles), 0.25))[:, 0, 0]
                end = torch.tensor([[[1.9], [float(other)]]], dtype=torch.float64)
                outcome = rule(end)
                riemann = float(exposure.mean()) * (1.9 - start)
                paid = 1.9 * float(substrate.exposure(outcome.allocation)[0, 0, 0]) - riemann
                assert float(outcome.payments[0, 0]) == pytest.approx(paid, abs=2e-3), (prior, substrate)


@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from(PRIORS))
def test_the_exposure_is_that_of_virtual_welfare(seed: int, bidders: int, prior: Prior) -> None:
    """In the support a slow argmax of Σ φ e − λ L; below it the least exposure first, then that argmax among ties."""
    substrate = quarter_list(seed, bidders=bidders, entries=6)
    bids = torch.randint(0, 9, (5, bidders, 1), generator=torch.Generator().manual_seed(seed)).double() / 4
    allocation = VirtualWelfareMaximizer(substrate, prior, 0.25)(bids).allocation
    entries = substrate.finite_range()
    for row in range(len(bids)):
        below = [float(b) < prior.support_low for b in bids[row]]
        order = []
        for k in range(entries.user_losses.shape[1]):
            e = [float(x) for x in entries.exposures[0, k, :, 0]]
            virtual = prior.curve.evaluate(bids[row, :, 0]).tolist()
            phi = [0.0 if low else p for low, p in zip(below, virtual, strict=True)]
            burden = sum(x for x, low in zip(e, below, strict=True) if low)
            worth = sum(p * x for p, x in zip(phi, e, strict=True)) - 0.25 * float(entries.user_losses[0, k])
            order.append((-burden, worth))
        chosen = order[int(allocation[row, 0, 0])]
        assert chosen[0] == max(order)[0]
        assert chosen[1] >= max(order)[1] - 1e-9


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 6), st.sampled_from([0.0, 0.5]))
def test_walk_and_envelope_agree(seed: int, bidders: int, entries: int, user_weight: float) -> None:
    substrate = quarter_list(seed, bidders=bidders, entries=entries)
    bids = torch.randint(0, 9, (6, bidders, 1), generator=torch.Generator().manual_seed(seed)).double() / 4
    for prior in (UNIT, Uniform(1, 2), QUARTERS, COARSE_BIMODAL):
        rule = VirtualWelfareMaximizer(substrate, prior, user_weight)
        answers = []
        for few in (0, 10**9):
            before, module.FEW_KNOTS = module.FEW_KNOTS, few
            try:
                answers.append(rule(bids).payments)
            finally:
                module.FEW_KNOTS = before
        assert torch.allclose(*answers, atol=1e-7), prior


def honest_and_best_lie(
    rule: VirtualWelfareMaximizer,
    substrate: Substrate,
    context: Tensor | None = None,
    highest: int = 8,
    lowest: float = 0.0,
) -> tuple[float, float]:
    """Return the worst truthful utility from `lowest` on and the best gain from any lie, over profiles in quarters."""
    n = substrate.num_bidders
    bids = grid(n, highest)
    outcome = rule(bids, None if context is None else context.expand(len(bids)))
    exposure = substrate.exposure(outcome.allocation, None if context is None else context.expand(len(bids)))
    shape = (highest + 1,) * n
    gain, worst = 0.0, 0.0
    for i in range(n):
        e = exposure[:, i, 0].view(shape).movedim(i, 0)
        t = outcome.payments[:, i].view(shape).movedim(i, 0)
        valuation = (torch.arange(highest + 1, dtype=torch.float64) / 4).view(-1, 1, *[1] * (n - 1))
        utility = valuation * e - t  # (valuation, report, others…)
        honest = torch.diagonal(utility, dim1=0, dim2=1).movedim(-1, 0)
        gain = max(gain, float((utility.amax(1) - honest).max()))
        types = valuation.flatten() >= lowest
        worst = min(worst, float(honest[types].min())) if bool(types.any()) else worst
    return worst, gain


@settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.integers(1, 7),
    st.sampled_from([0.0, 0.25, 1.0]),
    st.sampled_from(PRIORS),
    st.booleans(),
    st.sampled_from(["threat", "ignored"]),
)
def test_no_lie_pays_on_any_list(
    seed: int,
    bidders: int,
    entries: int,
    user_weight: float,
    prior: Prior,
    no_suppression: bool,
    below_support: BelowSupport,
) -> None:
    """Truth is dominant among all bids; types have u ≥ 0, and where the ignored keep theirs every valuation has."""
    substrate = quarter_list(seed, bidders=bidders, entries=entries)
    rule = VirtualWelfareMaximizer(
        substrate, prior, user_weight, no_suppression=no_suppression, below_support=below_support
    )
    lowest = prior.low if below_support == "threat" else 0.0
    worst, gain = honest_and_best_lie(rule, substrate, lowest=lowest)
    assert worst >= -1e-9
    assert gain <= 1e-9


@pytest.mark.parametrize("crosstalk", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__ + str(p.mean)[:4])
def test_no_lie_pays_on_the_quadratic_or_on_items(prior: Prior, crosstalk: float) -> None:
    """Somebody can always be given nothing there, so u ≥ 0 at every valuation, in the support or not."""
    for substrate in (QuadraticSubstrate(2, crosstalk), Items(2)):
        worst, gain = honest_and_best_lie(VirtualWelfareMaximizer(substrate, prior, 0.5), substrate)
        assert worst >= -1e-9
        assert gain <= 1e-9


def test_ties_between_identical_discrete_bidders_cost_the_winner_its_threshold() -> None:
    # Both bid .75: the first wins. At .5 it would lose the tie's rival (φ(.75) > φ(.5)), so it pays .75; the second
    # would need more than .75, that is 1.
    rule = VirtualWelfareMaximizer(Items(2), Empirical([0.25, 0.5, 0.75, 1.0]))
    bids = torch.tensor([[[0.75], [0.75]], [[0.75], [1.0]]], dtype=torch.float64)
    assert rule(bids).payments.tolist() == [[0.75, 0.0], [0.0, 1.0]]


def test_contexts_are_cleared_apart() -> None:
    substrate = quarter_list(5, bidders=2, entries=6, contexts=3)
    rule = VirtualWelfareMaximizer(substrate, UNIT, 0.25)
    bids = torch.rand(60, 2, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    context = torch.arange(60) % 3
    together = rule(bids, context)
    for c in range(3):
        alone = FiniteList(substrate.exposures[c : c + 1], substrate.losses[c : c + 1])
        outcome = VirtualWelfareMaximizer(alone, UNIT, 0.25)(bids[context == c])
        assert torch.equal(together.allocation[context == c], outcome.allocation)
        assert torch.equal(together.payments[context == c], outcome.payments)
        worst, gain = honest_and_best_lie(rule, substrate, torch.tensor([c]))
        assert worst >= -1e-9
        assert gain <= 1e-9
        expected = rule.optimum(nodes=60, context=c).objective
        assert expected == VirtualWelfareMaximizer(alone, UNIT, 0.25).optimum(nodes=60).objective


@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from(PRIORS))
def test_rows_do_not_touch(seed: int, bidders: int, prior: Prior) -> None:
    substrate = quarter_list(seed, bidders=bidders, entries=5)
    bids = torch.randint(0, 9, (4, bidders, 1), generator=torch.Generator().manual_seed(seed)).double() / 4
    rule = VirtualWelfareMaximizer(substrate, prior, 0.25)
    together = rule(bids)
    for k in range(len(bids)):
        alone = rule(bids[k : k + 1])
        assert torch.equal(alone.allocation[0], together.allocation[k])
        assert torch.equal(alone.payments[0], together.payments[k])


@given(st.integers(0, 10**6), st.sampled_from(PRIORS))
def test_virtual_surplus_and_loss_fall_with_the_user_weight(seed: int, prior: Prior) -> None:
    substrate = quarter_list(seed, bidders=2, entries=7)
    bids = grid(2)
    phi = prior.curve.evaluate(bids)
    before = None
    for user_weight in (0.0, 0.25, 0.75, 2.0, 1e9):
        rule = VirtualWelfareMaximizer(substrate, prior, user_weight, below_support="ignored")
        chosen = rule(bids).allocation
        now = (phi * substrate.exposure(chosen)).sum((1, 2)), substrate.user_loss(chosen)
        if before is not None:
            assert bool((now[0] <= before[0] + 1e-9).all())
            assert bool((now[1] <= before[1] + 1e-9).all())
        before = now


def test_a_huge_user_weight_gives_the_null_and_no_revenue() -> None:
    for substrate in (QuadraticSubstrate(2, 0.5), quarter_list(1, bidders=2, entries=1)):
        outcome = VirtualWelfareMaximizer(substrate, UNIT, 1e12)(grid(2))
        assert float(outcome.allocation.abs().max()) < 1e-9
        assert float(outcome.payments.abs().max()) < 1e-9


def test_no_suppression_protects_organic_exposure() -> None:
    # null: both have ½; entry 1 gives bidder 0 all and takes bidder 1's mention.
    substrate = FiniteList(torch.tensor([[[[0.5], [0.5]], [[1.0], [0.0]], [[0.75], [0.5]]]]), torch.zeros(1, 3))
    bids = torch.tensor([[[1.0], [0.1]]], dtype=torch.float64)
    assert float(VirtualWelfareMaximizer(substrate, UNIT)(bids).allocation[0, 0, 0]) == 1
    protected = VirtualWelfareMaximizer(substrate, UNIT, no_suppression=True)(bids)
    assert float(protected.allocation[0, 0, 0]) == 2


def test_the_optimum_counts_what_the_lowest_type_keeps() -> None:
    """With organic exposure and a support from 1 to 2, the mean payment is the reported revenue, not E[Σ φ e]."""
    substrate = FiniteList(torch.tensor([[[[0.5]], [[1.0]]]]), torch.tensor([[0.0, 0.25]]))
    rule = VirtualWelfareMaximizer(substrate, Uniform(1, 2), 1.0)
    quantiles = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    bids = Uniform(1, 2).quantile(quantiles).view(-1, 1, 1)
    assert rule.optimum(nodes=4000).revenue == pytest.approx(float(rule(bids).payments.mean()), abs=1e-6)


def test_float32_bids_give_float32_outcomes_close_to_float64() -> None:
    rule = VirtualWelfareMaximizer(QuadraticSubstrate(2, 0.3), UNIT, 1.0)
    bids = torch.rand(200, 2, 1, generator=torch.Generator().manual_seed(0))
    single, double = rule(bids), rule(bids.double())
    assert single.allocation.dtype == single.payments.dtype == torch.float32
    assert torch.allclose(single.payments.double(), double.payments, atol=1e-6)


def test_only_one_feature_and_only_its_own_substrate() -> None:
    with pytest.raises(ValueError, match="one feature, got 2"):
        VirtualWelfareMaximizer(Items(2, 2), UNIT)
    with pytest.raises(ValueError, match="finite range"):
        VirtualWelfareMaximizer(QuadraticSubstrate(2), UNIT, no_suppression=True)
    rule = VirtualWelfareMaximizer(QuadraticSubstrate(2), UNIT)
    assert rule.dsic_proof(QuadraticSubstrate(2)) is not None
    assert rule.dsic_proof(QuadraticSubstrate(2, 0.5)) is None
    with pytest.raises(ValueError, match="finite and >= 0"):
        rule(torch.tensor([[[-1.0], [0.0]]]))
