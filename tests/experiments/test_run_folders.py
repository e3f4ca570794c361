"""A run folder never calls itself a run that it does not hold: another run's results go before its first output."""

import io
import json
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from auctionsim.experiments.running.plan import Plan as RunPlan
from auctionsim.experiments.running.run import Run, Section
from auctionsim.experiments.running.run_folder import begin, run_record
from auctionsim.report import write_runs_report

CONSOLE = Console(file=io.StringIO())


@dataclass(frozen=True)
class Plan:
    """Settings of a run that is none."""

    folder: Path
    number: int


def carry_out(folder: Path, number: int, tables: tuple[str, ...] = ("numbers",), stop_after: str = "") -> Run:
    run = Run(folder, Plan(folder, number), {"surface": "abc"})
    run.begin(f"auctionsim run --number {number}")
    if stop_after == "begin":
        raise KeyboardInterrupt
    rows = run.part("numbers", lambda: [{"number": number}])
    (folder / f"figure-{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    if stop_after == "figure":
        raise KeyboardInterrupt
    section = Section(f"Run {number}", f"Found {number}.", {f"figure-{number}.png": "It."})
    run.finish(dict.fromkeys(tables, rows), section, command=f"auctionsim run --number {number}", console=CONSOLE)
    return run


@pytest.mark.parametrize("stop", ["begin", "figure"])
def test_a_run_that_is_stopped_over_another_leaves_no_finished_one(stop: str, tmp_path: Path) -> None:
    first = carry_out(tmp_path, 1, ("numbers", "more"))
    assert first.is_finished
    (tmp_path / "report.html").write_text("about run 1")
    (tmp_path / "notes.txt").write_text("the user's own")
    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path, 2, stop_after=stop)
    assert not first.is_finished
    assert not Run(tmp_path, Plan(tmp_path, 2), {"surface": "abc"}).is_finished
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["finished"] is False
    assert record["command"] == "auctionsim run --number 2"
    assert not any(tmp_path.glob("*.parquet")), "no table of the first run is left to be taken for the second's"
    assert not (tmp_path / "figure-1.png").exists()
    assert not (tmp_path / "report.html").exists()
    page = write_runs_report([tmp_path], tmp_path.parent / "page.html").read_text()
    assert "Unfinished" in page
    assert "Found 1." not in page
    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path, 3, stop_after="begin")  # and once more over the unfinished one
    done = carry_out(tmp_path, 2)
    assert done.is_finished
    assert not (tmp_path / "more.parquet").exists()
    assert (tmp_path / "notes.txt").read_text() == "the user's own"
    assert pd.read_parquet(tmp_path / "numbers.parquet")["number"].tolist() == [2]
    assert "Found 2." in write_runs_report([tmp_path], tmp_path / "report.html").read_text()


def test_the_same_run_begun_again_keeps_its_results_until_they_are_replaced(tmp_path: Path) -> None:
    first = carry_out(tmp_path, 1)
    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path, 1, stop_after="begin")
    assert not first.is_finished
    assert (tmp_path / "numbers.parquet").exists()
    assert carry_out(tmp_path, 1).is_finished
    carry_out(tmp_path, 2)
    assert not (tmp_path / "figure-1.png").exists()


def test_a_folder_of_an_earlier_version_is_emptied_of_what_such_runs_wrote(tmp_path: Path) -> None:
    carry_out(tmp_path, 1, ("numbers", "more"))
    record = run_record(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({k: v for k, v in record.items() if k not in ("finished", "files")}))
    carry_out(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("figure-2.png", "numbers.csv", "numbers.parquet", "parts", "run.json", "section.md"),
    ]


@pytest.mark.parametrize(
    "names", [["../victim.csv"], ["/etc/passwd"], ["sub/x.csv"], ["run.py"], [".hidden.csv"], "x", {}]
)
def test_only_outputs_of_the_folder_itself_are_removed(names: object, tmp_path: Path) -> None:
    """A record from elsewhere may name anything."""
    folder = tmp_path / "run"
    (folder / "sub").mkdir(parents=True)
    there = [tmp_path / "victim.csv", folder / "sub" / "x.csv", folder / "run.py", folder / ".hidden.csv"]
    for path in there:
        path.write_text("mine")
    (folder / "run.json").write_text(json.dumps({"plan": "other", "files": names, "stale": names}))
    begin(folder, RunPlan("plan"), "auctionsim run", {})
    assert all(path.read_text() == "mine" for path in there)


def test_parts_of_another_seed_input_or_package_are_other_parts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = []

    def rows() -> list[dict[str, int]]:
        made.append(1)
        return [{"n": len(made)}]

    def part(number: int, surface: str) -> int:
        run = Run(tmp_path, Plan(tmp_path, number), {"surface": surface})
        return int(run.part("numbers", rows)[0]["n"])

    assert [part(1, "abc"), part(2, "abc"), part(1, "abd"), part(1, "abc")] == [1, 2, 3, 1]
    monkeypatch.setattr("auctionsim.experiments.running.run.package_versions", lambda: {"torch": "0"})
    assert part(1, "abc") == 4


def test_parts_whose_names_differ_in_signs_alone_are_other_parts(tmp_path: Path) -> None:
    run = Run(tmp_path, Plan(tmp_path, 1))
    names = ["weight 1e-06", "weight 1e+06", "weight 1.5", "weight 1 5", "weight -1", "weight 1", "Yahoo!", "yahoo"]
    kept = [run.part(name, lambda k=k: [{"n": k}])[0]["n"] for k, name in enumerate(names)]  # type: ignore[misc]
    assert kept == list(range(len(names)))
    assert [run.part(name, lambda: [{"n": -1}])[0]["n"] for name in names] == kept


def test_a_part_whose_rows_were_changed_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path, Plan(tmp_path, 1))
    rows = [{"n": 0.1, "name": "a", "none": None, "of": {"10": 1.0, "9": math.inf}}]
    assert run.part("numbers", lambda: rows) == rows == run.part("numbers", lambda: [])
    (path,) = run.parts.iterdir()
    path.write_text(path.read_text().replace("0.1", "0.2"))
    with pytest.raises(ValueError, match=f"{path} is damaged .its rows are not those that were kept"):
        run.part("numbers", lambda: rows)


def test_a_run_names_the_commits_of_the_parts_that_it_took_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commit = "auctionsim.experiments.running.run.commit_or_none"
    monkeypatch.setattr(commit, lambda: "first")
    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path, 1, stop_after="figure")
    monkeypatch.setattr(commit, lambda: "second")
    assert carry_out(tmp_path, 1).record["parts_of_commits"] == ["first"]
