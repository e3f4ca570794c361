"""Ray workers that carry out tasks, one model each; what comes back is handed to the driver, which alone writes."""

import contextlib
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from auctionsim.checks import checked_count
from auctionsim.errors import FailedRunError, InputError
from auctionsim.language_models.model import LanguageModel
from auctionsim.plugins import PluginFile, load_files, loaded, ray_options
from auctionsim.ray_folders import ray_folder

_log = logging.getLogger(__name__)

_DEATHS = 3  # of workers over one task, before it is given up
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


@runtime_checkable
class Task(Protocol):
    """What a worker is given: hashable, and named by the file that its result will have."""

    @property
    def file_name(self) -> str:
        """Where its result is stored."""


@dataclass(frozen=True)
class Job:
    """What workers do with tasks; it is pickled.

    Attributes:
        build: Returns what carries out a task, given the model; or given None, where no model is needed.
        model: Fingerprint and dtype that a worker's model must have (`model_words`); None: no model is loaded.
    """

    build: Callable[[Any], Callable[[Any], Any]]
    model: str | None


def fan_out(
    waiting: deque[Any], job: Job, workers: Workers, store: Callable[[Any], None], note: Callable[[Any], None]
) -> None:
    """Carry out waiting tasks on Ray workers.

    Tasks are given out one by one. A worker that dies loses the task it was at, which another one gets. After Ctrl-C
    what had come back is stored, and the workers are gone.

    Args:
        waiting: Tasks, taken from the left; `note` may add more.
        job: What workers do with them.
        workers: How many, and where.
        store: Called with each result as it comes back.
        note: Called with it next.
    Raises:
        ValueError: A worker refused: it has another model, or its logits overflow.
        RuntimeError: Workers died again and again over one task.
    """
    if not waiting:
        return
    with ray_session(workers.count, workers.threads, workers.address):
        crew = _Crew(job, workers, min(workers.count, len(waiting)))
        try:
            while waiting or crew.busy:
                for result in crew.work(waiting, _PATIENCE):
                    store(result)
                    note(result)
        except BaseException:  # Ctrl-C among them: keep what has come back meanwhile
            for result in crew.finished():
                store(result)
            raise
        finally:
            crew.dismiss()


class _Station:
    """A worker process: its model is loaded at the first task, where one is needed."""

    def __init__(
        self, plugins: tuple[PluginFile, ...], job: Job, load: Callable[[], LanguageModel], threads: int
    ) -> None:
        load_files(plugins)  # where Ray had been started before they were loaded
        torch.set_num_threads(threads)  # or workers on one machine would fight over its cores
        self._job, self._load = job, load
        self._carry_out: Callable[[Any], Any] | None = None

    def ready(self) -> None:
        """Answer as soon as the process is there."""

    def carry_out(self, task: Any) -> Any:
        """Carry out one task."""
        if self._carry_out is None:
            model = None if self._job.model is None else self._load()
            if model is not None and model_words(model) != self._job.model:
                raise InputError(f"a worker loaded the model {model_words(model)}, the plan is for {self._job.model}")
            self._carry_out = self._job.build(model)
        return self._carry_out(task)


class _Crew:
    """Workers and the task that each is at; None instead of a task: a worker that is being started."""

    def __init__(self, job: Job, workers: Workers, count: int) -> None:
        import ray

        self._arguments = (loaded(), job, workers.load, workers.threads)
        self._station = ray.remote(num_cpus=workers.threads, num_gpus=workers.gpus, max_restarts=0)(_Station)
        self._at: dict[Any, tuple[Any, Task | None]] = {}
        self._idle: list[Any] = []
        self._deaths: Counter[Task | None] = Counter()
        for _ in range(count):
            self._hire()

    @property
    def busy(self) -> bool:
        """Some task is being carried out."""
        return any(task is not None for _, task in self._at.values())

    def work(self, waiting: deque[Any], patience: float) -> Iterator[Any]:
        """Give waiting tasks to idle workers; yield what is finished within `patience` seconds."""
        import ray

        while self._idle and waiting:
            worker, given = self._idle.pop(), waiting.popleft()
            self._at[worker.carry_out.remote(given)] = (worker, given)
        if not self._at:
            return
        first, _ = ray.wait(list(self._at), num_returns=1, timeout=patience)
        others, _ = ray.wait(list(self._at), num_returns=len(self._at), timeout=0)
        for reference in {*first, *others}:
            worker, task = self._at.pop(reference)
            try:
                result = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise error.cause or error from None
            except ray.exceptions.RayError as error:  # the worker or its machine is gone
                self._replace(task, waiting, error)
                continue
            self._idle.append(worker)
            if result is not None:
                yield result

    def finished(self) -> Iterator[Any]:
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

    def _replace(self, task: Task | None, waiting: deque[Any], error: Exception) -> None:
        self._deaths[task] += 1
        if task is not None:
            waiting.appendleft(task)
        if self._deaths[task] >= _DEATHS:
            raise FailedRunError(
                f"{_DEATHS} workers died over {'their start' if task is None else task.file_name} "
                f"({str(error).splitlines()[0]}); what was finished is kept"
            )
        place = "while it started" if task is None else f"over {task.file_name}, which another one gets"
        _log.warning("a worker died %s, and is replaced (%s)", place, str(error).splitlines()[0])
        self._hire()


def model_words(model: LanguageModel) -> str:
    """Return a model's fingerprint and dtype, by which workers are checked."""
    return f"{model.identity.rpartition(':')[2]} in {model.dtype}"


@contextlib.contextmanager
def ray_session(count: int, threads: int, address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start Ray here in a folder of its own; leave one alone that is connected already.

    Workers that are started here run at this process's niceness, unless RAY_worker_niceness says otherwise: at Ray's
    own 15 they hardly run beside anything else.

    Args:
        count: Workers that there will be.
        threads: CPUs of Ray's for each.
        address: Of the cluster; None starts Ray here, and stops it afterwards.
    Raises:
        ValueError: A worker of so many threads fits nowhere.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    with contextlib.ExitStack() as stack:
        if address is None:
            scratch = stack.enter_context(ray_folder())
            ray.init(
                address="local",
                num_cpus=count * threads,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                _temp_dir=scratch,
                **ray_options(),
            )
        else:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **ray_options())
        try:
            processors = ray.cluster_resources().get("CPU", 0)
            if processors < threads:
                raise InputError(f"a worker of {threads} threads does not fit a cluster of {processors:g} CPUs")
            yield
        finally:
            ray.shutdown()
