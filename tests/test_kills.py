"""kill -9 at every write: the same command goes on, ends as if nobody had stopped it, and repeats no finished part."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CASES = ("measure", "read", "study", "arena", "board", "corpus", "market", "train", "demo")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and kills as POSIX does")


def killed(place: Path, *words: str) -> dict[str, dict[str, int]]:
    """Run the cases in a process of their own, which has no threads when it forks; return the counts by case."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TESTS, TESTS / "substrates")))}
    command = [sys.executable, str(TESTS / "killing.py"), str(place), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {line.pop("case"): line for line in map(json.loads, done.stdout.splitlines())}


def checked(found: dict[str, dict[str, int]], capsys: pytest.CaptureFixture[str]) -> None:
    assert tuple(found) == CASES
    with capsys.disabled():
        for case, seen in found.items():
            print(f"\n{case}: {seen['kills']} kills at {seen['writes']} writes, {seen['kept']} parts kept")
    for seen in found.values():
        assert seen["interrupted"] == 128 + signal.SIGINT
        assert seen["kills"] >= 10
        assert seen["kept"] >= 2


@pytest.mark.timeout(600)
def test_a_kill_at_any_write_loses_nothing_that_was_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo's writes up to its surface are a measurement's: they are left to that case, and to the deep test."""
    checked(killed(tmp_path, *CASES), capsys)


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_a_kill_at_any_write_of_the_whole_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = killed(tmp_path, *CASES, "--whole")
    assert found["demo"]["kills"] == found["demo"]["writes"]
    checked(found, capsys)
