"""Conformal intervals, cascades and mends of probabilities: exact rules, coverage, errors at most δ, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from auctionsim.trust import recalibrate
from auctionsim.trust.guarantees import JudgeVerdicts, disagreement_bound, escalate, fewest_labels, split_conformal


def conformal_coverage(n: int, coverage: float, worlds: int, seed: int) -> float:
    """Share of new labels inside, over draws of labels and of the reply; the judge is off by a skewed error."""
    draws = np.random.default_rng(seed)
    inside = 0.0
    for _ in range(worlds):
        judged = draws.normal(size=n + 50)
        labels = judged + draws.exponential(size=n + 50) * draws.choice([-1, 3], n + 50)
        found = split_conformal(labels[:n], judged[:n], judged[n:], coverage)
        inside += ((found.low <= labels[n:]) & (labels[n:] <= found.high)).mean()
    return inside / worlds


@pytest.mark.parametrize(
    ("n", "coverage", "rank"), [(99, 0.9, 90), (9, 0.9, 9), (100, 0.9, 91), (19, 0.95, 19), (7, 0.5, 4)]
)
def test_the_radius_is_the_order_statistic_of_the_rule(n: int, coverage: float, rank: int) -> None:
    draws = np.random.default_rng(n)
    labels, judged = draws.normal(size=(2, n))
    found = split_conformal(labels, judged, np.array([0.5]), coverage)
    assert found.radius == pytest.approx(np.sort(np.abs(labels - judged))[rank - 1])
    assert found.coverage == pytest.approx(rank / (n + 1))
    assert found.coverage >= coverage - 1e-12
    assert (found.high[0] + found.low[0]) / 2 == pytest.approx(0.5)


def test_ninety_nine_labels_cover_ninety_per_cent() -> None:
    assert conformal_coverage(99, 0.9, 400, 0) == pytest.approx(0.9, abs=0.01)


@pytest.mark.deep
@pytest.mark.parametrize(("n", "coverage"), [(99, 0.9), (19, 0.8), (199, 0.95), (9, 0.9)])
def test_coverage_is_that_of_the_rule(n: int, coverage: float) -> None:
    found = conformal_coverage(n, coverage, 4000, n)
    print(f"n={n}, asked for {coverage}: {found:.4f}")
    assert found == pytest.approx(math.ceil((n + 1) * coverage - 1e-9) / (n + 1), abs=0.004)


@given(coverage=st.floats(0.05, 0.99))
def test_one_label_fewer_is_too_few(coverage: float) -> None:
    n = fewest_labels(coverage)
    labels = np.arange(float(n))
    assert split_conformal(labels, np.zeros(n), np.zeros(1), coverage).radius <= n - 1
    if n > 1:
        with pytest.raises(ValueError, match=f"needs at least {n} labels, got {n - 1}"):
            split_conformal(labels[1:], np.zeros(n - 1), np.zeros(1), coverage)


def test_bounds_cut_and_bad_input_of_intervals_is_refused() -> None:
    labels, judged = np.linspace(0, 1, 30), np.full(30, 0.5)
    found = split_conformal(labels, judged, np.array([0.0, 0.9]), 0.9, (0.0, 1.0))
    assert found.low.min() == 0
    assert found.high.max() == 1
    with pytest.raises(ValueError, match="same replies, got 30 and 29"):
        split_conformal(labels, judged[1:], judged)
    with pytest.raises(ValueError, match=r"coverage must be in \(0, 1\)"):
        split_conformal(labels, judged, judged, 1.0)
    with pytest.raises(ValueError, match="labels must be finite, and 30 are not"):
        split_conformal(labels * np.nan, judged, judged)
    with pytest.raises(ValueError, match="bounds must be a lower and a higher"):
        split_conformal(labels, judged, judged, bounds=(1.0, 0.0))


def world(seed: int, labels: int, replies: int = 4000) -> tuple[list[JudgeVerdicts], np.ndarray, np.ndarray]:
    """Two judges: each is right with the probability that it states, the second surer; who is labelled is drawn."""
    draws = np.random.default_rng(seed)
    truth = draws.integers(0, 2, replies)
    judges = []
    for name, sure, cost in (("cheap", 1.0, 0.01), ("dear", 4.0, 0.2)):
        stated = 0.5 + 0.5 * draws.beta(sure, 1.0, replies)
        right = draws.random(replies) < stated
        judges.append(JudgeVerdicts(name, np.where(right, truth, 1 - truth), stated, cost))
    labelled = np.zeros(replies, dtype=bool)
    labelled[draws.permutation(replies)[:labels]] = True
    return judges, labelled, truth


def failures(worlds: int, labels: int, risk: float, delta: float) -> tuple[float, float]:
    """Share of worlds in which more of the decided unlabelled replies are wrong than α; mean share left to humans."""
    failed, human = 0, 0.0
    for seed in range(worlds):
        judges, labelled, truth = world(seed, labels)
        found = escalate(judges, labelled, truth, risk, delta, seed=seed)
        decided = (found.decided_by >= 0) & ~labelled
        # the truth of the law, not of these replies: what judges state is right
        stated = np.where(found.decided_by == 0, judges[0].confidence, judges[1].confidence)
        failed += bool(decided.any() and 1 - stated[decided].mean() > risk)
        human += found.human_share / worlds
    return failed / worlds, human


def test_the_risk_is_held() -> None:
    failed, human = failures(60, 400, 0.15, 0.1)
    assert failed <= 0.1 + 2 * math.sqrt(0.09 / 60)
    assert human < 0.9


@pytest.mark.deep
@pytest.mark.parametrize(("labels", "risk", "delta"), [(400, 0.15, 0.1), (200, 0.2, 0.2), (1000, 0.1, 0.05)])
def test_the_risk_is_held_in_many_worlds(labels: int, risk: float, delta: float) -> None:
    failed, human = failures(1000, labels, risk, delta)
    print(f"{labels} labels, risk {risk}, delta {delta}: fails in {failed:.3f}, leaves {human:.3f} to humans")
    assert failed <= delta


def test_stages_add_up_and_what_they_rest_on_is_told() -> None:
    judges, labelled, truth = world(1, 600)
    found = escalate(judges, labelled, truth, 0.15, human_cost=2.0)
    assert sum(stage.share for stage in found.stages) + found.human_share == pytest.approx(1)
    reach = 1 - found.stages[0].share
    assert found.cost == pytest.approx(0.01 + 0.2 * reach + 2 * found.human_share)
    for place, stage in enumerate(found.stages):
        mine = found.decided_by == place
        assert stage.share == pytest.approx(mine.mean())
        assert (judges[place].confidence[mine] >= stage.threshold).all()
        assert (found.verdicts[mine] == judges[place].verdicts[mine]).all()
        assert stage.bound <= 0.15
        assert stage.bound == pytest.approx(disagreement_bound(stage.num_wrong, stage.num_labels, 0.025))
    below = found.decided_by != 0
    assert (judges[0].confidence[below] < found.stages[0].threshold).all()
    looked = truth.copy()
    looked[~labelled] = 7  # labels of the others are not looked at
    assert escalate(judges, labelled, looked, 0.15, human_cost=2.0).stages == found.stages


def test_a_judge_that_is_always_right_decides_all_and_one_that_guesses_nothing() -> None:
    draws = np.random.default_rng(0)
    truth, labelled = draws.integers(0, 2, 1000), np.arange(1000) < 300
    draws.shuffle(labelled)
    right = JudgeVerdicts("right", truth, draws.random(1000), 0.1)
    guess = JudgeVerdicts("guess", draws.integers(0, 2, 1000), draws.random(1000), 0.1)
    alone = escalate([right], labelled, truth, 0.1)
    assert alone.stages[0].share > 0.99
    both = escalate([guess, right], labelled, truth, 0.1)
    assert both.stages[0].threshold == math.inf
    assert both.stages[0].share == 0
    assert math.isnan(both.stages[0].bound)
    assert both.stages[1].share > 0.99
    assert escalate([guess], labelled, truth, 0.1).human_share == 1


@given(n=st.integers(1, 200), share=st.floats(0, 1), delta=st.floats(0.01, 0.5))
def test_the_bound_is_where_so_few_errors_have_probability_delta(n: int, share: float, delta: float) -> None:
    wrong = int(share * n)
    bound = disagreement_bound(wrong, n, delta)
    assert bound >= wrong / n or bound == pytest.approx(wrong / n) or delta > 0.4
    if wrong < n:
        assert binom.cdf(wrong, n, bound) == pytest.approx(delta, rel=1e-6)


def test_bad_input_of_cascades_is_refused() -> None:
    judges, labelled, truth = world(0, 100)
    with pytest.raises(ValueError, match="at least one judge, got none"):
        escalate([], labelled, truth, 0.1)
    with pytest.raises(ValueError, match="needs at least 36 labels for each of 2 judges, got 20"):
        escalate(judges, labelled & (np.cumsum(labelled) <= 20), truth, 0.1)
    with pytest.raises(ValueError, match="must be in"):
        escalate(judges, labelled, truth, 0.0)
    with pytest.raises(ValueError, match="cheap must have one verdict and one confidence per reply"):
        escalate([judges[0]._replace(confidence=np.ones(3))], labelled, truth, 0.1)
    with pytest.raises(ValueError, match="confidence must be finite"):
        escalate([judges[0]._replace(confidence=np.full(4000, np.nan))], labelled, truth, 0.1)
    with pytest.raises(ValueError, match="there is nothing to decide"):
        escalate(judges, np.ones(4000, dtype=bool), truth, 0.1)


def overconfident(seed: int, replies: int) -> tuple[np.ndarray, np.ndarray]:
    """Stated probabilities whose log odds are three times too large."""
    draws = np.random.default_rng(seed)
    odds = draws.normal(size=replies)
    return 1 / (1 + np.exp(-3 * odds)), draws.random(replies) < 1 / (1 + np.exp(-odds))


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_mend_lowers_both_errors_on_labels_that_it_did_not_see(method: str) -> None:
    stated, bad = overconfident(0, 3000)
    found = recalibrate(stated, bad, method)
    assert found.after.brier < found.before.brier - 0.02
    assert found.after.expected_error < 0.06 < found.before.expected_error
    assert (found.num_fitted, found.num_held_out) == (1500, 1500)
    grid = np.linspace(0, 1, 50)
    assert (np.diff(found.mend(grid)) >= -1e-12).all()
    assert ((found.mend(grid) >= 0) & (found.mend(grid) <= 1)).all()


def test_platts_mend_finds_the_slope_and_a_good_probability_stays() -> None:
    stated, bad = overconfident(1, 20000)
    mend = recalibrate(stated, bad, share=0.9).mend
    odds = np.array([-1.5, 0.0, 1.5])
    assert mend(1 / (1 + np.exp(-3 * odds))) == pytest.approx(1 / (1 + np.exp(-odds)), abs=0.03)
    honest = recalibrate(1 / (1 + np.exp(-np.log(stated / (1 - stated)) / 3)), bad)
    assert honest.after.brier == pytest.approx(honest.before.brier, abs=0.003)


def test_prompts_stay_together_and_bad_input_of_mends_is_refused() -> None:
    stated, bad = overconfident(2, 200)
    by_prompt = recalibrate(stated, bad, clusters=[k // 40 for k in range(200)], share=0.4)
    assert (by_prompt.num_fitted, by_prompt.num_held_out) == (80, 120)
    with pytest.raises(ValueError, match="method must be one of platt, isotonic"):
        recalibrate(stated, bad, "beta")
    with pytest.raises(ValueError, match=r"share of labels that the mend is fitted on must be in \(0, 1\)"):
        recalibrate(stated, bad, share=1.0)
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\]"):
        recalibrate(stated * np.nan, bad)
    with pytest.raises(ValueError, match="same replies, got 200, 199"):
        recalibrate(stated, bad[1:])
    with pytest.raises(ValueError, match="fitted on at least 20 labels, 3 of them of either kind, got 10"):
        recalibrate(stated[:20], bad[:20])
    with pytest.raises(ValueError, match="0 of the rarer"):
        recalibrate(stated, np.zeros(200, dtype=bool))
