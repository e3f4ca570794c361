"""What ships with the package: measured surfaces, under immutable names with a version (`running-shoes-2@1`)."""

from importlib import resources


def packaged_names() -> tuple[str, ...]:
    """Return the names of the measurements that ship with this auctionsim, sorted."""
    folder = resources.files(__name__) / "surfaces"
    names = [item.name for item in folder.iterdir()] if folder.is_dir() else []
    return tuple(sorted(name.removesuffix(".safetensors") for name in names if name.endswith(".safetensors")))
