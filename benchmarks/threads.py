"""What the rule for threads is worth: steps done on every core and on one core less, alone and beside busy processes.

A step is the matrix products of one decode step of the packaged model's shapes, 64 rows in float32: 30 layers, one
after the other, so threads meet some 200 times a step. A busy process spins on one core. Repetitions are interleaved
and medians taken. "Alone" means nothing beside it that this benchmark started: look at the printed load.

    python benchmarks/threads.py [--seconds 2] [--repetitions 3] [--busy 0 1]
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import torch

from auctionsim.threads import thread_count, usable_cores

ROWS, LAYERS, HIDDEN, INNER = 64, 30, 576, 1536
PRODUCTS = ((HIDDEN, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, INNER), (HIDDEN, INNER), (INNER, HIDDEN))


def main() -> None:
    """Print the table and what the rule gains or costs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    cores = usable_cores()
    by_rule = thread_count(cores)
    counts = sorted({1, by_rule, cores.allowed})
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{cores}, the rule: {by_rule} threads; load {load:.1f} before; torch {torch.__version__}")
    print(f"{'busy processes':>15s} {'threads':>8s} {'steps a second':>15s} {'to the rule':>12s}")
    for busy in options.busy:
        rates = {count: [] for count in counts}
        with spinning(busy):
            for _ in range(options.repetitions):
                for count in counts:
                    rates[count].append(rate(count, options.seconds))
        medians = {count: statistics.median(found) for count, found in rates.items()}
        for count, median in medians.items():
            print(f"{busy:15d} {count:8d} {median:15.1f} {median / medians[by_rule]:12.2f}", flush=True)


def rate(threads: int, seconds: float) -> float:
    """Return steps a second on so many threads."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    weights = [[torch.randn(shape, generator=generator) for shape in PRODUCTS] for _ in range(LAYERS)]
    rows = {size: torch.randn(ROWS, size, generator=generator) for size in (HIDDEN, INNER)}
    steps, began = -1, time.perf_counter()  # the first warms up
    while time.perf_counter() - began < seconds or steps < 1:
        if steps == -1:
            began = time.perf_counter()
        for layer in weights:
            for weight in layer:
                rows[weight.shape[0]] @ weight
        steps += 1
    return steps / (time.perf_counter() - began)


@contextlib.contextmanager
def spinning(count: int) -> Iterator[None]:
    """Keep so many processes busy."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
