"""A log refuses what is no log, and replays refuse what is no law."""

from dataclasses import replace

import numpy as np
import pytest

from auctionsim.errors import InputError
from auctionsim.logs import LogColumns, Replays, SessionLog, Sources, ValueEstimates

COLUMNS = LogColumns(("first", "second"), ("x",), ("y",), ("click",))


def a_log(sessions: int = 4, *, randomised: bool = True) -> SessionLog:
    rng = np.random.default_rng(0)
    option = np.arange(sessions) % 2
    numbers = [rng.normal(size=(sessions, 1)) for _ in range(3)]
    outcome = rng.normal(size=sessions)
    return SessionLog(
        COLUMNS, numbers[0], option, numbers[1], outcome, numbers[2], np.full(sessions, 0.5), randomised=randomised
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"option": np.array([0, 1, 2, 1])}, "from 0 to 1, got 2"),
        ({"outcome": np.array([0.0, np.nan, 0, 0])}, "outcome has one that is not"),
        ({"outcome": np.array([0.0, 1e60, 0, 0])}, "within ±1e\\+50; outcome has one"),
        ({"mediators": np.zeros((4, 2))}, r"mediators must be of shape \(4, 1\)"),
        ({"propensity": np.array([0.5, 0.0, 0.5, 0.5])}, r"in \(0, 1\], got 0.0"),
        ({"propensity": None}, "must say with which probability"),
        ({"columns": COLUMNS._replace(options=("same", "same"))}, "different names"),
    ],
)
def test_what_is_no_log_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(a_log(), **change)


def test_replays_are_distributions_and_spread_over_sessions() -> None:
    mediators, context = np.arange(8.0).reshape(2, 2, 2, 1), np.zeros((2, 1))
    replays = Replays(mediators, np.full((2, 2, 2), 0.5), context, np.array([1, 0, 1]))
    means = (replays.weights[..., None] * mediators).sum(-2)
    assert replays.by_session(means)[:, :, 0].tolist() == [[4.5, 6.5], [0.5, 2.5], [4.5, 6.5]]
    several = Replays(mediators[None], np.full((1, 2, 2, 2), 0.5), context[None], np.array([[1, 0, 1]]))
    assert (several.by_session(means[None])[0] == replays.by_session(means)).all()
    with pytest.raises(InputError, match="distribution"):
        replace(replays, weights=np.full((2, 2, 2), 0.4))
    with pytest.raises(InputError, match="from 0 to 1, got 2"):
        replace(replays, kind=np.array([2, 0, 1]))


def test_sources_fit_together() -> None:
    with pytest.raises(InputError, match="neither"):
        Sources(None, None)
    with pytest.raises(InputError, match="drawn at random"):
        Sources(None, a_log(randomised=False))
    replays = Replays(np.zeros((1, 2, 1, 1)), np.ones((1, 2, 1)), np.zeros((1, 1)), np.zeros(5, int))
    with pytest.raises(InputError, match="of the 4 sessions of the experiment, got 5"):
        Sources(None, a_log(), replays)


def test_a_difference_counts_the_covariance() -> None:
    covariance = np.array([[4.0, 1.5], [1.5, 1.0]])
    found = ValueEstimates("x", ("a", "b"), np.array([1.0, 3.0]), covariance, 10, np.array([9.0, 4.0]))
    assert found.standard_errors.tolist() == [2.0, 1.0]
    assert float(found.difference_error(1, 0)) == pytest.approx(2**0.5)
    assert found.difference_interval(1, 0, 0.9)[0] == pytest.approx(2 - 2.1318468 * 2**0.5)
