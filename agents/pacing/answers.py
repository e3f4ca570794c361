"""The record of a bidder that is asked in words: every observation once, with its answer, in a file that is replayed.

Answers are kept by observation: whoever observes the same is answered the same, a run that goes on asks only what it
had not asked, and a replay asks nothing. A line is written, whole, before its answer is used; what a kill left of a
line is cut off.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from auctionsim.errors import DamagedFileError, InputError
from auctionsim.files import read_bounded
from auctionsim.records import Record, parse_json

FORMAT, VERSION = "auctionsim bidder answers", 1
MOST_ANSWER_BYTES = 1 << 27
"""Of a file: 128 MiB, some 300,000 answers."""
MOST_ANSWER = 2000
"""Characters of an answer that are kept."""

Ask = Callable[[Sequence[str]], Sequence[str]]
"""Answers several observations, one each."""

_log = logging.getLogger(__name__)


class KeptAnswers(NamedTuple):
    """Answers of a file.

    Attributes:
        basis: What answered, in one line.
        answers: By observation, in the order in which they were asked.
        whole: Bytes of whole lines; what follows was left by a kill.
    """

    basis: str
    answers: dict[str, str]
    whole: int


class AnswerBook:
    """Answers by observation, in memory, and in a file where there is a path.

    Args:
        path: Of the file; "": none. It goes on with one that is there.
        basis: What answers, in one line. A file of another's answers is refused, but for a replay.
        replay: Ask nothing.
    Raises:
        ValueError: A replay without a file; or the file is none of answers, damaged, or of another basis.
        FileNotFoundError: A replay of a file that is not there.
    """

    def __init__(self, path: str | Path = "", *, basis: str = "", replay: bool = False) -> None:
        self.path = Path(path) if str(path) else None
        self.replay, self.basis = replay, basis
        self.answers: dict[str, str] = {}
        self._size = -1  # bytes of the file as its answers were last read or written
        if self.path is None:
            if replay:
                raise InputError("a replay needs the file of recorded answers, got none")
        elif replay:
            kept = read_answers(self.path)
            self.answers, self.basis = kept.answers, kept.basis
        else:
            self.answers = _begun(self.path, basis)

    def __deepcopy__(self, memo: object) -> "AnswerBook":
        """Return the same book: a file has one writer."""
        return self

    def answered(self, observations: Sequence[str], ask: Ask) -> list[str]:
        """Return the answer to each observation; those that were never asked are asked, together, each once.

        Raises:
            ValueError: A replay of an observation that was not recorded, or another number of answers.
        """
        if self.path is not None and not self.replay and self.path.stat().st_size != self._size:
            self.answers = read_answers(self.path).answers  # another book of the same file has written
        new = [one for one in dict.fromkeys(observations) if one not in self.answers]
        if new:
            if self.replay:
                raise InputError(f"{self.path}: {self._difference(new[0])}")
            texts = [str(text)[:MOST_ANSWER] for text in ask(new)]
            if len(texts) != len(new):
                raise InputError(f"{len(new)} observations must have as many answers, got {len(texts)}")
            if self.path is not None:
                _append(self.path, [_line(*pair) for pair in zip(new, texts, strict=True)])
                self._size = self.path.stat().st_size
            self.answers.update(zip(new, texts, strict=True))
        return [self.answers[one] for one in observations]

    def _difference(self, new: str) -> str:
        """Return in which line an observation differs from the recorded one of its tick that is most like it."""
        lines = new.splitlines()
        tick = lines[:2]
        rivals = [old.splitlines() for old in self.answers if old.splitlines()[:2] == tick]
        where = ", ".join(tick)
        if not rivals:
            return f"has no observation at {where}"
        nearest = max(rivals, key=lambda old: sum(a == b for a, b in zip(old, lines, strict=False)))
        pairs = [(a, b) for a, b in zip(nearest, lines, strict=False) if a != b]
        old, own = pairs[0] if pairs else ("more", "less")
        return f"at {where} the observation differs from the recorded one: {own!r} instead of {old!r}"


def read_answers(path: str | Path) -> KeptAnswers:
    """Return the answers of a file; what a kill left of its last line is no answer.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no file of answers, or damaged; names it.
    """
    content = read_bounded(path, MOST_ANSWER_BYTES)
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        _log.warning("%s: its last line was not finished and is left out", path)
    lines = content[:whole].split(b"\n")[:-1]
    try:
        head = Record(parse_json(lines[0] if lines else b""), "the first line")
        if head.content.get("format") != FORMAT or head.whole("version") != VERSION:
            raise InputError(f"is no file of {FORMAT}, version {VERSION}")
        pairs = [_pair(Record(parse_json(line), f"line {k}")) for k, line in enumerate(lines[1:], 2)]
        if len(dict(pairs)) != len(pairs):
            raise DamagedFileError("has an observation twice")
        return KeptAnswers(head.text("basis"), dict(pairs), whole)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def _begun(path: Path, basis: str) -> dict[str, str]:
    """Return the answers of a file that is gone on with, and begin one where there is none, or the beginning of one.

    Raises:
        ValueError: It is no file of answers, damaged, or of another basis.
    """
    head = {"format": FORMAT, "version": VERSION, "basis": basis}
    first = f"{json.dumps(head)}\n".encode()
    if path.exists() and (len(first) <= path.stat().st_size or not first.startswith(path.read_bytes())):
        kept = read_answers(path)
        if kept.basis != basis:
            raise InputError(f"{path}: has answers of {kept.basis!r}, and would go on with {basis!r}")
        if path.stat().st_size > kept.whole:
            os.truncate(path, kept.whole)
        return kept.answers
    path.unlink(missing_ok=True)
    _append(path, [head])
    return {}


def _pair(line: Record) -> tuple[str, str]:
    observed, answer = line.text("observation"), line.text("answer")
    if line.text("check") != _check(observed, answer):
        raise DamagedFileError(f"{line.what} is damaged: its check does not match")
    return observed, answer


def _line(observed: str, answer: str) -> dict[str, str]:
    return {"observation": observed, "answer": answer, "check": _check(observed, answer)}


def _check(observed: str, answer: str) -> str:
    return hashlib.sha256(json.dumps([observed, answer]).encode()).hexdigest()[:16]


def _append(path: Path, lines: Sequence[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())
