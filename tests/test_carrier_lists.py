"""A carrier's list in a folder: fitted, piloted, measured and read once each, gone on from where it was stopped."""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from auctionsim.carriers import CarrierEntry, FittingInputs, load_carrier, register, save_carrier, unregister
from auctionsim.carriers.logit_bias import BrandTokens
from auctionsim.data import carrier_beside, readings_beside, replies_beside, values_beside
from auctionsim.experiments.running import carrier_lists
from auctionsim.experiments.running.carrier_lists import CarrierRecipe, carrier_list, package_list
from auctionsim.experiments.running.carrier_sources import carrier_source, read_cell
from auctionsim.experiments.running.recipes import FanOut
from auctionsim.language_models import LanguageModel
from auctionsim.measurement import REPLIES_FILE, MeasurementSettings
from auctionsim.measurement.reply_values import in_file_order, read_reply_values
from auctionsim.measurement.second_pass import SecondPass
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.prompts import PromptSet, build_prompts
from auctionsim.storage import Stored
from auctionsim.testing import fake_language_model

MODEL = fake_language_model()
SETTINGS = MeasurementSettings(samples=2, max_new_tokens=3, readings=("reply_kl",), leads=())
FITS: list[str] = []


class Pushed(BrandTokens):
    """A bias on two tokens, with a ladder of two rungs."""

    name = "pushed"
    without = ("slot_probability", "intent")

    def ladder(self) -> Any:
        return super().ladder()[::6]

    def check_model(self, model: LanguageModel) -> None:
        """Any tokens will do."""


def fitted(inputs: FittingInputs) -> Pushed:
    FITS.append(inputs.category)
    return Pushed(inputs.brands, ((5,), (6,)), inputs.model.vocabulary_size)


def made(brands: Any, stored: Stored) -> Pushed:
    return Pushed(brands, ((5,), (6,)), stored.fields.whole("vocabulary", 1))


@dataclass(frozen=True)
class FewPrompts(CarrierRecipe):
    """Two prompts a context and replicate."""

    @property
    def prompts(self) -> PromptSet:
        """Few of them."""
        return build_prompts(self.category).first(8)


RECIPE = FewPrompts("pushed", "Nike,Puma", settings=SETTINGS, targets=(0.5, 2.0))


@pytest.fixture(scope="module", autouse=True)
def pushed() -> Iterator[None]:
    register(CarrierEntry("pushed", "pushed", "A push.", "", fitted, made))
    yield
    unregister("pushed")


def listed(folder: Path, recipe: CarrierRecipe = RECIPE) -> carrier_lists.CarrierList:
    return carrier_list(recipe, folder, "auctionsim", Console(file=io.StringIO()), FanOut(), model=MODEL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pushed: None) -> Path:
    """A folder whose run was stopped after the carrier, after the pilot, and after the measurement; read only."""
    place = tmp_path_factory.mktemp("runs") / RECIPE.name
    FITS.clear()
    for name in ("pilot", "kept_list", "_read_later"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(carrier_lists, name, _stop)
            with pytest.raises(KeyboardInterrupt):
                listed(place)
    return listed(place).folder


def _stop(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def test_what_was_stopped_is_gone_on_from_and_nothing_is_fitted_twice(folder: Path, tmp_path: Path) -> None:
    assert FITS == ["running shoes"]
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("pilot", "save_carrier"):
            patch.setattr(carrier_lists, name, _stop)
        again = listed(folder)
    assert len(again.measured.allocations) <= 7
    for path, content in before.items():
        if path.suffix not in (".json", ".gz") or "made_by" not in path.read_text(errors="ignore"):
            assert path.read_bytes() == content, path


def test_the_pilot_is_named_by_what_it_was_of(folder: Path) -> None:
    kept = json.loads((folder / "pilot.json").read_text())
    assert kept["key"]["carrier"] == load_carrier(folder / "carrier.safetensors").digest


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"targets": (0.5, 1.0)}, "is another pilot .*targets.*: choose another folder"),
        ({"settings": replace(SETTINGS, seed=3)}, "holds another carrier .*seed.*: choose another folder"),
        ({"category": "trail shoes"}, "holds another carrier .*category.*: choose another folder"),
        ({"brands": "Nike,Adidas"}, "holds another carrier .*brands.*: choose another folder"),
        ({"settings": replace(SETTINGS, samples=3)}, "samples"),
    ],
)
def test_another_recipe_in_the_folder_is_refused(folder: Path, changed: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        listed(folder, replace(RECIPE, **changed))


def test_a_carrier_that_is_not_the_recorded_one_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    carrier = load_carrier(other / "carrier.safetensors")
    save_carrier(other / "carrier.safetensors", Pushed(carrier.brands, ((7,), (8,)), MODEL.vocabulary_size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pushed, "digest", "0" * 16)
        with pytest.raises(ValueError, match=r"holds another carrier than .* says: remove both and run again"):
            listed(other)


def test_a_second_pass_gives_the_divergences_that_were_taken_while_sampling(folder: Path, tmp_path: Path) -> None:
    stored = StoredReplies.load(folder / "measurement" / REPLIES_FILE)
    carrier = load_carrier(folder / "carrier.safetensors")
    second = SecondPass(tmp_path / "again", stored, ("reply_kl",), carrier, MODEL)
    again = in_file_order(second.numbers(), second.run()["reply_kl"])
    live = read_reply_values(values_beside(folder / "list.safetensors"), stored)["reply_kl"].values
    assert again == pytest.approx(live, abs=1e-5)
    assert max(live) > 0.1
    with pytest.raises(ValueError, match=r"moved by pushed .*, not by logit-bias"):
        SecondPass(tmp_path / "other", stored, ("kl",), BrandTokens(carrier.brands, ((5,), (6,)), 400), MODEL)


def test_a_reading_that_means_nothing_to_the_carrier_is_not_taken_later(folder: Path, tmp_path: Path) -> None:
    stored = StoredReplies.load(folder / "measurement" / REPLIES_FILE)
    carrier = load_carrier(folder / "carrier.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pushed, "without", ("kl",))
        with pytest.raises(ValueError, match="kl has no meaning for replies that pushed moved"):
            SecondPass(tmp_path, stored, ("kl",), carrier, MODEL)


def test_it_is_a_cell_and_is_packaged_once(folder: Path, tmp_path: Path) -> None:
    cell = read_cell(carrier_source(str(folder / "list.safetensors")))
    assert (cell.measured, cell.carrier, cell.rows) == (RECIPE.name, "pushed", (1,) * len(cell.settings))
    assert set(cell.replicates["B"].columns) == {"quality", "reply_kl", "kl", "ad_share", "ad_words"}
    done = listed(folder)
    path = package_list(done, "pushed@1", tmp_path / "surfaces")
    beside = (carrier_beside(path), replies_beside(path), readings_beside(path), values_beside(path))
    assert all(one.is_file() for one in beside)
    with pytest.raises(ValueError, match="pushed@1 is there, and names are immutable"):
        package_list(done, "pushed@1", tmp_path / "surfaces")
