"""A measurement small enough to be made in a second: two brands on the fake model, three contexts of eight prompts."""

from collections.abc import Iterator
from pathlib import Path

import torch

from auctionsim.brands import parse_brands
from auctionsim.language_models import LanguageModel
from auctionsim.measurement import MeasurementSettings, Measuring, Unit, UnitResult
from auctionsim.neurons import BrandNeurons
from auctionsim.prompts import PromptSet, build_prompts
from auctionsim.readings.intent import Lead
from auctionsim.testing import fake_language_model

SETTINGS = MeasurementSettings(
    num_neurons=(0.0, 8.0, 24.0),
    amplification=(1.0, 3.0),
    samples=3,
    max_new_tokens=6,
    rows=12,
    leads=(Lead(". You", ("can",)),),  # the fake's tokenizer cuts other words to pieces: many passes
)


def fake_model() -> LanguageModel:
    return fake_language_model(end_gain=2.5)


def fake_neurons(model: LanguageModel, brands: str = "or,the|to") -> BrandNeurons:
    """Neurons drawn at random: what they do is not the point here."""
    names = parse_brands(brands)
    total = model.num_layers * model.num_neurons
    each = min(32, total // len(names))
    ranking = torch.randperm(total, generator=torch.Generator().manual_seed(0))[: len(names) * each]
    return BrandNeurons(
        brands=names,
        ranking=ranking.view(len(names), each),
        scores=torch.ones(len(names), each),
        attributions=torch.ones(len(names), model.num_layers, model.num_neurons),
        method="random",
        model=model.identity,
        prompts_digest="0",
    )


def fake_prompts(contexts: int = 2) -> PromptSet:
    """Replicate A has three prompts in the second context, two in the first; B two in both."""
    whole = build_prompts("running shoes")
    sizes = (8, 10, 8)
    return PromptSet(whole.contexts[:contexts], tuple(whole.prompts[k][: sizes[k]] for k in range(contexts)))


def measuring(folder: Path, settings: MeasurementSettings = SETTINGS, contexts: int = 2) -> Measuring:
    model = fake_model()
    return Measuring(folder, model, fake_neurons(model), fake_prompts(contexts), settings)


def stored(work: Measuring) -> dict[Unit, UnitResult]:
    return {result.unit: result for result in work.results()}


def files(folder: Path) -> Iterator[Path]:
    """The finished units, nothing hidden or half-written."""
    return (path for path in sorted((folder / "units").iterdir()) if not path.name.startswith("."))
