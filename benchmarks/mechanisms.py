"""How fast auctions clear; how near learned mechanisms come to the optimum is `mechanism_shares.py`.

Rates are auctions a second, bids checked included, the best of some repetitions on all cores torch is given; each has
as baseline one pass over the same bids that only finds the highest (torch.max), measured in the same run.

    python benchmarks/mechanisms.py
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from auctionsim.data import DEFAULT_SURFACE
from auctionsim.mechanisms import (
    AffineMaximizer,
    AllPay,
    FirstPrice,
    Mechanism,
    Menu,
    MenuAuction,
    MenuNetwork,
    SecondPrice,
    ThirdPrice,
    VirtualWelfareMaximizer,
)
from auctionsim.priors import Uniform
from auctionsim.substrates import QuadraticSubstrate, ResponseSurface

REPETITIONS = 5
SURFACE = DEFAULT_SURFACE


def best_rate(work: Callable[[], object], rows: int) -> float:
    """Return rows a second, the best of some repetitions after one to warm up."""
    work()
    seconds = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return rows / min(seconds)


def line(name: str, mechanism: Mechanism, bids: Tensor, context: Tensor | None = None) -> None:
    """Print one mechanism's rate beside the baseline's."""
    rate = best_rate(lambda: mechanism(bids, context), len(bids))
    baseline = best_rate(lambda: bids.max(dim=1), len(bids))
    print(f"{name:<46}{rate / 1e6:>10.2f} M/s   {rate / baseline:>7.3f} of a bare max over bidders")


def rates() -> None:
    """Print rates of clearing."""
    generator = torch.Generator().manual_seed(0)
    items = torch.rand(2**17, 5, 1, generator=generator)
    for rule in (FirstPrice(0.1), SecondPrice(0.1), ThirdPrice(0.1), AllPay(0.1)):
        line(f"{type(rule).__name__}, 5 bidders, 1 item", rule, items)
    quadratic = QuadraticSubstrate(2)
    menus = Menu(torch.rand(2, 128, 1, generator=generator), torch.rand(2, 128, generator=generator))
    line("MenuAuction, 2 bidders, 128 free entries", MenuAuction(quadratic, menus), items[:, :2].contiguous())
    written = MenuAuction(quadratic, MenuNetwork(quadratic, entries=128, seed=0))
    line("MenuAuction, 128 entries written by a network", written, items[: 2**14, :2].contiguous())
    line("VirtualWelfareMaximizer, quadratic", VirtualWelfareMaximizer(quadratic, Uniform(), 1.0), items[:, :2])
    surface = ResponseSurface.packaged(SURFACE).sell("slot_probability")
    bids = torch.rand(2**14, 2, 1, generator=generator)
    context = torch.arange(len(bids)) % len(surface.contexts)
    line(f"VirtualWelfareMaximizer, {SURFACE}", VirtualWelfareMaximizer(surface, Uniform(), 0.1), bids, context)
    found = surface.finite_range()
    every = AffineMaximizer(surface, found.allocations, -0.1 * found.user_losses[0])
    line(f"AffineMaximizer, {SURFACE}, {len(found.allocations)} entries", every, bids, context)
    levers = torch.tensor([[lever.low, lever.high] for lever in surface.levers])
    entries = levers[:, 0] + (levers[:, 1] - levers[:, 0]) * torch.rand(2, 128, len(levers), generator=generator)
    line(f"MenuAuction, {SURFACE}, 128 free entries", MenuAuction(surface, Menu(entries, menus.prices)), bids, context)


def main() -> None:
    """Print everything."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    rates()


if __name__ == "__main__":
    main()
