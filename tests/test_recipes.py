"""Recipes are carried out whole, into files that are never overwritten; the tables read what is there."""

import io
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from measurement_fakes import SETTINGS, fake_model
from rich.console import Console
from typer.testing import CliRunner

from auctionsim.cli import app
from auctionsim.data import DEFAULT_SURFACE, packaged_names
from auctionsim.experiments.running.measured import measured_named
from auctionsim.experiments.running.recipes import PACKAGED, FanOut, Recipe, carry_out, package, read_allocations
from auctionsim.experiments.tables.measured import measured_tables
from auctionsim.measurement import MeasurementSettings
from auctionsim.substrates import MeasuredList, ResponseSurface

SMALL = replace(SETTINGS, samples=2, max_new_tokens=3, rows=64, num_neurons=(0.0, 8.0))
CONSOLE = Console(file=io.StringIO())


def test_packaging_never_overwrites(tmp_path: Path) -> None:
    recipes = {"fake-1@1": Recipe("or", settings=SMALL), "fake-2@1": Recipe("or,the", settings=SMALL)}

    def run(*names: str) -> list[Path]:
        into = tmp_path / "surfaces"
        return package(list(names), into, tmp_path / "runs", CONSOLE, FanOut(), recipes=recipes, model=fake_model())

    assert [path.name for path in run("fake-1@1")] == ["fake-1@1.safetensors"]
    before = (tmp_path / "surfaces" / "fake-1@1.safetensors").read_bytes()
    with pytest.raises(ValueError, match="fake-1@1 is there, and names are immutable"):
        run("fake-1@1")
    with pytest.raises(ValueError, match="no recipe is called 'fake-9@1'; there are: fake-1@1, fake-2@1"):
        run("fake-9@1")
    assert [path.name for path in run()] == ["fake-2@1.safetensors"]  # what is missing
    with pytest.raises(ValueError, match="are there, and names are immutable"):
        run()
    assert (tmp_path / "surfaces" / "fake-1@1.safetensors").read_bytes() == before
    surface = ResponseSurface.load(tmp_path / "surfaces" / "fake-2@1.safetensors")
    assert surface.measured_features == ("slot_probability", "mention_probability", "hits", "intent")
    assert surface.provenance["command"] == recipes["fake-2@1"].command + " --dtype float32"
    assert surface.provenance["category"] == "running shoes"


def test_the_packaged_recipes_are_new_small_and_disjoint_from_what_is_there() -> None:
    assert DEFAULT_SURFACE in packaged_names()
    for name, recipe in PACKAGED.items():
        assert name.startswith(f"{'-'.join(recipe.category.split())}-{len(recipe.bidders)}")
        assert len(recipe.prompts.contexts) >= 3
        cells, contexts, numbers = 1, len(recipe.prompts.contexts), 4 * len(recipe.bidders) + 3
        if recipe.allocations is None:
            for grid in recipe.settings.grids:
                cells *= len(grid.values) ** len(recipe.bidders)
        else:
            assert recipe.subsets
            cells = len(recipe.allocations)
        assert cells * contexts * numbers * 2 * 3 * 8 < 16_000_000  # distinct ones are far fewer


def test_the_command_of_a_recipe_measures_that_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What provenance says, typed again, asks for the same settings."""
    asked: list[Recipe] = []
    monkeypatch.setattr("auctionsim.experiments.running.recipes.carry_out", lambda recipe, *_: asked.append(recipe))
    adaptive = MeasurementSettings((0.0, 8.5), (1.0, 1.25), half_width=0.1, interval="jeffreys", seed=3, mode="add")
    for recipe in (*PACKAGED.values(), Recipe("Coca-Cola|Coke,Pepsi", "soft drinks", adaptive)):
        words = shlex.split(recipe.command)[1:]
        done = CliRunner().invoke(app, [*words, "--out", str(tmp_path)])
        assert done.exit_code == 0, done.output
        assert asked.pop() == recipe


def test_four_brands_become_a_list_and_tables_show_it(tmp_path: Path) -> None:
    recipe = Recipe("or,the,to,are", settings=SMALL)
    listed = carry_out(recipe, tmp_path, CONSOLE, FanOut(), model=fake_model())
    assert isinstance(listed, MeasuredList)
    assert len(listed.allocations) == 1 + 4 + 6 + 1
    again = measured_named(str(tmp_path / "list.safetensors"))
    assert again == listed
    tables = list(measured_tables(again))
    assert [table.row_count for table in tables] == [12] * 4
    assert next(iter(tables[0].columns[0].cells)) == "nobody"


def test_a_fixed_lever_is_named_in_the_tables(tmp_path: Path) -> None:
    carry_out(
        Recipe("or", settings=replace(SMALL, num_neurons=(8.0,))), tmp_path, CONSOLE, FanOut(), model=fake_model()
    )
    (table,) = measured_tables(measured_named(str(tmp_path / "surface.safetensors")))
    assert "num_neurons 8" in str(table.title)
    assert str(table.columns[0].header) == "amplification"


def test_the_old_surface_shows_its_three_features() -> None:
    tables = list(measured_tables(measured_named("running-shoes-2@1")))
    assert [str(column.header) for column in tables[0].columns][2:] == [
        *("slot_probability", "mention_probability", "hits", "user_loss (kl, nats a token)"),
    ]


def test_allocations_are_read_from_json(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    entries = [[[0, 1], [0, 1]], [[8, 2], [0, 1]]]
    path.write_text(json.dumps(entries))
    assert torch.equal(read_allocations(path), torch.tensor(entries, dtype=torch.float64))
    assert Recipe("or,the", allocations_file=path).allocations is not None
    for text in ("{", "[]", "[[1, 2]]", '[[[1, "a"]]]', "[[[1, 2]], [[1, 2], [3, 4]]]", "null"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"list\.json"):
            read_allocations(path)
    with pytest.raises(ValueError, match="cannot read allocations"):
        read_allocations(tmp_path / "none.json")
