"""Learned against truthful bidders: rows whole and the same again, truth told where it pays, words by their rules."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from measured_fakes import fake_surface
from rich.console import Console
from tiny_designs import TINY

from auctionsim import cli
from auctionsim.agents import Shading, Truthful
from auctionsim.experiments.running.run import Row, kept_section
from auctionsim.experiments.studies.bidders_study import (
    LEARNERS,
    BiddersStudySettings,
    item_auctions,
    learned,
    main,
    measured_lottery,
    play_rows,
)
from auctionsim.experiments.tables.bidders_study import QUANTITIES, Seeds, moved, over_seeds, play_over_seeds, verdict
from auctionsim.experiments.tables.mechanisms import MENU, PAY_AS_BID
from auctionsim.metrics import Interval

CONSOLE = Console(file=io.StringIO())


def small(folder: Path, **changes: object) -> BiddersStudySettings:
    few = BiddersStudySettings(
        "fake",
        folder,
        user_weights=(0.5,),
        seeds=(0, 1),
        updates=2,
        batch=16,
        rounds=2,
        field=4,
        bids=5,
        draws=64,
        deviation_draws=16,
    )
    return replace(few, **changes)  # type: ignore[arg-type]


def test_rows_are_whole_and_a_second_call_gives_the_same(tmp_path: Path) -> None:
    surface = fake_surface(2)
    found = main(small(tmp_path / "a"), surface, "pytest", CONSOLE, TINY)
    again = main(small(tmp_path / "a"), surface, "pytest", CONSOLE, TINY)
    assert found[:2] == again[:2]
    fresh = main(small(tmp_path / "b", seeds=(0,)), surface, "pytest", CONSOLE, TINY)
    part = [row for row in found.plays if row["seed"] == 0]
    assert sorted(map(repr, fresh.plays)) == sorted(map(repr, part))  # nothing hangs on what else is run
    on_surface, items = 6, 3
    assert len(found.plays) == 2 * (2 * on_surface + items) * 3 * len(QUANTITIES)
    assert len(found.bidders) == 2 * (on_surface + items)
    assert {"KL tilt", MENU, PAY_AS_BID} <= {row["mechanism"] for row in found.bidders}
    for name in ("plays", "bidders"):
        assert not pd.read_parquet(tmp_path / "a" / f"{name}.parquet").isna().any().any()
    section = kept_section(tmp_path / "a")
    assert [claim.name for claim in section.claims] == ["strategy-proofness of the menu"]
    assert (tmp_path / "a" / "bidders_study.png").read_bytes().startswith(b"\x89PNG")
    for name in ("what bidders earn", "Truthful mechanisms"):
        assert name in section.text


@pytest.mark.parametrize("learner", LEARNERS)
def test_both_learners_shade_under_first_price(learner: str, tmp_path: Path) -> None:
    auction = next(iter(item_auctions(2)))
    settings = small(tmp_path, updates=60, batch=256, rounds=60, field=16, bids=11)
    strategies = learned(settings, auction, learner, 0)
    valuations = torch.full((1, 1), 0.8, dtype=torch.float64)
    assert all(0.2 < float(play(valuations)) < 0.6 for play in strategies)  # the equilibrium is .4


def rows_of(name: str, factor: float) -> list[Row]:
    auction = next(one for one in item_auctions(2) if one.name == name)
    key = {"user_weight": 0.0, "mechanism": name, "recipe": "", "learner": "made up", "seed": 0, "replicate": "A"}
    return list(play_rows(auction, auction.substrate, [Shading(factor)] * 2, 4096, key))


def test_shading_by_half_halves_first_price_and_gives_bidders_the_rest() -> None:
    rows = rows_of("one item, first price", 0.5)
    told, bid = (play_over_seeds(rows, play, "revenue") for play in ("truth", "learned"))
    assert bid.mean == pytest.approx(told.mean / 2)
    assert told.mean == pytest.approx(2 / 3, abs=0.02)
    assert play_over_seeds(rows, "change", "bidder_utility").mean == pytest.approx(told.mean / 2)
    assert play_over_seeds(rows, "change", "welfare").mean == pytest.approx(0)
    assert moved(play_over_seeds(rows, "change", "revenue")) == "falls"


def test_truth_changes_nothing() -> None:
    auction = next(iter(item_auctions(2)))
    key = {"user_weight": 0.0, "mechanism": "x", "learner": "truth", "seed": 0, "replicate": "A"}
    rows = list(play_rows(auction, auction.substrate, [Truthful()] * 2, 64, key))
    assert all(row["mean"] == 0 for row in rows if row["play"] == "change")
    assert moved(play_over_seeds(rows, "change", "revenue")) == "does not move measurably"


def test_the_lottery_is_over_what_was_measured_and_leaves_the_model_untouched_most() -> None:
    view = fake_surface(2).sell("slot_probability").replicate("B")
    lottery = measured_lottery(view, 0.5)
    assert float(lottery.reference[0]) == pytest.approx(0.5)
    null = view.null_allocation(1, dtype=torch.float64)
    torch.testing.assert_close(lottery.exposures[0], view.exposure(null)[0])
    assert float(lottery.reference.sum()) == pytest.approx(1)


def test_words_follow_their_rules() -> None:
    up, down, unclear = Seeds(1.0, 0.5, 1.5), Seeds(-1.0, -1.5, -0.5), Seeds(0.1, -0.5, 0.7)
    assert [moved(one) for one in (up, down, unclear)] == ["rises", "falls", "does not move measurably"]
    assert verdict([up, up]) == "does not hold"
    assert verdict([up, unclear]) == "holds in part"
    assert verdict([Seeds(0.0, -0.001, 0.001)]) == "holds"
    assert verdict([unclear]) == "holds in part"


def test_an_interval_is_students_over_seeds_and_the_draws_where_there_is_one() -> None:
    assert over_seeds([1.0], Interval(0.5, 1.5)) == Seeds(1.0, 0.5, 1.5)
    two = over_seeds([1.0, 2.0], Interval(0, 0))
    assert two.high - two.mean == pytest.approx(12.706 * 0.5, rel=1e-3)  # t at one degree of freedom


def test_unknown_learners_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="among equilibrium, exponential-weights"):
        small(tmp_path, learners=("ppo",))
    with pytest.raises(ValueError, match="untouched"):
        small(tmp_path, untouched=1.0)


def test_the_command_names_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["auctionsim", "bidders", "study", "--learners", "ppo", "--out", str(tmp_path / "x")]
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert "learners among" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
