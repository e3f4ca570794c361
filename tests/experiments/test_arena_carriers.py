"""The table of carriers on made-up lists whose laws are known: frontiers, ranks, costs; what is refused and kept."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from carrier_fakes import BASE, MadeUp, write_list
from rich.console import Console

from auctionsim.cli.arena import carriers
from auctionsim.data import values_beside
from auctionsim.experiments.running import carrier_cells as cells_module
from auctionsim.experiments.running.carrier_cell import CarrierCell, cell_document, cell_from
from auctionsim.experiments.running.carrier_cells import carrier_cells
from auctionsim.experiments.running.carrier_sources import carrier_source, packaged_lists, read_cell
from auctionsim.experiments.running.prompt_intervals import mean_of
from auctionsim.experiments.studies.arena_carriers import SHOWS, ArenaCarriersSettings, main, sources_of, tables_of
from auctionsim.experiments.tables.arena_carriers import _part_time, headline
from auctionsim.experiments.tables.carrier_lotteries import (
    CarrierCost,
    corners,
    held_lottery,
    lottery,
    named_means,
    user_cost,
)
from auctionsim.experiments.tables.carrier_orders import TOGETHER, efficiency_rows, scopes_of
from auctionsim.experiments.tables.carrier_scores import score
from auctionsim.experiments.tables.loss_matrix import rows_of
from auctionsim.experiments.tables.results_page import finished_run, replace_section
from auctionsim.records import Record

CONSOLE = Console(file=io.StringIO())
STRONG, FAIR, WEAK = (
    MadeUp("logit-bias", 2.5, 0.5),
    MadeUp("neurons", 1.0, 1.0, steal=0.5),
    MadeUp("residual", 0.1, 1.0),
)
SLOTS = MadeUp("slots", ads=True)
MOVED = CarrierCost({"reply_kl": 1.0})


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four carriers in one category, two in another, to be read only."""
    folder = tmp_path_factory.mktemp("lists")
    found = {}
    for category, brands, some, seed in (
        ("running shoes", "Nike,Adidas", (STRONG, FAIR, WEAK, SLOTS), 0),
        ("charities", "UNICEF,Oxfam", (STRONG, SLOTS), 1),
    ):
        for one in some:
            found[f"{category} {one.name}"] = write_list(folder, one, category=category, brands=brands, seed=seed)
    return found


@pytest.fixture(scope="module")
def cells(lists: Mapping[str, Path]) -> list[CarrierCell]:
    return [read_cell(carrier_source(str(path))) for path in lists.values()]


def settings(folder: Path, paths: Sequence[Path], **changes: Any) -> ArenaCarriersSettings:
    return ArenaCarriersSettings(folder, tuple(map(str, paths)), **{"prices": (0.0, 1.0), **changes})


def test_a_cell_counts_the_replies(cells: Sequence[CarrierCell]) -> None:
    one = cells[0]
    assert (one.carrier, one.category, one.brands) == ("logit-bias", "running shoes", ("Nike", "Adidas"))
    assert one.alone(0) == [0, 1, 2]
    assert one.alone(1) == [0, 3, 4]
    own = one.replicates["B"]
    assert (own.named.shape, own.reply_kl.shape, own.replies) == ((6, 9, 2), (6, 9, 4), 4)
    assert not own.reply_kl[0].any()
    assert own.columns["quality"][0] == pytest.approx(0), "the rise above the untouched replies"
    assert (named_means(one, "B", 0)[[0, 2]] > [0.1, 0.8]).all()
    assert own.columns["ad_share"].max() <= 1
    assert own.columns["ad_words"].max() == 0
    slots = cells[3]
    assert slots.acts_after
    assert not one.acts_after
    assert slots.replicates["A"].columns["ad_words"][2].min() >= 2
    again = cell_from(Record(json.loads(json.dumps(cell_document(one)))))
    assert cell_document(again) == cell_document(one)


def test_a_lottery_keeps_its_cap_on_a_and_names_most_there(cells: Sequence[CarrierCell]) -> None:
    cost = MOVED
    for one in cells[:3]:
        named, costs = named_means(one, "A", 0), cost.means(one, "A")
        assert costs is not None
        best = 0.0
        for cap in (0.0, 0.3, 1.0, 9.0):
            shares = lottery(one, 0, cost, cap)
            assert shares is not None
            assert shares.sum() == pytest.approx(1)
            assert not shares[3:].any(), "the other brand stays where it is"
            assert shares @ costs <= cap + 1e-12
            assert shares @ named >= best - 1e-12
            within = [k for k in one.alone(0) if costs[k] <= cap]
            assert shares @ named >= max(named[within]) - 1e-12
            best = float(shares @ named)
            found = score(one, "A", shares, 0)
            assert found.named.mean == pytest.approx(shares @ named)
            assert found.columns["reply_kl"].mean == pytest.approx(shares @ costs)
        assert corners(one, 0, cost)[0] == 0


