"""Splits share no prompt and lose none; what is no prompt file is refused by name."""

import itertools
import json
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from auctionsim.prompts import SPLITS, STEMS, TEMPLATES, PromptSet, build_prompts, read_prompts


@given(st.lists(st.integers(8, 21), min_size=1, max_size=4))
def test_splits_are_disjoint_and_complete(sizes: list[int]) -> None:
    names = tuple(f"context {k}" for k in range(len(sizes)))
    whole = PromptSet(
        names, tuple(tuple(f"{name}: {k}" for k in range(n)) for name, n in zip(names, sizes, strict=True))
    )
    parts = [whole.split(name) for name in SPLITS]
    for one, other in itertools.combinations(parts, 2):
        assert not set(one.everything) & set(other.everything)
    for context in range(len(sizes)):
        assert sorted(sum((part.prompts[context] for part in parts), ())) == sorted(whole.prompts[context])
        assert all(len(part.prompts[context]) >= 2 for part in parts)
    assert all(part.contexts == names for part in parts)
    assert whole.everything == tuple(prompt for prompts in whole.prompts for prompt in prompts)


@pytest.mark.parametrize("category", ["running shoes", "charities", "smartphones 2.0", "Käse"])
def test_templates_make_prompts_for_any_category(category: str) -> None:
    prompts = build_prompts(category)
    assert prompts.contexts == tuple(TEMPLATES) == ("request", "comparison", "related")
    assert len(set(prompts.everything)) == 48
    assert all(category in prompt and "{" not in prompt for prompt in prompts.everything)
    assert [len(prompts.split(name).everything) for name in SPLITS] == [12] * 4
    assert len(set(STEMS)) == len(STEMS) >= 2


@pytest.mark.parametrize("category", ["", "  ", "{0}", "a\nb", "{category}"])
def test_bad_categories_are_refused(category: str) -> None:
    with pytest.raises(ValueError, match="a category must be plain words"):
        build_prompts(category)


def test_the_digest_changes_with_any_prompt() -> None:
    one = PromptSet(("a", "b"), (("x", "y"), ("z",)))
    others = [
        PromptSet(("a", "b"), (("x",), ("y", "z"))),
        PromptSet(("a", "b"), (("y", "x"), ("z",))),
        PromptSet(("a", "c"), (("x", "y"), ("z",))),
        PromptSet(("a", "b"), (("x", "y"), ("z ",))),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 5
    assert PromptSet(one.contexts, one.prompts).digest == one.digest


@pytest.mark.parametrize(
    ("contexts", "prompts", "message"),
    [
        ((), (), "one or more contexts"),
        (("a",), (("x",), ("y",)), "one or more contexts"),
        (("a",), ((),), "empty in context 'a'"),
        (("a",), (("x", " "),), "a prompt in context 'a' is blank"),
        (("a", "b"), (("x", "y"), ("z", "x")), "the prompt 'x' is there twice"),
        (("a", "a"), (("x",), ("y",)), "contexts must differ"),
    ],
)
def test_bad_sets_are_refused(contexts: tuple[str, ...], prompts: tuple[tuple[str, ...], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PromptSet(contexts, prompts)


def test_splits_need_two_prompts_each() -> None:
    seven = PromptSet(("a",), (tuple("1234567"),))
    with pytest.raises(ValueError, match="context 'a' has 7 prompts: 8 or more are needed"):
        seven.split("A")
    with pytest.raises(ValueError, match="split must be one of"):
        build_prompts("tea").split("C")


def test_a_file_of_prompts_is_read(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"ask": ["Käse?", "Tee?"], "tell": ["…"]}, ensure_ascii=False), encoding="utf-8")
    assert read_prompts(path) == PromptSet(("ask", "tell"), (("Käse?", "Tee?"), ("…",)))


@pytest.mark.parametrize("text", ['["x"]', '{"a": "x"}', '{"a": [1]}', '{"a": [["x"]]}', "3", "null"])
def test_files_of_another_form_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r'prompts\.json must hold \{"context": \["prompt", …\], …\}'):
        read_prompts(path)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    for make in (lambda: None, lambda: path.write_text('{"a": ["x"'), lambda: path.write_bytes(b"\xff\xfe\x00")):
        make()
        with pytest.raises(ValueError, match=r"cannot read prompts from .*prompts\.json"):
            read_prompts(path)
