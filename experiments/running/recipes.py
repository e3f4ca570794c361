"""What measured surfaces are made from: the packaged ones' recipes in one table, and how a recipe is carried out."""

import shlex
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from torch import Tensor

from auctionsim.brands import Brand, parse_brands
from auctionsim.data import packaged_names, replies_beside
from auctionsim.errors import InputError
from auctionsim.experiments.running.kept_neurons import kept_neurons
from auctionsim.experiments.running.preparation import (
    LIST_FILE,
    MEASUREMENT,
    SURFACE_FILE,
    Stages,
    commit_or_none,
    kept_list,
    kept_surface,
)
from auctionsim.experiments.running.subsets import joint_settings, kept_subsets
from auctionsim.files import write_bytes
from auctionsim.language_models import LanguageModel, load_model
from auctionsim.measurement import REPLIES_FILE, MeasurementSettings, Workers, levels_of, sparse_allocations
from auctionsim.measurement.interventions import GRID_BRANDS
from auctionsim.neurons.methods import DEFAULT_METHOD
from auctionsim.prompts import PromptSet, build_prompts, read_prompts
from auctionsim.records import json_in
from auctionsim.substrates import MeasuredList, ResponseSurface

NO_OPTIONS = ("leads",)  # settings that the command line does not have
ROUNDS = ("interval", "confidence", "min_replies", "max_replies")  # of no matter where there is one round


@dataclass(frozen=True)
class Recipe:
    """All that decides a measurement's numbers.

    Attributes:
        brands: As on the command line: "Nike,Adidas".
        category: What they sell.
        settings: The grid and the counts.
        model: "smollm2", a hub id or a folder.
        prompts_file: JSON prompts instead of the templates.
        allocations_file: JSON list of joint allocations instead of the grid.
        method: Of identification.
        subsets: Measure every subset of the brands amplified together at the grid's highest levers instead of the
            grid, and beside it how far apart the brands' neurons are (`geometry` in the provenance).
    """

    brands: str
    category: str = "running shoes"
    settings: MeasurementSettings = field(default_factory=MeasurementSettings)
    model: str = "smollm2"
    prompts_file: Path | None = None
    allocations_file: Path | None = None
    method: str = DEFAULT_METHOD
    subsets: bool = False

    def __post_init__(self) -> None:
        if self.subsets and self.allocations_file is not None:
            raise InputError(f"either subsets are measured or the allocations of {self.allocations_file}, not both")

    @property
    def bidders(self) -> tuple[Brand, ...]:
        """The brands, read."""
        return parse_brands(self.brands)

    @property
    def prompts(self) -> PromptSet:
        """All prompts; refused here if they are too few to be split."""
        prompts = build_prompts(self.category) if self.prompts_file is None else read_prompts(self.prompts_file)
        prompts.split("test")
        return prompts

    @property
    def allocations(self) -> Tensor | None:
        """The list that is measured instead of the grid: the file's, every subset, or a sparse one for > 3 brands."""
        if self.allocations_file is not None:
            return read_allocations(self.allocations_file)
        if self.subsets:
            return joint_settings(len(self.bidders), self.settings.num_neurons[-1], self.settings.amplification[-1])
        if len(self.bidders) > GRID_BRANDS:
            return sparse_allocations(len(self.bidders), levels_of(self.settings))
        return None

    @property
    def command(self) -> str:
        """The command that measures this, every number spelt out; how the work was fanned out is no part of it."""
        s = self.settings
        words = ["auctionsim", "surface", "measure", "--brands", self.brands, "--category", self.category]
        files = (("--prompts", self.prompts_file), ("--allocations", self.allocations_file))
        words += [word for option, path in files if path is not None for word in (option, str(path))]
        words += ["--subsets"] if self.subsets else []
        idle = NO_OPTIONS if s.half_width is not None else (*NO_OPTIONS, *ROUNDS)
        counts = {one.name: getattr(s, one.name) for one in fields(s) if one.name not in idle}
        values = {"model": self.model, "method": self.method, **counts}
        for name, value in values.items():
            if value is not None and value != ():
                words += [f"--{name.replace('_', '-')}", _commas(value) if isinstance(value, tuple) else str(value)]
        return shlex.join(words)


