"""The printed optimum against a linear program over all honest mechanisms, and what supports above 0 change."""

import pytest
import torch
from finite_list import FiniteList, quarter_list
from honest_program import Types, best_honest_objective, types_of
from torch import Tensor

from auctionsim.mechanisms import VirtualWelfareMaximizer
from auctionsim.mechanisms.virtual_welfare import BelowSupport
from auctionsim.priors import Empirical, Mixture, Prior, Uniform, product
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import Items, Lottery, Positions, QuadraticSubstrate, Substrate

F64 = torch.float64
BOTH = Lottery(torch.tensor([[[0.0], [0.0]], [[1.0], [1.0]]], dtype=F64), torch.zeros(2), torch.tensor([1.0, 0.0]))


def referee_case(seed: int, types: int = 6) -> tuple[Substrate, list[Types], float]:
    """Return a random substrate of two bidders: a lottery or a list, with crosstalk and organic exposure."""
    g = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=F64)

    entries = 2 + int(torch.randint(5, (), generator=g))
    exposures = rand(entries, 2) * (rand(entries, 2) < 0.8)
    losses = rand(entries) * (rand(()) < 0.7)
    losses[0] = 0
    bidders = []
    for _ in range(2):
        start = 0.0 if rand(()) < 0.3 else float(3 * rand(()))
        width, scale = float(0.2 + 2 * rand(())), 10.0 ** int(torch.randint(-1, 2, (), generator=g))
        values = start + width * rand(types)
        values[0] = start
        chances = 0.02 + rand(types) ** 3  # many of them irregular
        bidders.append(types_of(scale * values, chances))
    if seed % 2:
        reference = rand(entries)
        substrate: Substrate = Lottery(exposures.unsqueeze(2), losses, reference / reference.sum())
    else:
        substrate = FiniteList(exposures.view(1, entries, 2, 1), losses.unsqueeze(0))
    return substrate, bidders, float(rand(()))


def agrees(seed: int) -> bool:
    """Tell whether the printed optimum, what truthful bidders bring, and the program's value are one number."""
    substrate, bidders, user_weight = referee_case(seed)
    priors = [Empirical(one.values, one.chances) for one in bidders]
    rule = VirtualWelfareMaximizer(substrate, priors, user_weight)
    listed = product(priors, 2).profiles(36)
    assert listed is not None
    valuations, chances = listed
    outcome = rule(valuations)
    earned = outcome.payments.sum(1) - user_weight * substrate.user_loss(outcome.allocation)
    found = substrate.finite_range()
    program = best_honest_objective(bidders, found.exposures[0, :, :, 0], found.user_losses[0], user_weight)
    printed = rule.optimum()
    assert printed.interval is None
    allowed = 1e-6 * max(1.0, abs(program))
    return all(abs(ours - program) <= allowed for ours in (printed.objective, float((chances * earned).sum())))


@pytest.mark.parametrize("seed", range(12))
def test_nothing_honest_beats_the_optimum(seed: int) -> None:
    assert agrees(seed)


@pytest.mark.deep
def test_nothing_honest_beats_the_optimum_on_a_hundred_substrates() -> None:
    assert [seed for seed in range(100, 200) if not agrees(seed)] == []


def test_the_referee_sees_what_the_ignored_keep() -> None:
    """The rule that leaves everybody the outcome of being ignored brings less wherever a support starts above 0."""
    behind = 0
    for seed in range(12):
        substrate, bidders, user_weight = referee_case(seed)
        priors = [Empirical(one.values, one.chances) for one in bidders]
        best, kept = (
            VirtualWelfareMaximizer(substrate, priors, user_weight, below_support=word).optimum().objective
            for word in ("threat", "ignored")
        )
        assert kept <= best + 1e-9
        if all(float(one.values[0]) == 0 for one in bidders):
            assert kept == pytest.approx(best, abs=1e-9)
        behind += kept < best - 1e-3
    assert behind >= 6


