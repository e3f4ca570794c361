"""The study of logs: verdicts from rows by rule, the smallest study stopped and gone on with; the commands."""

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from auctionsim.cli import app
from auctionsim.errors import InputError
from auctionsim.experiments.running.logs_questions import raw_regimes, violation_regimes
from auctionsim.experiments.running.logs_regimes import CONTENDERS, LINEAR, all_pairs, regime_rows
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.studies.logs_study import LogsStudySettings, main
from auctionsim.experiments.tables.logs_study import dominance_answer, help_answer, paired, standing

SMALLEST = {
    "draws": 10,
    "logged": 100,
    "experiments": (30,),
    "kappas": (1.0,),
    "levels": (0.5,),
    "grid_sessions": 30,
    "checked_sessions": 60,
    "drifts": (0.3,),
}


def regime(regrets: dict[str, float], error: float, kappa: float = 1.0) -> list[Row]:
    """Rows of a regime with these mean regrets, every difference with one error."""
    base: Row = {"setup": "w", "case": "", "randomised": 40, "kappa": kappa, "draws": 100}
    rows = [{**base, "kind": "estimator", "estimator": name, "regret": value} for name, value in regrets.items()]
    for first, second in all_pairs(CONTENDERS):
        gap = regrets[first] - regrets[second]
        numbers = {"regret": gap, "regret_error": error, "square": gap, "square_error": error}
        rows.append({**base, "kind": "pair", "first": first, "second": second, **numbers})
    return rows


def test_the_lowest_regret_wins_alone_only_beyond_the_errors() -> None:
    regrets = {name: 0.5 + 0.1 * place for place, name in enumerate(CONTENDERS)}
    assert standing(regime(regrets, 0.01)) == CONTENDERS[:1]
    assert standing(regime(regrets, 0.05)) == CONTENDERS[:2]
    assert standing(regime(regrets, 1.0)) == CONTENDERS
    assert paired(regime(regrets, 0.01), "cvci_direct", "obs_only_direct")["regret"] == pytest.approx(0.2)


def test_verdicts_follow_their_rules() -> None:
    first = {name: 1.0 for name in CONTENDERS} | {"obs_only_direct": 0.0}
    second = {name: 0.0 for name in CONTENDERS} | {"obs_only_direct": 1.0}
    one, both = regime(first, 0.01), regime(first, 0.01) + regime(second, 0.01, kappa=2.0)
    assert "Never shown to be beaten**: OBS-Only." in dominance_answer(one).verdict
    assert "**No family dominates**" in dominance_answer(both).verdict
    assert "**in some regimes** (OBS-Only in 1" in help_answer(both).verdict
    assert "hurts: **in some** (OBS-Only in 1)" in help_answer(both).verdict
    assert "**in none** (no family" in help_answer(regime(second, 10.0)).verdict


def test_raw_means_of_the_linear_world_mislead() -> None:
    rows = regime_rows(next(one for one in raw_regimes(1500, 200) if one.setup == LINEAR), 10, 0)
    scores = {row["estimator"]: row for row in rows if row["kind"] == "estimator"}
    assert scores["raw_means"]["best_share"] == 0
    assert scores["raw_means"]["bias"] == pytest.approx(0.2642 + 0.3, abs=0.06)
    assert scores["exp_only_direct"]["best_share"] == 1


def test_tests_reject_what_is_violated() -> None:
    linear = [one for one in violation_regimes(200, 1000) if one.setup == LINEAR]
    rates = {
        one.label: {row["test"]: row["rejections"] for row in regime_rows(one, 20, 0) if row["kind"] == "test"}
        for one in linear
    }
    none, direct, hidden, drifted = rates.values()
    assert max(none.values()) < 0.3
    assert min(direct["agreement"], hidden["agreement"], drifted["drift"]) > 0.7


def gone_on_with(settings: LogsStudySettings) -> str:
    """Study, lose a part, study again, and return the section; what was kept is not made again."""
    console = Console(file=io.StringIO())
    first = main(settings, "here", console)
    parts = sorted((settings.folder / "parts").rglob("*.json"))
    section = (settings.folder / "section.md").read_text()
    kept = parts[0].stat().st_mtime_ns
    parts[1].unlink()
    assert main(settings, "here", console) == first
    assert parts[0].stat().st_mtime_ns == kept
    assert (settings.folder / "section.md").read_text() == section
    assert section.count("The rule: ") == len(first)
    return section


def test_two_questions_go_on_and_say_the_same(tmp_path: Path) -> None:
    settings = LogsStudySettings(tmp_path / "study", **SMALLEST, questions=("raw", "grid"))  # type: ignore[arg-type]
    section = gone_on_with(settings)
    assert "Do raw logs mislead?" in section
    assert "Does one family win everywhere?" in section
    assert {path.stem for path in settings.folder.glob("*.parquet")} == {"estimators", "pairs", "winners"}


@pytest.mark.deep
def test_the_smallest_study_goes_on_and_says_the_same(tmp_path: Path) -> None:
    settings = LogsStudySettings(tmp_path / "study", **SMALLEST)  # type: ignore[arg-type]
    assert gone_on_with(settings).count("The rule: ") == 8
    written = {path.stem for path in settings.folder.glob("*.parquet")}
    assert written == {"estimators", "pairs", "tests", "winners"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"questions": ("everything",)}, "questions must be some of raw, sweep, grid"),
        ({"levels": (0.5, 0.5)}, "levels must be different numbers"),
        ({"experiments": (5,)}, "experiments must have 10 sessions at least"),
    ],
)
def test_bad_settings_are_refused(changed: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        LogsStudySettings(Path("nowhere"), **changed)  # type: ignore[arg-type]


def said(*words: str) -> str:
    """What a command prints, or what it raises."""
    found = CliRunner().invoke(app, list(words))
    return found.output if found.exception is None else str(found.exception)


def test_a_simulated_log_is_estimated(tmp_path: Path) -> None:
    log = str(tmp_path / "log.parquet")
    options = ("--logged", "200", "--randomised", "150", "--out", log)
    assert "200 logged and 150 randomised" in said("logs", "simulate", "linear-gaussian", *options)
    text = said("logs", "estimate", log, "--estimators", "raw_means,exp_only_direct", "--replicates", "5")
    assert text.startswith("causal, on 150 randomised sessions")
    for words in ("highest value: first", "M acts through Y alone", "has not drifted", "raw_means"):
        assert words in text


def test_a_log_without_an_experiment_is_associational(tmp_path: Path) -> None:
    log = str(tmp_path / "log.parquet")
    assert "0 randomised" in said("logs", "simulate", "posted-prices", "--randomised", "0", "--out", log)
    text = said("logs", "estimate", log)
    assert text.startswith("associational only")
    assert "no exp_means, ips_exp" in text


def test_a_hostile_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    path.write_bytes(b"PAR1 no parquet")
    assert str(path) in said("logs", "estimate", str(path))
    pd.DataFrame({"source": ["obs"], "option": ["a"], "outcome": [1.0], "payload": ["x"]}).to_parquet(path)
    assert "a column of a log is one of" in said("logs", "estimate", str(path))
    assert "a world must be one of" in said("logs", "simulate", "mars", "--out", str(tmp_path / "other.parquet"))
    assert not (tmp_path / "other.parquet").exists()
