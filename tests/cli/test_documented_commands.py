"""Commands that pages and docstrings show are there, with the options that they are shown with."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from auctionsim.cli import app

ROOT = Path(__file__).parent.parent.parent
WRITTEN_BY_RUNS = ("log.md", "results.md")  # they show commands as they were typed
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "experiments/README.md")),
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name not in WRITTEN_BY_RUNS),
    *sorted(path for room in ("auctionsim", "agents", "envs", "experiments") for path in (ROOT / room).rglob("*.py")),
]
INLINE = re.compile(r"`(auctionsim [^`\n]+)`")
ON_A_LINE = re.compile(r"^\s*(?:\$ |\.venv/bin/)?(auctionsim [a-z-][^\n]*)$", re.MULTILINE)
ANYWHERE = {"--help": 0, "--version": 0, "--debug": 0, "--verbose": 0, "--plugin": 1, "--threads": 1,
            "--install-completion": 0, "--show-completion": 0}  # fmt: skip
COMMAND = typer.main.get_command(app)


def shown_in(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return INLINE.findall(text) + (ON_A_LINE.findall(text) if path.suffix == ".md" else [])


def lacking(line: str) -> list[str]:
    """Return the commands and options of a line that are not there."""
    words, rest, command = shlex.split(line)[1:], [], COMMAND
    while words:
        word = words.pop(0)
        name, _, value = word.partition("=")
        if name in ANYWHERE:
            del words[: 0 if value else ANYWHERE[name]]
        elif getattr(command, "commands", None) and re.fullmatch("[a-z][a-z-]*", word):
            if word not in command.commands:
                return [word]
            command = command.commands[word]
        else:
            rest.append(name)
    there = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return [word for word in rest if re.fullmatch("--[a-z-]+", word) and word not in there]


@pytest.mark.parametrize("path", [path for path in PAGES if shown_in(path)], ids=lambda path: path.name)
def test_commands_that_are_shown_are_there(path: Path) -> None:
    lost: dict[str, Any] = {line: lacking(line) for line in shown_in(path) if lacking(line)}
    assert not lost


def test_what_is_not_there_is_noticed() -> None:
    assert lacking("auctionsim surface measure --nosuch 3 --out x") == ["--nosuch"]
    assert lacking("auctionsim --plugin a.py auction market-regret") == ["market-regret"]
    assert lacking("auctionsim surface --plugin=a.py read RUN --reading length") == []
