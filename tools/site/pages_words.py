"""The glossary's page and tooltips, from the terms of `auctionsim.accounts`; the errors' page."""

import ast
import inspect
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from auctionsim import errors
from auctionsim.accounts import terms

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = Path(__file__).parent / "messages.toml"
ANYTHING = "…"
"""What stands on the page for a value that a message names."""
EVERYDAY = re.findall(r"\w+", "bid bidder brand feature money page payment price prompt reply run setting")
"""Terms that a reader knows, or meets in every line: they have no tooltip."""


class MessageRow(NamedTuple):
    """A row of the errors' page.

    Attributes:
        message: As the code writes it, … for each value.
        means: What it says in other words.
        do: What helps.
    """

    message: str
    means: str
    do: str


def glossary_page() -> str:
    """Write the glossary, part by part."""
    parts = ["# Glossary", "Each term in one sentence. Code, tables and pages use these words alone."]
    for kind in dict.fromkeys(term.kind for term in terms()):
        parts.append(f"## {kind[0].upper()}{kind[1:]}")
        rows = [
            f'| <span id="{anchor_of(term.name)}">**{term.name}**</span>{also(term.also)} | {cell(term.meaning)} |'
            for term in sorted(terms(kind), key=lambda term: term.name.lower())
        ]
        parts.append("\n".join(["| term | means |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def anchor_of(term: str) -> str:
    """Return the anchor of a term on the glossary's page."""
    return "term-" + re.sub(r"[^a-z0-9]+", "-", term.lower()).strip("-")


def also(spellings: tuple[str, ...]) -> str:
    """Return the other spellings of a term, in brackets."""
    return f" ({', '.join(spellings)})" if spellings else ""


def cell(text: str) -> str:
    """Return a text for a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


def tooltips() -> str:
    """Return the terms as abbreviations of Markdown, whose meaning shows on hover; everyday words have none."""
    found = {term.name: term.meaning for term in terms() if term.name not in EVERYDAY}
    return "\n".join(f"*[{name}]: {' '.join(meaning.split())}" for name, meaning in found.items())


def first_of_each(html: str) -> str:
    """Keep a page's first tooltip of each term: a page full of them is read by nobody."""
    seen: set[str] = set()

    def kept(found: re.Match[str]) -> str:
        word = found[2].lower()
        if word in seen:
            return found[2]
        seen.add(word)
        return found[0]

    return re.sub(r'<abbr title="([^"]*)">([^<]*)</abbr>', kept, html)


def errors_page() -> str:
    """Write the errors' page: what each kind means, then the commonest messages."""
    tree = inspect.cleandoc(errors.__doc__ or "").split("\n\n")[1]
    said = {name: (inspect.getdoc(vars(errors)[name]) or "").partition("\n")[0] for name in errors.__all__}
    kinds = [f"| `{name}` | {cell(line)} |" for name, line in said.items()]
    rows = [f"| `{cell(row.message)}` | {cell(row.means)} | {cell(row.do)} |" for row in message_rows()]
    return "\n\n".join(
        [
            "# Errors",
            "A message names the value that was given and the rule that it breaks. "
            "[The command line](command-line.md#errors) says which exit codes there are.",
            "## Messages",
            f"`{ANYTHING}` stands for a value. Messages about a file begin with its path.",
            "\n".join(["| message | means | what to do |", "|---|---|---|", *rows]),
            "## Kinds",
            "Each kind is also the built-in exception that fits, so that `except ValueError` catches what it names.",
            "\n".join(f"    {line}" if not line.startswith("    ") else line for line in tree.splitlines()),
            "\n".join(["| kind | is |", "|---|---|", *kinds]),
        ]
    ) + "\n"  # fmt: skip


def message_rows() -> list[MessageRow]:
    """Return the rows of `messages.toml`."""
    return [MessageRow(**row) for row in tomllib.loads(MESSAGES.read_text(encoding="utf-8"))["message"]]


@cache
def raised_messages() -> frozenset[str]:
    """Return every message that the package's code writes into an exception, … for each value."""
    found = set()
    for folder in ("auctionsim", "agents", "envs", "experiments"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, (ast.JoinedStr, ast.Constant)):
                    found.add(written(node))
    return frozenset(found)


def written(node: ast.expr) -> str:
    """Return a text of the code as a reader would see it, … for each value; "" for what is no text."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else ANYTHING for one in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
