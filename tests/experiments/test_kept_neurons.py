"""Kept neurons are taken up by the run that they were found for, and by no other; nothing of one run names another."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from measurement_fakes import SETTINGS, fake_model
from rich.console import Console

from auctionsim.brands import Brand, parse_brands
from auctionsim.experiments.running.kept_neurons import kept_neurons
from auctionsim.experiments.running.preparation import Stages
from auctionsim.experiments.running.recipes import FanOut, Recipe, carry_out
from auctionsim.experiments.studies import say
from auctionsim.language_models import LanguageModel
from auctionsim.neurons import BrandNeurons
from auctionsim.prompts import PromptSet, build_prompts
from auctionsim.substrates import ResponseSurface
from auctionsim.testing import fake_language_model

CONSOLE = Console(file=io.StringIO())
SMALL = replace(SETTINGS, samples=2, max_new_tokens=2, rows=64, num_neurons=(0.0, 8.0))


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return fake_model()


@pytest.fixture(autouse=True)
def sought(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Neurons that are drawn take no time to find; each search is noted."""
    calls: list[int] = []

    def identify(
        model: LanguageModel,
        brands: tuple[Brand, ...],
        asked: PromptSet,
        method: str,
        *,
        num_neurons: int,
        seed: int,
        **_: object,
    ) -> BrandNeurons:
        calls.append(seed)
        drawn = torch.randperm(model.num_layers * model.num_neurons, generator=torch.Generator().manual_seed(seed))
        ranking = drawn[: len(brands) * num_neurons].view(len(brands), -1)
        ones = torch.ones(len(brands), model.num_layers, model.num_neurons)
        return BrandNeurons(brands, ranking, ranking.float(), ones, method, model.identity, asked.digest)

    monkeypatch.setattr("auctionsim.experiments.running.kept_neurons.identify", identify)
    monkeypatch.setattr(say, "identify", identify)
    return calls


def prompts() -> PromptSet:
    whole = build_prompts("running shoes")
    return PromptSet(whole.contexts[:1], (whole.prompts[0][:8],))


def other_stem() -> PromptSet:
    whole = prompts()
    first = next(k for k, stem in enumerate(whole.stems) if stem.split == "identify")
    stem = whole.stems[first]._replace(text="Nobody will ever say")
    return replace(whole, stems=(*whole.stems[:first], stem, *whole.stems[first + 1 :]))


def found(
    folder: Path,
    model: LanguageModel,
    *,
    brands: str = "or,the",
    asked: PromptSet | None = None,
    count: int = 8,
    seed: int = 0,
    method: str = "attribution",
) -> BrandNeurons:
    how = (folder, model, parse_brands(brands), prompts() if asked is None else asked, count, seed)
    with Stages(CONSOLE) as stages:
        return kept_neurons(*how, stages, method=method, command="auctionsim …")


CHANGES = {
    "seed": ({"seed": 1}, "seed 0, not 1"),
    "count": ({"count": 9}, "num_neurons 8, not 9"),
    "method": ({"method": "contrastive"}, 'method "attribution", not "contrastive"'),
    "alias": ({"brands": "or|nor,the"}, "brands "),
    "spelling": ({"brands": "or:case,the"}, "brands "),
    "stem": ({"asked": other_stem()}, "prompts "),
    "dtype": ({"model": lambda: fake_language_model(end_gain=2.5, dtype=torch.bfloat16)}, '"float32", not "bfloat16"'),
    "model": ({"model": lambda: fake_language_model(3)}, "model "),
    "system prompt": ({"model": lambda: replace(fake_model(), system="Be brief.")}, "model "),
}


