"""Every auction is recorded, in every face, once, however the recording ends."""

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from auctionsim.envs import NeuronAuctionEnv, NeuronAuctionVectorEnv, parallel_env
from auctionsim.envs.wrappers import NormalisedBids, RecordAuctions, RecordVectorAuctions, recover_auctions
from auctionsim.mechanisms import PayAsBid
from auctionsim.priors import Uniform
from auctionsim.substrates import Items

ROUNDS = 3


def single(**options: Any) -> NeuronAuctionEnv:
    return NeuronAuctionEnv(
        mechanism=PayAsBid(Items(2)), priors=Uniform(0, 4), rounds=ROUNDS, opponents=lambda v: v / 4, **options
    )


def rows_of(path: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet

    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def bid(env: Any, share: float = 0.5) -> Any:
    return env.step(np.full(env.action_space.shape, share, np.float32))


def test_every_auction_is_recorded(tmp_path: Path) -> None:
    env = RecordAuctions(single(budgets=2.5), tmp_path / "new" / "auctions.parquet")
    told = []
    for seed in (1, 2):
        env.reset(seed=seed)
        told += [bid(env, 1.5) for _ in range(ROUNDS)]
    env.close()
    env.close()  # a second time changes nothing
    rows = rows_of(tmp_path / "new" / "auctions.parquet")
    assert len(rows) == 12
    mine = [row for row in rows if row["bidder"] == 0]
    assert [row["reward"] for row in mine] == [answer[1] for answer in told]
    assert [(row["episode"], row["round"]) for row in mine] == [(e, r) for e in (0, 1) for r in (0, 1, 2)]
    assert [row["throttled"] for row in mine] == [answer[4]["throttled"] for answer in told]
    assert {row["throttled"] for row in mine} == {True, False}
    for row in rows:
        assert row["context"] is None
        assert row["env"] == 0
        value = row["valuation_item_0"] * row["exposure_item_0"]
        assert row["reward"] == pytest.approx(value - row["payment"], abs=1e-6)
        assert row["user_loss"] == 0
        if row["bidder"] == 1:
            assert row["asked_item_0"] == row["bid_item_0"] == row["valuation_item_0"] / 4
        else:
            assert row["asked_item_0"] == 1.5
            assert (row["bid_item_0"] < 1.5) == row["throttled"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["auctions.parquet"]


def test_rows_after_a_close_are_added(tmp_path: Path) -> None:
    path = tmp_path / "auctions.parquet"
    env = RecordAuctions(single(), path, block_rows=3)
    env.reset(seed=0)
    for played in (1, 2, 3):
        if played > 1:
            bid(env)
        bid(env)
        env.close()
        assert len(rows_of(path)) == 2 * (2 * played - 1)
        if played == 2:
            env.reset()
    assert [row["episode"] for row in rows_of(path) if row["bidder"] == 0] == [0, 0, 0, 1, 1]
    fresh = RecordAuctions(single(), path)  # another recording takes the file's place
    fresh.reset(seed=0)
    bid(fresh)
    fresh.close()
    assert len(rows_of(path)) == 2
    idle = RecordAuctions(single(), path)  # and one without rows leaves it
    idle.reset(seed=0)
    idle.close()
    assert len(rows_of(path)) == 2


def test_what_is_thrown_away_or_left_by_an_error_is_written(tmp_path: Path) -> None:
    env = RecordAuctions(single(), tmp_path / "dropped.parquet")
    env.reset(seed=0)
    bid(env)
    del env
    gc.collect()
    assert len(rows_of(tmp_path / "dropped.parquet")) == 2

    def broken() -> None:
        with RecordAuctions(single(), tmp_path / "with.parquet") as env:
            env.reset(seed=0)
            bid(env)
            bid(env, -1.0)

    with pytest.raises(ValueError, match="action box"):
        broken()
    assert len(rows_of(tmp_path / "with.parquet")) == 2


SCRIPT = """
import numpy, os, signal, sys
from auctionsim.envs import NeuronAuctionEnv
from auctionsim.envs.wrappers import RecordAuctions
env = RecordAuctions(NeuronAuctionEnv("first-price", rounds=4), sys.argv[1], block_rows=8)
for episode in range(5):
    env.reset(seed=episode)
    for _ in range(4):
        env.step(numpy.full(1, .5, numpy.float32))
env.reset()
env.step(numpy.full(1, .5, numpy.float32))
{end}
"""


@pytest.mark.parametrize(
    ("end", "code"), [("raise SystemError", 1), ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)]
)
def test_a_process_that_ends_leaves_its_rows(
    end: str, code: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """42 rows were played; a kill loses the 2 that were held back, less than a block."""
    path = tmp_path / "auctions.parquet"
    script = SCRIPT.format(end=end)
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    if code < 0:
        assert not path.exists()
        env = RecordAuctions(single(), path)
        env.reset(seed=0)
        with pytest.raises(FileExistsError, match="recover_auctions"):  # it is not written over
            bid(env)
        journal = path.with_name(path.name + ".rows")
        with journal.open("ab") as file:
            file.write(b"\xff\xff\xff\xff\x40\x01")  # a block that was being written
        assert recover_auctions(path) == 40
        assert ["breaks off in the middle" in record.getMessage() for record in caplog.records] == [True]
    rows = rows_of(path)
    assert [row["episode"] for row in rows] == [k // 8 for k in range(len(rows))]
    assert len(rows) == (40 if code < 0 else 42)
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(FileNotFoundError, match="nothing"):
        recover_auctions(path)


def test_a_journal_that_holds_nothing_is_removed(tmp_path: Path) -> None:
    (tmp_path / "a.parquet.rows").write_bytes(b"")
    assert recover_auctions(tmp_path / "a.parquet") == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["text", "another stream"])
def test_what_is_no_journal_is_refused_and_left(kind: str, tmp_path: Path) -> None:
    import pyarrow

    journal = tmp_path / "a.parquet.rows"
    journal.write_bytes(b"notes of mine")
    if kind == "another stream":
        table = pyarrow.table({"bidder": [0, 1]})
        with pyarrow.OSFile(str(journal), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    before = journal.read_bytes()
    with pytest.raises(ValueError, match=r"a\.parquet\.rows is no recording's journal"):
        recover_auctions(tmp_path / "a.parquet")
    assert journal.read_bytes() == before
    assert list(tmp_path.iterdir()) == [journal]


@pytest.mark.parametrize(
    "face", [NeuronAuctionEnv, lambda: NeuronAuctionVectorEnv(2, "first-price"), lambda: parallel_env("first-price")]
)
def test_a_recording_is_not_copied(face: Any, tmp_path: Path) -> None:
    env = RecordAuctions(face(), tmp_path / "a.parquet")
    for twin in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"a\.parquet cannot be copied or pickled"):
            twin(env)
    assert copy.deepcopy(env.unwrapped) is not None


def test_stable_baselines3_is_recorded_too(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3", reason="its face is recorded where it is installed")
    from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

    from auctionsim.envs import NeuronAuctionVecEnv

    options: dict[str, Any] = {"num_envs": 3, "rounds": ROUNDS, "max_episode_steps": 2}
    env = VecMonitor(RecordAuctions(NeuronAuctionVecEnv("crosstalk", **options), tmp_path / "sb3.parquet"))
    env.seed(4)
    env.reset()
    earned = [env.step(np.zeros((3, 1)))[1] for _ in range(5)]
    env.close()
    rows = [row for row in rows_of(tmp_path / "sb3.parquet") if row["bidder"] == 0]
    assert np.array_equal([row["reward"] for row in rows], np.concatenate(earned))
    assert [(row["env"], row["episode"], row["round"]) for row in rows[-3:]] == [(k, 2, 0) for k in range(3)]
    with pytest.raises(TypeError, match="record each before it is put there"):
        RecordAuctions(DummyVecEnv([lambda: NormalisedBids(single())]), tmp_path / "b.parquet")


def test_vector_rows_are_the_single_environments(tmp_path: Path) -> None:
    """Each row of a vector has the episodes of the single environment with its seed, autoresets included."""
    path = tmp_path / "vector.parquet"
    vector = RecordAuctions(gymnasium.make_vec("auctionsim/Crosstalk-v0", num_envs=3, rounds=ROUNDS), path, 5)
    assert isinstance(vector, RecordVectorAuctions)
    with vector:
        vector.reset(seed=4)
        for _ in range(2 * ROUNDS + 2):  # two episodes and a round, with a step that begins anew after each
            bid(vector)
    rows = rows_of(path)
    assert len(rows) == 3 * 2 * 2 * ROUNDS
    for env in range(3):
        alone = RecordAuctions(gymnasium.make("auctionsim/Crosstalk-v0", rounds=ROUNDS), tmp_path / f"{env}.parquet")
        alone.reset(seed=4 + env)
        for _ in range(2):
            for _ in range(ROUNDS):
                bid(alone)
            alone.reset()
        alone.close()
        mine = [{**row, "env": 0} for row in rows if row["env"] == env]
        assert mine == rows_of(tmp_path / f"{env}.parquet")


def test_rows_that_are_reset_by_a_mask_begin_an_episode(tmp_path: Path) -> None:
    env = RecordAuctions(NeuronAuctionVectorEnv(2, "neuron-pay-as-bid", rounds=ROUNDS), tmp_path / "masked.parquet")
    env.reset(seed=0)
    bid(env)
    env.reset(seed=[None, 7], options={"reset_mask": np.array([False, True])})
    bid(env)
    env.close()
    rows = [row for row in rows_of(tmp_path / "masked.parquet") if row["bidder"] == 1]
    assert [(row["env"], row["episode"], row["round"]) for row in rows] == [(0, 0, 0), (1, 0, 0), (0, 0, 1), (1, 1, 0)]
    contexts = env.unwrapped.game.contexts
    assert {row["context"] for row in rows} <= set(contexts)
    assert len(contexts) > 1


def test_user_loss_that_was_not_asked_for_is_null(tmp_path: Path) -> None:
    env = RecordAuctions(single(with_user_loss=False), tmp_path / "a.parquet")
    env.reset(seed=0)
    bid(env)
    env.close()
    assert [row["user_loss"] for row in rows_of(tmp_path / "a.parquet")] == [None, None]


def test_pettingzoo_is_recorded_too(tmp_path: Path) -> None:
    with RecordAuctions(parallel_env("second-price", rounds=2), tmp_path / "zoo.parquet") as env:
        seen, _ = env.reset(seed=3)
        earned = [env.step({name: own[:1] for name, own in seen.items()})[1] for _ in range(2)]
    rows = rows_of(tmp_path / "zoo.parquet")
    assert [row["reward"] for row in rows] == [one[f"bidder_{k}"] for one in earned for k in range(2)]


def test_what_is_no_auction_is_refused(tmp_path: Path) -> None:
    for env in (gymnasium.make("CartPole-v1"), gymnasium.make_vec("CartPole-v1", num_envs=1)):
        with pytest.raises(TypeError, match="NeuronAuction"):
            RecordAuctions(env, tmp_path / "a.parquet")
    with pytest.raises(IsADirectoryError, match="name the parquet file"):
        RecordAuctions(single(), tmp_path)
    with pytest.raises(ValueError, match="block_rows must be"):
        RecordAuctions(single(), tmp_path / "a.parquet", block_rows=0)
    inner = RecordAuctions(NormalisedBids(single()), tmp_path / "shares.parquet")  # around other wrappers
    inner.reset(seed=0)
    bid(inner, 0.25)
    inner.close()
    assert rows_of(tmp_path / "shares.parquet")[0]["asked_item_0"] == 1.0
