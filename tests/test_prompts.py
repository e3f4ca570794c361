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


FORMS = [
    '{"a": "x"}',
    '{"a": [1]}',
    '{"a": [["x"]]}',
    "3",
    "null",
    "",
    "{}",
    "[]",
    "[3]",
    '[{"prompt": "x", "id": "7"}]',
]


@pytest.mark.parametrize("text", FORMS)
def test_files_of_another_form_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r'prompts\.json must hold \{"context": \["prompt", …\], …\}'):
        read_prompts(path)


TWO = PromptSet(("ask", "tell"), (("Käse, Tee?", "Nur Tee?"), ("…",)))
LINES = """{"context": "ask", "prompt": "Käse, Tee?"}\n{"prompt": "…", "context": "tell"}\n
{"context":"ask","prompt":"Nur Tee?"}"""
CSV = 'context,prompt\r\nask,"Käse, Tee?"\r\n\r\ntell,…\r\nask,Nur Tee?\r\n'
OBJECT = json.dumps({"ask": list(TWO.prompts[0]), "tell": ["…"]}, ensure_ascii=False)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prompts.json", OBJECT),
        ("prompts", f"\n{OBJECT}"),
        ("prompts.json", f"[{LINES.replace(chr(10) * 2, chr(10)).replace(chr(10), ',')}]"),
        ("prompts.json", LINES),
        ("prompts.jsonl", LINES.replace("\n", "\r\n")),
        ("prompts.ndjson", LINES),
        ("prompts.csv", CSV),
        ("prompts.CSV", 'Prompt ;context\n"Käse, Tee?";ask\n…;tell\nNur Tee?;ask'),
        ("prompts.tsv", "context\tprompt\nask\tKäse, Tee?\ntell\t…\nask\tNur Tee?"),
    ],
)
def test_files_of_every_form_and_encoding_are_read(name: str, text: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    assert read_prompts(path) == TWO
    assert read_prompts(str(path)) == TWO


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.json", '["Käse, Tee?", "…"]'),
        ("list.jsonl", '"Käse, Tee?"\n{"prompt": "…"}'),
        ("list.txt", "\ufeffKäse, Tee?\r\n\r\n  …  \r\n"),
        ("list.csv", 'prompt\n"Käse, Tee?"\n…\n'),
    ],
)
def test_prompts_without_a_context_are_one(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_prompts(path) == PromptSet(("prompts",), (("Käse, Tee?", "…"),))


REFUSED = [
    ("a.json", '{"a": ["x"], "b": ["y"], "a": ["z"]}', "the key 'a' is there twice"),
    ("a.jsonl", '{"prompt": "x", "prompt": "y"}', "the key 'prompt' is there twice"),
    ("a.jsonl", '{"prompt": "x"}\n{"prompt":', "line 2 is no JSON"),
    ("a.json", '{"a": ["x  y"], "b": ["x\u00a0y "]}', "the prompt 'x y' is there twice"),
    ("a.txt", "Caf\u00e9?\nCafe\u0301?", "is there twice"),
    ("a.txt", "Tee?\nTe\u200be?", "is there twice"),
    ("a.json", '{"a": ["x"], " a": ["y"]}', "contexts must differ"),
    ("a.json", '{"a": ["x", " "]}', "is blank"),
    ("a.json", '{" ": ["x"]}', "name is blank"),
    ("a.json", '{"a": ["\\ud800"]}', "surrogate"),
    ("a.json", "[" * 100_000, "nested too deeply"),
    ("a.json", '{"a": ["x"]}' + " " * 16_000_000, "longer than 16 MB"),
    ("a.csv", "context,prompt\na,x\nb\n", "line 3 has 1 cells, its header 2"),
    ("a.csv", 'context,prompt\na,"x\n', "unexpected end of data"),
    ("a.csv", "context,prompt\na," + "x" * 200_000, "field larger"),
    ("a.csv", "question\nx", r"must hold .* its header is 'question'"),
    ("a.csv", "prompt,prompt\nx,y", "must hold"),
    ("a.py", "import os", "must hold .* ends in '.py'"),
    ("a.txt", "a\0b", "not text"),
    ("a.txt", " \n", "must hold .* it is empty"),
    ("a.json", "K\xe4se".encode("latin-1"), "not text in UTF-8 or UTF-16"),
]


@pytest.mark.parametrize(("name", "text", "message"), REFUSED)
def test_hostile_files_are_refused_in_one_line(name: str, text: str | bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message) as caught:
        read_prompts(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600 + len(str(path))


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/zero"), tmp_path / "none.json"):
        with pytest.raises(ValueError, match=r"cannot read prompts from .*: (it is no regular|there is no such) file"):
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
    for name, part in zip(SPLITS, parts, strict=True):
        counts = [sum(stem.kind == kind for stem in part.stems) for kind in KINDS]
        assert min(counts) >= 2
        assert name == "identify" or len(set(counts)) == 1
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
        ((Stem("I like", "calling", "A"), Stem("I  like", "passing", "B")), "the stem 'i like' is there twice"),
    ],
)
def test_stems_that_break_a_rule_are_refused(stems: tuple[Stem, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PromptSet(("a",), (("x",),), stems)
