"""DSL: unbiased by the plan of sampling whatever the fit is, against slow sums, clusters, coverage, bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctionsim.trust.few_labels import dsl_mean, dsl_regression, least_squares, ppi_mean, pseudo_outcomes


def world(seed: int, replies: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Readings, labels, probabilities and who is labelled: doubtful replies are labelled four times as often."""
    draws = np.random.default_rng(seed)
    judged = draws.random(replies)
    labels = (draws.random(replies) < 0.1 + 0.6 * judged**2).astype(float)
    probabilities = np.where(judged > 0.6, 0.24, 0.06)
    return judged, labels, probabilities, draws.random(replies) < probabilities


TRUTH = 0.1 + 0.6 / 3


def nothing(predictors: np.ndarray, labels: np.ndarray):
    return lambda others: np.full(len(others), 7.0)


def test_pseudo_outcomes_have_the_labels_mean_over_all_samples_whatever_the_learner_says() -> None:
    """Twelve replies, every subset of labelled ones with its probability: the mean of ỹ is the mean label exactly."""
    draws = np.random.default_rng(0)
    labels, probabilities = draws.normal(size=4), np.array([0.5, 0.25, 0.75, 1.0])
    extra = 30  # always labelled, so that every subset has labels enough
    y = np.concatenate([labels, draws.normal(size=extra)])
    pi = np.concatenate([probabilities, np.ones(extra)])
    expected = np.zeros(4)
    for chosen in itertools.product([False, True], repeat=4):
        probability = float(np.prod(np.where(chosen, probabilities, 1 - probabilities)))
        labelled = np.array([*chosen, *[True] * extra])
        if probability:
            found = pseudo_outcomes(np.zeros((34, 1)), labelled, y, pi, nothing)
            expected += probability * found[:4]
    assert expected == pytest.approx(labels)


@pytest.mark.parametrize("learner", [least_squares, nothing])
def test_a_mean_covers_where_labelled_replies_are_no_fair_sample(learner: object) -> None:
    inside, naive = 0, 0
    for seed in range(100):
        judged, labels, probabilities, labelled = world(seed)
        found = dsl_mean(judged[:, None], labelled, labels, probabilities, learner, seed=seed)
        inside += found.low <= TRUTH <= found.high
        some = labels[labelled]
        naive += abs(some.mean() - TRUTH) <= 1.96 * some.std() / np.sqrt(len(some))
    assert inside >= 88
    assert naive < 20


@pytest.mark.deep
def test_coverage_of_means_and_slopes() -> None:
    inside, prompts = np.zeros(3), 150
    worlds = 2000
    for seed in range(worlds):
        judged, labels, probabilities, labelled = world(seed, 3000)  # 400 labels, a quarter of them rare ones
        found = dsl_mean(judged[:, None], labelled, labels, probabilities, seed=seed)
        inside[0] += found.low <= TRUTH <= found.high
        line = dsl_regression(
            np.stack([np.ones(3000), judged**2], 1), judged[:, None], labelled, labels, probabilities, seed=seed
        )
        inside[1] += abs(line.coefficients[1] - 0.6) <= 1.959964 * line.standard_errors[1]
        draws = np.random.default_rng(seed)
        prompt = np.repeat(np.arange(prompts), 10)
        y = (draws.normal(size=prompts)[prompt] + draws.normal(size=1500) > 0).astype(float)
        picked = draws.random(1500) < 0.2
        pi = np.full(1500, 0.2)
        grouped = dsl_mean(judged[:1500, None], picked, y, pi, seed=seed, clusters=prompt.tolist())
        inside[2] += grouped.low <= 0.5 <= grouped.high
    print("coverage of a mean, a slope, a mean over prompts:", inside / worlds)
    assert (inside / worlds >= 0.93).all()
    assert (inside / worlds <= 0.965).all()


