"""Neurons that a folder keeps: found once, taken up again by a run with the same key, refused to any other."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.brands import Brand
from auctionsim.errors import DamagedFileError, InputError
from auctionsim.experiments.running.preparation import MEASUREMENT, Stages, commit_or_none
from auctionsim.files import sweep, write_text
from auctionsim.kept import difference, differing, plain
from auctionsim.language_models import LanguageModel
from auctionsim.neurons import BrandNeurons, identify
from auctionsim.neurons.identification import identification_steps
from auctionsim.neurons.methods import DEFAULT_METHOD
from auctionsim.prompts import PromptSet
from auctionsim.records import Record, json_in

STAGE = "finding neurons"
FILE, RECORD = "neurons.safetensors", "neurons.json"
HIGHEST = 2.0  # amplification that the path methods look at
_FORMAT = 1  # of the key: it changes when identification does
_USUAL: Mapping[str, Any] = {}
"""Defaults of what identification came to depend on later: older keys are without it."""


def neurons_key(
    model: LanguageModel, brands: tuple[Brand, ...], prompts: PromptSet, method: str, count: int, seed: int
) -> dict[str, Any]:
    """Return all that identified neurons depend on, as JSON.

    Args:
        model: The language model; its dtype and the kind of its device round differently, its tokenizer cuts the words.
        brands: With aliases and the spelling that counts.
        prompts: The split that neurons are identified on, prompts and stems.
        method: Of identification.
        count: Neurons a brand.
        seed: Of the harm estimate and random scores.
    """
    tokens = [model.chat_ids(prompt) for prompt in prompts.everything]
    return plain(
        {
            "format": _FORMAT,
            "model": model.identity,
            "dtype": str(model.dtype).removeprefix("torch."),
            "device": model.device.type,
            "brands": [brand.written for brand in brands],
            "prompts": prompts.digest,
            "tokens": hashlib.sha256(json.dumps(tokens).encode()).hexdigest()[:16],
            "method": method,
            "num_neurons": count,
            "amplification": HIGHEST,
            "seed": seed,
        }
    )


class Taken(NamedTuple):
    """Kept neurons.

    Attributes:
        neurons: As they were identified.
        seconds: How long that took then.
    """

    neurons: BrandNeurons
    seconds: float


class Place(NamedTuple):
    """Where a folder's neurons are, and the record of what they were identified for."""

    folder: Path

    @property
    def file(self) -> Path:
        """The neurons."""
        return self.folder / FILE

    @property
    def record(self) -> Path:
        """What they were identified for."""
        return self.folder / RECORD

    def taken(self, key: Mapping[str, Any]) -> "Taken | None":
        """Return the neurons that were kept under this key and how long they took, None where none were kept.

        Raises:
            ValueError: They were kept under another key, named by what differs; a file is damaged.
        """
        sweep(self.folder)
        if not (self.file.exists() and self.record.exists()):
            return None
        try:
            record = Record(json_in(self.record), "it")
            there, digest, seconds = record.plain("key"), record.text("neurons"), record.number("seconds", 0)
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedFileError(f"{self.record} is damaged ({error}): remove it and run again") from None
        if differing(there, _USUAL) != differing(key, _USUAL):
            raise InputError(
                f"{self.folder} holds the neurons of another run ({difference(there, key)}): choose another folder "
                "or remove it"
            )
        neurons = BrandNeurons.load(self.file)
        if neurons.digest != digest:
            raise InputError(f"{self.file} holds other neurons than {self.record} says: remove both and run again")
        return Taken(neurons, seconds)

    def keep(self, neurons: BrandNeurons, key: Mapping[str, Any], command: str | None, seconds: float) -> None:
        """Write the neurons, then what they were identified for, by which command and commit.

        Raises:
            ValueError: The folder's measurement was made with other neurons: told before anything is replaced.
        """
        measured = self._measured()
        if measured not in (None, neurons.digest):
            raise InputError(
                f"{self.folder} holds a measurement of other neurons ({measured}, not {neurons.digest}): "
                "choose another folder or remove it"
            )
        neurons.save(self.file)
        origin = {"command": command, "commit": commit_or_none(), "seconds": seconds}
        record = {"key": key, "neurons": neurons.digest, **origin}
        write_text(self.record, json.dumps(record, indent=2, ensure_ascii=False))

    def _measured(self) -> str | None:
        path = self.folder / MEASUREMENT / "plan.json"
        if not path.is_file():
            return None
        try:
            return Record(json_in(path), "it").text("neurons")
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedFileError(f"{path} is damaged: {error}") from None


def kept_neurons(
    folder: Path,
    model: LanguageModel,
    brands: tuple[Brand, ...],
    prompts: PromptSet,
    count: int,
    seed: int,
    stages: Stages,
    *,
    method: str = DEFAULT_METHOD,
    command: str | None = None,
) -> BrandNeurons:
    """Return the folder's neurons if they were identified for this, else identify them and keep them there.

    Args:
        folder: Where they are kept.
        model: The language model.
        brands: The bidders.
        prompts: All of them; neurons are identified on their split of that name.
        count: Neurons a brand.
        seed: Of identification.
        stages: Progress.
        method: Of identification.
        command: What the user typed, for the record.
    Raises:
        ValueError: The folder holds the neurons, or a measurement, of another run; or a file is damaged.
    """
    own_prompts, place = prompts.split("identify"), Place(folder)
    key = neurons_key(model, brands, own_prompts, method, count, seed)
    kept = place.taken(key)
    if kept is not None:
        stages.kept(STAGE, kept.seconds)
        return kept.neurons
    began = time.perf_counter()
    with stages.stage(STAGE, identification_steps(own_prompts, method)) as tick:
        neurons = identify(
            model, brands, own_prompts, method, num_neurons=count, amplification=HIGHEST, seed=seed, progress=tick
        )
        place.keep(neurons, key, command, time.perf_counter() - began)
    return neurons
