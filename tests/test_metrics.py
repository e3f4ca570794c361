"""Metrics against hand-made outcomes, their refusals, and the coverage of their intervals."""

import pytest
import torch

from auctionsim import metrics
from auctionsim.mechanisms import Menu, MenuAuction
from auctionsim.mechanisms.pay_as_bid import PayAsBid
from auctionsim.mechanisms.vcg import VCG
from auctionsim.outcome import Outcome
from auctionsim.substrates import Items, QuadraticSubstrate, View

PER_ROW = (metrics.revenue, metrics.welfare, metrics.efficiency, metrics.user_loss)
PER_BIDDER = (metrics.utility, metrics.ir_violation, metrics.participation_gain)


class Organic:
    """Two bidders, one lever each; e_1 = 1/2 + x_1/2 − x_2/2, e_2 = x_2: exposure without any auction."""

    num_bidders = 2
    features = ("exposure",)
    levers = QuadraticSubstrate(2).levers
    contexts = ()

    def null_allocation(self, batch, *, dtype=None, device=None):
        return torch.zeros(batch, 2, 1, dtype=dtype, device=device)

    def feasible(self, allocation):
        return ((allocation >= 0) & (allocation <= 1)).flatten(1).all(1)

    def exposure(self, allocation, context=None):
        first, second = allocation[:, 0], allocation[:, 1]
        return torch.stack([0.5 + first / 2 - second / 2, second], dim=1)

    def user_loss(self, allocation, context=None):
        return allocation.sum((1, 2))

    def maximise(self, weights, user_weight, context=None):
        raise NotImplementedError("not needed")


def test_one_outcome_by_hand() -> None:
    substrate = QuadraticSubstrate(2, crosstalk=0.5)
    outcome = Outcome(torch.tensor([[[1.0], [0.5]]]), torch.tensor([[0.5, 0.25]]))
    v = torch.tensor([[[0.5], [1.0]]])  # exposure 1 (1 − .25) = .75 and .5 (1 − .5) = .25
    assert metrics.utility(outcome, substrate, v).tolist() == [[-0.125, 0.0]]
    assert metrics.ir_violation(outcome, substrate, v).tolist() == [[0.125, 0.0]]
    assert metrics.participation_gain(outcome, substrate, v).tolist() == [[-0.125, 0.0]]
    assert metrics.revenue(outcome, substrate, v).tolist() == [0.75]
    assert metrics.welfare(outcome, substrate, v).tolist() == [0.625]  # before payments
    assert metrics.user_loss(outcome, substrate, v).tolist() == [0.625]
    assert metrics.efficiency(outcome, substrate, v).tolist() == [0.625]  # the best: bidder 2 alone, worth 1


def test_a_subsidy_is_a_negative_payment() -> None:
    outcome = Outcome(torch.zeros(1, 2, 1), torch.tensor([[-0.25, 0.5]]))
    v = torch.ones(1, 2, 1)
    assert metrics.utility(outcome, Items(2), v).tolist() == [[0.25, -0.5]]
    assert metrics.revenue(outcome, Items(2), v).tolist() == [0.25]
    assert metrics.ir_violation(outcome, Items(2), v).tolist() == [[0.0, 0.5]]


def test_participation_gain_counts_suppressed_organic_exposure() -> None:
    outcome = Outcome(torch.tensor([[[0.0], [1.0]]]), torch.zeros(1, 2))
    gain = metrics.participation_gain(outcome, Organic(), torch.tensor([[[1.0], [0.25]]]))
    assert gain.tolist() == [[-0.5, 0.25]]
    assert metrics.ir_violation(outcome, Organic(), torch.ones(1, 2, 1)).tolist() == [[0.0, 0.0]]


class Seasonal(Organic):
    """The same in two contexts: unpaid exposure is twice as large in the second, and three halves of it on average."""

    contexts = ("winter", "summer")

    def exposure(self, allocation, context=None):
        factor = torch.tensor([1.0, 2.0, 1.5])[torch.full((len(allocation),), 2) if context is None else context]
        return factor.view(-1, 1, 1) * super().exposure(allocation)


def test_participation_gain_is_against_the_null_of_the_same_context() -> None:
    """Bidder 0 loses an unpaid half, which is worth 1/2, 1 and 3/4; bidder 1 gains what it gets."""
    x, context = torch.tensor([[[0.0], [1.0]]]).repeat(2, 1, 1), torch.tensor([0, 1])
    outcome, v = Outcome(x, torch.zeros(2, 2)), torch.tensor([[[1.0], [0.25]]]).repeat(2, 1, 1)
    assert metrics.participation_gain(outcome, Seasonal(), v, context).tolist() == [[-0.5, 0.25], [-1.0, 0.5]]
    assert metrics.participation_gain(outcome, Seasonal(), v, context.flip(0)).tolist() == [[-1.0, 0.5], [-0.5, 0.25]]
    assert metrics.participation_gain(outcome, Seasonal(), v).tolist() == [[-0.75, 0.375]] * 2


def test_values_sum_over_features() -> None:
    outcome = Outcome(torch.tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]]), torch.tensor([[0.25, 0.0]]))
    v = torch.tensor([[[0.25, 1.0, 0.5], [0.5, 0.25, 1.0]]])
    assert metrics.utility(outcome, Items(2, 3), v).tolist() == [[0.25, 0.75]]
    assert metrics.efficiency(outcome, Items(2, 3), v).tolist() == [0.5]  # of .5 + 1 + 1


