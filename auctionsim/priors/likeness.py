"""When two priors are the same: by everything that they hold, not by what their constructors chose to report."""

from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor


def same_attributes(one: object, other: object) -> bool:
    """Tell whether two objects of one class hold the same, apart from what they computed once and kept."""
    return alike(_held(one), _held(other))


def alike(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, arrays entry by entry; what cannot be compared is not."""
    if one is other or type(one) is not type(other):
        return one is other or (_is_number(one) and _is_number(other) and bool(one == other))
    if isinstance(one, Tensor | np.ndarray):
        return one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all())
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    try:
        return bool(one == other)
    except (TypeError, ValueError, RuntimeError):
        return False


def _held(owner: object) -> dict[str, Any]:
    parts = {name: part for kind in reversed(type(owner).__mro__) for name, part in vars(kind).items()}
    return {name: value for name, value in vars(owner).items() if not isinstance(parts.get(name), cached_property)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
