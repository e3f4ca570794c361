"""File forms of mechanisms: what is written of each kind, and how it is made again from that.

A `Codec` belongs to the file of its mechanism and goes into the table with its entry (`mechanisms.table`). A mechanism
whose constructor takes the substrate and some numbers that it keeps under the same names needs no functions of its
own: `numbers_on_substrate(Kind, "user_weight")`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.records import Record
from auctionsim.storage import Stored
from auctionsim.substrates.protocol import Substrate


class State(NamedTuple):
    """What makes a mechanism what it is, besides its kind and its substrate.

    Attributes:
        settings: JSON.
        arrays: Tensors by name.
    """

    settings: dict[str, Any]
    arrays: dict[str, Tensor]


class Saved:
    """The state of a mechanism as a file has it, to be read by kind.

    Args:
        stored: The file's contents.
    """

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.settings = stored.fields.record("settings")

    def array(self, name: str, shape: tuple[int | None, ...]) -> Tensor:
        """Return a tensor, if it is there and of this shape."""
        return self.stored.array(name, shape)

    @property
    def history(self) -> tuple[TrainingPoint, ...]:
        """How the training went."""
        points = [Record({"point": point}, "history") for point in self.settings.items("history")]
        read = []
        for point in points:
            numbers = point.numbers("point")
            if len(numbers) != len(TrainingPoint._fields) or not numbers[0].is_integer():
                raise InputError(f"a point of history must be a step and {len(numbers) - 1} numbers, got {numbers}")
            read.append(TrainingPoint(int(numbers[0]), *numbers[1:]))
        return tuple(read)


class Codec(NamedTuple):
    """How one kind of mechanism is written to a file and made again.

    Attributes:
        kind: The class; a subclass is another kind. Its name is the kind's name in the file.
        state: From a mechanism to its state; may raise TypeError for one that has no file form.
        make: From the saved state and the substrate (None for item rules) to the mechanism; raises ValueError where
            they do not fit.
    """

    kind: type[Mechanism]
    state: Callable[[Any], State]
    make: Callable[[Saved, Substrate | None], Mechanism]


def needed(substrate: Substrate | None) -> Substrate:
    """Return the substrate of a mechanism that cannot be made without.

    Raises:
        ValueError: There is none.
    """
    if substrate is None:
        raise InputError("pass the substrate it was saved with")
    return substrate


def history_of(points: tuple[TrainingPoint, ...]) -> list[list[float]]:
    """Return a training's history as JSON has it."""
    return [list(point) for point in points]


def numbers_on_substrate(kind: Callable[..., Mechanism], *names: str) -> Codec:
    """Return the codec of a kind that is made of its substrate and numbers ≥ 0, which it keeps under these names."""
    assert isinstance(kind, type)
    return Codec(
        kind,
        lambda rule: State({name: getattr(rule, name) for name in names}, {}),
        lambda saved, substrate: kind(needed(substrate), *(saved.settings.number(name, 0) for name in names)),
    )