def dearer(one: CarrierCell, factor: float) -> CarrierCell:
    """The same cell with replies on B that cost so many times as much."""
    own = one.replicates["B"]
    moved = own._replace(
        reply_kl=factor * own.reply_kl, columns={**own.columns, "reply_kl": factor * own.columns["reply_kl"]}
    )
    return one._replace(replicates={**one.replicates, "B": moved})


@pytest.mark.parametrize("factor", [2.0, 5.0, 50.0])
def test_a_lottery_that_costs_more_on_b_is_drawn_back_along_the_frontier(
    cells: Sequence[CarrierCell], factor: float
) -> None:
    """It keeps the cap on B, and names no less than the frontier's corner before it and the thinned lottery do."""
    one = cells[0]
    for brand in (0, 1):
        dear = dearer(one, factor)
        plain, held = held_lottery(one, brand, MOVED, 0.8), held_lottery(dear, brand, MOVED, 0.8)
        assert plain is not None
        assert held is not None
        assert (held.designed == plain.designed).all()
        assert score(dear, "B", held.shares, brand).columns["reply_kl"].mean == pytest.approx(0.8)
        assert held.shares.sum() == pytest.approx(1)
        assert held.shares.min() >= 0
        named = mean_of(held.named)
        assert named.mean == pytest.approx(score(dear, "B", held.shares, brand).named.mean)
        assert named.low < named.mean < named.high
        on_a = MOVED.means(one, "A")
        assert on_a is not None
        assert held.shares @ on_a < 0.8
        assert lottery(one, brand, MOVED, float(held.shares @ on_a)) == pytest.approx(held.shares), "on A's frontier"


def test_what_the_drawing_back_owes_to_prompts_is_in_the_interval(cells: Sequence[CarrierCell]) -> None:
    """From the null the crossing is a ratio: a prompt counts as u + s (n − u) − s G (c − C)/C, s = cap/C."""
    one = dearer(cells[0], 50.0)
    held = held_lottery(one, 0, MOVED, 0.8)
    assert held is not None
    first = corners(one, 0, MOVED)[1]
    at_first = one.shares({first: 1.0})
    (gain, cost), null = (
        (score(one, "B", at_first, 0).named.mean, MOVED.strata(one, "B", at_first)),
        one.shares({0: 1.0}),
    )
    assert cost is not None
    whole = mean_of(cost).mean
    u, n = (one.named_strata("B", shares, 0) for shares in (null, at_first))
    gain -= mean_of(u).mean
    s = 0.8 / whole
    for found, a, b, c in zip(held.named, u, n, cost, strict=True):
        wanted = a.values + s * (b.values - a.values) - s * gain * (c.values - whole) / whole
        assert found.values == pytest.approx(wanted)


def test_what_cost_nothing_on_a_is_drawn_back_to_the_null(cells: Sequence[CarrierCell]) -> None:
    """A setting that cost 0 on A takes the null's place on its frontier: on B the null is still there to go back to."""
    one = dearer(cells[0], 50.0)
    own, k = one.replicates["A"], one.alone(0)[-1]
    free = {**own.columns, "reply_kl": own.columns["reply_kl"].copy()}
    free["reply_kl"][k] = 0.0
    one = one._replace(replicates={**one.replicates, "A": own._replace(columns=free)})
    assert corners(one, 0, MOVED) == [k]
    held = held_lottery(one, 0, MOVED, 0.8)
    assert held is not None
    assert set(np.flatnonzero(held.shares)) == {0, k}
    assert score(one, "B", held.shares, 0).columns["reply_kl"].mean == pytest.approx(0.8)


def test_carriers_that_are_sold_part_of_the_time_are_told(cells: Sequence[CarrierCell], tmp_path: Path) -> None:
    """The cheapest setting costs half a nat, ten times as much on B: then the null fills the rest of the time."""
    labels = {one.carrier: one.label for one in cells}
    some = settings(tmp_path, [Path("x")])
    assert [*_part_time(tables_of(cells[:1], some).capped, labels, 4.0)] == []
    (told,) = _part_time(tables_of([dearer(cells[0], 10.0)], some).capped, labels, 1.0)
    assert re.search(r"costs more than 1: logit bias \(Nike \d\d?%, Adidas \d\d?%\)\. A weaker setting", told)
    assert [*_part_time(tables_of(cells[3:4], some).capped, labels, 1.0)] == []


