"""Who advertises: a brand's name and aliases, and what counts as a mention of it in a text."""

import bisect
import re
from dataclasses import dataclass
from functools import cached_property

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)]*(?=\s|$)|\n+")
_NAME = re.compile(r"^[^\s,|=<>][^,|=<>\n]*$")


@dataclass(frozen=True)
class Brand:
    """A brand.

    Attributes:
        name: As it is written in text, e.g. "Nike".
        aliases: Other spellings that count as the brand.
    """

    name: str
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.names:
            if not _NAME.match(name) or name != name.strip():
                raise ValueError(f"a brand's name must be plain text without , | = < >, got {name!r}")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"a brand's names must differ, got {self.names}")

    @property
    def names(self) -> tuple[str, ...]:
        """The name, then the aliases."""
        return (self.name, *self.aliases)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """A whole-word, case-insensitive match of the name or an alias, longest first."""
        choices = "|".join(re.escape(name) for name in sorted(self.names, key=len, reverse=True))
        return re.compile(rf"(?<!\w)(?:{choices})(?!\w)", re.IGNORECASE)

    def hits(self, text: str) -> int:
        """Count the sentences of `text` that mention the brand: at most one hit a sentence.

        Sentences end after . ! ? … followed by white space, and at line ends; not inside a name such as "Dr. Martens".
        """
        names = [match.span() for match in self.pattern.finditer(text)]
        ends = [
            end.end()
            for end in _SENTENCE_END.finditer(text)
            if not any(start <= end.start() and end.end() < stop for start, stop in names)
        ]
        return len({bisect.bisect_right(ends, start) for start, _ in names})

    def mentions(self, text: str) -> int:
        """Count every mention."""
        return len(self.pattern.findall(text))


def parse_brands(text: str) -> tuple[Brand, ...]:
    """Read "Nike,Adidas" or, with aliases, "Coca-Cola|Coke,Pepsi".

    Raises:
        ValueError: An empty or malformed name, or one brand named twice.
    """
    brands = []
    for part in text.split(","):
        names = [name.strip() for name in part.split("|")]
        if not all(names):
            raise ValueError(f"brands are written NAME,NAME with aliases after |, got {text!r}")
        brands.append(Brand(names[0], tuple(names[1:])))
    seen: set[str] = set()
    for brand in brands:
        for name in brand.names:
            if name.lower() in seen:
                raise ValueError(f"{name!r} is named twice in {text!r}")
            seen.add(name.lower())
    return tuple(brands)
