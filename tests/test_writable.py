"""What cannot be written is found before the work, in every command that writes, and looking leaves nothing behind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from auctionsim import cli
from auctionsim.files import require_file, require_folder

NEEDED = {  # what a command asks for besides
    "auction design": ["optimum"],
    "report": ["."],
    "tune hyperparameters": ["menu"],
    "market run": ["market.toml"],
    "auction neurons": ["--harm-aware", "a@1", "--plain", "b@1"],
    "bidders evaluate": ["nosuch.safetensors"],
}
WRITES = {"--out", "--results", "--into", "--runs"}


def options() -> Iterator[tuple[str, str]]:
    """Yield every command with every option that names what it writes."""
    waiting = [("", typer.main.get_command(cli.app))]
    while waiting:
        name, command = waiting.pop()
        for inner, below in getattr(command, "commands", {}).items():
            waiting.append((f"{name} {inner}".strip(), below))
        for option in command.params:
            yield from ((name, written) for written in WRITES & set(option.opts))


READS = {("arena show", "--out"), ("market show", "--out")}
"""Options of such names that say what is read."""
FOUND = sorted(set(options()) - READS)


def test_the_commands_that_write_are_here() -> None:
    assert len(FOUND) >= 18
    assert {("demo", "--out"), ("study", "--results"), ("surface package", "--into")} < set(FOUND)


@pytest.mark.parametrize(("command", "option"), FOUND)
def test_what_cannot_be_written_is_found_before_the_work(
    command: str,
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("auctionsim.language_models.loading.load_model", None)  # no work is begun
    words = [*command.split(), *NEEDED.get(command, [])]
    words += [option, str(Path("file") / "below.safetensors")]
    if command.startswith("neurons "):  # a group with a context of typer's, which the run-time checker of types refuses
        program = "import sys; from auctionsim import cli; sys.argv[0] = 'auctionsim'; cli.main()"
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
        code, told = done.returncode, done.stderr.strip()
    else:
        monkeypatch.setattr(sys, "argv", ["auctionsim", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code, told = ended.value.code, capsys.readouterr().err.strip()
    assert code == 2, told
    assert "below.safetensors" in told
    assert "cannot be written" in told
    assert len(told.splitlines()) == 1
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    with pytest.raises(ValueError, match=f"{tmp_path}: cannot be written, as it is a folder"):
        require_file(tmp_path)
    with pytest.raises(ValueError, match=f"{file}: cannot be written, as {file} is no folder"):
        require_folder(file)
    for deep in (file / "a", file / "a" / "b"):
        for require in (require_file, require_folder):
            with pytest.raises(ValueError, match=f"{deep}: cannot be written"):
                require(deep)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "deep")
    with pytest.raises(ValueError, match="dangling: cannot be written"):
        require_folder(tmp_path / "dangling")
    for fine in (tmp_path / "new", tmp_path / "new" / "deeper", file):
        require_file(fine)
    require_folder(tmp_path / "new" / "deeper")
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file"]
    assert file.read_text() == "kept"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder that nobody can write, root included")
def test_a_folder_that_takes_no_files_is_found() -> None:
    for require in (require_file, require_folder):
        with pytest.raises(ValueError, match="cannot be written, as nothing can in /proc"):
            require("/proc/auctionsim/run")
