"""Which equilibria `EquilibriumLearner` finds with its default settings: distance to the closed form, regret, seconds.

L2 is the root mean squared distance of the learned bid from the closed form under the prior, the worst bidder's, as a
share of the prior's width (√12 standard deviations: 1 for U[0, 1]). Regret is the ex-interim regret of the learned
strategies, averaged over types and bidders, as a share of the same width, with its 95 % interval. Of the uniform-price
auction only the second bid is compared: the first has nothing to compete with once rivals bid 0 for a second unit, so
any positive bid is an equilibrium.

    python benchmarks/equilibria.py [--seeds 3] [--more] [--only NAME]
"""

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.agents import EquilibriumLearner, RiskAverse, closed_form_equilibrium
from auctionsim.mechanisms import (
    VCG,
    AllPay,
    DiscriminatoryPrice,
    FirstPrice,
    Mechanism,
    NearestBid,
    SecondPrice,
    ThirdPrice,
    UniformPrice,
)
from auctionsim.priors import Beta, Exponential, Uniform, product
from auctionsim.regret import InterimSettings, ex_interim_regret, quasi_linear
from auctionsim.substrates import Bundles, Items, Substrate, Units

UNIT = Uniform(0.0, 1.0)
LLG = [UNIT, UNIT, Uniform(0.0, 2.0)]
WANTED = 0.01


class LearningCase(NamedTuple):
    """An auction to learn in."""

    name: str
    mechanism: Mechanism
    substrate: Substrate
    priors: Any
    utility: Callable[[Tensor, Tensor], Tensor] = quasi_linear


def suite() -> Iterator[LearningCase]:
    """Yield the auctions of the suite."""
    for n in (2, 3, 5):
        yield LearningCase(f"first price, {n} x U[0,1]", FirstPrice(), Items(n), UNIT)
    yield LearningCase("first price, 2, CRRA 1/2", FirstPrice(), Items(2), UNIT, RiskAverse(0.5))
    yield LearningCase("all-pay, 2", AllPay(), Items(2), UNIT)
    yield LearningCase("third price, 3", ThirdPrice(), Items(3), UNIT)
    yield LearningCase("first price, U[0,1] v U[0,2]", FirstPrice(), Items(2), [UNIT, Uniform(0.0, 2.0)])
    yield LearningCase("LLG, VCG", VCG(Bundles.llg()), Bundles.llg(), LLG)
    yield LearningCase("LLG, nearest bid", NearestBid(), Bundles.llg(), LLG)
    yield LearningCase("2 units, uniform price", UniformPrice(Units(2, 2)), Units(2, 2), UNIT)
    yield LearningCase("2 units, discriminatory", DiscriminatoryPrice(Units(2, 2)), Units(2, 2), UNIT)


def others() -> Iterator[LearningCase]:
    """Yield auctions beyond it: other priors, sizes and tastes."""
    yield LearningCase("first price, 10", FirstPrice(), Items(10), UNIT)
    yield LearningCase("first price, 3, CRRA .3", FirstPrice(), Items(3), UNIT, RiskAverse(0.3))
    yield LearningCase("first price, 2 x Beta(2,5)", FirstPrice(), Items(2), Beta(2, 5))
    yield LearningCase("first price, 3 x Beta(5,2)", FirstPrice(), Items(3), Beta(5, 2))
    yield LearningCase("first price, 2 x Exp(1)", FirstPrice(), Items(2), Exponential(1.0))
    yield LearningCase("first price, 2 x U[10,20]", FirstPrice(), Items(2), Uniform(10.0, 20.0))
    yield LearningCase("first price, Beta(2,5) v Beta(5,2)", FirstPrice(), Items(2), [Beta(2, 5), Beta(5, 2)])
    yield LearningCase("first price, U[0,5] v U[0,15]", FirstPrice(), Items(2), [Uniform(0.0, 5.0), Uniform(0.0, 15.0)])
    yield LearningCase("all-pay, 3", AllPay(), Items(3), UNIT)
    yield LearningCase("all-pay, 5", AllPay(), Items(5), UNIT)
    yield LearningCase("third price, 5", ThirdPrice(), Items(5), UNIT)
    yield LearningCase("second price, 3", SecondPrice(), Items(3), UNIT)


def width(prior: Any) -> float:
    """Return √12 standard deviations."""
    levels = (torch.arange(4096, dtype=torch.float64) + 0.5) / 4096
    return 12**0.5 * float(prior.quantile(levels).std(correction=0))


def distance(case: LearningCase, strategies: list[Callable[[Tensor], Tensor]]) -> float | None:
    """Return the worst bidder's L2 as a share of its width, None without a closed form."""
    n, m = case.substrate.num_bidders, len(case.substrate.features)
    given = product(case.priors, n, m)
    v = given.sample(1 << 14, torch.Generator().manual_seed(7), torch.float64)
    known = closed_form_equilibrium(case.mechanism, case.substrate, case.priors, case.utility)
    if isinstance(case.mechanism, UniformPrice):
        return max(float(s(v[:, i])[:, 1].square().mean().sqrt()) for i, s in enumerate(strategies))
    if known is None:
        return None
    errors = [
        float((strategies[i](v[:, i]) - known[i](v[:, i])).square().mean().sqrt()) / width(given.marginal(i))
        for i in range(n)
    ]
    return max(errors)


def row(case: LearningCase, seed: int) -> bool:
    """Learn once, print one row, and tell whether it meets what is wanted."""
    began, used = time.perf_counter(), time.process_time()
    learner = EquilibriumLearner(case.mechanism, case.substrate, case.priors, seed=seed, utility=case.utility)
    strategies = learner.train()
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    error = distance(case, strategies)
    found = ex_interim_regret(
        case.mechanism,
        case.substrate,
        case.priors,
        strategies=strategies,
        settings=InterimSettings(utility=case.utility, types=32),
        draws=1 << 14,
        generator=torch.Generator().manual_seed(1000 + seed),
    )
    assert found.interval is not None
    given = product(case.priors, case.substrate.num_bidders, len(case.substrate.features))
    unit = max(width(prior) for bidder in given.marginals for prior in bidder)
    low, high = (end / unit for end in found.interval)
    met = (error is None or error < WANTED) and high < WANTED
    shown = "     –" if error is None else f"{error:.4f}"
    print(
        f"{case.name:36s} {seed:4d} {shown} {found.mean / unit:+.4f} [{low:+.4f}, {high:+.4f}] "
        f"{cpu:5.0f} {wall:5.0f}{'' if met else '   short'}",
        flush=True,
    )
    return met


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--more", action="store_true", help="auctions beyond the suite, too")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print(f"{'auction':36s} seed     L2  regret  95 % interval    CPU s  wall s")
    cases = [*suite(), *(others() if options.more else ())]
    met = [row(case, seed) for case in cases if options.only in case.name for seed in range(options.seeds)]
    print(f"{sum(met)} of {len(met)} with L2 < {WANTED} and the interval of regret below {WANTED}")


if __name__ == "__main__":
    main()
