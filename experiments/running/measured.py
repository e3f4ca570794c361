"""Measurements by name: packaged ones or files; and the names of their brands."""

from pathlib import Path

from auctionsim.data import surfaces_folder
from auctionsim.storage import stored_format
from auctionsim.substrates import MeasuredList, ResponseSurface


def measured_named(name: str) -> ResponseSurface | MeasuredList:
    """Return the packaged measurement of that name, or the surface or list in a .safetensors file."""
    if not name.endswith(".safetensors"):
        path = surfaces_folder() / f"{name}.safetensors"
        is_list = path.is_file() and stored_format(path) == MeasuredList.file_format
        return MeasuredList.packaged(name) if is_list else ResponseSurface.packaged(name)
    return MeasuredList.load(name) if stored_format(name) == MeasuredList.file_format else ResponseSurface.load(name)


def subsets_named(name: str) -> MeasuredList:
    """Return the packaged list of that name, or the one in a .safetensors file.

    Raises:
        ValueError: There is none, or it is a surface.
    """
    return MeasuredList.load(name) if Path(name).suffix == ".safetensors" else MeasuredList.packaged(name)


def brand_names(measured: ResponseSurface | MeasuredList) -> tuple[str, ...]:
    """Return the bidders' names from the provenance, numbers where it has none."""
    listed = measured.provenance.get("brands", [])
    names = tuple(brand if isinstance(brand, str) else brand[0] for brand in listed)
    return names if len(names) == measured.num_bidders else tuple(f"bidder {i}" for i in range(measured.num_bidders))
