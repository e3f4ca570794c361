"""The conformance kit of readings of texts, alone or beside untouched ones: what second passes rely on."""

from collections.abc import Collection

import hypothesis.strategies as st

from auctionsim.brands import Brand
from auctionsim.errors import InputTypeError
from auctionsim.readings.protocol import Reading, ReferenceReading, Reply, TextReading
from auctionsim.testing import reading_laws as laws
from auctionsim.testing.kit import Check, Law, chosen, run_all
from auctionsim.testing.reading_laws import ReadingCase, ReadingClaim
from auctionsim.testing.strategies import Draw

LAWS: tuple[Law, ...] = (
    laws.declared,
    laws.any_text,
    laws.no_replies,
    laws.no_references,
    laws.brands_in_order,
    laws.batches,
    laws.deterministic,
    laws.text_alone,
    laws.own_arguments,
    laws.keeps,
    laws.copies,
)
BRANDS = (Brand("Nike"), Brand("Adidas", ("Three Stripes",)))
"""Whom replies are read for, unless others are given."""

_WORDS = (
    "Nike",
    "adidas",
    "ADIDAS.",
    "Three Stripes",
    "shoes",
    "buy",
    "I",
    "1",
    "great!",
    "no,",
    "\n",
    "日本語",
    "über",
)
_ODD = ("", " ", "\n\n", "…", "🙂👟", "\u202eekiN", "e\u0301", "\x00", "Nike" * 50, "Nike’s", "<|im_end|>", "𝒩ike")


def reading_checks(
    reading: Reading, *, brands: tuple[Brand, ...] = BRANDS, skip: Collection[str] = (), examples: int = 20
) -> tuple[Check, ...]:
    """Return the checks of a reading of texts, alone or beside untouched ones, to be run one by one.

    A reading beside untouched replies has one more. Values that rest on a model, those of a reading with a `basis`, may
    differ by 1e-5 between batches; all others must be equal.

    Args:
        reading: What is checked; it needs not be registered.
        brands: Whom replies are read for.
        skip: Names of checks to leave out.
        examples: Cases drawn for each check.
    Returns:
        Checks, callable, whose text is their name.
    Raises:
        ValueError: `skip` names no check.
        TypeError: The reading needs a model: it is checked by the measurement that it is taken in.
    Example:
        >>> from auctionsim import readings
        >>> for check in reading_checks(readings.reading("hits"), examples=3):
        ...     check()
    """
    if not isinstance(reading, TextReading | ReferenceReading):
        needs = f"{reading.name} needs {reading.needs}" if isinstance(reading, Reading) else type(reading).__name__
        raise InputTypeError(f"the kit checks readings of texts, a TextReading or a ReferenceReading, got {needs}")
    beside = isinstance(reading, ReferenceReading)
    by_name = {law.__name__: law for law in LAWS if beside or law is not laws.no_references}
    names, claim, cases = chosen(list(by_name), skip), ReadingClaim(reading, tuple(brands)), _cases()
    return tuple(Check(name, claim, (by_name[name],), cases, examples) for name in names)


def check_reading(
    reading: Reading, *, brands: tuple[Brand, ...] = BRANDS, skip: Collection[str] = (), examples: int = 20
) -> None:
    """Run all of `reading_checks`, which has the same arguments, and report every failure, one sentence each.

    Raises:
        BrokenClaimError: Naming each check that failed, with its smallest counterexample.
    """
    run_all(reading_checks(reading, brands=brands, skip=skip, examples=examples))


@st.composite
def _cases(draw: Draw) -> ReadingCase:
    """Draw replies to one prompt and untouched ones: of ordinary words, odd ones, or any text; none without tokens.

    Each reply is compared with some of the untouched ones, as where it is one of them itself and is left out.
    """
    texts = st.one_of(
        st.lists(st.sampled_from(_WORDS), max_size=12).map(" ".join),
        st.sampled_from(_ODD),
        st.text(max_size=20),
    )
    written = st.tuples(texts, st.integers(1, 9))
    replies = _replies(draw(st.lists(written, min_size=1, max_size=4)), 0)
    untouched = _replies(draw(st.lists(written, max_size=3)), 1)
    left_out = draw(st.lists(st.integers(0, 3), min_size=len(replies), max_size=len(replies)))
    return ReadingCase(replies, tuple(untouched[:k] + untouched[k + 1 :] for k in left_out))


def _replies(written: list[tuple[str, int]], part: int) -> tuple[Reply, ...]:
    return tuple(
        Reply("Which shoes?", text, list(range(1, 1 + size)), (part, k)) for k, (text, size) in enumerate(written)
    )
