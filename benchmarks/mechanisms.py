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
from auctionsim.mechanisms import Mechanism, Menu, MenuAuction, MenuNetwork
from auctionsim.mechanisms.table import Problem, table
from auctionsim.priors import Uniform
from auctionsim.substrates import Items, Lottery, Positions, QuadraticSubstrate, ResponseSurface, Substrate, Units
from auctionsim.substrates.protocol import contexts_of

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
    print(f"{name:<56}{rate / 1e6:>10.2f} M/s   {rate / baseline:>7.3f} of a bare max over bidders")


def places() -> dict[str, Substrate]:
    """Return where auctions are cleared; every mechanism of the table fits one of them but the nearest bid."""
    surface = ResponseSurface.packaged(SURFACE).sell("slot_probability")
    listed = surface.finite_range()
    return {
        "5 bidders, 1 item": Items(5),
        "5 positions": Positions(5, (1.0, 0.8, 0.6, 0.4, 0.2)),
        "3 bidders, 4 units": Units(3, 4),
        "quadratic": QuadraticSubstrate(2),
        SURFACE: surface,
        "lottery over the surface": Lottery(listed.exposures[0], listed.user_losses[0]),
    }


def rates() -> None:
    """Print rates of clearing: every mechanism of the table wherever it fits, by its quick recipe."""
    generator = torch.Generator().manual_seed(0)
    for place, substrate in places().items():
        shape = (2**14, substrate.num_bidders, len(substrate.features))
        bids, names = torch.rand(shape, generator=generator), contexts_of(substrate)
        context = torch.arange(len(bids)) % len(names) if names else None
        for entry in table().values():
            if entry.refusal(substrate) is None:
                rule = entry.designed(Problem(substrate, Uniform(), 0.1, quick=True))
                line(f"{entry.titled(quick=True)}, {place}", rule, bids, context)
    large_menus(generator)


def large_menus(generator: torch.Generator) -> None:
    """Print rates of menus of 128 entries, more than any recipe has."""
    quadratic = QuadraticSubstrate(2)
    bids = torch.rand(2**17, 2, 1, generator=generator)
    menus = Menu(torch.rand(2, 128, 1, generator=generator), torch.rand(2, 128, generator=generator))
    line("menu of 128 entries, quadratic", MenuAuction(quadratic, menus), bids)
    written = MenuAuction(quadratic, MenuNetwork(quadratic, entries=128, seed=0))
    line("menu of 128 entries by a network, quadratic", written, bids[: 2**14])
    surface = ResponseSurface.packaged(SURFACE).sell("slot_probability")
    levers = torch.tensor([[lever.low, lever.high] for lever in surface.levers])
    entries = levers[:, 0] + (levers[:, 1] - levers[:, 0]) * torch.rand(2, 128, len(levers), generator=generator)
    context = torch.arange(2**14) % len(surface.contexts)
    rule = MenuAuction(surface, Menu(entries, menus.prices))
    line(f"menu of 128 entries, {SURFACE}", rule, bids[: 2**14].contiguous(), context)


def main() -> None:
    """Print everything."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    rates()


if __name__ == "__main__":
    main()
