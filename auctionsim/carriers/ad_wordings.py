"""Sentences that name a brand: the packaged lists, and the ads that are made of them.

Each list is a file of `auctionsim/data/wordings`, a wording a line, with places for a brand and a category. They say
nothing about a brand that would not hold for any other. An ad that does not name its brand is refused: what names a
brand is a mention, as `auctionsim.brands.Brand` has it.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.language_models.framing import Framing
from auctionsim.text_checks import checked_text

_PLACE = re.compile(r"\{([^{}]*)\}")
MOST_AD_LETTERS, MOST_WORDINGS = 1 << 14, 64
"""Letters of an ad or a wording, and wordings of a list: each is looked through for each brand."""


@cache
def wordings(kind: str) -> tuple[str, ...]:
    """Return a packaged list of wordings, in its order.

    Args:
        kind: "prompt" (for system messages, weak ones first), "segments" (background before a question), "lines" (on
            the page) or "displays" (how sponsors and what they pay are shown).
    Raises:
        ValueError: No such list.
    """
    path = resources.files("auctionsim.data") / "wordings" / f"{kind}.txt"
    if not path.is_file():
        raise InputError(f"there are wordings for prompt, segments, lines and displays, not for {kind!r}")
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def checked_ad(text: str, what: str) -> str:
    """Return a text if it is no longer than an ad may be.

    Raises:
        ValueError: It has more than `MOST_AD_LETTERS` letters.
    """
    if len(checked_text(text, what)) > MOST_AD_LETTERS:
        raise InputError(f"{what} has at most {MOST_AD_LETTERS} letters, got {len(text)}: {text[:40]!r} …")
    return text


def ad_text(wording: str, brand: Brand, category: str) -> str:
    """Return a wording with a brand and a category in its places.

    Raises:
        ValueError: A place of another name, or a text that does not name the brand.
    """
    text = checked_ad(filled(wording, {"brand": brand.name, "category": category}), "an ad")
    if not brand.spans(text):
        raise InputError(f"the wording {wording!r:.80} gives {text!r:.80}: an ad must name its brand, {brand.name}")
    return text


def filled(wording: str, places: Mapping[str, str]) -> str:
    """Return a wording with its places, by name, filled.

    Raises:
        ValueError: A blank wording, or a place of another name.
    """
    if not checked_ad(wording, "a wording").strip():
        raise InputError(f"a wording must have words, got {wording!r:.80}")
    other = [name for name in _PLACE.findall(wording) if name not in places]
    if other:
        known = " and ".join(f"{{{name}}}" for name in places)
        raise InputError(f"the wording {wording!r:.80} has a place {{{other[0]:.80}}}; places are {known}")
    return _PLACE.sub(lambda place: places[place[1]], wording)


def checked_wordings(texts: Sequence[str], brands: Sequence[Brand], category: str) -> tuple[str, ...]:
    """Return a list of wordings if each makes an ad of each brand, and none is there twice.

    Raises:
        ValueError: No wording, the same twice, or one that does not name a brand.
    """
    kept = tuple(texts)
    if not kept:
        raise InputError("a list of wordings needs at least one, got none")
    if len(kept) > MOST_WORDINGS:
        raise InputError(f"a list of wordings has at most {MOST_WORDINGS}, got {len(kept)}")
    for wording in kept:
        for brand in brands:
            ad_text(wording, brand, category)
    if len(set(kept)) < len(kept):
        raise InputError(f"the wording {max(kept, key=kept.count)!r:.80} is there twice")
    return kept


def prompt_ad(brand: Brand, category: str, wording: str) -> Framing:
    """Return the framing that adds a brand's ad to the system message.

    Args:
        brand: Whose ad it is.
        category: What it sells.
        wording: With the places {brand} and {category}.
    Raises:
        ValueError: A wording that does not name the brand.
    """
    return Framing(system=ad_text(wording, brand, category))
