"""A surface with the replies behind it, by the name that a study calls it: packaged, or a file in a run folder."""

from pathlib import Path
from typing import NamedTuple

from auctionsim.data import replies_beside, surfaces_folder
from auctionsim.errors import InputError
from auctionsim.experiments.running.measured import measured_named
from auctionsim.experiments.running.preparation import MEASUREMENT
from auctionsim.measurement import REPLIES_FILE
from auctionsim.measurement.second_pass import values_by_number
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings.protocol import Value
from auctionsim.substrates import MeasuredList, ResponseSurface


class SurfaceReplies(NamedTuple):
    """A surface with what was kept of its replies.

    Attributes:
        surface: What was measured.
        replies: That it was measured on; None where they were not kept.
        values: Folder where `surface read` leaves each reply's values; None where none is looked for.
    """

    surface: ResponseSurface
    replies: StoredReplies | None
    values: Path | None = None

    def kept_values(self, reading: str) -> dict[int, Value]:
        """Return each reply's value of a reading by its number; nothing where no pass left any.

        Raises:
            ValueError: The file is damaged, or of other replies.
        """
        path = None if self.values is None else self.values / f"{reading}.json"
        if path is None or self.replies is None or not path.exists():
            return {}
        return values_by_number(path, reading, self.replies)


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
    return with_replies(name, measured)


def with_replies(name: str, surface: ResponseSurface) -> SurfaceReplies:
    """Return a surface that was read already with what was kept of its replies, see `surface_with_replies`."""
    return SurfaceReplies(surface, stored_replies_of(name, surface), values_folder(name))


def values_folder(name: str) -> Path:
    """Return where `surface read` leaves values of single replies.

    Args:
        name: Of a packaged surface, or the path of a .safetensors file: in a run folder, or of a packaged one's copy.
    """
    path = Path(name)
    if path.suffix != ".safetensors":
        return Path("runs") / "readings" / name
    return path.parent if replies_beside(path).exists() else path.parent / MEASUREMENT / "readings"


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
