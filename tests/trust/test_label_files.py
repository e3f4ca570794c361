"""Gold labels: written and read again, and refused where they contradict themselves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auctionsim.brands import Brand
from auctionsim.readings import reading
from auctionsim.readings.values import read_texts
from auctionsim.signed_json import checksum
from auctionsim.trust import GoldLabel, Label, Labeller, Labelling, LabelSource, read_labels, write_labels

ABOUT = Labelling("Is it bad?\nSay why.", (Labeller("m", "language model", "a model"),), "2026-11-26", "by lot")
BRANDS = (Brand("Nike"), Brand("Apple", ("iPhone",), ("Apple",)))


def label(number: int = 0, *, kind: str = "loops", text: str = "Nike,\u2028 Nike \n„Nike“") -> GoldLabel:
    bad = kind != "good"
    source = LabelSource("running-shoes-2@3", "A", 0, 5, number)
    one = Label("m", bad, kind, 2)
    return GoldLabel("shoes", "Which?", text, BRANDS, (one,), bad, kind, 2.5, "one labeller", source, 12.0)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    labels = (label(), label(1, kind="good", text=""))
    written = write_labels(tmp_path / "some@1.jsonl", labels, ABOUT)
    found = read_labels(tmp_path / "some@1.jsonl")
    assert found == written
    assert (found.labels, found.labelling, found.categories) == (labels, ABOUT, ("shoes",))
    assert found.labelled_by.startswith("Labelled by a language model. A model's labels are not people's")
    assert json.loads((tmp_path / "some@1.json").read_text())["counts"]["shoes"]["loops"] == 1


def test_a_reading_of_tokens_is_refused_and_one_of_texts_is_not(tmp_path: Path) -> None:
    one = label()
    assert read_texts(reading("repetition_rate"), [one.reply], one.brands) == [0.0]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="labelled texts have no tokens"):
        read_texts(reading("length"), [one.reply], one.brands)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "good"}, "good exactly where bad is false"),
        ({"kind": "dull"}, "kind must be one of"),
        ({"settled": "agreement"}, "settled by what its labels show"),
        ({"settled": "majority", "bad": False, "kind": "good"}, "0 of 1 labels say"),
        ({"rating": 6}, r"rating must be a finite number in \[1, 5\]"),
        ({"weight": 0}, "weight above 0"),
        ({"labels": []}, "0 of 0 labels"),
        ({"labels": [{"labeller": "n", "bad": True, "kind": "loops", "rating": 1}]}, "one of the file's labellers"),
        ({"more": 1}, "which is not one of"),
        ({"brands": [["a,b"]]}, "plain text"),
        ({"brands": [[]]}, "a brand needs a name"),
        ({"prompt": " "}, "prompt must have 1 to"),
        ({"source": {"surface": "s"}}, "lacks 'replicate'"),
    ],
)
def test_a_label_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "some.jsonl"
    write_labels(path, [label()], ABOUT)
    line = {**json.loads(path.read_text(encoding="utf-8")), **change}
    resign(path, json.dumps(line) + "\n")
    with pytest.raises(ValueError, match=f"some.jsonl: .*{words}"):
        read_labels(path)


def resign(path: Path, content: str, alter: Callable[[dict[str, Any]], object] = lambda about: None) -> None:
    """Write what a stranger could: right checksums around wrong fields."""
    import hashlib

    path.write_text(content, encoding="utf-8")
    beside = path.with_suffix(".json")
    about = json.loads(beside.read_text())
    about.pop("sha256")
    about["labels_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    alter(about)
    beside.write_text(json.dumps({**about, "sha256": checksum(about)}))


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (lambda about: about.update(labels_sha256="0"), "is damaged"),
        (lambda about: about.update(version=2), "no file of 'auctionsim gold labels'"),
        (lambda about: about["counts"]["shoes"].update(drift=9), "other counts"),
        (lambda about: about.update(labellers=[]), "labellers must be named"),
        (lambda about: about["labellers"][0].update(kind="oracle"), "one of language model, person"),
        (lambda about: about.update(extra=1), "which is not one of"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(
    tmp_path: Path, alter: Callable[[dict[str, Any]], object], words: str
) -> None:
    path = tmp_path / "some.jsonl"
    write_labels(path, [label()], ABOUT)
    resign(path, path.read_text(encoding="utf-8"), alter)
    with pytest.raises(ValueError, match=words):
        read_labels(path)


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    write_labels(path, [label()], ABOUT)
    beside = path.with_suffix(".json")
    beside.write_text(beside.read_text().replace("by lot", "by hand"))
    with pytest.raises(ValueError, match=r"some\.json: is damaged"):
        read_labels(path)


def test_one_reply_is_labelled_once_and_the_name_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="labels one stored reply twice"):
        write_labels(tmp_path / "some.jsonl", [label(), label()], ABOUT)
    assert not (tmp_path / "some.jsonl").exists()
    with pytest.raises(ValueError, match=r"ends in \.jsonl"):
        read_labels(tmp_path / "some.json")
