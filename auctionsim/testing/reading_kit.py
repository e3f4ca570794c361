"""The conformance kit of text readings: what measurements and second passes rely on."""

from collections.abc import Collection

import hypothesis.strategies as st

from auctionsim.brands import Brand
from auctionsim.errors import InputTypeError
from auctionsim.readings.protocol import Reading, Reply, TextReading
from auctionsim.testing import reading_laws as laws
from auctionsim.testing.kit import Check, Law, chosen, run_all
from auctionsim.testing.reading_laws import ReadingCase, ReadingClaim
from auctionsim.testing.strategies import Draw

LAWS: tuple[Law, ...] = (
    laws.declared,
    laws.any_text,
    laws.no_replies,
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
    """Return the checks of a text reading, to be run one by one.

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
    if not isinstance(reading, TextReading):
        needs = f"{reading.name} needs {reading.needs}" if isinstance(reading, Reading) else type(reading).__name__
        raise InputTypeError(f"the kit checks readings that need the text alone, a TextReading, got {needs}")
    by_name = {law.__name__: law for law in LAWS}
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
    """Draw replies to one prompt: of ordinary words, odd ones, or any text; a reply has at least one token."""
    texts = st.one_of(
        st.lists(st.sampled_from(_WORDS), max_size=12).map(" ".join),
        st.sampled_from(_ODD),
        st.text(max_size=20),
    )
    drawn = draw(st.lists(st.tuples(texts, st.integers(1, 9)), min_size=1, max_size=4))
    return ReadingCase(
        tuple(Reply("Which shoes?", text, list(range(1, 1 + size)), (0, k)) for k, (text, size) in enumerate(drawn))
    )
