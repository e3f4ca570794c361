"""How a surface is measured: a plan of small work units, each stored whole, so that nothing is lost or done twice.

A unit is one prompt of one replicate under a slice of the interventions. Its file is written once, atomically; a
measurement that was stopped, by whatever means, goes on with the units that have no file. A unit's numbers depend on
the plan only, not on the order or the process that measures it.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.checks import checked_count, checked_number
from auctionsim.files import write_text
from auctionsim.language_models.loading import LanguageModel
from auctionsim.neurons.brand_neurons import BrandNeurons, package_versions
from auctionsim.prompts import STEMS, PromptSet
from auctionsim.substrates.language_model import FEATURES, LanguageModelSubstrate
from auctionsim.substrates.measurements import REPLICATES, Measurement, Replicate
from auctionsim.substrates.surface import LeverGrid, ResponseSurface

_FORMAT = "auctionsim measurement unit 2"


@dataclass(frozen=True)
class MeasurementSettings:
    """What is measured, and how often.

    Attributes:
        num_neurons: Values of that lever, 0 among them.
        amplification: Values of that lever, 1 among them.
        samples: Replies a prompt and intervention.
        max_new_tokens: A reply's longest length, tokens.
        temperature: Of sampling.
        seed: Of the replies; replicates draw apart from it.
        rows: Most replies sampled in one batch.
    """

    num_neurons: tuple[float, ...] = (0.0, 256.0, 512.0)
    amplification: tuple[float, ...] = (1.0, 1.5, 2.0)
    samples: int = 4
    max_new_tokens: int = 48
    temperature: float = 0.7
    seed: int = 0
    rows: int = 80

    def __post_init__(self) -> None:
        for name, values, null in (
            ("num_neurons", self.num_neurons, 0.0),
            ("amplification", self.amplification, 1.0),
        ):
            object.__setattr__(self, name, tuple(map(float, values)))  # 64 and 64.0 are one plan
            ascending = all(math.isfinite(v) and v >= 0 for v in values) and list(values) == sorted(set(values))
            if len(values) < 2 or not ascending or null not in values:
                raise ValueError(
                    f"{name} must be two or more ascending values >= 0 with {null:g} among them, got {values}"
                )
        checked_count(self.samples, "samples")
        checked_count(self.max_new_tokens, "max_new_tokens")
        checked_number(self.temperature, "temperature")
        checked_count(self.seed, "seed", 0)
        checked_count(self.rows, "rows")

    @property
    def grids(self) -> tuple[LeverGrid, LeverGrid]:
        """The levers' grids, as a surface takes them."""
        return (
            LeverGrid("num_neurons", self.num_neurons, 0.0),
            LeverGrid("amplification", self.amplification, 1.0),
        )


class Unit(NamedTuple):
    """One piece of work: a prompt of a replicate under the interventions from `start` to `stop`."""

    replicate: str
    context: int
    prompt: int
    start: int
    stop: int

    @property
    def file_name(self) -> str:
        """Where its result is stored."""
        return f"{self.replicate}-{self.context}-{self.prompt}-{self.start:05d}-{self.stop:05d}.json"


class MeasuredReply(NamedTuple):
    """One sampled reply, as it is stored: which intervention, what was said, what it is worth."""

    intervention: int
    sample: int
    text: str
    tokens: int
    hits: list[int]
    mentions: list[int]
    user_loss: float
    surprise: float
    repetition: float


class UnitResult(NamedTuple):
    """What a unit found.

    Attributes:
        unit: The piece of work.
        slots: [intervention][stem][brand] probabilities.
        replies: samples × interventions of them.
    """

    unit: Unit
    slots: list[list[list[float]]]
    replies: list[MeasuredReply]


