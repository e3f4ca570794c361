"""Lists of a carrier's joint settings, measured in a folder that a stopped run goes on from, and packaged.

Four things are kept one after the other: the carrier as it was fitted, a pilot's divergences and the levels that they
led to, the measurement with its replies, and what was read of the replies later.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console

from auctionsim.brands import Brand, parse_brands
from auctionsim.carriers import Carrier, FittingInputs, carrier_entry, load_carrier, save_carrier
from auctionsim.data import carrier_beside, readings_beside, replies_beside, values_beside
from auctionsim.errors import DamagedFileError, InputError
from auctionsim.experiments.running.preparation import LIST_FILE, MEASUREMENT, Stages, commit_or_none, kept_list, slug
from auctionsim.experiments.running.recipes import FanOut
from auctionsim.files import sweep, write_bytes, write_text
from auctionsim.kept import difference, plain
from auctionsim.language_models import LanguageModel, load_model
from auctionsim.levers import null_levers
from auctionsim.measurement import REPLIES_FILE, MeasurementSettings
from auctionsim.measurement.levels import TARGETS, Pilot, joint_list, levels_at, pilot
from auctionsim.measurement.measuring import Measuring
from auctionsim.measurement.reply_values import in_file_order, live_values, write_reply_values
from auctionsim.measurement.second_pass import SecondPass, gather_values
from auctionsim.measurement.side_files import write_side_file
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.prompts import PromptSet, build_prompts
from auctionsim.records import Record, json_in
from auctionsim.substrates import MeasuredList

LIVE = ("kl", "reply_kl", "mention_probability")
"""Readings that are taken while replies are sampled and kept of every reply, where the carrier has them."""
LATER = ("quality",)
"""Readings that are taken of the replies when they are there."""
SETTINGS = MeasurementSettings(samples=4, readings=("reply_kl",), leads=())
"""How carriers that ship were measured: four replies to each of a replicate's twelve prompts, 48 tokens."""
CARRIER_FILE, _KEY, _PILOT = "carrier.safetensors", "carrier.json", "pilot.json"


@dataclass(frozen=True)
class CarrierRecipe:
    """What decides the numbers of a carrier's list.

    Attributes:
        carrier: Its name.
        brands: As on the command line: "Nike,Adidas".
        category: What they sell.
        settings: The counts.
        model: "smollm2", a hub id or a folder.
        targets: Nats a reply at which levels are wanted.
        combined: Whether brands are measured together at every combination of levels.
    """

    carrier: str
    brands: str = "Nike,Adidas"
    category: str = "running shoes"
    settings: MeasurementSettings = field(default_factory=lambda: SETTINGS)
    model: str = "smollm2"
    targets: tuple[float, ...] = TARGETS
    combined: bool = False

    @property
    def bidders(self) -> tuple[Brand, ...]:
        """The brands, read."""
        return parse_brands(self.brands)

    @property
    def prompts(self) -> PromptSet:
        """All prompts."""
        return build_prompts(self.category)

    @property
    def name(self) -> str:
        """What the list is packaged as, without its version: "running-shoes-2-logit-bias"."""
        return slug(self.category, str(len(self.bidders)), self.carrier)


class CarrierList(NamedTuple):
    """A carrier's list and its files.

    Attributes:
        carrier: As it was fitted.
        measured: The list.
        folder: Where everything is kept.
    """

    carrier: Carrier
    measured: MeasuredList
    folder: Path


def carrier_list(
    recipe: CarrierRecipe,
    folder: Path,
    command: str,
    console: Console,
    fan_out: FanOut,
    *,
    model: LanguageModel | None = None,
) -> CarrierList:
    """Fit a carrier, find its levels, measure its list and read its replies, as far as the folder has not.

    Args:
        recipe: What to measure.
        folder: Everything is kept there; the same call goes on from it.
        command: What the user typed.
        console: Where progress is shown.
        fan_out: Who measures.
        model: Already loaded; None loads the recipe's.
    Raises:
        ValueError: The folder holds another recipe's, or a damaged file.
    """
    carrier_entry(recipe.carrier)  # an unknown name is refused before anything is loaded
    sweep(folder)
    with Stages(console) as stages:
        if model is None:
            with stages.stage("loading the model", 1):
                model = load_model(recipe.model, fan_out.device, fan_out.dtype)
        crew = fan_out.crew(recipe.model, model)
        carrier = _kept_carrier(recipe, folder, model, stages)
        found = _kept_pilot(recipe, folder, model, carrier, stages)
        settings = replace(recipe.settings, readings=_live_readings(recipe.settings, carrier))
        allocations = joint_list(carrier, levels_at(found, carrier, recipe.targets), combined=recipe.combined)
        maker = {"command": command, "commit": commit_or_none()}
        provenance = {**maker, "category": recipe.category, "carrier": _words(carrier), "targets": list(recipe.targets)}
        measured = kept_list(
            folder, model, carrier, recipe.prompts, settings, allocations, provenance, stages, workers=crew
        )
        measuring = Measuring(folder / MEASUREMENT, model, carrier, recipe.prompts, settings, allocations)
        _read_later(folder, measured, measuring, {**maker, "versions": package_versions()}, stages)
    return CarrierList(carrier, measured, folder)


