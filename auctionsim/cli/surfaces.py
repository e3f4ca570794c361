"""Commands about neurons and what amplifying them does."""

from pathlib import Path
from typing import Annotated

import typer

from auctionsim.cli import completions, gold
from auctionsim.cli.options import (
    DEFAULT_METHOD,
    Brands,
    Category,
    Device,
    Dtype,
    Gold,
    Loss,
    Method,
    Model,
    Prompts,
    Seed,
    command_line,
    console,
    folder_to_write,
    loss_words,
    surface_named,
)
from auctionsim.cli.record_options import ChosenRecords, RecordOptions, options_from
from auctionsim.threads import use_threads

app = typer.Typer(help="Measure a model, and show and read what was measured.", no_args_is_help=True)

WorkerCount = Annotated[int, typer.Option(min=0, help="Ray workers, one model each; 0 measures in this process.")]
Address = Annotated[str | None, typer.Option(help="Address of a running Ray cluster; without it Ray is started here.")]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Threads of torch in each worker, or in this process if there are no workers.",
        show_default="1 in a worker; here as `auctionsim --threads`",
    ),
]


def _worker_threads(workers: int, threads: int | None) -> int:
    """Return the threads of each worker; without workers set those of this process, where a number is asked for."""
    if not workers and threads is not None:
        use_threads(threads)
    return threads or 1


def _folder_or_none(path: Path | None) -> Path | None:
    """Refuse a folder that cannot be written, before any work; None stands for the measurement's own."""
    return None if path is None else folder_to_write(path)


RECIPE = RecordOptions(
    "auctionsim.experiments.running.recipes",
    "Recipe",
    without=("settings", "prompts_file", "allocations_file"),
    own={"brands": Brands, "category": Category, "model": Model, "method": Method, "subsets": {}},
    defaults={"brands": "Nike,Adidas", "method": DEFAULT_METHOD},
)
COUNTS = RecordOptions(
    "auctionsim.measurement.settings",
    "MeasurementSettings",
    without=("leads",),
    own={
        "seed": Seed,
        "samples": {"min": 1},
        "max_new_tokens": {"min": 1},
        "temperature": {"min": 0.0},
        "rows": {"min": 1},
        "min_replies": {"min": 16},
        "max_replies": {"min": 16},
        "readings": {"show_default": "none"},
    },
)
FAN_OUT = RecordOptions(
    "auctionsim.experiments.running.recipes",
    "FanOut",
    own={"device": Device, "dtype": Dtype, "workers": WorkerCount, "address": Address, "threads": Threads},
    defaults={"threads": None},  # 1 in a worker, the rule's number without workers
)


@app.command("measure")
@options_from(RECIPE, COUNTS, FAN_OUT)
def measure(
    out: Annotated[
        Path, typer.Option(help="Run folder; a stopped measurement continues from it.", callback=folder_to_write)
    ],
    chosen: ChosenRecords,
    prompts: Prompts = None,
    allocations: Annotated[
        Path | None,
        typer.Option(help="JSON file [[[NEURONS, FACTOR], … per brand], … per entry] to measure instead of the grid."),
    ] = None,
) -> None:
    """Measure exposure and user loss, twice (replicates A and B). For 1 to 3 brands: at every joint setting of the
    levers' grid. For more brands: at a list of joint allocations. A lever with one value is fixed at it.
    """
    from auctionsim.experiments.running.recipes import FanOut, Recipe, carry_out, result_file
    from auctionsim.measurement import MeasurementSettings

    settings = chosen.make(MeasurementSettings)
    recipe = chosen.make(Recipe, {"settings": settings, "prompts_file": prompts, "allocations_file": allocations})
    fan_out = chosen.make(FanOut, {"threads": _worker_threads(chosen["workers"], chosen["threads"])})
    carry_out(recipe, out, console, fan_out)
    console.print(f"measured: {result_file(recipe, out)}", soft_wrap=True)


