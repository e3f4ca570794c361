"""The Makefile's install: an index that is named reaches the installation of PyTorch, and nothing else."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
INDEX = "https://example.org/whl/cpu"


def commands(folder: Path, *words: str) -> list[str]:
    """What `make install` would run, in an environment that is not there."""
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "install", f"VENV={folder / 'venv'}", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_an_index_reaches_the_install(tmp_path: Path) -> None:
    named = [line for line in commands(tmp_path, f"TORCH_INDEX={INDEX}") if INDEX in line]
    locked = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line.startswith("torch==")]
    assert len(named) == len(locked) == 1
    assert named[0].split()[-4:] == ["--no-deps", "--index-url", f'"{INDEX}"' if '"' in named[0] else INDEX, locked[0]]


def test_torch_comes_before_the_lock_and_only_where_an_index_is_named(tmp_path: Path) -> None:
    lines = commands(tmp_path, f"TORCH_INDEX={INDEX}")
    plain = commands(tmp_path)
    assert [line for line in lines if INDEX not in line] == plain
    assert lines.index(next(line for line in lines if INDEX in line)) < lines.index(
        next(line for line in lines if "requirements.lock" in line)
    )
