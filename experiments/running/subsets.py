"""A brand set measured small: every subset of its brands amplified together, and how far apart their neurons are."""

import itertools
import json
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.errors import DamagedFileError, InputError
from auctionsim.experiments.running.geometry import Geometry, geometry, geometry_from
from auctionsim.experiments.running.kept_neurons import HIGHEST, STAGE, Place, neurons_key
from auctionsim.experiments.running.preparation import Stages, kept_list
from auctionsim.files import write_text
from auctionsim.language_models import LanguageModel
from auctionsim.measurement import MeasurementSettings, Workers
from auctionsim.neurons import BrandNeurons
from auctionsim.neurons.evidence import Evidence
from auctionsim.neurons.identification import identification_steps, rank
from auctionsim.prompts import PromptSet
from auctionsim.records import Record, json_in
from auctionsim.substrates import LeverGrid, MeasuredList, ResponseSurface
from auctionsim.substrates.measurements import Measurement, Replicate


def subsets(num_brands: int) -> list[tuple[int, ...]]:
    """Return every set of brands, the empty one first, smaller before larger."""
    sizes = range(num_brands + 1)
    return [chosen for size in sizes for chosen in itertools.combinations(range(num_brands), size)]


def joint_settings(num_brands: int, num_neurons: float, amplification: float) -> Float[Tensor, "subset brand lever"]:
    """Return one allocation a subset: its brands at the levers given, the others at null."""
    chosen = subsets(num_brands)
    allocation = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(len(chosen), num_brands, 1)
    for row, brands in enumerate(chosen):
        allocation[row, list(brands)] = torch.tensor([num_neurons, amplification], dtype=torch.float64)
    return allocation


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
    """Measure what is missing of a brand set's subsets and return the list, `geometry` in its provenance.

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
        raise InputError(f"subsets are about two or more rivals, got {', '.join(brand.name for brand in brands)}")
    command = provenance.get("command")
    neurons, matrices = _kept_geometry(folder, model, brands, prompts, settings, method, stages, command)
    allocations = joint_settings(len(brands), settings.num_neurons[-1], settings.amplification[-1])
    more = {**provenance, "geometry": {name: matrix.tolist() for name, matrix in matrices._asdict().items()}}
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
    own_prompts, count = prompts.split("identify"), settings.most_neurons
    place, geometry_file = Place(folder), folder / "geometry.json"
    key = neurons_key(model, brands, own_prompts, method, count, settings.seed)
    kept = place.taken(key)
    if kept is not None and geometry_file.exists():
        record = _read_geometry(geometry_file)
        if record.get("neurons") == kept.neurons.digest:
            stages.kept(STAGE, kept.seconds)
            return kept.neurons, geometry_from(record)
    began = time.perf_counter()
    with stages.stage(STAGE, identification_steps(own_prompts, method, "lape")) as tick:
        evidence = Evidence(
            model,
            brands,
            own_prompts,
            own_prompts.stem_texts,
            num_neurons=count,
            amplification=HIGHEST,
            seed=settings.seed,
            progress=tick,
        )
        neurons = rank(evidence, method)
        matrices = geometry(evidence, method, neurons, count)
        rows = {name: matrix.tolist() for name, matrix in matrices._asdict().items()}
        write_text(geometry_file, json.dumps({"neurons": neurons.digest, **rows}))
        place.keep(neurons, key, None if command is None else str(command), time.perf_counter() - began)
    return neurons, matrices


def _read_geometry(path: Path) -> dict[str, object]:
    try:
        return dict(Record(json_in(path), "it").content)
    except (ValueError, TypeError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again to compute it anew") from None


def surface_of(measured: MeasuredList, bidders: tuple[int, ...]) -> ResponseSurface:
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
        raise InputError("a subset of these brands is not on the list of measured allocations")
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
            {pair: array[:, entries].reshape(len(array), *shape) for pair, array in one.covariances.items()},
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
