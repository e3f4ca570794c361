"""Slot probability by kind of stem: the table holds the measured means, and nothing where kinds were not measured."""

import pytest
import torch
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts

from auctionsim.experiments.tables.stem_kinds import stem_kinds_prose
from auctionsim.measurement import measure
from auctionsim.substrates import ResponseSurface


@pytest.fixture(scope="module")
def surface(tmp_path_factory: pytest.TempPathFactory) -> ResponseSurface:
    model = fake_model()
    return measure(tmp_path_factory.mktemp("kinds"), model, fake_neurons(model), fake_prompts(), SETTINGS)


def test_the_table_holds_both_kinds_in_both_replicates(surface: ResponseSurface) -> None:
    text = stem_kinds_prose(surface, ("or", "the"), "24×3")
    assert [f"{name}, {kind}" in text for name in "AB" for kind in ("calling", "passing")] == [True] * 4
    first = next(line for line in text.splitlines() if line.startswith("| or |"))
    for cell, name, kind in zip(first.split("|")[2:6], "AABB", ("calling", "passing") * 2, strict=True):
        mean = surface.replicates[name].diagnostics[f"{kind}_slot_probability"].mean  # (context, n, a, n, a, bidder)
        untouched, strongest = (part.split("±")[0].strip() for part in cell.split("→"))
        assert float(untouched) == pytest.approx(float(mean[:, 0, 0, 0, 0, 0].mean()), abs=6e-3)
        assert float(strongest) == pytest.approx(float(mean[:, -1, -1, 0, 0, 0].mean()), abs=6e-3)


def test_both_kinds_average_to_what_is_sold(surface: ResponseSurface) -> None:
    for replicate in surface.replicates.values():
        kinds = [replicate.diagnostics[f"{kind}_slot_probability"].mean for kind in ("calling", "passing")]
        slot = replicate.features.mean[..., surface.features.index("slot_probability")]
        torch.testing.assert_close((kinds[0] + kinds[1]) / 2, slot)


def test_surfaces_without_kinds_have_no_table() -> None:
    assert stem_kinds_prose(ResponseSurface.packaged("running-shoes-2@2"), ("Nike", "Adidas"), "512×2") == ""
