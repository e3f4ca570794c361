"""A study's file, its command, its run folder and its stage of the study have one name."""

import io
from pathlib import Path

import pytest
import typer
from rich.console import Console

from auctionsim.cli import app
from auctionsim.cli.study_stages import planned
from auctionsim.experiments import studies
from auctionsim.experiments.running.study_surfaces import StudySettings, Surfaces

CONSOLE = Console(file=io.StringIO())
FILES = [path for path in sorted(Path(studies.__file__).parent.glob("*.py")) if path.stem != "__init__"]
WITHOUT_COMMAND = {path.stem for path in FILES if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}
SECOND_WAYS = {"demo_packaged": "demo"}
"""Studies that are another way of a command, by file: what the command does without the option that measures."""


def commands() -> dict[str, str]:
    """Return where each command writes unless told otherwise, by its words; "" where it has no run folder."""
    root, found = typer.main.get_command(app), {}
    for name, group in root.commands.items():  # type: ignore[attr-defined]
        for below, command in getattr(group, "commands", {"": group}).items():
            out = next((option for option in command.params if option.name == "out"), None)
            default = str(out.show_default if isinstance(getattr(out, "show_default", None), str) else "")
            found[f"{name} {below}".strip()] = default or str(getattr(out, "default", None) or "")
    return found


def file_of(words: str) -> str:
    """Return the name of a command's study: all its words where a file is named so, else its last."""
    names = {path.stem for path in FILES}
    whole, last = (text.replace(" ", "_").replace("-", "_") for text in (words, words.rsplit(" ", maxsplit=1)[-1]))
    return whole if whole in names else last


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_a_study_is_named_as_its_command(file: Path) -> None:
    if file.stem in WITHOUT_COMMAND:
        return
    name = SECOND_WAYS.get(file.stem, file.stem)
    folders = [folder for words, folder in commands().items() if file_of(words) == name]
    assert len(folders) == 1, f"{file.name} is the study of {len(folders)} commands"
    if folders[0].startswith("runs/"):
        assert folders[0].removeprefix("runs/").startswith(name.replace("_", "-")), folders[0]


def test_stages_are_named_as_studies(tmp_path: Path) -> None:
    settings = StudySettings(tmp_path, tmp_path / "results.md")
    names = {path.stem.replace("_", "-") for path in FILES}
    for stage in planned(settings, Surfaces(settings, CONSOLE), CONSOLE):
        assert any(stage == name or stage.startswith(f"{name}-running-shoes-") for name in names), stage
