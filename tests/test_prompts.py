"""Splits share no prompt and lose none; what is no prompt file is refused by name."""

import itertools
import json
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from auctionsim.prompts import TEMPLATES, PromptSet, build_prompts, read_prompts
from auctionsim.stems import KINDS, SPLITS, Stem


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


def test_every_split_has_stems_of_its_own_of_either_kind() -> None:
    prompts = build_prompts("running shoes")
    parts = [prompts.split(name) for name in SPLITS]
    texts = [stem.text for part in parts for stem in part.stems]
    assert sorted(texts) == sorted(prompts.stem_texts)
    assert len({" ".join(text.lower().split()) for text in texts}) == len(texts)
    for part in parts:
        kinds = [stem.kind for stem in part.stems]
        assert all(kinds.count(kind) == len(kinds) / len(KINDS) >= 2 for kind in KINDS)
    assert prompts.split("A").first(2).stems == prompts.split("A").stems


def test_stems_of_ones_own_are_split_by_what_they_say() -> None:
    mine = tuple(Stem(f"Stem {name}", "calling", name) for name in SPLITS)
    whole = PromptSet(("a",), (tuple(f"prompt {k}" for k in range(8)),), mine)
    assert [whole.split(name).stem_texts for name in SPLITS] == [(f"Stem {name}",) for name in SPLITS]
    assert whole.digest != PromptSet(whole.contexts, whole.prompts).digest
    lacking = PromptSet(whole.contexts, whole.prompts, mine[:3])
    with pytest.raises(ValueError, match="no stem serves the split 'test'"):
        lacking.split("test")


@pytest.mark.parametrize(
    ("stems", "message"),
    [
        ((), "needs one stem or more"),
        ((Stem(" ", "calling", "A"),), "a stem is text, one of calling, passing"),
        ((Stem("I like", "loud", "A"),), "a stem is text, one of calling, passing"),
        ((Stem("I like", "calling", "C"),), "one of the splits identify, A, B, test"),
        ((Stem("I like", "calling", "A"), Stem("I  like", "passing", "B")), "the stem 'I like' is there twice"),
    ],
)
def test_stems_that_break_a_rule_are_refused(stems: tuple[Stem, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PromptSet(("a",), (("x",),), stems)
