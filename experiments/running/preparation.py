"""What every study begins with: a run folder, a model, neurons and a measured surface, each kept and found again."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor

from auctionsim.carriers.protocol import Carrier
from auctionsim.errors import DamagedFileError
from auctionsim.files import write_text
from auctionsim.language_models import LanguageModel
from auctionsim.measurement import MeasurementSettings, Report, Workers, measure
from auctionsim.measurement import Progress as Measured
from auctionsim.neurons import BrandNeurons
from auctionsim.prompts import PromptSet
from auctionsim.records import Record, json_in
from auctionsim.substrates import MeasuredList, ResponseSurface

Tick = Callable[[], None]
SURFACE_FILE, LIST_FILE = "surface.safetensors", "list.safetensors"
MEASUREMENT = "measurement"  # folder of the units and the replies
_SECONDS = "seconds.json"  # how long they took
_OFTEN = 10.0  # seconds between notes of it


class Stages:
    """A progress bar a stage, and how long each took; what an earlier run kept counts as it was timed then.

    Args:
        console: Where the bars are drawn.
    """

    def __init__(self, console: Console) -> None:
        self.seconds: dict[str, float] = {}
        self.before: dict[str, float] = {}  # the part of it that earlier runs took
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description:<26}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=console,
        )

    def __enter__(self) -> "Stages":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def stage(self, name: str, steps: int) -> Iterator[Tick]:
        """Show a bar for one stage; the tick that is given moves it on by one step."""
        with self._timed(name, steps) as task:
            yield lambda: self._progress.advance(task)
        self._progress.update(task, completed=steps)

    @contextmanager
    def measuring(self, name: str, place: Path) -> Iterator[Report]:
        """Show a bar for a measurement, whose length grows as rounds are opened; its folder keeps the time it took."""
        kept = _KeptTime(place / _SECONDS)
        with self._timed(name, None) as task:

            def tell(progress: Measured) -> None:
                self._progress.update(task, completed=progress.done, total=progress.known)
                kept.note(progress)

            yield tell
        self.kept(name, kept.before, shown=False)

    def kept(self, name: str, seconds: float, *, shown: bool = True) -> None:
        """Count what earlier runs took for a stage, or for a part of it; show a bar that is full already."""
        if shown:
            self._progress.update(self._progress.add_task(name, total=1), completed=1)
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.before[name] = self.before.get(name, 0.0) + seconds

    @contextmanager
    def _timed(self, name: str, steps: int | None) -> Iterator[TaskID]:
        began = time.perf_counter()
        try:
            yield self._progress.add_task(name, total=steps)
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


class _KeptTime:
    """How long a measurement has taken, over all runs that measured it, in a file of its folder.

    A kill loses what was not written yet: some seconds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = _seconds_in(path)
        self._began = self._written = time.perf_counter()
        self._first: int | None = None

    def note(self, progress: Measured) -> None:
        """Write the time down now and then, and when nothing is left to measure, if anything was measured."""
        self._first = progress.done if self._first is None else self._first
        now = time.perf_counter()
        if progress.done > self._first and (progress.done == progress.known or now - self._written > _OFTEN):
            write_text(self.path, json.dumps({"seconds": self.before + now - self._began}))
            self._written = now


def _seconds_in(path: Path) -> float:
    if not path.is_file():
        return 0.0
    try:
        return Record(json_in(path), "it").number("seconds", 0)
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again") from None


class PeakMemory:
    """The largest resident size of this process and its children, sampled twice a second."""

    def __init__(self) -> None:
        import threading

        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def gib(self) -> float:
        """The peak so far, in GiB."""
        return self.bytes / 2**30

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.5):
            self.bytes = max(self.bytes, sum(_resident(process) for process in [me, *_children(me)]))


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it ended meanwhile
        return 0


def kept_surface(
    folder: Path,
    model: LanguageModel,
    neurons: BrandNeurons,
    prompts: PromptSet,
    settings: MeasurementSettings,
    provenance: Mapping[str, object],
    stages: Stages,
    *,
    workers: Workers | None = None,
) -> ResponseSurface:
    """Measure what is missing of the folder's surface and return it whole."""
    place = folder / MEASUREMENT
    with stages.measuring("measuring the surface", place) as report:
        surface = measure(
            place, model, neurons, prompts, settings, provenance=provenance, workers=workers, report=report
        )
    surface.save(folder / SURFACE_FILE)
    return surface


def kept_list(
    folder: Path,
    model: LanguageModel,
    carrier: Carrier | BrandNeurons,
    prompts: PromptSet,
    settings: MeasurementSettings,
    allocations: Tensor,
    provenance: Mapping[str, object],
    stages: Stages,
    *,
    workers: Workers | None = None,
) -> MeasuredList:
    """Measure what is missing of the folder's list of allocations and return it whole."""
    place = folder / MEASUREMENT
    with stages.measuring("measuring the list", place) as report:
        measured = measure(
            place, model, carrier, prompts, settings, allocations, provenance=provenance, workers=workers, report=report
        )
    measured.save(folder / LIST_FILE)
    return measured


@cache
def commit_or_none() -> str | None:
    """Return the commit that this process runs, with a + where files differ from it; None outside a checkout."""
    here = Path(__file__).parent
    try:
        words = ["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"]
        head = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        words = ["git", "-C", str(here), "status", "--porcelain", "--untracked-files=no"]
        changed = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def slug(*words: str) -> str:
    """Return words as a folder's name."""
    text = "-".join(words).lower()
    return "-".join("".join(sign if sign.isalnum() else " " for sign in text).split())
