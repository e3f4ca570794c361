"""A cell of the board: its range is the list's, its means are the metrics', its draws are paired; cells are kept."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from carrier_fakes import MadeUp, write_list

from auctionsim import metrics
from auctionsim.errors import DamagedFileError, InputError
from auctionsim.experiments.running import board_cells as cells_module
from auctionsim.experiments.running import board_score as score_module
from auctionsim.experiments.running.board_cell import Price, RowName, board_cell_document, board_cell_from
from auctionsim.experiments.running.board_cells import board_cells, planned, stored_board_cells
from auctionsim.experiments.running.board_range import NAMED, prompt_values, view_of
from auctionsim.experiments.running.board_rows import carrier_rows, mechanism_rows, prices_of
from auctionsim.experiments.running.board_score import BoardSettings, board_cell
from auctionsim.experiments.running.carrier_cell import CarrierCell
from auctionsim.experiments.running.carrier_sources import CarrierSource, carrier_source, read_cell
from auctionsim.mechanisms import VCG, PayAsBid
from auctionsim.mechanisms.table import entry
from auctionsim.outcome import Outcome
from auctionsim.priors import product
from auctionsim.records import Record
from auctionsim.regret import ex_post_regret
from auctionsim.seeds import seeded
from auctionsim.substrates import MeasuredList
from auctionsim.testing import check_substrate

FEW = BoardSettings(profiles=64, regret_profiles=8, regret_budget=16, draws=20)
FREE, DEAR = Price("reply_kl", 0.0), Price("reply_kl", 0.25)
WORDS = Price("reply_kl", 0.1, 0.3)


def row(mechanism: str, carrier: str = "logit-bias") -> RowName:
    return RowName("mechanisms", mechanism, carrier, mechanism)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], CarrierSource]:
    folder = tmp_path_factory.mktemp("lists")
    made = {"logit-bias": MadeUp("logit-bias", 2.5, 0.5, steal=0.5), "slots": MadeUp("slots", ads=True)}
    return {
        (name, "running shoes"): carrier_source(str(write_list(folder, one, category="running shoes", brands="A,B")))
        for name, one in made.items()
    }


@pytest.fixture(scope="module")
def cells(sources: Mapping[tuple[str, str], CarrierSource]) -> dict[str, CarrierCell]:
    return {name: read_cell(source) for (name, _), source in sources.items()}


@pytest.mark.parametrize("loss", ["reply_kl", "quality"])
def test_the_range_is_the_list(loss: str) -> None:
    name, price = "charities-2-logit-bias@1", Price(loss, 0.0)
    measured, cell = MeasuredList.packaged(name), read_cell(carrier_source(name))
    for replicate in "AB":
        view = view_of(cell, prompt_values(cell, replicate, price), price)
        there = measured.replicate(replicate).sell(NAMED, loss=loss).finite_range()
        assert torch.allclose(view.exposures, there.exposures[0].double(), atol=1e-6)
        assert torch.allclose(view.user_losses, there.user_losses[0].double(), atol=1e-5)
        assert view.user_losses[0] == 0
        assert (view.features, view.losses) == ((NAMED,), (loss,))


def test_the_range_is_a_substrate(cells: Mapping[str, CarrierCell]) -> None:
    base = view_of(cells["logit-bias"], prompt_values(cells["logit-bias"], "A", FREE), FREE).substrate
    assert base is not None
    check_substrate(base, examples=5)


def test_words_of_ads_are_charged_beside_the_loss(cells: Mapping[str, CarrierCell]) -> None:
    plain, dear = (view_of(cells["slots"], prompt_values(cells["slots"], "B", one), one) for one in (FREE, WORDS))
    assert not plain.user_losses.any(), "the reply's law stays"
    assert dear.user_losses[0] == 0
    assert (dear.user_losses[1:] > 0.3).all(), "two words and more at .3"
    assert dear.losses == ("reply_kl + 0.3 · ad_words",)


def test_means_are_the_metrics_of_a_design_on_a_where_b_pays(cells: Mapping[str, CarrierCell]) -> None:
    cell = cells["logit-bias"]
    views = [view_of(cell, prompt_values(cell, one, DEAR), DEAR) for one in "AB"]
    made = board_cell(row("vcg"), entry("vcg"), cell, DEAR, FEW)
    seed = FEW.seed + score_module._SCORED
    bids = product(score_module.PRIOR, 2, 1).sample(FEW.profiles, seeded(seed), torch.float64)
    outcome, own = VCG(views[0], 0.25)(bids), VCG(views[1], 0.25)(bids)
    scores, loss = made.scores, metrics.user_loss(outcome, views[1], bids)
    revenue = outcome.payments.sum(1)
    assert scores["revenue"] == pytest.approx(float(revenue.mean()), abs=1e-12)
    assert scores["user_loss"] == pytest.approx(float(loss.mean()), abs=1e-12)
    assert scores["objective"] == pytest.approx(float((revenue - 0.25 * loss).mean()), abs=1e-12)
    brought = own.payments.sum(1) - 0.25 * metrics.user_loss(own, views[1], bids)
    assert scores["own_design"] == pytest.approx(float(brought.mean()), abs=1e-12)
    on_a = revenue - 0.25 * metrics.user_loss(outcome, views[0], bids)
    assert scores["objective_A"] == pytest.approx(float(on_a.mean()), abs=1e-12)
    assert scores["objective_A"] != scores["objective"]
    assert (made.regret_is_A, scores["regret_max_A"]) == ("proved 0", 0)
    assert made.tried == 1
    assert scores["reply_kl"] == pytest.approx(scores["user_loss"])


def test_regret_is_that_of_the_deployed_rule(cells: Mapping[str, CarrierCell]) -> None:
    cell = cells["logit-bias"]
    a, b = (view_of(cell, prompt_values(cell, one, FREE), FREE) for one in "AB")
    made = board_cell(row("pay-as-bid"), entry("pay-as-bid"), cell, FREE, FEW)
    few = torch.tensor([[[0.9], [0.7]]], dtype=torch.float64)
    assert ex_post_regret(PayAsBid(a), b, few, high=1.0).max > 0
    assert made.scores["regret"] is not None
    assert made.scores["regret"] > 0.01
    assert made.scores["objective_best_response"] is not None
    assert made.scores["objective_best_response"] < (made.scores["objective"] or 0)
    assert made.scores["ir_max"] == made.scores["ir_draw_max"], "a sure entry is its own draw"


def test_draws_are_paired_over_rows_and_move_with_prompts_and_profiles(cells: Mapping[str, CarrierCell]) -> None:
    cell = cells["logit-bias"]
    settings = FEW._replace(profiles=400, draws=300)
    one, same = (board_cell(row("pay-as-bid"), entry("pay-as-bid"), cell, DEAR, settings) for _ in range(2))
    other = board_cell(row("vcg"), entry("vcg"), cell, DEAR, settings)
    assert one.draws == same.draws
    assert np.mean(one.draws) == pytest.approx(one.scores["objective"], abs=4 * np.std(one.draws) / np.sqrt(300))
    together = np.corrcoef(one.draws, other.draws)[0, 1]
    assert together > 0.5, "both charge the user's loss of the same prompts, on the same profiles"
    assert board_cell(row("vcg"), entry("vcg"), cell, DEAR, settings._replace(seed=1)).draws != other.draws
    assert (len(one.influences), one.spread) == (3, pytest.approx(1.5**0.5)), "three contexts of three prompts"


def test_prompts_count_as_they_move_the_objective(cells: Mapping[str, CarrierCell]) -> None:
    """With the profiles held, the bootstrap's variance is that of stratified means of the influences."""
    settings = FEW._replace(profiles=5000, draws=1000)
    one = board_cell(row("vcg"), entry("vcg"), cells["logit-bias"], DEAR._replace(user_weight=20.0), settings)
    wanted = sum(np.var(some) / len(some) for some in one.influences) / len(one.influences) ** 2
    assert np.var(one.draws) == pytest.approx(wanted, rel=0.2)
    assert not np.any(one.revenue_influences), "what was designed on A is charged whatever B's prompts are"


