"""The glossary: one sentence a term, no term twice, and nothing explained by a word that only its author knows."""

import pytest

from auctionsim.accounts import GLOSSARY, meaning_of, terms
from auctionsim.accounts.glossary import KINDS
from auctionsim.errors import InputError


def test_every_term_is_one_short_sentence() -> None:
    for term in terms():
        assert term.meaning.endswith("."), term
        assert term.meaning.count(". ") == 0, term
        assert len(term.meaning.split()) <= 32, term
        assert term.kind in KINDS


def test_no_spelling_means_two_things() -> None:
    spellings = [spelling.lower() for term in terms() for spelling in (term.name, *term.also)]
    twice = {spelling for spelling in spellings if spellings.count(spelling) > 1}
    assert not {word for word in twice if sum(word in map(str.lower, (t.name, *t.also)) for t in terms()) > 1}


def test_terms_are_found_by_any_spelling() -> None:
    assert meaning_of("IR violation") == meaning_of("ir violation") == GLOSSARY["IR violation"].meaning
    assert meaning_of("slot_probability") == GLOSSARY["slot probability"].meaning
    with pytest.raises(InputError, match="the glossary has no 'flux'"):
        meaning_of("flux")


def test_kinds_cut_the_glossary_into_parts() -> None:
    assert tuple(term for kind in KINDS for term in terms(kind)) == terms()
    with pytest.raises(InputError, match="kind must be one of"):
        terms("weather")