def test_standard_errors_are_slow_sums() -> None:
    judged, labels, probabilities, labelled = world(5, 300)
    found = dsl_mean(judged[:, None], labelled, labels, probabilities, seed=1)
    outcomes = pseudo_outcomes(judged[:, None], labelled, labels, probabilities, seed=1)
    assert found.value == pytest.approx(outcomes.mean())
    assert found.standard_error == pytest.approx(outcomes.std(ddof=1) / np.sqrt(300))
    prompts = [k // 6 for k in range(300)]
    grouped = dsl_mean(judged[:, None], labelled, labels, probabilities, seed=1, clusters=prompts)
    again = pseudo_outcomes(judged[:, None], labelled, labels, probabilities, seed=1, clusters=prompts)
    sums = [sum(again[k] - again.mean() for k in range(300) if prompts[k] == one) for one in range(50)]
    assert grouped.standard_error == pytest.approx(np.sqrt(50 / 49 * np.square(sums).sum()) / 300)
    design = np.stack([np.ones(300), judged], 1)
    line = dsl_regression(design, judged[:, None], labelled, labels, probabilities, seed=1)
    assert line.coefficients[::-1] == pytest.approx(np.polyfit(judged, outcomes, 1))


def test_every_reply_labelled_is_the_plain_mean() -> None:
    judged, labels, _, _ = world(2, 200)
    found = dsl_mean(judged[:, None], np.ones(200, dtype=bool), labels, np.ones(200))
    assert found.value == pytest.approx(labels.mean())
    assert found.standard_error == pytest.approx(labels.std(ddof=1) / np.sqrt(200))
    assert found.effective_labels == pytest.approx(200)
    assert np.isnan(found.power)


def test_equal_probabilities_come_near_to_ppi() -> None:
    judged, labels, _, _ = world(3)
    labelled = np.random.default_rng(0).random(1500) < 0.2
    found = dsl_mean(judged[:, None], labelled, labels, np.full(1500, 0.2))
    ppi = ppi_mean(labels[labelled], judged[labelled], judged[~labelled])
    assert found.value == pytest.approx(ppi.value, abs=ppi.standard_error / 4)
    assert found.standard_error == pytest.approx(ppi.standard_error, rel=0.1)
    assert found.effective_labels == pytest.approx(ppi.effective_labels, rel=0.2)


def test_a_fit_never_sees_the_label_that_it_predicts() -> None:
    """A label that is changed changes no other ỹ of its own fold, and its own by the change over π."""
    judged, labels, probabilities, labelled = world(4, 400)
    one = int(np.flatnonzero(labelled)[0])
    before = pseudo_outcomes(judged[:, None], labelled, labels, probabilities)
    changed = labels.copy()
    changed[one] += 100
    after = pseudo_outcomes(judged[:, None], labelled, changed, probabilities)
    assert after[one] - before[one] == pytest.approx(100 / probabilities[one])
    same_fold = np.isclose(after, before, atol=1e-9)
    assert 60 <= same_fold.sum() <= 100
    prompts = [k // 10 for k in range(400)]
    first = pseudo_outcomes(judged[:, None], labelled, labels, probabilities, clusters=prompts)
    second = pseudo_outcomes(judged[:, None], labelled, changed, probabilities, clusters=prompts)
    of_prompt = np.array(prompts) == prompts[one]
    others = of_prompt & (np.arange(400) != one)
    assert second[others] == pytest.approx(first[others])


@given(seed=st.integers(0, 10**6), noise=st.floats(-5, 5))
def test_what_stands_where_nothing_is_labelled_is_not_looked_at(seed: int, noise: float) -> None:
    judged, labels, probabilities, labelled = world(seed, 300)
    if labelled.sum() < 12:
        return
    other = np.where(labelled, labels, noise)
    other[~labelled] = np.nan
    first = dsl_mean(judged[:, None], labelled, labels, probabilities)
    assert dsl_mean(judged[:, None], labelled, other, probabilities)[:4] == first[:4]


def test_what_gives_no_interval_is_refused() -> None:
    judged, labels, probabilities, labelled = world(6, 300)
    sides = judged[:, None], labelled, labels
    with pytest.raises(ValueError, match="probability above 0 and at most 1 of being labelled, got 0 for 300 of 300"):
        dsl_mean(*sides, np.zeros(300))
    with pytest.raises(ValueError, match="probabilities must be one per reply, got 10 for 300 replies"):
        dsl_mean(*sides, probabilities[:10])
    with pytest.raises(ValueError, match="at least 10 labels"):
        dsl_mean(judged[:, None], np.zeros(300, dtype=bool), labels, probabilities)
    with pytest.raises(ValueError, match="predictors must be finite, and 300 of 300"):
        dsl_mean(judged[:, None] * np.nan, labelled, labels, probabilities)
    with pytest.raises(ValueError, match="labels must be finite"):
        dsl_mean(judged[:, None], labelled, labels * np.nan, probabilities)
    with pytest.raises(ValueError, match="folds must be 2 to 300"):
        dsl_mean(*sides, probabilities, folds=1)
    with pytest.raises(ValueError, match="needs its cluster, got 2"):
        dsl_mean(*sides, probabilities, clusters=[1, 2])
    with pytest.raises(ValueError, match="labels outside each fold"):
        dsl_mean(np.tile(judged[:, None], 200), labelled, labels, probabilities)
    with pytest.raises(ValueError, match="depend on each other"):
        dsl_regression(np.ones((300, 2)), *sides, probabilities)
    with pytest.raises(ValueError, match="must be finite"):
        dsl_mean(*sides, probabilities, lambda _, __: lambda others: others[:, 0] * np.inf)
    with pytest.raises(ValueError, match="whole number >= 0"):
        dsl_mean(*sides, probabilities, seed=-1)
    with pytest.raises(ValueError, match="all of them are alike"):
        dsl_mean(judged[:, None], labelled, np.ones(300), probabilities)
    with pytest.raises(ValueError, match="more clusters than columns"):
        dsl_regression(
            np.stack([np.ones(300), judged], 1), *sides, probabilities, folds=2, clusters=[k % 2 for k in range(300)]
        )
