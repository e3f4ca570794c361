"""A small Tune grid killed at seeded moments: it goes on, and its table is that of a grid that nobody stopped."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

pytestmark = [pytest.mark.timeout(900), pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")]

GRID = ("tune", "grid", "--mechanisms", "affine,vcg", "--seeds", "0,1,2", "--user-weights", "1", "--draws", "64")
WORDS = (*GRID, "--regret-draws", "4", "--cpus", "1")
LAG = 3.0  # seconds: Tune writes down every two which trials are finished


def start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from auctionsim.cli import main; main()", *WORDS, "--out", str(folder)]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(running: subprocess.Popen[bytes]) -> None:
    told, _ = running.communicate(timeout=400)
    assert running.returncode == 0, told.decode()


def table(folder: Path) -> pd.DataFrame:
    found = pd.read_parquet(folder / "trials.parquet")
    return found.drop(columns=["trial", "seconds", "commit"])


def reported(folder: Path) -> dict[str, tuple[float, str]]:
    """Return when each finished trial wrote its result, and what it wrote first."""
    paths = [path for path in folder.glob("trials/*/result.json") if path.stat().st_size]
    return {p.parent.name: (p.stat().st_mtime, p.read_text().splitlines()[0]) for p in paths}


def killed_at(moments: list[int], place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    finish(start(place / "unbroken"))
    took = time.monotonic() - began
    unbroken, lines = table(place / "unbroken"), []
    for moment in moments:
        folder = place / f"killed-{moment}"
        after = random.Random(moment).uniform(0.1, 0.95) * took
        running = start(folder)
        try:
            running.wait(timeout=after)
        except subprocess.TimeoutExpired:  # the driver alone: what Ray leaves behind is the next run's to sweep
            (os.kill if moment % 2 else os.killpg)(running.pid, signal.SIGKILL)
        running.communicate(timeout=60)
        killed, before = time.time(), reported(folder)
        finish(start(folder))
        pd.testing.assert_frame_equal(table(folder), unbroken)
        assert json.loads((folder / "run.json").read_text())["finished"]
        again = [name for name, (_, first) in before.items() if reported(folder)[name][1] != first]
        late = [name for name, (when, _) in before.items() if when > killed - LAG]
        assert set(again) <= set(late), "a trial that Tune had written down was made again"
        lines.append(f"moment {moment}: killed after {after:.0f} s, {len(before)} of 6 finished, {len(again)} again")
        shutil.rmtree(folder)
    with capsys.disabled():
        print("", *lines, sep="\n")


@pytest.mark.deep  # ray starts three times; test_tuning.py stops a grid in every run
def test_a_grid_killed_at_a_moment_ends_like_an_unbroken_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_at([5], tmp_path, capsys)


@pytest.mark.deep
@pytest.mark.timeout(3000)
def test_a_grid_killed_at_ten_moments_ends_like_an_unbroken_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_at(list(range(10)), tmp_path, capsys)
