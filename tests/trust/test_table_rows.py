"""Rows of the trust table: biases that are planted are found, and the table prints all that a row has."""

from pathlib import Path

import pytest
from labelled_replies import make_labels

from auctionsim.brands import Brand
from auctionsim.console import TableConsole
from auctionsim.experiments.tables.trust import gate_table, trust_table
from auctionsim.readings import HIGHER, LOWER, Reply, TextReading, Unscored, reading
from auctionsim.trust import Candidate, GoldLabels, ScoreStore
from auctionsim.trust.attacks import Attack
from auctionsim.trust.gate import GATE_KINDS
from auctionsim.trust.measured_values import measured_file, measured_scores, write_measured
from auctionsim.trust.scores import score_labels
from auctionsim.trust.table_rows import TrustRow, table_of, trust_row

ATTACKS = (Attack("same", "opener", "{text}"), Attack("mark", "verdict", "{text} MARK"))


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> GoldLabels:
    return make_labels(tmp_path_factory.mktemp("labels") / "some.jsonl", per_kind=14)


def row_of(one: TextReading, labels: GoldLabels) -> TrustRow:
    scores = score_labels(one, labels.labels, None, ATTACKS)
    return trust_row(one, scores, labels.digest, LOWER)


def biased(replies: list[Reply], brands: tuple[Brand, ...]) -> list[float]:
    """Loops cost 1 and the name of Puma takes .6 away."""
    words = [reply.text.lower().split() for reply in replies]
    return [float(len(set(some)) < 20) - 0.6 * ("puma" in some) + 0.01 * ("mark" in some) for some in words]


def test_a_liking_for_a_name_is_found(labels: GoldLabels) -> None:
    fair, unfair = (
        row_of(TextReading(name, "points", per="reply", read=read), labels)
        for name, read in (
            ("fair", lambda replies, brands: [float(len(set(r.text.split())) < 20) for r in replies]),
            ("unfair", biased),
        )
    )
    assert fair.brand is not None
    assert fair.brand.change.value == 0
    assert unfair.brand is not None
    assert unfair.brand.brand in ("Nike", "Puma")
    assert abs(unfair.brand.change.value) > 0.3
    assert (unfair.brand.change.value > 0) == (unfair.brand.brand == "Puma")
    assert unfair.brand.largest_share > 0


def test_every_kind_is_tried_and_the_table_prints(labels: GoldLabels) -> None:
    row = row_of(reading("window_word_repetition"), labels)  # type: ignore[arg-type]
    assert tuple(row.reports) == GATE_KINDS
    assert "loops" in row.passes_on
    assert "drift" not in row.passes_on
    assert row.partial is not None
    assert row.untouched is None  # no reply is the untouched model's
    console = TableConsole(width=400, record=True)
    console.print(trust_table([row], labels))
    console.print(gate_table(list(row.reports.values())))
    printed = console.export_text()
    for words in (
        "window_word_repetition",
        "same 0.00",
        "Labelled by a language model",
        "AUC drift (42)",
        "is above 0.6",
    ):
        assert words in printed
    assert row.as_json()["reports"]["loops"]["passed"] is True


def test_measured_values_have_a_row_without_attacks(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    labels = make_labels(path, per_kind=4)
    write_measured("kl", [float(label.bad) for label in labels.labels], labels, path)
    scores = measured_scores("kl", labels, path)
    row = trust_row(reading("kl"), scores, labels.digest, LOWER)
    assert row.reports["all"].auc is not None
    assert row.reports["all"].auc.value == 1
    assert not row.passes_on
    assert "no attack moves" in row.reports["all"].failure
    assert row.brand is None
    with pytest.raises(ValueError, match="something else"):
        measured_scores("kl", labels._replace(digest="0"), path)
    measured_file("kl", path).write_text("{}")
    with pytest.raises(ValueError, match="damaged"):
        measured_scores("kl", labels, path)


def test_labels_of_ones_own_have_a_table_without_what_cannot_be_read_of_them(labels: GoldLabels) -> None:
    known = (Candidate("function_word_gap", LOWER), Candidate("closeness", HIGHER), Candidate("hits", LOWER))
    found = table_of(labels, known, {one.reading: ScoreStore() for one in known})
    assert [row.reading for row in found.rows] == ["function_word_gap"]
    assert set(found.left_out) == {"closeness", "hits"}
    assert "untouched replies stand beside labels of packaged measurements" in found.left_out["closeness"]
    odd = labels._replace(
        labels=tuple(one._replace(source=one.source._replace(surface="../x")) for one in labels.labels)
    )
    assert "got one of '../x'" in table_of(odd, known[1:2], {"closeness": ScoreStore()}).left_out["closeness"]


def test_a_score_of_nothing_has_a_row_of_nothing(labels: GoldLabels) -> None:
    def read(replies: list[Reply], brands: tuple[Brand, ...]) -> list[Unscored]:
        return [Unscored("never")] * len(replies)

    row = row_of(TextReading("silent", "points", per="reply", read=read), labels)
    assert (row.partial, row.length, row.untouched, row.brand, row.passes_on) == (None, None, None, None, ())