def test_a_lottery_with_slack_on_b_stays_as_it_was_designed(cells: Sequence[CarrierCell]) -> None:
    cheap = held_lottery(cells[0], 0, MOVED, 99.0)
    assert cheap is not None
    assert (cheap.shares == cheap.designed).all()
    assert mean_of(cheap.named) == mean_of(cells[0].named_strata("B", cheap.designed, 0))


def test_crosstalk_is_what_the_other_brand_loses(cells: Sequence[CarrierCell]) -> None:
    thief, other = cells[1], cells[0]
    at_most = thief.shares({2: 1.0})
    stolen = score(thief, "B", at_most, 0).others
    odds = [base / (1 - base) / np.e for base in BASE]  # steal · strength = 1
    expected = np.mean([odd / (1 + odd) - base for odd, base in zip(odds, BASE, strict=True)])
    assert stolen.low - 0.1 < expected < stolen.high + 0.1
    assert stolen.mean < 0
    assert score(other, "B", at_most, 0).others.mean == 0


def test_efficiency_is_undefined_after_the_reply(cells: Sequence[CarrierCell]) -> None:
    assert [*efficiency_rows(cells[3])] == []
    rows = [*efficiency_rows(cells[0])]
    assert len(rows) == 2 * 2 * 10, "brands, settings, prompts and all of them"
    assert {row["efficiency_low"] is not None and row["efficiency_low"] <= 1 for row in rows} == {True}


def test_orders_say_what_the_laws_are(cells: Sequence[CarrierCell], tmp_path: Path) -> None:
    found = tables_of(cells, settings(tmp_path, [Path("x")]))
    labels = {one.carrier: one.label for one in cells}
    shoes = rows_of(found.orders, {"category": "running shoes", "brand": "Nike", "cap": 1.0})
    assert [row["carrier"] for row in shoes] == ["logit-bias", "neurons", "residual"]
    assert shoes[0]["rank"] == 1
    assert shoes[2]["rank"] > 1
    assert shoes[0]["resolved"] > 0
    together = rows_of(found.orders, {"category": TOGETHER, "cap": 1.0})
    assert [row["carrier"] for row in together] == ["logit-bias"], "neurons were not measured in both categories"
    assert f"{labels['logit-bias']} names the brand most often" in headline(found.orders, labels, 1.0)
    assert "No carrier was measured in every category" in headline([], labels, 1.0)
    assert {row["carrier"] for row in found.after} == {"slots"}
    free = rows_of(found.user_loss, {"category": TOGETHER, "cap": 1.0, "price": 0.0})
    dear = rows_of(found.user_loss, {"category": TOGETHER, "cap": 1.0, "price": 1.0})
    assert [row["carrier"] for row in free] == ["slots", "logit-bias"]
    assert [row["carrier"] for row in dear] == ["logit-bias", "slots"], "two words at a nat each"
    with pytest.raises(ValueError, match="price of an ad's word"):
        user_cost(-0.1)


def test_the_run_is_whole_and_made_once(lists: Mapping[str, Path], tmp_path: Path, monkeypatch: Any) -> None:
    """A second run, of other caps, makes no cell anew; a list that changed makes its own cell alone."""
    paths = [lists["running shoes logit-bias"], lists["running shoes slots"]]
    found = main(settings(tmp_path / "run", paths), "pytest", CONSOLE)
    assert "names the brand most often" in found.section.text
    assert "undefined" in found.section.text
    assert len(pd.read_parquet(tmp_path / "run" / "orders.parquet")) == len(found.tables.orders)
    assert (tmp_path / "run" / "frontiers.png").read_bytes().startswith(b"\x89PNG")
    made: list[str] = []
    make = cells_module.make_cell
    monkeypatch.setattr(cells_module, "make_cell", lambda task: made.append(task.source.name) or make(task))
    main(settings(tmp_path / "run", paths, caps=(1.0,), prices=(0.0,)), "pytest", CONSOLE)
    assert made == []
    copy = write_list(tmp_path / "lists", STRONG, seed=5)
    carrier_cells(tmp_path / "run" / "parts" / "cells", sources_of(settings(tmp_path, [copy, paths[1]])))
    assert made == [copy.stem]


def test_a_damaged_cell_is_named(lists: Mapping[str, Path], tmp_path: Path) -> None:
    sources = sources_of(settings(tmp_path, [lists["running shoes slots"]]))
    carrier_cells(tmp_path / "cells", sources)
    (path,) = (tmp_path / "cells").glob("*.json")
    path.write_text(path.read_text().replace('"replies": 4', '"replies": 5'))
    with pytest.raises(ValueError, match=rf"{path.name} is damaged \(its checksum does not match\)"):
        carrier_cells(tmp_path / "cells", sources)


