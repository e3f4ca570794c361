"""Priors against their closed forms, and ironing against the revenue it must explain."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from auctionsim.priors import (
    Beta,
    Empirical,
    Exponential,
    Mixture,
    Prior,
    TruncatedNormal,
    Uniform,
    parse_priors,
    product,
)

BIMODAL = Mixture([TruncatedNormal(0.25, 0.05, 0.0, 1.0), TruncatedNormal(0.8, 0.05, 0.0, 1.0)], [0.7, 0.3])
GAP = Mixture([Uniform(0, 1), Uniform(2, 3)])
SMOOTH = [
    Uniform(0, 1),
    Uniform(1, 3),
    Exponential(3.0),
    Beta(2, 5),
    Beta(2, 2, 1, 4),
    Beta(0.5, 0.5),
    Beta(0.7, 3),
    TruncatedNormal(0.5, 0.2, 0, 1),
    TruncatedNormal(1.0, 0.5),
    TruncatedNormal(-2.0, 0.5, 0, 1),
    TruncatedNormal(6.0, 1.0, 0, 2),
    BIMODAL,
    GAP,
    Mixture([Uniform(0, 1), Uniform(0, 4)], [0.8, 0.2]),
    Mixture([Exponential(1.0), Uniform(0, 2)], [3, 1]),
]
DISCRETE = [Empirical([0.3]), Empirical([1.0, 2.0, 2.0, 5.0]), Empirical([0.0, 0.0, 0.25, 1.0, 1.5])]
PRIORS = SMOOTH + DISCRETE


def levels(count: int = 2001) -> torch.Tensor:
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


@pytest.mark.parametrize("prior", SMOOTH, ids=repr)
def test_cdf_pdf_and_quantile_agree(prior: Prior) -> None:
    q = levels()
    v = prior.quantile(q)
    assert torch.allclose(prior.cdf(v), q, atol=1e-9)
    assert bool((v.diff() >= 0).all())
    h = 1e-6
    inside = (v > prior.low + h) & (v < prior.high - h) & (prior.pdf(v) < 100)
    slope = (prior.cdf(v + h) - prior.cdf(v - h)) / (2 * h)
    jump = (prior.pdf(v + h) - prior.pdf(v - h)).abs() > 1e-2  # a difference across a jump means nothing
    assert torch.allclose(slope[inside & ~jump], prior.pdf(v)[inside & ~jump], rtol=1e-4, atol=1e-6)
    assert float(prior.cdf(prior.low - 0.1)) == 0
    assert float(prior.cdf(prior.finite_high + 1)) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("prior", PRIORS, ids=repr)
def test_mean_is_the_average_quantile(prior: Prior) -> None:
    tail, _ = integrate.quad(
        lambda v: 1 - float(prior.cdf(v)), prior.low, prior.finite_high, limit=400, points=_kinks(prior)
    )
    assert prior.mean == pytest.approx(prior.low + tail, abs=1e-5)


def _kinks(prior: Prior) -> list[float]:
    if isinstance(prior, Empirical):
        return sorted(set(prior.parameters[0]))
    return [1.0, 2.0] if isinstance(prior, Mixture) else []


def test_truncated_normal_is_scipys() -> None:
    for location, scale, low, high in [(0.5, 0.2, 0, 1), (-2.0, 0.5, 0, 1), (6.0, 1.0, 0, 2), (1.0, 0.5, 0, math.inf)]:
        theirs = stats.truncnorm((low - location) / scale, (high - location) / scale, location, scale)
        ours = TruncatedNormal(location, scale, low, high)
        v = ours.quantile(levels(101))
        assert torch.allclose(v, torch.tensor(theirs.ppf(levels(101).numpy())), atol=1e-9)
        assert ours.mean == pytest.approx(theirs.mean(), abs=1e-9)
        expected = v - torch.tensor(theirs.sf(v.numpy()) / theirs.pdf(v.numpy()))
        assert torch.allclose(ours.virtual_value(v), expected, rtol=1e-6, atol=1e-9)


def test_virtual_values_in_closed_form() -> None:
    v = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    assert torch.equal(Uniform(0, 1).virtual_value(v), 2 * v - 1)
    assert torch.equal(Exponential(3.0).virtual_value(v), v - 3)
    inner = v[1:3]
    expected = inner - torch.tensor(stats.beta(2, 5).sf(inner) / stats.beta(2, 5).pdf(inner))
    assert torch.allclose(Beta(2, 5).virtual_value(inner), expected, atol=1e-12)
    assert torch.equal(Uniform(2, 3).virtual_value(torch.tensor([1.9, 2.0, 4.0])), torch.tensor([0.0, 1.0, 4.0]))
    assert torch.equal(Uniform(1, 4).virtual_value(torch.tensor([0.5, 1.0])), torch.tensor([-2.0, -2.0]))


def test_ironing_by_hand() -> None:
    # values 1, 2, 5 sell with probability 1, 3/4, 1/4: revenue 1, 3/2, 5/4. The hull from (0, 0) runs over (1/4, 5/4),
    # (3/4, 3/2), (1, 1): slopes 5, 1/2, −2.
    prior = Empirical([1.0, 2.0, 2.0, 5.0])
    v = torch.tensor([0.5, 1.0, 1.5, 2.0, 4.9, 5.0, 6.0], dtype=torch.float64)
    expected = torch.tensor([-2.0, -2.0, -2.0, 0.5, 0.5, 5.0, 6.0], dtype=torch.float64)
    assert torch.allclose(prior.virtual_value(v), expected, atol=1e-12)
    # values 1, 2, 10 with probabilities .5, .1, .4: revenue 1, 1 at 2, 4 at 10; 2 lies under the chord and is ironed.
    prior = Empirical([1.0] * 5 + [2.0] + [10.0] * 4)
    assert torch.allclose(
        prior.virtual_value(torch.tensor([1.0, 2.0, 10.0], dtype=torch.float64)),
        torch.tensor([-5.0, -5.0, 10.0], dtype=torch.float64),
    )


@pytest.mark.parametrize("prior", PRIORS, ids=repr)
def test_virtual_value_is_monotone_and_explains_the_monopoly_revenue(prior: Prior) -> None:
    v = torch.cat([torch.linspace(0, prior.finite_high * 1.2, 20001, dtype=torch.float64), prior.quantile(levels())])
    v = v.sort().values
    for phi in (prior.virtual_value(v), prior.curve.evaluate(v)):
        assert bool((phi[1:] >= phi[:-1] - 1e-9 * prior.finite_high).all())  # −inf ≥ −inf holds, NaN ≥ NaN does not
    prices = torch.cat([prior.quantile(levels(200_001)), torch.tensor([prior.monopoly_price], dtype=torch.float64)])
    if isinstance(prior, Empirical):
        monopoly = max(
            p * sum(s >= p for s in prior.parameters[0]) / len(prior.parameters[0]) for p in prior.parameters[0]
        )
        surplus = prior.virtual_value(torch.tensor(prior.parameters[0], dtype=torch.float64)).clamp_min(0).mean()
    else:
        monopoly = float((prices * (1 - prior.cdf(prices))).max())
        surplus = prior.virtual_value(prior.quantile(levels(400_001))).clamp_min(0).mean()
        at_price = prior.monopoly_price * float(1 - prior.cdf(prior.monopoly_price))
        assert at_price == pytest.approx(monopoly, rel=1e-6)
    assert float(surplus) == pytest.approx(monopoly, rel=3e-6)


@pytest.mark.parametrize("prior", PRIORS, ids=repr)
def test_the_curve_is_the_virtual_value_and_its_inverse(prior: Prior) -> None:
    v = torch.cat([prior.quantile(levels(501)), torch.linspace(0, prior.finite_high, 501, dtype=torch.float64)])
    exact = prior.virtual_value(v)
    relevant = exact > -0.05 * prior.finite_high
    jump = (prior.virtual_value(v + 1e-6) - prior.virtual_value((v - 1e-6).clamp_min(0))).abs() > 1e-3
    error = (prior.curve.evaluate(v) - exact).abs()[relevant & ~jump]
    assert float(error.max()) < 1e-5 * prior.finite_high
    y = torch.linspace(-2, prior.finite_high * 1.5, 301, dtype=torch.float64)
    smallest = prior.curve.inverse(y)
    assert bool((prior.curve.evaluate(smallest * (1 + 1e-12)) >= y - 1e-9).all())
    below = (smallest - 1e-6).clamp_min(0)
    assert bool(((prior.curve.evaluate(below) < y) | (smallest == 0)).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("prior", PRIORS, ids=repr)
def test_samples_follow_the_prior_and_stay_inside(prior: Prior, dtype: torch.dtype) -> None:
    drawn = prior.sample((4000,), torch.Generator().manual_seed(1), dtype)
    assert drawn.dtype == dtype
    x = drawn.double()
    if prior.low < prior.high:
        assert bool((x >= prior.low).all())
        assert bool((x <= prior.high).all())
    grid = prior.quantile(levels(50))
    share = (x.unsqueeze(1) <= grid + 1e-6).double().mean(0)
    assert float((share - prior.cdf(grid + 1e-6)).abs().max()) < 0.035  # Kolmogorov–Smirnov, 4000 draws


def test_a_float32_draw_of_a_support_point_counts_as_that_point() -> None:
    prior = Empirical([0.1, 0.7])  # 0.7 in float32 is below 0.7
    assert float(prior.virtual_value(torch.tensor([0.7], dtype=torch.float32))) == pytest.approx(0.7)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8))
def test_ironing_of_any_sample_explains_its_monopoly_revenue(quarters: list[int]) -> None:
    values = [q / 4 for q in quarters]
    prior = Empirical(values)
    monopoly = max(p * sum(v >= p for v in values) / len(values) for p in values)
    phi = prior.virtual_value(torch.tensor(sorted(values), dtype=torch.float64))
    assert bool((phi.diff() >= -1e-12).all())
    assert float(phi.clamp_min(0).mean()) == pytest.approx(monopoly, abs=1e-12)


def test_product_reads_every_form(generator: torch.Generator) -> None:
    one, two = Uniform(0, 1), Exponential(2.0)
    assert product(one, 2, 3).marginals == ((one,) * 3,) * 2
    assert product([one, two], 2, 2).marginals == ((one, one), (two, two))
    mixed = product([[one, two], [two, one]], 2, 2)
    assert mixed.marginal(0, 1) is two
    assert product(mixed, 2, 2) is mixed
    drawn = mixed.sample(5000, generator)
    assert drawn.shape == (5000, 2, 2)
    assert bool((drawn.double() <= mixed.high).all())
    assert float(drawn[:, 0, 0].max()) <= 1 < float(drawn[:, 0, 1].max())
    assert float(mixed.high[1, 0]) == pytest.approx(2 * 24 * math.log(2))
    assert float(drawn.mean((0, 1))[0]) == pytest.approx(1.25, abs=0.1)


def test_product_gives_every_marginal_its_own_level() -> None:
    priors = product([[Uniform(0, 1), Uniform(0, 2), Uniform(0, 4)], [Exponential(1.0)] * 3], 2, 3)
    levels = torch.arange(1, 13, dtype=torch.float64).view(2, 2, 3) / 16
    drawn = priors.quantile(levels, torch.float64)
    for i in range(2):
        for j in range(3):
            assert torch.equal(drawn[:, i, j], priors.marginal(i, j).quantile(levels[:, i, j]))


def test_product_never_exceeds_its_finite_high() -> None:
    top = product(Exponential(1.0), 1).quantile(torch.ones(1, 1, 1, dtype=torch.float64), torch.float32)
    assert float(top.double()) <= float(product(Exponential(1.0), 1).high)


def test_same_generator_same_draws() -> None:
    drawn = [product(Beta(2, 5), 2).sample(7, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*drawn)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(1, 1), "low < high"),
        (lambda: Uniform(-1, 1), "low must be a number in"),
        (lambda: Exponential(0.0), "mean must be positive"),
        (lambda: Beta(0, 1), "a must be a number in"),
        (lambda: TruncatedNormal(0, 0), "scale must be a number in"),
        (lambda: TruncatedNormal(0, 1, 50, 51), "too far out in the tail"),
        (lambda: Mixture([]), "one weight a component"),
        (lambda: Mixture([Uniform()], [1, 2]), "one weight a component"),
        (lambda: Mixture([Empirical([1.0])]), "need densities"),
        (lambda: Empirical([]), "at least one sample"),
        (lambda: Empirical([math.nan]), "at least one sample"),
        (lambda: Empirical([1.0, 2.0], [1.0]), "one weight a sample"),
        (lambda: Empirical([1.0, 2.0], [0.0, 0.0]), "some above 0"),
        (lambda: Empirical([1.0, 2.0], [1.0, -1.0]), "finite and >= 0"),
        (lambda: Uniform().quantile(1.5), r"q in \[0, 1\]"),
        (lambda: product([Uniform()], 2), "2 bidders, got 1"),
        (lambda: product([[Uniform()], [Uniform()]], 2, 2), "2 features, got 1"),
        (lambda: product(product(Uniform(), 2), 3), "need 3 × 1"),
    ],
)
def test_bad_priors_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "prior"),
    [
        ("uniform:0,1", Uniform(0, 1)),
        ("Exponential: 2", Exponential(2.0)),
        ("beta:2,5", Beta(2, 5)),
        ("beta:2,5,1,3", Beta(2, 5, 1, 3)),
        ("normal:.5,.2,0,1", TruncatedNormal(0.5, 0.2, 0, 1)),
        ("empirical:.2,.5", Empirical([0.2, 0.5])),
        ("0.6*beta:2,8+0.4*beta:8,2", Mixture([Beta(2, 8), Beta(8, 2)], [0.6, 0.4])),
        ("uniform:0,1;exponential:1e+0", [Uniform(0, 1), Exponential(1.0)]),
    ],
)
def test_priors_are_read_from_one_line(text: str, prior: Prior | list[Prior]) -> None:
    assert parse_priors(text) == prior


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a prior is written as one of"),
        ("cauchy:1", "a prior is written as one of"),
        ("beta:2", "beta:A,B"),
        ("uniform:0,x", "'x'"),
        ("uniform:1,0", "low < high"),
        ("1*uniform:0,1+beta:2,5", "is none"),
        ("uniform:0,1;", "a prior is written as one of"),
    ],
)
def test_what_is_no_prior_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_priors(text)


class Power(Prior):
    """F(v) = vᵏ on [0, 1], made as docs/bring-your-own.md shows."""

    def __init__(self, exponent: float | torch.Tensor, reported: tuple[float, ...] = ()) -> None:
        super().__init__(0.0, 1.0, 0.5, reported)
        self.exponent = exponent

    def _cdf(self, v: torch.Tensor) -> torch.Tensor:
        return v**self.exponent

    def _pdf(self, v: torch.Tensor) -> torch.Tensor:
        return self.exponent * v ** (self.exponent - 1)

    def _quantile(self, q: torch.Tensor) -> torch.Tensor:
        return q ** (1 / self.exponent)


@pytest.mark.parametrize("reported", [(), (0.5,)])
def test_priors_of_ones_own_are_told_apart_by_what_they_hold(reported: tuple[float, ...]) -> None:
    """Whatever the parameters say: equality, hashing, products, and what was computed before makes no difference."""
    flat, steep = Power(1.0, reported), Power(8.0, reported)
    assert flat != steep
    assert flat == Power(1.0, reported)
    assert hash(flat) == hash(Power(1.0, reported))
    assert len({flat, steep, Power(8.0, reported)}) == 2
    assert float(flat.curve.evaluate(torch.tensor([0.75], dtype=torch.float64))) == pytest.approx(0.5)
    assert flat == Power(1.0, reported)  # the curve that one of them has computed by now is no difference
    assert flat != Power(1.0, (*reported, 1.0))
    assert product([flat, steep], 2) != product([flat, flat], 2)
    means = product([flat, steep], 2).quantile(levels().view(-1, 1, 1).expand(-1, 2, 1)).flatten(1).mean(0)
    assert means.tolist() == pytest.approx([1 / 2, 8 / 9], abs=1e-4)
    by_tensor = [Power(torch.tensor(k, dtype=torch.float64), reported) for k in (1.0, 8.0, 8.0)]
    assert [one == by_tensor[1] for one in by_tensor] == [False, True, True]
    mixed = [Mixture([one, Uniform()]) for one in (flat, steep, Power(8.0, reported))]
    assert [one == mixed[1] for one in mixed] == [False, True, True]


@pytest.mark.parametrize(
    "priors",
    [
        [Uniform(0, 1), Uniform(0, 2), Uniform(1, 2)],
        [Exponential(1.0), Exponential(2.0), Exponential(1.0)],
        [Empirical([1.0, 2.0]), Empirical([1.0, 2.0], [1.0, 3.0]), Empirical([1.0, 4.0])],
        [Beta(2, 5), Beta(5, 2), Beta(2, 5, 0, 2)],
    ],
    ids=lambda priors: type(priors[0]).__name__,
)
def test_several_priors_of_one_class_are_drawn_each_by_itself(priors: list[Prior]) -> None:
    column = levels(200)
    drawn = product(priors, 3).quantile(column.view(-1, 1, 1).expand(-1, 3, 1), torch.float64)
    for i, prior in enumerate(priors):
        assert torch.equal(drawn[:, i, 0], prior.quantile(column))
    by_feature = product([priors], 1, 3).quantile(column.view(-1, 1, 1).expand(-1, 1, 3), torch.float64)
    assert torch.equal(by_feature[:, 0], drawn[:, :, 0])


def test_a_subclass_with_another_distribution_has_no_closed_form_of_the_old_one() -> None:
    class Squared(Uniform):
        """F(v) = v², with the virtual value (3v² − 1) / 2v."""

        def _cdf(self, v: torch.Tensor) -> torch.Tensor:
            return v**2

        def _pdf(self, v: torch.Tensor) -> torch.Tensor:
            return 2 * v

        def _quantile(self, q: torch.Tensor) -> torch.Tensor:
            return q.sqrt()

    class Unit(Uniform):
        """The same, with fewer words."""

        def __init__(self) -> None:
            super().__init__(0.0, 1.0)

    v = torch.tensor([0.5, 0.75, 0.9], dtype=torch.float64)
    expected = (3 * v * v - 1) / (2 * v)
    assert torch.allclose(Squared().virtual_value(v), expected, atol=1e-4)
    assert torch.allclose(Squared().curve.evaluate(v), expected, atol=1e-4)
    assert Squared().monopoly_price == pytest.approx(3**-0.5, abs=1e-4)
    assert torch.equal(Unit().curve.evaluate(v), 2 * v - 1)
    assert Squared() != Uniform(0, 1)


def test_weighted_samples_are_a_prior_on_finitely_many_values() -> None:
    """By hand: P(1) = .2, P(2) = .3, P(3) = .5; φ(v_k) = v_k − (v_{k+1} − v_k) P(V > v_k) / P(v_k) = −3, 1/3, 3."""
    prior = Empirical([3.0, 1.0, 2.0, 7.0], [5.0, 2.0, 3.0, 0.0])
    assert (prior.low, prior.high, prior.mean) == (1.0, 3.0, pytest.approx(2.3))
    assert [part.tolist() for part in prior.atoms] == [[1.0, 2.0, 3.0], pytest.approx([0.2, 0.3, 0.5])]
    at = torch.tensor([1.0, 2.0, 2.5, 3.0], dtype=torch.float64)
    assert torch.allclose(prior.virtual_value(at), torch.tensor([-3.0, 1 / 3, 1 / 3, 3.0], dtype=torch.float64))
    assert prior.cdf(at).tolist() == pytest.approx([0.2, 0.5, 0.5, 1.0])
    assert prior.quantile(torch.tensor([0.0, 0.2, 0.21, 0.5, 1.0], dtype=torch.float64)).tolist() == [1, 1, 2, 2, 3]
    assert prior == Empirical([1.0, 2.0, 3.0, 7.0], [2.0, 3.0, 5.0, 0.0])
    assert Empirical([1.0, 2.0, 2.0]).virtual_value(at).tolist() == Empirical([1, 2], [1, 2]).virtual_value(at).tolist()
    listed = product([prior, Empirical([0.0, 4.0])], 2).profiles(6)
    assert listed is not None
    assert listed[0].shape == (6, 2, 1)
    assert float((listed[1] * listed[0][:, 0, 0]).sum()) == pytest.approx(2.3)
    assert float((listed[1] * listed[0][:, 1, 0]).sum()) == pytest.approx(2.0)
    assert product([prior, Empirical([0.0, 4.0])], 2).profiles(5) is None
    assert product([prior, Uniform()], 2).profiles(100) is None
