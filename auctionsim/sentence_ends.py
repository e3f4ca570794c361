"""Where sentences end: signs of many scripts and line ends, not the stop of an abbreviation."""

import re

from auctionsim.spelling import SPACELESS

_CLOSERS = r"""(?:["'”’»›)\]}*_~`」』）】》〉]|\[\d+\])*+"""  # quotation marks, brackets, emphasis, footnotes
_STOPS = "。！？｡．؟۔।॥։\u037e።။།។"  # of scripts that need no space after them
_END = re.compile(
    rf"(?<![.!?…‽])(?:[.!?…‽]++{_CLOSERS}(?=\s|\u200b|$)|[!?…‽]++{_CLOSERS}(?=[{SPACELESS}]))"
    rf"|[{_STOPS}]++{_CLOSERS}|[\n\u2028\u2029]+"
)
_WORD_BEFORE = re.compile(r"(?<![^\W_])(?:[^\W\d_]+\.)*[^\W\d_]+$")
_TITLES = """mr mrs ms mx dr prof st mt vs approx ca cf viz fig figs vol pp eq gen gov sen rep rev hon capt col sgt lt
e.g i.e z.b u.a d.h p.ej bzw inkl zzgl evtl ggf vgl nr mme mlle sra srta"""
_ENDINGS = """inc ltd corp co llc plc pty pvt bros jr sr etc usw esq dept est al ave blvd rd jan feb mar apr jun jul aug
sep sept oct nov dec mon tue wed thu fri sat sun"""
_INTRODUCE = frozenset(_TITLES.split())  # something always follows these
_MAY_END = frozenset(_ENDINGS.split())  # these can also be a sentence's last word: what follows decides
_OPENERS = "\"'“‘«*_~`"


def sentence_ends(text: str) -> list[tuple[int, int]]:
    """Return where the signs that end a sentence begin and end, from the first to the last.

    A sentence ends with . ! ? … (after them quotation marks, brackets and emphasis) before white space, with the full
    stops of other scripts, and at line ends. The stop of "e.g.", of a title or of an initial ends none; that of "Inc."
    or "U.S." ends one unless a small letter, a number or a bracket follows.
    """
    return [end.span() for end in _END.finditer(text) if not (end.group() == "." and _abbreviates(text, end.start()))]


def _abbreviates(text: str, stop: int) -> bool:
    """Tell whether the full stop at `stop` belongs to an abbreviation inside a sentence."""
    found = _WORD_BEFORE.search(text, max(0, stop - 24), stop)
    if found is None:
        return False
    word, follows = found.group(), text[stop + 1 : stop + 40].lstrip().lstrip(_OPENERS)[:1]
    if word.lower() in _INTRODUCE:
        return True
    if word.lower() == "no":  # "No. 1", but "No. Nike is better."
        return follows.isdigit()
    if len(word) == 1:
        return word.isupper() and word != "I"  # an initial
    return (word.lower() in _MAY_END or "." in word) and (follows.islower() or follows.isdigit() or follows == "(")