def test_what_cannot_be_compared_is_refused(lists: Mapping[str, Path], tmp_path: Path) -> None:
    shoes = lists["running shoes logit-bias"]
    cell = read_cell(carrier_source(str(shoes)))
    with pytest.raises(ValueError, match="two lists of running shoes are of the carrier logit-bias"):
        scopes_of([cell, cell._replace(measured="again")])
    more = write_list(tmp_path / "more", WEAK, prompts=4)
    others = read_cell(carrier_source(str(more)))
    with pytest.raises(ValueError, match="measured on different prompts"):
        scopes_of([cell, others])
    with pytest.raises(ValueError, match=r"is of Nike, Puma, .* of Nike, Adidas: a category has one set"):
        scopes_of([cell, others._replace(brands=("Nike", "Puma"))])
    with pytest.raises(ValueError, match="two lists are called"):
        sources_of(settings(tmp_path, [shoes, tmp_path / shoes.name]))
    with pytest.raises(ValueError, match="one measured list of a carrier at least"):
        main(ArenaCarriersSettings(tmp_path / "run", ()), "pytest", CONSOLE)
    with pytest.raises(ValueError, match="cap must be one of the caps"):
        settings(tmp_path, [shoes], cap=3.0)
    with pytest.raises(ValueError, match="prices must be one or more different numbers >= 0"):
        settings(tmp_path, [shoes], prices=(-1.0,))
    with pytest.raises(ValueError, match="nosuch: there is no"):
        main(settings(tmp_path / "run", [Path("nosuch.safetensors")]), "pytest", CONSOLE)
    assert not (tmp_path / "run").exists(), "refused before anything is written"
    values_beside(more).unlink()
    with pytest.raises(ValueError, match=r"reply_kl: no value of single replies is kept; `surface read .*` takes them"):
        read_cell(carrier_source(str(more)))


def test_a_column_that_was_not_read_is_said_and_not_made_up(tmp_path: Path) -> None:
    path = write_list(tmp_path / "lists", STRONG, quality=False)
    found = main(settings(tmp_path / "run", [path]), "pytest", CONSOLE)
    assert "`quality`: no value of single replies is kept" in found.section.text
    assert {row["quality"] for row in found.tables.capped} == {None}
    assert {row["against"] for row in found.tables.frontier} == {"reply_kl"}


def test_packaged_lists_are_the_last_version_of_each() -> None:
    names = ["running-shoes-2-neurons@1", "running-shoes-2-neurons@10", "running-shoes-2-neurons@9",
             "running-shoes-2@3", "charities-2-neurons@1", "running-shoes-2-attribution@2"]  # fmt: skip
    assert packaged_lists(names) == ("charities-2-neurons@1", "running-shoes-2-neurons@10")


def test_the_command_replaces_one_section_of_the_page(
    lists: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other sections stay to the letter; the same command twice leaves the same page."""
    page, out = tmp_path / "docs" / "results.md", tmp_path / "run"
    page.parent.mkdir()
    page.write_text(
        "# Results\n\nBy hand.\n\n## Experiments\n\n| experiment | shows | command | minutes | commit |\n"
        "| :-- | --: | --: | --: | --: |\n| [Other](#other) | x | `y` | 0.1 | – |\n\n## Other\n\nKept.\n"
    )
    before = page.read_text()
    chosen = [str(lists[f"running shoes {name}"]) for name in ("slots", "neurons")]
    monkeypatch.setattr("sys.argv", ["auctionsim", "arena", "carriers"])
    command = {"lists": chosen, "caps": "1", "prices": "0", "out": out, "results": page}
    carriers(**command)
    assert "names the brand most often" in capsys.readouterr().out
    assert "frontiers.png" in (out / "report.html").read_text()
    once = page.read_text()
    assert "| [Carriers at equal reply_kl](#carriers-at-equal-reply_kl) | " in once
    assert "## Other\n\nKept.\n\n## Carriers at equal reply_kl\n\n```\nauctionsim arena carriers\n```" in once
    assert (page.parent / "images" / "results" / "arena-carriers-frontiers.png").exists()
    assert once.startswith(before.partition("| [Other]")[0])
    replace_section(page, finished_run(out, "arena-carriers", SHOWS))
    assert page.read_text() == once
    page.write_text("# Other\n")
    with pytest.raises(ValueError, match="is no page of results"):
        replace_section(page, finished_run(out, "arena-carriers", SHOWS))
