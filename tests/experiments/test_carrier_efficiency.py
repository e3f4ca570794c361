"""η against known laws: 1 where nothing but the name moved, never above 1 by the noise of few replies."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from auctionsim.experiments.tables.carrier_efficiency import (
    Efficiency,
    NamedCounts,
    efficiency,
    exact_interval,
)
from auctionsim.language_models import laws


def binary_divergence(p: float, q: float) -> float:
    return float(laws.binary_divergence(torch.tensor(p, dtype=torch.float64), torch.tensor(q, dtype=torch.float64)))


def test_divergence_of_two_coins() -> None:
    assert binary_divergence(0.5, 0.25) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert binary_divergence(0.0, 0.25) == pytest.approx(math.log(4 / 3))
    assert binary_divergence(0.3, 0.3) == 0
    assert math.isinf(binary_divergence(0.3, 0.0))


def test_intervals_of_probabilities_are_exact_ones() -> None:
    for successes, trials in ((0, 7), (3, 7), (7, 7), (20, 48)):
        ours = exact_interval(successes, trials, 0.95)
        theirs = binomtest(successes, trials).proportion_ci(0.95, method="exact")
        assert ours == pytest.approx((theirs.low, theirs.high))


def counted(changed: list[int], untouched: list[int], replies: int) -> NamedCounts:
    return NamedCounts(np.array(changed, dtype=float), np.array(untouched, dtype=float), replies)


def test_all_of_the_divergence_in_the_name_is_one() -> None:
    """Half of the replies name it under the carrier, a quarter untouched; the law moved by d(½‖¼) and no more."""
    d = binary_divergence(0.5, 0.25)
    found = efficiency(counted([9000] * 2, [4500] * 2, 18000), np.full((2, 18000), d))
    assert found is not None
    assert found.mean == pytest.approx(1)
    assert 0.8 < found.low < 1 < found.high < 1.25
    half = efficiency(counted([9000] * 2, [4500] * 2, 18000), np.full((2, 18000), 2 * d))
    assert half is not None
    assert half.mean == pytest.approx(0.5)
    assert half.high < 1


def test_few_replies_say_little() -> None:
    found = efficiency(counted([4], [0], 4), np.full((1, 4), 0.5))
    assert found is not None
    assert math.isinf(found.mean)
    assert found.low < 1
    assert math.isinf(found.high), "the untouched probability may be 0"


def test_it_has_no_value_after_the_reply_and_refuses_what_is_no_divergence() -> None:
    counts = counted([4, 4], [0, 0], 4)
    assert efficiency(counts, np.zeros((2, 4))) is None
    with pytest.raises(ValueError, match="reply_kl must be >= 0"):
        efficiency(counts, np.full((2, 4), -0.1))
    with pytest.raises(ValueError, match=r"reply_kl must be \(prompt, reply\)"):
        efficiency(counts, np.zeros((2, 3)))


def simulated(lift: float, waste: float, tables: int, seed: int) -> tuple[float, list[Efficiency]]:
    """Return the true pooled η and its estimates: odds are multiplied by e^lift, and the law moves by waste beside it.

    Twelve prompts of different laws, four replies each; what a reply pays beside the name is skewed.
    """
    rng = np.random.default_rng(seed)
    q = rng.choice([0.02, 0.1, 0.5], 12)
    p = q * np.exp(lift) / (1 - q + q * np.exp(lift))
    own = np.array([binary_divergence(*pair) for pair in zip(p, q, strict=True)])
    truth = binary_divergence(float(p.mean()), float(q.mean())) / (float(own.mean()) * (1 + waste))
    found = []
    for _ in range(tables):
        beside = rng.lognormal(-1.125, 1.5, (12, 4)) * own[:, None] * waste
        counts = NamedCounts(rng.binomial(4, p).astype(float), rng.binomial(4, q).astype(float), 4)
        one = efficiency(counts, own[:, None] + beside)
        assert one is not None
        found.append(one)
    return truth, found


@pytest.mark.parametrize(("lift", "waste"), [(1.5, 0.0), (4.0, 0.0), (4.0, 1.0)])
def test_the_interval_holds_and_never_lies_above_one(lift: float, waste: float) -> None:
    truth, found = simulated(lift, waste, 150, 2)
    assert truth <= 1
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.95
    assert not any(one.low > 1 for one in found)


@pytest.mark.deep
@pytest.mark.parametrize(("lift", "waste"), [(1.5, 0.0), (4.0, 0.0), (4.0, 0.2), (2.0, 1.0)])
def test_many_tables(lift: float, waste: float) -> None:
    truth, found = simulated(lift, waste, 3000, 3)
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.95
    assert not any(one.low > 1 for one in found)


def test_a_divergence_that_all_replies_share_is_an_estimate() -> None:
    """Of a reply chosen among several: what prompts say of its error is in the interval, and of one prompt nothing."""
    nats = np.repeat([[0.1], [0.3], [0.1], [0.3]], 400, axis=1)
    counts = counted([200] * 4, [20] * 4, 400)
    found = efficiency(counts, nats)
    exact = efficiency(counts, nats + np.linspace(-1e-9, 1e-9, 400))
    assert found is not None
    assert exact is not None
    assert exact.low > 1, "a cost known exactly would put this above 1"
    assert found.mean == pytest.approx(exact.mean)
    assert found.low < exact.low < exact.high < found.high
    single = efficiency(counted([200], [20], 400), nats[:1])
    assert single is not None
    assert (single.low, single.high) == (0.0, math.inf)
