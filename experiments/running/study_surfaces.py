"""What a study is about, and the measurements it reads: packaged, or measured anew on the model that is named."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from auctionsim.experiments.running.measured import measured_named
from auctionsim.experiments.running.recipes import PACKAGED, FanOut, Recipe, carry_out
from auctionsim.substrates import MeasuredList, ResponseSurface

PAIR, PLAIN, TRIPLE = "running-shoes-2@3", "running-shoes-2-attribution@2", "running-shoes-3@2"
PHONES = "smartphones-2@1"
SUBSETS = (
    "running-shoes-5-subsets@2",
    "smartphones-3-subsets@2",
    "charities-3-subsets@2",
    "coffee-3-subsets@2",
)


@dataclass(frozen=True)
class StudySettings:
    """What is studied, and where.

    Attributes:
        folder: A folder for every stage lies in it.
        results: The page that is written; with `only` some stages a page of that name in the folder, instead.
        remeasure: Measure the surfaces anew, on `model`, instead of reading the packaged ones.
        model: "smollm2", a hub id or a folder: of remeasured surfaces, and of what asks the live model.
        fan_out: Who measures.
        seed: Seed of everything that is drawn.
        only: Names of stages; none: all of them.
    """

    folder: Path
    results: Path
    remeasure: bool = False
    model: str = "smollm2"
    fan_out: FanOut = field(default_factory=FanOut)
    seed: int = 0
    only: tuple[str, ...] = ()


class Surfaces:
    """The study's measurements: packaged, or measured anew in the study's folder, each read once.

    Args:
        settings: Which.
        console: Where progress is shown.
    """

    def __init__(self, settings: StudySettings, console: Console) -> None:
        self._settings, self._console = settings, console
        self._read: dict[str, ResponseSurface | MeasuredList] = {}

    def place(self, name: str) -> str:
        """Return what a command line calls it: its name, or the file of a remeasured one."""
        if not self._settings.remeasure:
            return name
        file = "list" if PACKAGED[name].allocations is not None else "surface"
        return str(self._settings.folder / "surfaces" / name / f"{file}.safetensors")

    def surface(self, name: str) -> ResponseSurface:
        """Return a grid."""
        measured = self._measured(name)
        assert isinstance(measured, ResponseSurface)
        return measured

    def subsets(self, name: str) -> MeasuredList:
        """Return a list."""
        measured = self._measured(name)
        assert isinstance(measured, MeasuredList)
        return measured

    @property
    def model(self) -> str:
        """The model that was measured, name and fingerprint."""
        return str(self.surface(PAIR).provenance["model"])

    def _measured(self, name: str) -> ResponseSurface | MeasuredList:
        if name not in self._read:
            self._read[name] = self._anew(PACKAGED[name], name) if self._settings.remeasure else measured_named(name)
        return self._read[name]

    def _anew(self, recipe: Recipe, name: str) -> ResponseSurface | MeasuredList:
        settings = self._settings
        here = replace(recipe, model=settings.model, settings=replace(recipe.settings, seed=settings.seed))
        self._console.rule(f"measuring {name}")
        return carry_out(here, settings.folder / "surfaces" / name, self._console, settings.fan_out)
