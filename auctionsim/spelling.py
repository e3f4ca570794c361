"""How a name may be written: one form for letters and signs, and the pattern that finds a name in it."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

# Scripts that put no space between words, by block: Thai, Lao, Tibetan, Myanmar, Khmer; kana, Bopomofo, Han.
SPACELESS = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u312f\u31a0-\u31bf\u31f0-\u31ff"
SPACELESS += "\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\U00020000-\U0003ffff"
HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
_AFTER_NOUNS = """은 는 이 가 을 를 의 에 에서 에게 에게서 께 께서 한테 와 과 랑 이랑 하고 도 만 로 으로 로서
으로서 로써 으로써 부터 까지 보다 처럼 같이 마다 밖에 조차 마저 나 이나 라도 이라도 야 이야 라는 이라는 라고
이라고 란 이란 인 다 이다 입니다 며 이며 고 이고 여 이여 뿐 대로 들 등 측 요 이요"""
_PARTICLES = "|".join(sorted(_AFTER_NOUNS.split(), key=len, reverse=True))  # Korean joins them to a noun, up to three
_PROCLITICS = {"ARABIC": "(?:[وف]?(?:[بكل]?(?:ال)?|لل))", "HEBREW": "[והבלמשכ]{0,2}"}  # "and", "in", "to", "the" …
_APOSTROPHES, _QUOTES = "\u2018\u2019\u201b\u02b9\u02bc\u02c8\u2032\u00b4\u05f3\ua78c", "\u201c\u201d\u201e\u201f\u2033"
_BREAKS = "\u200b\u200c"  # zero-width space and non-joiner: between words or inside one, so both are tried
_SELECTORS = re.compile("[\u034f\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # how a letter is drawn
_LETTER_FORMS = ("<wide>", "<narrow>", "<font>", "<initial>", "<medial>", "<final>", "<isolated>", "<compat>")
_EMPHASIS = r"[*_~`]{0,3}"
_LINE = r"[^\S\n\u2029]*"  # white space that ends no line
_SPACE = rf"(?:{_LINE}\n{_LINE}|[^\S\n\u2029]+|-(?:{_LINE}\n{_LINE})?|&nbsp;|\u200b)"
_BETWEEN = f"(?:{_EMPHASIS}{_SPACE}{_EMPHASIS})"  # the words of one name


@dataclass(frozen=True)
class Folded:
    """A text in one form, piece by piece.

    Attributes:
        sources: The text, cut into letters with their marks and into stretches of ASCII.
        pieces: Each of them with composed letters, straight apostrophes, quotation marks and hyphens, and no invisible
            signs but U+200B.
    """

    sources: tuple[str, ...]
    pieces: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        """The pieces, joined."""
        return "".join(self.pieces)

    def source(self, start: int, stop: int) -> tuple[int, int]:
        """Return where in the source characters `start` to `stop` come from."""
        return self._places[0][start], self._places[1][stop - 1]

    @cached_property
    def _places(self) -> tuple[list[int], list[int]]:
        """Where the source of each character of the text begins, and where it ends."""
        starts: list[int] = []
        ends: list[int] = []
        place = 0
        for source, piece in zip(self.sources, self.pieces, strict=True):
            if source.isascii():
                starts += range(place, place + len(source))
                ends += range(place + 1, place + len(source) + 1)
            else:
                starts += [place] * len(piece)
                ends += [place + len(source)] * len(piece)
            place += len(source)
        return starts, ends


@lru_cache(maxsize=256)  # every brand looks at the same reply
def fold(text: str, *, keep_case: bool = False) -> Folded:
    """Return `text` in the form that names are searched in.

    Letters are composed (NFC) and lose their case, in any script: ß is ss, every sigma is one, dotted and dotless I are
    one. Full-width, half-width and mathematical letters and ligatures are plain letters. What is set above or below the
    line, or in a circle, is no letter (Nike², Nike①), and ™ stays a sign, or it would become part of the word.
    """
    sources = (text,) if text.isascii() else tuple(_cluster().findall(text))
    return Folded(sources, tuple(_plain(source, keep_case) for source in sources))


def _plain(source: str, keep_case: bool) -> str:
    if source.isascii():
        return source if keep_case else source.lower()
    return _letter(source, keep_case)


def invisible_apart(text: str) -> str:
    """Return `text` without what no reader sees: kinds and amounts of white space, ways to compose letters, U+200B …"""
    seen = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return " ".join(unicodedata.normalize("NFC", seen).split())


class NamePattern:
    """Finds names in text, as whole words, however they are written.

    Args:
        names: What is looked for; of names that begin alike the longest counts.
        keep_case: Only as the names are written, small and capital letters told apart.
    """

    def __init__(self, names: tuple[str, ...], *, keep_case: bool) -> None:
        self.keep_case = keep_case
        ordered = sorted(names, key=len, reverse=True)
        self._tight = re.compile("|".join(_written(name, keep_case, "") for name in ordered))
        self._ordered = ordered

    @cached_property
    def _loose(self) -> re.Pattern[str]:
        """The pattern for text with zero-width spaces, which may stand between any two letters."""
        return re.compile("|".join(_written(name, self.keep_case, "\u200b*") for name in self._ordered))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where in `text` a name begins and ends, from the first to the last."""
        folded = fold(text, keep_case=self.keep_case)
        pattern = self._loose if "\u200b" in folded.text else self._tight
        return [folded.source(*found.span()) for found in pattern.finditer(folded.text)]

    def fits(self, name: str) -> bool:
        """Tell whether all of `name`, but for a possessive ending, counts as one of the names."""
        found = self.spans(name)
        return bool(found) and found[0][0] == 0 and fold(name[found[0][1] :]).text in ("", "'", "'s")


