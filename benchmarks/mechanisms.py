"""How fast auctions clear, and how near learned mechanisms come to the optimum.

Rates are auctions a second, bids checked included, the best of some repetitions on all cores torch is given; each has
as baseline one pass over the same bids that only finds the highest (torch.max), measured in the same run. Ratios are
objectives of hard choices on the same profiles as the optimal rule's.

    python benchmarks/mechanisms.py
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

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
    train_affine_maximizer,
    train_menu,
)
from auctionsim.mechanisms.training import evaluated
from auctionsim.priors import Beta, Exponential, Prior, Uniform
from auctionsim.substrates import QuadraticSubstrate, ResponseSurface, Substrate, is_separable

REPETITIONS = 5
SURFACE = "running-shoes-2@1"


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
    offers = Menu(torch.rand(2, 128, 1, generator=generator), torch.rand(2, 128, generator=generator))
    line("MenuAuction, 2 bidders, 128 free entries", MenuAuction(quadratic, offers), items[:, :2].contiguous())
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
    line(f"MenuAuction, {SURFACE}, 128 free entries", MenuAuction(surface, Menu(entries, offers.prices)), bids, context)


def share(rule: Mechanism, substrate: Substrate, prior: Prior, user_weight: float) -> float:
    """Return the objective as a share of the optimal rule's on one grid of profiles.

    Where the substrate is separable the objective is a sum over bidders, and the grid's diagonal is enough.
    """
    nodes = 20_000 if is_separable(substrate) else 200
    axis = prior.quantile((torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes)
    profiles = torch.stack([axis, axis], 1) if is_separable(substrate) else torch.cartesian_prod(axis, axis)
    profiles = profiles.unsqueeze(2)
    best = VirtualWelfareMaximizer(substrate, prior, user_weight)
    ours, theirs = (evaluated(m, substrate, profiles, user_weight, None)[0] for m in (rule, best))
    return ours / theirs


def ratios() -> None:
    """Print learned objectives as shares of the optimum."""
    for prior in (Uniform(0, 1), Exponential(1.0), Beta(2, 5)):
        began = time.perf_counter()
        rule = train_menu(QuadraticSubstrate(2), prior, 1.0)
        took = time.perf_counter() - began
        reached = share(rule, QuadraticSubstrate(2), prior, 1.0)
        print(f"{f'train_menu, separable quadratic, {prior}':<62}{reached:>8.4f} of the optimum  {took:5.1f} s")
    for crosstalk in (0.2, 0.5, 1.0):
        substrate = QuadraticSubstrate(2, crosstalk)
        began = time.perf_counter()
        learned = train_affine_maximizer(substrate, Uniform(0, 1), 1.0)
        took = time.perf_counter() - began
        reached = share(learned, substrate, Uniform(0, 1), 1.0)
        print(f"{f'train_affine_maximizer, crosstalk {crosstalk}':<62}{reached:>8.4f} of the optimum  {took:5.1f} s")


def main() -> None:
    """Print everything."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    rates()
    ratios()


if __name__ == "__main__":
    main()
