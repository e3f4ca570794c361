"""Readings declare what they are, and give what they declare; one that does not is named."""

import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from auctionsim.brands import parse_brands
from auctionsim.readings import ModelReading, PromptReading, Reply, TextReading, Unscored, names, reading, register
from auctionsim.readings.registry import unregister
from auctionsim.readings.standard import FEATURES, STANDARD
from auctionsim.readings.values import as_json, as_tensor, read_texts, value_from_json

BRANDS = parse_brands("Nike,Adidas")
REPLIES = [
    Reply("Which?", "Nike. Adidas, Adidas! Nike and Nike.", [1, 2, 3], (0, 0, 0, 0)),
    Reply("Which?", "", [2], (0,)),
]


@pytest.fixture
def registered() -> Iterator[list[str]]:
    """Names of readings that the test registers."""
    listed: list[str] = []
    yield listed
    for name in listed:
        unregister(name)


def test_what_ships_is_declared() -> None:
    assert set(STANDARD) | {"mentions", "reply_kl", "length"} <= set(names())
    assert [reading(name).unit for name in ("kl", "reply_kl", "length")] == ["nats a token", "nats a reply", "tokens"]
    assert {name for name in names() if reading(name).role == "loss"} >= {"kl", "reply_kl", "length"}
    assert all(reading(name).role == "feature" for name in FEATURES)
    assert {name for name in STANDARD if reading(name).exact} == {"slot_probability", "intent"}
    needs = {"hits": "text", "length": "text", "reply_kl": "model", "intent": "prompt"}
    assert {name: reading(name).needs for name in needs} == needs


def test_mentions_hits_and_length_of_a_text() -> None:
    def values(name: str) -> Any:
        return read_texts(reading(name), REPLIES, BRANDS)  # type: ignore[arg-type]

    assert values("mentions") == [[3.0, 2.0], [0.0, 0.0]]
    assert values("hits") == [[2.0, 1.0], [0.0, 0.0]]
    assert values("mention_probability") == [[1.0, 1.0], [0.0, 0.0]]
    assert values("length") == [3.0, 1.0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "my words"}, "must be a Python identifier and no keyword, got 'my words'"),
        ({"name": "class"}, "must be a Python identifier and no keyword, got 'class'"),
        ({"name": "mine_unscored"}, "not end in _unscored, which names shares of unscored replies, got 'mine_unsc"),
        ({"name": "x" * 81}, "at most 80 letters"),
        ({"unit": " "}, "the reading words needs a unit, a line of at most 80 letters, got ' '"),
        ({"unit": "two\nlines"}, "a line of at most 80 letters"),
        ({"per": "prompt"}, "per one of brand, user, reply, set, got 'prompt'"),
        ({"bounds": (1.0, 0.0)}, r"a low and a higher end, got \(1.0, 0.0\)"),
        ({"bounds": (math.nan, 0.0)}, "a low and a higher end"),
        ({"loss": "bigger"}, "is a loss by one of is one, lower is better, higher is better"),
        ({"loss": "lower is better", "per": "brand"}, "of a user or a reply, got 'lower is better' per brand"),
    ],
)
def test_a_reading_that_is_declared_wrongly_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextReading(**{"name": "words", "unit": "words", "per": "reply", **fields})


def test_scored_readings_are_per_brand() -> None:
    with pytest.raises(ValueError, match="is scored after stems, so it is per brand, got 'reply'"):
        PromptReading("slots", "probability", per="reply")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0], "must give 2 values, got 1"),
        ([1.0, math.nan], r"finite numbers in \[0, 9\], or Unscored, got nan"),
        ([1.0, 10.0], r"finite numbers in \[0, 9\], or Unscored, got 10.0"),
        (["one", 1.0], "or Unscored, got 'one'|\"one\""),
        ([None, 1.0], "or Unscored"),
        (1.0, "must give a list of 2 values, got 1.0"),
        (None, "must give a list of 2 values, got None"),
        ("ab", "must give a list of 2 values, got 'ab'"),
        ({0: 1.0, 1: 2.0}, "must give a list of 2 values, got an object of 2"),
        ({1.0, 2.0}, "must give a list of 2 values"),
        (torch.tensor(1.0), "must give a list of 2 values"),
        (torch.tensor([1.0, math.nan]), "or Unscored, got nan"),
        (np.ones((2, 1)), "or Unscored, got a list of 1"),
    ],
)
def test_values_that_a_reading_must_not_give_are_named(given: list[Any], message: str) -> None:
    words = TextReading("words", "words", per="reply", bounds=(0.0, 9.0), read=lambda replies, brands: given)
    with pytest.raises(ValueError, match=f"the reading words must give .*({message.removeprefix('must give ')})"):
        read_texts(words, REPLIES, BRANDS)


