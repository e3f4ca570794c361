"""This house's docstrings, as the reference shows them: Example as code, one line for each of several parameters."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)Example:$", flags=re.MULTILINE)
SHARED = re.compile(r"^( +)((?:\*{0,2}\w+, )+\*{0,2}\w+): (.*)$")
SECTIONS = ("Args:", "Attributes:")
HEADER = re.compile(r"\n(?=[A-Z]\w*:\n +\S)")
BRACKETS = re.compile(r"\]\[(?!\()")


class DocstringSections(griffe.Extension):
    """Changes docstrings before griffe parses them."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change one docstring; a name that is offered elsewhere too shares it."""
        if obj.docstring:
            obj.docstring.value = shown(obj.docstring.value)


def shown(text: str) -> str:
    """Return a docstring as griffe's Google style and Markdown read it.

    "Example:" becomes "Examples:", which griffe takes for code and what it prints. Parameters that share a line get one
    each, and sections an empty line. Index brackets such as [row][brand] are no links.
    """
    roomy = HEADER.sub("\n\n", EXAMPLE.sub(r"\1Examples:", text))
    head, example, tail = roomy.partition("Examples:")
    return BRACKETS.sub(r"]\\[", with_lines_of_their_own(head)) + example + tail


def with_lines_of_their_own(text: str) -> str:
    """Repeat a description for each of the parameters that share it."""
    found: list[str] = []
    inside, lines = False, text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.strip() in SECTIONS:
            inside, depth = True, len(line) - len(line.lstrip())
        elif inside and line.strip() and len(line) - len(line.lstrip()) <= depth:
            inside = False
        shared = SHARED.match(line.rstrip("\n")) if inside else None
        if not shared:
            found.append(line)
            continue
        more = "".join(_continued(lines[number + 1 :], len(shared[1])))
        names = shared[2].split(", ")
        found.extend(f"{shared[1]}{name}: {shared[3]}\n{more}" for name in names[:-1])
        found.append(f"{shared[1]}{names[-1]}: {shared[3]}\n")
    return "".join(found)


def _continued(lines: list[str], depth: int) -> list[str]:
    """Return the lines at the beginning that go on with a description at a depth."""
    found: list[str] = []
    for line in lines:
        if len(line) - len(line.lstrip()) <= depth or not line.strip():
            break
        found.append(line)
    return found
