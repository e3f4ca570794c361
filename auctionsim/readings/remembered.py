"""Values that a process remembers, so that several readings of the same replies take the same passes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Remembered(Generic[_K, _V]):
    """A bounded memory of values by key; what was used longest ago goes first.

    Args:
        keep: Whether a value is held; others are computed again.
        most: Values that are held.
    """

    def __init__(self, keep: Callable[[_V], bool] = lambda value: True, most: int = 8192) -> None:  # noqa: ARG005
        self._keep, self._most, self._held = keep, most, OrderedDict[_K, _V]()

    def get(self, keys: Sequence[_K], compute: Callable[[list[_K]], Sequence[_V]]) -> list[_V]:
        """Return a value for each key; `compute` is called once, with the keys that are not held, each once."""
        fresh = [key for key in dict.fromkeys(keys) if key not in self._held]
        found = {key: self._held[key] for key in keys if key in self._held}
        found |= dict(zip(fresh, compute(fresh) if fresh else (), strict=True))
        for key, value in found.items():
            if self._keep(value):
                self._held[key] = value
                self._held.move_to_end(key)
        while len(self._held) > self._most:
            self._held.popitem(last=False)
        return [found[key] for key in keys]

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