ON_OFF = MeasurementSettings((0.0, 512.0), (1.0, 1.5), samples=2)

GRID = MeasurementSettings((0.0, 256.0, 512.0), (1.0, 1.25, 1.5, 2.0), samples=4)

UP_TO_COLLAPSE = MeasurementSettings((0.0, 512.0), (1.0, 1.5, 2.0, 3.0), samples=2)
"""From the untouched reply to loops and broken text, so that whatever judges replies meets all of it."""

PACKAGED = {
    "running-shoes-2@3": Recipe("Nike,Adidas", settings=GRID),
    "running-shoes-3@2": Recipe(
        "Nike,Adidas,Puma", settings=MeasurementSettings((0.0, 256.0), (1.0, 1.5, 2.0), samples=4)
    ),
    "running-shoes-2-attribution@2": Recipe("Nike,Adidas", settings=GRID, method="attribution"),
    "running-shoes-5-subsets@2": Recipe("Nike,Adidas,Puma,Reebok,Asics", settings=ON_OFF, subsets=True),
    "smartphones-3-subsets@2": Recipe("Apple,Samsung,Google", "smartphones", ON_OFF, subsets=True),
    "charities-3-subsets@2": Recipe("UNICEF,Oxfam,Greenpeace", "charities", ON_OFF, subsets=True),
    "coffee-3-subsets@2": Recipe("Starbucks,Dunkin,Nestle", "coffee", ON_OFF, subsets=True),
    "smartphones-2@1": Recipe("Apple,Samsung", "smartphones", replace(UP_TO_COLLAPSE, samples=4)),
    "coffee-2@1": Recipe("Starbucks,Dunkin", "coffee", UP_TO_COLLAPSE),
    "hotels-2@1": Recipe("Hilton,Marriott", "hotels", UP_TO_COLLAPSE),
    "charities-2@1": Recipe("UNICEF,Oxfam", "charities", UP_TO_COLLAPSE),
}
"""The packaged surfaces that this version measures. A name is used once: a better recipe gets the next version.

Earlier versions of these names ship, too: all of them were scored on the same four stems in both replicates, and lost
some .001 nats a token to bfloat16 at every intervention; running-shoes-2@1 is without `intent`. Their commands are in
their provenance.
"""


class FanOut(NamedTuple):
    """Where the work is done; the numbers do not depend on it.

    Attributes:
        device: Of every model.
        dtype: Of every model; "auto" is what suits this machine's device.
        workers: Ray workers; 0 measures in this process.
        address: A running Ray cluster's; None starts Ray here.
        threads: Of torch, in a worker.
    """

    device: str = "auto"
    dtype: str = "auto"
    workers: int = 0
    address: str | None = None
    threads: int = 1

    def crew(self, name: str, model: LanguageModel | None) -> Workers | None:
        """Return the workers that load the same model in the same dtype, None for none.

        Args:
            name: Of the model, as it is loaded.
            model: As it is loaded here; None: workers need none.
        """
        if not self.workers:
            return None
        dtype = self.dtype if model is None else str(model.dtype).removeprefix("torch.")
        load = partial(load_model, name, self.device, dtype)
        gpus = 1.0 if self.device.startswith("cuda") else 0.0
        return Workers(self.workers, load, self.address, self.threads, gpus)


