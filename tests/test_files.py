"""Files come into being whole or not at all."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from auctionsim.files import replacing, write_bytes, write_text


def test_writing_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "plan.json"
    write_text(path, "first\r\n")
    write_bytes(path, "zweitens: ü\n".encode())
    assert path.read_text(encoding="utf-8") == "zweitens: ü\n"
    assert [item.name for item in path.parent.iterdir()] == ["plan.json"]


def test_line_ends_stay(tmp_path: Path) -> None:
    write_text(tmp_path / "plan", "one\r\ntwo\n")
    assert (tmp_path / "plan").read_bytes() == b"one\r\ntwo\n"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_write_keeps_the_old_file(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_text(path, "old")

    def fail() -> None:
        with replacing(path) as draft:
            draft.write_text("half of the n")
            assert path.read_text() == "old"
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["plan.json"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "plan.json"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "plan").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "plan", "text")
    assert [item.name for item in tmp_path.iterdir()] == ["plan"]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links as POSIX has them")
def test_links_are_followed_and_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "plan")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "plan").read_text() == "text"
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "real/plan")]
    assert modes[0] == modes[1]


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_a_kill_leaves_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    write_bytes(path, b"0" * 1_000_000)
    code = (
        "import sys; from auctionsim.files import write_bytes\n"
        "for k in range(10**6):\n"
        "    write_bytes(sys.argv[1], str(k % 10).encode() * 1_000_000); print(k, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()  # it is under way
        time.sleep(0.02)
        writer.kill()
    content = path.read_bytes()
    assert len(content) == 1_000_000
    assert len(set(content)) == 1
