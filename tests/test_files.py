"""Files come into being whole or not at all."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from auctionsim import files
from auctionsim.files import replacing, sweep, write_bytes, write_text


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


def draft(folder: Path, host: str, process: int, name: str = "plan.json") -> Path:
    path = folder / f".{name}.{host}-{process}-0123abcd.partial"
    path.write_text("half")
    return path


def test_drafts_are_swept_once_their_writer_is_dead(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Only ours, by name; a living writer's stay, and so does whatever else is called .partial."""
    here = files.host_digest()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    (tmp_path / "below").mkdir()
    dead = [draft(tmp_path, here, ended.pid), draft(tmp_path / "below", here, ended.pid, "a b.parquet")]
    folder = tmp_path / f".model.{here}-{ended.pid}-0123abcd.partial"
    folder.mkdir()
    (folder / "weights").write_text("half")
    reused = draft(tmp_path, here, os.getpid(), "reused")
    os.utime(reused, (1.0, 1.0))  # written before this process began: its number is another's now
    living = draft(tmp_path, here, os.getpid())
    fresh, old = draft(tmp_path, "00000000", ended.pid), draft(tmp_path, "00000001", ended.pid)
    os.utime(old, (time.time() - 90_000,) * 2)
    strangers = [tmp_path / name for name in ("download.partial", ".x.partial", f".x.{here}-1.partial", "plan.json")]
    for path in strangers:
        path.write_text("a stranger's")
    caplog.set_level("INFO", "auctionsim")
    assert sorted(sweep(tmp_path)) == sorted([*dead, folder, reused, old])
    assert [str(tmp_path) in record.getMessage() for record in caplog.records] == [True]
    assert all(path.exists() for path in (living, fresh, *strangers))
    assert not folder.exists()
    assert sweep(tmp_path / "nowhere") == []


def test_a_link_called_like_a_draft_is_left(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.write_text("mine")
    link = tmp_path / f".x.{files.host_digest()}-999999999-0123abcd.partial"
    link.symlink_to(target)
    assert sweep(tmp_path) == []
    assert target.read_text() == "mine"
