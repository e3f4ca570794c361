"""A market measured small: every subset of its brands amplified together, and how far apart their neurons are."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.experiments.running.kept_neurons import HIGHEST, STAGE, Place, neurons_key
from auctionsim.experiments.running.preparation import Stages, kept_list
from auctionsim.files import write_text
from auctionsim.language_models import LanguageModel
from auctionsim.measurement import MeasurementSettings, Workers
from auctionsim.neurons import BrandNeurons
from auctionsim.neurons.crosstalk import Geometry, geometry, joint_settings
from auctionsim.neurons.evidence import Evidence
from auctionsim.neurons.identification import identification_steps, rank
from auctionsim.prompts import PromptSet
from auctionsim.records import Record, json_in
from auctionsim.substrates import LeverGrid, MeasuredList, ResponseSurface
from auctionsim.substrates.measurements import Measurement, Replicate


def kept_subsets(
    folder: Path,
    model: LanguageModel,
    brands: tuple[Brand, ...],
    prompts: PromptSet,
    settings: MeasurementSettings,
    method: str,
    provenance: Mapping[str, object],
    stages: Stages,
    *,
    workers: Workers | None = None,
) -> MeasuredList:
    """Measure what is missing of a market's subsets and return the list, `geometry` in its provenance.

    Args:
        folder: Neurons, geometry and measurement are kept there and found again.
        model: The language model.
        brands: Two or more rivals.
        prompts: All prompts.
        settings: The counts; amplified brands have the highest levers of its grid.
        method: Of identification.
        provenance: What else the list should say of itself.
        stages: Progress.
        workers: Ray workers that measure; None measures here.
    Raises:
        ValueError: Fewer than two brands, or a folder that holds another measurement.
    """
    if len(brands) < 2:
        raise ValueError(f"subsets are about two or more rivals, got {', '.join(brand.name for brand in brands)}")
    command = provenance.get("command")
    neurons, found = _kept_geometry(folder, model, brands, prompts, settings, method, stages, command)
    allocations = joint_settings(len(brands), settings.num_neurons[-1], settings.amplification[-1])
    more = {**provenance, "geometry": {name: matrix.tolist() for name, matrix in found._asdict().items()}}
    return kept_list(folder, model, neurons, prompts, settings, allocations, more, stages, workers=workers)


def _kept_geometry(
    folder: Path,
    model: LanguageModel,
    brands: tuple[Brand, ...],
    prompts: PromptSet,
    settings: MeasurementSettings,
    method: str,
    stages: Stages,
    command: object,
) -> tuple[BrandNeurons, Geometry]:
    """Return the folder's neurons and their geometry if they are these, else find both and keep them there."""
    asked, count = prompts.split("identify"), settings.most_neurons
    place, geometry_file = Place(folder), folder / "geometry.json"
    key = neurons_key(model, brands, asked, method, count, settings.seed)
    kept = place.taken(key)
    if kept is not None and geometry_file.exists():
        record = _read_geometry(geometry_file)
        if record.get("neurons") == kept.neurons.digest:
            stages.kept(STAGE, kept.seconds)
            return kept.neurons, geometry_from(record)
    began = time.perf_counter()
    with stages.stage(STAGE, identification_steps(asked, method, "lape")) as tick:
        evidence = Evidence(
            model,
            brands,
            asked,
            asked.stem_texts,
            num_neurons=count,
            amplification=HIGHEST,
            seed=settings.seed,
            progress=tick,
        )
        neurons = rank(evidence, method)
        found = geometry(evidence, method, neurons, count)
        matrices = {name: matrix.tolist() for name, matrix in found._asdict().items()}
        write_text(geometry_file, json.dumps({"neurons": neurons.digest, **matrices}))
        place.keep(neurons, key, None if command is None else str(command), time.perf_counter() - began)
    return neurons, found


def _read_geometry(path: Path) -> dict[str, object]:
    try:
        return dict(Record(json_in(path), "it").content)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): remove it and run again to compute it anew") from None


def geometry_from(record: Mapping[str, object]) -> Geometry:
    """Read the matrices that a list's provenance holds.

    Raises:
        ValueError: One is missing, or is no matrix.
    """
    missing = [name for name in Geometry._fields if name not in record]
    if missing:
        raise ValueError(f"no {missing[0]} was kept: these subsets were measured without their neurons' geometry")
    return Geometry(*(_matrix(record[name], name) for name in Geometry._fields))


def _matrix(rows: object, name: str) -> Tensor:
    listed = Record({name: rows}, "geometry").items(name)
    numbers = [Record({name: row}, "geometry").numbers(name) for row in listed]
    if not numbers or {len(row) for row in numbers} != {len(numbers)}:
        raise ValueError(f"geometry, {name} must be a square matrix, got rows of {[len(row) for row in numbers]}")
    return torch.tensor(numbers, dtype=torch.float64)


def market_of(measured: MeasuredList, bidders: tuple[int, ...]) -> ResponseSurface:
    """Return some of the brands as a surface of one lever, amplification 1 or the measured one, the others untouched.

    Args:
        measured: Every subset of its brands, amplified at the same levers.
        bidders: Which brands, in their new order.
    Raises:
        ValueError: A subset is not on the list.
    """
    levers = torch.tensor([lever.high for lever in measured.levers], dtype=torch.float64)
    states = torch.cartesian_prod(*[torch.arange(2)] * len(bidders)).view(-1, len(bidders))
    wanted = measured.null_allocation(len(states), dtype=torch.float64)
    for place, bidder in enumerate(bidders):
        wanted[states[:, place] == 1, bidder] = levers
    listed = measured.allocations
    same = (wanted.unsqueeze(1) == listed).flatten(2).all(2)
    if not bool(same.any(1).all()):
        raise ValueError("a subset of these brands is not on the list of measured allocations")
    entries, shape = same.to(torch.uint8).argmax(1), (2,) * len(bidders)

    def cells(item: Measurement, per_bidder: bool) -> Measurement:
        parts = [part[:, entries] for part in item]
        if per_bidder:
            parts = [part[:, :, list(bidders)] for part in parts]
        return Measurement(*(part.reshape(len(part), *shape, *part.shape[2:]) for part in parts))

    replicates = {
        name: Replicate(
            cells(one.features, True),
            {key: cells(item, False) for key, item in one.losses.items()},
            {key: cells(item, item.mean.ndim == 3) for key, item in one.diagnostics.items()},
        )
        for name, one in measured.replicates.items()
    }
    names = measured.provenance.get("brands", [])
    return ResponseSurface(
        grids=[LeverGrid("amplification", (1.0, float(levers[1])), 1.0)],
        num_bidders=len(bidders),
        features=measured.measured_features,
        contexts=measured.contexts,
        replicates=replicates,
        quantities=measured.quantities,
        provenance={
            **measured.provenance,
            "brands": [names[i] for i in bidders] if names else [],
            "fixed_levers": {"num_neurons": float(levers[0])},
        },
    )
