"""Logs in files come back as they were; what is no log is refused in one sentence that names file and rule."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auctionsim.errors import InputError
from auctionsim.logs import STANDARD_ESTIMATION, Sources
from auctionsim.logs.agreement import replay_agreement
from auctionsim.logs.estimators import estimator
from auctionsim.logs.evaluation import evaluate
from auctionsim.logs.log_files import read_log_file, write_log_file
from auctionsim.logs.worlds import world, world_names


def sources_of(name: str, sessions: int = 30) -> Sources:
    one, rng = world(name), np.random.default_rng(0)
    exp = one.draw_exp(sessions, rng)
    return Sources(one.draw_obs(50, rng), exp, one.replays(exp))


@pytest.mark.parametrize("name", world_names())
def test_a_log_comes_back(name: str, tmp_path: Path) -> None:
    """Numbers to the bit, options by name, and the estimates with them."""
    before = sources_of(name)
    write_log_file(tmp_path / "log.parquet", before)
    after = read_log_file(tmp_path / "log.parquet")
    order = [after.columns.options.index(option) for option in before.columns.options]
    assert after.columns._replace(options=before.columns.options) == before.columns
    for log, again in ((before.obs, after.obs), (before.exp, after.exp)):
        assert log is not None
        assert again is not None
        for field in ("context", "mediators", "labels", "outcome", "propensity"):
            assert (getattr(log, field) == getattr(again, field)).all()
        assert (np.array(order)[log.option] == again.option).all()
    for method in ("exp_only_direct", "exp_only_augmented", "obs_only_direct"):
        pair = [
            estimator(method).estimate(one, STANDARD_ESTIMATION, np.random.default_rng(1)).values
            for one in (before, after)
        ]
        assert pair[1][order] == pytest.approx(pair[0], abs=1e-9)
    assert replay_agreement(after).p_value == pytest.approx(replay_agreement(before).p_value, abs=1e-6)


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "source": ["obs"] * 40,
            "option": ["mild", "strong"] * 20,
            "outcome": rng.normal(size=40),
            "mediator_loss": rng.normal(size=40),
            "context_hour": np.arange(40) % 24,
        }
    )


def test_a_log_of_ones_own_without_an_experiment_is_associational(tmp_path: Path) -> None:
    frame().to_parquet(tmp_path / "own.parquet")
    found = evaluate(read_log_file(tmp_path / "own.parquet"), seed=0, names=("raw_means", "exp_means"))
    assert found.lines()[0].startswith("associational only")
    assert found.recommendation.further_sessions is None
    assert "an experiment (EXP)" in found.refusals["exp_means"]


def test_a_log_of_ones_own_with_sampled_replays(tmp_path: Path) -> None:
    own = frame()
    exp = own.assign(source="exp", propensity=0.5, session=np.arange(40))
    sim = pd.concat(
        [exp.assign(source="sim", option=name, outcome=np.nan, propensity=np.nan) for name in ("mild", "strong")]
    )
    pd.concat([exp, sim]).to_parquet(tmp_path / "own.parquet")
    sources = read_log_file(tmp_path / "own.parquet")
    assert sources.replays is not None
    assert not sources.replays.exact
    assert (sources.replays.mediators[:, 1, 0, 0] == own.mediator_loss).all()
    lines = evaluate(sources, seed=0, names=("exp_means",)).lines()
    assert lines[0].startswith("causal, on 40 randomised sessions")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop(columns="outcome"), "outcome is missing"),
        (lambda f: f.assign(colour="red"), "'colour'"),
        (lambda f: f.assign(source="observed"), "source must be obs, exp or sim, got 'observed'"),
        (lambda f: f.assign(source=None), "source must be obs, exp or sim, got None"),
        (lambda f: f.assign(option="one"), "two or more options"),
        (lambda f: f.assign(option=None), "option must be a text"),
        (lambda f: f.assign(outcome="good"), "outcome must be a finite number"),
        (lambda f: f.assign(outcome=np.inf), "outcome must be a finite number"),
        (lambda f: f.assign(mediator_loss=None), "mediator_loss must be a finite number"),
        (lambda f: f.assign(propensity=0.0), r"a propensity must lie in \(0, 1\], got 0"),
        (lambda f: f.assign(propensity=np.where(f.index < 3, 0.5, np.nan)), "in all rows of obs or in none, got 3"),
        (lambda f: f.assign(source="exp"), "must say with which probability"),
        (lambda f: f.assign(source="sim"), "rows of source obs or exp"),
        (lambda f: f.assign(session=7), "one has several"),
        (lambda f: f.assign(session=0.5), "session must be a whole number, got 0.5"),
        (lambda f: f.assign(session=1e300), "session must be at most"),
        (lambda f: f.assign(source=["obs"] * 39 + ["sim"]), "there is no column session"),
        (lambda f: f.assign(source=["obs"] * 39 + ["sim"], session=f.index), "a session of the log, got session 39"),
        (lambda f: f.assign(source=["obs"] * 39 + ["sim"], session=f.index % 39), "got from 0 to 1"),
        (lambda f: f.iloc[:0], "rows of source obs or exp"),
    ],
)
def test_what_is_no_log_is_refused(change: Callable[[pd.DataFrame], pd.DataFrame], words: str, tmp_path: Path) -> None:
    change(frame()).to_parquet(tmp_path / "own.parquet")
    with pytest.raises(InputError, match=words) as refusal:
        read_log_file(tmp_path / "own.parquet")
    assert "own.parquet" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_replays_that_are_no_law_or_on_another_context_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    write_log_file(path, sources_of("posted-prices"))
    table = pd.read_parquet(path)
    table.assign(weight=table.weight * 0.9).to_parquet(path)
    with pytest.raises(InputError, match="distribution"):
        read_log_file(path)
    write_log_file(path, sources_of("linear-gaussian"))
    pd.read_parquet(path).fillna({"context_x": 3.25}).to_parquet(path)
    with pytest.raises(InputError, match="its session's context_x"):
        read_log_file(path)


@pytest.mark.parametrize("cut", [0, 1, 100, 1000])
def test_truncated_and_foreign_files_are_refused(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    write_log_file(path, sources_of("posted-prices"))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="no table that can be read"):
        read_log_file(path)
    with pytest.raises(FileNotFoundError):
        read_log_file(tmp_path / "none.parquet")


def test_several_logs_are_no_file(tmp_path: Path) -> None:
    one = world("posted-prices")
    exp: Any = one.draw_exp(5, np.random.default_rng(0), (2,))
    with pytest.raises(InputError, match="one log a source"):
        write_log_file(tmp_path / "log.parquet", Sources(None, exp))
