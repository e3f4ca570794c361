"""Agreement of raters: published numbers, one-line closed forms, slow loops, bootstraps, bad input."""

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctionsim.trust import GoldLabels, cohen_kappa, read_labels
from auctionsim.trust.raters import (
    LEVELS,
    RatingTable,
    disagreement_of,
    errors_by_disagreement,
    fleiss_kappa,
    joined_ratings,
    krippendorff_alpha,
    ratings_of,
    soft_labels,
    weighted_kappa,
)

N = np.nan
SECTION_E = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
)
"""Krippendorff (2011), section E: four observers, twelve units, gaps."""
PUBLISHED = dict(zip(LEVELS, (0.7434, 0.8154, 0.8491, 0.7974), strict=True))


@cache
def shipped() -> GoldLabels:
    return read_labels()


def table(values: object) -> RatingTable:
    rows = np.array(values, dtype=np.float64)
    return RatingTable(tuple(f"r{k}" for k in range(len(rows))), tuple(range(rows.shape[1])), rows)


def slow_alpha(values: np.ndarray, level: str) -> float:
    """1 − D_o/D_e over all pairs of ratings, by loops."""
    units = [column[~np.isnan(column)] for column in values.T]
    units = [unit for unit in units if len(unit) > 1]
    every = np.concatenate(units)

    def distance(a: float, b: float) -> float:
        if level == "nominal":
            return float(a != b)
        if level == "interval":
            return (a - b) ** 2
        if level == "ratio":
            return ((a - b) / (a + b)) ** 2 if a + b else 0.0
        low, high = min(a, b), max(a, b)
        between = ((every >= low) & (every <= high)).sum() - ((every == a).sum() + (every == b).sum()) / 2
        return float(between**2) if a != b else 0.0

    observed = sum(
        distance(a, b) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2)
    ) / len(every)
    expected = sum(distance(a, b) for a, b in itertools.permutations(every, 2)) / (len(every) * (len(every) - 1))
    return 1 - observed / expected


