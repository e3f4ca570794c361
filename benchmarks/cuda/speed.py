"""How many tokens a second are sampled with an intervention a row, against `generate` and the limits of the machine.

Two limits of a decode step: the time of its matrix products alone, and the time in which the memory delivers what the
step must read once, the weights and the keys and values of every row. How much of a step the device computes, as its
profiler says, shows whether launching kernels is what takes the time. Where it is small, a step is to be captured as a
CUDA graph: decision 0047 names the place and what must hold.
"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from auctionsim.language_models import Intervention, LanguageModel, join, prefill, sample_replies
from benchmarks.decoding import TEMPERATURE, cell_scales, ending_ignored, ours, products, rate, theirs

PROMPTS = (
    "Which running shoes should I buy?",
    "Name a brand of running shoes.",
    "What do people wear for a marathon?",
    "I want to start running. What do I need?",
    "Compare two brands of running shoes.",
    "How do I choose shoes for a trail?",
    "Which shoes last longest?",
    "What should a beginner buy?",
)
COPIED = 1 << 28  # numbers of four bytes
PRODUCTS = "matrix products of a decode step alone"


class Speed(NamedTuple):
    """A line of the table.

    Attributes:
        what: What ran.
        tokens: A second, the median.
        share: Ours as a share of it; None for ours.
    """

    what: str
    tokens: float
    share: float | None


def speed(
    model: LanguageModel, *, batches: tuple[int, ...], tokens: int, repetitions: int, seconds: float
) -> list[Speed]:
    """Measure one model.

    Args:
        model: On the device.
        batches: Rows a call of `generate`, the best of which counts.
        tokens: New tokens a row.
        repetitions: Runs each, interleaved.
        seconds: After as many no other repetition is begun.
    """
    began = time.perf_counter()
    model = ending_ignored(model)
    prompts = [model.chat_ids(text) for text in PROMPTS]
    scales = cell_scales(model)
    rows = len(prompts) * len(scales)
    every: dict[str, Callable[[], int]] = {
        "ours, an intervention a row": ours(model, prompts, scales, tokens),
        "ours, no intervention": ours(model, prompts, torch.ones_like(scales), tokens),
        PRODUCTS: products(model, rows),
    }
    for work in every.values():
        rate(work)  # warms up
    called = {f"generate, {size} rows a call": theirs(model, prompts, scales, tokens, size) for size in batches}
    tried = {name: rate(work) for name, work in called.items()}
    best = max(tried, key=lambda name: tried[name])
    every[best] = called[best]
    rates: dict[str, list[float]] = {name: [] for name in every}
    for turn in range(repetitions):
        if turn and time.perf_counter() - began > seconds:
            break
        for name, work in every.items():
            rates[name].append(rate(work))
    mine = rates["ours, an intervention a row"]
    shares = {
        n: statistics.median(a / b for a, b in zip(mine, r, strict=True)) for n, r in rates.items() if r is not mine
    }
    table = [Speed(name, statistics.median(values), shares.get(name)) for name, values in rates.items()]
    limit = memory_limit(model, rows, max(map(len, prompts)) + tokens // 2)
    table.append(Speed("what the memory can deliver", limit, statistics.median(mine) / limit))
    busy = device_share(model, prompts, scales, tokens)
    if busy is not None:
        table.append(Speed("share of the time in which the device computes (not tokens)", busy, None))
    return table


@torch.inference_mode()
def memory_limit(model: LanguageModel, rows: int, length: int) -> float:
    """Return the tokens a second of a step that reads weights, keys and values at the speed of a copy."""
    source = torch.ones(min(COPIED, 1 << 24 if model.device.type == "cpu" else COPIED), device=model.device)
    target = torch.empty_like(source)

    def copy() -> int:
        target.copy_(source)
        return 2 * source.numel() * source.element_size()

    rate(copy)
    bandwidth = max(rate(copy) for _ in range(5))
    weights = sum(p.numel() * p.element_size() for p in model.network.parameters())
    config = model.network.config  # type: ignore[union-attr]
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = torch.finfo(model.dtype).bits // 8
    kept = 2 * config.num_hidden_layers * config.num_key_value_heads * width * size * length * rows
    return rows * bandwidth / (weights + kept)


def device_share(model: LanguageModel, prompts: list[list[int]], scales: torch.Tensor, tokens: int) -> float | None:
    """Return the share of sampling's time in which the device runs a kernel; None on a CPU."""
    if model.device.type != "cuda":
        return None
    change = Intervention(scales.repeat(len(prompts), 1, 1))
    uniforms = torch.rand(change.num_rows, tokens, generator=torch.Generator().manual_seed(0))
    prefix = join([prefill(model, ids, tokens) for ids in prompts]).repeat(len(scales))
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        began = time.perf_counter()
        sample_replies(model, prefix, change, uniforms, temperature=TEMPERATURE)
        torch.cuda.synchronize()
        wall = time.perf_counter() - began
    busy = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6
    return float(busy / wall)
