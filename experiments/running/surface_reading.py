"""Readings taken later of a measurement's stored replies: without sampling, and texts without any model.

Readings of a packaged measurement go beside a copy of it, so that they are sold by the copy's path: what the package
holds stays as it ships.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from auctionsim.carriers import Carrier, load_carrier
from auctionsim.data import carrier_beside, readings_beside, replies_beside, surfaces_folder
from auctionsim.errors import InputError
from auctionsim.experiments.running.carrier_lists import CARRIER_FILE
from auctionsim.experiments.running.kept_neurons import kept_neurons
from auctionsim.experiments.running.measured import measured_named
from auctionsim.experiments.running.preparation import MEASUREMENT, Stages, commit_or_none
from auctionsim.experiments.running.recipes import PACKAGED, FanOut
from auctionsim.files import write_bytes
from auctionsim.judges import DEFAULT_JUDGE
from auctionsim.language_models import LanguageModel, load_model
from auctionsim.measurement import REPLIES_FILE
from auctionsim.measurement.second_pass import SecondPass, gather_values, needs_model
from auctionsim.measurement.side_files import write_side_file
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.neurons import BrandNeurons
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.readings.judge import judged_by
from auctionsim.readings.protocol import IS_ONE, UNSCORED_SHARE, Unscored, Value
from auctionsim.readings.registry import reading
from auctionsim.substrates import MeasuredList, ResponseSurface
from auctionsim.substrates.measurements import Measurement


class Source(NamedTuple):
    """A measurement whose replies are stored.

    Attributes:
        name: As the user named it.
        measured: Its file; of a packaged measurement the copy, unless readings go into the package.
        replies: The file of its replies.
        neurons: The file of its neurons, where there is one.
        folder: Where values are kept.
        beside: Where the side file goes.
    """

    name: str
    measured: Path
    replies: Path
    neurons: Path | None
    folder: Path
    beside: Path


@dataclass(frozen=True)
class SurfaceReading:
    """What is read again.

    Attributes:
        run: A run folder of `surface measure`, or a packaged measurement's name.
        readings: Names.
        model: That replied, as it is loaded; asked for model readings only.
        neurons: File of the neurons that were amplified; None finds them beside the measurement, or identifies a
            packaged one's anew by its recipe.
        out: Folder for values; None: in the run folder, or runs/readings/NAME for a packaged measurement.
        package: Write a packaged measurement's side file beside it, instead of beside the copy in `out`.
        judge: Whose readings are meant by names such as `judged_yes`.
    """

    run: str
    readings: tuple[str, ...]
    model: str = "smollm2"
    neurons: Path | None = None
    out: Path | None = None
    package: bool = False
    judge: str = DEFAULT_JUDGE


def source_of(settings: SurfaceReading) -> Source:
    """Return the files of a run folder or of a packaged measurement.

    Raises:
        ValueError: There is no such measurement, or its replies were not kept.
    """
    return _of_run(settings) if Path(settings.run).is_dir() else _packaged(settings)


def _of_run(settings: SurfaceReading) -> Source:
    folder = Path(settings.run)
    files = [folder / f"{kind}.safetensors" for kind in ("surface", "list")]
    there, replies = [path for path in files if path.exists()], folder / MEASUREMENT / REPLIES_FILE
    if not there or not replies.exists():
        raise InputError(f"{folder} holds no finished measurement with {MEASUREMENT}/{REPLIES_FILE}")
    if settings.package:
        raise InputError(f"--package is for packaged measurements, not for the run folder {folder}")
    neurons = settings.neurons or folder / "neurons.safetensors"
    values = settings.out or folder / MEASUREMENT / "readings"
    return Source(settings.run, there[0], replies, neurons, values, readings_beside(there[0]))


def _packaged(settings: SurfaceReading) -> Source:
    measured = surfaces_folder() / f"{settings.run}.safetensors"
    if not measured.exists():
        raise InputError(f"{settings.run!r} is no run folder, and no measurement of that name ships with auctionsim")
    replies, beside = replies_beside(measured), readings_beside(measured)
    if not replies.exists():
        raise InputError(f"the replies behind {settings.run} were not kept: read a later version of it")
    shipped = surfaces_folder().parent / "neurons" / f"{settings.run}.safetensors"
    neurons = settings.neurons or (shipped if shipped.exists() else None)
    values = settings.out or Path("runs") / "readings" / settings.run
    if not settings.package:
        measured, beside = values / measured.name, values / beside.name
    return Source(settings.run, measured, replies, neurons, values, beside)


def _copied(source: Source) -> None:
    """Copy a packaged measurement, its replies and what was read of them, where they are not there yet."""
    shipped, own = surfaces_folder() / source.measured.name, source.measured
    pairs = [(readings_beside(shipped), readings_beside(own)), (replies_beside(shipped), replies_beside(own))]
    for original, copy in (*pairs, (shipped, own)):  # the measurement last: a stopped copy is gone on from
        if original.exists() and not copy.exists():
            write_bytes(copy, original.read_bytes())


def read_again(
    settings: SurfaceReading,
    command: str,
    console: Console,
    fan_out: FanOut,
    *,
    model: LanguageModel | None = None,
) -> Source:
    """Take readings of stored replies, print their means, and return where the side file that holds them is.

    Args:
        settings: What is read, of what.
        command: What the user typed.
        console: Where progress and the table are shown.
        fan_out: Who reads.
        model: Already loaded; None loads it, where a reading needs it.
    Raises:
        ValueError: As `SecondPass` and `source_of` say.
    """
    source = source_of(settings)
    names = judged_by(settings.judge, settings.readings)
    passes = needs_model(names)  # an unknown name is refused before anything is written
    if not source.measured.exists():
        _copied(source)
    measured = measured_named(str(source.measured))
    stored = StoredReplies.load(source.replies, measured.provenance)
    if fan_out.dtype == "auto":  # weights are rounded when they are loaded
        fan_out = fan_out._replace(dtype=str(stored.kept.record["dtype"]).removeprefix("torch."))
    with Stages(console) as stages:
        carrier: Carrier | BrandNeurons | None = None
        if passes:
            if model is None:
                with stages.stage("loading the model", 1):
                    model = load_model(settings.model, fan_out.device, fan_out.dtype)
            measured.require_model(model.identity)
            carrier = _carrier(settings, source, stored, model, measured, stages)
        second = SecondPass(source.folder, stored, names, carrier, model)
        workers = fan_out.crew(settings.model, model)
        with stages.measuring("reading the replies", source.folder) as report:
            values = second.run(workers, report)
    gathered = gather_values(second, values)
    maker = {"command": command, "commit": commit_or_none(), "versions": package_versions()}
    write_side_file(source.beside, measured, stored, gathered, maker)
    for table in tables(measured, gathered.means):
        console.print(table)
    for line in to_try_again(values):
        console.print(line)
    return source


def to_try_again(values: Mapping[str, list[Value]]) -> list[str]:
    """Return a line for each reading that left replies unscored for now."""
    found = []
    for name, listed in values.items():
        waiting = [one.reason for one in listed if isinstance(one, Unscored) and one.for_now]
        if waiting:
            found.append(f"{name}: {len(waiting)} unscored for now ({waiting[0]}); the same command tries them again")
    return found


def tables(
    measured: ResponseSurface | MeasuredList, gathered: Mapping[str, dict[str, dict[str, Measurement]]]
) -> list[Table]:
    """Return one table a reading: the untouched reply and the extremes over interventions, replicate A above B."""
    found = []
    for name, replicates in gathered.items():
        one = reading(name)
        beside = "" if one.loss in (None, IS_ONE) else " beside the untouched reply"
        table = Table(title=f"{name} ({one.unit}){beside}, mean over {len(measured.contexts)} contexts")
        for column in ("replicate", "untouched", "lowest", "highest", "largest error", "unscored"):
            table.add_column(column, justify="right")
        for replicate, parts in replicates.items():
            mean = parts[name].mean.mean(0)
            share = parts.get(f"{name}{UNSCORED_SHARE}")
            unscored = 0 if share is None else round(float((share.mean * share.n).sum()))
            numbers = (mean[0].mean(), mean.min(), mean.max(), parts[name].standard_error.max())
            table.add_row(replicate, *(f"{float(number):.4g}" for number in numbers), str(unscored))
        found.append(table)
    return found


def _carrier(
    settings: SurfaceReading,
    source: Source,
    stored: StoredReplies,
    model: LanguageModel,
    measured: ResponseSurface | MeasuredList,
    stages: Stages,
) -> Carrier | BrandNeurons:
    """Return what moved the replies: the carrier that lies beside them, else neurons."""
    beside = [source.replies.parent.parent / CARRIER_FILE, carrier_beside(source.measured)]
    there = [path for path in (*beside, carrier_beside(surfaces_folder() / source.measured.name)) if path.exists()]
    if there and settings.neurons is None:  # else other neurons were named, and are refused if they are others
        return load_carrier(there[0])
    if stored.carrier["name"] != "neurons":
        raise InputError(f"the carrier {stored.carrier['name']} of {settings.run} is not here: {beside[0]} is missing")
    return _neurons(settings, source, model, measured, stages)


def _neurons(
    settings: SurfaceReading,
    source: Source,
    model: LanguageModel,
    measured: ResponseSurface | MeasuredList,
    stages: Stages,
) -> BrandNeurons:
    """Return the neurons that were amplified: from their file, or identified anew by the packaged recipe."""
    if source.neurons is not None:
        return BrandNeurons.load(source.neurons)
    recipe = PACKAGED.get(settings.run)
    if recipe is None:
        raise InputError(f"the neurons of {settings.run} are not here: name their file with --neurons")
    wanted = measured.provenance["settings"]
    most = recipe.settings.most_neurons if recipe.allocations is None else int(recipe.allocations[..., 0].max().ceil())
    return kept_neurons(
        source.folder, model, recipe.bidders, recipe.prompts, most, wanted["seed"], stages, method=recipe.method
    )
