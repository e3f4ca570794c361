"""What holds for every mechanism: bad bids refused, the null as the user's weight grows, five bidders on a list."""

import re
from collections.abc import Callable

import pytest
import torch
from finite_list import quarter_list
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_fakes import fake_list
from shown_list import shown_list
from torch import Tensor

from auctionsim import mechanisms as m
from auctionsim.mechanisms.showings import showings
from auctionsim.metrics import utility
from auctionsim.priors import Beta, Empirical, Exponential, Prior, Uniform
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import (
    Bundles,
    Items,
    Lottery,
    Positions,
    Prominence,
    QuadraticSubstrate,
    Randomised,
    Substrate,
    Units,
)
from auctionsim.substrates.estimates import Estimation
from auctionsim.testing import mechanism_checks

QUADRATIC = QuadraticSubstrate(2, 0.5)
LIST = quarter_list(3, bidders=2, entries=6)
LOTTERY = Lottery(torch.rand(3, 2, 1, generator=torch.Generator().manual_seed(0)), torch.tensor([0.0, 1.0, 2.0]))
MENU = m.Menu(torch.tensor([[[0.5], [1.0]], [[0.25], [0.75]]]), torch.tensor([[0.1, 0.3], [0.05, 0.25]]))
SHOWN = Randomised(shown_list(5, bidders=2))
POSITIONS, UNITS = Positions(3, (1.0, 0.5)), Units(2, 2)
REGISTERED: list[m.Mechanism] = [
    m.FirstPrice(0.1),
    m.SecondPrice(0.25),
    m.ThirdPrice(),
    m.AllPay(0.5),
    m.PostedPrice(0.3),
    m.GeneralizedFirstPrice(POSITIONS),
    m.GeneralizedSecondPrice(POSITIONS, 0.1),
    m.UniformPrice(UNITS),
    m.DiscriminatoryPrice(UNITS),
    m.VickreyUnits(UNITS),
    m.NearestBid(),
    m.VCG(Bundles.llg()),
    m.VCG(QUADRATIC, 0.5),
    m.PayAsBid(LIST, 0.25),
    m.VirtualWelfareMaximizer(LIST, Beta(2, 5), 0.25),
    m.PerMention(m.VCG(LIST, 0.25)),
    m.RobustOptimum(fake_list(2).sell("hits"), Uniform(0, 1), 0.25, Estimation("shrunk", 1.0)),
    m.VirtualWelfareMaximizer(QUADRATIC, Uniform(0, 1), 0.25),
    m.MenuAuction(QUADRATIC, MENU),
    m.MenuAuction(QUADRATIC, m.MenuNetwork(QUADRATIC, entries=3)),
    m.BayesianMenu(QUADRATIC, Uniform(0, 1), MENU),
    m.menus_within_budget(QuadraticSubstrate(2), Uniform(0, 1), 0.5, budget=1.0, cells=4),
    m.AffineMaximizer(LIST, LIST.finite_range().allocations, torch.zeros(6)),
    m.KLTilt(LOTTERY, 0.5, m.ChiSquared(), 0.1),
    m.LinearProgram(LIST, Uniform(0, 1), 0.25, levels=4),
    m.TiltFirstPrice(LOTTERY, 0.5),
    m.DeliveredVCG(LIST, 0.25),
    m.TokenSecondPrice(SHOWN, showings(SHOWN, 0)),
    m.PosteriorMixtureAuction(SHOWN, showings(SHOWN, 0), 0.25),
    m.ProportionalProminence(Prominence(3, 0.5)),
    m.ProportionalProminence(SHOWN, showings(SHOWN, 0)),
    m.PostedShowings(SHOWN, showings(SHOWN, 0), torch.tensor([0.1, 0.3])),
    m.ShownBids(SHOWN, 0.5),
    m.SegmentAuction(SHOWN, showings(SHOWN, 0), 2, reserve=0.1),
    m.TwoStage(SHOWN, showings(SHOWN, 0), 1),
    m.RegretNet(SHOWN),
    m.WinnerFirstPrice(SHOWN, showings(SHOWN, 0)),
    m.WinnerSecondPrice(SHOWN, showings(SHOWN, 0), 0.1),
]


def named(mechanism: m.Mechanism) -> str:
    where = "" if mechanism.substrate is None else f" on {type(mechanism.substrate).__name__}"
    return type(mechanism).__name__ + where


