"""How often the intervals of ex-interim regret hold the true regret, how wide they are, and how biased the estimate is.

Cases with closed forms, valuations U[0,1], one item, n bidders:
- first price, all truthful: regret v^n (n−1)^(n−1) / n^n, on average (n−1)^(n−1) / (n^n (n+1));
- first price in equilibrium, b = (n−1)v/n: 0;
- all-pay, two truthful bidders: bidding 0 is best, regret v(1−v), on average 1/6;
- second price, searched as if nothing were proved: 0.

    python benchmarks/regret_coverage.py [--seeds 1000] [--draws 16384] [--only TEXT]
"""

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.mechanisms import AllPay, FirstPrice, Mechanism, SecondPrice
from auctionsim.priors import Uniform
from auctionsim.regret import ex_interim_regret
from auctionsim.substrates import Items


class Case(NamedTuple):
    """One question with a known answer; `valuation` None asks for the ex-ante regret."""

    name: str
    mechanism: Mechanism
    bidders: int
    strategy: Callable[[Tensor], Tensor] | None
    valuation: float | None
    regret: float


def cases() -> list[Case]:
    """Return every case."""
    found = []
    for n in (2, 3):
        peak = (n - 1) ** (n - 1) / n**n
        found += [
            Case(f"first price, truthful, n={n}, v={v}", FirstPrice(), n, None, v, v**n * peak)
            for v in (0.05, 0.25, 0.5, 1.0)
        ]
        found.append(Case(f"first price, truthful, n={n}, ex ante", FirstPrice(), n, None, None, peak / (n + 1)))
    for n in (2, 3, 5):
        for v in (0.5, 1.0, None):
            told = "ex ante" if v is None else f"v={v}"
            found.append(
                Case(f"first price, equilibrium, n={n}, {told}", FirstPrice(), n, lambda x, n=n: x * (n - 1) / n, v, 0)
            )
    found.append(Case("all-pay, truthful, n=2, v=0.75", AllPay(), 2, None, 0.75, 0.1875))
    found.append(Case("all-pay, truthful, n=2, ex ante", AllPay(), 2, None, None, 1 / 6))
    found.append(Case("second price, searched, n=3, ex ante", SecondPrice(), 3, None, None, 0.0))
    return found


def run(case: Case, seeds: int, draws: int) -> str:
    """Return one line of the table."""
    v = None if case.valuation is None else torch.full((1, case.bidders, 1), case.valuation)
    covered, certified, widths, errors = 0, 0, [], []
    start = time.perf_counter()
    for seed in range(seeds):
        found = ex_interim_regret(
            case.mechanism,
            Items(case.bidders),
            Uniform(0.0, 1.0),
            valuations=v,
            strategies=case.strategy,
            draws=draws,
            generator=torch.Generator().manual_seed(seed),
            use_structure=isinstance(case.mechanism, FirstPrice),
        )
        low, high = found.interval
        covered += low <= case.regret + 1e-9 and case.regret - 1e-9 <= high
        certified += found.upper is not None and float(found.upper.mean()) >= case.regret - 1e-9
        widths.append(high - low)
        errors.append(found.mean - case.regret)
    seconds = (time.perf_counter() - start) / seeds
    width, error = torch.tensor(widths), torch.tensor(errors)
    bound = f"{certified / seeds:7.1%}" if isinstance(case.mechanism, FirstPrice) else "      –"
    return (
        f"{case.name:42s} {case.regret:7.4f} {covered / seeds:9.1%} {bound} {float(width.median()):8.4f} "
        f"{float(error.mean()):+9.5f} {float(error.std()):8.5f} {seconds:7.3f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=2**14)
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"95 % intervals, {chosen.seeds} seeds, {chosen.draws} draws")
    head = f"{'case':42s} {'regret':>7s} {'coverage':>9s} {'upper≥':>7s} {'width':>8s} {'bias':>9s} {'sd':>8s}"
    print(f"{head} {'seconds':>7s}")
    for case in cases():
        if chosen.only in case.name:
            print(run(case, chosen.seeds, chosen.draws), flush=True)


if __name__ == "__main__":
    main()