def test_truthful_on_average_is_worth_no_more() -> None:
    """Bayesian honesty asks less of a mechanism; with independent values it brings nothing on top."""
    for seed in (1, 4):
        substrate, bidders, user_weight = referee_case(seed, types=3)
        found = substrate.finite_range()
        given = (bidders, found.exposures[0, :, :, 0], found.user_losses[0], user_weight)
        program = best_honest_objective(*given, in_expectation=True)
        priors = [Empirical(one.values, one.chances) for one in bidders]
        ours = VirtualWelfareMaximizer(substrate, priors, user_weight).optimum().objective
        assert ours == pytest.approx(program, abs=1e-6 * max(1.0, abs(program)))


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_the_threat_does_not_depend_on_what_the_rivals_bid(scale: float) -> None:
    """One reply names both: whoever bids below its support ends the sale, however much the rival would pay for it."""
    rule = VirtualWelfareMaximizer(BOTH, [Uniform(1, 1.9), Uniform(scale, 1.9 * scale)])
    assert rule.optimum(nodes=40).objective == pytest.approx(1 + scale, rel=1e-9)
    bids = torch.tensor([[[1.0], [scale]], [[0.999], [2 * scale]], [[1.5], [0.5 * scale]]], dtype=F64)
    outcome = rule(bids)
    assert torch.allclose(outcome.payments, torch.tensor([[1.0, scale], [0.0, 0.0], [0.0, 0.0]], dtype=F64))


def test_among_the_least_exposures_the_rest_decides() -> None:
    """Bidder 0 below its support gets .25 whatever is done; of the entries that leave it there the rival's is best."""
    exposures = torch.tensor([[[[0.5], [0.0]], [[0.25], [0.5]], [[0.25], [1.0]], [[1.0], [2.0]]]])
    rule = VirtualWelfareMaximizer(FiniteList(exposures, torch.zeros(1, 4)), Uniform(1, 2))
    outcome = rule(torch.tensor([[[0.5], [1.5]], [[1.0], [1.5]]], dtype=F64))
    assert outcome.allocation[:, 0, 0].tolist() == [2, 3]
    # What cannot be taken from it is charged at the lowest type's value, so that this type keeps nothing anywhere.
    assert outcome.payments[:, 0].tolist() == [0.25, 1.0]


@pytest.mark.parametrize("place", [QuadraticSubstrate(2, 0.7), Positions(2, (1.0, 0.5)), Items(2)], ids=repr)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_the_threat_where_the_substrate_maximises(place: Substrate, scale: float) -> None:
    """A bid below the support gets nothing, the rival what it gets alone; nobody gains by going there."""
    rule = VirtualWelfareMaximizer(place, [Uniform(1, 2), Uniform(scale, 2 * scale)], 0.5)
    bids = torch.tensor([[[0.5], [1.7 * scale]], [[0.5], [0.5 * scale]]], dtype=F64)
    outcome = rule(bids)
    exposure = place.exposure(outcome.allocation).squeeze(2)
    assert float(exposure[0, 0]) == 0
    assert float(exposure[1].abs().max()) == 0
    alone = place.maximise(torch.tensor([[[0.0], [1.4 * scale]]], dtype=F64), 0.5)
    assert float(exposure[0, 1]) == pytest.approx(float(place.exposure(alone)[0, 1, 0]))
    assert float(outcome.payments.min()) >= 0


def test_supports_with_gaps_and_late_starts() -> None:
    """One item, one bidder: the best price is known. Types between 2 and 3 do not exist, nor any below 1."""
    for prior, best in [
        (Mixture([Uniform(1, 2), Uniform(3, 4)], [0.5, 0.5]), 1.5),  # price 3 sells half of the time
        (Mixture([Uniform(1, 2), Uniform(3, 4)], [0.9, 0.1]), 1.9**2 / 3.6),  # p (1 − .9 (p − 1)) at p = 1.9 / 1.8
        (Late(), 1.0),
    ]:
        rule = VirtualWelfareMaximizer(Items(1), prior)
        assert rule.optimum(nodes=2000).objective == pytest.approx(best, abs=2e-5)
        types = prior.quantile((torch.arange(2000, dtype=F64) + 0.5) / 2000).view(-1, 1, 1)
        assert float(rule(types).payments.mean()) == pytest.approx(best, abs=2e-4)
        assert float((types[:, 0, 0] - rule(types).payments[:, 0]).min()) >= -1e-9  # everybody is sold to or pays 0


class Late(Prior):
    """U[1, 2], said to lie in [0, 2]."""

    def __init__(self) -> None:
        super().__init__(0.0, 2.0, 1.5, ())

    def _cdf(self, v: Tensor) -> Tensor:
        return (v - 1).clamp(0, 1)

    def _pdf(self, v: Tensor) -> Tensor:
        return (v >= 1).to(v)

    def _quantile(self, q: Tensor) -> Tensor:
        return 1 + q


