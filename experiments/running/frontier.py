"""What a ranking buys: a brand's lift at slots against the harm of it, over a grid of levers.

Levers are chosen on validation prompts and texts; what is reported is measured on others.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.language_models.model import LanguageModel
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.prompts import PromptSet
from auctionsim.readings.neutral_kl import neutral_kl
from auctionsim.readings.neutral_text import HELD_OUT_TEXTS, VALIDATION_TEXTS
from auctionsim.readings.slots import SlotScorer
from auctionsim.stems import KINDS


@dataclass(frozen=True)
class FrontierSettings:
    """Which levers are tried, and under which limits the best of them is taken.

    Attributes:
        num_neurons: Values of that lever, each at most the neurons that are ranked.
        amplification: Values of that lever, ascending, > 1.
        limits: Of neutral_kl, nats a token, ascending.
    """

    num_neurons: tuple[int, ...] = (32, 128, 384, 1000)
    amplification: tuple[float, ...] = (1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
    limits: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1)

    def __post_init__(self) -> None:
        for name in ("num_neurons", "amplification", "limits"):
            values = getattr(self, name)
            low = 1.0 if name == "amplification" else 0.0
            if not values or list(values) != sorted(set(values)) or not all(low < v < math.inf for v in values):
                raise InputError(f"{name} must be one or more ascending finite values > {low:g}, got {values}")


class FrontierCell(NamedTuple):
    """One setting of one brand's levers, rivals at null.

    Attributes:
        num_neurons: The first lever.
        amplification: The second.
        probability: Slot probability, mean over prompts and stems.
        neutral_kl: Mean over texts, nats a token.
        kl_error: Its standard error over texts.
    """

    num_neurons: int
    amplification: float
    probability: float
    neutral_kl: float
    kl_error: float


class FrontierChoice(NamedTuple):
    """The best setting under a limit, and what it does where it was not chosen.

    Attributes:
        limit: Of neutral_kl.
        chosen: The validation cell; None where no setting stays under the limit: the model is left untouched.
        untouched: Slot probability on test prompts at null.
        probability: The same under the chosen levers.
        neutral_kl: On held-out texts.
        kinds: By kind of stem, slot probability on test prompts at null and under the chosen levers.
    """

    limit: float
    chosen: FrontierCell | None
    untouched: float
    probability: float
    neutral_kl: float
    kinds: Mapping[str, tuple[float, float]] = MappingProxyType({})

    @property
    def lift(self) -> float:
        """max(P − P₀, 0)."""
        return max(self.probability - self.untouched, 0.0)

    def lift_after(self, kind: str) -> float:
        """The same after stems of one kind."""
        untouched, probability = self.kinds[kind]
        return max(probability - untouched, 0.0)


def settings_of_one(neurons: BrandNeurons, brand: int, settings: Sequence[tuple[float, float]]) -> Tensor:
    """Return allocations (row, bidder, lever) that touch one brand alone."""
    allocation = torch.tensor([0.0, 1.0]).expand(len(settings), len(neurons.brands), 2).clone()
    allocation[:, brand] = torch.tensor(settings)
    return allocation


def frontier_cells(
    model: LanguageModel,
    neurons: BrandNeurons,
    brand: int,
    settings: FrontierSettings,
    prompts: PromptSet,
    progress: Callable[[], None] | None = None,
) -> list[FrontierCell]:
    """Measure one brand's settings on validation prompts and texts.

    For each number of neurons, amplification rises until neutral_kl exceeds 1.2 times the highest limit; what lies
    beyond is left out, as no limit admits it.

    Raises:
        ValueError: More neurons than are ranked.
    """
    if settings.num_neurons[-1] > neurons.max_neurons:
        raise InputError(f"{settings.num_neurons[-1]} neurons asked for, {neurons.max_neurons} are ranked")
    open_counts, measured = list(settings.num_neurons), []
    for amplification in settings.amplification:
        if not open_counts:
            break
        some = [(float(count), amplification) for count in open_counts]
        kl = neutral_kl(model, neurons.intervention(settings_of_one(neurons, brand, some)), VALIDATION_TEXTS)
        measured += list(zip(some, kl, strict=True))
        open_counts = [c for c, row in zip(open_counts, kl, strict=True) if row.mean() <= 1.2 * settings.limits[-1]]
    probability = slot_means(model, neurons, brand, [setting for setting, _ in measured], prompts, progress)
    return [
        FrontierCell(int(count), amplification, p, float(row.mean()), float(row.std() / math.sqrt(len(row))))
        for ((count, amplification), row), p in zip(measured, probability, strict=True)
    ]


def slot_means(
    model: LanguageModel,
    neurons: BrandNeurons,
    brand: int,
    settings: Sequence[tuple[float, float]],
    prompts: PromptSet,
    progress: Callable[[], None] | None = None,
) -> list[float]:
    """Return a brand's slot probability at each setting of its levers, mean over prompts and stems."""
    return slots_by_stem(model, neurons, brand, settings, prompts, progress).mean(1).tolist()


def slots_by_stem(
    model: LanguageModel,
    neurons: BrandNeurons,
    brand: int,
    settings: Sequence[tuple[float, float]],
    prompts: PromptSet,
    progress: Callable[[], None] | None = None,
) -> Float[Tensor, "setting stem"]:
    """Return a brand's slot probability at each setting of its levers after each stem, mean over prompts, float64."""
    score = SlotScorer(model, (neurons.brands[brand],), prompts.stem_texts)
    change = neurons.intervention(settings_of_one(neurons, brand, settings))
    total = torch.zeros(len(settings), len(prompts.stems), dtype=torch.float64)
    for prompt in prompts.everything:
        total += score(prompt, change)[..., 0]
        if progress is not None:
            progress()
    return total / len(prompts.everything)


def best_under(cells: Iterable[FrontierCell], limit: float) -> FrontierCell | None:
    """Return the cell of highest probability whose neutral_kl, one standard error higher, stays under the limit."""
    fit = [cell for cell in cells if cell.neutral_kl + cell.kl_error <= limit]
    return max(fit, key=lambda cell: cell.probability, default=None)


def choices(
    model: LanguageModel,
    neurons: BrandNeurons,
    brand: int,
    cells: Sequence[FrontierCell],
    settings: FrontierSettings,
    prompts: PromptSet,
) -> list[FrontierChoice]:
    """Choose the best setting under every limit and measure it on test prompts and held-out texts."""
    picked = [best_under(cells, limit) for limit in settings.limits]
    distinct = list(dict.fromkeys(cell for cell in picked if cell is not None))
    levers = [(0.0, 1.0), *((float(cell.num_neurons), cell.amplification) for cell in distinct)]
    by_stem = slots_by_stem(model, neurons, brand, levers, prompts)
    probability = by_stem.mean(1).tolist()
    masks = {kind: torch.tensor([stem.kind == kind for stem in prompts.stems]) for kind in KINDS}
    by_kind = {kind: by_stem[:, mask].mean(1).tolist() for kind, mask in masks.items() if bool(mask.any())}
    kl = neutral_kl(model, neurons.intervention(settings_of_one(neurons, brand, levers)), HELD_OUT_TEXTS).mean(1)
    results = []
    for limit, cell in zip(settings.limits, picked, strict=True):
        row = 0 if cell is None else 1 + distinct.index(cell)
        kinds = {kind: (own[0], own[row]) for kind, own in by_kind.items()}
        results.append(FrontierChoice(limit, cell, probability[0], probability[row], float(kl[row]), kinds))
    return results
