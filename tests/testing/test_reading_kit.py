"""The kit of readings catches one broken on purpose for each check; the readings of texts that ship pass all of it."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from auctionsim import readings
from auctionsim.brands import Brand
from auctionsim.readings import ReferenceReading, Reply, TextReading, Unscored
from auctionsim.testing import BrokenClaimError, check_reading, reading_checks

Read = Callable[[Sequence[Reply], tuple[Brand, ...]], Any]
OF_TEXTS = [name for name in readings.names() if readings.reading(name).needs in ("text", "references")]
BY_MODELS = [name for name in OF_TEXTS if readings.reading(name).basis is not None]
BY_CODE = sorted(set(OF_TEXTS) - set(BY_MODELS))


def _letters(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
    return [float(len(reply.text)) for reply in replies]


def _few(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
    return [[float(brand.hits(reply.text)) for brand in brands][:1] for reply in replies]


def _first(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
    """The first brand's hits, whoever that is, for all."""
    return [[float(brands[0].hits(reply.text))] * len(brands) for reply in replies]


def _by_place(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
    return [float(reply.place[0]) for reply in replies]


def _share(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
    longest = max((len(reply.text) for reply in replies), default=1)
    return [len(reply.text) / max(1, longest) for reply in replies]


def _drawn(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
    return [random.random() for _ in replies]


def _noise(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
    np.random.rand()
    return _letters(replies, brands)


def _last(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
    return [float(reply.token_ids.pop()) for reply in replies]


def _essay(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
    return [Unscored("for many reasons, " * 20) if not reply.text.strip() else 1.0 for reply in replies]


def _words(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
    """The share of distinct words, which no empty text has."""
    return [len(set(reply.text.split())) / len(reply.text.split()) for reply in replies]


def _mean(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
    mean = sum(len(reply.text) for reply in replies) / len(replies)
    return [float(mean >= 0) for _ in replies]


class _Counting:
    """What it reads depends on how often it was copied."""

    copied = 0

    def __call__(self, replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Any]:
        return [float(self.copied)] * len(replies)

    def __reduce__(self) -> Any:
        return _Counting, (), {"copied": 1}


def made(read: Read, per: str = "reply", high: float = 1e6) -> TextReading:
    return TextReading("mine", "letters", per=per, bounds=(0.0, high), read=read)


def beside(read: Callable[..., Any]) -> ReferenceReading:
    return ReferenceReading("theirs", "letters", per="reply", bounds=(-1e6, 1e6), read=read)


def _beyond(
    replies: Sequence[Reply], brands: tuple[Brand, ...], references: Sequence[Sequence[Reply]]
) -> list[float | Unscored]:
    """The letters of a reply beyond the mean of its references."""
    return [
        len(reply.text) - sum(len(one.text) for one in own) / len(own) if own else Unscored("none to compare with")
        for reply, own in zip(replies, references, strict=True)
    ]


def _beyond_the_first(
    replies: Sequence[Reply], brands: tuple[Brand, ...], references: Sequence[Sequence[Reply]]
) -> list[float | Unscored]:
    """The same, but all replies are compared with the first one's references."""
    return _beyond(replies, brands, [references[0]] * len(replies) if references else [])


def _emptied(replies: Sequence[Reply], brands: tuple[Brand, ...], references: list[list[Reply]]) -> list[float]:
    while references:
        references.pop()
    return [0.0 for _ in replies]


BROKEN: list[tuple[str, TextReading | ReferenceReading, str]] = [
    ("declared", made(_letters, high=5.0), r"the reading mine must give finite numbers in \[0, 5\], .*, of 'I would"),
    ("declared", made(_few, "brand"), "the reading mine must give 2 numbers a reply, got a list of 1"),
    ("declared", made(lambda replies, brands: [1.0]), "the reading mine must give 3 values, got 1"),
    ("declared", made(lambda replies, brands: "x"), "must give a list of 1 values, got 'x'"),
    ("any_text", made(_words), "raises ZeroDivisionError"),
    ("no_replies", made(_mean), "raises ZeroDivisionError"),
    ("brands_in_order", made(_first, "brand"), r"is worth .* for Nike, Adidas, and .* for Adidas, Nike"),
    ("batches", made(_share), "is worth .* alone, and .* in a batch of"),
    ("batches", made(lambda replies, brands: float(len(replies[0].text)), "set"), "in the other order"),
    ("deterministic", made(_drawn), "when it is read again"),
    ("deterministic", made(_noise), "moves a global generator"),
    ("text_alone", made(_by_place), "where another place keyed its numbers"),
    ("own_arguments", made(_last), "changes the replies that it is given"),
    ("keeps", made(_essay), "the reason of an unscored reply is no short line"),
    ("copies", made(_Counting()), "by a pickled copy"),
    ("declared", beside(lambda replies, brands, references: [1.0]), "the reading theirs must give 3 values, got 1"),
    ("no_references", beside(lambda replies, brands, references: [0.0 for _ in replies]), "beside no untouched reply"),
    ("batches", beside(_beyond_the_first), "is worth .* alone, and .* in a batch of"),
    ("own_arguments", beside(_emptied), "changes the replies that it is given"),
]


@pytest.mark.parametrize(("name", "broken", "sentence"), BROKEN)
def test_each_check_catches_what_breaks_it(name: str, broken: TextReading | ReferenceReading, sentence: str) -> None:
    checks = {check.name: check for check in reading_checks(broken, examples=30)}
    with pytest.raises(BrokenClaimError, match=f"^{name}: .*{sentence}"):
        checks[name]()


def test_every_check_has_a_broken_example() -> None:
    alone, compared = ([check.name for check in reading_checks(one)] for one in (made(_letters), beside(_beyond)))
    assert {name for name, *_ in BROKEN} == set(compared) == {*alone, "no_references"}


@pytest.mark.parametrize("name", BY_CODE)
def test_what_ships_passes(name: str) -> None:
    check_reading(readings.reading(name), examples=6)


@pytest.mark.model
@pytest.mark.parametrize("name", BY_MODELS)
def test_what_rests_on_a_model_passes(name: str) -> None:
    check_reading(readings.reading(name), examples=2)


class _Drifting:
    """The letters of each reply, and an error that grows with every reply that was read."""

    def __init__(self, error: float) -> None:
        self.error, self.count = error, 0

    def __call__(self, replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:
        self.count += 1
        return [len(reply.text) + self.error * (self.count % 7) for reply in replies]


def test_only_what_rests_on_a_model_may_differ_in_its_last_digits() -> None:
    def drifting(error: float, basis: Callable[[], str] | None) -> TextReading:
        return TextReading("mine", "letters", per="reply", read=_Drifting(error), basis=basis)

    check_reading(drifting(1e-6, lambda: "a model"), examples=5)
    for broken in (drifting(1e-3, lambda: "a model"), drifting(1e-6, None)):
        with pytest.raises(BrokenClaimError, match=r"(?m)^deterministic: .* when it is read again"):
            check_reading(broken, examples=5)


def test_one_of_ones_own_passes() -> None:
    """Per set, and one that leaves some replies unscored; a lambda has no pickled copy."""
    check_reading(made(lambda replies, brands: float(len({reply.text for reply in replies})), "set"), examples=10)
    check_reading(
        made(lambda replies, brands: [Unscored("blank") if not r.text else 1.0 for r in replies]), examples=10
    )
    check_reading(beside(_beyond), examples=10)


def test_what_needs_a_model_is_none_of_the_kits() -> None:
    with pytest.raises(TypeError, match=r"a TextReading or a ReferenceReading, got kl needs model"):
        check_reading(readings.reading("kl"))
    with pytest.raises(ValueError, match="skip names no check"):
        check_reading(made(_letters), skip=("everything",))
