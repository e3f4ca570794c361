"""Intervals over prompts hold as often as they say, and rows are ranked apart only by paired intervals."""

import numpy as np
import pytest
from scipy.stats import t

from auctionsim.experiments.running.prompt_intervals import (
    Array,
    PromptMean,
    Stratum,
    difference,
    mean_of,
    ranking,
    rate_variance,
)


def exact(*values: list[float]) -> list[Stratum]:
    return [Stratum(1 / len(values), np.array(some), np.zeros(len(some))) for some in values]


def test_one_stratum_is_students_interval() -> None:
    values = np.array([0.1, 0.4, 0.4, 0.9, 0.2])
    found = mean_of(exact(values.tolist()))
    low, high = t.interval(0.95, 4, loc=values.mean(), scale=values.std(ddof=1) / 5**0.5)
    assert found == pytest.approx((values.mean(), low, high))
    assert mean_of(exact(values.tolist()), (0.2, 1.0)).low == 0.2, "cut at what a mean can be"


def test_contexts_that_differ_are_no_noise() -> None:
    """What sets contexts apart is in no interval; what sets prompts of a context apart is."""
    apart = mean_of(exact([0.0, 0.2], [0.8, 1.0]))
    near = mean_of(exact([0.4, 0.6], [0.4, 0.6]))
    assert apart == pytest.approx(near)
    assert apart.high - apart.mean == pytest.approx(float(t.ppf(0.975, 2)) * 0.1 / 2**0.5)


def test_agreement_of_few_replies_is_no_certainty() -> None:
    nothing = np.zeros(4)
    found = mean_of([Stratum(1.0, nothing, rate_variance(nothing, np.full(4, 4.0)))], (0.0, 1.0))
    assert (found.mean, found.low) == (0, 0)
    assert found.high == pytest.approx(float(t.ppf(0.975, 3)) * (0.1 * 0.9 / 4 / 4) ** 0.5)
    assert mean_of(exact([0.5, 0.5])) == PromptMean(0.5, 0.5, 0.5), "values that are exact agree for certain"


def test_what_is_no_sample_of_prompts_is_refused() -> None:
    with pytest.raises(ValueError, match="two prompts or more in each context, got 1"):
        mean_of(exact([0.5], [0.1, 0.2]))
    with pytest.raises(ValueError, match="weights of strata must be >= 0 and add up to 1"):
        mean_of([Stratum(0.5, np.zeros(2), np.zeros(2))])


def test_pairs_are_told_apart_where_their_means_are_not() -> None:
    """Prompts differ widely, and one row is above the other on every single one: only the pairing shows it."""
    one, other = exact([0.1, 0.5, 0.9, 0.3]), exact([0.2, 0.6, 1.0, 0.41])
    assert mean_of(one).high > mean_of(other).low
    assert difference(other, one).low > 0
    found = ranking([one, other])
    assert (found.order, found.rank, found.best, found.worst) == ((1, 0), (2, 1), (2, 1), (2, 1))


def test_a_rank_begins_only_where_all_above_are_apart_from_all_below() -> None:
    """First and last are told apart, the one between from neither: all share rank 1, and the places say the rest."""
    wave = np.array([0.0, 0.3, 0.0, 0.3])
    first, middle, last = (
        exact(list(values)) for values in (0.55 + 0 * wave, 0.35 + wave, 0.45 + 0 * wave + wave / 99)
    )
    found = ranking([first, middle, last])
    assert found.order == (0, 1, 2)
    assert found.rank == (1, 1, 1)
    assert (found.best, found.worst) == ((1, 1, 2), (2, 3, 3))
    low = exact([0.0, 0.01, 0.0, 0.02])
    apart = ranking([first, middle, last, low])
    assert apart.rank == (1, 1, 1, 4)
    assert (apart.best[3], apart.worst[3]) == (4, 4)


def test_one_row_is_first_alone() -> None:
    assert ranking([exact([0.1, 0.2])]) == ((0,), (1,), (1,), (1,), None)


def drawn(means: tuple[float, ...], rng: np.random.Generator, prompts: int = 4, replies: int = 4) -> list[Array]:
    """Counts (row, prompt) of two rows of one law, of replies to the same prompts, half of their uniforms shared."""
    found = []
    for mean in means:
        chances = rng.beta(2 * mean, 2 * (1 - mean), prompts)[:, None]
        first = rng.random((prompts, replies))
        second = np.where(rng.random((prompts, replies)) < 0.5, first, rng.random((prompts, replies)))
        found.append(np.stack([(numbers < chances).sum(1) for numbers in (first, second)]).astype(float))
    return found


def rates(counts: list[Array], row: int, replies: int = 4) -> list[Stratum]:
    share = 1 / len(counts)
    return [
        Stratum(share, c[row] / replies, rate_variance(c[row], np.full(len(c[row]), float(replies)))) for c in counts
    ]


@pytest.mark.parametrize("means", [(0.9, 0.5, 0.1), (0.97, 0.9, 0.6), (0.1, 0.1, 0.3), (0.02, 0.02, 0.02)])
def test_intervals_hold_as_often_as_they_say(means: tuple[float, ...]) -> None:
    """Four prompts a context and four replies each; 300 tables, so a coverage of .95 is above .9 but for chance."""
    rng = np.random.default_rng(0)
    tables = [drawn(means, rng) for _ in range(300)]
    own = [mean_of(rates(one, 0), (0.0, 1.0)) for one in tables]
    assert np.mean([one.low <= np.mean(means) <= one.high for one in own]) > 0.9
    equal = [ranking([rates(one, 0), rates(one, 1)]).rank for one in tables]
    assert np.mean([ranks == (1, 1) for ranks in equal]) > 0.93, "equal rows share a rank"


@pytest.mark.deep
@pytest.mark.parametrize("means", [(0.9, 0.5, 0.1), (0.1, 0.1, 0.3), (0.5, 0.5, 0.5)])
def test_coverage_in_many_tables(means: tuple[float, ...]) -> None:
    rng = np.random.default_rng(1)
    tables = [drawn(means, rng) for _ in range(4000)]
    own = [mean_of(rates(one, 0), (0.0, 1.0)) for one in tables]
    assert np.mean([one.low <= np.mean(means) <= one.high for one in own]) > 0.915
    pairs = [difference(rates(one, 0), rates(one, 1)) for one in tables]
    assert np.mean([one.low <= 0 <= one.high for one in pairs]) > 0.95
