"""Who measures: this process, or Ray workers with one model each; the driver alone writes, so no folder is shared."""

import contextlib
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.files import sweep
from auctionsim.language_models.model import LanguageModel
from auctionsim.measurement.measurer import UnitMeasurer
from auctionsim.measurement.measuring import Measuring, Progress, Report
from auctionsim.measurement.settings import MeasurementSettings
from auctionsim.measurement.units import Unit, UnitResult
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.plugins import PluginFile, load_files, loaded, ray_options
from auctionsim.prompts import PromptSet
from auctionsim.ray_folders import ray_folder
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.surface import ResponseSurface

_log = logging.getLogger(__name__)

REPLIES_FILE = "replies.jsonl.gz"
"""Where `measure` leaves all replies, in its folder."""

_DEATHS = 3  # of workers over one unit, before it is given up
_PATIENCE = 1.0  # seconds between looks at the workers


@dataclass(frozen=True)
class Workers:
    """Processes that measure, wherever they are.

    Attributes:
        count: How many, one model each.
        load: Makes the model in a worker; it is pickled, so use a function of an installed package.
        address: A running Ray cluster's ("auto", "host:6379", "ray://host:10001"); None starts Ray here, and stops it
            afterwards.
        threads: Of torch, in each worker, and as many CPUs of Ray's.
        gpus: Of Ray's, for each worker.
    """

    count: int
    load: Callable[[], LanguageModel]
    address: str | None = None
    threads: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        checked_count(self.count, "workers")
        checked_count(self.threads, "threads")


@overload
def measure(
    folder: Path,
    model: LanguageModel,
    neurons: BrandNeurons,
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
    neurons: BrandNeurons,
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
    neurons: BrandNeurons,
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
        neurons: Identified on the same model.
        prompts: All prompts; replicates A and B are measured on their splits of the same names.
        settings: The grid, for one to three brands, and the counts.
        allocations: (entry, bidder, lever), levers (num_neurons, amplification): measured instead of the grid, for any
            number of brands; see `sparse_allocations`.
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
    measuring = Measuring(folder, model, neurons, prompts, settings, allocations)
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
    tell(Progress(schedule.done, len(schedule.known)))
    if not schedule.waiting:
        return
    with _ray(workers):
        crew = _Crew(measuring, workers, min(workers.count, len(schedule.waiting)))
        try:
            while schedule.waiting or crew.busy:
                for result in crew.work(schedule.waiting, _PATIENCE):
                    measuring.store(result)
                    schedule.note(result)
                    tell(Progress(schedule.done, len(schedule.known)))
        except BaseException:  # Ctrl-C among them: keep what has come back meanwhile
            for result in crew.finished():
                measuring.store(result)
            raise
        finally:
            crew.dismiss()


class _Station:
    """What a worker process holds: the model, loaded at the first unit."""

    def __init__(
        self,
        plugins: tuple[PluginFile, ...],
        load: Callable[[], LanguageModel],
        threads: int,
        rest: tuple[Any, ...],
        wanted: str,
    ) -> None:
        load_files(plugins)  # where Ray had been started before they were loaded
        torch.set_num_threads(threads)  # or workers on one machine would fight over its cores
        self._load, self._rest, self._wanted = load, rest, wanted
        self._measure: UnitMeasurer | None = None

    def ready(self) -> None:
        """Answer as soon as the process is there."""

    def measure(self, unit: Unit) -> UnitResult:
        """Measure one unit."""
        if self._measure is None:
            model = self._load()
            if _who(model) != self._wanted:
                raise ValueError(f"a worker loaded the model {_who(model)}, the plan is for {self._wanted}")
            self._measure = UnitMeasurer(model, *self._rest)
        return self._measure(unit)


class _Crew:
    """The workers, and who is at what. None instead of a unit: a worker that is being started."""

    def __init__(self, measuring: Measuring, workers: Workers, count: int) -> None:
        import ray

        rest = (measuring.neurons, measuring.prompts, measuring.settings, measuring.interventions)
        self._arguments = (loaded(), workers.load, workers.threads, rest, _who(measuring.measurer.model))
        self._station = ray.remote(num_cpus=workers.threads, num_gpus=workers.gpus, max_restarts=0)(_Station)
        self._at: dict[Any, tuple[Any, Unit | None]] = {}
        self._idle: list[Any] = []
        self._deaths: Counter[Unit | None] = Counter()
        for _ in range(count):
            self._hire()

    @property
    def busy(self) -> bool:
        """Some unit is being measured."""
        return any(unit is not None for _, unit in self._at.values())

    def work(self, waiting: deque[Unit], patience: float) -> Iterator[UnitResult]:
        """Give waiting units to idle workers; yield what is finished within `patience` seconds."""
        import ray

        while self._idle and waiting:
            worker, given = self._idle.pop(), waiting.popleft()
            self._at[worker.measure.remote(given)] = (worker, given)
        if not self._at:
            return
        first, _ = ray.wait(list(self._at), num_returns=1, timeout=patience)
        others, _ = ray.wait(list(self._at), num_returns=len(self._at), timeout=0)
        for reference in {*first, *others}:
            worker, unit = self._at.pop(reference)
            try:
                result = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise error.cause or error from None
            except ray.exceptions.RayError as error:  # the worker or its machine is gone
                self._replace(unit, waiting, error)
                continue
            self._idle.append(worker)
            if result is not None:
                yield result

    def finished(self) -> Iterator[UnitResult]:
        """Yield what is finished now, and ask nothing about the rest."""
        import ray

        done, _ = ray.wait(list(self._at), num_returns=len(self._at), timeout=0) if self._at else ([], [])
        for reference in done:
            with contextlib.suppress(ray.exceptions.RayError):
                result = ray.get(reference)
                if result is not None:
                    yield result

    def dismiss(self) -> None:
        """End every worker."""
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            for worker in [*self._idle, *(worker for worker, _ in self._at.values())]:
                ray.kill(worker)

    def _hire(self) -> None:
        worker = self._station.remote(*self._arguments)
        self._at[worker.ready.remote()] = (worker, None)  # work is given only to those that are there

    def _replace(self, unit: Unit | None, waiting: deque[Unit], error: Exception) -> None:
        self._deaths[unit] += 1
        if unit is not None:
            waiting.appendleft(unit)
        if self._deaths[unit] >= _DEATHS:
            raise RuntimeError(
                f"{_DEATHS} workers died over {'their start' if unit is None else unit.file_name} "
                f"({str(error).splitlines()[0]}); what was finished is kept"
            )
        place = "while it started" if unit is None else f"over {unit.file_name}, which another one gets"
        _log.warning("a worker died %s, and is replaced (%s)", place, str(error).splitlines()[0])
        self._hire()


def _who(model: LanguageModel) -> str:
    return f"{model.identity.rpartition(':')[2]} in {model.dtype}"


@contextlib.contextmanager
def _ray(workers: Workers) -> Iterator[None]:
    """Connect to the cluster, or start Ray here in a folder of its own; leave one alone that is connected already."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    with contextlib.ExitStack() as stack:
        if workers.address is None:
            scratch = stack.enter_context(ray_folder())
            ray.init(
                address="local",
                num_cpus=workers.count * workers.threads,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                _temp_dir=scratch,
                **ray_options(),
            )
        else:
            ray.init(address=workers.address, log_to_driver=False, logging_level="ERROR", **ray_options())
        try:
            processors = ray.cluster_resources().get("CPU", 0)
            if processors < workers.threads:
                raise ValueError(f"a worker of {workers.threads} threads does not fit a cluster of {processors:g} CPUs")
            yield
        finally:
            ray.shutdown()