def _written(name: str, keep_case: bool, between: str) -> str:
    """Return the pattern of one name as a whole word, `between` any two of its letters."""
    form = fold(name, keep_case=keep_case).text.replace("\u200b", "")
    atoms = _atoms(form)
    plural = _plural(form)
    body = between.join(atoms) + (f"(?:{between}{plural})?" if plural else "")
    whole = f"{_left(form[0])}{body}{_right(form[-1])}"
    handle = "".join(sign for sign in unicodedata.normalize("NFKD", form) if sign.isalnum())
    if len(handle) < 2 or not handle.isascii() or atoms == list(handle):
        return f"(?:{whole})"
    return rf"(?:{whole}|(?<=[@#/.])(?i:{handle})(?!\w)|(?<!\w)(?i:{handle})(?=\.[a-z]{{2}}))"  # @loreal, hm.com


def _atoms(form: str) -> list[str]:
    """Return what stands for each sign of a folded name."""
    parts = re.findall(r"\.[\s-]+|\s*&\s*|[\s-]+|.", form, re.DOTALL)
    atoms = []
    for k, part in enumerate(parts):
        is_last = k == len(parts) - 1
        if part[0] == "." and len(part) > 1:
            atoms.append(rf"(?:\.{_BETWEEN}?|{_BETWEEN})")  # Dr. Martens, Dr Martens
        elif part.strip() == "&":
            atoms.append(r"[^\S\n]?\\?(?:&amp;|&)[^\S\n]?")
        elif part == "'":
            atoms.append("['`]?")  # Levi's, Levis
        elif part in "・·":
            atoms.append("[・·]?")
        elif not part.strip(" \t-") and not is_last:
            atoms.append(_BETWEEN)
        elif part in "!." and is_last and k:
            atoms.append(f"{re.escape(part)}?")  # Yahoo!, Yahoo
        else:
            atoms.append("".join(map(_accented, part)))  # several at the end of "A--"
    return atoms


def _accented(letter: str) -> str:
    """Return a letter's pattern: Latin and Greek letters, and ё, may lack their accents, never gain any."""
    plain = unicodedata.normalize("NFD", letter)[0]
    if unicodedata.category(letter) in ("Mn", "Me"):
        return f"{letter}?" if "\u0300" <= letter <= "\u036f" else letter
    droppable = unicodedata.name(letter, "").startswith(("LATIN", "GREEK")) or letter in "ёЁ"
    return f"[{letter}{plain}]" if plain != letter and droppable else re.escape(letter)


def _plural(form: str) -> str:
    last = unicodedata.normalize("NFD", form[-1])[0]
    if not ("a" <= last.lower() <= "z"):
        return ""
    return "es" if form.lower().endswith(("s", "x", "z", "ch", "sh")) else "s"