@pytest.mark.parametrize(
    "given",
    [
        (1, 2.0),
        [True, 2],
        torch.tensor([1.0, 2.0]),
        np.array([1.0, 2.0]),
        [np.float32(1), np.int64(2)],
        [torch.tensor(1.0), torch.tensor(2)],
        map(float, (1, 2)),
    ],
)
def test_numbers_of_any_kind_are_numbers(given: Any) -> None:
    words = TextReading("words", "words", per="reply", bounds=(0.0, 9.0), read=lambda replies, brands: given)
    values = read_texts(words, REPLIES, BRANDS)
    assert values == [1.0, 2.0]
    assert {type(value) for value in values} == {float}
    own = TextReading("own", "words", per="brand", read=lambda replies, brands: torch.ones(2, 2))
    assert read_texts(own, REPLIES, BRANDS) == [[1.0, 1.0], [1.0, 1.0]]


def test_a_value_a_brand_is_a_list_of_them() -> None:
    own = TextReading("own", "words", per="brand", read=lambda replies, brands: [[1.0], [2.0, 3.0]])
    with pytest.raises(ValueError, match=r"the reading own must give 2 numbers a reply, got a list of 1"):
        read_texts(own, REPLIES, BRANDS)


def test_an_unscored_reply_keeps_its_reason() -> None:
    values: Any = [1.0, Unscored("too short")]
    words = TextReading("words", "words", per="reply", read=lambda replies, brands: values)
    assert read_texts(words, REPLIES, BRANDS) == values
    assert [value_from_json(as_json(value), "it") for value in values] == values
    assert as_tensor(values, 1).isnan().tolist() == [[False], [True]]
    with pytest.raises(ValueError, match="needs a reason, got ''"):
        Unscored("")
    with pytest.raises(ValueError, match="more"):
        value_from_json({"unscored": "too short", "more": 1}, "it")


def test_names_are_taken_once(registered: list[str]) -> None:
    words = register(TextReading("words", "words", per="reply", read=lambda replies, brands: [0.0] * len(replies)))
    registered.append("words")
    assert reading("words") is words
    with pytest.raises(ValueError, match="a reading called 'words' is registered already"):
        register(ModelReading("words", "words", per="reply"))
    with pytest.raises(ValueError, match=r"no reading is called 'nosuch'; known are .*hits, .*kl"):
        reading("nosuch")
    with pytest.raises(ValueError, match="'calling_slot_probability' is slot probability after stems of one kind"):
        register(TextReading("calling_slot_probability", "words", per="reply"))


WRONG_TYPES = """
from auctionsim.readings import TextReading, register

def refused(call):
    try:
        call()
    except (ValueError, TypeError) as error:
        print(type(error).__name__, error)

words = dict(name="words", unit="words", per="reply", read=len)
for fields in ({"bounds": ("a", "b")}, {"bounds": 1.0}, {"bounds": (0.0,)}, {"read": 5}, {"per": ["reply"]}):
    refused(lambda: TextReading(**{**words, **fields}))
refused(lambda: register(len))
"""


def test_other_types_are_refused_where_nothing_checks_types() -> None:
    """As in a plugin: here annotations are checked at run time, and nothing of another type comes so far."""
    done = subprocess.run([sys.executable, "-c", WRONG_TYPES], capture_output=True, text=True, check=True)
    ends = "InputError the bounds of the reading words must be a low and a higher end, got "
    assert done.stdout.splitlines() == [
        f"{ends}('a', 'b')",
        f"{ends}1.0",
        f"{ends}(0.0,)",
        "InputError the reading words needs a function to read with, got 5",
        "InputError the reading words must be per one of brand, user, reply, set, got ['reply']",
        "InputTypeError register takes a reading, such as a TextReading, got builtin_function_or_method",
    ]
