"""PPI, PPI++ and labels needed: the law of widths and coverage, ppi-python's own intervals, closed forms, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctionsim.trust.few_labels import LabelPilot, RectifiedMean, label_pilot, labels_needed, ppi_mean, ppi_regression


def normal_pair(draws: np.random.Generator, count: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels and readings of unit variance with a correlation."""
    judged, noise = draws.normal(size=(2, count))
    return correlation * judged + math.sqrt(1 - correlation**2) * noise, judged


def widths_and_coverage(worlds: int, n: int, N: int, correlation: float, seed: int) -> tuple[float, float]:
    draws = np.random.default_rng(seed)
    widths, inside = [], 0
    for _ in range(worlds):
        labels, judged = normal_pair(draws, n + N, correlation)
        found = ppi_mean(labels[:n], judged[:n], judged[n:])
        widths.append(found.high - found.low)
        inside += found.low <= 0 <= found.high
    return float(np.mean(widths)), inside / worlds


def law(n: int, N: int, correlation: float) -> float:
    """The full width of the 95 % interval of PPI++ at the best λ and unit variance."""
    return 2 * 1.959964 * math.sqrt((1 - correlation**2) / n + correlation**2 / (n + N))


def test_the_width_of_the_best_known_case() -> None:
    assert law(100, 900, 0.8) == pytest.approx(0.2553, abs=1e-4)
    width, coverage = widths_and_coverage(150, 100, 900, 0.8, seed=0)
    assert width == pytest.approx(0.2553, abs=0.004)
    assert 0.9 <= coverage <= 0.99


@pytest.mark.deep
@pytest.mark.parametrize(("n", "N", "correlation"), [(100, 900, 0.8), (50, 450, 0.5), (200, 200, 0.9), (100, 900, 0)])
def test_widths_follow_the_law_and_cover(n: int, N: int, correlation: float) -> None:
    width, coverage = widths_and_coverage(2000, n, N, correlation, seed=n)
    print(
        f"n={n} N={N} correlation={correlation}: mean width {width:.4f} (law {law(n, N, correlation):.4f}), {coverage}"
    )
    assert width == pytest.approx(law(n, N, correlation), abs=0.002 if n == 100 else 0.015)  # order 1/n is lost
    assert 0.93 <= coverage <= 0.965
    if n == 100 and correlation == 0.8:
        assert coverage >= 0.935


@pytest.mark.parametrize("power", [None, 0.0, 0.3, 1.0])
def test_a_mean_is_ppi_pythons_with_the_variances_unbiased(power: float | None) -> None:
    from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

    labels, judged = normal_pair(np.random.default_rng(1), 60, 0.7)
    found = ppi_mean(labels[:20], judged[:20], judged[20:], power)
    theirs = ppi_mean_pointestimate(labels[:20], judged[:20], judged[20:], lam=power)
    assert found.value == pytest.approx(np.asarray(theirs).item())
    # λ = 0 leaves one variance: n − 1 for n is all that differs
    low, high = (np.asarray(end).item() for end in ppi_mean_ci(labels[:20], judged[:20], judged[20:], 0.05, lam=power))
    ratio = (found.high - found.low) / (high - low)
    assert ratio == pytest.approx(math.sqrt(20 / 19), rel=1e-6 if power == 0 else 0.02)
    error = math.sqrt(
        np.var(labels[:20] - found.power * judged[:20], ddof=1) / 20 + found.power**2 * np.var(judged[20:], ddof=1) / 40
    )
    assert found.standard_error == pytest.approx(error)


@pytest.mark.deep  # numba compiles ppi-python's gradients for seconds
def test_a_regression_is_ppi_pythons() -> None:
    from ppi_py import ppi_ols_ci

    draws = np.random.default_rng(2)
    labels, judged = normal_pair(draws, 300, 0.7)
    design = np.stack([np.ones(300), draws.random(300)], 1)
    sides = design[:80], labels[:80], judged[:80], design[80:], judged[80:]
    for power in (None, 0.0, 0.5, 1.0):
        found = ppi_regression(*sides, power)
        low, high = ppi_ols_ci(*sides, alpha=0.05, lam=power)
        error = (high - low) / 2 / 1.959964
        assert found.coefficients == pytest.approx((low + high) / 2)
        # with λ = 0 that package takes H of the labelled alone
        assert found.standard_errors == pytest.approx(error, rel=0.1 if power == 0 else 1e-6)


