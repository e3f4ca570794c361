"""The words per sentence of a Markdown page, and the longest sentences of each.

python tools/site/prose.py                     # every page that strangers read: the mean of each
python tools/site/prose.py docs/market.md      # one page, with its longest sentences
python tools/site/prose.py --longest 5         # the five longest of every page above the limit

What counts:

- Paragraphs, list items, table cells and quotes are prose. Headings, code blocks, images, front matter, HTML are not.
- A sentence ends at . ! ? or … before a space and a capital, a digit, a sign or the end of its block; a colon or a
  semicolon ends none. "e.g.", "i.e.", "et al.", "vs." and initials end none either.
- A piece of inline code is one word, whatever stands in it; so is a formula between dollar signs. Of a link its text
  counts. A run of numbers that only commas, slashes or "and" part is one word.
- List items and table cells of fewer than six words are labels, not sentences: they would only lower the mean.

Two means are held to the limit: of all sentences, and of those in paragraphs alone, which no table dilutes.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 22.0
"""Words per sentence that a page's mean may have."""
LABEL = 6
"""Words from which on a list item's or a cell's text is a sentence."""
WITHOUT = ("docs/log.md", "docs/results.md")
"""Pages that are written as a diary, or by the runs themselves."""
CODE = "\x00"
ENDS = re.compile(r"(?<=[.!?…])[)\"'”’*_]*\s+(?=[\"'“‘(\[*_]*[A-Z0-9\x00$ÄÖÜ\"“(\[`<>=+~×−-])")
NO_END = re.compile(r"(?:\b(?:e\.g|i\.e|cf|vs|al|etc|approx|resp|Fig|Eq|No|Sec|Dr|St)|\b[A-Z])\.$")
NUMBER = r"[+−±-]?\d(?:[\d.,]*\d)?%?"
NUMBERS = re.compile(rf"{NUMBER}(?:\s*(?:,|/|–|-|and|to|×)\s*{NUMBER})+")


class Sentence(NamedTuple):
    """A sentence of a page.

    Attributes:
        text: As it is written, code between backticks.
        words: How many words count.
        line: Line of its block's beginning, from 1.
        listed: Whether it stands in a list or a table.
    """

    text: str
    words: int
    line: int
    listed: bool


def hand_written(root: Path = ROOT) -> list[Path]:
    """List the pages whose sentences are held to the limit."""
    tops = [root / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "experiments/README.md")]
    pages = sorted((root / "docs").rglob("*.md"))
    names = {page: page.relative_to(root).as_posix() for page in pages}
    return [
        *tops,
        *(page for page in pages if names[page] not in WITHOUT and not names[page].startswith("docs/decisions/")),
    ]


def sentences_of(markdown: str) -> list[Sentence]:
    """Return the sentences of a page, by the rule at the top of this file."""
    found = []
    for text, line, listed in blocks_of(without_front_matter(markdown)):
        for sentence in split(text):
            words = words_of(sentence)
            if words and not (listed and words < LABEL):
                found.append(Sentence(shown(sentence), words, line, listed))
    return found


def mean_words(sentences: Sequence[Sentence]) -> tuple[float, float]:
    """Return the means of words per sentence, of all and of paragraphs alone; 0 where there is none."""
    alone = [sentence for sentence in sentences if not sentence.listed]
    every, outside = (sum(one.words for one in some) / max(1, len(some)) for some in (sentences, alone))
    return every, outside


def without_front_matter(markdown: str) -> str:
    """Blank the settings between two lines of dashes that a page may begin with; line numbers stay."""
    held = re.match(r"---\n.*?\n---\n", markdown, flags=re.DOTALL)
    return "\n" * held[0].count("\n") + markdown[held.end() :] if held else markdown


def blocks_of(markdown: str) -> Iterator[tuple[str, int, bool]]:
    """Yield each block's text, its line and whether it stands in a list or a table."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    inside, heading, line = 0, False, 1
    for token in tokens:
        if token.map:
            line = token.map[0] + 1
        if token.type in ("list_item_open", "td_open", "th_open"):
            inside += 1
        elif token.type in ("list_item_close", "td_close", "th_close"):
            inside -= 1
        elif token.type in ("heading_open", "heading_close"):
            heading = token.type == "heading_open"
        elif token.type == "inline" and not heading:
            yield plain(token), line, inside > 0


def plain(inline: Token) -> str:
    """Return a block's text: code and formulas held together, images, links' addresses and HTML left out."""
    parts = []
    for token in inline.children or []:
        if token.type == "code_inline":
            parts.append(f"{CODE}{token.content}{CODE}")
        elif token.type == "text":
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return re.sub(r"\$[^$\s][^$]*\$", lambda formula: f"{CODE}{formula[0]}{CODE}", "".join(parts)).strip()


def split(text: str) -> list[str]:
    """Split a block at the ends of its sentences; no end lies in a piece of code."""
    held: list[str] = []

    def hold(code: re.Match[str]) -> str:
        held.append(code[0])
        return f"{CODE}{len(held) - 1}{CODE}"

    rest, found, start = re.sub(f"{CODE}[^{CODE}]*{CODE}", hold, text), [], 0
    for end in ENDS.finditer(rest):
        if not NO_END.search(rest[start : end.start()]):
            found.append(rest[start : end.start()])
            start = end.end()
    found.append(rest[start:])
    return [re.sub(f"{CODE}(\\d+){CODE}", lambda key: held[int(key[1])], one).strip() for one in found]


def words_of(sentence: str) -> int:
    """Count the words: what has a letter or a digit; code and a run of numbers are one each."""
    text = re.sub(f"{CODE}[^{CODE}]*{CODE}", "code", sentence)
    text = NUMBERS.sub("0", re.sub(r"https?://\S+", "address", text))
    return sum(any(sign.isalnum() for sign in word) for word in re.split(r"[\s—]+", text))


def shown(sentence: str) -> str:
    """Return a sentence with its code between backticks again."""
    return sentence.replace(CODE, "`")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each page's mean; return 1 where a page is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, help="pages; by default all that strangers read")
    parser.add_argument("--longest", type=int, default=None, help="print so many of each page's longest sentences")
    chosen = parser.parse_args(arguments)
    above = 0
    for page in chosen.pages or hand_written():
        sentences = sentences_of(page.read_text(encoding="utf-8"))
        every, alone = mean_words(sentences)
        too_long = max(every, alone) > LIMIT
        above += too_long
        print(f"{every:5.1f} ({alone:4.1f} in paragraphs), {len(sentences):4d} sentences  {page}{' ABOVE' * too_long}")
        number = chosen.longest if chosen.longest is not None else 10 if chosen.pages else 0
        if chosen.pages or too_long:
            for sentence in sorted(sentences, key=lambda one: -one.words)[:number]:
                print(f"    {sentence.words:3d}  line {sentence.line}: {sentence.text}")
    return int(above > 0)


if __name__ == "__main__":
    sys.exit(main())