@pytest.mark.parametrize("level", LEVELS)
def test_krippendorffs_example_of_2011(level: str) -> None:
    found = krippendorff_alpha(table(SECTION_E), level, resamples=200)
    assert found.value == pytest.approx(PUBLISHED[level], abs=5e-5)
    assert found.low < found.value <= found.high
    assert slow_alpha(SECTION_E, level) == pytest.approx(PUBLISHED[level], abs=5e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_alpha_is_the_slow_one_on_other_sizes(level: str) -> None:
    for raters, items in ((2, 5), (3, 9), (5, 4)):
        draws = np.random.default_rng(raters)
        values = draws.integers(1, 5, (raters, items)).astype(float)
        values[draws.random((raters, items)) < 0.15] = N
        assert krippendorff_alpha(table(values), level, resamples=1).value == pytest.approx(slow_alpha(values, level))


def test_two_raters_of_two_values_have_a_closed_form() -> None:
    """Nominal α of two raters without gaps is 1 − (1 − p_o)(2n − 1)/(2n · 2 p q): κ of pooled shares, corrected."""
    first, second = [0, 0, 1, 1, 1, 0, 1, 0, 0, 1], [0, 1, 1, 1, 0, 0, 1, 0, 0, 1]
    p = np.mean([*first, *second])
    expected = 1 - 0.2 * (20 - 1) / (20 * 2 * p * (1 - p))
    assert krippendorff_alpha(table([first, second])).value == pytest.approx(expected)


def test_kappas_of_the_known_tables() -> None:
    first = [0] * 25 + [1] * 25
    second = [0] * 20 + [1] * 5 + [0] * 10 + [1] * 15
    assert cohen_kappa(first, second).value == pytest.approx(0.4)
    assert weighted_kappa(first, second, "linear", resamples=1).value == pytest.approx(0.4)
    assert weighted_kappa(first, second, "quadratic", resamples=1).value == pytest.approx(0.4)


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
def test_a_weighted_kappa_is_scikit_learns(weights: str) -> None:
    from sklearn.metrics import cohen_kappa_score

    for seed, values in ((0, 3), (1, 5), (2, 7)):
        draws = np.random.default_rng(seed)
        first = draws.integers(0, values, 40)
        second = np.clip(first + draws.integers(-1, 2, 40), 0, values - 1)
        found = weighted_kappa(first.tolist(), second.tolist(), weights, resamples=200)
        scale = list(range(values))  # its weights go by place, so every value must have one
        assert found.value == pytest.approx(cohen_kappa_score(first, second, weights=weights, labels=scale))
        assert found.low < found.value < found.high


def test_fleiss_is_the_slow_one_and_near_alpha() -> None:
    draws = np.random.default_rng(3)
    truth = draws.integers(0, 3, 60)
    values = np.stack([np.where(draws.random(60) < 0.7, truth, draws.integers(0, 3, 60)) for _ in range(4)])
    found = fleiss_kappa(table(values), resamples=200)
    pairs = [np.mean([a == b for a, b in itertools.combinations(column, 2)]) for column in values.T]
    shares = np.array([(values == k).mean() for k in range(3)])
    chance = float(shares @ shares)
    assert found.value == pytest.approx((np.mean(pairs) - chance) / (1 - chance))
    alpha = krippendorff_alpha(table(values), resamples=1).value
    assert alpha == pytest.approx(1 - (1 - found.value) * (1 - 1 / 240))  # Krippendorff's correction alone


@given(seed=st.integers(0, 10**6), raters=st.integers(2, 4), items=st.integers(3, 8))
def test_alpha_minds_no_names_no_order_and_no_scale(seed: int, raters: int, items: int) -> None:
    draws = np.random.default_rng(seed)
    values = draws.integers(0, 3, (raters, items)).astype(float)
    if len(np.unique(values)) < 2:
        return
    plain = krippendorff_alpha(table(values), resamples=1).value
    turned = values[draws.permutation(raters)][:, draws.permutation(items)]
    assert krippendorff_alpha(table(turned), resamples=1).value == pytest.approx(plain)
    renamed = np.array([5.0, 1.0, 9.0])[values.astype(int)]
    assert krippendorff_alpha(table(renamed), resamples=1).value == pytest.approx(plain)
    scaled = krippendorff_alpha(table(3 * values + 1), "interval", resamples=1).value
    assert scaled == pytest.approx(krippendorff_alpha(table(values), "interval", resamples=1).value)
    assert plain <= 1
    gap = np.concatenate([values, np.full((1, items), N)])
    gap[-1, 0] = 2
    alone = np.concatenate([gap, np.full((raters + 1, 1), N)], 1)
    alone[0, -1] = 1  # a unit with one rating says nothing
    assert krippendorff_alpha(table(alone), resamples=1).value == pytest.approx(
        krippendorff_alpha(table(gap), resamples=1).value
    )


def test_intervals_over_replies_cover_and_copies_widen_nothing_by_clusters() -> None:
    """Raters right with probability .8 on balanced labels: α = .36 in the limit, (2 · .8 − 1)²."""
    inside = 0
    for seed in range(40):
        draws = np.random.default_rng(seed)
        truth = draws.integers(0, 2, 150)
        values = np.stack([np.where(draws.random(150) < 0.8, truth, 1 - truth) for _ in range(3)])
        found = krippendorff_alpha(table(values), seed=seed, resamples=120)
        inside += found.low <= 0.36 <= found.high
    assert inside >= 34
    once = krippendorff_alpha(table(values[:, :50]), resamples=400)
    copied = table(np.repeat(values[:, :50], 4, axis=1))
    by_prompt = krippendorff_alpha(copied, clusters=np.repeat(np.arange(50), 4).tolist(), resamples=400)
    assert by_prompt.high - by_prompt.low == pytest.approx(once.high - once.low, rel=0.1)
    assert krippendorff_alpha(copied, resamples=400).low > by_prompt.low + 0.05


def test_raters_that_never_differ_are_not_certain() -> None:
    first = [0.0, 1.0] * 10
    for found in (krippendorff_alpha(table([first, first])), fleiss_kappa(table([first, first]))):
        assert (found.value, found.high) == (1, 1)
        assert found.low == pytest.approx(1 - (1 - 0.025 ** (1 / 20)) / 0.5)
    assert weighted_kappa(first, first).low < 1
    clusters = [k // 10 for k in range(20)]
    assert krippendorff_alpha(table([first, first]), clusters=clusters)[1:] == (-1, 1)


def test_shipped_labels_as_a_table() -> None:
    gold = shipped()
    raters = ratings_of(gold, "bad")
    assert len(raters.items) == len({(one.category, one.prompt, one.text) for one in gold.labels})
    first = gold.labels[0]
    where = raters.items.index((first.category, first.prompt, first.text))
    for label in first.labels:
        assert raters.values[raters.raters.index(label.labeller), where] == label.bad
    assert 0 < krippendorff_alpha(raters, resamples=20).value < 1
    half = raters._replace(items=raters.items[:500], values=raters.values[:, :500])
    joined = joined_ratings([raters, half], ["all", "half"])
    assert joined.raters[0] == f"all:{raters.raters[0]}"
    assert np.array_equal(joined.values[: len(raters.raters)], raters.values, equal_nan=True)
    assert np.isnan(joined.values[len(raters.raters) :, 500:]).all()
    assert joined.only(["half:" + raters.raters[1]]).values.shape == (1, len(raters.items))


def test_disagreement_is_kept() -> None:
    spread = disagreement_of(table([[0, 0, 1, N, 2], [0, 1, 1, N, 0], [0, 1, 1, N, N], [0, 0, 1, N, N]]))
    assert spread.entropy == pytest.approx([0, 1, 0, N, 1], nan_ok=True)
    assert spread.variance == pytest.approx([0, 0.25, 0, N, 1], nan_ok=True)
    assert spread.num_ratings.tolist() == [4, 4, 4, 0, 2]
    domain, shares = soft_labels(table([[0, 0, 1, 2], [0, 1, 1, 0]]))
    assert domain.tolist() == [0, 1, 2]
    assert shares.tolist() == [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0.5, 0, 0.5]]
    wrong = np.array([False] * 6 + [True] * 4)
    found = errors_by_disagreement(np.array([0.0] * 5 + [1.0] * 5), wrong)
    assert (found.agreed, found.agreed_error, found.split, found.split_error) == (5, 0, 5, pytest.approx(0.8))
    assert found.auc is not None
    assert found.auc.value == pytest.approx((4 * 5 + 4 * 0.5) / 24)
    assert errors_by_disagreement(np.zeros(4), np.zeros(4, dtype=bool)).auc is None
    assert np.isnan(errors_by_disagreement(np.zeros(4), np.zeros(4, dtype=bool)).split_error)


@given(seed=st.integers(0, 10**6))
def test_soft_labels_are_shares(seed: int) -> None:
    draws = np.random.default_rng(seed)
    some = table(draws.integers(0, 4, (3, 6)))
    domain, shares = soft_labels(some)
    assert shares.sum(1) == pytest.approx(np.ones(6))
    assert shares @ domain == pytest.approx(some.values.mean(0))
    spread = disagreement_of(some)
    assert spread.variance == pytest.approx(some.values.var(0))
    assert ((spread.entropy > 0) == (spread.variance > 1e-12)).all()


def test_what_cannot_be_compared_is_refused() -> None:
    good = table([[0, 1, 0, 1], [0, 1, 1, 1]])
    with pytest.raises(ValueError, match="at least two raters, got r0 alone"):
        krippendorff_alpha(table([[0, 1, 1]]))
    with pytest.raises(ValueError, match="no reply was rated by two of the 2 raters"):
        krippendorff_alpha(table([[0, 1, N, N], [N, N, 1, 0]]))
    with pytest.raises(ValueError, match="all ratings are one value"):
        krippendorff_alpha(table(np.ones((3, 4))))
    with pytest.raises(ValueError, match="all ratings are one value"):
        fleiss_kappa(table(np.ones((3, 4))))
    with pytest.raises(ValueError, match="must be finite"):
        krippendorff_alpha(table([[0, np.inf], [0, 1]]))
    with pytest.raises(ValueError, match="level must be one of nominal"):
        krippendorff_alpha(good, "cardinal")
    with pytest.raises(ValueError, match="ratio scale must be >= 0"):
        krippendorff_alpha(table([[-1, 1], [0, 1]]), "ratio")
    with pytest.raises(ValueError, match="Krippendorff's α allows gaps"):
        fleiss_kappa(table([[0, 1, N], [0, 1, 1]]))
    with pytest.raises(ValueError, match="needs its cluster"):
        krippendorff_alpha(good, clusters=[1])
    with pytest.raises(ValueError, match="same replies, got 2 and 1"):
        weighted_kappa([1, 2], [1])
    with pytest.raises(ValueError, match="must be finite"):
        weighted_kappa([1, N], [1, 2])
    with pytest.raises(ValueError, match="weights must be one of linear, quadratic"):
        weighted_kappa([1, 2], [1, 2], "cubic")
    with pytest.raises(ValueError, match="must be one of bad, kind, rating"):
        ratings_of(shipped(), "worth")
    with pytest.raises(ValueError, match="b must label replies that a labels"):
        joined_ratings([good, good._replace(items=(7, 8, 9, 10))], ["a", "b"])
    with pytest.raises(ValueError, match="named, each once"):
        joined_ratings([good, good], ["a", "a"])
    with pytest.raises(ValueError, match="rater must be one of r0, r1, got 'r7'"):
        good.only(["r7"])
    with pytest.raises(ValueError, match="same replies, got 2 and 1"):
        errors_by_disagreement(np.zeros(2), np.zeros(1, dtype=bool))
    with pytest.raises(ValueError, match="must be finite"):
        errors_by_disagreement(np.array([N, 0]), np.zeros(2, dtype=bool))
    with pytest.raises(ValueError, match="2 rows of 3 ratings"):
        krippendorff_alpha(good._replace(items=(1, 2, 3)))
