"""Ex-interim regret against closed forms; intervals that hold the truth and are not vacuous; bounds above it."""

import pytest
import torch
from torch import Tensor

from auctionsim.mechanisms import VCG, AllPay, FirstPrice, PayAsBid, SecondPrice
from auctionsim.outcome import Outcome
from auctionsim.priors import Exponential, Uniform
from auctionsim.regret import (
    InterimSettings,
    bounded_mean_interval,
    ex_interim_regret,
    ex_post_regret,
    exploitability,
    nash_conv,
)
from auctionsim.substrates import Items, QuadraticSubstrate

UNIT = Uniform(0.0, 1.0)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ladder(n: int, steps: int = 9) -> Tensor:
    """The same valuation for all bidders in each row, from 0 to 1."""
    return torch.linspace(0, 1, steps).view(-1, 1, 1).repeat(1, n, 1)


@pytest.mark.parametrize("n", [2, 3])
def test_truthful_first_price(n: int) -> None:
    """Best is (n−1)v/n, worth vⁿ (n−1)ⁿ⁻¹ / nⁿ: v²/4 against one rival."""
    v = ladder(n)
    exact = v[..., 0] ** n * (n - 1) ** (n - 1) / n**n
    found = ex_interim_regret(FirstPrice(), Items(n), UNIT, valuations=v, draws=2**14, generator=seeded(1))
    torch.testing.assert_close(found.lower, exact.double(), rtol=0, atol=0.01)
    assert (found.pointwise[0] <= exact).all()
    assert (exact <= found.pointwise[1]).all()
    assert found.interval.low <= exact.mean() <= found.interval.high
    assert (found.upper >= exact - 1e-7).all()
    assert (found.upper - exact).max() < 0.02
    assert found.interval.high - found.interval.low < 0.03


@pytest.mark.parametrize(("n", "exact"), [(2, 1 / 12), (3, 1 / 27)])
def test_truthful_first_price_ex_ante(n: int, exact: float) -> None:
    found = ex_interim_regret(FirstPrice(), Items(n), UNIT, generator=seeded(2))
    assert found.interval.low <= exact <= found.interval.high
    assert found.mean == pytest.approx(exact, abs=0.006)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_first_price_equilibrium(n: int) -> None:
    """The estimate is negative, for it scores a chosen deviation, but by less than .001, and its interval holds 0."""
    v = ladder(n, steps=33)
    biases = []
    for seed in range(5):
        found = ex_interim_regret(
            FirstPrice(), Items(n), UNIT, valuations=v, strategies=lambda x: (n - 1) / n * x, generator=seeded(seed)
        )
        assert found.interval.low <= 0 <= found.interval.high
        assert (found.pointwise[0] <= 0).all()
        assert (found.pointwise[1] >= 0).all()
        assert (found.upper >= 0).all()
        biases.append(found.mean)
    assert -0.001 < sum(biases) / 5 < 0  # unclipped
    assert found.lower.min() < 0


def test_one_bidder_that_leaves_the_equilibrium_is_found() -> None:
    """Against b = v/2 truth earns 0 and v/2 wins with probability v: the truthful bidder could gain v²/2."""
    v = ladder(2)
    found = ex_interim_regret(
        FirstPrice(),
        Items(2),
        UNIT,
        valuations=v,
        strategies=[lambda x: x, lambda x: x / 2],
        draws=2**14,
        generator=seeded(0),
    )
    torch.testing.assert_close(found.lower[:, 0], (v[:, 0, 0] ** 2 / 2).double(), rtol=0, atol=0.01)
    assert (found.pointwise[0, :, 0] <= v[:, 0, 0] ** 2 / 2).all()
    assert (found.pointwise[1, :, 0] >= v[:, 0, 0] ** 2 / 2).all()
    # the other faces truth, where v/2 is best
    assert found.lower[:, 1].abs().max() < 0.01


def test_all_pay_truth_is_worse_than_nothing() -> None:
    v = ladder(2)
    found = ex_interim_regret(AllPay(), Items(2), UNIT, valuations=v, generator=seeded(0))
    torch.testing.assert_close(found.lower[:, 0], (v[:, 0, 0] * (1 - v[:, 0, 0])).double(), rtol=0, atol=0.03)
    assert found.best_misreports[:-1].max() < 0.05  # at v = 1 every bid is worth 0
    assert found.upper is None