def test_no_mechanism_is_left_out() -> None:
    public = {getattr(m, name) for name in m.__all__ if isinstance(getattr(m, name), type)}
    kinds = {kind for kind in public if issubclass(kind, m.Mechanism) and kind is not m.Mechanism}
    assert kinds == {type(mechanism) for mechanism in REGISTERED}


def good_bids(mechanism: m.Mechanism) -> Tensor:
    return torch.full((3, mechanism.num_bidders or 4, mechanism.num_features or 1), 0.5, dtype=torch.float64)


@pytest.mark.parametrize("mechanism", REGISTERED, ids=named)
@pytest.mark.parametrize(
    ("value", "told"), [(torch.nan, "nan"), (torch.inf, "inf"), (-torch.inf, "-inf"), (-0.25, "-0.25")]
)
def test_bad_numbers_are_refused_with_the_value_and_the_rule(mechanism: m.Mechanism, value: float, told: str) -> None:
    bids = good_bids(mechanism)
    mechanism(bids)
    bids[1, -1, -1] = value
    place = f"(1, {bids.shape[1] - 1}, {bids.shape[2] - 1})"
    with pytest.raises(ValueError, match=re.escape(f"bids must be finite and >= 0, got {told} at")) as refused:
        mechanism(bids)
    assert place in str(refused.value)


@pytest.mark.parametrize("mechanism", REGISTERED, ids=named)
def test_bad_shapes_and_types_are_refused_with_the_value_and_the_rule(mechanism: m.Mechanism) -> None:
    bids = good_bids(mechanism)
    wrong = [bids[0], bids.unsqueeze(0), bids[:, :0], bids[:, :, :0]]
    wrong += [torch.cat([bids, bids], 1)] if mechanism.num_bidders else []
    wrong += [torch.cat([bids, bids], 2)] if mechanism.num_features else []
    for shaped in wrong:
        with pytest.raises(ValueError, match=r"bids must have shape \(batch, bidder") as refused:
            mechanism(shaped)
        assert str(tuple(shaped.shape)) in str(refused.value)
    for typed, told in ((bids.long(), "torch.int64"), (bids > 0, "torch.bool"), (bids.cfloat(), "torch.complex64")):
        with pytest.raises(TypeError, match=f"bids must be a floating-point torch tensor, got {told}"):
            mechanism(typed)
    for other in (bids.tolist(), bids.numpy()):
        with pytest.raises(TypeError):  # under test the type checker speaks first
            mechanism(other)


def trained_writer(substrate: Substrate, prior: Prior, user_weight: float) -> m.Mechanism:
    rule = m.train_menu(substrate, prior, user_weight, entries=3, steps=40)
    return m.train_menu_writer(rule, prior, user_weight, steps=10, batch=32)


