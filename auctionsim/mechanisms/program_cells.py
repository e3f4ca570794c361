"""A bidder's variables in the program, and the rows that say what goes on inside a cell of types."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from auctionsim.mechanisms.program_types import CellInside

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]


class BidderRows(NamedTuple):
    """One bidder's place in the program.

    Attributes:
        own: (profile,) its type.
        group: (profile,) the group of the others' types.
        weight: (profile,) how likely the others' types are within their group.
        chances: (group,) how likely the group is.
        exposures: (type, group, feature) columns of E, counted from the first variable that is no share.
        utilities: (type, group) columns of U.
        worths: (type, group, feature) columns of the worth; those of E where types are points.
        corners: (type, group) columns of the utility at a cell's lower corner; those of U where types are points.
    """

    own: Places
    group: Places
    weight: Numbers
    chances: Numbers
    exposures: Places
    utilities: Places
    worths: Places
    corners: Places


def inside_rows(bidder: BidderRows, inside: CellInside, variables: int) -> Iterator[tuple[coo_array, Numbers]]:
    """Yield rows over the variables that are no shares, and what they are at most.

    One block bounds the worths by each line, one the utilities by the growth from the corner.

    Args:
        bidder: Where its variables stand.
        inside: What goes on inside its cells.
        variables: How many variables there are that are no shares.
    """
    shape = bidder.worths.shape
    every = np.arange(bidder.worths.size)
    ones = np.ones(len(every))

    def spread(values: Numbers) -> Numbers:
        """Return (type, feature) numbers for every group."""
        return np.broadcast_to(values[:, None, :], shape).ravel()

    def beside(places: Places) -> Places:
        """Return the exposures' columns of other types, a type for each type and feature; of the first where none."""
        columns = bidder.exposures[np.maximum(places, 0), :, np.arange(shape[2])]  # (type, feature, group)
        return columns.transpose(0, 2, 1).ravel()

    exposures, worths = bidder.exposures.ravel(), bidder.worths.ravel()
    following, previous = inside.following.numpy(), inside.previous.numpy()
    most, least = inside.most.numpy(), inside.least.numpy()
    for marks, beyond, short in zip(inside.marks.numpy(), inside.beyond.numpy(), inside.short.numpy(), strict=True):
        numbers = [
            ones,
            -spread(marks),
            -spread(np.where(following >= 0, beyond, 0.0)),
            spread(np.where(previous >= 0, short, 0.0)),
        ]
        columns = [worths, exposures, beside(following), beside(previous)]
        end = np.where(following < 0, most * beyond, 0.0) - np.where(previous < 0, least * short, 0.0)
        yield _block(every, numbers, columns, variables), spread(end)
    corners, utilities = (np.repeat(part.ravel(), shape[2]) for part in (bidder.corners, bidder.utilities))
    numbers = [spread(inside.tops.numpy()), -ones, ones, -ones]
    yield (
        _block(every, numbers, [exposures, worths, corners, utilities], variables),
        -spread(inside.gains.numpy()),
    )


def _block(rows: Places, numbers: list[Numbers], columns: list[Places], variables: int) -> coo_array:
    places = (np.tile(rows, len(columns)), np.concatenate(columns))
    return coo_array((np.concatenate(numbers), places), shape=(len(rows), variables))
