"""Who advertises: a brand's name and aliases, and what counts as a mention of it in a text."""

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from auctionsim.errors import InputError
from auctionsim.sentence_ends import sentence_ends
from auctionsim.spelling import NamePattern, fold
from auctionsim.text_checks import checked_text

_NAME = re.compile(r"^[^\s,|=<>][^,|=<>\n]*$")
_LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s]*+)[^()]*+\)")  # Markdown: what is read, and where it leads
_AS_WRITTEN = ":case"

MOST_NAMES, MOST_LETTERS = 100, 200
"""Names of a brand, and letters of a name: patterns of many more take minutes to build."""

MENTION_RULE = 2
"""The number of the rule below; 1 was a plain search for the spelling. Measurements keep it."""


@dataclass(frozen=True)
class Brand:
    """A brand.

    A *mention* is the name or an alias as a whole word, in any script, as people and models write it:

    - Small and capital letters are one, except in names of `case_sensitive`. Composed, decomposed, full-width and
      mathematical letters are one; accents may be missing ("Nestle" is Nestlé), never added ("Nïke" is not Nike).
    - Apostrophes, quotation marks, hyphens and spaces of all kinds are one, and invisible signs nothing. A hyphen may
      be a space and the other way round, also a line end ("Coca Cola", "New\\nBalance"); an apostrophe, the stop of an
      abbreviation, or a last "!" may be missing ("Levis", "Dr Martens", "Yahoo").
    - Emphasis is no part of a word (_Nike_, **New** Balance). Possessives and plurals count ("Nike's", "Nikes"), words
      that merely begin alike do not ("Nikee", "Nike_1").
    - Where a script puts no spaces between words (Chinese, Japanese, Thai …) the name counts wherever it stands; Korean
      particles may follow, Arabic and Hebrew prefixes come before it. Other inflections need an alias.
    - Links, handles and hashtags are text: nike.com, @nike and #nike name the brand, since whoever reads or follows
      them is led to it; so do those of a name of several words that are written as one (newbalance.com). A Markdown
      link whose text names the brand is one mention, wherever it leads.

    Attributes:
        name: As it is written in text, e.g. "Nike".
        aliases: Other spellings that count as the brand.
        case_sensitive: Those of the names that count only in small and capital letters as they are written: "Apple",
            not "apple".
    """

    name: str
    aliases: tuple[str, ...] = ()
    case_sensitive: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) > MOST_NAMES:
            raise InputError(f"a brand has at most {MOST_NAMES} names, got {len(self.names)}")
        for name in self.names:
            if len(checked_text(name, "a brand's name")) > MOST_LETTERS:
                raise InputError(f"a brand's name has at most {MOST_LETTERS} letters, got {len(name)}: {name[:20]!r} …")
            if not _NAME.match(name) or name != name.strip():
                raise InputError(f"a brand's name must be plain text without , | = < >, got {name!r}")
            if not any(sign.isalnum() for sign in fold(name).text):
                raise InputError(f"a brand's name must have a letter or a digit, got {name!r}")
        if len(set(self.names)) < len(self.names):
            raise InputError(f"a brand's names must differ, got {self.names}")
        if not set(self.case_sensitive) <= set(self.names):
            raise InputError(f"case_sensitive must be some of the names {self.names}, got {self.case_sensitive}")

    @classmethod
    def read(cls, names: Sequence[str]) -> "Brand":
        """Return a brand from its name and aliases as the command line has them: "Apple:case" is case-sensitive.

        Raises:
            ValueError: No name, or one that a brand cannot have.
        Example:
            >>> Brand.read(["Apple:case", "iPhone"])
            Brand(name='Apple', aliases=('iPhone',), case_sensitive=('Apple',))
        """
        if not names:
            raise InputError("a brand needs a name, got a list of none")
        plain = tuple(name.removesuffix(_AS_WRITTEN) for name in names)
        kept = tuple(short for short, name in zip(plain, names, strict=True) if short != name)
        return cls(plain[0], plain[1:], kept)

    @property
    def names(self) -> tuple[str, ...]:
        """The name, then the aliases."""
        return (self.name, *self.aliases)

    @property
    def written(self) -> list[str]:
        """The names as `read` takes them, for records."""
        return [name + _AS_WRITTEN * (name in self.case_sensitive) for name in self.names]

    @cached_property
    def patterns(self) -> tuple[NamePattern, ...]:
        """What finds the names: those that count in any case, and those that do not."""
        anyhow = tuple(name for name in self.names if name not in self.case_sensitive)
        kinds = ((anyhow, False), (self.case_sensitive, True))
        return tuple(NamePattern(names, keep_case=keep_case) for names, keep_case in kinds if names)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where each mention begins and ends, from the first to the last; of two that overlap the first."""
        checked_text(text, "a text")
        found = [span for pattern in self.patterns for span in pattern.spans(text)]
        kept: list[tuple[int, int]] = []
        for start, stop in sorted(found, key=lambda span: (span[0], -span[1])):
            if not kept or start >= kept[-1][1]:
                kept.append((start, stop))
        return _once_a_link(text, kept) if kept and "](" in text else kept

    def hits(self, text: str) -> int:
        """Count the sentences of `text` that mention the brand: at most one hit a sentence.

        Where sentences end, `auctionsim.sentence_ends` says; not inside a name such as "Dr. Martens".
        """
        names = self.spans(text)
        if len(names) < 2:
            return len(names)
        ends = [
            stop
            for begin, stop in sentence_ends(text)
            if not any(start <= begin and stop < end for start, end in names)
        ]
        return len({bisect.bisect_right(ends, start) for start, _ in names})

    def mentions(self, text: str) -> int:
        """Count every mention."""
        return len(self.spans(text))


def parse_brands(text: str) -> tuple[Brand, ...]:
    """Read "Nike,Adidas" or, with aliases, "Coca-Cola|Coke,Pepsi"; "Apple:case" counts in that spelling only.

    Raises:
        ValueError: An empty or malformed name, or names of which one would count as another.
    """
    brands = []
    for part in checked_text(text, "brands").split(","):
        names = [name.strip() for name in part.split("|")]
        if not all(name.removesuffix(_AS_WRITTEN) for name in names):
            raise InputError(f"brands are written NAME,NAME with aliases after |, got {text!r}")
        brands.append(Brand.read(names))
    seen: list[tuple[str, NamePattern]] = []
    for name, pattern in ((name, pattern) for brand in brands for name, pattern in _each(brand)):
        if any(other.fits(name) or pattern.fits(earlier) for earlier, other in seen):
            raise InputError(f"{name!r} is named twice in {text!r}: its mentions could not be told apart")
        seen.append((name, pattern))
    return tuple(brands)


def _each(brand: Brand) -> list[tuple[str, NamePattern]]:
    return [(name, NamePattern((name,), keep_case=name in brand.case_sensitive)) for name in brand.names]


def _once_a_link(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out mentions in the address of a Markdown link whose text has one."""
    for link in _LINK.finditer(text):
        (first, last), (start, stop) = link.span(1), link.span(2)
        if any(first <= begin < last for begin, _ in spans):
            spans = [span for span in spans if not start <= span[0] < stop]
    return spans
