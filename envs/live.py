"""Live-model substrates of environments: the packaged surface's brands and levers, on the model itself."""

from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from auctionsim.checks import checked_count
from auctionsim.data import DEFAULT_SURFACE
from auctionsim.errors import InputError
from auctionsim.prompts import build_prompts
from auctionsim.readings.standard import STANDARD
from auctionsim.substrates import Offer, ResponseSurface, View
from auctionsim.substrates.offer import Charge
from auctionsim.substrates.quantities import DEFAULT_LOSS

if TYPE_CHECKING:
    from auctionsim.language_models import LanguageModel
    from auctionsim.neurons import BrandNeurons

SOLD = "slot_probability"


class Live(NamedTuple):
    """Settings of a live environment: how it asks its model.

    Attributes:
        model: "smollm2" (packaged), a hub id, or a folder: the one that the surface was measured on.
        device: auto, cpu, cuda, …
        dtype: auto, float32, bfloat16 or float16.
        prompts_per_context: Held-out prompts of each context.
        samples: Replies a prompt.
        max_new_tokens: Of a reply.
        seed: Of the replies' random numbers.
    """

    model: str = "smollm2"
    device: str = "auto"
    dtype: str = "auto"
    prompts_per_context: int = 1
    samples: int = 1
    max_new_tokens: int = 24
    seed: int = 0


def packaged_surface(loss: Charge = DEFAULT_LOSS) -> ResponseSurface:
    """Return the surface behind the neuron ids, selling the slot probability at the cost of a loss."""
    return ResponseSurface.packaged(DEFAULT_SURFACE).sell(SOLD, loss=loss)


def live_substrate(live: Live, loss: Charge = DEFAULT_LOSS) -> View:
    """Return the surface's game on its model, on prompts that nothing was measured or identified on.

    Args:
        live: How the model is asked.
        loss: The user loss that is charged; its readings are taken of every reply.
    Raises:
        ModelUnavailableError: No such model here.
        ValueError: Another model than the measured one, or no neurons ship with this surface.
    """
    from auctionsim.carriers.neurons import Neurons
    from auctionsim.substrates.language_model import LanguageModelSubstrate
    from auctionsim.substrates.manner import Manner

    surface, offer = packaged_surface(), Offer([SOLD], loss)
    besides = tuple(name for name, _ in offer.charges if name not in STANDARD)
    model = _loaded(live.model, live.device, live.dtype)
    surface.require_model(model.identity)
    held_out = build_prompts(surface.provenance["category"]).split("test")
    count = checked_count(live.prompts_per_context, "prompts_per_context")
    prompts = held_out.first(count)
    if prompts.contexts != surface.contexts:
        raise InputError(f"{DEFAULT_SURFACE} was measured in the contexts {surface.contexts}, not {prompts.contexts}")
    counts, factors = (grid.values[-1] for grid in surface.grids)
    whole = LanguageModelSubstrate(
        model,
        Neurons(shipped_neurons(), num_neurons=int(counts), amplification=factors),
        prompts,
        samples=live.samples,
        max_new_tokens=live.max_new_tokens,
        seed=live.seed,
        manner=Manner(leads=(), readings=besides),  # intent is not sold, and scoring it is a third of a step
    )
    return View(whole, offer)


def shipped_neurons() -> "BrandNeurons":
    """Return the neurons that the packaged surface was measured with.

    Raises:
        ValueError: None ship with it.
    """
    from auctionsim.neurons import BrandNeurons

    file = resources.files("auctionsim.data") / "neurons" / f"{DEFAULT_SURFACE}.safetensors"
    if not file.is_file():
        raise InputError(
            f"no neurons ship with {DEFAULT_SURFACE}: "
            "python -m auctionsim.experiments.studies.shipped_mechanisms makes them"
        )
    with resources.as_file(file) as path:
        return BrandNeurons.load(path)


@lru_cache(maxsize=1)
def _loaded(model: str, device: str, dtype: str) -> "LanguageModel":
    """Load a model once a process: RLlib builds an environment more than once."""
    from auctionsim.language_models import load_model

    return load_model(model, device, dtype)
