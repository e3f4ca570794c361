"""Brand sets of two and more bidders from one list: rows whole and the same again, averages, words by their rules."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from measured_fakes import fake_subsets
from rich.console import Console
from tiny_designs import TINY

from auctionsim import cli
from auctionsim.experiments.running.run import Row, kept_section
from auctionsim.experiments.studies.more_bidders import MoreBiddersSettings, averaged, brand_sets, item_means, main
from auctionsim.experiments.tables.mechanisms import MENU, OPTIMUM, PAY_AS_BID
from auctionsim.experiments.tables.more_bidders import ITEMS, MECHANISMS, NUMBERS, direction, menu_verdict

CONSOLE = Console(file=io.StringIO())


def small(folder: Path) -> MoreBiddersSettings:
    return MoreBiddersSettings(
        "fake",
        folder,
        sizes=(2, 3),
        most_sets=2,
        user_weights=(0.5,),
        draws=32,
        regret_draws=2,
        regret_budget=8,
    )


def test_rows_are_whole_and_a_second_call_gives_the_same(tmp_path: Path) -> None:
    measured = fake_subsets()
    found = main(small(tmp_path / "a"), measured, "pytest", CONSOLE, TINY)
    again = main(small(tmp_path / "a"), measured, "pytest", CONSOLE, TINY)
    fresh = main(small(tmp_path / "b"), measured, "pytest", CONSOLE, TINY)
    assert found.rows == again.rows
    assert found.means == again.means == fresh.means
    assert len(found.rows) == (2 + 1) * len(MECHANISMS) * 2  # two brand sets of two, one of three
    assert {row["n"] for row in found.rows} == {2, 3}
    assert len(found.seconds) == (2 + 1) * len(MECHANISMS)
    means = pd.read_parquet(tmp_path / "a" / "means.parquet")
    lacking = means[means.isna().any(axis=1)]
    assert (set(lacking["number"]), set(lacking["brand_sets"])) == (
        {"objective_share"},
        {1},
    )  # a ratio, of one brand set
    section = kept_section(tmp_path / "a")
    assert [claim.name for claim in section.claims] == ["menu against VCG revenue"]
    assert (tmp_path / "a" / "more_bidders.png").read_bytes().startswith(b"\x89PNG")
    assert "From 2 to 3 bidders the optimum's revenue" in section.text
    honest = [row for row in found.means if row["mechanism"] == OPTIMUM and row["replicate"] == "A"]
    assert next(row for row in honest if row["number"] == "objective_share")["mean"] == pytest.approx(1)
    paying = [row for row in found.means if row["mechanism"] == PAY_AS_BID and row["replicate"] == "A"]
    assert next(row for row in paying if row["number"] == "regret")["mean"] > 0


def test_means_are_over_brand_sets() -> None:
    key = {"user_weight": 0.0, "mechanism": "VCG", "replicate": "A", "recipe": ""}
    blank: Row = dict.fromkeys(NUMBERS)
    rows = [
        {"n": 2, "brand_set": str(k), **key, **blank, "revenue": value, "revenue_standard_error": 0.5}
        for k, value in enumerate((1.0, 3.0))
    ]
    (both,) = averaged(rows)
    assert (both["mean"], both["standard_error"], both["low"], both["high"]) == (2.0, pytest.approx(1.0), 1.0, 3.0)
    (alone,) = averaged(rows[:1])
    assert alone["standard_error"] == 0.5


def test_a_brand_set_with_nothing_to_sell_does_not_blow_up_the_share() -> None:
    same: Row = {**dict.fromkeys(NUMBERS), "n": 2, "user_weight": 0.0, "mechanism": "x", "replicate": "A"}
    same |= {"recipe": ""}
    rows = [
        {**same, "brand_set": "good", "objective": 1.0, "objective_share": 0.5},
        {**same, "brand_set": "idle", "objective": 0.5, "objective_share": 0.5e17},
    ]
    (share,) = (row for row in averaged(rows) if row["number"] == "objective_share")
    assert share["mean"] == pytest.approx(0.75)  # 1.5 of 2
    assert (share["low"], share["high"]) == (0.5, 0.5)


def test_one_items_revenue_is_the_closed_form() -> None:
    rows = {(row["mechanism"], row["n"]): row["mean"] for row in item_means((1, 2, 3))}
    assert [rows[ITEMS[0], n] for n in (1, 2, 3)] == pytest.approx([1 / 4, 5 / 12, 17 / 32])
    assert [rows[ITEMS[1], n] for n in (1, 2, 3)] == pytest.approx([0, 1 / 3, 1 / 2])


def test_brand_sets_are_spread_over_all_subsets() -> None:
    assert brand_sets(5, 5, 4) == [(0, 1, 2, 3, 4)]
    assert len(brand_sets(5, 2, 100)) == 10
    few = brand_sets(5, 2, 5)
    assert len(set(few)) == 5
    assert {i for one in few for i in one} == set(range(5))


def test_a_direction_needs_two_standard_errors() -> None:
    def at(mean: float, error: float | None) -> Row:
        return {"mean": mean, "standard_error": error}

    assert direction(at(1, 0.1), at(2, 0.1)) == "rises"
    assert direction(at(2, 0.1), at(1, 0.1)) == "falls"
    assert direction(at(1, 0.4), at(2, 0.4)) == "does not change clearly"
    assert direction(at(0, None), at(0, None)) == "does not change clearly"


@pytest.mark.parametrize(
    ("truthful", "answered", "said"),
    [(2.0, None, "holds"), (2.0, 0.5, "holds in part"), (0.5, None, "does not hold"), (0.5, 2.0, "does not hold")],
)
def test_the_verdict_follows_its_rule(truthful: float, answered: float | None, said: str) -> None:
    same = {"n": 2, "brand_set": "x", "user_weight": 0.0, "replicate": "A"}
    menu = {**same, "mechanism": MENU, "revenue": truthful, "objective": truthful, "objective_best_response": answered}
    vcg = {**same, "mechanism": "VCG", "revenue": 1.0, "objective": 1.0, "objective_best_response": None}
    assert menu_verdict([menu, vcg]) == said


def test_more_bidders_than_brands_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 brands"):
        main(replace(small(tmp_path), sizes=(2, 4)), fake_subsets(), "pytest", CONSOLE, TINY)
    with pytest.raises(ValueError, match="ascending"):
        replace(small(tmp_path), sizes=(3, 2))


def test_the_command_wants_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["auctionsim", "auction", "more-bidders", "running-shoes-2@2"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert "a list of every subset" in capsys.readouterr().err