def test_every_mechanism_that_can_be_designed_on_a_list_has_a_row(cells: Mapping[str, CarrierCell]) -> None:
    names = [one.name for one in mechanism_rows("logit-bias", cells["logit-bias"])]
    assert {"vcg", "pay-as-bid", "optimum", "affine", "kl-tilt"} <= set(names)
    assert "optimum-ignored" not in names
    assert "first-price" not in names
    assert [one.carrier for one in carrier_rows(["slots"])] == ["slots"]
    assert any(price.words for price in prices_of(carrier_rows(["slots"])[0]))


def test_cells_are_kept_and_made_once(
    sources: Mapping[tuple[str, str], CarrierSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row("vcg"), row("pay-as-bid")]
    plans = planned(rows, sources, ["running shoes"], FEW)
    assert len(plans) == len(rows) * len(prices_of(rows[0]))
    names = [one.task.file_name for one in plans]
    assert stored_board_cells(tmp_path, names) == []
    board_cells(tmp_path, plans[:3])
    first = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert len(stored_board_cells(tmp_path, names)) == 3
    calls = []
    make = cells_module.make_board_cell
    monkeypatch.setattr(cells_module, "make_board_cell", lambda task: calls.append(task) or make(task))
    found = board_cells(tmp_path, plans)
    assert len(calls) == len(plans) - 3
    assert [one.row.name for one in found[:8]] == ["vcg"] * 8
    assert all((tmp_path / name).stat().st_mtime_ns == when for name, when in first.items())
    others = planned(rows, sources, ["running shoes"], FEW._replace(seed=1))
    assert not set(names) & {one.task.file_name for one in others}, "another seed is another cell"
    path = tmp_path / plans[0].task.file_name
    path.write_text(path.read_text().replace('"tried": 1', '"tried": 2'))
    with pytest.raises(DamagedFileError, match="is damaged"):
        board_cells(tmp_path, plans)
    with pytest.raises(ValueError, match="vcg needs a measured list of logit-bias for hotels, and there is none"):
        planned(rows[:1], sources, ["hotels"], FEW)


def test_a_cell_reads_back_as_it_was(cells: Mapping[str, CarrierCell]) -> None:
    made = board_cell(row("kl-tilt"), entry("kl-tilt"), cells["slots"], WORDS, FEW)
    document = json.loads(json.dumps(board_cell_document(made)))
    assert board_cell_from(Record(document)) == made
    for name, value in (("regret_is", "sure"), ("draws", [1.0]), ("tried", 0), ("spread", 0.5)):
        with pytest.raises(ValueError, match=name.split("_")[0]):
            board_cell_from(Record({**document, name: value}))


def test_best_responses_are_beside_the_objective_of_the_same_profiles(cells: Mapping[str, CarrierCell]) -> None:
    """Pay as bid answered by bids of nothing: what the first profiles bring more than others is not in it."""
    cell, free = cells["logit-bias"], FEW._replace(profiles=4096)
    b = view_of(cell, prompt_values(cell, "B", FREE), FREE)
    made = board_cell(row("pay-as-bid"), entry("pay-as-bid"), cell, FREE, free)
    design = PayAsBid(view_of(cell, prompt_values(cell, "A", FREE), FREE))
    profiles = score_module._profiles(b, free)
    few = profiles[: free.regret_profiles]
    best = ex_post_regret(design, b, few, budget=free.regret_budget, high=1.0).best_misreports
    change = design(best.to(few)).payments.sum(1) - design(few).payments.sum(1)
    brought = design(profiles).payments.sum(1).mean() + change.mean()
    assert made.scores["objective_best_response"] == pytest.approx(float(brought), abs=1e-12)


def test_rows_are_scored_on_other_profiles_than_knobs_are_tried_on(cells: Mapping[str, CarrierCell]) -> None:
    b = view_of(cells["logit-bias"], prompt_values(cells["logit-bias"], "B", FREE), FREE)
    tried = product(score_module.PRIOR, 2, 1).sample(64, seeded(FEW.seed), torch.float64)
    assert not torch.equal(score_module._profiles(b, FEW), tried)


def test_lists_that_intervals_cannot_be_of_are_refused(cells: Mapping[str, CarrierCell]) -> None:
    whole = cells["logit-bias"]
    one = whole.replicates["B"]
    first = np.array([np.flatnonzero(one.context == k)[0] for k in np.unique(one.context)])
    few = one._replace(
        context=one.context[first], prompts=tuple(one.prompts[k] for k in first), named=one.named[:, first],
        reply_kl=one.reply_kl[:, first], columns={name: some[:, first] for name, some in one.columns.items()},
    )  # fmt: skip
    with pytest.raises(InputError, match="2 prompts or more of each context are needed, got 1"):
        board_cell(row("vcg"), entry("vcg"), whole._replace(replicates={"A": one, "B": few}), FREE, FEW)
    gaps = {**one.columns, "quality": np.where(one.context == 0, np.nan, one.columns["quality"])}
    blank = whole._replace(replicates={"A": one, "B": one._replace(columns=gaps)})
    with pytest.raises(InputError, match="quality cannot be charged: in some context no reply of a setting has it"):
        board_cell(row("vcg"), entry("vcg"), blank, Price("quality", 1.0), FEW)
    assert board_cell(row("vcg"), entry("vcg"), blank, FREE, FEW).scores["quality"] is None


class Everything(PayAsBid):
    """Carries out every setting at once."""

    def clear(self, bids: torch.Tensor, context: torch.Tensor | None) -> Outcome:
        outcome = super().clear(bids, context)
        return outcome._replace(allocation=torch.ones_like(outcome.allocation))


def test_a_row_that_allocates_no_distribution_is_refused(cells: Mapping[str, CarrierCell]) -> None:
    all_at_once = replace(entry("pay-as-bid"), design=lambda problem: Everything(problem.view))
    with pytest.raises(InputError, match="pay-as-bid allocates what is no distribution over the carrier's settings"):
        board_cell(row("pay-as-bid"), all_at_once, cells["logit-bias"], FREE, FEW)


def test_what_cannot_be_made_is_named(sources: Mapping[tuple[str, str], CarrierSource]) -> None:
    one = row("kl-tilt")._replace(name="mine", settings=(("strength", 99.0),))
    (plan, *_) = planned([one], sources, ["running shoes"], FEW)
    with pytest.raises(InputError, match=r"mine on .*logit-bias.*: strength must be one of 0 … 1, got 99"):
        cells_module.make_board_cell(plan.task)
