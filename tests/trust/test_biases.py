"""Biases of judges: what is planted is recovered, and laws hold by enumeration, by quadrature and by draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from auctionsim.trust.biases import (
    drawn_consistency,
    length_controlled,
    mean_estimate,
    position_bias,
    self_preference,
    swap_average,
)


def test_swap_averaging_recovers_the_margin_and_averaged_probabilities_do_not() -> None:
    margin, bias = 1.0, 2.0
    ab, ba = np.array([margin + bias]), np.array([-margin + bias])
    assert expit(swap_average(ab, ba))[0] == pytest.approx(0.731059, abs=1e-6)
    assert (expit(ab) + 1 - expit(ba))[0] / 2 == pytest.approx(0.610758, abs=1e-6)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=2, max_size=9))
def test_exchanging_the_replies_turns_the_margin_and_keeps_the_bias(pairs: list[tuple[float, float]]) -> None:
    ab, ba = np.array(pairs).T
    assert swap_average(ba, ab) == pytest.approx(-swap_average(ab, ba))
    assert position_bias(ba, ab).bias == pytest.approx(position_bias(ab, ba).bias)


def test_a_planted_leaning_is_found() -> None:
    margins = np.random.default_rng(0).normal(size=200)
    found = position_bias(margins + 1.5, -margins + 1.5)
    assert found.bias.value == pytest.approx(1.5)
    assert found.median_margin == pytest.approx(np.median(np.abs(margins)))
    assert found.consistent_share == pytest.approx((np.abs(margins) > 1.5).mean())
    assert found.first_slot_share == pytest.approx(np.concatenate([margins > -1.5, margins < 1.5]).mean())
    with pytest.raises(ValueError, match="at least two pairs"):
        position_bias(np.zeros(1), np.zeros(1))


@given(st.floats(0, 3), st.floats(-4, 4))
def test_consistent_drawn_verdicts_are_right_by_twice_the_margin_at_any_bias(margin: float, bias: float) -> None:
    assert drawn_consistency(margin, bias).accuracy == pytest.approx(expit(2 * margin))


def test_draws_obey_that_law_and_likelier_answers_do_not() -> None:
    draws, margin, bias, count = np.random.default_rng(1), 0.4, 1.0, 200_000
    first = draws.random(count) < expit(margin + bias)
    second = draws.random(count) < expit(margin - bias)
    same = first == second
    law = drawn_consistency(margin, bias)
    assert same.mean() == pytest.approx(law.consistent, abs=0.005)
    assert first[same].mean() == pytest.approx(expit(0.8), abs=0.005)
    likelier = (margin + bias > 0) == (margin - bias > 0)
    assert not likelier  # the first slot wins in both orders: no verdict is consistent, whatever σ(2Δ) says


def test_length_control_in_closed_form_and_from_draws() -> None:
    raw, _ = quad(lambda z: expit(0.5 + np.tanh(z)) * norm.pdf(z, 0.5, 1), -9, 10)
    assert raw == pytest.approx(0.677260, abs=1e-6)
    assert expit(0.5) == pytest.approx(0.622459, abs=1e-6)
    draws = np.random.default_rng(100)
    z = draws.normal(0.5, 1, size=40_000)
    found = length_controlled(draws.random(40_000) < expit(0.5 + np.tanh(z)), 37 * z)  # words, not deviations
    assert found.equal_length.low < 0.622459 < found.equal_length.high
    assert found.equal_length.high - found.equal_length.low < 0.02
    assert found.raw == pytest.approx(0.677260, abs=0.008)
    assert found.length_effect.value == pytest.approx(1, abs=0.08)  # four standard errors


def test_length_that_explains_nothing_and_length_that_explains_all() -> None:
    draws = np.random.default_rng(3)
    z = draws.normal(size=4000)
    none = length_controlled(draws.random(4000) < 0.7, z)
    assert none.length_effect.low < 0 < none.length_effect.high
    assert none.equal_length.value == pytest.approx(none.raw, abs=0.01)
    with pytest.raises(ValueError, match="separates wins from losses"):
        length_controlled(z > 0, z)
    with pytest.raises(ValueError, match="lengths that differ"):
        length_controlled(z > 0, np.ones(4000))


def test_self_preference_is_what_the_label_does_not_explain() -> None:
    draws = np.random.default_rng(4)
    bad = draws.random(600) < 0.5
    own = ((draws.random(600) < 0.7) == ~bad).astype(float)  # its own replies are better
    prompts = np.repeat(np.arange(60), 10).tolist()
    fair = -2.0 * bad + draws.normal(size=600)
    found = self_preference(fair, own, bad, prompts)
    assert found.low < 0 < found.high
    assert self_preference(fair + own, own, bad, prompts).low > 0.3
    with pytest.raises(ValueError, match="that vary"):
        self_preference(fair, np.ones(600), bad, prompts)


def test_a_mean_over_clusters_is_wider_where_they_are_alike() -> None:
    values = np.repeat([0.0, 1.0, 2.0, 3.0], 5)
    plain, grouped = mean_estimate(values), mean_estimate(values, np.repeat(np.arange(4), 5).tolist())
    once = mean_estimate(values[::5])
    assert grouped == pytest.approx(once)
    assert plain.low > grouped.low
    with pytest.raises(ValueError, match="at least two draws"):
        mean_estimate(values, [0] * 20)


def test_what_shows_no_bias_is_refused() -> None:
    some, bad = np.arange(8.0), np.arange(8) % 2 == 0
    with pytest.raises(ValueError, match="two prompts, and own replies that the label does not give away"):
        self_preference(some, (some > 3).astype(float), bad, ["one"] * 8)
    with pytest.raises(ValueError, match="two prompts, and own replies that the label does not give away"):
        self_preference(some, 1.0 - bad, bad, list(range(8)))
    with pytest.raises(ValueError, match="finite differences of lengths"):
        length_controlled(bad, np.full(8, np.nan))
    with pytest.raises(ValueError, match="both wins and losses"):
        length_controlled(np.zeros(0, bool), np.zeros(0))
    with pytest.raises(ValueError, match="two draws, all finite"):
        mean_estimate(np.array([1.0, np.nan]))