def test_proofs_and_the_search_that_agrees_with_them() -> None:
    proved = ex_interim_regret(SecondPrice(), Items(3), UNIT)
    assert proved.method.startswith("proof: Vickrey")
    assert proved.max == proved.mean == float(proved.upper.max()) == 0.0
    assert proved.interval == (0.0, 0.0)
    searched = ex_interim_regret(SecondPrice(), Items(3), UNIT, settings=InterimSettings(use_structure=False))
    assert searched.upper is None
    assert -1e-4 < searched.mean <= 1e-6
    assert searched.interval.low <= 0 <= searched.interval.high


def test_shading_under_a_proof_costs_what_it_costs() -> None:
    """Half the truth against one truthful rival, second price: E(v − w)⁺ falls from v²/2 to v²/2 − v²/8."""
    v = ladder(2)
    found = ex_interim_regret(
        SecondPrice(),
        Items(2),
        UNIT,
        valuations=v,
        settings=InterimSettings(reports=v / 2),
        draws=2**14,
        generator=seeded(4),
    )
    exact = v[..., 0].double() ** 2 / 8
    torch.testing.assert_close(found.lower, exact, rtol=0, atol=0.005)
    assert (found.upper >= exact).all()
    torch.testing.assert_close(found.best_misreports, v)


def test_unbounded_priors(generator: torch.Generator) -> None:
    """Exponential rival, first price: sup (v − b)(1 − e^{−b}), here by a fine grid."""
    v = torch.tensor([[[0.5], [3.0]]])
    b = torch.linspace(0, 3, 100_001).double()
    exact = torch.stack([((x - b) * (1 - (-b).exp())).max() for x in (0.5, 3.0)])
    found = ex_interim_regret(FirstPrice(), Items(2), Exponential(1.0), valuations=v, draws=2**14, generator=generator)
    assert (found.pointwise[0, 0] <= exact).all()
    assert (exact <= found.pointwise[1, 0]).all()
    assert (found.upper[0] >= exact).all()
    torch.testing.assert_close(found.lower[0], exact, rtol=0.05, atol=0)


def test_several_features_find_what_one_finds_in_each() -> None:
    """Two items sold separately at first price: regret adds up over items."""
    v = torch.full((1, 2, 2), 0.8)
    found = ex_interim_regret(
        FirstPrice(),
        Items(2, 2),
        UNIT,
        valuations=v,
        draws=2**13,
        settings=InterimSettings(budget=1024),
        generator=seeded(3),
    )
    assert found.mean == pytest.approx(2 * 0.16, abs=0.02)
    assert found.upper is None


def test_interim_is_at_most_the_average_of_ex_post(generator: torch.Generator) -> None:
    """A bidder that knows the others' bids can only gain more: pay-as-bid with crosstalk."""
    place = QuadraticSubstrate(2, crosstalk=0.5)
    rule = PayAsBid(place, user_weight=0.5)
    own = 0.75
    interim = ex_interim_regret(rule, place, UNIT, valuations=torch.full((1, 2, 1), own), generator=generator)
    v = torch.rand(200, 2, 1, generator=generator)
    v[:, 0] = own
    post = ex_post_regret(rule, place, v)
    assert 0.01 < interim.lower[0, 0] < float(post.lower[:, 0].mean()) + 0.005


def test_other_utilities() -> None:
    """Risk-averse bidders, first price, 2 × U[0,1]: with utility x^½ the equilibrium is 2v/3, and v/2 is none."""

    def root(value: Tensor, payment: Tensor) -> Tensor:
        return (value - payment).clamp_min(0).sqrt() - (payment - value).clamp_min(0).sqrt()

    v = ladder(2, steps=5)
    settings = {"valuations": v, "settings": InterimSettings(utility=root), "draws": 2**13, "generator": seeded(0)}
    averse = ex_interim_regret(FirstPrice(), Items(2), UNIT, strategies=lambda x: 2 * x / 3, **settings)
    neutral = ex_interim_regret(FirstPrice(), Items(2), UNIT, strategies=lambda x: x / 2, **settings)
    assert averse.interval.low <= 0 <= averse.interval.high
    assert neutral.interval.low > 0
    assert averse.upper is None