def _left(first: str) -> str:
    """Return what must come before a name that begins with `first`."""
    if re.match(f"[{SPACELESS}]", first):
        return ""
    if not first.isalnum():
        return r"(?<!\w)"
    others = SPACELESS if re.match(f"[{HANGUL}]", first) else SPACELESS + HANGUL
    ends = rf"(?<![\w{marks()}])"
    emphasis = "|".join(f"(?<={ends}{'_' * k})" for k in (1, 2, 3))
    script = unicodedata.name(first, "").partition(" ")[0]
    return f"(?:{ends}|(?<=[{others}])|{emphasis}){_PROCLITICS.get(script, '')}"


def _right(last: str) -> str:
    """Return what must follow a name that ends with `last`."""
    if re.match(f"[{SPACELESS}]", last):
        return f"(?![{marks()}ー])"  # either would be part of the last letter
    ends = rf"_{{0,3}}(?![\w{marks()}])"
    if re.match(f"[{HANGUL}]", last):
        return f"(?=(?:{_PARTICLES}){{0,3}}(?:{ends}|[{SPACELESS}]))"
    return f"(?={ends}|[{SPACELESS}{HANGUL}])"


@lru_cache(maxsize=1 << 16)
def _letter(cluster: str, keep_case: bool) -> str:
    """Return one letter with its marks, or one sign, in the one form."""
    first = cluster[0]
    if unicodedata.category(first) == "Cf":
        rest = _letter(cluster[1:], keep_case) if len(cluster) > 1 else ""
        return "\u200b" + rest if first in _BREAKS else rest
    if first in _APOSTROPHES:
        return "'"
    if first in _QUOTES:
        return '"'
    if unicodedata.category(first) == "Pd" or first in "\u2212\u2043":
        return "-"
    plain = "".join(map(_plain_letter, _unseen().sub("", _SELECTORS.sub("", cluster))))
    composed = unicodedata.normalize("NFC", plain)
    if keep_case:
        return composed
    return unicodedata.normalize("NFC", re.sub("i\u0307+", "i", composed.casefold().replace("ı", "i")))


def _plain_letter(letter: str) -> str:
    """Return a letter of another width or font, or a ligature, as plain letters; what is above the line as ^."""
    kind = unicodedata.decomposition(letter).partition(" ")[0]
    if kind in ("<super>", "<sub>", "<circle>") or unicodedata.category(letter) == "No":
        return "^"
    plain = unicodedata.normalize("NFKC", letter)
    is_sign = kind in ("<wide>", "<narrow>", "<font>") and len(plain) == 1
    is_word = letter.isalpha() and plain.isalpha()
    return plain if kind in _LETTER_FORMS and (is_word or is_sign) else letter


@cache
def marks() -> str:
    """Return the accents, vowel signs and other marks that belong to the letter before them, for a character class."""
    points = [p for p in range(0x300, 0x1E950) if unicodedata.category(chr(p))[0] == "M"]
    first = [p for k, p in enumerate(points) if not k or points[k - 1] < p - 1]
    last = [p for k, p in enumerate(points) if k == len(points) - 1 or points[k + 1] > p + 1]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(first, last, strict=True)) + "\U000e0100-\U000e01ef"


@cache
def _cluster() -> re.Pattern[str]:
    """Return the pattern of a stretch of ASCII, or one letter with its marks, Hangul vowels and finals among them.

    What nobody sees between a letter and its mark is no end of the letter.
    """
    follows = f"{_unseen().pattern}*[{marks()}\u1160-\u11ff\ud7b0-\ud7ff\uff9e\uff9f]"
    return re.compile(f"[\x00-\x7f]+(?!{follows})|.(?:{follows})*", re.DOTALL)


@cache
def _unseen() -> re.Pattern[str]:
    """Return the pattern of one sign that no reader sees and that breaks nothing, such as a soft hyphen."""
    points = (chr(p) for p in range(0x80, 0xE0080) if unicodedata.category(chr(p)) == "Cf")
    return re.compile("[" + "".join(sign for sign in points if sign not in _BREAKS) + "]")
