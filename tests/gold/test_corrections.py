"""A measured loss corrected by a sheet: what it is, what errors it has, and what does not belong to it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from gold_fakes import LOSS, change_rows, fill, filled_sheet, is_bad, opened, small_run, write_small_sheet

from auctionsim.errors import InputError, UnsupportedError
from auctionsim.gold.between_cells import between_cells
from auctionsim.gold.corrections import PROVENANCE, correct_loss
from auctionsim.gold.filled_sheets import SheetLabels, read_sheet
from auctionsim.gold.judged_means import on_interventions
from auctionsim.readings import TextReading, reading, register, unregister
from auctionsim.substrates import ResponseSurface


@pytest.fixture(scope="module")
def labels(run: Path, tmp_path_factory: pytest.TempPathFactory) -> SheetLabels:
    return filled_sheet(run, tmp_path_factory.mktemp("sheet") / "sheet.csv")


def test_labels_make_a_loss_with_larger_errors_that_says_where_it_came_from(run: Path, labels: SheetLabels) -> None:
    measured, stored = opened(run)
    found = correct_loss(measured, stored, labels, LOSS)
    for name in "AB":
        before, after = (one.replicates[name].losses[LOSS] for one in (measured, found.measured))
        assert (after.standard_error >= before.standard_error).all()
        assert (after.standard_error[:, 0, 1:] > before.standard_error[:, 0, 1:]).all()
        assert (after.mean[:, 0, 0] == 0).all()
        assert (after.standard_error[:, 0, 0] == 0).all()
        assert torch.equal(after.n, before.n)
        assert torch.equal(found.measured.replicates[name].features.mean, measured.replicates[name].features.mean)
    record = found.measured.provenance[PROVENANCE]
    assert record["by"] == {"rule: loops": 72}
    assert record["of"] == measured.digest != found.measured.digest
    assert found.measured.units[LOSS] == "probability of a bad reply"
    assert "72 gold labels" in found.measured.bases[LOSS]


def test_the_corrected_loss_is_nearer_to_the_truth_than_the_judge(run: Path, labels: SheetLabels) -> None:
    """The judge's share of repeated words is half the probability of a loop; labels say how much it is."""
    measured, stored = opened(run)
    found = correct_loss(measured, stored, labels, LOSS)
    dose = measured.finite_range().allocations.double().mean((1, 2)).numpy()
    for name in "AB":
        before, after = (
            on_interventions(one, one.replicates[name].losses[LOSS].mean).numpy() for one in (measured, found.measured)
        )
        truth = 0.6 * dose
        assert np.abs(after - truth).mean() < 0.7 * np.abs(before - truth).mean()


def test_the_loss_is_the_judges_rise_and_the_rectifiers(run: Path, labels: SheetLabels) -> None:
    measured, stored = opened(run)
    found = correct_loss(measured, stored, labels, LOSS)
    dose = measured.finite_range().allocations.double().mean((1, 2)).numpy()
    for name in "AB":
        before, after = (
            on_interventions(one, one.replicates[name].losses[LOSS].mean).numpy() for one in (measured, found.measured)
        )
        slope = found.cells[name].coefficients[1]
        np.testing.assert_allclose(after, before + slope * dose, atol=1e-12)


def test_each_replicate_is_corrected_by_its_own_labels(run: Path, tmp_path: Path) -> None:
    measured, stored = opened(run)
    plain = filled_sheet(run, tmp_path / "plain.csv")
    write_small_sheet(run, tmp_path / "other.csv")
    fill(tmp_path / "other.csv")
    of_b = {row.id for row in plain.key.rows if row.replicate == "B"}
    change_rows(
        tmp_path / "other.csv",
        lambda rows: [{**row, "bad": str(1 - int(row["bad"])) if row["id"] in of_b else row["bad"]} for row in rows],
    )
    one, other = (correct_loss(measured, stored, read_sheet(tmp_path / f"{k}.csv"), LOSS) for k in ("plain", "other"))
    losses = [[c.measured.replicates[name].losses[LOSS].mean for c in (one, other)] for name in "AB"]
    assert torch.equal(*losses[0])
    assert not torch.equal(*losses[1])


