"""Distributions over a finite range: expectations against slow loops, the maximum, and auctions played on them."""

import itertools
import math
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from measured_fakes import CONTEXTS, fake_list, fake_subsets, fake_surface
from torch import Tensor

from auctionsim.mechanisms import VCG, ChiSquared, KLTilt, PayAsBid, VirtualWelfareMaximizer
from auctionsim.mechanisms.saved_substrates import described
from auctionsim.priors import Uniform
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import (
    Bundles,
    Items,
    Lottery,
    MeasuredList,
    Offer,
    QuadraticSubstrate,
    Quantity,
    Randomised,
    Substrate,
    View,
    best_mixture,
    charged_loss_of,
    contexts_of,
    is_separable,
    losses_of,
    maximises_exactly,
    observe,
    units_of,
)
from auctionsim.testing import check_mechanism, check_substrate

sys.path.insert(0, str(Path(__file__).parents[1] / "mechanisms"))

from finite_list import quarter_list

F64 = torch.float64


def with_two_losses(num_bidders: int = 2) -> MeasuredList:
    """Return a list that measured how long replies are, too."""
    whole = fake_list(num_bidders)
    replicates = {
        name: one._replace(losses={**one.losses, "length": one.diagnostics["repetition_rate"]}, diagnostics={})
        for name, one in whole.replicates.items()
    }
    return MeasuredList(
        levers=whole.levers,
        allocations=whole.allocations,
        features=whole.measured_features,
        contexts=whole.contexts,
        replicates=replicates,
        provenance=whole.provenance,
        quantities={"length": Quantity("tokens")},
    )


PLACES: dict[str, Substrate] = {
    "list": fake_list(3),
    "a view of a list": fake_subsets(2).replicate("B").sell("hits"),
    "surface": fake_surface(2).sell("slot_probability"),
    "two losses charged": with_two_losses().sell("hits", "slot_probability", loss={"kl": 0.3, "length": -1}),
    "bundles": Bundles.llg(),
    "no base class": quarter_list(6, bidders=2, entries=5, contexts=2, features=2),
}


def distributions(rows: int, entries: int, seed: int) -> Tensor:
    weights = torch.rand(rows, entries, generator=torch.Generator().manual_seed(seed), dtype=F64)
    return weights / weights.sum(1, keepdim=True)


def spread(entries: int) -> Tensor:
    """Return a reference that draws everything, the null most often."""
    reference = torch.full((entries,), 0.5 / (entries - 1), dtype=F64)
    reference[0] = 0.5
    return reference


@pytest.mark.parametrize("name", PLACES)
def test_it_gives_what_its_entries_give_on_average(name: str) -> None:
    """Against a loop over rows and entries that asks the substrate itself, in every context and in none."""
    place = PLACES[name]
    randomised = Randomised(place)
    entries = place.finite_range().allocations.double()  # type: ignore[attr-defined]
    count = len(contexts_of(place))
    assert randomised.contexts == contexts_of(place)
    assert randomised.features == place.features
    assert set(randomised.losses) == {charged_loss_of(place).name, *losses_of(place)}
    q = distributions(6, len(entries), seed=1)
    for context in (None, torch.arange(6) % count) if count else (None,):
        observation = randomised.observe(q, context)
        for row in range(len(q)):
            where = None if context is None else context[row].expand(1)
            exposure = torch.zeros(place.num_bidders, len(place.features), dtype=F64)
            losses, charged = dict.fromkeys(losses_of(place), 0.0), 0.0
            for share, entry in zip(q[row], entries, strict=True):
                there = observe(place, entry.unsqueeze(0), where)
                exposure += share * there.exposure[0]
                losses = {key: losses[key] + float(share * there.losses[key][0]) for key in losses}
                charged += float(share * place.user_loss(entry.unsqueeze(0), where)[0])
            torch.testing.assert_close(observation.exposure[row], exposure)
            torch.testing.assert_close(randomised.exposure(q, context)[row], exposure)
            assert float(randomised.user_loss(q, context)[row]) == pytest.approx(charged, abs=1e-12)
            for key, loss in losses.items():
                assert float(observation.losses[key][row]) == pytest.approx(loss, abs=1e-12)