def package_list(made: CarrierList, name: str, into: Path) -> Path:
    """Put a measured list, its replies, what was read of them and its carrier among what ships.

    Args:
        made: What is packaged.
        name: With its version, as "running-shoes-2-logit-bias@1".
        into: The folder of packaged measurements.
    Returns:
        The list's file.
    Raises:
        ValueError: The name is taken: names are immutable.
    """
    path, own = into / f"{name}.safetensors", made.folder / LIST_FILE
    if path.exists():
        raise InputError(f"{name} is there, and names are immutable: give it the next version")
    carrier_beside(path).parent.mkdir(parents=True, exist_ok=True)
    write_bytes(carrier_beside(path), (made.folder / CARRIER_FILE).read_bytes())
    write_bytes(replies_beside(path), (made.folder / MEASUREMENT / REPLIES_FILE).read_bytes())
    for beside in (readings_beside, values_beside):
        write_bytes(beside(path), beside(own).read_bytes())
    write_bytes(path, own.read_bytes())  # last: a list that is there has its replies
    return path


def _live_readings(settings: MeasurementSettings, carrier: Carrier) -> tuple[str, ...]:
    return tuple(name for name in settings.readings if name not in carrier.without)


def _words(carrier: Carrier) -> dict[str, Any]:
    entry = carrier_entry(carrier.name)
    levers = [[lever.name, lever.null] for lever in carrier.levers]
    return {"name": carrier.name, "digest": carrier.digest, "levers": levers, "label": entry.label, "sold": entry.sold}


def _kept_carrier(recipe: CarrierRecipe, folder: Path, model: LanguageModel, stages: Stages) -> Carrier:
    """Return the folder's carrier if it was fitted for this, else fit it and keep it there."""
    prompts = recipe.prompts
    key = plain(
        {
            "carrier": recipe.carrier,
            "model": model.identity,
            "dtype": str(model.dtype),
            "brands": [brand.written for brand in recipe.bidders],
            "category": recipe.category,
            "prompts": prompts.digest,
            "seed": recipe.settings.seed,
        }
    )
    path, record = folder / CARRIER_FILE, folder / _KEY
    if path.exists() and record.exists():
        there = _record(record)
        carrier = load_carrier(path)
        if there.plain("key") != key:
            raise InputError(
                f"{folder} holds another carrier ({difference(there.plain('key'), key)}): choose another folder"
            )
        if there.text("digest") != carrier.digest:
            raise DamagedFileError(f"{path} holds another carrier than {record} says: remove both and run again")
        return carrier
    with stages.stage(f"fitting {recipe.carrier}", 1):
        inputs = FittingInputs(model, recipe.bidders, recipe.category, prompts, recipe.settings.seed)
        carrier = carrier_entry(recipe.carrier).fit(inputs)
    save_carrier(path, carrier)
    write_text(record, json.dumps({"key": key, "digest": carrier.digest}, indent=2, ensure_ascii=False))
    return carrier


def _kept_pilot(recipe: CarrierRecipe, folder: Path, model: LanguageModel, carrier: Carrier, stages: Stages) -> Pilot:
    """Return the folder's pilot if it was this carrier's, else run it and keep it there."""
    path = folder / _PILOT
    settings = recipe.settings
    drawing = {"tokens": settings.max_new_tokens, "temperature": settings.temperature, "top_p": settings.top_p}
    key = plain(
        {
            "carrier": carrier.digest,
            "dtype": str(model.dtype),
            "targets": list(recipe.targets),
            "seed": settings.seed,
            "positions": settings.positions,
            **drawing,
        }
    )
    if path.exists():
        there = _record(path)
        if there.plain("key") != key:
            raise InputError(f"{path} is another pilot ({difference(there.plain('key'), key)}): choose another folder")
        try:
            return pilot_from(there, carrier)
        except ValueError as error:
            raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again") from error
    with stages.stage("finding levels", 1):
        found = pilot(model, carrier, recipe.prompts, settings)
    document = {"key": key, "ladder": found.ladder.tolist(), "reply_kl": found.reply_kl.tolist()}
    write_text(path, json.dumps(document, indent=2))
    return found


def pilot_from(record: Record, carrier: Carrier) -> Pilot:
    """Return the pilot that a record holds.

    Raises:
        ValueError: Its rungs are no settings of the carrier's levers, or its divergences not one a brand and rung.
    """
    ladder = [Record({"ladder": rung}, "a rung").numbers("ladder") for rung in record.items("ladder")]
    if not ladder or any(len(rung) != len(carrier.levers) for rung in ladder):
        raise InputError(f"ladder must be lists of {len(carrier.levers)} numbers, one or more")
    rows = [Record({"reply_kl": row}, "a brand").numbers("reply_kl", 0) for row in record.items("reply_kl")]
    if len(rows) != len(carrier.brands) or any(len(row) != len(ladder) for row in rows):
        raise InputError(f"reply_kl must be {len(carrier.brands)} lists of {len(ladder)} numbers")
    found = Pilot(*(torch.tensor(part, dtype=torch.float64) for part in (ladder, rows)))
    alone = null_levers(carrier.levers, len(carrier.brands)).repeat(len(ladder), 1, 1)
    alone[:, 0] = found.ladder
    carrier.checked(alone)
    return found


def _read_later(
    folder: Path, measured: MeasuredList, measuring: Measuring, maker: dict[str, Any], stages: Stages
) -> None:
    """Read the replies again, and keep means and single values beside the list."""
    stored = StoredReplies.load(folder / MEASUREMENT / REPLIES_FILE, measured.provenance)
    second = SecondPass(folder / MEASUREMENT / "readings", stored, LATER)
    with stages.measuring("reading the replies", second.folder) as report:
        values = second.run(None, report)
    own = folder / LIST_FILE
    write_side_file(readings_beside(own), measured, stored, gather_values(second, values), maker)
    names = [name for name in LIVE if name not in measuring.carrier.without]
    later = {name: in_file_order(second.numbers(), listed) for name, listed in values.items()}
    single = {**live_values(measuring.results(), names), **later}
    write_reply_values(values_beside(own), stored, single, maker)


def _record(path: Path) -> Record:
    try:
        return Record(json_in(path), str(path))
    except (ValueError, TypeError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again") from error