@pytest.mark.parametrize("name", CHANGES)
def test_neurons_of_another_run_are_refused_and_stay(name: str, model: LanguageModel, tmp_path: Path) -> None:
    change, says = CHANGES[name]
    first = found(tmp_path, model)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    made = {key: value() if callable(value) else value for key, value in change.items()}
    with pytest.raises(ValueError, match="holds the neurons of another run") as refused:
        found(tmp_path, **{"model": model, **made})
    assert says in str(refused.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert found(tmp_path, model).digest == first.digest


def test_kept_neurons_are_not_sought_again_and_keep_their_time(
    model: LanguageModel, sought: list[int], tmp_path: Path
) -> None:
    first = found(tmp_path, model)
    record = json.loads((tmp_path / "neurons.json").read_text())
    assert record["command"] == "auctionsim …"
    assert record["neurons"] == first.digest
    (tmp_path / "neurons.json").write_text(json.dumps({**record, "seconds": 123.5}))
    with Stages(CONSOLE) as stages:
        kept_neurons(tmp_path, model, parse_brands("or,the"), prompts(), 8, 0, stages, method="attribution")
    assert len(sought) == 1
    assert stages.seconds["finding neurons"] == stages.before["finding neurons"] == 123.5


def test_neurons_without_a_record_are_found_again(model: LanguageModel, tmp_path: Path) -> None:
    """An earlier version kept them without saying for what; a measurement of theirs is not mixed with others."""
    first = found(tmp_path, model)
    (tmp_path / "neurons.json").unlink()
    assert found(tmp_path, model).digest == first.digest
    (tmp_path / "neurons.json").unlink()
    (tmp_path / "measurement").mkdir()
    (tmp_path / "measurement" / "plan.json").write_text(json.dumps({"neurons": first.digest}))
    with pytest.raises(ValueError, match="holds a measurement of other neurons"):
        found(tmp_path, model, seed=1)
    assert BrandNeurons.load(tmp_path / "neurons.safetensors").digest == first.digest
    assert found(tmp_path, model).digest == first.digest


def test_a_swapped_or_damaged_file_is_named(model: LanguageModel, tmp_path: Path) -> None:
    found(tmp_path, model)
    found(tmp_path / "other", model, seed=1)
    whole = (tmp_path / "neurons.safetensors").read_bytes()
    (tmp_path / "neurons.safetensors").write_bytes((tmp_path / "other" / "neurons.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"neurons\.safetensors holds other neurons"):
        found(tmp_path, model)
    (tmp_path / "neurons.safetensors").write_bytes(whole)
    for text in ("", "[]", '{"key": 3}', '{"key": {}, "neurons": 1, "seconds": 0}'):
        (tmp_path / "neurons.json").write_text(text)
        with pytest.raises(ValueError, match=r"neurons\.json is damaged"):
            found(tmp_path, model)


def test_a_measured_folder_takes_no_other_measurement_and_its_surface_names_who_made_it(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"request": build_prompts("running shoes").prompts[0][:8]}))
    recipe = Recipe("or,the", settings=SMALL, prompts_file=path, method="attribution")
    folder, commit = tmp_path / "run", "auctionsim.experiments.running.recipes.commit_or_none"
    monkeypatch.setattr(commit, lambda: "first")
    carry_out(recipe, folder, CONSOLE, FanOut(), model=model)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for change, says in (({"seed": 5}, "seed 0, not 5"), ({"samples": 3}, "settings.samples 2, not 3")):
        other = replace(recipe, settings=replace(SMALL, **change))
        with pytest.raises(ValueError, match=r"holds (the neurons of another run|another measurement)") as refused:
            carry_out(other, folder, CONSOLE, FanOut(), model=model)
        assert says in str(refused.value)
        assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    monkeypatch.setattr(commit, lambda: "second")
    carry_out(recipe, folder, CONSOLE, FanOut(), model=model)  # measures nothing: it made nothing
    provenance = ResponseSurface.load(folder / "surface.safetensors").provenance
    assert provenance["commit"] == "first"
    assert provenance["command"].endswith("--dtype float32")
    next((folder / "measurement" / "units").iterdir()).unlink()
    carry_out(recipe, folder, CONSOLE, FanOut(), model=model)
    provenance = ResponseSurface.load(folder / "surface.safetensors").provenance
    assert provenance["commit"] == "second"
    assert [maker["commit"] for maker in provenance["made_by"]] == ["first", "second"]


def test_say_keeps_the_neurons_that_it_found(
    model: LanguageModel, sought: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUCTIONSIM_CACHE", str(tmp_path))
    monkeypatch.setattr(say, "load_model", lambda *_: model)

    def no_lead(*_: object) -> None:
        raise AssertionError("intent is scored, and some stems have no leads")

    monkeypatch.setattr("auctionsim.readings.intent._after", no_lead)

    def said(boost: str, seed: int = 0) -> say.Said:
        boosts = say.parse_boosts([boost])
        load = ("fake", "cpu", "float32")
        return say.say_twice("Which shoes?", boosts, "running shoes", load=load, seed=seed, tokens=2, heat=0.7)

    first = said("or=4x2")
    assert not first.were_kept
    assert first.neurons.is_relative_to(tmp_path)
    again = said("or=4x3")  # another factor needs no other neurons
    assert again.were_kept
    assert again.neurons == first.neurons
    assert again.untouched == first.untouched
    assert len(sought) == 1
    for other in (said("or=5x2"), said("or=4x2", seed=1), said("the=4x2")):
        assert not other.were_kept
        assert other.neurons != first.neurons
