"""Affine maximizers: truthful to the last bit, VCG and the optimum as special cases, learned ones near the optimum."""

import pytest
import torch
from finite_list import FiniteList, quarter_list
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from auctionsim.mechanisms import VCG, AffineMaximizer, AffineStart, VirtualWelfareMaximizer, train_affine_maximizer
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.priors import Beta, Exponential, Prior, Uniform
from auctionsim.substrates import Items, QuadraticSubstrate, Substrate


def random_rule(seed: int, bidders: int, entries: int, features: int = 1, contexts: int = 1) -> AffineMaximizer:
    generator = torch.Generator().manual_seed(seed)
    substrate = quarter_list(seed, bidders=bidders, entries=entries, features=features, contexts=contexts)
    slots = contexts + 1 if contexts > 1 else 1
    boosts = torch.randint(-4, 5, (slots, entries), generator=generator).double() / 4
    weights = 2.0 ** torch.randint(-1, 2, (bidders,), generator=generator)
    return AffineMaximizer(substrate, substrate.finite_range().allocations, boosts, weights)


def quarter_bids(seed: int, batch: int, bidders: int, features: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1)
    return torch.randint(0, 9, (batch, bidders, features), generator=generator).double() / 4


def utility(rule: Mechanism, substrate: Substrate, truth: Tensor, bids: Tensor, context: Tensor | None) -> Tensor:
    outcome = rule(bids, context)
    return (truth * substrate.exposure(outcome.allocation, context)).sum(2) - outcome.payments


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 6), st.integers(1, 3), st.integers(1, 3))
def test_no_lie_pays_and_nobody_loses(seed: int, bidders: int, entries: int, features: int, contexts: int) -> None:
    rule = random_rule(seed, bidders, entries, features, contexts)
    context = torch.arange(6) % contexts if contexts > 1 else None
    truth, lies = (quarter_bids(seed + k, 6, bidders, features) for k in (0, 7))
    honest = utility(rule, rule.range, truth, truth, context)
    assert bool((honest >= 0).all())
    assert bool((rule(truth, context).payments >= 0).all())
    for i in range(bidders):
        mixed = truth.clone()
        mixed[:, i] = lies[:, i]
        assert bool((utility(rule, rule.range, truth, mixed, context)[:, i] <= honest[:, i]).all())


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 6), st.sampled_from([0.0, 0.25, 1.0]))
def test_unit_weights_and_the_users_loss_are_vcg(seed: int, bidders: int, entries: int, user_weight: float) -> None:
    substrate = quarter_list(seed, bidders=bidders, entries=entries, features=2)
    found = substrate.finite_range()
    rule = AffineMaximizer(substrate, found.allocations, -user_weight * found.user_losses[0])
    bids = quarter_bids(seed, 5, bidders, 2)
    ours, vcg = rule(bids), VCG(substrate, user_weight)(bids)
    assert torch.equal(ours.allocation, vcg.allocation)
    assert torch.equal(ours.payments, vcg.payments)


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_rows_do_not_touch(seed: int, bidders: int) -> None:
    rule = random_rule(seed, bidders, 5)
    bids = torch.rand(5, bidders, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    together = rule(bids)
    for k in range(len(bids)):
        alone = rule(bids[k : k + 1])
        assert torch.equal(alone.payments[0], together.payments[k])
        assert torch.equal(alone.allocation[0], together.allocation[k])


@pytest.mark.parametrize("seed", range(6))
def test_every_context_and_none_has_its_list_and_its_boosts(seed: int) -> None:
    """By a slow loop: context c reads row c of exposures and boosts, no context the average and the last row."""
    rule = random_rule(seed, bidders=2, entries=5, contexts=2)
    assert len(rule.boosts) == 3
    shared = AffineMaximizer(rule.range, rule.allocations, rule.boosts[1], rule.weights)
    bids = quarter_bids(seed, 8, 2, 1)
    for mechanism in (rule, shared):
        for context in (0, 1, None):
            told = None if context is None else torch.full((len(bids),), context)
            outcome = mechanism(bids, told)
            boosts = mechanism.boosts[-1 if context is None or len(mechanism.boosts) == 1 else context]
            listed = None if context is None else torch.full((5,), context)
            exposure = rule.range.exposure(rule.allocations, listed)[:, :, 0]
            for row in range(len(bids)):
                worth = exposure * rule.weights * bids[row, :, 0]  # (entry, bidder)
                totals = worth.sum(1) + boosts
                k = int(outcome.allocation[row, 0, 0])
                assert k == int(totals.argmax())
                for i in range(2):
                    others = totals - worth[:, i]
                    expected = float((others.max() - others[k]) / rule.weights[i])
                    assert float(outcome.payments[row, i]) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 10**6), st.sampled_from([0.25, 1.0]), st.sampled_from([Uniform(0, 1), Exponential(0.5)]))
