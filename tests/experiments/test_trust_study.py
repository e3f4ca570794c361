"""The trust study prints what passes and what fails by stated rules, and names what it has no scores of."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from auctionsim.experiments.running.run import kept_section
from auctionsim.experiments.studies.trust_study import AGREEMENT, TrustStudySettings, main
from auctionsim.experiments.tables.expectations import FAILED, HELD, PARTLY, UNKNOWN
from auctionsim.experiments.tables.trust_study import expectations, maker_of, reliability_rows
from auctionsim.readings import LOWER, TextReading, reading, register, unregister
from auctionsim.signed_json import signed_json
from auctionsim.trust import ScoreStore, read_labels, table_rows
from auctionsim.trust.agreement import IntervalEstimate
from auctionsim.trust.candidates import Candidate
from auctionsim.trust.gate import GATE_KINDS, GateReport, GateRule
from auctionsim.trust.scores import LabelSample
from auctionsim.trust.table_rows import TrustRow

CONSOLE = Console(file=io.StringIO())


def row(name: str, low: float, *, passes: tuple[str, ...] = (), partial: float = 0.4) -> TrustRow:
    """Return a row whose AUC is `low` + .05 everywhere, passing on some kinds."""

    def report(kind: str) -> GateReport:
        rules = (GateRule("a rule", 0.0, 0.6, kind in passes),)
        auc = IntervalEstimate(low + 0.05, low, low + 0.1)
        counts = (60, 60, 0)
        return GateReport(name, "", "lower is better", kind, "x", *counts, 0.1, 0.9, auc, None, (), rules)

    reports = {kind: report(kind) for kind in GATE_KINDS}
    return TrustRow(name, reports, IntervalEstimate(partial, partial - 0.1, partial + 0.1), None, None, None)


def category(auc: float, brier: float, partial: float) -> dict[str, Any]:
    def interval(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.1, "high": value + 0.1}

    bins = [{"low": 0.0, "high": 0.1, "num_replies": 3, "predicted": 0.05, "observed": 0.0}]
    calibration = {"brier": brier, "expected_error": 0.1, "base_rate": 0.3, "table": bins}
    return {"category": f"c{auc}", "auc": interval(auc), "calibration": calibration, "partial": interval(partial)}


def test_verdicts_follow_their_rules() -> None:
    rows = [
        row("judged_yes", 0.3),
        row("mutual_information", 0.65),
        row("window_word_repetition", 0.45, passes=("loops",)),
        row("kl", 0.75, partial=0.05),
    ]
    good, poor = category(0.9, 0.1, 0.5), category(0.8, 0.1, 0.2)
    assert [one.verdict for one in expectations(rows, [good, good])] == [HELD] * 8
    assert [one.verdict for one in expectations(rows, [good, poor])[-3:]] == [PARTLY, HELD, PARTLY]
    others = [
        row("judged_yes", 0.7, passes=("all",)),
        row("mutual_information", 0.5),
        row("window_word_repetition", 0.55),
        row("kl", 0.9, partial=0.4),
    ]
    found = expectations(others, [category(0.8, 0.2, 0.1)])
    assert [one.verdict for one in found] == [FAILED] * 8
    assert "`judged_yes` (all)" in found[0].outcome
    assert [one.verdict for one in expectations([], [])] == [UNKNOWN] * 8
    assert len(reliability_rows([good])) == 1


def test_who_reads_a_score() -> None:
    assert maker_of("judged_yes") == "SmolLM2"
    assert maker_of("mutual_information_lowest_gemma3_270m") == "Gemma-3-270M"
    assert (maker_of("relevance_lowest"), maker_of("kl")) == ("MiniLM", "the model that replied")
    assert maker_of("own_relevance_lowest") == "MiniLM"
    assert maker_of("content_share") == "text"


@pytest.fixture
def passes() -> Iterator[str]:
    """A score that would take passes of a model, as its basis says."""

    def read(replies: object, brands: object) -> list[float]:
        raise AssertionError("nothing takes a pass")

    name = register(TextReading("takes_passes", "share", per="reply", basis=lambda: "a model", read=read)).name
    yield name
    unregister(name)


def test_scores_of_texts_are_held_against_labels_and_what_needs_a_model_is_named(
    passes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = (Candidate("window_word_repetition", LOWER), Candidate(passes, LOWER, LabelSample(12, 12)))
    labels = read_labels()
    few = labels._replace(labels=tuple(one for one in labels.labels if one.category == "smartphones"))
    monkeypatch.setattr(table_rows, "candidates", lambda judges: chosen)
    monkeypatch.setattr(table_rows, "measured_candidates", tuple)
    monkeypatch.setattr(table_rows, "read_labels", lambda: few)
    settings = TrustStudySettings(tmp_path, judges=())
    found = main(settings, "pytest", CONSOLE).table
    assert [one.reading for one in found.rows] == ["window_word_repetition"]
    assert set(found.left_out) == {passes}
    assert "loops" in found.rows[0].passes_on
    text = kept_section(settings.folder).text
    assert "**Labelled by a language model. A model's labels are not people's" in text
    assert f"Not here: `{passes}` (its scores are not kept" in text
    table = pd.read_parquet(settings.folder / "scores.parquet").set_index(["reading", "kind"])
    assert len(table) == len(GATE_KINDS)
    assert bool(table.loc[("window_word_repetition", "loops"), "passed"])
    assert (settings.folder / AGREEMENT).read_bytes().startswith(b"\x89PNG")
    store = ScoreStore(tmp_path / "kept")
    path = store.file(reading(passes))
    assert path is not None
    path.parent.mkdir()
    signed = {"format": "auctionsim scores of labelled replies", "version": 1, "values": {}}
    key = {"reading": passes, "basis": "a model", "plugin": ""}
    path.write_text(signed_json({**signed, "key": key}))  # a pass that was stopped: nothing goes on with it
    monkeypatch.setattr(table_rows, "candidates", lambda judges: chosen[1:])
    found = table_rows.shipped_trust_rows(tmp_path / "kept", (), passes=False)
    assert set(found.left_out) == {passes}
