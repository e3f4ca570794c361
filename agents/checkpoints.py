"""Checkpoints of learners: a state in a file, from which a stopped training goes on to an unbroken one's bits."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.agents.networks import LearningStep
from auctionsim.errors import DamagedFileError, InputError
from auctionsim.kept import difference, plain
from auctionsim.records import Record, shown
from auctionsim.storage import Stored, read_stored, write_stored

FORMAT, VERSION = "auctionsim/training", 1


class Reached(NamedTuple):
    """A training's progress, as a checkpoint keeps it.

    Attributes:
        iteration: Updates made.
        arrays: The learner's state: parameters, optimizer, generator.
        curve: What was reported until then.
        seconds: How long it took until then, over all runs.
    """

    iteration: int
    arrays: dict[str, Tensor]
    curve: tuple[LearningStep, ...]
    seconds: float


class Checkpoint:
    """The file of one training; written now and then, whole or not at all.

    Args:
        path: The file.
        key: All that the training depends on, as JSON.
        often: Seconds between two writes; 0 writes at every offer.
    """

    def __init__(self, path: Path, key: Mapping[str, Any], often: float) -> None:
        self.path, self.key, self.often = path, plain(key), often
        self.curve: list[LearningStep] = []
        self._before, self._began = 0.0, time.perf_counter()
        self._written = self._began

    @property
    def seconds(self) -> float:
        """How long the training has taken so far, earlier runs included."""
        return self._before + time.perf_counter() - self._began

    def part(self, name: str) -> "Checkpoint":
        """Return the file of one part of a training that has several, one after the other."""
        path = self.path.with_name(f"{self.path.stem}-{name.replace(' ', '-')}{self.path.suffix}")
        return Checkpoint(path, {**self.key, "part": name}, self.often)

    def remove(self) -> None:
        """Remove the file and those of the parts: the training is over."""
        for path in [self.path, *self.path.parent.glob(f"{self.path.stem}-*{self.path.suffix}")]:
            path.unlink(missing_ok=True)

    def read(self, updates: int, num_bidders: int) -> Reached | None:
        """Return how far an earlier run came, None where there is none; the curve goes on from there.

        Args:
            updates: Of the whole training: no honest file has made more.
            num_bidders: Whose numbers the curve reports.
        Raises:
            ValueError: The file is damaged, or of another training; names what differs.
        """
        if not self.path.exists():
            return None
        stored = read_stored(self.path, FORMAT, VERSION)
        try:
            record = Record(stored.record, "it")
            key, iteration = record.plain("key"), record.whole("iteration", 0, updates)
            curve = tuple(learning_step(item, iteration, num_bidders) for item in record.items("curve"))
            reached = Reached(iteration, stored.arrays, curve, record.number("seconds", 0))
            for name, array in stored.arrays.items():
                if not bool(torch.isfinite(array).all()):
                    raise InputError(f"{name} has numbers that are not finite")
        except ValueError as error:
            raise DamagedFileError(f"{self.path}: is damaged ({error}): remove it and train anew") from None
        if key != self.key:
            raise InputError(f"{self.path}: is of another training ({difference(key, self.key)})")
        self.curve[:], self._before = curve, reached.seconds
        return reached

    def offer(self, iteration: int, state: Callable[[], Mapping[str, Tensor]]) -> None:
        """Write the state if it is time to.

        Args:
            iteration: Updates made.
            state: Gives the learner's state.
        """
        now = time.perf_counter()
        if now - self._written < self.often:
            return
        curve = [[step.iteration, list(step.utility), list(step.bid_ratio)] for step in self.curve]
        record = {"key": self.key, "iteration": iteration, "curve": curve, "seconds": self.seconds}
        arrays = {name: array.detach().clone() for name, array in state().items()}
        write_stored(self.path, Stored(record, arrays), FORMAT, VERSION)
        self._written = now


def learning_step(item: object, iteration: int, num_bidders: int) -> LearningStep:
    """Return one report of a curve.

    Raises:
        ValueError: It is none, later than the state, or not of so many bidders.
    """
    if not isinstance(item, list) or len(item) != len(LearningStep._fields):
        raise InputError(f"the curve's reports are lists of {len(LearningStep._fields)}, got {shown(item)}")
    report = Record(dict(zip(LearningStep._fields, item, strict=True)), "a report of the curve")
    step = LearningStep(report.whole("iteration", 0, iteration), report.numbers("utility"), report.numbers("bid_ratio"))
    if not len(step.utility) == len(step.bid_ratio) == num_bidders:
        raise InputError(f"the curve must report on {num_bidders} bidders, got {len(step.utility)}")
    return step


def optimizer_arrays(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what an optimizer has gathered of every parameter, as named tensors."""
    gathered = optimizer.state_dict()["state"]
    return {f"optimizer.{k}.{name}": torch.as_tensor(v) for k, own in gathered.items() for name, v in own.items()}


def fill_adam(optimizer: torch.optim.Adam, arrays: Mapping[str, Tensor], where: Path) -> None:
    """Give a new Adam of the same parameters what `optimizer_arrays` returned after its first step.

    Raises:
        ValueError: What it gathered of a parameter is missing, of another shape, or impossible.
    """
    gathered = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for k, parameter in enumerate(parameters):
        own = {
            "step": torch.zeros(()),
            "exp_avg": torch.empty_like(parameter),
            "exp_avg_sq": torch.empty_like(parameter),
        }
        fill({f"optimizer.{k}.{name}": target for name, target in own.items()}, arrays, where)
        if bool(own["step"] < 1) or bool((own["exp_avg_sq"] < 0).any()):
            raise InputError(f"{where}: optimizer.{k} has squares below 0, or no step: remove it, train anew")
        gathered[k] = own
    optimizer.load_state_dict({**optimizer.state_dict(), "state": gathered})


def fill_generator(generator: torch.Generator, arrays: Mapping[str, Tensor], where: Path) -> None:
    """Put a generator where it was.

    Raises:
        ValueError: Its state is missing, or none of a generator here.
    """
    state = generator.get_state()
    fill({"generator": state}, arrays, where)
    try:
        generator.set_state(state)
    except RuntimeError as error:
        raise InputError(f"{where}: holds no state of a generator ({error}): remove it, train anew") from None


def fill(targets: Mapping[str, Tensor], arrays: Mapping[str, Tensor], where: Path) -> None:
    """Copy arrays into tensors of the same names.

    Raises:
        ValueError: One is missing or of another shape: the file is of another learner.
    """
    with torch.no_grad():
        for name, target in targets.items():
            if name not in arrays or arrays[name].shape != target.shape or arrays[name].dtype != target.dtype:
                raise InputError(f"{where}: holds no {name} of the shape {tuple(target.shape)}: remove it, train anew")
            target.copy_(arrays[name])
