"""A brand set's subsets: measured once with their geometry, read as smaller brand sets, and judged by stated rules."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from measurement_fakes import SETTINGS, fake_model
from rich.console import Console

from auctionsim.brands import parse_brands
from auctionsim.experiments.running.geometry import geometry_from
from auctionsim.experiments.running.recipes import FanOut, Recipe, carry_out
from auctionsim.experiments.running.run import kept_section
from auctionsim.experiments.running.subsets import surface_of
from auctionsim.experiments.studies.crosstalk import CrosstalkSettings, KeptBrandSets, main, report
from auctionsim.experiments.tables.crosstalk import orthogonality
from auctionsim.prompts import build_prompts
from auctionsim.substrates import MeasuredList

CONSOLE = Console(file=io.StringIO())
RECIPE = Recipe(
    "or,the,to,are",
    settings=replace(SETTINGS, samples=2, max_new_tokens=3, rows=64, num_neurons=(0.0, 8.0)),
    method="attribution",
    subsets=True,
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> MeasuredList:
    found = carry_out(RECIPE, tmp_path_factory.mktemp("subsets"), CONSOLE, FanOut(), model=fake_model())
    assert isinstance(found, MeasuredList)
    return found


def test_every_subset_is_listed_with_the_neurons_geometry(measured: MeasuredList, tmp_path: Path) -> None:
    assert len(measured.allocations) == 2**4
    geometry = geometry_from(measured.provenance["geometry"])
    assert all(matrix.shape == (4, 4) for matrix in geometry)
    assert measured.provenance["method"] == "attribution"
    measured.save(tmp_path / "list.safetensors")
    assert MeasuredList.load(tmp_path / "list.safetensors") == measured
    with pytest.raises(ValueError, match="no attribution_cosine was kept"):
        geometry_from({})


def test_the_same_folder_gives_the_same_list(measured: MeasuredList, tmp_path: Path) -> None:
    first = carry_out(RECIPE, tmp_path, CONSOLE, FanOut(), model=fake_model())
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    again = carry_out(RECIPE, tmp_path, CONSOLE, FanOut(), model=fake_model())
    assert again == first
    units = {path for path in kept if "units" in path.parts}
    assert all(path.stat().st_mtime_ns == kept[path] for path in units)
    torch.testing.assert_close(again.replicates["A"].features.mean, measured.replicates["A"].features.mean)


def test_a_damaged_geometry_is_named(tmp_path: Path) -> None:
    carry_out(RECIPE, tmp_path, CONSOLE, FanOut(), model=fake_model())
    (tmp_path / "geometry.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"geometry\.json is damaged"):
        carry_out(RECIPE, tmp_path, CONSOLE, FanOut(), model=fake_model())


def test_some_brands_are_a_surface_of_their_own(measured: MeasuredList) -> None:
    surface = surface_of(measured, (2, 0)).sell("slot_probability").replicate("B")
    assert surface.provenance["brands"] == [["to"], ["or"]]
    view = measured.sell("slot_probability").replicate("B")
    for states in ((0, 0), (1, 0), (0, 1), (1, 1)):
        small = surface.null_allocation(1, dtype=torch.float64)
        whole = view.null_allocation(1, dtype=torch.float64)
        for place, bidder in enumerate((2, 0)):
            if states[place]:
                small[0, place, 0] = 3.0
                whole[0, bidder] = torch.tensor([8.0, 3.0], dtype=torch.float64)
        torch.testing.assert_close(surface.exposure(small)[0], view.exposure(whole)[0, [2, 0]])
        torch.testing.assert_close(surface.user_loss(small), view.user_loss(whole))


def test_a_brand_set_whose_subsets_are_not_all_there_is_refused(measured: MeasuredList) -> None:
    fewer = MeasuredList(
        levers=measured.levers,
        allocations=measured.allocations[:5],
        features=measured.measured_features,
        contexts=measured.contexts,
        replicates={
            name: one._replace(
                features=type(one.features)(*(part[:, :5] for part in one.features)),
                losses={"kl": type(one.losses["kl"])(*(part[:, :5] for part in one.losses["kl"]))},
                diagnostics={},
            )
            for name, one in measured.replicates.items()
        },
        provenance=measured.provenance,
    )
    with pytest.raises(ValueError, match="a subset of these brands is not on the list"):
        surface_of(fewer, (0, 1))


def test_a_report_is_made_from_lists_alone(measured: MeasuredList, tmp_path: Path) -> None:
    (found,) = report(KeptBrandSets(("fake",), tmp_path), [measured], "pytest", CONSOLE)
    pairs = pd.read_parquet(tmp_path / "pairs.parquet")
    assert len(pairs) == 4 * 3 * len(measured.measured_features)
    own = pairs[(pairs.brand == "or") & (pairs.rival == "the") & (pairs.quantity == "hits")].iloc[0]
    assert own["both"] == found.effect(("or", "the"), "or", "hits").mean
    section = kept_section(tmp_path)
    assert "6 pairs and 4 triples" in section.text
    assert [claim.name for claim in section.claims] == ["orthogonality"]
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in section.figures)
    assert json.loads((tmp_path / "run.json").read_text())["inputs"] == {"0": measured.digest}


def test_brand_sets_are_measured_on_a_model_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "auctionsim.experiments.studies.crosstalk.MeasurementSettings",
        lambda *_, **counts: replace(RECIPE.settings, seed=counts["seed"]),
    )
    brand_sets = (("running shoes", parse_brands("or,the")), ("coffee", parse_brands("to,are")))
    settings = CrosstalkSettings(brand_sets, tmp_path, num_neurons=8, amplification=3.0, method="attribution")
    found = main(settings, fake_model(), build_prompts, "pytest", CONSOLE)
    assert [brand_set.category for brand_set in found] == ["running shoes", "coffee"]
    assert (tmp_path / "coffee" / "list.safetensors").is_file()
    assert "2 pairs and 0 triples of rivals in 2 brand sets" in kept_section(tmp_path).text
    assert main(settings, fake_model(), build_prompts, "pytest", CONSOLE)[1].effects == found[1].effects


@pytest.mark.parametrize(
    ("orthogonal", "apart", "verdict"),
    [(10, 0, "holds"), (10, 5, "holds in part"), (2, 0, "holds in part"), (2, 5, "does not hold")],
)
def test_the_verdict_follows_its_rule(orthogonal: int, apart: int, verdict: str) -> None:
    assert orthogonality(orthogonal, 10, apart, 20).verdict == verdict


def test_subsets_and_a_file_of_allocations_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="either subsets are measured or the allocations"):
        Recipe("or,the", allocations_file=tmp_path / "list.json", subsets=True)
