"""What the Ray of a killed driver leaves behind is ended and removed; nobody else's process or folder is touched."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from auctionsim import ray_folders
from auctionsim.files import host_digest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="users and process groups as POSIX has them")


@pytest.fixture
def dead() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    return ended.pid


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_a_dead_drivers_ray_is_swept_and_nothing_else(
    dead: int,
    running: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "auctionsim")
    monkeypatch.setattr(ray_folders, "_base", lambda: tmp_path)
    here = host_digest()
    left = tmp_path / f"asim-{here}-{dead}-0a1b"
    others = [
        tmp_path / name for name in (f"asim-{here}-{os.getpid()}-0a1b", f"asim-00000000-{dead}-0a1b", "asim-mine")
    ]
    for folder in (left, *others):
        (folder / "session").mkdir(parents=True)
    script = tmp_path / "site" / "ray" / "dashboard.py"
    script.parent.mkdir(parents=True)
    script.write_text("import time; time.sleep(60)")

    def start(*words: str) -> subprocess.Popen[bytes]:
        running.append(subprocess.Popen([sys.executable, *words]))
        return running[-1]

    of_the_dead = start(str(script), f"--session-dir={left}/session")
    of_the_living = start(str(script), f"--session-dir={others[0]}/session")
    reader = start("-c", "import time; time.sleep(60)", f"{left}/session/raylet.out")
    time.sleep(0.3)  # until they are what they were started as
    assert ray_folders.sweep_rays() == [left]
    of_the_dead.wait(timeout=10)  # in less than its minute; psutil has reaped it, so that its signal is lost
    assert of_the_living.poll() is None
    assert reader.poll() is None, "who looks into a folder is no Ray"
    assert not left.exists()
    assert all(folder.exists() for folder in others)
    assert [record.args for record in caplog.records] == [(str(left),)]


def test_a_folder_is_short_private_and_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = "/session_2026-11-26_10-29-57_250811_4194304/sockets/plasma_store"
    with ray_folders.ray_folder() as folder:
        assert len(folder.replace(str(os.getpid()), "4194304")) + len(longest) < 107
        assert Path(folder).stat().st_mode & 0o077 == 0
        assert ray_folders.sweep_rays() == []
        (Path(folder) / "session").mkdir()
    assert not Path(folder).exists()
