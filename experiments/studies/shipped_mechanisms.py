"""What ships with the package besides the measured surface, made anew: trained mechanisms, and surfaces' neurons.

    python -m auctionsim.experiments.studies.shipped_mechanisms [--out FOLDER] [--neurons]

Everything follows from the seed and the surface's provenance, so a later surface gets its files by the same command.
"""

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from auctionsim.brands import parse_brands
from auctionsim.data import DEFAULT_SURFACE
from auctionsim.envs.live import packaged_surface
from auctionsim.envs.settings import PRIOR, USER_WEIGHT
from auctionsim.errors import InputError
from auctionsim.mechanisms import design, save_mechanism
from auctionsim.substrates import ResponseSurface

SEED = 0
FEATURE, LOSS = "slot_probability", "kl"
SHIPPED = ("menu", "affine")  # behind the neuron ids, and rules of the playground
PLAYED = ("running-shoes-2@3", "running-shoes-3@2", "smartphones-2@1", "coffee-2@1", "hotels-2@1", "charities-2@1")
WITH_NEURONS = (DEFAULT_SURFACE, "running-shoes-2@3")  # surfaces that example replies are shown under
DATA = Path(str(resources.files("auctionsim.data")))


def save_mechanisms(folder: Path, surface: str = DEFAULT_SURFACE) -> list[Path]:
    """Train by the full recipes and write one file per mechanism: NAME.SURFACE.safetensors.

    Args:
        folder: Where the files go.
        surface: Packaged: the one behind the environments, or one that the playground plays on.
    """
    paths = []
    view = packaged_surface() if surface == DEFAULT_SURFACE else ResponseSurface.packaged(surface)
    for name in SHIPPED:
        paths.append(folder / f"{name}.{surface}.safetensors")
        save_mechanism(design(name, view.sell(FEATURE, loss=LOSS), PRIOR, USER_WEIGHT, seed=SEED), paths[-1])
    return paths


def save_neurons(folder: Path, name: str) -> Path:
    """Identify the brands' neurons as it was done for a packaged surface, and write them: SURFACE.safetensors.

    Args:
        folder: Where the file goes.
        name: Of the surface.
    Raises:
        ValueError: The neurons found are not those that the surface was measured with.
    """
    from auctionsim.language_models import load_model
    from auctionsim.neurons import identify
    from auctionsim.prompts import build_prompts

    surface = ResponseSurface.packaged(name)
    how = surface.provenance
    model = load_model(how["model"].rpartition(":")[0])
    surface.require_model(model.identity)
    prompts = build_prompts(how["category"])
    if prompts.digest != how["prompts"]:
        raise InputError(f"{name} was measured on other prompts than this version's: its neurons differ")
    brands = parse_brands(",".join("|".join(names) for names in how["brands"]))
    most = int(surface.grids[0].values[-1])
    neurons = identify(
        model,
        brands,
        prompts.split("identify"),
        method=how["method"],
        num_neurons=most,
        seed=how["settings"]["seed"],
    )
    if neurons.digest != how["neurons"]:
        raise InputError(f"found the neurons {neurons.digest}, but {name} was measured with {how['neurons']}")
    path = folder / f"{name}.safetensors"
    neurons.save(path)
    return path


def main(
    out: Annotated[Path, typer.Option(help="Where the folders mechanisms and neurons lie.")] = DATA,
    neurons: Annotated[bool, typer.Option(help="Identify the neurons too: minutes, needs the model.")] = False,
) -> None:
    """Make the files."""
    for surface in (DEFAULT_SURFACE, *PLAYED):
        for path in save_mechanisms(out / "mechanisms", surface):
            typer.echo(path)
    for name in WITH_NEURONS if neurons else ():
        typer.echo(save_neurons(out / "neurons", name))


if __name__ == "__main__":
    typer.run(main)
