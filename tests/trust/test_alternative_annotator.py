"""The alternative annotator test: against a slow loop, its extremes, its errors in worlds where the truth is known."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from auctionsim.trust.raters import RatingTable, alt_test


def annotated(
    seed: int, accuracy: tuple[float, ...], judge: float, items: int = 80
) -> tuple[RatingTable, dict[int, float]]:
    """Annotators and a judge who are right with these probabilities, on two values."""
    draws = np.random.default_rng(seed)
    truth = draws.integers(0, 2, items)
    rows = np.stack([np.where(draws.random(items) < one, truth, 1 - truth) for one in (*accuracy, judge)])
    names = tuple(f"a{k}" for k in range(len(accuracy)))
    found = RatingTable(names, tuple(range(items)), rows[:-1].astype(float))
    return found, dict(enumerate(rows[-1].astype(float).tolist()))


@pytest.mark.parametrize("alignment", ["match", "distance"])
def test_it_is_the_slow_loop_with_gaps(alignment: str) -> None:
    draws = np.random.default_rng(0)
    values = draws.integers(1, 5, (4, 120)).astype(float)
    values[draws.random(values.shape) < 0.3] = np.nan
    judge = {k: float(draws.integers(1, 5)) for k in range(120) if k % 7}
    found = alt_test(RatingTable(("a", "b", "c", "d"), tuple(range(120)), values), judge, 0.1, alignment)
    p_values = []
    for j, test in enumerate(found.annotators):
        wins, human = [], []
        for k, verdict in judge.items():
            others = [values[m, k] for m in range(4) if m != j and not np.isnan(values[m, k])]
            if np.isnan(values[j, k]) or not others:
                continue
            if alignment == "match":
                s, h = (np.mean([one == x for one in others]) for x in (verdict, values[j, k]))
            else:
                s, h = (-np.sqrt(np.mean([(one - x) ** 2 for one in others])) for x in (verdict, values[j, k]))
            wins.append(s >= h)
            human.append(h >= s)
        assert test.num_items == len(wins)
        assert test.judge_advantage == pytest.approx(np.mean(wins))
        assert test.annotator_advantage == pytest.approx(np.mean(human))
        difference = np.array(human, float) - np.array(wins, float)
        p_values.append(ttest_1samp(difference, 0.1, alternative="less").pvalue)
        assert test.p_value == pytest.approx(p_values[-1])
    order = np.argsort(p_values)
    harmonic = sum(1 / k for k in range(1, 5))
    passing = [k for k in range(4) if p_values[order[k]] <= 0.05 * (k + 1) / (4 * harmonic)]
    cut = max(passing) + 1 if passing else 0  # Benjamini and Yekutieli by their own rule
    assert {t.annotator for t in found.annotators if t.won} == {"abcd"[k] for k in order[:cut]}
    assert found.advantage == pytest.approx(np.mean([t.judge_advantage for t in found.annotators]))
    assert found.winning_rate == cut / 4


def test_the_extremes() -> None:
    annotators, perfect = annotated(1, (0.7, 0.7, 0.7), 1.0)
    assert alt_test(annotators, perfect, 0.2).passed
    noise = {k: float(np.random.default_rng(k).integers(2)) for k in perfect}
    assert alt_test(annotated(2, (0.95, 0.95, 0.95), 0.5)[0], noise, 0.1).winning_rate == 0
    agreed = annotators._replace(values=np.tile(annotators.values[:1], (3, 1)))
    same = dict(enumerate(agreed.values[0].tolist()))
    assert alt_test(agreed, same, 0.1).winning_rate == 1  # no spread, and no worse than ε allows
    assert alt_test(agreed, same, 0.0).winning_rate == 0  # equal is not better by any margin
    contrary = {k: 1 - value for k, value in same.items()}
    assert alt_test(agreed, contrary, 0.2).advantage == 0


def test_a_higher_epsilon_never_takes_a_win_away() -> None:
    annotators, judge = annotated(3, (0.8, 0.75, 0.85, 0.8), 0.75)
    rates = [alt_test(annotators, judge, epsilon).winning_rate for epsilon in (0, 0.1, 0.2, 0.3, 0.5)]
    assert rates == sorted(rates)
    assert rates[0] < rates[-1]


def test_a_judge_at_the_edge_of_epsilon_seldom_wins() -> None:
    """Two annotators of accuracy a against a judge: d has mean (a − j)(2a − 1), here ε itself, so wins are errors."""
    annotator, epsilon = 0.9, 0.12
    judge = annotator - epsilon / (2 * annotator - 1)
    wins = 0
    for seed in range(100):
        found = alt_test(*annotated(seed, (annotator, annotator), judge, 200), epsilon)
        wins += found.winning_rate > 0
    assert wins <= 11


def test_bad_input_is_refused() -> None:
    annotators, judge = annotated(0, (0.8, 0.8), 0.8)
    with pytest.raises(ValueError, match="none of its 1 is one"):
        alt_test(annotators, {"elsewhere": 1.0}, 0.1)
    with pytest.raises(ValueError, match="at least two raters, got a0 alone"):
        alt_test(annotators.only(["a0"]), judge, 0.1)
    with pytest.raises(ValueError, match="at least 30 replies with another one and the judge, and a0 shares 20"):
        alt_test(annotators, {k: judge[k] for k in range(20)}, 0.1)
    with pytest.raises(ValueError, match="judge's ratings must be finite"):
        alt_test(annotators, {**judge, 3: np.nan}, 0.1)
    with pytest.raises(ValueError, match=r"ε must be in \[0, 1\)"):
        alt_test(annotators, judge, 1.0)
    with pytest.raises(ValueError, match="alignment must be one of match, distance"):
        alt_test(annotators, judge, 0.1, "rank")
