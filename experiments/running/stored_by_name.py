"""A surface with the replies behind it, by the name that a study calls it: packaged, or a file in a run folder."""

from pathlib import Path
from typing import NamedTuple

from auctionsim.data import replies_beside, surfaces_folder
from auctionsim.errors import InputError
from auctionsim.experiments.running.measured import measured_named
from auctionsim.experiments.running.preparation import MEASUREMENT
from auctionsim.measurement import REPLIES_FILE
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.substrates import MeasuredList, ResponseSurface


class SurfaceReplies(NamedTuple):
    """A surface, and the replies that it was measured on, None where they were not kept."""

    surface: ResponseSurface
    replies: StoredReplies | None


def surface_with_replies(name: str) -> SurfaceReplies:
    """Return a surface and its replies.

    Args:
        name: Of a packaged surface, or the path of a .safetensors file.
    Raises:
        ValueError: No surface of that name, a list, or a damaged file.
    """
    measured = measured_named(name)
    if not isinstance(measured, ResponseSurface):
        raise InputError(f"{name} is a list of allocations: a surface is needed")
    return SurfaceReplies(measured, stored_replies_of(name, measured))


def stored_replies_of(name: str, measured: ResponseSurface | MeasuredList) -> StoredReplies | None:
    """Return the replies behind a measurement, None where they were not kept.

    Args:
        name: Of a packaged measurement, or the path of a .safetensors file.
        measured: What it holds.
    Raises:
        ValueError: The file of replies is damaged.
    """
    path = Path(name)
    is_file = path.suffix == ".safetensors"
    places = [path.parent / MEASUREMENT / REPLIES_FILE] if is_file else []
    places.append(replies_beside(path if is_file else surfaces_folder() / f"{name}.safetensors"))
    there = [place for place in places if place.exists()]
    return StoredReplies.load(there[0], measured.provenance) if there else None
