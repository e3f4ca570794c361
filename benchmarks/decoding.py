"""How fast replies are sampled under interventions, against `model.generate` and the machine's own limit.

The work is a grid of 5 × 5 interventions on 8 prompts, one reply each: 200 rows of 32 tokens, end tokens ignored so
that everybody writes as many. Ours is one batch that shares each prompt's prefill. The baselines are `generate` in the
same dtype, sampling from the same distribution (temperature .7, nothing cut off): cell by cell, 8 rows a call, and with
a factor a row at the best of several batch sizes. Hooks on baselines touch the prompt, too; that costs them nothing
worth measuring. Repetitions are interleaved and medians taken, so that a busy machine slows everybody.

The limit is a decode step that does nothing but its matrix products, weight after weight as in the model.

    python benchmarks/decoding.py [--repetitions 3] [--dtype auto] [--batches 25,50,100,200] [--tokens 32]
"""

import argparse
import itertools
import resource
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from auctionsim.language_models import (
    Intervention,
    LanguageModel,
    intervene,
    join,
    load_model,
    prefill,
    sample_replies,
    untouched,
)
from auctionsim.prompts import build_prompts

NUM_NEURONS = (0, 64, 128, 256, 512)
AMPLIFICATION = (1.0, 1.25, 1.5, 1.75, 2.0)
PROMPTS = 8
TEMPERATURE = 0.7
WANTED = {"loop": 3.0, "batch": 1.8, "hooks": 0.97, "share": 0.55}


def cell_scales(model: LanguageModel) -> Tensor:
    """Return a factor for every neuron in every cell of the grid, (cell, layer, neuron); which neurons is drawn."""
    total = model.num_layers * model.num_neurons
    ranking = torch.randperm(total, generator=torch.Generator().manual_seed(0))
    scales = torch.ones(len(NUM_NEURONS) * len(AMPLIFICATION), total)
    for cell, (count, factor) in enumerate(itertools.product(NUM_NEURONS, AMPLIFICATION)):
        scales[cell, ranking[:count]] = factor
    return scales.view(-1, model.num_layers, model.num_neurons)


def ours(model: LanguageModel, prompts: list[list[int]], scales: Tensor, tokens: int) -> Callable[[], int]:
    """One batch: every prompt's rows one after the other."""
    cells = len(scales)
    change = Intervention(scales.repeat(len(prompts), 1, 1)) if bool((scales != 1).any()) else untouched(model)
    uniforms = torch.rand(cells * len(prompts), tokens, generator=torch.Generator().manual_seed(0))

    def work() -> int:
        prefix = join([prefill(model, ids, tokens) for ids in prompts]).repeat(cells)
        return sample_replies(model, prefix, change, uniforms, temperature=TEMPERATURE).tokens.numel()

    return work


def theirs(
    model: LanguageModel, prompts: list[list[int]], scales: Tensor, tokens: int, batch: int | None
) -> Callable[[], int]:
    """`generate`, cell by cell where batch is None, else `batch` rows at a time with a factor a row."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts], device=model.device)
    seen = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    rows = len(prompts) if batch is None else batch
    whole = scales.repeat_interleave(len(prompts), dim=0)
    ids, seen = ids.repeat(len(scales), 1), seen.repeat(len(scales), 1)

    def work() -> int:
        total = 0
        for start in range(0, len(whole), rows):
            part = slice(start, start + rows)
            change = Intervention(whole[start : start + 1] if batch is None else whole[part])
            with intervene(model, change):
                out = model.network.generate(  # type: ignore[operator]
                    ids[part],
                    attention_mask=seen[part],
                    do_sample=True,
                    temperature=TEMPERATURE,
                    top_k=0,
                    top_p=1.0,
                    min_new_tokens=tokens,
                    max_new_tokens=tokens,
                    pad_token_id=0,
                )
            total += out[:, longest:].numel()
        return total

    return work


@torch.inference_mode()
def products(model: LanguageModel, rows: int) -> Callable[[], int]:
    """The matrix products of one decode step of `rows` rows, and nothing else."""
    layers = [module for module in model.network.modules() if isinstance(module, nn.Linear)]
    inputs = {n: torch.randn(rows, n, device=model.device).to(model.dtype) for n in {m.in_features for m in layers}}

    @torch.inference_mode()
    def work() -> int:
        for module in layers:
            nn.functional.linear(inputs[module.in_features], module.weight)
        return rows

    return work


def rate(work: Callable[[], int]) -> float:
    """Return tokens a second of one run."""
    began = time.perf_counter()
    tokens = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return tokens / (time.perf_counter() - began)


def peak_memory(device: torch.device) -> float:
    """Return this process's peak so far, GiB: resident memory, or CUDA's where the model is there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def ending_ignored(model: LanguageModel) -> LanguageModel:
    """Let no token end a reply."""
    model.network.generation_config.eos_token_id = []  # type: ignore[union-attr,assignment]
    return model


def lines(rates: dict[str, list[float]], best: str) -> Iterator[str]:
    """Yield the table: medians with their range, and ratios of values measured in the same repetition."""
    for name, values in rates.items():
        yield f"{name:52s}{statistics.median(values):10,.0f} tokens/s   {min(values):,.0f} to {max(values):,.0f}"
    mine = rates["ours, an intervention a row"]

    def ratio(other: str) -> float:
        return statistics.median(a / b for a, b in zip(mine, rates[other], strict=True))

    yield f"against generate's loop over cells: {ratio('generate, cell by cell'):.2f}x, wanted {WANTED['loop']}x"
    yield f"against generate's best batch ({best}): {ratio(best):.2f}x, wanted {WANTED['batch']}x"
    yield f"with hooks against without: {ratio('ours, no intervention'):.3f}, wanted >= {WANTED['hooks']}"
    share = ratio("matrix products of a decode step alone")
    yield f"share of the limit of its matrix products: {share:.3f}, wanted >= {WANTED['share']}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batches", default="25,50,100,200", help="generate's batch sizes to choose the best from")
    parser.add_argument("--tokens", type=int, default=32, help="new tokens a row")
    options = parser.parse_args()
    model = ending_ignored(load_model(device=options.device, dtype=options.dtype))
    prompts = [model.chat_ids(prompt) for prompt in build_prompts("running shoes").everything[:PROMPTS]]
    scales = cell_scales(model)
    rows = len(prompts) * len(scales)
    print(f"{model.identity}, {model.dtype}, {torch.get_num_threads()} threads, {rows} rows of {options.tokens} tokens")
    every = {
        "ours, an intervention a row": ours(model, prompts, scales, options.tokens),
        "ours, no intervention": ours(model, prompts, torch.ones_like(scales), options.tokens),
        "matrix products of a decode step alone": products(model, rows),
        "generate, cell by cell": theirs(model, prompts, scales, options.tokens, None),
    }
    rate(every["ours, an intervention a row"])  # warms up
    print(f"peak memory of a process that only samples as we do: {peak_memory(model.device):.2f} GiB, wanted < 3")
    sizes = [int(size) for size in options.batches.split(",")]
    batches = {f"generate, {size} rows a call": theirs(model, prompts, scales, options.tokens, size) for size in sizes}
    tried = {name: rate(work) for name, work in batches.items()}
    best = max(tried, key=lambda name: tried[name])
    print(", ".join(f"{name}: {value:,.0f} tokens/s" for name, value in tried.items()))
    every[best] = batches[best]
    rates: dict[str, list[float]] = {name: [] for name in every}
    for _ in range(options.repetitions):
        for name, work in every.items():
            rates[name].append(rate(work))
    for line in lines(rates, best):
        print(line)


if __name__ == "__main__":
    main()
