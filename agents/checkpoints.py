"""A learner's state in a file: what a training that was stopped goes on from, to the same bits as an unbroken one."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.agents.networks import LearningStep
from auctionsim.kept import difference, plain
from auctionsim.storage import Stored, read_stored, write_stored

FORMAT, VERSION = "auctionsim/training", 1


class Reached(NamedTuple):
    """How far a training came.

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

    def read(self) -> Reached | None:
        """Return how far an earlier run came, None where there is none; the curve goes on from there.

        Raises:
            ValueError: The file is damaged, or of another training; names what differs.
        """
        if not self.path.exists():
            return None
        stored = read_stored(self.path, FORMAT, VERSION)
        try:
            key, iteration = dict(stored.record["key"]), int(stored.record["iteration"])
            curve = tuple(LearningStep(int(k), tuple(u), tuple(r)) for k, u, r in stored.record["curve"])
            reached = Reached(iteration, stored.arrays, curve, float(stored.record["seconds"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self.path}: is damaged ({error}): remove it and train anew") from None
        if key != self.key:
            raise ValueError(f"{self.path}: is of another training ({difference(key, self.key)})")
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


def optimizer_arrays(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what an optimizer has gathered of every parameter, as named tensors."""
    gathered = optimizer.state_dict()["state"]
    return {f"optimizer.{k}.{name}": torch.as_tensor(v) for k, own in gathered.items() for name, v in own.items()}


def fill_optimizer(optimizer: torch.optim.Optimizer, arrays: Mapping[str, Tensor]) -> None:
    """Give a new optimizer of the same parameters what `optimizer_arrays` returned."""
    gathered: dict[int, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            number, _, what = rest.partition(".")
            gathered.setdefault(int(number), {})[what] = array
    optimizer.load_state_dict({**optimizer.state_dict(), "state": gathered})


def fill(targets: Mapping[str, Tensor], arrays: Mapping[str, Tensor], where: Path) -> None:
    """Copy arrays into tensors of the same names.

    Raises:
        ValueError: One is missing or of another shape: the file is of another learner.
    """
    with torch.no_grad():
        for name, target in targets.items():
            if name not in arrays or arrays[name].shape != target.shape or arrays[name].dtype != target.dtype:
                raise ValueError(f"{where}: holds no {name} of the shape {tuple(target.shape)}: remove it, train anew")
            target.copy_(arrays[name])
