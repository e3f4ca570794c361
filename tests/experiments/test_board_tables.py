"""The board on made-up cells: ranks, lotteries at equal reply_kl, verdicts by rule, the section."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from board_fakes import CONTEXTS, MAIN, PROMPTS, fake_board, fake_cell, fake_entry, prompt_noise
from rich.console import Console

from auctionsim.experiments.entries import IN_EXPECTATION, NEITHER, TRUTHFUL
from auctionsim.experiments.running.board_cell import MECHANISMS, SYSTEMS, BoardCell, Price
from auctionsim.experiments.running.run import Run
from auctionsim.experiments.tables.board_lotteries import capped_cell, capped_ranks
from auctionsim.experiments.tables.board_ranks import (
    AFTER,
    contenders,
    gap,
    interval,
    rank_rows,
    word_ranks,
)
from auctionsim.experiments.tables.board_scores import best_optima, cell_rows, regret_columns, score_lines, small
from auctionsim.experiments.tables.board_section import board_section, headlines
from auctionsim.experiments.tables.board_tables import BoardNames, board_tables
from auctionsim.experiments.tables.board_verdicts import BROKEN, HELD, UNCLAIMED, UNVIOLATED, verdict
from auctionsim.experiments.tables.carrier_orders import TOGETHER
from auctionsim.experiments.tables.loss_matrix import rows_of
from auctionsim.report import write_runs_report


@dataclass(frozen=True)
class Plan:
    """Of a run that only has a page."""

    folder: Path


NAMES = BoardNames({name: fake_entry(name) for name in ("first", "second", "third")}, {}, {})


@pytest.fixture(scope="module")
def board() -> list[BoardCell]:
    return fake_board()


def test_rows_share_a_rank_unless_their_paired_interval_excludes_0() -> None:
    """What prompts add is the same for all, so a small difference is told; where it is not the same, none is."""
    shared = prompt_noise(0)
    rows = [fake_cell("a", shared), fake_cell("b", shared - 0.01), fake_cell("c", prompt_noise(1) - 0.005)]
    ranks = rank_rows(rows, MAIN, "running shoes")
    by_name = {row["name"]: row for row in ranks}
    assert [row["name"] for row in ranks] == sorted(by_name, key=lambda name: -by_name[name]["objective"])
    assert {row["rank"] for row in ranks} == {1}, "c is told apart from neither, so all share one rank"
    assert by_name["a"]["worst_rank"] == 2, "but b is told to be below a"
    assert by_name["b"]["best_rank"] == 2
    assert [row["rank"] for row in rank_rows(rows[:2], MAIN, "running shoes")] == [1, 2]
    assert ranks[0]["resolved"] > 0


def test_a_difference_has_students_interval_of_the_draws() -> None:
    from scipy.stats import t

    one, other = fake_cell("a", prompt_noise(0) + 0.2), fake_cell("b", prompt_noise(1))
    (a,), (b,) = (contenders([cell], MAIN, "running shoes") for cell in (one, other))
    found = gap(a, b)
    error = np.std(np.subtract(one.draws, other.draws), ddof=1) * (PROMPTS / (PROMPTS - 1)) ** 0.5
    variances = np.var(prompt_noise(0) - prompt_noise(1), axis=1, ddof=1) / PROMPTS / CONTEXTS**2
    half = t.ppf(0.975, error**4 / (variances**2 / (PROMPTS - 1)).sum()) * error
    middle = one.scores["objective"] - other.scores["objective"]  # type: ignore[operator]
    assert found == pytest.approx((middle, middle - half, middle + half))
    assert gap(a, a) == (0, 0, 0)
    with pytest.raises(ValueError, match="not drawn together"):
        gap(a, contenders([other._replace(category="charities")], MAIN, TOGETHER)[0])


def test_categories_together_are_their_mean_and_steadier(board: Sequence[BoardCell]) -> None:
    own = [cell for cell in board if cell.row.name == "first"]
    parts = [interval(contenders(own, MAIN, name)[0]) for name in ("running shoes", "charities")]
    whole = interval(contenders(own, MAIN, TOGETHER)[0])
    assert whole.mean == pytest.approx(sum(part.mean for part in parts) / 2)
    assert whole.high - whole.low < max(part.high - part.low for part in parts)
    with pytest.raises(ValueError, match="two cells are of first"):
        contenders([*own, own[0]], own[0].price, TOGETHER)
    lacking = [cell for cell in board if (cell.row.name, cell.category) != ("second", "charities")]
    names = {one.row.name for one in contenders(lacking, MAIN, TOGETHER)}
    assert "second" not in names, "a row is among all categories together only where it has all of them"


def test_systems_after_the_reply_stand_apart_but_for_words(board: Sequence[BoardCell]) -> None:
    tables = board_tables(board, NAMES, (0.5, 1.0), 0.1)
    assert {row["name"] for row in rows_of(tables.ranks, {"block": AFTER})} == {"third"}
    assert {row["name"] for row in rows_of(tables.ranks, {"block": SYSTEMS})} == {"first", "second"}
    assert {row["name"] for row in tables.after} == {"third"}
    assert not [row for row in tables.ranks if row["words"]]
    order = {row["words"]: row["name"] for row in word_ranks(board, 0.1) if row["rank"] == 1}
    assert order.keys() == {0.0, 0.03, 0.1}
    dear = rows_of(tables.words, {"words": 0.1})
    assert [row["name"] for row in dear] == ["first", "third", "second"]
    assert rows_of(tables.words, {"words": 0.0, "name": "third"})[0]["rank"] == 1
    assert {row["block"] for row in tables.capped} == {SYSTEMS, MECHANISMS}


def designs_of(board: Sequence[BoardCell]) -> list[BoardCell]:
    own = [c for c in board if c.row.name == "first" and c.category == "charities"]
    return [cell for cell in own if cell.price.loss == "reply_kl" and not cell.price.words]


def earning(cell: BoardCell, revenue: float) -> BoardCell:
    return cell._replace(scores={**cell.scores, "revenue": revenue})


def test_a_lottery_spends_its_cap_and_earns_most_there(board: Sequence[BoardCell]) -> None:
    designs = designs_of(board)
    rising = [earning(cell, cell.scores["reply_kl"] or 0.0) for cell in designs]
    for cap in (0.0, 0.3, 1.0, 2.0, 9.0):
        held = capped_cell(rising, cap)
        assert held is not None
        assert held.scores == pytest.approx({"reply_kl": min(cap, 2.5), "revenue": min(cap, 2.5)})
        assert sum(held.settings.values()) <= 1 + 1e-12
    free = capped_cell([earning(cell, 0.1 * (cell.price.user_weight == 0.25)) for cell in designs], 9.0)
    assert free is not None
    assert free.settings == {"0.25": 1.0}, "a dearer design that earns nothing is not taken"
    unread = [cell._replace(scores={**cell.scores, "reply_kl": None}) for cell in designs]
    assert capped_cell(unread, 1.0) is None
    rows = [*capped_ranks(board, (0.0,))]
    assert {row["lottery"] for row in rows if row["category"] == "charities"} == {"nobody is shown"}


def test_what_prompts_move_the_cost_by_is_in_the_interval_of_a_lottery(board: Sequence[BoardCell]) -> None:
    """At a cap that holds, a nat is worth the slope; where it does not hold, revenue is what was charged."""
    last = designs_of(board)[:1]
    held, whole = capped_cell(last, 1.0), capped_cell(last, 9.0)
    assert held is not None
    assert whole is not None
    (design,) = last
    revenue, cost = design.scores["revenue"] or 0.0, design.scores["reply_kl"] or 0.0
    wanted = np.array(design.revenue_draws) / cost - revenue / cost * np.array(design.cost_draws) / cost
    assert held.revenue_draws == pytest.approx(wanted)
    assert np.array(held.revenue_influences) == pytest.approx(
        np.array(design.revenue_influences) / cost - revenue / cost * np.array(design.cost_influences) / cost
    )
    assert whole.revenue_draws == design.revenue_draws


@pytest.mark.parametrize(
    ("claim", "kind", "largest", "wanted"),
    [
        (TRUTHFUL, "proved 0", 0.0, HELD),
        (TRUTHFUL, "exact", 1e-6, HELD),
        (IN_EXPECTATION, "lower bound", 1e-7, UNVIOLATED),
        (TRUTHFUL, "exact", 2e-6, BROKEN),
        (IN_EXPECTATION, "lower bound", 0.2, BROKEN),
        (NEITHER, "exact", 0.2, UNCLAIMED),
        (NEITHER, "exact", 0.0, UNCLAIMED),
    ],
)
def test_verdicts_are_a_rule_on_regret_where_it_was_designed(
    claim: str, kind: str, largest: float, wanted: str
) -> None:
    """A claim is broken by one cell of many, and one cell that was only searched leaves it without a proof."""
    whole = fake_cell("x", prompt_noise(0), kinds=("proved 0", "exact"))
    worst = fake_cell(
        "x", prompt_noise(0), kinds=(kind, "lower bound"), category="charities",
        regret_max_A=largest, regret_A=largest / 4, regret_max=0.5, regret=0.125,
    )  # fmt: skip
    found = verdict(fake_entry("x", claim), [whole, worst])
    assert found.verdict == wanted
    assert "on other prompts" in found.sentence
    assert "a bidder gains up to at least 0.500 (0.0625 on average)" in found.sentence
    if wanted == BROKEN:
        assert f"Claimed {claim}; broken on this exposure: a bidder gains up to" in found.sentence
        assert "charities, reply_kl at 0.1" in found.sentence
    if kind == "lower bound" and wanted == BROKEN:
        assert "at least 0.200 (0.0250 on average)" in found.sentence


def test_a_lower_bound_is_marked(board: Sequence[BoardCell]) -> None:
    bound = fake_cell("x", prompt_noise(0), kinds=("exact", "lower bound"), regret=0.01, regret_max=0.02)
    assert regret_columns([bound]) == {"regret, largest": "≥ 0.0100, ≥ 0.0200", "regret, largest (A)": "0, 0"}
    assert small(None) == "–"
    poor = board[0]._replace(scores={**board[0].scores, "optimum": 0.001})
    assert next(iter(cell_rows([poor], best_optima(board))))["optimum_share"] is None, "a share of noise"
    first = next(iter(cell_rows(board[:1], best_optima(board))))
    assert first["deployed_gap"] == pytest.approx(0.01)
    assert first["optimum_share"] == pytest.approx(first["objective"] / 0.5)


def test_the_page_hides_no_row_and_tells_what_is_sold(board: Sequence[BoardCell]) -> None:
    tables = board_tables(board, NAMES, (0.5, 1.0), 0.1)
    section = board_section(board, tables, NAMES, (MAIN, Price("quality", 1.0)), ["A gap."], {})
    assert section.text.endswith("A gap.")
    for entry in NAMES.systems.values():
        for words in (entry.label, entry.sold, entry.pays, entry.claims, entry.citation, entry.assumed):
            assert words in section.text
    assert re.search(
        r"\*\*Verdict: broken\.\*\* Claimed truthful; broken on this exposure: a bidder gains up to 0\.250",
        section.text,
    )
    lines = [*score_lines(board, rows_of(tables.ranks, {"block": SYSTEMS}), MAIN)]
    assert [line["row"] for line in lines] == ["The first system", "The second system"]
    assert lines[1]["rank"] == "2"
    told = [*headlines(tables, MAIN)]
    assert len(told) == 3
    assert "The first system brings most on B" in told[0]
    assert "every other of the 2 is told to be below it" in told[0]
    assert "The smallest difference that is told for sure" in told[0]


@pytest.mark.deep
@pytest.mark.parametrize("scales", [(0.05, 0.05, 0.05), (0.02, 0.05, 0.1), (0.0, 0.0, 0.1)])
@pytest.mark.parametrize("categories", [1, 2])
def test_equal_laws_are_told_apart_in_one_of_twenty(scales: tuple[float, ...], categories: int) -> None:
    """Rows of one law whose prompts add noise of their own, in contexts that are alike and that are not."""
    told, times = 0, 2000
    for seed in range(times):
        cells = [
            fake_cell(name, prompt_noise(1000 * seed + 10 * c + k, scales), category=str(c))
            for c in range(categories)
            for k, name in enumerate("ab")
        ]
        a, b = contenders(cells, MAIN, TOGETHER)
        found = gap(a, b)
        told += found.low > 0 or found.high < 0
    print(f"told apart: {told / times:.4f} at {scales}, {categories} categories")
    assert told / times <= 0.05 + 3 * (0.05 * 0.95 / times) ** 0.5


def test_a_systems_text_is_one_line_and_no_markup(board: Sequence[BoardCell], tmp_path: Path) -> None:
    """What one's own entry says can neither put a verdict of its own on the page nor a script."""
    forged = "<script>alert(1)</script> | a |\n\n**Verdict: held where it was designed.** Proved.\n\n# Yes"
    entry = replace(fake_entry("second"), label=f"Second {forged}", assumed=forged)
    names = NAMES._replace(systems={**NAMES.systems, "second": entry})
    section = board_section(board, board_tables(board, names, (0.5,), 0.1), names, (MAIN,), [], {})
    assert not re.search(r"^(\*\*Verdict|# Yes)", section.text, flags=re.MULTILINE)
    tables = {"verdicts": [{"label": entry.label}]}
    Run(tmp_path, Plan(tmp_path), {}).finish(tables, section, command="run", console=Console(quiet=True))
    html = write_runs_report([tmp_path], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert" not in html
    rows = [row for row in re.findall(r"<tr>(.*?)</tr>", html, flags=re.DOTALL) if "Second &lt;script" in row]
    assert rows
    assert all("Yes" in row for row in rows), "a cell ends where the table says"
