"""The plan of a measurement: what decides its replies. A plan's identity is what differs from the defaults.

So a settings field that is added with a default leaves every folder usable: neither an older plan nor a new one that
keeps to the default mentions it. A default, once released, never changes: a new meaning gets a new name.

Which readings are taken is no part of the plan. Replies do not depend on it, and readings can be taken again.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from auctionsim.brands import MENTION_RULE
from auctionsim.carriers.neurons import Neurons
from auctionsim.carriers.protocol import Carrier
from auctionsim.errors import DamagedFileError, InputError
from auctionsim.files import write_text
from auctionsim.kept import difference
from auctionsim.language_models.model import LanguageModel
from auctionsim.measurement.settings import MeasurementSettings
from auctionsim.plugins import maker
from auctionsim.prompts import PromptSet
from auctionsim.readings.standard import FEATURES
from auctionsim.records import Record, json_in
from auctionsim.substrates.measurements import REPLICATES

_FILE, _FORMAT, _VERSION = "plan.json", "auctionsim measurement plan", 2  # 1 had no format, and every field
_GRID = ("num_neurons", "amplification")  # of no matter where a list is measured
_DEFAULTS = {"user_loss_dtype": "float32", "features": list(FEATURES), "mentions": 2}


def full_plan(
    model: LanguageModel,
    carrier: Carrier,
    prompts: PromptSet,
    settings: MeasurementSettings,
    allocations: Tensor | None,
) -> dict[str, Any]:
    """Return every field of a plan, defaults too, as provenance has it.

    Args:
        model: The language model.
        carrier: What moves the model's replies.
        prompts: All prompts.
        settings: The grid and the counts.
        allocations: (entry, bidder, lever), measured instead of the settings' grid; None: the grid.
    """
    chosen = json.loads(json.dumps(asdict(settings)))
    if allocations is not None:
        chosen = {name: value for name, value in chosen.items() if name not in _GRID}
    return {
        "settings": chosen,
        **({} if allocations is None else {"allocations": allocations.tolist()}),
        "model": model.identity,
        "dtype": str(model.dtype),
        **carrier_words(carrier),
        "prompts": prompts.digest,
        "stems": {name: [stem.text for stem in prompts.split(name).stems] for name in REPLICATES},
        "user_loss_dtype": "float32",
        "mentions": MENTION_RULE,
    }


def carrier_words(carrier: Carrier) -> dict[str, Any]:
    """Return how plans, provenance and files of replies name a carrier; neurons by their digest alone, as ever.

    A digest names what a carrier is made of. What its code does with that is the plugin's file, where one made it.
    """
    if isinstance(carrier, Neurons):
        return {"neurons": carrier.digest}
    levers = [[lever.name, lever.null] for lever in carrier.levers]
    plugin = {"plugin": made_in} if (made_in := maker(type(carrier))) else {}
    return {"carrier": {"name": carrier.name, "digest": carrier.digest, "levers": levers, **plugin}}


def identity(plan: Mapping[str, Any], settings: type[MeasurementSettings]) -> dict[str, Any]:
    """Return what of a plan differs from the defaults, readings left out."""
    usual, chosen = _default_settings(settings), dict(Record(plan.get("settings"), "settings").content)
    chosen = {k: v for k, v in chosen.items() if k != "readings" and not (k in usual and v == usual[k])}
    rest = {k: v for k, v in plan.items() if k not in ("settings", "format", "version")}
    return {"settings": chosen, **{k: v for k, v in rest.items() if not (k in _DEFAULTS and v == _DEFAULTS[k])}}


def claim(folder: Path, plan: Mapping[str, Any], settings: type[MeasurementSettings]) -> str:
    """Return the digest that a folder's units carry, writing the plan's file where there is none.

    Args:
        folder: The measurement's.
        plan: As `full_plan` has it.
        settings: Whose defaults count.
    Raises:
        ValueError: The folder's plan is damaged, of a later version, or another one: names what differs.
    """
    path, mine = folder / _FILE, identity(plan, settings)
    if not path.exists():
        document = {"format": _FORMAT, "version": _VERSION, **mine}
        write_text(path, json.dumps(document, indent=2, ensure_ascii=False))
        return _digest(document)
    try:
        found = dict(Record(json_in(path), "it").content)
        theirs = identity(found, settings)
    except (ValueError, TypeError) as error:
        raise DamagedFileError(f"{path} is damaged: {error}") from error
    if "version" in found and found["version"] != _VERSION:
        raise InputError(f"{path} is of version {found['version']}; this auctionsim reads versions up to {_VERSION}")
    if theirs != mine:
        usual = {**_default_settings(settings)}
        pair = [{**part, "settings": {**usual, **part["settings"]}} for part in (theirs, mine)]
        raise InputError(
            f"{folder} holds another measurement ({difference(*pair)}): choose another folder or remove it"
        )
    return _digest(found)


def _default_settings(settings: type[MeasurementSettings]) -> dict[str, Any]:
    usual = {f.name: f.default for f in fields(settings) if f.default is not MISSING}
    return dict(json.loads(json.dumps(usual)))


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
