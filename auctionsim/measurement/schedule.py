"""Which units are done and which are to do, from the stored files: rounds are opened by what earlier rounds found."""

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auctionsim.measurement.rounds import is_enough
from auctionsim.measurement.settings import MeasurementSettings
from auctionsim.measurement.units import Shard, Unit, UnitResult, read_unit


class UnitSchedule:
    """The state of a measurement: what is found, what waits.

    A shard's next round is opened once every unit of its earlier rounds is found, by `is_enough` on all of them. So the
    units that are measured in the end are the same in whatever order, and by however many processes, they are measured.

    Args:
        shards: All of them, in order.
        prompts: How many prompts each context has, by replicate.
        settings: Counts, and when a shard stops.
    """

    def __init__(
        self, shards: list[Shard], prompts: Mapping[str, tuple[int, ...]], settings: MeasurementSettings
    ) -> None:
        self.prompts, self.settings = prompts, settings
        self.known: list[Unit] = []
        self.waiting: deque[Unit] = deque()
        self._found: dict[Shard, list[dict[int, NDArray[np.int64]]]] = {shard: [] for shard in shards}
        for shard in shards:
            self._open(shard)

    @property
    def done(self) -> int:
        """How many of the known units are found."""
        return sum(len(part) for rounds in self._found.values() for part in rounds)

    def read(self, folder: Path, plan: str) -> "UnitSchedule":
        """Note every unit that has a file, in rounds that the files open.

        Raises:
            ValueError: A file is damaged or of another measurement; names it.
        """
        later = deque[Unit]()
        while self.waiting:
            unit = self.waiting.popleft()
            result = read_unit(folder, unit, plan)
            if result is None:
                later.append(unit)
            else:
                self.note(result)
        self.waiting = later
        return self

    def note(self, result: UnitResult) -> None:
        """Count a unit as found, and open its shard's next round if this was the last of a round that is not enough."""
        unit = result.unit
        shard = shard_of(unit)
        brands: Any = result.readings["mention_probability"]
        mentioned = np.zeros((unit.stop - unit.start, len(brands[0])), dtype=np.int64)
        for reply, own in zip(result.replies, brands, strict=True):
            mentioned[reply.intervention - unit.start] += np.array(own) > 0
        rounds = self._found[shard]
        rounds[unit.round][unit.prompt] = mentioned
        prompts = self.prompts[shard.replicate][shard.context]
        if any(len(part) < prompts for part in rounds):
            return
        total = np.sum([found for part in rounds for found in part.values()], axis=0)
        if not is_enough(total, len(rounds), prompts, self.settings):
            self._open(shard)

    def _open(self, shard: Shard) -> None:
        rounds = self._found[shard]
        opened = [
            Unit(shard.replicate, shard.context, prompt, shard.start, shard.stop, len(rounds))
            for prompt in range(self.prompts[shard.replicate][shard.context])
        ]
        rounds.append({})
        self.known += opened
        self.waiting += opened


def shard_of(unit: Unit) -> Shard:
    """Return the shard that a unit belongs to."""
    return Shard(unit.replicate, unit.context, unit.start, unit.stop)
