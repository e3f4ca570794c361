"""What a seed is: any whole number from 0 on, numpy's too; never a truth value or a fraction."""

import operator

import numpy as np
import torch

from auctionsim.errors import InputError, InputTypeError

LARGEST = 2**64 - 1  # that torch takes


def checked_seed(seed: object) -> int:
    """Return a seed as a Python integer.

    Raises:
        TypeError: No whole number; True and False are none.
        ValueError: Below 0.
    """
    if isinstance(seed, bool | np.bool_):
        raise InputTypeError(f"a seed must be a whole number >= 0, got the truth value {seed}")
    try:
        number = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        raise InputTypeError(f"a seed must be a whole number >= 0, got {seed!r} ({type(seed).__name__})") from None
    if number < 0:
        raise InputError(f"a seed must be a whole number >= 0, got {number}")
    return number


def seeded(seed: object) -> torch.Generator:
    """Return a generator that begins at a seed.

    Raises:
        TypeError, ValueError: What `checked_seed` refuses, or more than torch takes.
    """
    number = checked_seed(seed)
    if number > LARGEST:
        raise InputError(f"a seed must be at most 2**64 - 1 where torch draws, got {number}")
    return torch.Generator().manual_seed(number)
