"""The reference corpus: its cells, what they are worth, what is kept, its metadata, and a learner of one's own."""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from auctionsim import plugins
from auctionsim.agents import Shading, Truthful
from auctionsim.agents.ray_session import ray_running
from auctionsim.cli import app
from auctionsim.experiments.learners import LearnedPlay, learner_named, learners, withdraw
from auctionsim.experiments.running import corpus_cells as cells_module
from auctionsim.experiments.running.corpus_budget import budget_equilibrium, constrained_regret
from auctionsim.experiments.running.corpus_cell import COLUMNS, KEY
from auctionsim.experiments.running.corpus_cells import corpus_environments
from auctionsim.experiments.running.corpus_score import CorpusScoring, score_learner, single_round_game
from auctionsim.experiments.running.croissant import FILE, DataSet, TableField, TableFile, write_croissant
from auctionsim.experiments.running.recipes import FanOut
from auctionsim.experiments.studies.bidders_corpus import BiddersCorpusSettings, main
from auctionsim.experiments.tables.bidders_corpus import FOUND, MISSED, OPEN, summary_rows
from auctionsim.gymnasium_ids import SETTING_OF_ID

FIRST, SECOND = "auctionsim/FirstPrice-v0", "auctionsim/SecondPrice-v0"
TINY = CorpusScoring(draws=512, regret_draws=64, types=8, bids=16)
TABULAR = ("truth", "shading", "best-response", "exponential-weights", "equilibrium")


def settings(folder: Path) -> BiddersCorpusSettings:
    return BiddersCorpusSettings(folder, (FIRST,), TABULAR, seeds=(0, 1), effort=0.01, scoring=TINY)


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of tabular learners in one environment, to be read only."""
    folder = tmp_path_factory.mktemp("corpus")
    main(settings(folder), "auctionsim bidders corpus", quiet())
    return folder


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of docs/corpus.md that adds a learner, in a process that has loaded no plugin."""
    page = (Path(__file__).parents[2] / "docs" / "corpus.md").read_text(encoding="utf-8")
    monkeypatch.setattr(plugins, "_files", {})
    path = tmp_path / "two_thirds.py"
    path.write_text(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)[0], encoding="utf-8")
    yield path
    withdraw("two-thirds")


def test_every_id_without_a_language_model_is_in_the_corpus() -> None:
    there = corpus_environments()
    assert len(there) == 8
    assert set(there) == {name for name, setting in SETTING_OF_ID.items() if not setting.endswith("-live")}
    assert {*TABULAR, "ppo", "sac"} <= set(learners())


