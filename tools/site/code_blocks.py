"""The code blocks of a Markdown page, and what the tests do with each.

A fenced block is run, written to a file, or left to a longer test, by its language and by a mark: an HTML comment on
the line right above the fence, which readers do not see.

- ```` ```python ````: run, block after block, in one name space per page, in an empty folder.
- `<!-- block: file mine.py -->`: written into that folder under the name, and not run; any language.
- `<!-- block: deep: REASON -->`: run by `make deep` only, with every block before it (a model, minutes).
- `<!-- block: skip: REASON -->`: compiled only, as where a key or a server is needed.
- ```` ```sh ````, ```` ```bash ````, ```` ```console ```` or no language: the lines are read, not run. Each
  `auctionsim` command and its options are there, and so is each target of `make` and each file of `python FILE`.
- ```` ```toml ```` and ```` ```json ```` are parsed; ```` ```text ```` is what is printed. Other languages are refused.

`python tools/site/run_blocks.py docs/market.md` runs the blocks of a page as the tests do.
"""

import json
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SHELL = ("", "sh", "bash", "console", "shell")
PRINTED = ("text",)
KINDS = ("file", "deep", "skip")
OTHERS = re.compile("cd|curl|docker|export|git|ls|mkdir|open|pip|python3?|ray|source|ssh|tar|taskset")
"""Commands of others that a shell block may show; what else begins a line is a slip, or of another language."""
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^\n`]*)$")
MARK = re.compile(r"^ *<!-- block: (?P<kind>[a-z]+)(?::)? ?(?P<word>.*?) *-->$")


class CodeBlock(NamedTuple):
    """A fenced block of a page.

    Attributes:
        language: The first word behind the fence; "" where there is none.
        code: Its text, without the fence's indentation.
        line: Line of the first line of code, from 1.
        kind: "run", or the mark's "file", "deep" or "skip".
        word: The file's name, or the reason.
    """

    language: str
    code: str
    line: int
    kind: str
    word: str


def blocks_of(markdown: str) -> list[CodeBlock]:
    """Return a page's fenced blocks in order; a mark that is none raises."""
    found, lines, number = [], markdown.splitlines(), 0
    while number < len(lines):
        opened = FENCE.match(lines[number])
        if not opened:
            number += 1
            continue
        kind, word = mark_of(lines[number - 1] if number else "")
        first, indent, fence = number + 1, len(opened["indent"]), opened["fence"]
        number = first
        while number < len(lines) and not re.fullmatch(rf" *{re.escape(fence[0])}{{{len(fence)},}} *", lines[number]):
            number += 1
        code = "".join(f"{line[indent:] if not line[:indent].strip() else line}\n" for line in lines[first:number])
        language = (opened["info"].split() or [""])[0]
        found.append(CodeBlock(language, code, first + 1, kind, word))
        number += 1
    return found


def mark_of(line: str) -> tuple[str, str]:
    """Return what the line above a fence says of the block."""
    if not line.strip().startswith("<!-- block"):
        return "run", ""
    mark = MARK.match(line)
    if not mark or mark["kind"] not in KINDS or not mark["word"]:
        raise ValueError(
            f"a block's mark is `<!-- block: file NAME -->`, `deep: REASON` or `skip: REASON`, got {line!r}"
        )
    return mark["kind"], mark["word"]


def commands_of(code: str) -> list[list[str]]:
    """Return the commands of a shell block, as words; comments, prompts, variables and what is piped are taken off."""
    found: list[list[str]] = []
    for line in re.sub(r"\\\n", " ", code).splitlines():
        lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if word and set(word) <= set("|&;"):
                if command:
                    found.append(command)
                command = []
            elif command or not re.fullmatch(r"[A-Z_]+=.*", word):
                command.append(word)
    return found


def lacking(words: list[str]) -> str:
    """Return what is wrong with one command of a shell block; "" where nothing is, or where it is not ours."""
    name, rest = Path(words[0]).name, words[1:]
    if name == "auctionsim":
        from auctionsim_words import wrong_words

        return wrong_words(rest)
    if name == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
        lost = [word for word in rest if re.fullmatch("[a-z-]+", word) and word not in targets]
        return f"make has no target {', '.join(lost)}" if lost else ""
    if name in ("python", "python3") and rest and rest[0].endswith(".py") and "/" in rest[0]:
        return "" if (ROOT / rest[0]).exists() else f"there is no {rest[0]}"
    return "" if OTHERS.fullmatch(name) else f"{words[0]!r} is no command: name the block's language behind its fence"


def wrong_block(block: CodeBlock) -> list[str]:
    """Return what is wrong with a block as it is written; nothing is run."""
    if block.kind == "file" and block.language != "python":
        return []
    if block.language == "python":
        return refused(SyntaxError, lambda: compile(block.code, "block", "exec"))
    if block.language in SHELL:
        return [f"{' '.join(words)}: {why}" for words in commands_of(block.code) if (why := lacking(words))]
    if block.language in ("toml", "json"):
        return refused(ValueError, lambda: {"toml": tomllib, "json": json}[block.language].loads(block.code))
    return [] if block.language in PRINTED else [f"blocks of {block.language} are not looked at: use text"]


def refused(kind: type[Exception], call: Callable[[], object]) -> list[str]:
    """Return what a call refuses, as a list of one or none."""
    try:
        call()
    except kind as error:
        return [str(error)]
    return []