@app.command("package")
def package(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of recipes; default: all that are not measured yet.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            help="Folder that the surfaces are put into.",
            show_default="the package's own surfaces",
            callback=folder_to_write,
        ),
    ] = None,
    runs: Annotated[
        Path,
        typer.Option(
            help="Folder in which they are measured; a stopped measurement continues there.", callback=folder_to_write
        ),
    ] = Path("runs/surfaces"),
    device: Device = "auto",
    dtype: Dtype = "auto",
    workers: WorkerCount = 0,
    address: Address = None,
    threads: Threads = None,
) -> None:
    """Measure the packaged surfaces' recipes under new names; an existing name is never overwritten."""
    from auctionsim.data import surfaces_folder
    from auctionsim.experiments.running.recipes import FanOut
    from auctionsim.experiments.running.recipes import package as measure_and_package

    fan_out = FanOut(device, dtype, workers, address, _worker_threads(workers, threads))
    for path in measure_and_package(names or [], into or surfaces_folder(), runs, console, fan_out):
        console.print(f"packaged: {path}", soft_wrap=True)


@app.command("read")
def read(
    run: Annotated[
        str,
        typer.Argument(
            help="A run folder of `surface measure`, or a packaged measurement's name.",
            autocompletion=completions.measured,
        ),
    ],
    reading: Annotated[str, typer.Option(help="Names of readings, separated by commas.")],
    judge: Annotated[
        str,
        typer.Option(
            help="Whose mutual_information and judged_… they are: 'smollm2', 'gemma3-270m', a Hugging Face id, a "
            "folder, or an OpenAI-compatible address, http://HOST:PORT/v1#MODEL."
        ),
    ] = "smollm2",
    package: Annotated[
        bool, typer.Option("--package", help="Write a packaged measurement's side file beside it, not a copy of it.")
    ] = False,
    neurons: Annotated[
        Path | None,
        typer.Option(help="File of the neurons that were amplified.", show_default="those of the measurement"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for values; a stopped pass continues from it.",
            show_default="in the run folder",
            callback=_folder_or_none,
        ),
    ] = None,
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    workers: WorkerCount = 0,
    address: Address = None,
    threads: Threads = None,
) -> None:
    """Take new readings of the replies that a measurement kept; nothing is sampled, and text readings need no model."""
    from auctionsim.experiments.running.recipes import FanOut
    from auctionsim.experiments.running.surface_reading import SurfaceReading, read_again

    names = tuple(part.strip() for part in reading.split(","))
    settings = SurfaceReading(run, names, model, neurons, out, package, judge)
    fan_out = FanOut(device, dtype, workers, address, _worker_threads(workers, threads))
    source = read_again(settings, command_line(), console, fan_out)
    console.print(f"written: {source.beside}, beside {source.measured}", soft_wrap=True)


@app.command("show")
def show(
    name: Annotated[
        str, typer.Argument(help="Name of a packaged surface, or a file.", autocompletion=completions.measured)
    ],
) -> None:
    """Print what was measured: every brand alone at each setting, or every listed allocation, and the losses that
    can be charged for, those that were read later among them.
    """
    from auctionsim.experiments.running.measured import measured_named
    from auctionsim.experiments.tables.measured import losses_table, measured_tables

    measured = measured_named(name)
    for table in (*measured_tables(measured), losses_table(measured)):
        console.print(table)


@app.command("maps")
def maps(
    name: Annotated[
        str, typer.Argument(help="Name of a packaged surface, or a file.", autocompletion=completions.surfaces)
    ],
    features: Annotated[str | None, typer.Option(help="Names, separated by commas; default: all.")] = None,
    loss: Loss = "kl",
    gold: Gold = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/maps-…", callback=folder_to_write)
    ] = None,
) -> None:
    """Draw heat maps of each brand's exposure, and of the user's loss, over two brands' levers."""
    from auctionsim.experiments.running.preparation import slug
    from auctionsim.experiments.studies.maps import MapSettings, main

    chosen = () if features is None else tuple(part.strip() for part in features.split(","))
    folder = out or Path("runs") / slug("maps", Path(name).stem, *loss_words(loss), *(("gold",) if gold else ()))
    settings = MapSettings(name, folder, chosen, loss)
    main(settings, surface_named(name, gold, loss), command_line(), console)


app.command("label")(gold.label)
app.command("correct")(gold.correct)
