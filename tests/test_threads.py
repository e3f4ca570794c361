"""How many threads compute: the rule on given machines, what the kernel says, who applies it and who must not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import auctionsim
from auctionsim import cli, threads
from auctionsim.experiments.running.run import Run, Section
from auctionsim.experiments.studies.maps import MapSettings
from auctionsim.threads import Cores, thread_count, usable_cores

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("cores", "count"),
    [
        (Cores(1), 1),
        (Cores(2), 1),
        (Cores(4), 3),
        (Cores(64), 63),
        (Cores(64, 2.0), 1),
        (Cores(64, 8.5), 7),
        (Cores(8, 0.3), 1),
        (Cores(4, 100.0), 3),
    ],
)
def test_one_core_is_left_to_everything_else(cores: Cores, count: int) -> None:
    assert thread_count(cores) == count


@given(allowed=st.integers(1, 512), quota=st.none() | st.floats(0.01, 1000, allow_nan=False))
def test_the_rule_stays_within_what_there_is(allowed: int, quota: float | None) -> None:
    count = thread_count(Cores(allowed, quota))
    assert 1 <= count <= allowed
    assert count == 1 or count + 1 <= (allowed if quota is None else quota)
    assert thread_count(Cores(allowed + 1, quota)) >= count


def test_who_asks_is_heard_in_order() -> None:
    both = {"AUCTIONSIM_THREADS": "3", "OMP_NUM_THREADS": "5"}
    assert thread_count(Cores(16), 2, both) == 2
    assert thread_count(Cores(16), None, both) == 3
    assert thread_count(Cores(16), None, {"OMP_NUM_THREADS": " 5"}) == 5
    assert thread_count(Cores(16), None, {"OMP_NUM_THREADS": "5,2"}) == 5
    assert thread_count(Cores(16), None, {"AUCTIONSIM_THREADS": "", "OMP_NUM_THREADS": ""}) == 15
    assert thread_count(Cores(1), 8) == 8, "who asks may ask for more than there is"


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5", "3,", "1025", "²"])
def test_other_numbers_are_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="AUCTIONSIM_THREADS must be a whole number from 1 to 1024"):
        thread_count(Cores(4), None, {"AUCTIONSIM_THREADS": text})
    with pytest.raises(ValueError, match="threads must be a whole number"):
        thread_count(Cores(4), 0)


def kernel(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


def siblings(*pairs: str) -> dict[str, str]:
    folder = "sys/devices/system/cpu"
    return {f"{folder}/cpu{k}/topology/thread_siblings_list": pair for k, pair in enumerate(pairs)}


def test_hardware_threads_of_a_core_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert usable_cores(tmp_path) == Cores(3)
    assert usable_cores(kernel(tmp_path, siblings("0,2", "1,3", "0,2", "1,3"))) == Cores(2)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, None),
        (
            {
                "proc/self/cgroup": "0::/user/job",
                "sys/fs/cgroup/user/cpu.max": "200000 100000",
                "sys/fs/cgroup/user/job/cpu.max": "800000 100000",
            },
            2.0,
        ),
        ({"proc/self/cgroup": "0::/not/seen/from/here", "sys/fs/cgroup/cpu.max": "50000 100000"}, 0.5),
        (
            {
                "proc/self/cgroup": "2:cpu,cpuacct:/job\n1:memory:/job",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "300000",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
        ({}, None),
    ],
)
def test_the_smallest_quota_on_the_way_up_counts(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    assert usable_cores(kernel(tmp_path, files)).quota == quota


@pytest.fixture
def torch_threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["auctionsim", *words])
    with pytest.raises(SystemExit):
        cli.main()


def test_commands_apply_the_rule(torch_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: Cores(3))
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    show = ("surface", "show", "nosuch")
    run(*show, monkeypatch=monkeypatch)
    assert torch.get_num_threads() == 2
    run("--threads", "4", *show, monkeypatch=monkeypatch)
    assert torch.get_num_threads() == 4


def test_a_group_that_is_a_command_applies_it_too() -> None:
    code = """
import sys
from auctionsim import cli
try:
    cli.main()
except SystemExit:
    import torch
    print(torch.get_num_threads())
"""
    words = ["neurons", "--model", "/no/such/model"]
    environment = {**os.environ, "AUCTIONSIM_THREADS": "5"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout.split()[-1] == "5", done.stderr


def test_workers_and_this_process_have_threads_of_their_own(
    torch_threads: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`surface measure --threads` is heard without workers too."""
    run("surface", "measure", "--out", str(tmp_path), "--threads", "3", "--model", "/none", monkeypatch=monkeypatch)
    assert torch.get_num_threads() == 3


def test_the_library_leaves_threads_alone() -> None:
    """Only the command, worker processes and trials set them; nobody does on import."""
    setters = {
        path.relative_to(ROOT).as_posix()
        for folder in ("auctionsim", "agents", "envs", "experiments")
        for path in (ROOT / folder).rglob("*.py")
        if "set_num_threads" in path.read_text()
    }
    assert setters == {
        "auctionsim/threads.py",
        "auctionsim/market/shards.py",
        "auctionsim/measurement/crew.py",
        "experiments/studies/tune_grid.py",
        "experiments/studies/tune_hyperparameters.py",
    }


def test_a_run_says_on_how_many_threads_it_computed(tmp_path: Path) -> None:
    from rich.console import Console

    run_ = Run(tmp_path / "run", MapSettings("surface", tmp_path / "run"), {})
    run_.finish({}, Section("title", "text", {}), command="command", console=Console(quiet=True))
    assert f'"threads": {torch.get_num_threads()}' in (tmp_path / "run" / "run.json").read_text()


def test_the_install_shows_that_it_works() -> None:
    command = [sys.executable, "-m", "auctionsim.cli", "doctor", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"it works: auctionsim {auctionsim.__version__}, torch {torch.__version__}")
    assert "one auction on running-shoes-2@1 cleared" in line
    assert "doctor --quick" in (ROOT / "Makefile").read_text()