def carry_out(
    recipe: Recipe, folder: Path, console: Console, fan_out: FanOut, *, model: LanguageModel | None = None
) -> ResponseSurface | MeasuredList:
    """Identify neurons and measure, in a folder that a stopped run goes on from.

    Args:
        recipe: What to measure.
        folder: Everything is kept there: the neurons, the units, the surface or the list.
        console: Where progress is shown.
        fan_out: Who measures.
        model: Already loaded; None loads the recipe's.
    """
    bidders, prompts, allocations = recipe.bidders, recipe.prompts, recipe.allocations
    settings = recipe.settings
    most = settings.most_neurons if allocations is None else int(allocations[..., 0].max().ceil())
    with Stages(console) as stages:
        if model is None:
            with stages.stage("loading the model", 1):
                model = load_model(recipe.model, fan_out.device, fan_out.dtype)
        dtype = str(model.dtype).removeprefix("torch.")
        command = f"{recipe.command} --dtype {dtype}"  # "auto" is another one elsewhere
        provenance = {"category": recipe.category, "command": command, "commit": commit_or_none()}
        crew = fan_out.crew(recipe.model, model)
        if recipe.subsets:
            how = (settings, recipe.method, provenance, stages)
            return kept_subsets(folder, model, bidders, prompts, *how, workers=crew)
        neurons = kept_neurons(
            folder, model, bidders, prompts, most, settings.seed, stages, method=recipe.method, command=command
        )
        if allocations is None:
            return kept_surface(folder, model, neurons, prompts, settings, provenance, stages, workers=crew)
        return kept_list(folder, model, neurons, prompts, settings, allocations, provenance, stages, workers=crew)


def result_file(recipe: Recipe, folder: Path) -> Path:
    """Return where `carry_out` leaves what it measured."""
    return folder / (SURFACE_FILE if recipe.allocations is None else LIST_FILE)


def package(
    names: list[str],
    into: Path,
    runs: Path,
    console: Console,
    fan_out: FanOut,
    *,
    recipes: dict[str, Recipe] = PACKAGED,
    model: LanguageModel | None = None,
) -> list[Path]:
    """Measure recipes and put the results among the packaged surfaces, never over one that is there.

    Args:
        names: Which; none means all that are not there yet.
        into: The folder of the packaged surfaces.
        runs: Where each is measured, in a folder of its name.
        console: Where progress is shown.
        fan_out: Who measures.
        recipes: By name.
        model: Already loaded; None loads each recipe's.
    Returns:
        The new files.
    Raises:
        ValueError: A name without a recipe, or one that is taken; told before anything is measured.
    """
    taken = {path.name.removesuffix(".safetensors") for path in into.glob("*.safetensors")} | set(packaged_names())
    for name in names:
        if name not in recipes:
            raise InputError(f"no recipe is called {name!r}; there are: {', '.join(recipes)}")
        if name in taken:
            raise InputError(f"{name} is there, and names are immutable: give a new recipe the next version")
    chosen = names or [name for name in recipes if name not in taken]
    if not chosen:
        raise InputError(f"{', '.join(recipes)} are there, and names are immutable: give a new recipe the next version")
    written = []
    for name in chosen:
        measured = carry_out(recipes[name], runs / name, console, fan_out, model=model)
        path = into / f"{name}.safetensors"
        if path.exists():
            raise InputError(f"{path} has appeared meanwhile: it is left as it is")
        replies = runs / name / MEASUREMENT / REPLIES_FILE
        write_bytes(replies_beside(path), replies.read_bytes())  # first: a surface that is there has its replies
        measured.save(path)
        written.append(path)
    return written


def read_allocations(path: Path) -> Tensor:
    """Read joint allocations from a JSON file: [[[num_neurons, amplification], … per brand], … per entry].

    Raises:
        ValueError: The file is missing, no JSON, or not of that form.
    """
    try:
        listed = torch.tensor(json_in(path), dtype=torch.float64)
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # RuntimeError: an integer beyond what torch holds
        raise InputError(f"cannot read allocations from {path}: {error}") from error
    if listed.ndim != 3 or listed.shape[2] != 2:
        raise InputError(f"{path} must hold [[[num_neurons, amplification], …], …], a pair a brand, got {listed.shape}")
    return listed


def _commas(values: tuple[float | str, ...]) -> str:
    return ",".join(
        value if isinstance(value, str) else f"{value:g}" if float(f"{value:g}") == value else repr(value)
        for value in values
    )
