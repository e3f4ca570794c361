"""Agreement with labels: closed forms, known tables, and intervals that cover."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, cohen_kappa_score, roc_auc_score

from auctionsim.trust.agreement import auc, cohen_kappa, partial_rank_correlation
from auctionsim.trust.calibration import calibration_of


def test_auc_is_that_of_scikit_learn_and_its_variance_delongs() -> None:
    draws = np.random.default_rng(0)
    bad = draws.random(80) < 0.4
    score = np.round(draws.normal(size=80) + bad, 1)  # ties
    found = auc(score, bad)
    assert found.value == pytest.approx(roc_auc_score(bad, score))
    x, y = score[bad], score[~bad]
    placed_x = [np.mean([(a > b) + (a == b) / 2 for b in y]) for a in x]
    placed_y = [np.mean([(a > b) + (a == b) / 2 for a in x]) for b in y]
    variance = np.var(placed_x, ddof=1) / len(x) + np.var(placed_y, ddof=1) / len(y)
    scale = np.sqrt(variance) / (found.value * (1 - found.value))
    odds = np.log(found.value / (1 - found.value))
    assert np.log(found.low / (1 - found.low)) == pytest.approx(odds - 1.959964 * scale)
    assert np.log(found.high / (1 - found.high)) == pytest.approx(odds + 1.959964 * scale)


def test_replies_that_are_copies_of_each_other_widen_nothing_by_clusters() -> None:
    """Every reply four times: the interval over clusters is that of the replies once, that over replies too narrow."""
    draws = np.random.default_rng(1)
    bad = np.arange(40) % 2 == 0
    score = draws.normal(size=40) + bad
    once = auc(score, bad)
    copies = auc(np.repeat(score, 4), np.repeat(bad, 4), np.repeat(np.arange(40), 4).tolist())
    assert copies.value == pytest.approx(once.value)
    assert copies.low == pytest.approx(once.low, abs=1e-9)
    assert auc(np.repeat(score, 4), np.repeat(bad, 4)).low > once.low + 0.02


def test_intervals_cover() -> None:
    """Prompts shift scores of good and bad replies alike: within clusters both fall, and A stays what it is."""
    draws = np.random.default_rng(2)
    truth, inside, rounds = 0.7602, 0, 200  # Φ(1/√2) for normal scores one apart
    for _ in range(rounds):
        bad = np.tile([True, False, True, False], 30)
        found = auc(draws.normal(size=120) + bad, bad, np.repeat(np.arange(30), 4).tolist())
        inside += found.low <= truth <= found.high
    assert 0.89 <= inside / rounds <= 0.99


def test_perfect_separation_is_not_certain() -> None:
    bad = np.arange(20) < 8
    found = auc(bad.astype(float), bad)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 8))
    assert auc(-bad.astype(float), bad).high == pytest.approx(1 - 0.025 ** (1 / 8))


def test_too_few_and_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3 bad and 3 good"):
        auc(np.arange(5.0), np.arange(5) < 1)
    with pytest.raises(ValueError, match="must be finite"):
        auc(np.array([0, 1, np.nan, 3, 4, 5]), np.arange(6) < 3)


def test_kappa_of_a_known_table() -> None:
    """20 both yes, 5 and 10 apart, 15 both no: κ = (.7 − .5)/.5 = .4."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(first, second)
    assert found.value == pytest.approx(0.4) == pytest.approx(cohen_kappa_score(first, second))
    assert found.low < 0.4 < found.high
    assert cohen_kappa(["a"] * 3, ["a"] * 3).value == 1
    with pytest.raises(ValueError, match="same replies, got 1 and 2"):
        cohen_kappa([1], [1, 2])


def test_partial_correlation_is_what_a_control_leaves() -> None:
    """x and y are z and noise of their own: correlated, and nothing is left given z; with shared noise much is."""
    draws = np.random.default_rng(3)
    z, shared = draws.normal(size=(2, 900))
    x, y = z + 0.5 * draws.normal(size=900), z + 0.5 * draws.normal(size=900)
    assert np.corrcoef(x, y)[0, 1] > 0.7
    found = partial_rank_correlation(x, y, z, np.random.default_rng(0), resamples=200)
    assert abs(found.value - 0.03) < 0.1  # three standard errors about what ranks of normal variables leave
    left = partial_rank_correlation(x + shared, y + shared, z, np.random.default_rng(0), resamples=200)
    assert left.low > 0.5
    monotone = partial_rank_correlation(np.exp(x + shared), y + shared, z, np.random.default_rng(0), resamples=200)
    assert monotone == left  # ranks alone count
    with pytest.raises(ValueError, match="values that vary"):
        partial_rank_correlation(np.ones(9), z[:9], y[:9], np.random.default_rng(0))


def test_calibration_of_a_known_case() -> None:
    probabilities = np.array([0.05, 0.05, 0.95, 0.95])
    bad = np.array([False, True, True, True])
    found = calibration_of(probabilities, bad)
    assert found.brier == pytest.approx(brier_score_loss(bad, probabilities))
    assert found.expected_error == pytest.approx((2 * 0.45 + 2 * 0.05) / 4)
    assert [(row.num_replies, row.observed) for row in found.table] == [(2, 0.5), (2, 1.0)]
    assert calibration_of(np.array([1.0, 0.0]), np.array([True, False])).brier == 0
    with pytest.raises(ValueError, match="probabilities in"):
        calibration_of(np.array([1.5]), np.array([True]))


def test_few_clusters_exclude_nothing_and_full_agreement_is_no_certainty() -> None:
    draws = np.random.default_rng(3)
    scores, bad = draws.random(20), np.arange(20) % 2 == 0
    for clusters in (["one"] * 20, ["one"] * 10 + ["two"] * 10):
        assert auc(scores, bad, clusters)[1:] == (0, 1)
        left = partial_rank_correlation(scores, bad.astype(float), draws.random(20), draws, clusters, 9)
        assert left[1:] == (-1, 1)
    assert auc(scores, bad, (["one", "two", "three"] * 7)[:20]).low > 0
    assert cohen_kappa([True, False] * 2, [True, False] * 2) == pytest.approx((1, 2 * 0.025 ** (1 / 4) - 1, 1))
    assert cohen_kappa(["good"] * 5, ["good"] * 5) == (1, -1, 1)
