"""Help of every command: it comes without heavy packages, says all that was written, and shows every default."""

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

HEAVY = ("torch", "transformers", "ray", "pandas", "matplotlib", "plotly", "scipy", "jinja2", "tokenizers")

WALK = """
import json, sys
import typer
from typer.testing import CliRunner
from auctionsim.cli import app

def walk(command, words):
    yield command, words
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, [*words, name])

found = []
for command, words in walk(typer.main.get_command(app), []):
    shown = CliRunner().invoke(app, [*words, "--help"], terminal_width=1000, max_content_width=1000)
    assert shown.exit_code == 0, (words, shown.output)
    found.append({
        "words": words,
        "text": shown.output,
        "docstring": command.help,
        "is_group": hasattr(command, "commands"),
        "options": [
            {
                "name": option.name,
                "help": option.help,
                "has_default": option.default not in (None, False),
                "show_default": option.show_default,
            }
            for option in command.params
        ],
    })
print(json.dumps({"commands": found, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


@cache
def walked() -> dict[str, Any]:
    """What one fresh process says of every command, asked for help only."""
    done = subprocess.run([sys.executable, "-c", WALK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def plain(text: str) -> str:
    return " ".join(text.split())


def test_no_help_loads_what_is_heavy() -> None:
    assert len(walked()["commands"]) > 25
    assert not set(HEAVY) & set(walked()["modules"])


def test_help_says_all_that_was_written() -> None:
    """Nothing is taken for markup, whatever brackets it is in."""
    for command in walked()["commands"]:
        text = plain(command["text"])
        assert command["docstring"], f"{command['words']} does not say what it does"
        assert plain(command["docstring"]) in text, command["words"]
        for option in command["options"]:
            if option["name"] == "help":
                continue
            assert option["help"], f"{command['words']} does not say what {option['name']} is"
            assert plain(option["help"]) in text, (command["words"], option["name"])


def test_every_default_is_shown() -> None:
    for command in walked()["commands"]:
        lines = [plain(line) for line in command["text"].splitlines()]
        for option in command["options"]:
            shown = isinstance(option["show_default"], str) or (option["has_default"] and option["show_default"])
            if shown:
                line = next(line for line in lines if plain(option["help"]) in line)
                assert "[default: " in line, (command["words"], option["name"], line)


def test_a_narrow_terminal_loses_nothing() -> None:
    """Long names are not cut; what a group's commands do is told to the end."""

    def shown(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "auctionsim.cli", *words, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "40"},
        )
        return plain(done.stdout)

    demo, measure, group = shown("demo"), shown("surface", "measure"), shown("auction")
    assert "Run folder. [default: (runs/demo-…)]" in demo
    assert "--max-new-tokens <int range>" in measure
    assert "designs on some of replicate A's samples, scored on all of B." in group
