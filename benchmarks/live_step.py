"""What a vector step asks of the live model: seconds a call of `observe`, and the model's forward passes in it.

Rows take the contexts in turn, each at the levers of a random bid, as in an environment of so many rows.

    python benchmarks/live_step.py [--rows 3 12] [--repetitions 2] [--dtype auto]
"""

import argparse
import time
from collections import Counter
from typing import Any

import torch

from auctionsim.envs.live import Live, live_substrate


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[3, 12])
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--dtype", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(1)
    substrate = live_substrate(Live(dtype=options.dtype))
    passes: Counter[str] = Counter()

    def count(_: torch.nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        ids = inputs[0] if inputs else named["input_ids"]
        passes["one" if ids.shape[1] == 1 else "more"] += 1

    substrate.model.network.register_forward_pre_hook(count, with_kwargs=True)
    print(f"{substrate.model.dtype}\n{'rows':>5s} {'wall s':>8s} {'CPU s':>8s}  forward passes of one token, of more")
    for rows in options.rows:
        allocation, context = asked(substrate, rows)
        wall, cpu = [], []
        for _ in range(options.repetitions):
            passes.clear()
            began, used = time.perf_counter(), time.process_time()
            substrate.observe(allocation, context)
            wall.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
        print(f"{rows:5d} {min(wall):8.2f} {min(cpu):8.2f}  {passes['one']}, {passes['more']}", flush=True)


def asked(substrate: Any, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random levers (row, bidder, lever) and each row's context."""
    low = torch.tensor([lever.low for lever in substrate.levers])
    high = torch.tensor([lever.high for lever in substrate.levers])
    share = torch.rand(rows, substrate.num_bidders, len(low), generator=torch.Generator().manual_seed(0))
    return low + share * (high - low), torch.arange(rows) % len(substrate.contexts)


if __name__ == "__main__":
    main()
