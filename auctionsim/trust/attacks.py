"""Attacks: transformations of a bad reply that a careful reader would not fall for, and a score may.

They are data (`auctionsim/data/attacks/attacks@1.json`): openers, flattery, authority, injected verdicts, preambles and
padding, each a template around the question and the reply. They are fixed and the same for every score, so they show
what is easy to find, not what an adversary would find who looks at one score.
"""

import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from auctionsim.errors import InputError
from auctionsim.records import Record, parse_json

_FORMAT, _VERSION = "auctionsim attacks", 1
_PLACE = re.compile(r"\{(prompt|text)\}")


class Attack(NamedTuple):
    """A transformation of a reply.

    Attributes:
        name: A Python identifier.
        family: Such as "padding".
        template: With {text} once, and {prompt} any number of times.
    """

    name: str
    family: str
    template: str

    def apply(self, prompt: str, text: str) -> str:
        """Return the transformed reply.

        Example:
            >>> Attack("twice", "padding", "{prompt} {text} {prompt}").apply("Why?", "{prompt}")
            'Why? {prompt} Why?'
        """
        values = {"prompt": prompt, "text": text}
        return _PLACE.sub(lambda found: values[found[1]], self.template)


def parse_attacks(content: str | bytes) -> tuple[Attack, ...]:
    """Read attacks from JSON.

    Raises:
        ValueError: Another format, names that are not different identifiers, or a template without {text}.
    """
    record = Record(parse_json(content), "the attacks").only("format", "version", "about", "attacks")
    if record.text("format") != _FORMAT or record.whole("version") != _VERSION:
        raise InputError(f"is no file of {_FORMAT!r} of version {_VERSION}")
    found = []
    for one in record.records("attacks"):
        one.only(*Attack._fields)
        attack = Attack(one.text("name"), one.text("family"), one.text("template"))
        if not attack.name.isidentifier() or attack.template.count("{text}") != 1:
            raise InputError(f"an attack needs an identifier for a name and {{text}} once, got {attack.name!r}")
        found.append(attack)
    if not found or len({attack.name for attack in found}) < len(found):
        raise InputError("attacks must be there, and each have its own name")
    return tuple(found)


@cache
def battery() -> tuple[Attack, ...]:
    """Return the attacks that every score is tried on."""
    path = resources.files("auctionsim.data") / "attacks" / "attacks@1.json"
    return parse_attacks(path.read_text(encoding="utf-8"))


def read_attacks(path: Path) -> tuple[Attack, ...]:
    """Read attacks of one's own, see `parse_attacks`."""
    from auctionsim.files import read_bounded
    from auctionsim.records import MOST_JSON_BYTES

    return parse_attacks(read_bounded(path, MOST_JSON_BYTES))
