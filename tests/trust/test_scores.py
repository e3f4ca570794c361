"""Kept scores: gone on from, never used for another basis or another text."""

import json
import logging
from pathlib import Path

import pytest
from labelled_replies import make_labels

from auctionsim.brands import Brand
from auctionsim.readings import Reply, TextReading, Unscored
from auctionsim.signed_json import checksum
from auctionsim.trust.attacks import Attack
from auctionsim.trust.labels import KINDS
from auctionsim.trust.scores import PART, LabelSample, ScoredText, ScoreStore, score_labels

BRANDS = (Brand("Nike"), Brand("Puma"))


class Counting:
    """A reading that counts what it reads, and stops after so many."""

    def __init__(self, most: int = 10_000) -> None:
        self.texts: list[str] = []
        self.most = most

    def reading(self, basis: str | None = "one") -> TextReading:
        return TextReading(
            "counting", "letters", per="reply", read=self.read, basis=None if basis is None else lambda: str(basis)
        )

    def read(self, replies: list[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:
        if len(self.texts) + len(replies) > self.most:
            raise KeyboardInterrupt
        self.texts += [reply.text for reply in replies]
        return [float(len(reply.text)) if reply.text else Unscored("empty") for reply in replies]


def texts(count: int) -> list[ScoredText]:
    return [ScoredText("Why?", "x" * k, BRANDS) for k in range(count)]


def test_a_stopped_pass_goes_on_and_a_finished_one_reads_nothing(tmp_path: Path) -> None:
    stopped = Counting(most=PART + 1)
    with pytest.raises(KeyboardInterrupt):
        ScoreStore(tmp_path).values(stopped.reading(), texts(2 * PART))
    second = Counting()
    found = ScoreStore(tmp_path).values(second.reading(), texts(2 * PART))
    assert len(second.texts) == PART
    assert found == [Unscored("empty"), *map(float, range(1, 2 * PART))]
    third = Counting()
    assert ScoreStore(tmp_path).values(third.reading(), texts(2 * PART)[::-1]) == found[::-1]
    assert not third.texts
    fourth = Counting()
    assert ScoreStore(tmp_path / "own", tmp_path).values(fourth.reading(), texts(2 * PART + 1))[:-1] == found
    assert len(fourth.texts) == 1
    assert (tmp_path / "own").exists()
    assert ScoreStore(tmp_path, remeasure=True).values(third.reading(), texts(3)) == found[:3]
    assert len(third.texts) == 3


def test_another_basis_or_text_is_read_anew_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ScoreStore(tmp_path).values(Counting().reading(), texts(4))
    other = Counting()
    with caplog.at_level(logging.WARNING):
        ScoreStore(tmp_path).values(other.reading("two"), texts(4))
    assert len(other.texts) == 4
    assert "rest on something else and are not used" in caplog.text
    again = Counting()
    ScoreStore(tmp_path).values(again.reading("two"), [one._replace(prompt="Who?") for one in texts(4)])
    assert len(again.texts) == 4


def test_a_reading_of_texts_alone_is_never_kept(tmp_path: Path) -> None:
    for _ in range(2):
        live = Counting()
        ScoreStore(tmp_path).values(live.reading(None), texts(4))
        assert len(live.texts) == 4
    assert not list(tmp_path.iterdir())


def test_damage_is_named(tmp_path: Path) -> None:
    store, one = ScoreStore(tmp_path), Counting().reading()
    store.values(one, texts(4))
    path = store.file(one)
    assert path is not None
    document = json.loads(path.read_text())
    document["values"][texts(4)[2].digest] = 99.0
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="is damaged"):
        store.values(one, texts(4))


def test_labelled_replies_are_read_as_they_are_attacked_and_with_other_names(tmp_path: Path) -> None:
    labels = make_labels(tmp_path / "some.jsonl", per_kind=4).labels
    seen = Counting()
    attacks = (Attack("shout", "verdict", "{text}!"),)
    found = score_labels(seen.reading(), labels, None, attacks, LabelSample(attacked=2))
    assert found.values == tuple(float(len(label.text)) for label in labels)
    assert len(found.attacked["shout"]) == 6
    for k, value in found.attacked["shout"].items():
        assert labels[k].bad
        assert value == len(labels[k].text) + 1
    named = {k for k, label in enumerate(labels) if any(brand.spans(label.text) for brand in label.brands)}
    assert set(score_labels(seen.reading(), labels, None, attacks).swapped) == named >= set(found.swapped)
    assert any("Puma" in text and "Nike" not in text for text in seen.texts)


def test_a_sample_is_the_first_of_each_kind_and_larger_ones_hold_it(tmp_path: Path) -> None:
    labels = make_labels(tmp_path / "some.jsonl", per_kind=4).labels
    seen, attacks = Counting(), (Attack("shout", "verdict", "{text}!"),)
    small, large = (score_labels(seen.reading(), labels, None, attacks, LabelSample(k, 1)) for k in (2, 3))
    assert [len([label for label in small.labels if label.kind == kind]) for kind in KINDS] == [2] * len(KINDS)
    assert set(small.labels) < set(large.labels) < set(labels)
    assert list(small.labels) == [label for label in labels if label in small.labels]
    assert len(small.attacked["shout"]) == len(KINDS) - 1
    assert set(score_labels(seen.reading(), labels[::-1], None, attacks, LabelSample(2, 1)).labels) == set(small.labels)


def test_what_was_unscored_for_now_is_read_again(tmp_path: Path) -> None:
    class Late(Counting):
        def read(self, replies: list[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:
            super().read(replies, brands)
            late = Unscored("no answer in time", for_now=True)
            return [late if len(reply.text) == 2 else Unscored("never") for reply in replies]

    ScoreStore(tmp_path).values(Late().reading(), texts(4))
    again = Counting()
    found = ScoreStore(tmp_path).values(again.reading(), texts(4))
    assert again.texts == ["xx"]
    assert found == [Unscored("never"), Unscored("never"), 2.0, Unscored("never")]


def test_values_that_the_reading_does_not_declare_are_damage_and_lacking_ones_are_not_taken(tmp_path: Path) -> None:
    store, one = ScoreStore(tmp_path), Counting().reading()
    store.values(one, texts(3))
    still = Counting()
    assert ScoreStore(tmp_path, takes=False).values(still.reading(), texts(3))[1:] == [1.0, 2.0]
    with pytest.raises(NotImplementedError, match="its scores are not kept, or not all of them"):
        ScoreStore(tmp_path, takes=False).values(still.reading(), texts(4))
    assert not still.texts
    path = store.file(one)
    assert path is not None
    document = json.loads(path.read_text())
    for wrong in ([1.0, 2.0], "high", None):
        document["values"][texts(3)[2].digest] = wrong
        plain = {name: value for name, value in document.items() if name != "sha256"}
        path.write_text(json.dumps({**plain, "sha256": checksum(plain)}))
        with pytest.raises(ValueError, match=r"counting-[0-9a-f]{16}\.json"):
            store.values(one, texts(3))