def test_the_corpus_is_tidy_and_its_metadata_names_what_is_there(made: Path) -> None:
    table = pd.read_parquet(made / "corpus.parquet")
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == len(TABULAR) * 2 * 2
    assert not table.duplicated(list(KEY)).any()
    for name, column in COLUMNS.items():
        assert column.may_be_none or table[name].notna().all(), name
    means = table.groupby(["learner", "seed"])[["regret", "exploitability"]].mean()
    assert means["regret"].to_numpy() == pytest.approx(means["exploitability"].to_numpy())
    spend = table.groupby(["learner", "seed"])[["spend", "revenue"]].agg({"spend": "sum", "revenue": "first"})
    assert spend["spend"].to_numpy() == pytest.approx(spend["revenue"].to_numpy())
    record = json.loads((made / FILE).read_text())
    assert record["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert {"@context", "@type", "name", "description", "license", "url", "creator", "datePublished"} <= set(record)
    (file,), (records,) = record["distribution"], record["recordSet"]
    path = made / file["contentUrl"]
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file["contentSize"] == f"{path.stat().st_size} B"
    fields = {field["source"]["extract"]["column"]: field for field in records["field"]}
    assert list(fields) == list(table.columns)
    assert {field["source"]["fileObject"]["@id"] for field in fields.values()} == {file["@id"]}
    assert {key["@id"] for key in records["key"]} <= {field["@id"] for field in fields.values()}
    kinds = {"sc:Text": "O", "sc:Integer": "i", "sc:Float": "f"}
    for name, field in fields.items():
        assert field["description"] == COLUMNS[name].meaning
        assert table[name].dtype.kind == kinds[field["dataType"]] or table[name].isna().all()


@pytest.mark.parametrize(
    ("columns", "key", "words"),
    [
        ({"other": TableField("text", "m")}, (), "has the columns a, described are other"),
        ({"a": TableField("colour", "m")}, (), "kind must be one of text, whole, number, flag, got 'colour'"),
        ({"a": TableField("whole", "m")}, ("b",), "the key 'b' is no column"),
    ],
)
def test_metadata_of_other_files_is_refused(
    tmp_path: Path, columns: dict[str, TableField], key: tuple[str, ...], words: str
) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
    data = DataSet("n", "d", "1.0.0", "2026-11-27", "l", "u", "c", "c", (TableFile("t.parquet", "d", columns, key),))
    with pytest.raises(ValueError, match=words):
        write_croissant(tmp_path, data)


def test_what_is_known_comes_out() -> None:
    """Under first price truth loses 1/12 and half the valuation is the equilibrium; second price is proved."""
    scoring = CorpusScoring(draws=1 << 12, regret_draws=1 << 11, types=32, bids=64)
    truth, half = (score_learner(FIRST, "first-price", learner_named(n), 0, 1, scoring) for n in ("truth", "shading"))
    assert truth[0]["exploitability"] == pytest.approx(1 / 12, abs=0.006)
    assert truth[0]["over_truth"] == 0
    assert truth[0]["distance_to_equilibrium"] == pytest.approx(half[0]["distance_to_truth"], rel=1e-3)
    assert truth[0]["distance_to_equilibrium"] == pytest.approx((1 / 12) ** 0.5, abs=0.01)
    assert half[0]["exploitability"] < 0.002
    assert half[0]["over_truth"] == pytest.approx(1 / 6, abs=0.02)  # truth earns nothing
    assert half[0]["distance_to_equilibrium"] < 1e-3
    proved = score_learner(SECOND, "second-price", learner_named("truth"), 0, 1, scoring)
    assert [row["regret_upper"] for row in proved] == [0, 0]
    assert proved[0]["regret_method"].startswith("proof")


def test_cells_are_kept_and_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever goes on makes the cells that are not there, and no other; another effort has cells of its own."""
    folder = tmp_path / "run"
    plan = replace(settings(folder), learners=("truth", "exponential-weights"))
    first = main(plan, "auctionsim bidders corpus", quiet())
    files = sorted((folder / "parts" / "cells").glob("first-price-*.json"))
    assert len(files) == 4
    before = {path: path.read_bytes() for path in files}
    files[3].unlink()
    calls = []
    whole = cells_module.score_learner
    monkeypatch.setattr(cells_module, "score_learner", lambda *args: calls.append(args) or whole(*args))
    again = main(plan, "auctionsim bidders corpus", quiet())
    assert len(calls) == 1
    assert files == sorted((folder / "parts" / "cells").glob("first-price-*.json"))
    assert all(path.read_bytes() == text for path, text in before.items() if path != files[3])
    for row, old in zip(again.rows, first.rows, strict=True):
        assert row == {**old, "seconds": row["seconds"]}
    monkeypatch.setattr(cells_module, "score_learner", lambda *args: pytest.fail("a cell was made again"))
    main(plan, "auctionsim bidders corpus", quiet())
    other = {one.task.file_name for one in replace(plan, effort=0.02).plans}
    assert not other & {path.name for path in files}
    files[0].write_text(files[0].read_text().replace('"bidder": 0', '"bidder": 1'))
    with pytest.raises(ValueError, match="is damaged"):
        main(plan, "auctionsim bidders corpus", quiet())


def row(learner: str, seed: int, gain: float, **changes: float) -> dict[str, object]:
    """A row in which a unit of exposure is worth 1, so that the tolerance is .01."""
    plain = {name: 0.0 for name, column in COLUMNS.items() if column.kind == "number"}
    known = {"environment": FIRST, "learner": learner, "constraint": "none", "bidder": 0, "bidders": 1, "steps": 1}
    ends = {"exploitability_low": gain - 0.1, "exploitability_high": gain + 0.1}
    return {**plain, **ends, **known, "seed": seed, "worth": 1.0, "exploitability": gain, "budget": None, **changes}


def test_verdicts_and_sentences_follow_the_rules() -> None:
    gains = {"a": (0.001, 0.002, 0.003), "b": (0.1, 0.11, 0.12), "c": (0.0, 0.02, 0.04), "d": (0.001,)}
    rows = [row(name, seed, gain) for name, some in gains.items() for seed, gain in enumerate(some)]
    summary = {one["learner"]: one for one in summary_rows(rows)}
    assert {name: one["verdict"] for name, one in summary.items()} == {"a": FOUND, "b": MISSED, "c": OPEN, "d": OPEN}
    assert summary["d"]["exploitability_high"] == pytest.approx(0.101)  # one seed: the interval of its draws
    assert summary["a"]["exploitability"] == pytest.approx(0.002)
    assert summary["a"]["exploitability_high"] - 0.002 == pytest.approx(4.302653 * 0.001 / 3**0.5, rel=1e-4)
    bound = [row("a", seed, 0.0, budget=2.0, spend=2.0 + 0.1 * seed) for seed in range(3)]
    assert summary_rows(bound)[0]["over_budget"] == pytest.approx(0.1)


def test_constrained_regret_is_that_of_the_closed_form() -> None:
    """First price against truth U[0, 1], own bids v/4: the best bids at a shadow price μ are v / 2(1 + μ).

    Their spend is 1/12(1 + μ)², their utility (1/2(1 + μ) − 1/4(1 + μ)²)/3; v/4 earns 1/16.
    """
    game = single_round_game("first-price")
    plays = [Shading(0.25), Truthful()]
    for budget, price in ((1 / 6, 1.0), (1 / 24, 2**0.5)):
        gains = constrained_regret(game, plays, [budget, 1.0], 0, draws=1 << 13, types=64, bids=128)
        assert gains[0] == pytest.approx((1 / (2 * price) - 1 / (4 * price**2)) / 3 - 1 / 16, abs=0.003)
    equilibrium = budget_equilibrium(game, [1 / 6, 1 / 6])
    assert equilibrium is not None
    assert [one.factor for one in equilibrium] == [0.5, 0.5]
    assert budget_equilibrium(single_round_game("crosstalk"), [1.0, 1.0]) is None
    low, high = (
        constrained_regret(
            single_round_game("second-price"), [Shading(a)] * 2, [1 / 12] * 2, 0, draws=1 << 12, types=32, bids=64
        )
        for a in (0.5, 0.25)
    )
    assert max(map(abs, low)) < 0.006
    assert min(high) > 0.05


@pytest.mark.parametrize("name", ["pacing-multiplicative", "pacing-adaptive"])
@pytest.mark.parametrize("setting", ["first-price", "second-price"])
def test_pacing_comes_to_the_closed_form(name: str, setting: str) -> None:
    """Half of what truth spends is 1/6 and 1/12 per auction: multipliers of ½ under both rules."""
    rows = score_learner(FIRST, setting, learner_named(name), 0, 1.0, TINY)
    for one in rows:
        assert one["constraint"] == "budget"
        assert one["budget"] == pytest.approx(1 / 6 if setting == "first-price" else 1 / 12, rel=0.02)
        assert one["bid_ratio"] == pytest.approx(0.5, rel=0.02)
        assert one["distance_to_equilibrium"] < 0.006
    assert rows[0]["steps"] == 480 * 256


@pytest.mark.deep
@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_policies_of_rllib_have_rows(name: str) -> None:
    """From truth, which loses a quarter of what exposure is worth, learned bids come to less than a tenth."""
    with ray_running():
        rows = score_learner(FIRST, "first-price", learner_named(name), 0, 1.0, CorpusScoring())
    assert rows[0]["exploitability"] < 0.1 * rows[0]["worth"]
    assert all(0.3 < one["bid_ratio"] < 0.7 for one in rows)
    assert rows[0]["steps"] > 0


@pytest.mark.deep
def test_workers_make_the_same_cells(tmp_path: Path) -> None:
    """Learners on RLlib learn in a worker, too; what has no policy has the same rows to the last bit."""
    names = ("exponential-weights", "ppo", "sac")
    plan = replace(settings(tmp_path / "here"), learners=names, seeds=(0,))
    here = main(plan, "auctionsim bidders corpus", quiet())
    there = main(replace(plan, folder=tmp_path / "there"), "the same", quiet(), FanOut(workers=1))
    assert [one["learner"] for one in there.rows] == [name for name in names for _ in range(2)]
    for own, other in zip(here.rows[:2], there.rows[:2], strict=True):
        assert own == {**other, "seconds": own["seconds"]}


def test_a_learner_is_one_file(own: Path, tmp_path: Path) -> None:
    """It has a row under its own contents: a changed file has other cells."""
    page, out = tmp_path / "results.md", tmp_path / "run"
    page.write_text("# Results\n\nText.\n\n## Experiments\n\n| experiment |\n| :-- |\n")
    words = ["--plugin", str(own), "bidders", "corpus", "--environment", FIRST, "--learners", "truth,two-thirds"]
    done = CliRunner().invoke(app, [*words, "--seeds", "0", "--out", str(out), "--results", str(page)])
    assert done.exit_code == 0, done.output
    assert "two thirds: equilibrium" in done.output
    table = pd.read_parquet(out / "corpus.parquet")
    assert set(table[table["learner"] == "two-thirds"]["bid_ratio"].round(6)) == {0.666667}
    assert "who finds the equilibrium" in page.read_text()
    assert "## The reference corpus" in page.read_text()
    assert "Who loses what" in (out / "report.html").read_text()
    (plan,) = [one for one in BiddersCorpusSettings(out, (FIRST,), ("two-thirds",), (0,)).plans]
    assert plan.key["plugin"] == hashlib.sha256(own.read_bytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"environments": ("auctionsim/NeuronMenuLive-v0",)}, "environment must be one of"),
        ({"learners": ("nobody",)}, "learner must be one of truth|learner must be one of"),
        ({"seeds": (1, 1)}, "seeds must be one or more different numbers"),
        ({"effort": 0.0}, "effort is a share"),
    ],
)
def test_what_there_is_none_of_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _ = replace(settings(tmp_path), **changes).plans


def test_a_learner_for_another_number_of_bidders_is_refused() -> None:
    wrong = replace(learner_named("truth"), name="wrong", learn=lambda task: LearnedPlay([Truthful()], 0))
    with pytest.raises(ValueError, match="wrong learned 1 strategies for 2 bidders"):
        score_learner(FIRST, "first-price", wrong, 0, 1.0, TINY)
