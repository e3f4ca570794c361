"""Audiences: closed forms of knowing the kind, the conformance kit, and risks against a slow loop."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_fakes import fake_subsets

from auctionsim.audiences import Audience, KindLosses, PrivateAudience, PublicAudience, Risk, UserKind, tail_mean
from auctionsim.errors import InputError, UnsupportedError
from auctionsim.mechanisms import VCG, VirtualWelfareMaximizer
from auctionsim.metrics import revenue, user_loss
from auctionsim.priors import Uniform
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import QuadraticSubstrate, ResponseSurface
from auctionsim.substrates.base import Substrate
from auctionsim.testing import check_substrate

HALVES = Audience((UserKind("calm", 0.5, {"loss": 0.5}), UserKind("touchy", 0.5, {"loss": 1.5})))
UNEVEN = Audience((UserKind("calm", 0.25, {"loss": 0.5}), UserKind("touchy", 0.75, {"loss": 2.0})))
MIXED = Audience((UserKind("plain", 0.3, {"kl": 0.5}), UserKind("strict", 0.7, {"quality": 1.0, "length": 0.01})))


def brought(substrate: Substrate, audience: Audience, user_weight: float) -> tuple[float, float]:
    """The objective of the optimum with the kind known, and on the mean kind, on an even grid of U(0, 1)."""
    grid = ((torch.arange(4000, dtype=torch.float64) + 0.5) / 4000).view(-1, 1, 1)
    public, private = PublicAudience(substrate, audience), PrivateAudience(substrate, audience)
    known = VirtualWelfareMaximizer(public, Uniform(0, 1), user_weight)
    parts = []
    for kind in range(len(audience.kinds)):
        context = torch.full((len(grid),), kind)
        outcome = known(grid, context)
        parts.append(
            (revenue(outcome, public, grid, context) - user_weight * user_loss(outcome, public, grid, context)).mean()
        )
    outcome = VirtualWelfareMaximizer(private, Uniform(0, 1), user_weight)(grid)
    mean = (revenue(outcome, private, grid) - user_weight * user_loss(outcome, private, grid)).mean()
    return float(torch.stack(parts) @ audience.shares), float(mean)


@pytest.mark.parametrize(("audience", "user_weight"), [(HALVES, 2.0), (UNEVEN, 2.0), (UNEVEN, 4.0)])
def test_knowing_the_kind_against_the_mean_kind(audience: Audience, user_weight: float) -> None:
    """Inside the box x = φ / (λ θ), so the objective is E[φ⁺²] / (2 λ θ) = 1 / (12 λ θ) where no θ is below 1 / λ."""
    rates = torch.tensor([kind.weights["loss"] for kind in audience.kinds], dtype=torch.float64)
    assert bool((user_weight * rates >= 1).all())  # the box does not bind at φ = 1
    known, mean = brought(QuadraticSubstrate(1), audience, user_weight)
    assert known == pytest.approx(float((audience.shares / (12 * user_weight * rates)).sum()), abs=1e-6)
    assert mean == pytest.approx(float(1 / (12 * user_weight * (audience.shares @ rates))), abs=1e-6)


def test_the_published_pair() -> None:
    """θ ∈ {½, 3/2}, L = θ x²/2, weight 2: 1/18 with the kind known, 1/24 on the mean θ = 1."""
    known, mean = brought(QuadraticSubstrate(1), HALVES, 2.0)
    assert (known, mean) == (pytest.approx(0.055556, abs=1e-6), pytest.approx(0.041667, abs=1e-6))


@pytest.mark.parametrize(
    "risk", [pytest.param("mean", marks=pytest.mark.deep), pytest.param("tail", marks=pytest.mark.deep), "worst"]
)
def test_private_audiences_keep_the_rules_of_substrates(risk: Risk) -> None:
    measured = fake_subsets(2)
    kinds = Audience(tuple(replace(kind, loss={"kl": kind.weights["loss"]}) for kind in UNEVEN.kinds))
    allocations = measured.finite_range().allocations.double()
    check_substrate(PrivateAudience(measured, kinds, risk, tail=0.5), allocations=allocations, examples=3)
    check_substrate(PublicAudience(measured, kinds), allocations=allocations, examples=3)


def test_public_audiences_keep_the_rules_of_substrates() -> None:
    check_substrate(PublicAudience(QuadraticSubstrate(2, 0.3), UNEVEN), examples=3)


def test_each_context_is_the_view_of_its_kind() -> None:
    surface = ResponseSurface.packaged("running-shoes-2@3").sell("slot_probability")
    public = PublicAudience(surface, MIXED)
    assert public.contexts[:3] == ("request/plain", "request/strict", "comparison/plain")
    x = surface.finite_range().allocations.double()
    for context in range(len(public.contexts)):
        own, kind = divmod(context, 2)
        here, there = torch.full((len(x),), context), torch.full((len(x),), own)
        view = surface.sell("slot_probability", loss=MIXED.kinds[kind].loss)
        assert torch.equal(public.user_loss(x, here), view.user_loss(x, there))
        assert torch.equal(public.exposure(x, here), view.exposure(x, there))


def test_truth_stays_dominant_under_every_risk() -> None:
    surface = ResponseSurface.packaged("running-shoes-2@3").sell("slot_probability")
    valuations = torch.rand(6, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for place in (PublicAudience(surface, MIXED), PrivateAudience(surface, MIXED, "worst")):
        contexts = torch.arange(6) % len(place.contexts)
        found = ex_post_regret(VCG(place, 1.0), place, valuations, context=contexts)
        assert float(found.mean) <= 1e-9


amounts = st.lists(st.integers(-8, 8), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(amounts, st.data(), st.integers(1, 20))
def test_a_tail_is_the_mean_of_the_worst_off(quarters: list[int], data: st.DataObject, twentieths: int) -> None:
    """Against a loop over users sorted by loss, taking shares until the tail is full."""
    weights = data.draw(st.lists(st.integers(1, 5), min_size=len(quarters), max_size=len(quarters)))
    shares = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    losses = torch.tensor(quarters, dtype=torch.float64) / 4
    tail, left, total = twentieths / 20, twentieths / 20, 0.0
    for loss, share in sorted(zip(losses.tolist(), shares.tolist(), strict=True), reverse=True):
        total += min(share, left) * loss
        left = max(left - share, 0.0)
    assert float(tail_mean(losses[None], shares, tail)[0]) == pytest.approx(total / tail, abs=1e-9)
    assert float(tail_mean(losses[None], shares, 1.0)[0]) == pytest.approx(float(losses @ shares), abs=1e-9)
    assert float(tail_mean(losses[None], shares, 1e-9)[0]) == pytest.approx(float(losses.max()), abs=1e-6)


def test_reported_losses() -> None:
    kinds = KindLosses(
        ("a", "b"), torch.tensor([0.75, 0.25], dtype=torch.float64), torch.tensor([[0.0, 4.0], [1.0, 2.0]]).double()
    )
    assert kinds.by_kind.tolist() == [0.5, 3.0]
    assert (kinds.mean, kinds.worst) == (1.125, 3.0)
    assert kinds.tail_mean(0.125) == 4.0  # half of kind b's users met the first reply
    assert kinds.tail_mean(0.25) == 3.0
    assert kinds.tail_mean(1.0) == pytest.approx(1.125)
    single = kinds._replace(losses=kinds.losses.float())  # as allocations in float32 give
    assert (single.mean, single.worst, single.tail_mean(0.25)) == (1.125, 3.0, 3.0)


def test_kinds_are_drawn_by_their_shares() -> None:
    surface = ResponseSurface.packaged("running-shoes-2@3").sell("slot_probability")
    drawn = PublicAudience(surface, MIXED).draw(20_000, torch.Generator().manual_seed(0))
    assert float((drawn % 2 == 0).double().mean()) == pytest.approx(0.3, abs=0.015)
    assert (drawn.div(2, rounding_mode="floor").bincount() / 20_000).tolist() == pytest.approx([1 / 3] * 3, abs=0.015)
    again = PublicAudience(surface, MIXED).draw(20_000, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)


def test_kinds_as_text() -> None:
    assert UserKind.read("strict=0.25:1.5*kl+length") == UserKind("strict", 0.25, "1.5*kl+length")
    for text in ("strict", "strict=1", "strict=x:kl", "=0.5:kl", "a/b=0.5:kl", "strict=0:kl", "strict=nan:kl", "a=1:"):
        with pytest.raises(InputError):
            UserKind.read(text)


def test_bad_audiences_are_refused() -> None:
    with pytest.raises(InputError, match=r"sum to 1, got 0\.5"):
        Audience((UserKind("a", 0.5, "kl"),))
    with pytest.raises(InputError, match="each name once"):
        Audience((UserKind("a", 0.5, "kl"), UserKind("a", 0.5, "kl")))
    with pytest.raises(InputError, match="the loss must be one of"):
        PublicAudience(QuadraticSubstrate(1), Audience((UserKind("a", 1.0, "kl"),)))
    opposed = Audience((UserKind("a", 0.5, {"loss": 1.0}), UserKind("b", 0.5, {"loss": -1.0})))
    with pytest.raises(InputError, match="cancel"):
        PrivateAudience(QuadraticSubstrate(1), opposed)
    with pytest.raises(UnsupportedError, match="no finite range"):
        PrivateAudience(QuadraticSubstrate(1), HALVES, "worst").maximise(torch.ones(1, 1, 1), 1.0)
    surface = ResponseSurface.packaged("running-shoes-2@3").sell("slot_probability", loss="quality+kl")
    with pytest.raises(InputError, match="user_weight"):
        PrivateAudience(surface, MIXED).maximise(torch.ones(1, 2, 1), -1.0)


def test_a_loss_that_is_no_own_refuses_a_negative_weight() -> None:
    from auctionsim.substrates import Offer, View

    surface = ResponseSurface.packaged("running-shoes-2@3")
    with pytest.raises(InputError, match="user_weight"):
        View(surface, Offer(("slot_probability",), "kl+quality")).maximise(torch.ones(1, 2, 1), -1.0)
