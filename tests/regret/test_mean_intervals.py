"""Intervals for the mean over rows: right when gains are rare or large, exactly 0 under a proof."""

import pytest
import torch
from torch import Tensor

from auctionsim.mechanisms import VCG, FirstPrice, SecondPrice
from auctionsim.outcome import Outcome
from auctionsim.priors import Empirical, Uniform
from auctionsim.regret import InterimSettings, deployed_regret, ex_interim_regret, ex_post_regret
from auctionsim.regret.betting import betting_interval
from auctionsim.regret.payoff_range import exposure_range
from auctionsim.substrates import Items, Lottery, Positions, QuadraticSubstrate


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("rows", "chance"), [(64, 0.01), (64, 0.3), (1000, 0.001), (16, 0.05)])
def test_rare_gains_are_covered(rows: int, chance: float) -> None:
    """Gains of the whole range in a share of the rows; at least 95 % of 200 runs, and the mean itself always."""
    held = 0
    for seed in range(200):
        gains = (torch.rand(rows, generator=seeded(seed)) < chance).double()
        low, high = betting_interval(gains, 1.0)
        held += low <= chance <= high
        assert 0 <= low <= float(gains.mean()) <= high <= 1
    assert held >= 190


def test_heavy_tails_are_covered() -> None:
    """Gains u⁹: mean .1, half of all rows below .002."""
    held = 0
    for seed in range(200):
        low, high = betting_interval(2.5 * torch.rand(50, generator=seeded(seed)).double() ** 9, 2.5)
        held += low <= 0.25 <= high
    assert held >= 190


def test_the_interval_shrinks_and_scales(generator: torch.Generator) -> None:
    gains = 0.1 * torch.rand(4000, generator=generator).double()
    low, high = betting_interval(gains, 1.0)
    assert high - low < 0.01
    for unit in (1e-6, 1e6):
        scaled = betting_interval(gains * unit, unit)
        assert scaled.low == pytest.approx(low * unit)
        assert scaled.high == pytest.approx(high * unit)
    nothing = betting_interval(torch.zeros(64), 1.0)
    assert nothing.low == 0.0
    assert 0.03 < nothing.high < 0.12  # ln(40)/64 = .058 is the least that any rule may answer
    assert betting_interval(gains, 1.0, 0.5).high < high
    with pytest.raises(ValueError, match="samples must lie in"):
        betting_interval(torch.tensor([0.5, 2.0]), 1.0)
    with pytest.raises(ValueError, match="finite vector"):
        betting_interval(torch.tensor([]), 1.0)


def test_regret_that_one_row_in_a_hundred_has() -> None:
    """Whoever is worth more than .9 in one row of a hundred may have the item for nothing above .99."""

    def rule(bids: Tensor, context: Tensor | None = None) -> Outcome:
        outcome = SecondPrice()(bids)
        rare = (bids[:, 1:, 0] * 1000 % 100 < 1) & (bids[:, :1, 0] > 0.99)
        pays = torch.stack([torch.where(rare[:, 0], 0.0, outcome.payments[:, 0]), outcome.payments[:, 1]], 1)
        return Outcome(outcome.allocation, pays)

    found = [
        ex_post_regret(rule, Items(2), torch.rand(64, 2, 1, generator=seeded(s)).double(), budget=16, high=1.0)
        for s in range(12)
    ]
    truth = sum(one.mean for one in found) / len(found)
    assert truth > 0
    assert any(one.mean == 0 for one in found)
    assert all(one.interval.low <= truth <= one.interval.high for one in found)
    assert all(one.largest_gain == 1.0 for one in found)


def test_what_is_no_sample_has_no_sampling_error() -> None:
    v = torch.rand(20, 2, 1, generator=seeded(0), dtype=torch.float64)
    assert ex_post_regret(VCG(Items(2)), Items(2), v).interval == (0.0, 0.0)
    assert ex_post_regret(FirstPrice(), Items(2), v[:1]).interval is None
    both = deployed_regret(FirstPrice(), Items(2), Items(2), v)
    assert both.gap == 0.0
    assert both.interval.low <= 0 <= both.interval.high

    def generous(bids: Tensor, context: Tensor | None = None) -> Outcome:
        outcome = SecondPrice()(bids)
        return Outcome(outcome.allocation, outcome.payments - 50 * (bids[..., 0] == 0).double())

    given = ex_post_regret(generous, Items(2), v)
    assert given.interval is None
    assert "no interval: a row gains" in given.method


def test_ranges_of_exposure_are_stated_or_not() -> None:
    class Doubled(QuadraticSubstrate):
        def exposure(self, allocation, context=None):
            return 2 * super().exposure(allocation, context)

    class DoubledLottery(Lottery):
        def exposure(self, allocation, context=None):
            return 2 * super().exposure(allocation, context)

    given = torch.tensor([[[0.1], [0.3]], [[0.5], [0.2]]])
    assert exposure_range(Items(2, 3))[1].tolist() == [[1.0] * 3] * 2
    assert exposure_range(Positions(2, (0.75, 0.5)))[1].flatten().tolist() == [0.75, 0.75]
    ends = exposure_range(Lottery(given, torch.zeros(2)))
    torch.testing.assert_close(ends.squeeze(2), torch.tensor([[0.1, 0.2], [0.5, 0.3]]).double())
    assert exposure_range(Doubled(2)) is None
    assert exposure_range(DoubledLottery(given, torch.zeros(2))) is None


def test_a_rare_rival_is_allowed_for_under_a_proof() -> None:
    """A rival bids .8 once in 5,000, else 0: bidding .9 at a value of .2 then costs .6; few samples show it."""
    rival = Empirical([0.0] * 4999 + [0.8])
    v = torch.full((1, 2, 1), 0.2, dtype=torch.float64)
    held = 0
    for seed in range(40):
        found = ex_interim_regret(
            SecondPrice(),
            Items(2),
            [Uniform(0, 1), rival],
            valuations=v,
            settings=InterimSettings(reports=torch.full_like(v, 0.9)),
            draws=2048,
            generator=seeded(seed),
        )
        held += float(found.upper[0, 0]) >= 0.6 / 5000
        assert (found.upper >= found.lower).all()
    assert held == 40


def test_without_a_stated_range_nothing_is_certified() -> None:
    class Unstated(QuadraticSubstrate):
        def exposure(self, allocation, context=None):
            return super().exposure(allocation, context)

        def __eq__(self, other: object) -> bool:
            return self is other

        __hash__ = None

    place = Unstated(2)
    v = torch.full((2, 2, 1), 0.5, dtype=torch.float64)
    shaded = ex_interim_regret(
        VCG(place, 1.0), place, Uniform(0, 1), valuations=v, settings=InterimSettings(reports=v / 2), draws=256
    )
    assert shaded.upper is None
    assert "estimated" in shaded.method


def test_an_upper_end_that_the_search_refutes_is_withdrawn() -> None:
    """A rule that is taken for a first price and is free above .95."""

    class Free(FirstPrice):
        def clear(self, bids, context):
            outcome = super().clear(bids, context)
            return Outcome(outcome.allocation, torch.where(bids[..., 0] > 0.95, 0.0, outcome.payments))

    v = torch.full((1, 2, 1), 0.9, dtype=torch.float64)
    found = ex_interim_regret(Free(), Items(2), Uniform(0, 1), valuations=v, strategies=lambda x: x / 2)
    assert found.upper is None or bool((found.upper >= found.lower).all())
    assert found.lower.min() > 0.3
