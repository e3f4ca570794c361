"""What the command prints of names, files and replies is text: no markup, no picture, no command to the terminal."""

import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from auctionsim import cli
from auctionsim.console import PlainConsole, TableConsole
from auctionsim.files import require_file, write_text

ODD = ["[/b]", "[red]x[/red]", ":smile:", r"\[b]", "a[0]", "\x1b[2J\x1b]0;title\x07", "\x9b31m", "\r", "\x7f"]


@pytest.mark.parametrize("text", ODD)
def test_a_text_is_printed_as_it_is(text: str) -> None:
    table = Table(title=f"title {text}", caption=text)
    table.add_column(text)
    table.add_row(f"cell {text} end")
    for kind in (TableConsole, PlainConsole):
        for terminal in (True, False):
            out = io.StringIO()
            console = kind(file=out, width=80, force_terminal=terminal, color_system=None)
            console.print(f"path {text}", highlight=False)
            console.print(table)
            shown = out.getvalue()
            assert not any((sign < " " and sign != "\n") or "\x7f" <= sign < "\xa0" for sign in shown)
            written = repr(text)[1:-1].replace("\\\\", "\\") if text != "\r" else r"\x0d"
            assert shown.count(written) >= 5
            assert f"cell {written} end" in shown


@pytest.mark.parametrize("name", ["[/b]m", "[red]m", ":smile:", "a\x1b[2Jb"])
def test_a_file_may_be_called_anything(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("auction", "design", "vcg", "--out", f"{name}.safetensors", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.strip() == f"mechanism: {name}.safetensors".replace("\x1b", r"\x1b")
    assert (tmp_path / f"{name}.safetensors").is_file()


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("demo", "--out", ""), "--out"),
        (("bidders", "train", "first-price", "--out="), "--out"),
        (("bidders", "train", "--mechanism", "", "--surface", "running-shoes-2@1", "--out", "b"), "--mechanism"),
        (("report", ""), "runs"),
        (("report", "a", ""), "runs"),
        (("regret", ""), "mechanism"),
        (("surface", "package", "--into", ""), "--into"),
    ],
)
def test_an_empty_name_is_not_this_folder(
    words: tuple[str, ...],
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == f"error: {option}: the name of a file or folder is wanted, got ''\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:strict"])
def test_signs_that_the_output_does_not_have_end_no_command(encoding: str) -> None:
    program = "import sys; from auctionsim import cli; sys.argv[0] = 'auctionsim'; cli.main()"
    words = [sys.executable, "-c", program, "surface", "show", "running-shoes-2@1"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(words, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (r"\xb1" if encoding == "ascii" else "±").encode(encoding.partition(":")[0]) in done.stdout
    done = subprocess.run([*words[:-1], b"\xff\xfe"], capture_output=True, env=environment, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(rb"error: no measurement called '\udcff\udcfe' ships with auctionsim")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        for write in (require_file, lambda path: write_text(path, "text")):
            with pytest.raises(ValueError, match=f"{path}: cannot be written, as it is no regular file"):
                write(path)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["auctionsim", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)
