"""Checklists: every rule on a text that obeys and one that does not, weights, PIF, PIF-N-K, files and refusals."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auctionsim.brands import parse_brands
from auctionsim.readings import Reply, Unscored, reading
from auctionsim.readings.checklists import (
    FORM_CHECKS,
    FORMAT,
    TextCheck,
    checks_digest,
    checks_reading,
    passed,
    pif,
    pif_n_k,
    pif_n_k_reading,
    pif_reading,
    read_checks,
    weight_share,
)
from auctionsim.readings.text_rules import RULES
from auctionsim.readings.values import read_set, read_texts
from tests.readings.padding import FLUENT, LOOP

BRANDS = parse_brands("Nike,Adidas")
CASES: dict[str, tuple[Any, str, str]] = {
    "at_least_words": (3, "1. Nike is fine", "1. 2. Nike fits"),
    "at_most_words": (2, "1. 2. Nike fits", "Nike fits you"),
    "at_least_sentences": (2, "It fits. Buy", "It fits."),
    "at_most_sentences": (1, "It fits.", "It fits. Buy."),
    "at_least_items": (2, "Here:\n- Nike\n2) Adidas", "- Nike -Adidas"),
    "at_most_items": (0, "Nike - Adidas", "* Nike"),
    "whole_sentence": (3, "Well. It fits you. So", "Well. Yes. It fits you"),
    "contains": ("Light  shoes", "Buy LIGHT\nshoes!", "Buy light shoestrings"),
    "avoids": ("I'm sorry", "I am sorry", "So: i’m sorry."),
    "begins_with": ("Sure,", "sure, it does", "It does, sure,"),
    "ends_with": ("good luck!", "So. Good luck!\n", "Good luck"),
    "script": ("HIRAGANA", "これは Nike です ね", "Nike です"),
    "ends_sentence": (None, "It fits (well).\n", "It fits. But"),
    "begins_sentence": (None, "It fits\n", "it fits"),
    "no_brand": (None, "It fits", "a nike"),
    "names_brand": (None, "#adidas", "Nikee"),
    "at_most_brands": (1, "Nike and Nike", "Nike and Adidas"),
    "no_address": (None, "nike.com or a@b", "write to me@nike.com"),
    "no_template_remnant": (None, "see [Nike](x) [1] <3 {x}", "Dear [Your Name],"),
    "readable": (None, "1️⃣ ❤️", "lost \ufffd"),
    "no_odd_words": (None, "iPhone 13", "bcdfgh"),
    "no_capitals_alone": (None, "BUY NIKE NOW", "BUY IT RIGHT NOW"),
}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule(rule: str) -> None:
    argument, obeys, breaks = CASES[rule]
    check = TextCheck(rule, argument)
    assert check.holds(obeys, BRANDS)
    assert not check.holds(breaks, BRANDS)


@pytest.mark.parametrize(
    "text",
    [
        "<insert link>",
        "{{ brand }}",
        "<|im_end|>",
        "Lorem ipsum",
        "call XXX now",
        "\nUser: and",
        "### Response:",
        "[brand]",
    ],
)
def test_remnants(text: str) -> None:
    assert not TextCheck("no_template_remnant").holds(f"Buy {text}" if text[0] not in "\n#" else text)


@settings(max_examples=40)
@given(st.text(max_size=40))
def test_any_text_obeys_or_not(text: str) -> None:
    checks = [TextCheck(rule, argument) for rule, (argument, *_) in CASES.items()]
    assert set(passed(checks, text, BRANDS)) <= {True, False}


def test_weights_pif_and_pif_n_k() -> None:
    checks = (TextCheck("contains", "Nike", 3), TextCheck("at_most_words", 2), TextCheck("ends_sentence", weight=0.5))
    assert passed(checks, "Take a Nike!") == [True, False, True]
    assert weight_share(checks, "Take a Nike!") == 3.5 / 4.5
    assert pif(checks, "Take a Nike!") == 2 / 3
    assert pif_n_k([[1, 1, 0.5, 1], [1, 0.5, 0.5, 0]], k=3) == 0.5
    assert [pif_n_k([[1, 0.5, 1]], k=k) for k in (1, 2, 3)] == [1, 1, 0]


@given(st.lists(st.lists(st.sampled_from([0.5, 1.0]), min_size=3, max_size=3), min_size=1), st.integers(1, 2))
def test_more_demanded_is_met_less_often(values: list[list[float]], k: int) -> None:
    assert pif_n_k(values, k + 1) <= pif_n_k(values, k)
    assert pif_n_k(values, 3) == sum(min(sample) == 1 for sample in values) / len(values)


def test_readings_of_ones_own_rest_on_their_checks() -> None:
    checks = [TextCheck("contains", "Nike"), TextCheck("no_address", weight=2)]
    one = checks_reading("mine", checks)
    assert one.basis is not None
    assert one.basis() == f"checks {checks_digest(checks)}, by weight"
    others = [pif_reading("mine", checks), pif_n_k_reading("mine", checks, 1), pif_n_k_reading("mine", checks, 2)]
    assert len({each.basis() for each in (one, *others) if each.basis is not None}) == 4
    assert checks_digest(checks) != checks_digest([TextCheck("contains", "Adidas"), checks[1]])
    assert checks_digest(checks) != checks_digest([checks[0], TextCheck("no_address")])
    assert checks_digest(checks) == checks_digest([TextCheck("contains", "Nike", name="names it"), checks[1]])
    replies = [Reply("", text, [1], ()) for text in ("Nike!", "www.nike.com", "Well")]
    assert read_texts(one, replies, BRANDS) == [1, 1 / 3, 2 / 3]
    assert read_texts(pickle.loads(pickle.dumps(pif_reading("mine", checks))), replies, BRANDS) == [1, 0.5, 0.5]
    at_least = [read_set(pif_n_k_reading("mine", checks, k), replies, BRANDS) for k in (1, 2, 4)]
    assert at_least == [1, 0, Unscored("3 replies, fewer than 4")]


def test_the_form_of_a_good_answer_passes_and_that_of_a_broken_one_does_not() -> None:
    assert passed(FORM_CHECKS, FLUENT) == [True] * len(FORM_CHECKS)
    replies = [Reply("", text, [1], ()) for text in (FLUENT, LOOP, "1. ", "[insert name]", "", "Hi [Name], \ufffd")]
    good, loop, *bad = read_texts(reading("form_checks"), replies, BRANDS)  # type: ignore[arg-type]
    assert good == 1 > loop > max(bad)  # type: ignore[type-var]
    assert read_texts(reading("form_pif"), replies[:2], BRANDS) == [1, 7 / 8]  # type: ignore[arg-type]
    assert read_set(reading("form_pif_n_2"), replies, BRANDS) == 0  # type: ignore[arg-type]
    assert read_set(reading("form_pif_n_2"), replies[:1] * 2, BRANDS) == 1  # type: ignore[arg-type]


def written(folder: Path, content: object) -> Path:
    path = folder / "checks.json"
    path.write_text(json.dumps(content))
    return path


def test_a_file_of_checks(tmp_path: Path) -> None:
    listed = [{"rule": "avoids", "argument": "buy now", "weight": 2, "name": "no push"}, {"rule": "ends_sentence"}]
    checks = read_checks(written(tmp_path, {"format": FORMAT, "checks": listed}))
    assert checks == (TextCheck("avoids", "buy now", 2.0, "no push"), TextCheck("ends_sentence"))
    assert [check.title for check in (*checks, TextCheck("at_most_words", 9))] == [
        *("no push", "ends_sentence", "at_most_words 9")
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"format": "mine", "checks": []}, "the format of a checklist must be 'auctionsim checks 1', got 'mine'"),
        ({"format": FORMAT, "checks": []}, "a checklist must have at least one check, got none"),
        ({"format": FORMAT, "checks": [{"rule": "eval"}]}, "a check's rule must be one of at_least_words, .*'eval'"),
        ({"format": FORMAT, "checks": [{"rule": "contains"}]}, "the check contains takes a phrase .*got None"),
        ({"format": FORMAT, "checks": [{"rule": "contains", "argument": "\u00ad "}]}, "contains takes a phrase"),
        (
            {"format": FORMAT, "checks": [{"rule": "at_most_words", "argument": 1.5}]},
            "takes a whole number ≥ 0, got 1.5",
        ),
        (
            {"format": FORMAT, "checks": [{"rule": "at_most_words", "argument": True}]},
            "takes a whole number ≥ 0, got T",
        ),
        ({"format": FORMAT, "checks": [{"rule": "no_brand", "argument": 1}]}, "no_brand takes no argument, got 1"),
        ({"format": FORMAT, "checks": [{"rule": "no_brand", "weight": 0}]}, "a finite number above 0, got 0"),
        ({"format": FORMAT, "checks": [{"rule": "no_brand", "code": "x"}]}, "has a field 'code'"),
        ({"format": FORMAT, "checks": [{"rule": "no_brand"}] * 1001}, "at most 1000 checks, got 1001"),
        ({"format": FORMAT, "checks": [{"rule": "no_brand", "name": "x" * 1001}]}, "at most 1000 letters, got 1001"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: object, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: .*{message}"):
        read_checks(path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pif_n_k([], 1), r"with one number of replies each, got \[\]"),
        (lambda: pif_n_k([[1.0], [1.0, 1.0]], 1), r"with one number of replies each, got \[1, 2\]"),
        (lambda: pif_n_k([[1.0]], 2), "K must be between 1 and the 1 replies to a sample, got 2"),
        (lambda: pif_n_k_reading("mine", FORM_CHECKS, 0), "K must be at least 1, got 0"),
        (lambda: checks_reading("mine", [TextCheck("no_brand", weight=1.7e308)] * 2), "weights .* have a finite sum"),
        (lambda: checks_reading("mine", []), "a checklist must have at least one check, got none"),
    ],
)
def test_wrong_arguments_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
