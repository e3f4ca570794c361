"""Runs are found again: under a plan's earlier names, and after a setting was added. Folders are of format 2."""

import json
import shutil
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from auctionsim.brands import parse_brands
from auctionsim.experiments.running.bidders import AuctionSource, Training
from auctionsim.experiments.running.demo_settings import DemoSettings
from auctionsim.experiments.running.frontier import FrontierSettings as FrontierGrid
from auctionsim.experiments.running.plan import defaults_of, identity, plan_of
from auctionsim.experiments.running.run import Run
from auctionsim.experiments.running.run_folder import run_record
from auctionsim.experiments.running.tilt_settings import TiltsSettings
from auctionsim.experiments.running.tuning import Cluster, claim
from auctionsim.experiments.studies import bidders_train, crosstalk_regret, neurons_frontier
from auctionsim.experiments.studies.bidders_study import BiddersStudySettings
from auctionsim.experiments.studies.compare import CompareSettings
from auctionsim.experiments.studies.crosstalk import CrosstalkSettings, KeptBrandSets
from auctionsim.experiments.studies.generalisation import GeneralisationSettings
from auctionsim.experiments.studies.losses import LossesSettings
from auctionsim.experiments.studies.maps import MapSettings
from auctionsim.experiments.studies.more_bidders import MoreBiddersSettings
from auctionsim.experiments.studies.neurons_compare import CompareMethodsSettings
from auctionsim.experiments.studies.reply_counts import ReplyCountSettings
from auctionsim.experiments.studies.trust_study import TrustStudySettings
from auctionsim.experiments.studies.tune_grid import GridSettings
from auctionsim.experiments.studies.tune_hyperparameters import TuningSettings
from auctionsim.kept import differing
from auctionsim.measurement import MeasurementSettings
from auctionsim.substrates import ResponseSurface

FIXTURES = Path(__file__).parents[1] / "fixtures" / "format_2"
DEFAULTS = Path(__file__).with_name("settings_defaults.json")
VERSIONS = {"auctionsim": "0.1.0", "torch": "2", "transformers": "4", "numpy": "1"}
HERE = Path("here")
PAIR = parse_brands("Nike,Adidas")
MAPPED = MapSettings("running-shoes-2@3", HERE, ("slot_probability",))
OF_FORMAT_2: list[tuple[Any, str]] = [
    (CompareMethodsSettings((("shoes", PAIR),), ("contrast",), HERE, samples=3), "2e0603edb2ff9bc8"),
    (MapSettings("s", HERE, ("hits",)), "6efe83580f53f340"),
    (KeptBrandSets(("a", "b"), HERE), "e142a44ae7e24e5c"),
]
"""Settings, and what the last version of format 2 called their run on {"surface": "abc"} with `VERSIONS`."""


@dataclass(frozen=True)
class Added(MapSettings):
    """What the settings may look like next: one more field, with a default."""

    added: str = "as before"


Added.__name__ = "MapSettings"