class Measuring:
    """A measurement of every joint setting of the levers' grid, in a folder, done as far as its files say.

    Args:
        folder: Where plan and units are kept; made if it is not there.
        model: The language model.
        neurons: Identified on the same model.
        prompts: All prompts; replicates A and B are measured on their splits of the same names.
        settings: The grid and the counts.
    Raises:
        ValueError: The folder holds another plan, or the prompts or neurons do not fit.
    """

    def __init__(
        self,
        folder: Path,
        model: LanguageModel,
        neurons: BrandNeurons,
        prompts: PromptSet,
        settings: MeasurementSettings,
    ) -> None:
        self.folder, self.settings, self.neurons, self.prompts = folder, settings, neurons, prompts
        self.interventions = _distinct_interventions(settings, len(neurons.brands))
        self.substrates = {
            name: LanguageModelSubstrate(
                model,
                neurons,
                prompts.split(name),
                num_neurons=int(settings.num_neurons[-1]),
                amplification=settings.amplification[-1],
                samples=settings.samples,
                max_new_tokens=settings.max_new_tokens,
                temperature=settings.temperature,
                seed=settings.seed,
            )
            for name in REPLICATES
        }
        self.plan = {
            "settings": json.loads(json.dumps(asdict(settings))),
            "model": model.identity,
            "dtype": str(model.dtype),
            "neurons": neurons.digest,
            "prompts": prompts.digest,
            "stems": list(STEMS),
        }
        self.digest = hashlib.sha256(json.dumps(self.plan, sort_keys=True).encode()).hexdigest()[:16]
        self._claim_folder()

    @property
    def units(self) -> list[Unit]:
        """All the work, replicate after replicate, prompt after prompt."""
        return [
            Unit(name, context, prompt, start, stop)
            for name in REPLICATES
            for context, prompts in enumerate(self.substrates[name].prompts.prompts)
            for prompt in range(len(prompts))
            for start, stop in self._slices()
        ]

    @property
    def missing(self) -> list[Unit]:
        """The work that has no file yet."""
        return [unit for unit in self.units if not self._path(unit).exists()]

    def run(self, progress: Callable[[], None] | None = None) -> None:
        """Measure what is missing, storing each unit as it is done; `progress` is called after each."""
        for unit in self.missing:
            if self._path(unit).exists():  # another process has measured it meanwhile
                continue
            result = self.measure_unit(unit)
            document = {"format": _FORMAT, "plan": self.digest, **result._asdict()}
            write_text(self._path(unit), _signed(document))
            if progress is not None:
                progress()

    def measure_unit(self, unit: Unit) -> UnitResult:
        """Measure one unit: exact slot probabilities and sampled replies."""
        substrate = self.substrates[unit.replicate]
        prompt = substrate.prompts.prompts[unit.context][unit.prompt]
        allocation = self.interventions[unit.start : unit.stop]
        place = (REPLICATES.index(unit.replicate), unit.context, unit.prompt)
        samples = self.settings.samples
        batch = substrate.replies(prompt, allocation, place, samples)
        replies = [
            MeasuredReply(
                intervention=unit.start + row // samples,
                sample=row % samples,
                text=batch.texts[row],
                tokens=int(batch.lengths[row]),
                hits=batch.hits[row].tolist(),
                mentions=batch.mentions[row].tolist(),
                user_loss=float(batch.user_loss[row]),
                surprise=float(batch.surprise[row]),
                repetition=float(batch.repetition[row]),
            )
            for row in range(len(batch.texts))
        ]
        return UnitResult(unit, substrate.slot_probability(prompt, allocation).tolist(), replies)

    def results(self) -> Iterator[UnitResult]:
        """Yield every stored unit.

        Raises:
            ValueError: A unit is missing, damaged or of another plan; names the file.
        """
        for unit in self.units:
            path = self._path(unit)
            if not path.exists():
                raise ValueError(f"{path} is missing: the measurement is not complete, run it again to go on")
            yield _read_unit(path, unit, self.digest)

    def surface(self, provenance: dict[str, Any] | None = None) -> ResponseSurface:
        """Gather the stored units into a surface.

        Raises:
            ValueError: The measurement is not complete, or a file is damaged.
        """
        results = list(self.results())
        contexts = self.prompts.contexts
        replicates = {
            name: self._replicate([result for result in results if result.unit.replicate == name], len(contexts))
            for name in REPLICATES
        }
        return ResponseSurface(
            grids=self.settings.grids,
            num_bidders=len(self.neurons.brands),
            features=FEATURES,
            contexts=contexts,
            replicates=replicates,
            provenance={
                **self.plan,
                "brands": [list(brand.names) for brand in self.neurons.brands],
                "method": self.neurons.method,
                "versions": package_versions(),
                **(provenance or {}),
            },
        )

    def _replicate(self, results: list[UnitResult], contexts: int) -> Replicate:
        count, brands = len(self.interventions), len(self.neurons.brands)
        prompts = max(result.unit.prompt for result in results) + 1
        samples = self.settings.samples
        slots = torch.full((contexts, count, prompts, brands), torch.nan, dtype=torch.float64)
        drawn = torch.full((contexts, count, prompts, samples, 3 + 2 * brands), torch.nan, dtype=torch.float64)
        for result in results:
            place = (result.unit.context, slice(result.unit.start, result.unit.stop), result.unit.prompt)
            slots[place] = torch.tensor(result.slots, dtype=torch.float64).mean(1)
            for reply in result.replies:
                said = [float(hit > 0) for hit in reply.hits]
                values = [reply.user_loss, reply.surprise, reply.repetition, *map(float, reply.hits), *said]
                drawn[result.unit.context, reply.intervention, result.unit.prompt, reply.sample] = torch.tensor(values)
        slot = _summary(slots, dim=2)
        reply_summary = _summary(drawn.flatten(2, 3), dim=2)
        hits = Measurement(*(part[..., 3 : 3 + brands] for part in reply_summary))
        mentioned = Measurement(*(part[..., 3 + brands :] for part in reply_summary))
        features = Measurement(*(torch.stack(parts, dim=-1) for parts in zip(slot, mentioned, hits, strict=True)))
        on_grid = self._grid_index()
        loss, surprise, repetition = (Measurement(*(part[..., k] for part in reply_summary)) for k in range(3))
        return Replicate(
            features=Measurement(*(part[:, on_grid] for part in features)),
            user_loss=Measurement(*(part[:, on_grid] for part in loss)),
            diagnostics={
                "surprise": Measurement(*(part[:, on_grid] for part in surprise)),
                "repetition_rate": Measurement(*(part[:, on_grid] for part in repetition)),
            },
        )

    def _grid_index(self) -> Tensor:
        """Return which intervention each cell of the grid is: (num_neurons, amplification, num_neurons, …)."""
        singles = _single_settings(self.settings)
        sizes = [len(self.settings.num_neurons), len(self.settings.amplification)] * len(self.neurons.brands)
        cells = []
        for index in itertools.product(*(range(size) for size in sizes)):
            number = 0
            for k, a in zip(index[::2], index[1::2], strict=True):
                setting = (self.settings.num_neurons[k], self.settings.amplification[a])
                at_null = setting[0] == 0.0 or setting[1] == 1.0
                number = number * len(singles) + (0 if at_null else singles.index(setting))
            cells.append(number)
        return torch.tensor(cells).view(sizes)

    def _slices(self) -> list[tuple[int, int]]:
        """Cut the interventions into the fewest slices whose replies fit a batch, all of about one length."""
        count = len(self.interventions)
        slices = math.ceil(count / max(1, self.settings.rows // self.settings.samples))
        ends = [count * k // slices for k in range(slices + 1)]
        return list(itertools.pairwise(ends))

    def _path(self, unit: Unit) -> Path:
        return self.folder / "units" / unit.file_name

    def _claim_folder(self) -> None:
        path = self.folder / "plan.json"
        if path.exists():
            try:
                found = dict(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path} is damaged: {error}") from error
            if found != self.plan:
                keys = {*self.plan, *found}
                differing = sorted(key for key in keys if found.get(key) != self.plan.get(key))
                raise ValueError(
                    f"{self.folder} holds another measurement (its {', '.join(differing)} differ): "
                    "choose another folder or remove it"
                )
            return
        write_text(path, json.dumps(self.plan, indent=2, ensure_ascii=False))


def _single_settings(settings: MeasurementSettings) -> list[tuple[float, float]]:
    """Return one brand's distinct settings, the null first."""
    active = itertools.product(settings.num_neurons, settings.amplification)
    return [(0.0, 1.0)] + [(k, a) for k, a in active if k != 0.0 and a != 1.0]


def _distinct_interventions(settings: MeasurementSettings, brands: int) -> Tensor:
    """Return every distinct joint setting once, all at null first: (intervention, bidder, lever)."""
    joint = itertools.product(_single_settings(settings), repeat=brands)
    return torch.tensor(list(joint), dtype=torch.float64)


def _summary(values: Tensor, dim: int) -> Measurement:
    """Return mean, standard error and count over an axis; absent entries are NaN and do not count.

    Slot probabilities are averaged over stems first, so that prompts are the draws. Replies count one by one: the error
    is that of sampling replies to these prompts, and says nothing of other prompts; replicate B has others.
    """
    there = ~values.isnan()
    n = there.sum(dim)
    mean = values.nanmean(dim)
    squares = torch.where(there, (values - mean.unsqueeze(dim)).square(), torch.zeros_like(values)).sum(dim)
    error = (squares / (n - 1).clamp_min(1) / n).sqrt()
    return Measurement(mean, error, n)


def _signed(document: dict[str, Any]) -> str:
    """Return the text of a unit's file, its checksum last."""
    plain = json.loads(json.dumps(document))  # tuples as lists, as they are read back
    return json.dumps({**plain, "sha256": _checksum(plain)}, ensure_ascii=False)


def _checksum(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _read_unit(path: Path, unit: Unit, digest: str) -> UnitResult:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != _FORMAT or document["plan"] != digest or Unit(*document["unit"]) != unit:
            raise ValueError("it belongs to another measurement")
        if document.pop("sha256") != _checksum(document):
            raise ValueError("its checksum does not match")
        replies = [MeasuredReply(*reply) for reply in document["replies"]]
        return UnitResult(unit, document["slots"], replies)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}): remove it and run again to measure this unit anew") from error
