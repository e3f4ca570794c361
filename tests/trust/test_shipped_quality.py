"""The shipped weights of `quality`: of the shipped labels, and admitted by a gate that they passed."""

import pytest

from auctionsim.readings import LOWER, TextReading, reading
from auctionsim.readings.quality import packaged_quality, parse_quality
from auctionsim.readings.registry import names
from auctionsim.trust import read_labels


def test_the_shipped_weights_are_of_the_shipped_labels_and_passed_the_gate() -> None:
    weights, record = parse_quality(packaged_quality().read_bytes())
    labels = read_labels()
    assert record["labels"] == record["gate"]["labels"] == labels.digest
    assert record["labelled_by"] == labels.labelled_by
    assert record["gate"]["kind"] == "all"
    assert record["gate"]["passed"] is True
    assert {one["category"] for one in record["left_out"]} == set(labels.categories)
    assert not {one["category"] for one in record["never_fitted"]} & set(labels.categories)
    admitted = {one["reading"] for one in record["components_gate"] if one["passed"]}
    assert {one.reading for one in weights.components} == admitted
    quality = reading("quality")
    assert (quality.loss, quality.per, quality.admission) == (LOWER, "user", weights.admission)


def test_components_are_cheap_readings_of_single_texts() -> None:
    """A live model reads them, so none needs references, and none is on the list of what takes passes of a judge."""
    weights, _ = parse_quality(packaged_quality().read_bytes())
    for one in weights.components:
        assert one.reading in names()
        part = reading(one.reading)
        assert isinstance(part, TextReading)
        assert part.per == "reply"
        assert not one.reading.startswith(("judged", "mutual"))
        assert part.loss in (None, one.better)


def test_no_label_of_a_reply_is_in_both_files() -> None:
    from auctionsim.data import labels_folder

    fitted, unseen = read_labels(), read_labels(labels_folder() / "cars@1.jsonl")
    assert not {(one.prompt, one.text) for one in fitted.labels} & {(one.prompt, one.text) for one in unseen.labels}
    assert "A model's labels are not people's" in unseen.labelled_by
    with pytest.raises(FileNotFoundError):
        read_labels(labels_folder() / "none@1.jsonl")