def test_the_learnable_oracle_is_the_optimum(seed: int, user_weight: float, prior: Prior) -> None:
    """Uniform: w = 1 and λ = −½(Σ e + user_weight · L). Exponential: λ = −(Σ mean · e + user_weight · L)."""
    substrate = quarter_list(seed, bidders=2, entries=6)
    found = substrate.finite_range()
    total, losses = found.exposures[0].sum((1, 2)), found.user_losses[0]
    if isinstance(prior, Uniform):
        boosts = -(total + user_weight * losses) / 2
    else:
        boosts = -(prior.mean * total + user_weight * losses)
    rule = AffineMaximizer(substrate, found.allocations, boosts)
    best = VirtualWelfareMaximizer(substrate, prior, user_weight)
    bids = torch.rand(200, 2, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ours, theirs = rule(bids), best(bids)
    for name, one, two in (
        ("exposure", substrate.exposure(ours.allocation), substrate.exposure(theirs.allocation)),
        ("loss", substrate.user_loss(ours.allocation), substrate.user_loss(theirs.allocation)),
    ):
        assert torch.equal(one, two), name
    # Payments differ by what bidder i gets when it bids 0: the maximiser's integral starts at 0 as the pivot does.
    assert torch.allclose(ours.payments, theirs.payments, atol=1e-9)


def test_infeasible_lists_and_bad_numbers_are_refused() -> None:
    give = torch.cat([torch.zeros(1, 2, 1), torch.eye(2).unsqueeze(2)])
    for boosts, weights, message in [
        (torch.zeros(2), None, "boosts must be finite"),
        (torch.tensor([0.0, torch.inf, 0.0]), None, "boosts must be finite"),
        (torch.zeros(3), torch.tensor([1.0, 0.0]), "weights must be 2 positive numbers"),
        (torch.zeros(3), torch.ones(3), "weights must be 2 positive numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            AffineMaximizer(Items(2), give, boosts, weights)
    with pytest.raises(ValueError, match="must be feasible"):
        AffineMaximizer(Items(2), torch.ones(1, 2, 1), torch.zeros(1))
    with pytest.raises(ValueError, match="allocations must have shape"):
        AffineMaximizer(Items(2), torch.ones(1, 2), torch.zeros(1))
    rule = AffineMaximizer(Items(2), give, torch.zeros(3))
    assert rule.dsic_proof(Items(2)) is not None
    assert rule.dsic_proof(Items(2, 1)) is not None
    assert rule.dsic_proof(Items(3)) is None
    with pytest.raises(ValueError, match="finite and >= 0"):
        rule(torch.full((1, 2, 1), torch.nan))


def paired_share(rule: Mechanism, substrate: Substrate, prior: Prior, user_weight: float, nodes: int) -> float:
    """Return the rule's objective as a share of the optimal rule's, both paid on the same grid of profiles."""
    axis = prior.quantile((torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes)
    profiles = torch.cartesian_prod(axis, axis).view(-1, 2, 1)
    totals = []
    for mechanism in (rule, VirtualWelfareMaximizer(substrate, prior, user_weight)):
        outcome = mechanism(profiles)
        totals.append(float((outcome.payments.sum(1) - user_weight * substrate.user_loss(outcome.allocation)).mean()))
    return totals[0] / totals[1]


@pytest.mark.parametrize(
    ("prior", "crosstalk", "least", "nodes"),  # an unbounded prior needs more nodes, a numerical φ costs more each
    [(Uniform(0, 1), 0.2, 0.99, 100), (Exponential(1.0), 1.0, 0.99, 300), (Beta(2, 5), 0.5, 0.97, 60)],
)
def test_learned_under_crosstalk_reaches_its_share_of_the_optimum(
    prior: Prior, crosstalk: float, least: float, nodes: int
) -> None:
    substrate = QuadraticSubstrate(2, crosstalk)
    rule = train_affine_maximizer(substrate, prior, 1.0, steps=150)
    assert least <= paired_share(rule, substrate, prior, 1.0, nodes) <= 1 + 1e-3
    assert rule.history[0].step == 0
    assert max(point.objective for point in rule.history) >= rule.history[0].objective


def test_learning_starts_from_vcg_and_climbs() -> None:
    substrate = QuadraticSubstrate(2, 0.5)
    rule = train_affine_maximizer(
        substrate, Uniform(0, 1), 1.0, steps=250, start=AffineStart(from_virtual_values=False)
    )
    share = paired_share(rule, substrate, Uniform(0, 1), 1.0, nodes=100)
    assert rule.history[0].objective < 0.7 * rule.history[-1].objective
    assert share >= 0.97


def test_two_items_beat_item_by_item_myerson_and_stay_feasible() -> None:
    rule = train_affine_maximizer(Items(2, 2), Uniform(0, 1), steps=300)
    generator = torch.Generator().manual_seed(11)
    revenue = 0.0
    for _ in range(10):
        outcome = rule(torch.rand(100_000, 2, 2, generator=generator))
        assert bool(Items(2, 2).feasible(outcome.allocation).all())
        revenue += float(outcome.payments.sum(1).mean()) / 10
    assert revenue > 5 / 6 + 0.005  # standard error 3.5e-4


def test_learned_lotteries_over_items_stay_feasible() -> None:
    rule = train_affine_maximizer(Items(2, 2), Uniform(0, 1), steps=60, start=AffineStart(learn_allocations=True))
    assert bool(((rule.allocations > 0) & (rule.allocations < 1)).any())
    outcome = rule(torch.rand(10_000, 2, 2, generator=torch.Generator().manual_seed(1)))
    assert bool(Items(2, 2).feasible(outcome.allocation).all())


def test_a_short_finite_range_is_the_whole_list(generator: torch.Generator) -> None:
    substrate = quarter_list(2, bidders=2, entries=9)
    rule = train_affine_maximizer(substrate, Uniform(0, 1), 0.25, steps=20)
    assert torch.equal(rule.allocations, substrate.finite_range().allocations)
    short = train_affine_maximizer(substrate, Uniform(0, 1), 0.25, steps=20, entries=4)
    assert len(short.allocations) <= 4
    assert torch.equal(short.allocations[0], torch.zeros(2, 1, dtype=torch.float64))


def test_learning_on_a_list_without_a_box_keeps_its_entries() -> None:
    class Choices(FiniteList):
        """Joint allocations of one number, which are nobody's levers."""

        def null_allocation(
            self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
        ) -> Tensor:
            return torch.zeros(batch, 1, dtype=dtype, device=device)

    substrate = Choices(torch.ones(1, 2, 2, 1), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="no box of levers"):
        train_affine_maximizer(
            substrate, Uniform(0, 1), start=AffineStart(allocations=torch.zeros(2, 1), learn_allocations=True), steps=1
        )


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_a_huge_user_weight_leaves_the_null(seed: int) -> None:
    substrate = quarter_list(seed, bidders=2, entries=4, organic=False)
    substrate.losses[:, 1:] = substrate.losses[:, 1:].clamp_min(0.25)
    rule = train_affine_maximizer(substrate, Uniform(0, 1), 1e9, steps=5)
    outcome = rule(quarter_bids(seed, 5, 2, 1))
    assert float(outcome.allocation.abs().max()) == 0
    assert float(outcome.payments.abs().max()) == 0