WEIGHTED: dict[str, Callable[[Substrate, Prior, float], m.Mechanism]] = {
    "VCG": lambda substrate, _, user_weight: m.VCG(substrate, user_weight),
    "PayAsBid": lambda substrate, _, user_weight: m.PayAsBid(substrate, user_weight),
    "VirtualWelfareMaximizer": m.VirtualWelfareMaximizer,
    "train_menu": lambda *given: m.train_menu(*given, entries=4, steps=60),
    "train_menu_writer": trained_writer,
    "train_bayesian_menu": lambda *given: m.train_bayesian_menu(*given, levels=17, starts=1),
    "train_affine_maximizer": lambda *given: m.train_affine_maximizer(*given, entries=8, steps=20),
}


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("prior", [Uniform(0, 1), Exponential(1.0), Beta(2, 5)], ids=repr)
def test_a_user_weight_without_bound_leaves_the_null_and_no_revenue(name: str, prior: Prior) -> None:
    """On the quadratic x ≤ φ/λ, so levers and revenue fall at least as 1/λ, whatever the mechanism."""
    bids = prior.quantile(torch.rand(200, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    most = float(bids.max())
    for crosstalk in (0.0, 0.5):
        for user_weight in (1e3, 1e6):
            substrate = QuadraticSubstrate(2, crosstalk)
            outcome = WEIGHTED[name](substrate, prior, user_weight)(bids)
            assert float(outcome.allocation.max()) <= 2 * most / user_weight
            assert float(outcome.payments.sum(1).max()) <= 4 * most**2 / user_weight
            assert float((user_weight * substrate.user_loss(outcome.allocation)).max()) <= 8 * most**2 / user_weight


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 6), st.sampled_from(list(WEIGHTED)[:3]))
def test_on_a_list_a_large_user_weight_is_exactly_the_null(seed: int, bidders: int, entries: int, name: str) -> None:
    substrate = quarter_list(seed, bidders=bidders, entries=entries, organic=False)
    substrate.losses[:, 1:] = substrate.losses[:, 1:].clamp_min(0.25)
    bids = torch.rand(20, bidders, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    outcome = WEIGHTED[name](substrate, Uniform(0, 1), 4.0 * bidders + 1)(
        bids
    )  # more than all could pay for a loss of .25
    assert torch.equal(outcome.allocation, substrate.null_allocation(20, dtype=torch.float64))
    assert float(outcome.payments.abs().max()) == 0


def test_a_tilt_with_a_huge_user_weight_no_longer_hears_the_bids() -> None:
    """The harmless reply is all that is left, and nobody pays; what the reference does is no matter."""
    generator = torch.Generator().manual_seed(0)
    bids = torch.rand(10, 2, 1, generator=generator, dtype=torch.float64)
    for divergence in (m.ReverseKL(), m.ForwardKL(), m.ChiSquared(), m.JensenShannon(), m.Alpha(2.0)):
        outcome = m.KLTilt(LOTTERY, 0.5, divergence, 1e7)(bids)
        assert float(outcome.allocation[:, 0].min()) > 1 - 1e-3
        assert float(outcome.payments.max()) < 1e-3


@settings(max_examples=30)
@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.sampled_from([Uniform(0, 1), Exponential(0.5), Beta(2, 5), Empirical([0.25, 0.5, 1.0])]),
    st.lists(st.integers(0, 64), min_size=2, max_size=5),
)
def test_virtual_surplus_and_loss_fall_profile_by_profile(
    seed: int, bidders: int, prior: Prior, sixteenths: list[int]
) -> None:
    """Σ φ e and L are nonincreasing in the user weight: on lists with crosstalk of every sign, and on the quadratic."""
    generator = torch.Generator().manual_seed(seed)
    bids = torch.rand(30, bidders, 1, generator=generator, dtype=torch.float64) * 1.25
    phi = prior.curve.evaluate(bids)
    crosstalk = float(torch.rand((), generator=generator)) / max(1, bidders - 1)
    for substrate in (quarter_list(seed, bidders=bidders, entries=7), QuadraticSubstrate(min(bidders, 3), crosstalk)):
        n = substrate.num_bidders
        surplus, loss = None, None
        for user_weight in sorted(k / 16 for k in sixteenths):
            rule = m.VirtualWelfareMaximizer(substrate, prior, user_weight, below_support="ignored")
            chosen = rule(bids[:, :n]).allocation
            now = (phi[:, :n] * substrate.exposure(chosen)).sum((1, 2)), substrate.user_loss(chosen)
            if surplus is not None and loss is not None:
                assert bool((now[0] <= surplus + 1e-9).all())
                assert bool((now[1] <= loss + 1e-9).all())
            surplus, loss = now


def five_bidder_rules() -> list[m.Mechanism]:
    substrate = fake_list(5).sell("slot_probability")
    return [
        m.VCG(substrate, 0.5),
        m.VirtualWelfareMaximizer(substrate, Uniform(0, 1), 0.5),
        m.AffineMaximizer(
            substrate, substrate.finite_range().allocations, -0.5 * substrate.finite_range().user_losses[0]
        ),
        m.train_affine_maximizer(substrate, Uniform(0, 1), 0.5, steps=20),
    ]


def test_five_bidders_on_a_measured_list() -> None:
    substrate = fake_list(5).sell("slot_probability")
    generator = torch.Generator().manual_seed(0)
    bids = torch.rand(64, 5, 1, generator=generator, dtype=torch.float64)
    context = torch.arange(64) % len(substrate.contexts)
    for rule in five_bidder_rules():
        outcome = rule(bids, context)
        assert bool(substrate.feasible(outcome.allocation).all())
        assert float(outcome.payments.sum()) > 0
        assert len(outcome.allocation.unique(dim=0)) > 1
        assert float(utility(outcome, substrate, bids, context).min()) >= -1e-12
        found = ex_post_regret(
            rule, substrate, bids[:8], context=context[:8], budget=64, bounds=BoundSettings(use_structure=False)
        )
        assert found.max <= 1e-9, named(rule)
        for check in mechanism_checks(rule, substrate, dsic=True, individually_rational=True, examples=5):
            check()


def test_items_of_one_bidder_are_refused_for_two() -> None:
    with pytest.raises(ValueError, match="bidder=1"):
        m.VCG(Items(1))(torch.rand(2, 2, 1))