@pytest.mark.parametrize(("name", "mixed"), [*((name, False) for name in PLACES), ("list", True), ("bundles", True)])
def test_it_is_a_substrate(name: str, mixed: bool) -> None:
    """The fakes have noise at the null, and a reference of its own is as dear as its entries: that is the caller's."""
    place = PLACES[name]
    entries = len(place.finite_range().allocations)  # type: ignore[attr-defined]
    skip = ("null_loss",) if mixed or name not in ("bundles", "no base class") else ()
    check_substrate(Randomised(place, spread(entries) if mixed else None), examples=3, skip=skip)


def test_the_null_is_the_substrates_own_unless_a_reference_is_given() -> None:
    place = fake_list(3)
    randomised = Randomised(place)
    null, context = place.null_allocation(2, dtype=F64), torch.tensor([0, 2])
    q = randomised.null_allocation(2, dtype=F64)
    assert q.tolist() == [[1.0] + [0.0] * (q.shape[1] - 1)] * 2
    assert torch.equal(randomised.exposure(q, context), place.exposure(null, context))
    assert torch.equal(randomised.user_loss(q, context), place.user_loss(null, context))
    other = Randomised(place, spread(q.shape[1]))
    assert torch.equal(other.null_allocation(1, dtype=F64)[0], spread(q.shape[1]))
    assert torch.equal(other.finite_range().allocations[0], spread(q.shape[1]))


def test_what_is_charged_comes_first_and_all_losses_stay() -> None:
    measured = with_two_losses()
    sold = measured.sell("hits", loss={"kl": 0.3, "length": -1})
    one = Randomised(sold)
    assert one.losses == ("0.3 kl - 1 length", "kl", "length")
    assert one.charged_loss == charged_loss_of(sold)
    assert units_of(one)["length"] == "tokens"
    assert Randomised(measured.sell("hits", loss="length")).losses == ("length", "kl")
    q = distributions(3, len(one.reference), seed=2)
    losses = one.observe(q).losses
    torch.testing.assert_close(one.user_loss(q), 0.3 * losses["kl"] - losses["length"])
    whole = Randomised(measured)
    view = View(whole, Offer(["hits"], {"kl": 0.3, "length": -1}))
    torch.testing.assert_close(view.exposure(q), one.exposure(q))
    torch.testing.assert_close(view.user_loss(q), one.user_loss(q))
    weights = torch.tensor([[[0.5], [-0.25]]], dtype=F64)
    assert torch.equal(view.maximise(weights, 0.5), one.maximise(weights, 0.5))
    assert not is_separable(whole)
    assert maximises_exactly(whole)


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 2.0]), st.booleans())
def test_no_distribution_is_worth_more_than_the_maximum(seed: int, user_weight: float, mixed: bool) -> None:
    place = quarter_list(seed, bidders=2, entries=5, contexts=2)
    randomised = Randomised(place, distributions(1, 5, seed)[0] if mixed else None)
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randint(-4, 9, (8, 2, 1), generator=generator).double() / 4
    for context in (None, torch.randint(0, 2, (8,), generator=generator)):

        def worth(q: Tensor, context: Tensor | None = context) -> Tensor:
            bought = (weights * randomised.exposure(q, context)).sum((1, 2))
            return bought - user_weight * randomised.user_loss(q, context)

        best = randomised.maximise(weights, user_weight, context)
        for rival in (distributions(8, 5, seed + k) for k in range(4)):
            assert bool((worth(rival) <= worth(best) + 1e-12).all())
        sure = worth(best)
        listed = randomised.finite_range(context)
        scores = torch.einsum("bif,bkif->bk", weights, listed.exposures.expand(8, -1, -1, -1))
        scores = scores - user_weight * listed.user_losses
        torch.testing.assert_close(sure, scores.amax(1))
        torch.testing.assert_close(  # what the substrate itself would do, where the reference is no better
            torch.maximum(sure, scores[:, 0]),
            torch.maximum(_worth_of(place, weights, user_weight, context), scores[:, 0]),
        )


def _worth_of(place: Substrate, weights: Tensor, user_weight: float, context: Tensor | None) -> Tensor:
    best = place.maximise(weights, user_weight, context)
    return (weights * place.exposure(best, context)).sum((1, 2)) - user_weight * place.user_loss(best, context)


def test_what_is_drawn_follows_the_distribution() -> None:
    randomised = Randomised(Bundles.llg())
    q = torch.tensor([0.5, 0.3, 0.2, 0.0, 0.0]).repeat(20_000, 1)
    drawn = randomised.draw(q, torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=5) / len(drawn)
    assert float((shares - q[0]).abs().max()) < 4 * math.sqrt(0.25 / len(q))
    assert not bool(shares[3:].any())
    with pytest.raises(ValueError, match="only a distribution over 5 entries"):
        randomised.draw(torch.ones(1, 5), torch.Generator())