def test_efficiency_is_one_for_vcg_and_where_nothing_is_worth_anything(generator: torch.Generator) -> None:
    for substrate in (Items(3, 2), QuadraticSubstrate(3, crosstalk=0.25)):
        v = torch.rand(64, 3, len(substrate.features), generator=generator, dtype=torch.float64)
        torch.testing.assert_close(metrics.efficiency(VCG(substrate)(v), substrate, v), torch.ones(64).double())
    nothing = torch.zeros(2, 2, 1)
    assert metrics.efficiency(VCG(Items(2))(nothing), Items(2), nothing).tolist() == [1.0, 1.0]


def test_welfare_is_utilities_plus_revenue_in_every_row(generator: torch.Generator) -> None:
    substrate = QuadraticSubstrate(3, crosstalk=0.5)
    v = torch.rand(32, 3, 1, generator=generator, dtype=torch.float64)
    outcome = PayAsBid(substrate, user_weight=1.0)(v * 0.75)
    total = metrics.utility(outcome, substrate, v).sum(1) + metrics.revenue(outcome, substrate, v)
    torch.testing.assert_close(total, metrics.welfare(outcome, substrate, v))


@pytest.mark.parametrize("metric", [*PER_ROW, *PER_BIDDER], ids=lambda metric: metric.__name__)
def test_rows_do_not_touch_each_other(metric, generator: torch.Generator) -> None:
    substrate = QuadraticSubstrate(3, crosstalk=0.25)
    v = torch.randint(5, (6, 3, 1), generator=generator).double() / 4
    outcome = PayAsBid(substrate)(v / 2)
    batched = metric(outcome, substrate, v)
    assert batched.shape == ((6,) if metric in PER_ROW else (6, 3))
    for k in range(6):
        row = Outcome(outcome.allocation[k : k + 1], outcome.payments[k : k + 1])
        torch.testing.assert_close(metric(row, substrate, v[k : k + 1])[0], batched[k], rtol=0, atol=0)
    assert metrics.utility(outcome, substrate, v).std() > 0  # or equal rows would hide a permutation


@pytest.mark.parametrize("metric", [*PER_ROW, *PER_BIDDER], ids=lambda metric: metric.__name__)
def test_mismatches_are_refused(metric) -> None:
    outcome, v = VCG(Items(2))(torch.ones(3, 2, 1)), torch.ones(3, 2, 1)
    with pytest.raises(ValueError, match=r"allocation must be .* another substrate"):
        metric(Outcome(torch.zeros(3, 2, 2), torch.zeros(3, 2)), Items(2), v)
    with pytest.raises(ValueError, match="one row an auction: 2 rows for 3"):
        metric(outcome, Items(2), v[:2])
    with pytest.raises(ValueError, match="valuations must have shape"):
        metric(outcome, Items(2), torch.ones(3, 2, 2))
    with pytest.raises(ValueError, match="valuations must be finite and >= 0, got -1"):
        metric(outcome, Items(2), -v)
    with pytest.raises(TypeError, match="valuations must be a floating-point"):
        metric(outcome, Items(2), torch.ones(3, 2, 1, dtype=torch.int64))
    with pytest.raises(ValueError, match="payments must have shape"):
        metric(Outcome(outcome.allocation, torch.zeros(3)), Items(2), v)
    with pytest.raises(ValueError, match="no contexts"):
        metric(outcome, Items(2), v, torch.zeros(3, dtype=torch.int64))


def test_a_null_that_takes_a_count_of_rows_alone_is_converted() -> None:
    """Nothing more is asked of who inherits nothing: evaluators, views and menus bring their dtype themselves."""

    class Bare(Organic):
        def null_allocation(self, batch):
            return torch.zeros(batch, 2, 1)

    bids = torch.tensor([[[0.75], [0.25]], [[0.5], [1.0]]], dtype=torch.float64)
    outcomes = {}
    for place in (Bare(), Organic(), View(Bare(), ["exposure"])):
        outcome = MenuAuction(place, Menu(torch.ones(2, 1, 1), torch.full((2, 1), 0.25)))(bids)
        outcomes[type(place)] = metrics.participation_gain(outcome, place, bids)
        assert outcomes[type(place)].dtype == torch.float64
    assert torch.equal(outcomes[Bare], outcomes[Organic])
    assert torch.equal(outcomes[View], outcomes[Organic])


def test_intervals_cover(generator: torch.Generator) -> None:
    """At 40 skewed samples 95 % intervals hold the mean in 91 to 97 % of 400 runs (Student is a bit short)."""
    student = bootstrap = 0
    for _ in range(400):
        samples = torch.rand(40, generator=generator) ** 2  # mean 1/3
        interval = metrics.mean_interval(samples)
        student += interval.low <= 1 / 3 <= interval.high
        low, high = metrics.bootstrap_interval(samples, generator, resamples=300)
        bootstrap += low <= 1 / 3 <= high
    assert 0.91 <= student / 400 <= 0.975
    assert 0.90 <= bootstrap / 400 <= 0.975


def test_interval_refuses_what_has_no_interval(generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="at least two"):
        metrics.mean_interval(torch.ones(1))
    with pytest.raises(ValueError, match="finite"):
        metrics.bootstrap_interval(torch.tensor([1.0, float("nan")]), generator)
    with pytest.raises(ValueError, match="strictly between"):
        metrics.mean_interval(torch.ones(3), confidence=1.0)
