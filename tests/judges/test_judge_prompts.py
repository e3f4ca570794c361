"""Judges' prompts are files with a fixed set of fields, and what is put in stays what it is."""

from pathlib import Path

import pytest

from auctionsim.judges import judge_prompt
from auctionsim.judges.prompts import FOLDER, PROMPT_FIELDS, read_prompt


@pytest.mark.parametrize("name", PROMPT_FIELDS)
def test_a_packaged_prompt_has_its_fields_and_nothing_is_looked_through_twice(name: str) -> None:
    prompt = judge_prompt(name)
    texts = {field: f"<{field}> {{question}} {{reply}} {{0}} {{{{reply}}}} %s \\1" for field in PROMPT_FIELDS[name]}
    filled = prompt.fill(texts)
    expected = "".join(texts[piece] if k % 2 else piece for k, piece in enumerate(prompt.pieces))
    assert filled == expected
    for text in texts.values():
        assert filled.count(text) == 1
    assert len(prompt.digest) == 16
    with pytest.raises(ValueError, match=f"the prompt {name} has the fields .*, got more, question"):
        prompt.fill({"question": "a", "more": "b"})


def test_ones_own_prompt_stands_in_and_has_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = {name: judge_prompt(name) for name in ("yes", "rating")}
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert judge_prompt("yes") == usual["yes"]
    (tmp_path / "yes.txt").write_text("\n{question} {reply}? Yes or no, { and }.\r\n")
    own = judge_prompt("yes")
    assert own.fill({"question": "Which?", "reply": "That one."}) == "Which? That one.? Yes or no, { and }."
    assert own.digest != usual["yes"].digest
    assert judge_prompt("rating") == usual["rating"]
    (tmp_path / "yes.txt").write_text("{question} {reply}? Yes or no, { and }.")
    assert judge_prompt("yes").digest == own.digest  # line ends and blank ends do not count
    monkeypatch.setenv(FOLDER, str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=f"{FOLDER} must name a folder"):
        judge_prompt("yes")


@pytest.mark.parametrize(
    ("text", "fields"),
    [("{question}", r"\{question\}"), ("{question} {reply} {brand}", r"\{brand\}, \{question\}"), ("", "none")],
)
def test_a_prompt_without_its_fields_is_refused(text: str, fields: str, tmp_path: Path) -> None:
    (tmp_path / "yes.txt").write_text(text)
    with pytest.raises(ValueError, match=rf"yes\.txt: the prompt yes must have the fields .*, got {fields}"):
        read_prompt("yes", tmp_path / "yes.txt")


def test_what_is_no_prompt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="judges are asked by yes, rating, pairwise, reference, got 'no'"):
        judge_prompt("no")
    (tmp_path / "yes.txt").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="is not UTF-8"):
        read_prompt("yes", tmp_path / "yes.txt")
