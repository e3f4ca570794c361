"""How many rows are computed at once: what is needed on the way stays small, whatever the batch."""

import math
from collections.abc import Iterator

MOST_NUMBERS = 1 << 22
"""Of a tensor that is only needed on the way, as long as one row allows it: 32 MiB in float64."""


def row_blocks(batch: int, numbers: int) -> Iterator[slice]:
    """Yield slices of the rows 0 … batch − 1, each of as many rows as fit; one empty slice where there are none.

    Args:
        batch: How many rows there are.
        numbers: How many numbers the largest tensor on the way has for one row.
    """
    rows = max(MOST_NUMBERS // max(numbers, 1), 1)
    for block in range(max(math.ceil(batch / rows), 1)):
        yield slice(block * rows, min((block + 1) * rows, batch))