@pytest.mark.parametrize("place", [QuadraticSubstrate(2, 0.5), Items(2, 3), View(QuadraticSubstrate(2), ["exposure"])])
def test_what_has_no_finite_range_is_refused(place: Substrate) -> None:
    with pytest.raises(ValueError, match=f"needs a finite range, and {type(place).__name__} has none"):
        Randomised(place)


@pytest.mark.parametrize(
    "reference",
    [torch.ones(5) / 4, torch.ones(4) / 4, torch.tensor([1.5, -0.5, 0.0, 0.0, 0.0]), torch.full((5,), torch.nan)],
    ids=["too much", "too few", "negative", "nan"],
)
def test_a_reference_is_a_distribution_over_the_range(reference: Tensor) -> None:
    with pytest.raises(ValueError, match="reference must be 5 probabilities that sum to 1"):
        Randomised(Bundles.llg(), reference)


def test_a_lottery_is_a_case_of_it() -> None:
    """One list of numbers, once as a lottery and once as a range that is randomised."""
    place = quarter_list(8, bidders=2, entries=4, features=2)
    listed, reference = place.finite_range(), spread(4)
    lottery, randomised = Lottery(listed.exposures[0], listed.user_losses[0], reference), Randomised(place, reference)
    assert isinstance(lottery, Randomised)
    q, weights = distributions(5, 4, seed=3), distributions(5, 4, seed=4).view(5, 2, 2)
    for one, other in zip(lottery.finite_range(), randomised.finite_range(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(lottery.exposure(q), randomised.exposure(q))
    assert torch.equal(lottery.user_loss(q), randomised.user_loss(q))
    assert torch.equal(lottery.maximise(weights, 0.5), randomised.maximise(weights, 0.5))
    tilts = [KLTilt(one, 0.5, ChiSquared(), 0.25)(weights) for one in (lottery, randomised)]
    assert torch.equal(tilts[0].payments, tilts[1].payments)


def test_files_describe_a_lottery_as_ever_and_name_the_range_that_is_randomised() -> None:
    lottery = Lottery(torch.ones(2, 3, 1), torch.zeros(2))
    plain = {"num_bidders": 3, "features": ["feature_0"], "levers": [], "contexts": []}
    assert described(lottery) == {"kind": "Lottery", **plain, "loss": {"charged": "loss", "unit": "loss"}}
    place = fake_list(3).sell("hits")
    over = described(Randomised(place))
    assert over is not None
    assert over["kind"] == "Randomised"
    assert over["range"] == described(place)


def test_replies_that_were_drawn_before_any_bid_are_tilted_by_the_known_law() -> None:
    """π_ref (.8, .15, .05), rewards 2 on reply 2 and 3 on reply 3, τ = 1: π ∝ π_ref exp(r), t_i = KL(π‖π_−i)."""
    exposures = torch.tensor([[[0.0], [0.0]], [[1.0], [0.0]], [[0.0], [1.0]]])
    lottery = Lottery(exposures, torch.zeros(3), torch.tensor([0.8, 0.15, 0.05], dtype=F64))
    bids = torch.tensor([[[2.0], [3.0]]], dtype=F64)
    outcome = KLTilt(lottery, 1.0)(bids)
    assert outcome.allocation[0].tolist() == pytest.approx([0.274665, 0.380535, 0.344800], abs=1e-6)
    assert outcome.payments[0].tolist() == pytest.approx([0.362031, 0.637449], abs=1e-6)
    distance = (outcome.allocation * (outcome.allocation / lottery.reference).log()).sum()
    objective = (bids * lottery.exposure(outcome.allocation)).sum() - distance
    assert float(objective) == pytest.approx(1.069058, abs=1e-6)
    assert float(objective) == pytest.approx(math.log(0.8 + 0.15 * math.exp(2) + 0.05 * math.exp(3)))


def test_the_law_of_one_reply_chosen_among_four_that_were_drawn() -> None:
    """Every one of the 3⁴ draws is a lottery whose repeats are kept: the tilt's law on average is the known one."""
    law, rewards = torch.tensor([0.8, 0.15, 0.05], dtype=F64), torch.tensor([0.0, 2.0, 3.0], dtype=F64)
    marginal = torch.zeros(3, dtype=F64)
    for draws in itertools.product(range(3), repeat=4):
        replies = torch.tensor(draws)
        lottery = Lottery(rewards[replies].view(4, 1, 1), torch.zeros(4))
        tilted = KLTilt(lottery, 1.0)(torch.ones(1, 1, 1, dtype=F64)).allocation[0]
        marginal.index_add_(0, replies, law[replies].prod() * tilted)
    assert marginal.tolist() == pytest.approx([0.527127, 0.325323, 0.147550], abs=1e-6)


def test_contexts_are_tilted_each_by_itself() -> None:
    place = fake_list(3).sell("slot_probability")
    randomised = Randomised(place, spread(len(place.finite_range().allocations)))
    rule = KLTilt(randomised, 0.2, user_weight=0.5)
    bids = torch.rand(12, 3, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    context = torch.arange(12) % len(CONTEXTS)
    outcome = rule(bids, context)
    for k in range(len(CONTEXTS)):
        listed = place.finite_range(torch.tensor([k]))
        alone = KLTilt(Lottery(listed.exposures[0], listed.user_losses[0], randomised.reference), 0.2, user_weight=0.5)
        rows = context == k
        there = alone(bids[rows])
        torch.testing.assert_close(outcome.allocation[rows], there.allocation)
        torch.testing.assert_close(outcome.payments[rows], there.payments)
    means = place.finite_range()
    averaged = KLTilt(Lottery(means.exposures[0], means.user_losses[0], randomised.reference), 0.2, user_weight=0.5)
    torch.testing.assert_close(rule(bids).payments, averaged(bids).payments)
    assert rule(bids[:0], context[:0]).allocation.shape == (0, len(randomised.reference))


RANGE = Randomised(fake_subsets(2).sell("slot_probability"), spread(4))


@pytest.mark.parametrize(
    "rule",
    [
        VCG(RANGE, 0.5),
        VirtualWelfareMaximizer(RANGE, Uniform(0, 1), 0.5),
        KLTilt(RANGE, 0.1, user_weight=0.5),
    ],
    ids=["VCG", "optimum", "tilt"],
)
def test_truth_is_dominant_on_it(rule: VCG | VirtualWelfareMaximizer | KLTilt) -> None:
    assert rule.dsic_proof(RANGE) is not None
    assert rule.dsic_proof(Randomised(fake_subsets(2).sell("slot_probability"), spread(4))) is None
    if not isinstance(rule, VirtualWelfareMaximizer):  # which takes long
        check_mechanism(rule, RANGE, dsic=True, individually_rational=True, examples=2)
    generator = torch.Generator().manual_seed(0)
    truth, context = torch.rand(40, 2, 1, generator=generator, dtype=F64), torch.arange(40) % len(CONTEXTS)

    def utility(bids: Tensor) -> Tensor:
        outcome = rule(bids, context)
        return (truth * RANGE.exposure(outcome.allocation, context)).sum(2) - outcome.payments

    honest = utility(truth)
    for i, lies in itertools.product(range(2), (0.0, 0.3, 1.0, 1.7)):
        mixed = truth.clone()
        mixed[:, i] = lies * truth[:, i]
        assert float((utility(mixed) - honest)[:, i].max()) <= 1e-9
    assert ex_post_regret(rule, RANGE, truth[:4], context=context[:4]).max <= 1e-9


def test_a_first_price_rule_on_it_has_regret() -> None:
    """So that a regret of 0 above can fail."""
    truth = torch.full((2, 2, 1), 0.9, dtype=F64)
    assert ex_post_regret(PayAsBid(RANGE, 0.5), RANGE, truth).max > 0.01


def test_a_time_sharing_is_an_allocation_of_it() -> None:
    """Designed on A, scored on B by the same shares: what is scored is the expectation of B's entries."""
    both = fake_list(3)
    a, b = (both.sell("hits").replicate(name) for name in ("A", "B"))
    listed = a.finite_range()
    shares = best_mixture(listed.exposures[0, :, 1, 0], listed.user_losses[0], 0.02)
    q = shares.shares.unsqueeze(0)
    assert float(Randomised(a).exposure(q)[0, 1, 0]) == pytest.approx(shares.exposure)
    assert float(Randomised(a).user_loss(q)) == pytest.approx(shares.loss)
    assert float(Randomised(b).user_loss(q)) == pytest.approx(float(q[0] @ b.finite_range().user_losses[0]))