def test_where_a_support_starts() -> None:
    assert Late().support_low == pytest.approx(1.0, abs=1e-15)
    assert [prior.support_low for prior in (Uniform(1, 2), Uniform(0, 1), Empirical([3.0, 0.5]))] == [1.0, 0.0, 0.5]
    assert float(Late().curve.evaluate(torch.tensor([1.0, 1.5], dtype=F64))[1]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("below_support", ["threat", "ignored"])
def test_the_optimum_is_what_is_paid_in_every_context(below_support: BelowSupport) -> None:
    prior = Empirical([0.5, 0.75, 1.0, 1.5], [1.0, 2.0, 0.5, 1.0])
    for seed in range(4):
        substrate = quarter_list(seed, bidders=2, entries=5, contexts=2)
        rule = VirtualWelfareMaximizer(substrate, prior, 0.25, below_support=below_support)
        listed = product(prior, 2).profiles(16)
        assert listed is not None
        valuations, chances = listed
        for context in (0, 1, None):
            told = None if context is None else torch.full((16,), context)
            outcome = rule(valuations, told)
            loss = substrate.user_loss(outcome.allocation, told)
            printed = rule.optimum(context=context)
            assert printed.below_support == below_support
            assert float((chances * outcome.payments.sum(1)).sum()) == pytest.approx(printed.revenue, abs=1e-9)
            assert float((chances * loss).sum()) == pytest.approx(printed.user_loss, abs=1e-9)


def test_float32_types_are_in_the_support() -> None:
    """What is drawn in float32 from U[.7, 1.2] may be the number below .7; it is a type all the same."""
    for prior in (Uniform(0.7, 1.2), Empirical([0.7, 0.7])):
        rule = VirtualWelfareMaximizer(BOTH, prior)
        drawn = product(prior, 2).quantile(torch.tensor([[[0.0], [0.0]], [[1e-12], [0.5]]]), torch.float32)
        assert torch.allclose(rule(drawn).payments, torch.full((2, 2), 0.7))
        assert torch.allclose(rule(torch.full((1, 2, 1), 0.7)).payments, torch.full((1, 2), 0.7))


def test_paid_elsewhere_the_breakpoints_hold_the_start_of_the_support(generator: torch.Generator) -> None:
    """Designed on one list, paid by another: an exact regret that no search beats, with rivals below their support."""
    here, there = (quarter_list(seed, bidders=2, entries=6) for seed in (3, 4))
    v = torch.randint(0, 9, (60, 2, 1), generator=generator).double() / 4
    for prior in (Uniform(1, 2), Empirical([0.5, 1.0, 1.25])):
        rule = VirtualWelfareMaximizer(here, prior, 0.25)
        exact = ex_post_regret(rule, there, v, high=2.5)
        assert exact.method.startswith("exact")
        assert exact.upper is not None
        searched = ex_post_regret(rule, there, v, high=2.5, bounds=BoundSettings(use_structure=False), budget=256)
        assert bool((exact.upper >= searched.lower - 1e-9).all())
        assert float((exact.upper - exact.lower).max()) < 1e-4
        assert exact.mean > 0


def test_equality_and_print_say_which_rule_it_is() -> None:
    place = QuadraticSubstrate(2, 0.5)
    rules = [
        VirtualWelfareMaximizer(place, Uniform(1, 2)),
        VirtualWelfareMaximizer(place, Uniform(1, 2), below_support="ignored"),
        VirtualWelfareMaximizer(place, Uniform(1, 3)),
        VirtualWelfareMaximizer(place, Uniform(1, 2), 0.5),
        VirtualWelfareMaximizer(QuadraticSubstrate(2, 0.25), Uniform(1, 2)),
        VirtualWelfareMaximizer(BOTH, Uniform(1, 2)),
        VirtualWelfareMaximizer(BOTH, Uniform(1, 2), no_suppression=True),
    ]
    assert [[one == other for other in rules] for one in rules] == torch.eye(len(rules), dtype=torch.bool).tolist()
    again = VirtualWelfareMaximizer(QuadraticSubstrate(2, 0.5), [Uniform(1, 2)] * 2)
    assert again == rules[0]
    assert hash(again) == hash(rules[0])
    assert [repr(rule).count("threat") for rule in rules] == [1, 0, 1, 1, 1, 1, 1]
    with pytest.raises((ValueError, TypeError), match=r"'none'"):  # under test the type checker speaks first
        VirtualWelfareMaximizer(place, Uniform(1, 2), below_support="none")  # type: ignore[arg-type]
