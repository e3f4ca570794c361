"""Logged auctions: what environments would have given, probabilities that estimators can weigh by, files as written."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from auctionsim.agents import GridExploration, Shading, WinRateShading
from auctionsim.envs import AuctionGame, NeuronAuctionEnv, build_game, transition_files
from auctionsim.envs.learner import LearnerSeat
from auctionsim.envs.offline import log_episodes
from auctionsim.envs.transition_files import KEY, RLLIB_COLUMNS, read_transitions, write_transitions
from auctionsim.envs.transitions import Transitions
from auctionsim.mechanisms import FirstPrice, PayAsBid
from auctionsim.priors import Uniform
from auctionsim.substrates import Items
from auctionsim.testing import check_bidder
from tests.two_contexts import TwoContexts

PLACE = TwoContexts()
GAME: dict[str, Any] = {"mechanism": PayAsBid(PLACE), "substrate": PLACE, "priors": Uniform(0, 1), "rounds": 4}


def small_log(**options: Any) -> Transitions:
    seat = LearnerSeat(build_game(**GAME), 0, Shading(0.5))
    grid = GridExploration(Shading(0.6), torch.ones(1), 5, 0.5, torch.Generator().manual_seed(0))
    return log_episodes(seat, grid, episodes=6, seed=3, **options)


def same(first: Transitions, second: Transitions) -> bool:
    pairs = zip(first.columns().values(), second.columns().values(), strict=True)
    return first.source == second.source and all(
        a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs
    )


def test_a_log_is_what_the_environment_gives() -> None:
    log = small_log()
    env = NeuronAuctionEnv(opponents=Shading(0.5), **GAME)
    for episode, rows in enumerate(log.episodes()):
        observation, _ = env.reset(seed=3 + episode)
        for turn, row in enumerate(rows.tolist()):
            assert np.array_equal(log.observation[row], observation)
            observation, reward, over, _, _ = env.step(log.action[row])
            assert (log.reward[row], log.terminated[row], log.truncated[row]) == (reward, over, False)
            assert np.array_equal(log.next_observation[row], observation)
            assert (log.episode[row], log.round[row]) == (episode, turn)
    assert len(log) == 24
    assert log.source.behaviour == "GridExploration"
    assert log.source.observed == ("valuation", "context", "last_exposure", "last_payment")
    assert bool(np.isnan(log.cost).all())
    cut = small_log(limit=3)
    assert cut.truncated.tolist() == [False, False, True] * 6
    assert not cut.terminated.any()


def test_a_log_weighed_by_its_probabilities_tells_what_another_bidder_earns() -> None:
    """Inverse propensity: E[r · π(a)/β(a)] is π's reward a round, within 4 standard errors; π's own log is exact."""
    seat = LearnerSeat(build_game("first-price", rounds=2), 0, Shading(0.5))
    high = torch.ones(1)
    behaviour = GridExploration(None, high, 11, 0.7, torch.Generator().manual_seed(1))
    target = GridExploration(Shading(0.5), high, 11, 0.0, torch.Generator().manual_seed(2))
    log = log_episodes(seat, behaviour, episodes=8000, seed=0)
    valuations, bids = torch.from_numpy(log.observation[:, :1]), torch.from_numpy(log.action)
    weights = target.probability(valuations, bids).numpy() / log.probability
    per_episode = (log.reward * weights).reshape(-1, 2).mean(1)
    own = log_episodes(seat, target, episodes=8000, seed=0).reward.reshape(-1, 2).mean(1)
    error = np.sqrt(per_episode.var() / 8000 + own.var() / 8000)
    assert abs(per_episode.mean() - own.mean()) < 4 * error
    assert error < 0.01
    assert abs(weights.mean() - 1) < 4 * weights.std() / np.sqrt(len(weights))
    assert abs(log.reward.mean() - own.mean()) > 10 * error  # without weights it is another number


def test_the_probabilities_of_a_grid_are_its_frequencies() -> None:
    grid = GridExploration(Shading(0.5), torch.tensor([1.0, 2.0]), 3, 0.6, torch.Generator().manual_seed(0))
    valuations = torch.tensor([[0.8, 1.2]]).repeat(30_000, 1)  # nearest to .4 and .6: .5 (level 1) and 1 (level 1)
    bids = grid(valuations)
    total = 0.0
    for first in (0.0, 0.5, 1.0):
        for second in (0.0, 1.0, 2.0):
            pair = torch.tensor([[first, second]])
            known = float(grid.probability(valuations[:1], pair))
            seen = float((bids == pair).all(1).double().mean())
            assert known == pytest.approx((0.6 if first == 0.5 else 0.2) * (0.6 if second == 1.0 else 0.2))
            assert abs(seen - known) < 5 * (known * (1 - known) / 30_000) ** 0.5
            total += known
    assert total == pytest.approx(1.0)
    assert float(grid.probability(valuations[:1], torch.tensor([[0.4, 1.0]]))) == 0.0
    check_bidder(grid, AuctionGame(FirstPrice(), Items(2, 2), Uniform(0, 2)), skip=("copies",), examples=5)


def test_costs_and_memories_are_logged() -> None:
    game = build_game("first-price", rounds=6, roi_targets=3.0, roi_as_cost=1.0)
    log = log_episodes(LearnerSeat(game, 1, WinRateShading(0.4)), WinRateShading(0.6), episodes=8, seed=0)
    assert log.source.learner == 1
    assert log.source.measure == "none"
    assert bool(np.isnan(log.probability).all())
    assert log.cost.max() > 0
    sums = [log.cost[rows].sum() for rows in log.episodes()]
    assert min(sums) >= -1e-6


def test_what_is_written_is_read_to_the_bit(tmp_path: Path) -> None:
    log = small_log()
    write_transitions(tmp_path / "log.parquet", log)
    assert same(read_transitions(tmp_path / "log.parquet"), log)
    none = replace(log, **{name: column[:0] for name, column in log.columns().items()})
    write_transitions(tmp_path / "log.parquet", none)
    assert len(read_transitions(tmp_path / "log.parquet")) == 0
    table = parquet.read_table(tmp_path / "log.parquet")
    assert table.column_names == list(log.columns())


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, log = tmp_path / "log.parquet", small_log()
    write_transitions(path, log)

    def breaks(table: Any, where: Path, **_: Any) -> None:
        where.write_bytes(b"PAR1 half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(parquet, "write_table", breaks)
        with pytest.raises(KeyboardInterrupt):
            write_transitions(path, small_log(limit=2))
    assert same(read_transitions(path), log)
    assert list(tmp_path.iterdir()) == [path]


def test_a_truncated_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.parquet", tmp_path / "log.parquet"
    log = small_log()
    write_transitions(whole, log)
    content = whole.read_bytes()
    for length in (0, 3, 4, 100, len(content) // 2, len(content) - 9, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"log\.parquet: is no log of transitions: .") as refusal:
            read_transitions(path)
        assert "\n" not in str(refusal.value)
    bent = 0
    for place in range(0, len(content), 61):  # a bit of a byte: pages have checksums, so numbers are as written
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        try:
            again = read_transitions(path)
        except ValueError:
            bent += 1
        else:
            assert same(replace(again, source=log.source), log)
    assert bent > 20
    with pytest.raises(FileNotFoundError):
        read_transitions(tmp_path / "nothing.parquet")


def edited(path: Path, name: str, change: Any) -> None:
    """Write a log with one column changed, past all checks of ours."""
    write_transitions(path, small_log())
    table = parquet.read_table(path)
    place = table.column_names.index(name)
    field = table.schema.field(name)
    column = pa.array(change(table.column(name).to_pylist()), type=field.type)
    parquet.write_table(table.set_column(place, field, column), path)


def put(row: int, value: Any) -> Any:
    return lambda rows: [*rows[:row], value, *rows[row + 1 :]]


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("reward", put(3, float("nan")), "reward must be finite, row 3 is not"),
        ("reward", put(3, None), "reward must have a value in every row"),
        ("observation", put(2, None), "observation must have a value in every row"),
        ("observation", put(2, [1.0, None, 0.0, 0.0, 0.0]), "observation must have a value in every row"),
        ("observation", put(1, [9.0] * 5), "next_observation must be the next row's observation, row 0 has another"),
        ("action", put(0, [-1.0]), "an action is a bid >= 0, row 0 has another"),
        ("probability", put(4, 1.5), r"probability must be a mass > 0, row 4 has 1\.5"),
        ("probability", put(4, 0.0), "probability must be a mass > 0, row 4"),
        ("cost", put(4, float("inf")), "cost must be finite, or NaN for none, row 4 is not"),
        ("episode", put(5, 7), "episodes must be in order from 0 on"),
        ("round", put(5, 0), "rounds must count from 0 in each episode, row 5 does not"),
        ("terminated", put(3, False), "terminated or truncated in its last row and in no other, row 3 is not"),
        ("terminated", put(2, True), "terminated or truncated in its last row and in no other, row 2 is not"),
        ("truncated", put(3, True), "terminated or truncated in its last row and in no other, row 3 is not"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, name: str, change: Any, sentence: str) -> None:
    edited(tmp_path / "log.parquet", name, change)
    with pytest.raises(ValueError, match=rf"log\.parquet: is no log of transitions: .*{sentence}"):
        read_transitions(tmp_path / "log.parquet")


def test_other_parquet_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.parquet"
    parquet.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(ValueError, match="its metadata must name what was logged"):
        read_transitions(path)
    write_transitions(path, small_log())
    table = parquet.read_table(path)

    def says(change: Any) -> None:
        text = (table.schema.metadata[KEY]).decode()
        parquet.write_table(table.replace_schema_metadata({KEY: change(text)}), path)

    for change, sentence in (
        (lambda text: text.replace('"version": 1', '"version": 2'), "its version is 2; 1 is read"),
        (lambda text: text.replace('"rounds": 4', '"rounds": 3'), "an episode has at most 3 rounds, one has 4"),
        (lambda text: text.replace('"mass"', '"weight"'), "measure must be one of"),
        (lambda text: text.replace("[1, 2, 1, 1]", "[1, 2, 1, 3]"), "its columns must be episode, round"),
        (lambda text: text.replace("[1, 2, 1, 1]", "[1, 2, 1]"), "widths one a part"),
        (lambda text: text.replace("[1, 2, 1, 1]", "[99999999999, 2, 1, 1]"), "widths"),
        (lambda text: text[:-1], "JSON"),
    ):
        says(change)
        with pytest.raises(ValueError, match=sentence):
            read_transitions(path)
    parquet.write_table(table, path, compression="gzip")
    with pytest.raises(ValueError, match="compressed by GZIP; SNAPPY and UNCOMPRESSED are read"):
        read_transitions(path)
    parquet.write_table(table.drop_columns(["cost"]), path)
    with pytest.raises(ValueError, match="its columns must be episode, round"):
        read_transitions(path)
    write_transitions(path, small_log())
    monkeypatch.setattr(transition_files, "MOST_NUMBERS", 100)
    with pytest.raises(ValueError, match="it has 24 rows of 18 numbers; 100 numbers are read"):
        read_transitions(path)
    monkeypatch.setattr(transition_files, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="at most 100 are read"):
        read_transitions(path)


def test_a_behaviour_that_misstates_its_probabilities_is_refused() -> None:
    class Boasting:
        measure = "mass"

        def __call__(self, valuations: torch.Tensor) -> torch.Tensor:
            return valuations

        def probability(self, valuations: torch.Tensor, bids: torch.Tensor) -> torch.Tensor:
            return torch.full((len(bids),), 2.0)

    seat = LearnerSeat(build_game("first-price", rounds=2))
    with pytest.raises(ValueError, match=r"probability must be a mass > 0, row 0 has 2\.0"):
        log_episodes(seat, Boasting(), episodes=2, seed=0)
    Boasting.measure = "weight"
    with pytest.raises(ValueError, match=r"Boasting\.measure must be one of"):
        log_episodes(seat, Boasting(), episodes=2, seed=0)


def test_rllibs_names_of_columns_are_its_own() -> None:
    from ray.rllib.offline.offline_prelearner import SCHEMA

    assert set(RLLIB_COLUMNS) <= set(SCHEMA)
    assert set(RLLIB_COLUMNS.values()) <= set(small_log().columns())
