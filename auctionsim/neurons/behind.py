"""The neurons behind a measured surface: beside its file, or shipped with the package."""

from importlib import resources
from pathlib import Path

from auctionsim.neurons.brand_neurons import BrandNeurons


def measured_neurons(surface: str, digest: str | None) -> BrandNeurons | None:
    """Return the neurons that a surface was measured with: beside its file, or shipped with it; None without them.

    Args:
        surface: A file, or a packaged surface's name.
        digest: Of the neurons, by the surface's provenance; others are not taken.
    """
    shipped = resources.files("auctionsim.data") / "neurons" / f"{surface}.safetensors"
    beside = Path(surface).parent / "neurons.safetensors" if Path(surface).suffix == ".safetensors" else None
    if beside is None and shipped.is_file():
        with resources.as_file(shipped) as path:
            neurons = BrandNeurons.load(path)
    elif beside is not None and beside.is_file():
        neurons = BrandNeurons.load(beside)
    else:
        return None
    return neurons if digest is None or neurons.digest == digest else None
