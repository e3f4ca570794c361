"""`trust agree` and `trust labels-needed` as a user runs them: tables, a second file, slips told in one sentence."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from auctionsim.cli import app
from auctionsim.trust import read_labels, write_labels


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["trust", *words], terminal_width=200)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0
    return " ".join(done.output.split())


def test_labellers_are_compared_and_one_may_stand_in() -> None:
    shown = run("agree", "--judge", "a")
    assert "Krippendorff's α at the nominal level" in shown
    assert "Labelled by a language model" in shown
    assert "stand in for the others at ε = 0.15" in shown


def test_a_second_file_is_joined_by_reply(tmp_path: Path) -> None:
    gold = read_labels()
    category = gold.labels[0].category
    mine = [one for one in gold.labels if one.category == category][:60]
    write_labels(tmp_path / "mine.jsonl", mine, gold.labelling)
    write_labels(tmp_path / "same.jsonl", mine[:40], gold.labelling)
    shown = run("agree", str(tmp_path / "mine.jsonl"), str(tmp_path / "same.jsonl"), "--field", "kind")
    assert "1.00" in shown  # each labeller beside the copy
    rest = [one for one in gold.labels if one.category != category][:40]
    write_labels(tmp_path / "rest.jsonl", rest, gold.labelling)
    with pytest.raises(ValueError, match=r"mine\.jsonl must label replies that .*rest\.jsonl labels"):
        run("agree", str(tmp_path / "rest.jsonl"), str(tmp_path / "mine.jsonl"))


def test_labels_that_intervals_need() -> None:
    shown = run("labels-needed", "window_word_repetition", "--width", "0.1", "--replies", "2000")
    assert "beside window_word_repetition" in shown
    with pytest.raises(ValueError, match="width must be finite and above 0"):
        run("labels-needed", "window_word_repetition", "--width", "0")


def test_slips_are_told_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="rater must be one of a, b"):
        run("agree", "--judge", "zz")
    with pytest.raises(ValueError, match="must be one of bad, kind, rating"):
        run("agree", "--field", "worth")
    with pytest.raises(ValueError, match=r"ε must be in \[0, 1\)"):
        run("agree", "--judge", "a", "--epsilon", "1")
