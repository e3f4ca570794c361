"""One small measurement from end to end: neurons found, two prompts under nine settings sampled and read."""

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch

from auctionsim.brands import parse_brands
from auctionsim.language_models import LanguageModel
from auctionsim.measurement import MeasurementSettings, Measuring
from auctionsim.neurons import BrandNeurons, identify
from auctionsim.prompts import PromptSet, build_prompts

BRANDS = "Nike,Adidas"
MOST = 128.0


class MeasurementCost(NamedTuple):
    """What it took.

    Attributes:
        what: A stage.
        seconds: Of it.
    """

    what: str
    seconds: float


def measurement(
    model: LanguageModel, *, samples: int, tokens: int, prompts: PromptSet | None = None
) -> list[MeasurementCost]:
    """Identify neurons and measure two units of nine joint settings of two brands.

    Raises:
        RuntimeError: What was measured is not finite.
    """
    prompts = build_prompts("running shoes") if prompts is None else prompts
    clock = time.perf_counter
    began = clock()
    most = min(MOST, model.num_layers * model.num_neurons // 8)
    neurons: BrandNeurons = identify(
        model, parse_brands(BRANDS), prompts.split("identify").first(1), num_neurons=int(most)
    )
    found = clock()
    factors = torch.tensor([(a, b) for a in (1.0, 1.5, 2.0) for b in (1.0, 1.5, 2.0)])
    counts = torch.where(factors == 1, 0.0, most)
    settings = MeasurementSettings(num_neurons=(0.0, most), samples=samples, max_new_tokens=tokens, rows=9 * samples)
    with tempfile.TemporaryDirectory() as folder:
        work = Measuring(Path(folder), model, neurons, prompts, settings, torch.stack([counts, factors], 2))
        ready = clock()
        results = [work.measure_unit(unit) for unit in work.units[:2]]
    done = clock()
    for result in results:
        scored = torch.cat([torch.tensor(values).flatten() for values in result.scored.values()])
        losses = torch.tensor(result.readings["kl"])
        if not bool(scored.isfinite().all() and losses.isfinite().all()):
            raise RuntimeError(f"{result.unit}: something measured is not finite")
    return [
        MeasurementCost("neurons of two brands", found - began),
        MeasurementCost("plan and scorers", ready - found),
        MeasurementCost(f"two prompts x nine settings, {samples} replies of {tokens} tokens each", done - ready),
    ]