def kept(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a kept folder, and the packages that made it."""
    place = folder / name
    shutil.copytree(FIXTURES / name, place)
    versions = json.loads((FIXTURES / "maps" / "run.json").read_text())["versions"]
    monkeypatch.setattr("auctionsim.experiments.running.run.package_versions", lambda: versions)
    monkeypatch.setattr(bidders_train, "package_versions", lambda: versions)
    return place


def refused() -> Any:
    raise AssertionError("this part was kept")


@pytest.mark.parametrize("settings", [MAPPED, Added(**vars(MAPPED))], ids=["today", "with a field more"])
def test_a_run_of_format_2_is_gone_on_from(
    settings: MapSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kept("maps", tmp_path, monkeypatch)
    inputs = {"surface": ResponseSurface.packaged("running-shoes-2@3").digest}
    run = Run(folder, replace(settings, folder=folder), inputs)
    assert run.is_finished
    run.begin("once more")
    assert run_record(folder)["finished"] is False
    assert "cells.csv" in run_record(folder)["files"], "its results are its own, and stay until they are replaced"
    assert run.part("numbers", refused) == [{"number": 7}]
    assert not Run(folder, replace(settings, folder=folder, features=()), inputs).parts.exists()


def test_a_field_that_is_used_makes_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kept("maps", tmp_path, monkeypatch)
    inputs = {"surface": ResponseSurface.packaged("running-shoes-2@3").digest}
    assert not Run(folder, Added(**{**vars(MAPPED), "added": "other"}), inputs).is_finished
    assert not Run(folder, MAPPED, {"surface": "another"}).is_finished


@pytest.mark.parametrize(("settings", "digest"), OF_FORMAT_2, ids=lambda value: type(value).__name__)
def test_every_record_finds_its_runs_of_format_2(settings: Any, digest: str) -> None:
    found = plan_of(settings, {"surface": "abc"}, VERSIONS)
    assert found.earlier == (digest,)
    assert found.digest != digest
    more = make_dataclass(type(settings).__name__, [("added", int, 0)], bases=(type(settings),), frozen=True)
    assert plan_of(more(**vars(settings)), {"surface": "abc"}, VERSIONS) == found
    other = plan_of(more(**vars(settings), added=1), {"surface": "abc"}, VERSIONS)
    assert not {other.digest, *other.earlier} & {found.digest, digest}


def test_a_plan_is_of_what_decides_numbers() -> None:
    plan = plan_of(MAPPED, {"surface": "abc"}, VERSIONS)
    assert plan_of(replace(MAPPED, folder=Path("elsewhere")), {"surface": "abc"}, VERSIONS) == plan
    assert plan_of(MAPPED, {"surface": "abc"}, {**VERSIONS, "auctionsim": "9"}).digest == plan.digest
    others = [
        plan_of(MAPPED, {"surface": "abd"}, VERSIONS),
        plan_of(MAPPED, {"surface": "abc"}, {**VERSIONS, "torch": "3"}),
        plan_of(replace(MAPPED, features=()), {"surface": "abc"}, VERSIONS),
        plan_of(KeptBrandSets((), HERE), {"surface": "abc"}, VERSIONS),
    ]
    assert len({plan.digest, *(other.digest for other in others)}) == 5


def test_identity_leaves_out_what_is_usual() -> None:
    assert identity(DemoSettings("shoes", PAIR, HERE)).keys() == {"category", "brands"}
    smaller = DemoSettings("shoes", PAIR, HERE, measurement=MeasurementSettings(samples=2))
    assert identity(smaller)["measurement"] == {"samples": 2}
    assert differing({"a": {"b": 1, "c": 2}, "d": None}, {"a": {"c": 2}, "d": None}) == {"a": {"b": 1}}


def test_bidders_of_format_1_are_taken_up_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = (AuctionSource("first-price"), Training(iterations=6, seed=1, learner="exponential-weights"))
    done = bidders_train.TrainingRun(kept("bidders", tmp_path, monkeypatch), *place)
    monkeypatch.setattr(bidders_train, "learn", lambda *_: refused())
    finished = bidders_train.train(done, lambda _: None, command="the same")
    monkeypatch.undo()
    steps: list[int] = []
    broken = bidders_train.TrainingRun(kept("bidders-unfinished", tmp_path, monkeypatch), *place)
    gone_on = bidders_train.train(broken, lambda step: steps.append(step.iteration), command="the same")
    assert steps == [3, 4, 5, 6]
    values = torch.linspace(0, 1, 9).unsqueeze(1)
    for whole, resumed in zip(finished.strategies, gone_on.strategies, strict=True):
        torch.testing.assert_close(resumed(values), whole(values), rtol=0, atol=1e-4)
    assert run_record(broken.folder)["finished"] is True
    other = bidders_train.TrainingRun(broken.folder, place[0], replace(place[1], seed=2))
    assert not other.plan.is_of(run_record(broken.folder))


def test_a_claim_without_a_later_setting_is_the_same_claim(tmp_path: Path) -> None:
    claim(tmp_path, {"seeds": [0, 1], "draws": 64}, {"draws": 32})
    claim(tmp_path, {"seeds": [0, 1], "draws": 64, "later": None}, {"draws": 32, "later": None})
    with pytest.raises(ValueError, match="later null, not 3"):
        claim(tmp_path, {"seeds": [0, 1], "draws": 64, "later": 3}, {"draws": 32, "later": None})


RECORDS = {
    **{
        "AuctionSource": AuctionSource,
        "Cluster": Cluster,
        "Training": Training,
        "MeasurementSettings": MeasurementSettings,
    },
    **{"bidders study": BiddersStudySettings, "compare": CompareSettings, "demo": DemoSettings, "maps": MapSettings},
    **{"crosstalk": CrosstalkSettings, "crosstalk kept": KeptBrandSets, "tune grid": GridSettings},
    **{"crosstalk regret": crosstalk_regret.CrosstalkRegretSettings, "generalisation": GeneralisationSettings},
    **{"losses": LossesSettings, "trust study": TrustStudySettings},
    **{"more bidders": MoreBiddersSettings, "neurons compare": CompareMethodsSettings, "frontier's grid": FrontierGrid},
    **{"neurons frontier": neurons_frontier.NeuronsFrontierSettings, "reply counts": ReplyCountSettings},
    **{"tilts": TiltsSettings, "tune hyperparameters": TuningSettings},
}
"""Every record that a plan is made of; records inside them have defaults of their own."""


def settings_defaults() -> dict[str, dict[str, Any]]:
    every = {name: defaults_of(record) for name, record in RECORDS.items()}
    return {name: {k: v for k, v in own.items() if not isinstance(v, dict)} for name, own in sorted(every.items())}


def test_a_default_once_released_stays() -> None:
    """A plan is without defaults, so a new one would pass old numbers for new: a new meaning gets a new name."""
    held = json.loads(DEFAULTS.read_text())
    for name, defaults in settings_defaults().items():
        changed = [field for field in held[name] if field in defaults and defaults[field] != held[name][field]]
        assert not changed, f"{name}: the default of {changed} was released otherwise: give the new meaning a new name"
        added = [field for field in defaults if field not in held[name]]
        assert not added, f"{name}: hold the default of {added}, by `python {Path(__file__).name}`"


if __name__ == "__main__":
    there = json.loads(DEFAULTS.read_text()) if DEFAULTS.exists() else {}
    new = {name: {**defaults, **there.get(name, {})} for name, defaults in settings_defaults().items()}
    DEFAULTS.write_text(json.dumps(new, indent=1, ensure_ascii=False) + "\n")