def test_what_is_saved_keeps_the_covariance_between_cells(run: Path, labels: SheetLabels, tmp_path: Path) -> None:
    measured, stored = opened(run)
    found = correct_loss(measured, stored, labels, LOSS)
    found.measured.save(tmp_path / "corrected.safetensors")
    loaded = ResponseSurface.load(tmp_path / "corrected.safetensors")
    assert loaded == found.measured
    for name in "AB":
        again, whole = between_cells(loaded, name), found.loss_covariance[name]
        np.testing.assert_allclose(np.diag(again), np.diag(whole), atol=1e-12)
        assert np.abs(again - whole).max() < 0.15 * np.abs(whole).max()
        assert np.linalg.eigvalsh(whole).min() > -1e-12
        off = whole[1:9, 1:9][~np.eye(8, dtype=bool)]
        assert (off > 0).all()


def test_how_it_goes_with_other_losses_is_not_known_any_more(run: Path, labels: SheetLabels) -> None:
    measured, stored = opened(run)
    corrected = correct_loss(measured, stored, labels, LOSS).measured
    both = {"length": 0.01, LOSS: 1.0}
    assert measured.sell("mention_probability", loss=both).error_is_exact
    assert not corrected.sell("mention_probability", loss=both).error_is_exact


def test_a_sheet_of_another_measurement_or_of_other_replies_is_refused(
    run: Path, labels: SheetLabels, tmp_path: Path
) -> None:
    other = small_run(tmp_path, seed=1)
    measured, stored = opened(run)
    with pytest.raises(InputError, match=r"the sheet is of the measurement small .*, not of this one"):
        correct_loss(*opened(other), labels, LOSS)
    with pytest.raises(InputError, match="drawn from other replies"):
        correct_loss(measured, opened(other)[1], labels, LOSS)
    first = labels.labels[0]
    for change, message in (
        ({"number": 9999}, "reply 9999, which is not in the run"),
        ({"context": 1 - first.row.context}, "in another cell"),
    ):
        row = type(first.row)(**{**vars(first.row), **change})
        with pytest.raises(InputError, match=message):
            correct_loss(measured, stored, labels._replace(labels=(first._replace(row=row), *labels.labels[1:])), LOSS)


def test_a_corrected_measurement_is_not_corrected_again(run: Path, labels: SheetLabels) -> None:
    measured, stored = opened(run)
    corrected = correct_loss(measured, stored, labels, LOSS).measured
    with pytest.raises(InputError, match="corrected by gold labels already"):
        correct_loss(corrected, stored, labels, LOSS)
    with pytest.raises(InputError, match="corrected by gold labels only"):
        between_cells(measured, "A")


def test_a_loss_that_is_no_probability_or_was_not_measured_is_refused(run: Path, labels: SheetLabels) -> None:
    measured, stored = opened(run)
    with pytest.raises(UnsupportedError, match="a score of single texts from 0 to 1"):
        correct_loss(measured, stored, labels, "length")
    with pytest.raises(InputError, match="'quality' was not measured, there are: length, window_word_repetition"):
        correct_loss(measured, stored, labels, "quality")


def test_another_basis_of_the_judge_is_refused(run: Path, labels: SheetLabels) -> None:
    measured, stored = opened(run)
    was = reading(LOSS)
    unregister(LOSS)
    register(
        TextReading(
            LOSS, "share", per="reply", bounds=(0.0, 1.0), loss=was.loss, basis=lambda: "a prompt", admission="0"
        )
    )
    try:
        with pytest.raises(InputError, match="measured on 'its code' and rests on 'a prompt' now"):
            correct_loss(measured, stored, labels, LOSS)
    finally:
        unregister(LOSS)
        register(was)


def test_labels_of_one_replicate_alone_are_refused(run: Path, labels: SheetLabels) -> None:
    only_a = labels._replace(labels=tuple(one for one in labels.labels if one.row.replicate == "A"))
    with pytest.raises(InputError, match="no reply of replicate B has a label"):
        correct_loss(*opened(run), only_a, LOSS)


def test_the_truth_of_the_fakes_is_what_the_dose_says(run: Path) -> None:
    _, stored = opened(run)
    bad = [is_bad(reply.text) for reply in stored.kept.replies if reply.intervention == 8]
    assert 0.5 < np.mean(bad) < 0.9
