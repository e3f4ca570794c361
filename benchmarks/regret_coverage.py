"""How often the intervals of ex-interim regret hold the true regret, how wide they are, and how biased the estimate is.

Cases with closed forms, valuations U[0,1], one item, n bidders:
- first price, all truthful: regret v^n (n−1)^(n−1) / n^n, on average (n−1)^(n−1) / (n^n (n+1));
- first price in equilibrium, b = (n−1)v/n: 0;
- all-pay, two truthful bidders: bidding 0 is best, regret v(1−v), on average 1/6;
- second price, searched as if nothing were proved: 0.

One call answers for several valuations, on the same draws: each has its own pointwise interval and its own line.

    python benchmarks/regret_coverage.py [--seeds 1000] [--draws 16384] [--only TEXT]
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.mechanisms import AllPay, FirstPrice, Mechanism, SecondPrice
from auctionsim.priors import Uniform
from auctionsim.regret import InterimSettings, ex_interim_regret
from auctionsim.substrates import Items

VALUATIONS = (0.05, 0.25, 0.5, 1.0)
SLACK = 1e-9


class KnownGame(NamedTuple):
    """One game with a known answer; `regret` of a valuation, or of None: ex ante, the average over valuations."""

    name: str
    mechanism: Mechanism
    bidders: int
    strategy: Callable[[Tensor], Tensor] | None
    regret: Callable[[float | None], float]
    ex_ante: bool


def cases() -> list[KnownGame]:
    """Return every case."""
    games: list[tuple[str, Mechanism, int, Callable[[Tensor], Tensor] | None, Callable[[float | None], float]]] = []
    for n in (2, 3):
        peak = (n - 1) ** (n - 1) / n**n
        games.append((f"first price, truthful, n={n}", FirstPrice(), n, None, partial(_truthful_first_price, n, peak)))
    games.append(("all-pay, truthful, n=2", AllPay(), 2, None, lambda v: 1 / 6 if v is None else v * (1 - v)))
    for n in (2, 3, 5):
        equilibrium = partial(torch.mul, other=(n - 1) / n)
        games.append((f"first price, equilibrium, n={n}", FirstPrice(), n, equilibrium, _zero))
    games.append(("second price, searched, n=3", SecondPrice(), 3, None, _zero))
    return [KnownGame(*game, ex_ante) for ex_ante in (False, True) for game in games]


def _zero(valuation: float | None) -> float:
    del valuation
    return 0.0


def _truthful_first_price(n: int, peak: float, valuation: float | None) -> float:
    return peak / (n + 1) if valuation is None else valuation**n * peak


class CoverageRun(NamedTuple):
    """What one seed gave, bidder 0's: (valuation,) each; `certified` all true where nothing is certified."""

    low: Tensor
    high: Tensor
    error: Tensor
    certified: Tensor


def one_run(case: KnownGame, seed: int, draws: int) -> CoverageRun:
    """Return estimates and intervals of one seed."""
    given = None if case.ex_ante else torch.tensor(VALUATIONS).view(-1, 1, 1).repeat(1, case.bidders, 1)
    found = ex_interim_regret(
        case.mechanism,
        Items(case.bidders),
        Uniform(0.0, 1.0),
        valuations=given,
        strategies=case.strategy,
        draws=draws,
        generator=torch.Generator().manual_seed(seed),
        settings=InterimSettings(use_structure=isinstance(case.mechanism, FirstPrice)),
    )
    if case.ex_ante:
        exact = torch.tensor([case.regret(None)], dtype=torch.float64)
        low, high = (torch.tensor([end], dtype=torch.float64) for end in found.interval)
        upper = exact if found.upper is None else found.upper.double().mean().view(1)
        return CoverageRun(low, high, torch.tensor([found.mean]) - exact, upper >= exact - SLACK)
    exact = torch.tensor([case.regret(v) for v in VALUATIONS], dtype=torch.float64)
    upper = exact if found.upper is None else found.upper[:, 0].double()
    low, high = found.pointwise[:, :, 0]
    return CoverageRun(low, high, found.lower[:, 0] - exact, upper >= exact - SLACK)


def lines(case: KnownGame, seeds: int, draws: int) -> Iterator[str]:
    """Yield a line of the table for each valuation."""
    start = time.perf_counter()
    runs = [one_run(case, seed, draws) for seed in range(seeds)]
    seconds = (time.perf_counter() - start) / seeds
    low, high, error, certified = (torch.stack(part) for part in zip(*runs, strict=True))
    for k, valuation in enumerate((None,) if case.ex_ante else VALUATIONS):
        exact = case.regret(valuation)
        covered = ((low[:, k] <= exact + SLACK) & (exact - SLACK <= high[:, k])).double().mean()
        bound = (
            f"{float(certified[:, k].double().mean()):7.1%}" if isinstance(case.mechanism, FirstPrice) else "      –"
        )
        told = f"{case.name}, {'ex ante' if valuation is None else f'v={valuation}'}"
        yield (
            f"{told:42s} {exact:7.4f} {float(covered):9.1%} {bound} {float((high - low)[:, k].median()):8.4f} "
            f"{float(error[:, k].mean()):+9.5f} {float(error[:, k].std()):8.5f} {seconds:7.3f}"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=2**14)
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--skip-ex-ante", action="store_true", help="leave out the averages over valuations")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"95 % intervals, {chosen.seeds} seeds, {chosen.draws} draws")
    head = f"{'case':42s} {'regret':>7s} {'coverage':>9s} {'upper≥':>7s} {'width':>8s} {'bias':>9s} {'sd':>8s}"
    print(f"{head} {'seconds':>7s}")
    for case in cases():
        if chosen.only in case.name and not (case.ex_ante and chosen.skip_ex_ante):
            for line in lines(case, chosen.seeds, chosen.draws):
                print(line, flush=True)


if __name__ == "__main__":
    main()
