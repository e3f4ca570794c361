"""The live model behind example replies on a measured surface: the one that was measured, on held-out prompts."""

from pathlib import Path

from auctionsim.brands import Brand
from auctionsim.carriers.neurons import Neurons
from auctionsim.errors import InputError
from auctionsim.experiments.running.kept_neurons import kept_neurons
from auctionsim.experiments.running.preparation import Stages
from auctionsim.language_models import load_model
from auctionsim.neurons.behind import measured_neurons
from auctionsim.prompts import build_prompts, read_prompts
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.manner import Manner


def live_model(
    surface: ResponseSurface,
    name: str,
    load: tuple[str, str, str],
    place: Path,
    stages: Stages,
    *,
    seed: int,
    prompts_file: Path | None = None,
) -> LanguageModelSubstrate:
    """Return the model that the surface was measured on, on prompts that nothing was measured on.

    Args:
        surface: What was measured.
        name: Of the surface: packaged, or a file.
        load: Name, device and dtype of the model.
        place: Where neurons are kept, if they must be identified anew.
        stages: Progress.
        seed: Of the replies.
        prompts_file: Prompts that the surface was measured with, instead of the templates.
    Raises:
        ValueError: Another model, or a provenance that does not say what was measured.
    """
    known = surface.provenance
    try:
        brands = tuple(Brand.read(names) for names in known["brands"])
        category, measured = known["category"], known["settings"]
    except KeyError as missing:
        raise InputError(
            f"the surface's provenance has no {missing}, which example replies need: leave them out by --no-replies"
        ) from None
    prompts = build_prompts(category) if prompts_file is None else read_prompts(prompts_file)
    with stages.stage("loading the model", 1):
        model = load_model(*load)
        surface.require_model(model.identity)
    most = max(map(int, measured["num_neurons"]))
    neurons = measured_neurons(name, known.get("neurons"))
    if neurons is None:
        stages.console.print("the surface's own neurons are not here: identified anew for the example replies")
        neurons = kept_neurons(place, model, brands, prompts, most, measured["seed"], stages)
    return LanguageModelSubstrate(
        model,
        Neurons(
            neurons,
            num_neurons=most,
            amplification=max(measured["amplification"]),
            mode=measured.get("mode", "multiply"),
        ),
        prompts.split("test"),
        max_new_tokens=measured["max_new_tokens"],
        temperature=measured["temperature"],
        seed=seed,
        manner=Manner(measured.get("positions", "reply")),
    )
