"""The counter of words per sentence counts what a reader reads, and no page that strangers read is above the limit."""

from pathlib import Path

import pytest
from prose import LIMIT, ROOT, hand_written, main, mean_words, sentences_of


def counts(markdown: str) -> list[int]:
    return [sentence.words for sentence in sentences_of(markdown)]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("One two three. Four five!", [3, 2]),
        ("One two\nthree four. Five.", [4, 1]),  # a line's end ends nothing
        ("One two: three; four.", [4]),  # neither a colon nor a semicolon ends one
        ("It is 3.5 per day, i.e. a lot. So it is.", [8, 3]),
        ("Vickrey et al. Say so. W. Vickrey agrees.", [5, 3]),
        ("Run `make demo. Then wait` twice. Good.", [3, 1]),  # code is one word, and has no end
        ("See [the long page](docs/a.md#x.Y) now.", [5]),
        ("![a picture. Of two](x.png)\n\nText here.", [2]),
        ("# A heading. With words\n\nText here.", [2]),
        ("Text here.\n\n```python\nx = 1. Y = 2.\n```\n\nMore text here.", [2, 3]),
        ("---\ntitle: Not prose. At all\n---\n\nText here.", [2]),
        ("Values 1, 2, 3 and 4 of 512 × 2 hold.", [5]),
        ("The price $a + b$ is paid.", [5]),
        ("It pays — as ever — the price.", [6]),
        ("(It pays.) Then it wins.", [2, 3]),
        ("It pays. `VCG` charges.", [2, 2]),
        ("**It pays.** Then it wins.", [2, 3]),
        ("<!-- a note. To nobody -->\n\nText here.", [2]),
        ("", []),
    ],
)
def test_words_are_counted_as_they_are_read(markdown: str, expected: list[int]) -> None:
    assert counts(markdown) == expected


def test_labels_in_lists_and_tables_are_no_sentences() -> None:
    table = "| rule | says |\n|---|---|\n| VCG | charges each bidder the harm to others. Exactly. |"
    assert counts(table) == [7]
    assert counts("- a label\n- this item has six whole words\n") == [6]
    assert counts("A label outside.") == [3]


def test_cells_do_not_dilute_the_mean_of_paragraphs() -> None:
    page = "word " * 30 + ".\n\n" + "- six words stand in this item\n" * 30
    every, alone = mean_words(sentences_of(page))
    assert every < LIMIT < alone == 30


def test_a_sentence_knows_its_line_and_its_text() -> None:
    (sentence,) = sentences_of("# A\n\nThe `code` is here.")
    assert (sentence.line, sentence.text) == (3, "The `code` is here.")


def test_the_script_names_a_page_above_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "long.md"
    page.write_text("word " * 40 + ".", encoding="utf-8")
    assert main([str(page)]) == 1
    assert "ABOVE" in capsys.readouterr().out
    page.write_text("Short words here.", encoding="utf-8")
    assert main([str(page)]) == 0


def test_the_pages_of_strangers_are_found() -> None:
    names = {page.relative_to(ROOT).as_posix() for page in hand_written()}
    assert {"README.md", "SECURITY.md", "docs/market.md", "docs/environments/market.md"} <= names
    assert not {name for name in names if name.startswith("docs/decisions") or name in ("docs/log.md",)}


@pytest.mark.parametrize("page", hand_written(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_sentences_are_short(page: Path) -> None:
    """At most 22 words per sentence on average, by the rule at the top of `tools/site/prose.py`.

    All sentences of the page count, and those of paragraphs alone must hold it too, so that no table dilutes them.
    """
    sentences = sentences_of(page.read_text(encoding="utf-8"))
    longest = max(sentences, key=lambda one: one.words, default=None)
    assert max(mean_words(sentences)) <= LIMIT, f"the longest is {longest}"
