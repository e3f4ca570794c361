"""Measuring in this process or on Ray workers with one model each; the driver alone writes, so no folder is shared."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, overload

from torch import Tensor

from auctionsim.carriers.protocol import Carrier
from auctionsim.files import sweep
from auctionsim.language_models.model import LanguageModel
from auctionsim.measurement.crew import Job, Workers, fan_out, model_words
from auctionsim.measurement.measurer import UnitMeasurer
from auctionsim.measurement.measuring import Measuring, Progress, Report
from auctionsim.measurement.settings import MeasurementSettings
from auctionsim.measurement.units import UnitResult
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.prompts import PromptSet
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.surface import ResponseSurface

REPLIES_FILE = "replies.jsonl.gz"
"""Where `measure` leaves all replies, in its folder."""


@overload
def measure(
    folder: Path,
    model: LanguageModel,
    carrier: Carrier | BrandNeurons,
    prompts: PromptSet,
    settings: MeasurementSettings,
    allocations: None = None,
    *,
    provenance: Mapping[str, Any] | None = None,
    workers: Workers | None = None,
    report: Report | None = None,
) -> ResponseSurface: ...


@overload
def measure(
    folder: Path,
    model: LanguageModel,
    carrier: Carrier | BrandNeurons,
    prompts: PromptSet,
    settings: MeasurementSettings,
    allocations: Tensor,
    *,
    provenance: Mapping[str, Any] | None = None,
    workers: Workers | None = None,
    report: Report | None = None,
) -> MeasuredList: ...


def measure(
    folder: Path,
    model: LanguageModel,
    carrier: Carrier | BrandNeurons,
    prompts: PromptSet,
    settings: MeasurementSettings,
    allocations: Tensor | None = None,
    *,
    provenance: Mapping[str, Any] | None = None,
    workers: Workers | None = None,
    report: Report | None = None,
) -> ResponseSurface | MeasuredList:
    """Measure what is missing in a folder, and return the whole.

    Args:
        folder: Plan and units are kept there, and in the end all replies in one file; the same call goes on from it.
        model: The language model; with workers it is only asked who it is.
        carrier: What moves the model's replies; neurons are amplified in the settings' mode.
        prompts: All prompts; replicates A and B are measured on their splits of the same names.
        settings: The grid, for one to three brands, and the counts.
        allocations: (entry, bidder, lever), measured instead of the grid, for any number of brands; see
            `sparse_allocations`.
        provenance: What else the result should say of where it comes from.
        workers: None measures in this process.
        report: Told how far it is.
    Returns:
        A surface of the grid, or the list.
    Raises:
        ValueError: The folder holds another measurement or a damaged file, or something does not fit.
        RuntimeError: Workers died again and again over one unit.
    """
    sweep(folder)
    measuring = Measuring(folder, model, carrier, prompts, settings, allocations)
    measuring.note_maker(provenance)
    if workers is None:
        measuring.run(report)
    else:
        run_on_workers(measuring, workers, report)
    measuring.keep_replies(folder / REPLIES_FILE)
    return measuring.surface(provenance) if allocations is None else measuring.measured_list(provenance)


def run_on_workers(measuring: Measuring, workers: Workers, report: Report | None = None) -> None:
    """Measure what is missing on Ray workers, storing each unit here as it comes back.

    Units are given out one by one. A worker that dies loses the unit it was at, which another one gets; what came back
    is a file. After Ctrl-C what had come back is stored, the workers are gone, and the same call goes on.

    Raises:
        ValueError: A worker refused: it has another model, or its logits overflow.
        RuntimeError: Workers died again and again over one unit.
    """
    schedule = measuring.schedule()
    tell = report or (lambda _: None)

    def note(result: UnitResult) -> None:
        schedule.note(result)
        tell(Progress(schedule.done, len(schedule.known)))

    tell(Progress(schedule.done, len(schedule.known)))
    rest = (measuring.carrier, measuring.prompts, measuring.settings, measuring.interventions)
    job = Job(partial(_unit_measurer, rest), model_words(measuring.measurer.model))
    fan_out(schedule.waiting, job, workers, measuring.store, note)


def _unit_measurer(rest: tuple[Any, ...], model: LanguageModel) -> UnitMeasurer:
    return UnitMeasurer(model, *rest)