def test_a_regression_on_dose_is_right_where_the_judge_is_biased_by_dose() -> None:
    """The judge adds .3 · dose to what it reads; the line of labels is .2 + .4 · dose all the same."""
    inside = np.zeros(2)
    for seed in range(60):
        draws = np.random.default_rng(seed)
        dose = draws.random(1000)
        labels = (draws.random(1000) < 0.2 + 0.4 * dose).astype(float)
        judged = np.clip(labels + (draws.random(1000) < 0.3 * dose), 0, 1)
        design = np.stack([np.ones(1000), dose], 1)
        found = ppi_regression(design[:150], labels[:150], judged[:150], design[150:], judged[150:])
        inside += abs(found.coefficients - [0.2, 0.4]) <= 1.959964 * found.standard_errors
        naive = np.polyfit(dose, judged, 1)
        at_half = found.at(np.array([1.0, 0.5]))
        assert at_half.low < at_half.value < at_half.high
        assert naive[0] + naive[1] > found.coefficients.sum()
    assert (inside >= 52).all()


def test_a_coordinate_lowers_its_own_variance() -> None:
    """The judge is worth much where x is 0 and nothing where x is 2, so the two coefficients want another λ."""
    draws = np.random.default_rng(3)
    x = draws.integers(0, 2, 6000) * 2.0
    labels, judged = normal_pair(draws, 6000, 0.9)
    judged = np.where(x > 0, draws.normal(size=6000), judged)
    design = np.stack([np.ones(6000), x], 1)
    sides = design[:2000], labels[:2000], judged[:2000], design[2000:], judged[2000:]
    first, second, both = (ppi_regression(*sides, coordinate=k) for k in (0, 1, None))
    assert first.power > second.power + 0.1
    assert first.covariance[0, 0] < second.covariance[0, 0]
    assert second.covariance[1, 1] < first.covariance[1, 1]
    assert np.trace(both.covariance) <= min(np.trace(first.covariance), np.trace(second.covariance)) * 1.001


@given(seed=st.integers(0, 10**6), shift=st.sampled_from([-2.0, 0.5, 8.0]), scale=st.sampled_from([0.25, 2.0, -4.0]))
def test_a_judge_on_another_scale_is_the_same_judge(seed: int, shift: float, scale: float) -> None:
    """A shift of readings changes nothing; PPI++ does not mind their unit, unless λ leaves [0, 1]."""
    labels, judged = normal_pair(np.random.default_rng(seed), 60, 0.5)
    plain = ppi_mean(labels[:20], judged[:20], judged[20:])
    shifted = ppi_mean(labels[:20], judged[:20] + shift, judged[20:] + shift)
    assert shifted.value == pytest.approx(plain.value)
    assert shifted.standard_error == pytest.approx(plain.standard_error)
    moved = ppi_mean(labels[:20] * scale + shift, judged[:20] * scale, judged[20:] * scale)
    assert moved.value == pytest.approx(plain.value * scale + shift)
    assert moved.standard_error == pytest.approx(plain.standard_error * abs(scale))
    assert moved.effective_labels == pytest.approx(plain.effective_labels)
    turned = ppi_mean(labels[:20], -judged[:20], -judged[20:])
    assert turned.power == 0 or plain.power == 0  # a judge the wrong way round is no judge


def test_labels_alone_and_effective_labels() -> None:
    labels, judged = normal_pair(np.random.default_rng(4), 500, 0.9)
    alone = ppi_mean(labels[:50], judged[:50], judged[50:], power=0)
    assert (alone.value, alone.power) == (pytest.approx(labels[:50].mean()), 0)
    assert alone.standard_error == pytest.approx(labels[:50].std(ddof=1) / math.sqrt(50))
    assert alone.effective_labels == pytest.approx(50)
    found = ppi_mean(labels[:50], judged[:50], judged[50:])
    assert found.effective_labels == pytest.approx(
        np.square(labels[:50] - found.value).sum() / 49 / found.standard_error**2
    )
    assert found.effective_labels > 120
    assert (found.num_labels, found.num_judged) == (50, 500)
    assert found.interval == (found.value, found.low, found.high)