def test_nash_conv_is_the_sum_and_exploitability_the_average() -> None:
    total = nash_conv(FirstPrice(), Items(3), UNIT, generator=seeded(0))
    average = exploitability(FirstPrice(), Items(3), UNIT, generator=seeded(0))
    assert total.value == pytest.approx(3 * average.value)
    assert average.interval.low <= 1 / 27 <= average.interval.high
    settled = nash_conv(FirstPrice(), Items(3), UNIT, strategies=lambda x: 2 * x / 3, generator=seeded(0))
    assert settled.interval.low <= 0 <= settled.interval.high
    assert settled.value < 0.001


def test_rows_are_estimated_apart() -> None:
    """A row's estimate does not depend on the other rows: the same draws serve all of them."""
    v = torch.rand(5, 2, 1, generator=seeded(9))
    together = ex_interim_regret(FirstPrice(), Items(2), UNIT, valuations=v, generator=seeded(1))
    for k in range(5):
        alone = ex_interim_regret(FirstPrice(), Items(2), UNIT, valuations=v[k : k + 1], generator=seeded(1))
        torch.testing.assert_close(alone.lower[0], together.lower[k], rtol=0, atol=1e-6)
    assert together.lower.std() > 0.01


def test_the_same_seed_gives_the_same_number_and_another_seed_another() -> None:
    one, two, three = (ex_interim_regret(FirstPrice(), Items(2), UNIT, generator=seeded(s)).mean for s in (1, 1, 2))
    assert one == two != three


def test_bernstein_interval_is_valid_and_shrinks(generator: torch.Generator) -> None:
    rare = (torch.rand(300, 200, generator=generator) < 0.05).double()
    held = [bounded_mean_interval(row, value_range=1.0) for row in rare]
    assert sum(low <= 0.05 <= high for low, high in held) >= 290
    low, high = bounded_mean_interval(torch.rand(100_000, generator=generator))
    assert high - low < 0.01
    with pytest.raises(ValueError, match="range of length"):
        bounded_mean_interval(torch.tensor([0.0, 2.0]), value_range=1.0)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="strategies must be one callable or one a bidder"):
        ex_interim_regret(FirstPrice(), Items(2), UNIT, strategies=[lambda x: x])
    with pytest.raises(ValueError, match="a strategy's bids must be finite"):
        ex_interim_regret(FirstPrice(), Items(2), UNIT, strategies=lambda x: -x)
    with pytest.raises(ValueError, match="confidence"):
        ex_interim_regret(FirstPrice(), Items(2), UNIT, confidence=1.0)
    with pytest.raises(ValueError, match="context must index 0 contexts"):
        ex_interim_regret(VCG(Items(2)), Items(2), UNIT, context=0)
    with pytest.raises(ValueError, match="valuations must have shape"):
        ex_interim_regret(FirstPrice(), Items(2), UNIT, valuations=torch.ones(3, 3, 1))
    with pytest.raises(ValueError, match="another substrate"):
        ex_interim_regret(lambda bids: Outcome(bids.repeat(1, 1, 2), bids[..., 0]), Items(2), UNIT)


@pytest.mark.parametrize(
    ("n", "valuation", "equilibrium", "exact"),
    [(2, 1.0, False, 0.25), (2, 0.05, False, 0.000625), (3, 1.0, True, 0.0), (2, 0.5, True, 0.0)],
)
def test_intervals_hold_the_truth(n: int, valuation: float, equilibrium: bool, exact: float) -> None:
    """At least 93.5 % of 40 runs; the top valuation wins almost always, where a range seen in a sample misleads."""
    v = torch.full((1, n, 1), valuation)
    held = 0
    for seed in range(40):
        found = ex_interim_regret(
            FirstPrice(),
            Items(n),
            UNIT,
            valuations=v,
            strategies=(lambda x: (n - 1) / n * x) if equilibrium else None,
            generator=seeded(seed),
        )
        held += found.interval.low <= exact + 1e-9 and exact <= found.interval.high + 1e-9
        assert (found.upper >= exact - 1e-9).all()
    assert held >= 38
