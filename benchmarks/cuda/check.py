"""The check of an accelerator as one table: exactness, speed, one measurement. `benchmarks/cuda/run.sh` runs it."""

import argparse
import os
import platform
import sys
import time
from pathlib import Path

import torch

from auctionsim.language_models.devices import choose_device
from auctionsim.testing.fake_language_model import fake_language_model
from benchmarks.cuda.exactness import exactness
from benchmarks.cuda.measurement import measurement
from benchmarks.cuda.models import random_model, smollm2
from benchmarks.cuda.speed import speed

MOST_SECONDS = 480.0
BATCHES = (50, 200)


class Table:
    """Markdown that is shown line by line, and kept in a file where one is named."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.lines, self.began = path, [], time.perf_counter()

    def add(self, line: str = "") -> None:
        """Show a line and keep it at once: a run that is cut off leaves what it found."""
        print(line, flush=True)
        self.lines.append(line)
        if self.path is not None:
            self.path.write_text("\n".join(self.lines) + "\n", encoding="utf-8")

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self.began


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return 1 if something that must be equal is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=MOST_SECONDS, help="after as many no other part is begun")
    parser.add_argument("--shapes", default="smollm2,qwen3-4b,llama-3-8b")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--samples", type=int, default=8)
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    folder = os.environ.get("OUT")
    table = Table(None if folder is None else Path(folder) / "cuda.md")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    table.add(f"# {name}: torch {torch.__version__}, Python {platform.python_version()}")
    wrong = _exactness(table, device)
    for shape in options.shapes.split(","):
        _speed(table, shape, device, options)
    _measurement(table, device, options)
    table.add(f"\n{table.seconds:.0f} s; {'everything equal' if not wrong else f'{wrong} NOT EQUAL'}")
    return 1 if wrong else 0


def _exactness(table: Table, device: torch.device) -> int:
    """Add what is equal and what is not; return how many are not."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    wrong = 0
    models = [fake_language_model(num_layers=6, num_neurons=192)]
    real = smollm2("cpu", "float32")
    if not real.name.startswith("random"):
        models.append(real)
    for model in models:
        table.add(f"\n## Exactness: {model.identity}, float32, {device} against the CPU\n")
        table.add("| what | largest difference | allowed | |\n| :-- | --: | --: | :-- |")
        for row in exactness(model, device):
            wrong += not row.holds
            table.add(f"| {row.what} | {row.difference:.1e} | {row.allowed:.0e} | {'' if row.holds else 'NOT EQUAL'} |")
    return wrong


def _speed(table: Table, shape: str, device: torch.device, options: argparse.Namespace) -> None:
    left = options.seconds - table.seconds
    if left < 60:
        table.add(f"\n## Speed: {shape}: left out, {left:.0f} s were left")
        return
    kind = torch.bfloat16 if device.type == "cuda" else torch.float32
    if shape == "smollm2":
        model = smollm2(str(device), "bfloat16" if device.type == "cuda" else "float32")
    else:
        model = random_model(shape, device, kind)
    rows = speed(model, batches=BATCHES, tokens=options.tokens, repetitions=3, seconds=left / 3)
    table.add(f"\n## Speed: {model.identity}, {model.dtype}, 200 rows of {options.tokens} tokens\n")
    table.add("| what | tokens/s | ours as a share |\n| :-- | --: | --: |")
    for row in rows:
        number = f"{row.tokens:.2f}" if row.tokens < 10 else f"{row.tokens:,.0f}"
        table.add(f"| {row.what} | {number} | {'' if row.share is None else f'{row.share:.2f}'} |")
    if device.type == "cuda":
        table.add(f"\npeak memory {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB")
        del model
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _measurement(table: Table, device: torch.device, options: argparse.Namespace) -> None:
    if options.seconds - table.seconds < 45:
        table.add("\n## One measurement: left out, no time was left")
        return
    model = smollm2(str(device), "auto")
    if model.name.startswith("random"):
        model = fake_language_model(num_layers=6, num_neurons=192)
        table.add("\nSmolLM2's weights are not here: the measurement is one of a random model, on the CPU.")
    table.add(f"\n## One measurement: {model.identity}, {model.dtype}, {model.device}\n")
    table.add("| stage | seconds |\n| :-- | --: |")
    for row in measurement(model, samples=options.samples, tokens=options.tokens):
        table.add(f"| {row.what} | {row.seconds:.1f} |")


if __name__ == "__main__":
    sys.exit(main())