def test_labels_needed_is_the_law_turned_round() -> None:
    for n, total, correlation in ((100, 1000, 0.8), (40, 90, 0.3), (25, 2000, 0.95), (30, 60, 0.0)):
        pilot = LabelPilot(1.0, correlation, 50)
        (found,) = labels_needed([law(n, total - n, correlation)], pilot, total)
        assert found.beside_judge == n
        assert found.alone is None or found.alone >= n
    (four,) = labels_needed([0.2], LabelPilot(0.25, 0.0, 10), 10**6)
    assert four.alone == four.beside_judge == 97  # the pollster's number: (1.96 · .5 / .1)²
    assert LabelPilot(0.25, 0.6, 10).rectifier_variance == pytest.approx(0.16)


@given(correlation=st.floats(-1, 1), width=st.floats(0.02, 1), total=st.integers(2, 5000))
def test_a_judge_never_asks_for_more_labels(correlation: float, width: float, total: int) -> None:
    (found,) = labels_needed([width], LabelPilot(0.2, correlation, 30), total)
    if found.alone is not None:
        assert found.beside_judge is not None
        assert found.beside_judge <= found.alone
    for count in (found.alone, found.beside_judge):
        assert count is None or 1 <= count <= total
    (wider,) = labels_needed([2 * width], LabelPilot(0.2, correlation, 30), total)
    if found.beside_judge is not None:
        assert wider.beside_judge is not None
        assert wider.beside_judge <= found.beside_judge


def test_a_pilot_of_a_judge_that_says_one_thing() -> None:
    labels = np.array([0.0, 1] * 10)
    assert label_pilot(labels, np.ones(20)).correlation == 0
    assert label_pilot(labels, labels).correlation == pytest.approx(1)
    assert label_pilot(labels, labels).label_variance == pytest.approx(labels.var(ddof=1))


def refused(labels: object, judged: object, others: object, power: float | None = None) -> RectifiedMean:
    return ppi_mean(*(np.asarray(one, np.float64) for one in (labels, judged, others)), power)


def test_what_gives_no_interval_is_refused() -> None:
    y, f = np.arange(12.0), np.arange(12.0)
    with pytest.raises(ValueError, match="at least 10 labels are needed to correct judgements, got 3"):
        refused(y[:3], f[:3], f)
    with pytest.raises(ValueError, match="judgements must be one per reply, got 11 for 12 replies"):
        refused(y, f[:11], f)
    with pytest.raises(ValueError, match="at least 2 replies without a label are needed, got 0"):
        refused(y, f, [])
    with pytest.raises(ValueError, match="labels must be finite, and 1 of 12 are not"):
        refused([*y[:11], np.nan], f, f)
    with pytest.raises(ValueError, match="judgements of other replies must be finite"):
        refused(y, f, [1, np.inf])
    with pytest.raises(ValueError, match="all of them are alike"):
        refused(np.ones(12), np.ones(12), np.ones(30))
    with pytest.raises(ValueError, match=r"power must be in \[0, 1\]"):
        refused(y, f, f, 1.5)
    with pytest.raises(ValueError, match="depend on each other"):
        ppi_regression(np.ones((12, 2)), y, f, np.ones((12, 2)), f)
    with pytest.raises(ValueError, match="coordinate must be one of 1 columns"):
        ppi_regression(np.ones((12, 1)), y, f, np.ones((12, 1)), f, coordinate=1)
    with pytest.raises(ValueError, match="width must be finite and above 0, got 0"):
        labels_needed([0.0], LabelPilot(1, 0, 10), 10)
    with pytest.raises(ValueError, match="read at least 2 replies, got 1"):
        labels_needed([0.1], LabelPilot(1, 0, 10), 1)
    with pytest.raises(ValueError, match="at least 10 labels"):
        label_pilot(y[:4], f[:4])
