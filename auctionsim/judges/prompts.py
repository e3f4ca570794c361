"""Prompts that judges are asked with: text files with fields, whose digest is part of what a verdict rests on.

A field is a name in braces, `{question}`. Every prompt has a fixed set of fields, each at least once, and no others.
What is put in is never looked through for fields again, so a reply that contains `{question}` stays what it is.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from auctionsim.data import judge_prompts_folder
from auctionsim.errors import InputError
from auctionsim.files import read_text_bounded

PROMPT_FIELDS: dict[str, frozenset[str]] = {
    "yes": frozenset({"question", "reply"}),
    "rating": frozenset({"question", "reply"}),
    "pairwise": frozenset({"question", "first", "second"}),
    "reference": frozenset({"question", "reference", "reply"}),
}
"""The prompts, and the fields that each must have."""
FOLDER = "AUCTIONSIM_JUDGE_PROMPTS"
"""Environment variable that names a folder of one's own prompts: a file there stands in for the packaged one."""
MOST_BYTES = 1 << 16

_FIELD = re.compile(r"\{([a-z_]+)\}")


class JudgePrompt(NamedTuple):
    """A prompt with fields.

    Attributes:
        name: One of `PROMPT_FIELDS`.
        pieces: Text and names of fields in turn, text first and last.
        digest: 16 hex digits of the text's SHA-256.
    """

    name: str
    pieces: tuple[str, ...]
    digest: str

    def fill(self, texts: Mapping[str, str]) -> str:
        """Return the prompt with its fields filled; texts, by field, are put in as they are.

        Raises:
            ValueError: Not exactly the prompt's fields.
        """
        if set(texts) != PROMPT_FIELDS[self.name]:
            wanted = ", ".join(sorted(PROMPT_FIELDS[self.name]))
            raise InputError(f"the prompt {self.name} has the fields {wanted}, got {', '.join(sorted(texts))}")
        return "".join(texts[piece] if k % 2 else piece for k, piece in enumerate(self.pieces))


def judge_prompt(name: str) -> JudgePrompt:
    """Return a prompt as its file has it now: one's own where there is one (`FOLDER`), else the packaged one.

    Raises:
        ValueError: There is no such prompt, or its file lacks a field or has one too many.
    """
    if name not in PROMPT_FIELDS:
        raise InputError(f"judges are asked by {', '.join(PROMPT_FIELDS)}, got {name!r}")
    return read_prompt(name, _file(name))


def read_prompt(name: str, path: Path) -> JudgePrompt:
    """Read a prompt from a file; line ends and blank lines at its ends do not count.

    Raises:
        ValueError: The file lacks a field of the prompt's, has another one, or is longer than 64 KiB; names it.
    """
    text = "\n".join(read_text_bounded(path, MOST_BYTES).splitlines()).strip()
    pieces = tuple(_FIELD.split(text))
    fields, wanted = set(pieces[1::2]), PROMPT_FIELDS[name]
    if fields != wanted:
        lists = [", ".join(f"{{{field}}}" for field in sorted(some)) or "none" for some in (wanted, fields)]
        raise InputError(f"{path}: the prompt {name} must have the fields {lists[0]}, got {lists[1]}")
    return JudgePrompt(name, pieces, hashlib.sha256(text.encode()).hexdigest()[:16])


def _file(name: str) -> Path:
    own = os.environ.get(FOLDER)
    if own:
        if not Path(own).is_dir():
            raise InputError(f"{FOLDER} must name a folder, got {own!r}")
        if (Path(own) / f"{name}.txt").exists():
            return Path(own) / f"{name}.txt"
    return judge_prompts_folder() / f"{name}.txt"
