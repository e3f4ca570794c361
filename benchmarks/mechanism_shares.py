"""How near learned mechanisms come to the optimum: every share that is promised, on paired profiles, with intervals.

Each row trains one mechanism by its full recipe and compares its hard choices with a yardstick on the same profiles.
Profiles are a lattice in quantile space (Kronecker's, by the generalised golden ratio) under several independent random
shifts: each shift gives an unbiased estimate of both objectives, the interval is Student's over the shifts' ratios.
Regret is searched, not taken from a proof: the largest gain from a misreport over random profiles.

    python benchmarks/mechanism_shares.py [--seeds 3] [--points 8192] [--only TEXT] [--user-weights 0,1,4]
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim import metrics
from auctionsim.data import DEFAULT_SURFACE
from auctionsim.mechanisms import Mechanism, design
from auctionsim.metrics import Interval, mean_interval
from auctionsim.priors import Beta, Exponential, Mixture, Prior, TruncatedNormal, Uniform, product
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.scoring import Profiles
from auctionsim.scoring import objective as objectives
from auctionsim.substrates import Items, QuadraticSubstrate, ResponseSurface, Substrate, contexts_of, is_separable

SHIFTS = 12
SEARCHED = 256  # profiles on which regret is searched
BUDGET = 128  # misreports a profile and bidder
FEASIBLE = 10**6  # profiles whose outcomes must be feasible
SURFACE = DEFAULT_SURFACE
BIMODAL = Mixture([TruncatedNormal(0.25, 0.08, 0.0, 1.0), TruncatedNormal(0.75, 0.08, 0.0, 1.0)], [0.6, 0.4])
PRIORS: dict[str, Prior] = {
    "U[0, 1]": Uniform(0, 1),
    "Exp(1)": Exponential(1.0),
    "Beta(2, 5)": Beta(2, 5),
    "bimodal": BIMODAL,
}
BARS = {"U[0, 1]": 0.99, "Exp(1)": 0.99, "Beta(2, 5)": 0.97, "bimodal": 0.97}
USER_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
KEPT = 0.05  # of the optimum's value at user weight 0: the separable menu is judged where at least so much is left


class ShareRow(NamedTuple):
    """One line of the table; `bar` None where nothing is promised."""

    what: str
    value: float
    interval: Interval | None
    bar: float | None
    more: str


def lattice(dimensions: int, points: int, generator: torch.Generator) -> Tensor:
    """Return (shift, point, dimension) in [0, 1): one Kronecker lattice under independent shifts.

    Source:
        Roberts (2018), "The unreasonable effectiveness of quasirandom sequences"; Cranley and Patterson (1976) for the
        shifts.
    """
    ratio = 2.0
    for _ in range(64):  # the root of r^(d + 1) = r + 1
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = torch.tensor([ratio ** -(k + 1) for k in range(dimensions)], dtype=torch.float64)
    base = torch.arange(points, dtype=torch.float64).unsqueeze(1) * steps
    shifts = torch.rand(SHIFTS, 1, dimensions, generator=generator, dtype=torch.float64)
    return (base + shifts) % 1


def profiles(substrate: Substrate, prior: Prior, points: int, seed: int) -> Profiles:
    """Return the profiles, (shift · point, …); where the substrate is separable all bidders share the first's."""
    generator = torch.Generator().manual_seed(seed)
    n, features = substrate.num_bidders, len(substrate.features)
    names = contexts_of(substrate)
    own = features if is_separable(substrate) else n * features
    u = lattice(own + bool(names), points, generator).flatten(0, 1)
    levels = u[:, :own].view(len(u), -1, features).expand(-1, n, -1)
    context = (u[:, own] * len(names)).long() if names else None
    return Profiles(product(prior, n, features).quantile(levels, torch.float64), context)


def objective(mechanism: Mechanism, substrate: Substrate, drawn: Profiles, user_weight: float) -> Tensor:
    """Return the mean of Σ t − user_weight · L for each shift."""
    return objectives(mechanism(*drawn), substrate, drawn, user_weight).view(SHIFTS, -1).mean(1)


def searched_regret(mechanism: Mechanism, substrate: Substrate, prior: Prior) -> float:
    """Return the largest gain from lying that a search finds, proofs ignored."""
    few = profiles(substrate, prior, -(-SEARCHED // SHIFTS), seed=99)
    found = ex_post_regret(
        mechanism,
        substrate,
        few.valuations,
        context=few.context,
        budget=BUDGET,
        bounds=BoundSettings(use_structure=False),
    )
    return found.max


def share(ours: Tensor, theirs: Tensor) -> tuple[float, Interval]:
    """Return the ratio of means and its interval over shifts."""
    return float(ours.sum() / theirs.sum()), mean_interval(ours / theirs)


def timed(train: Callable[[], Mechanism]) -> tuple[Mechanism, float]:
    """Return what was trained, and the seconds."""
    began = time.perf_counter()
    rule = train()
    return rule, time.perf_counter() - began


def separable_menus(seeds: int, points: int, user_weights: Sequence[float]) -> Iterator[ShareRow]:
    """Menus on the separable quadratic, at every user weight (the first is 0) at which the optimum keeps enough."""
    substrate = QuadraticSubstrate(2)
    for name in ("U[0, 1]", "Exp(1)", "Beta(2, 5)"):
        prior = PRIORS[name]
        drawn = profiles(substrate, prior, points, seed=7)
        free = None
        for user_weight in user_weights:
            theirs = objective(design("optimum", substrate, prior, user_weight), substrate, drawn, user_weight)
            free = theirs if free is None else free
            if float(theirs.mean()) < KEPT * float(free.mean()):
                continue
            for seed in range(seeds):
                rule, seconds = timed(lambda: design("menu", substrate, prior, user_weight, seed=seed))  # noqa: B023
                value, interval = share(objective(rule, substrate, drawn, user_weight), theirs)
                what = f"menu, separable, {name}, user weight {user_weight:g}, seed {seed}"
                yield ShareRow(what, value, interval, 0.995, f"{seconds:.1f} s")


def crosstalk_rules(seeds: int, points: int) -> Iterator[ShareRow]:
    """Affine maximizers, and the menu beside them, under crosstalk and on the packaged surface."""
    places: dict[str, Substrate] = {f"crosstalk {x:g}": QuadraticSubstrate(2, x) for x in (0.2, 0.5, 1.0)}
    places[SURFACE] = ResponseSurface.packaged(SURFACE).sell("slot_probability")
    for place, substrate in places.items():
        for name, prior in PRIORS.items():
            drawn = profiles(substrate, prior, points, seed=7)
            theirs = objective(design("optimum", substrate, prior, 1.0), substrate, drawn, 1.0)
            for seed in range(seeds):
                rule, seconds = timed(lambda: design("affine", substrate, prior, 1.0, seed=seed))  # noqa: B023
                value, interval = share(objective(rule, substrate, drawn, 1.0), theirs)
                regret = searched_regret(rule, substrate, prior)
                what = f"affine maximizer, {place}, {name}, seed {seed}"
                yield ShareRow(what, value, interval, BARS[name], f"regret {regret:.1e}, {seconds:.1f} s")
            yield menu_beside(place, substrate, name, drawn, theirs)


def menu_beside(place: str, substrate: Substrate, name: str, drawn: Profiles, theirs: Tensor) -> ShareRow:
    """Return the menu's row: its share says little without its regret and what bidders lose."""
    rule, seconds = timed(lambda: design("menu", substrate, PRIORS[name], 1.0))
    value, interval = share(objective(rule, substrate, drawn, 1.0), theirs)
    lost = float(metrics.ir_violation(rule(*drawn), substrate, *drawn).amax(1).mean())
    few = profiles(substrate, PRIORS[name], -(-SEARCHED // SHIFTS), seed=99)
    regret = ex_post_regret(rule, substrate, few.valuations, context=few.context, budget=BUDGET)
    more = f"regret {float(regret.lower.amax(1).mean()):.4f}, IR violation {lost:.4f}, {seconds:.1f} s"
    return ShareRow(f"menu (not truthful), {place}, {name}", value, interval, None, more)


def item_rules(seeds: int, points: int) -> Iterator[ShareRow]:
    """Two items: one bidder against the known optimum, two bidders against item-by-item Myerson."""
    optimum, myerson = (12 + 2 * math.sqrt(2)) / 27, 5 / 6
    for seed in range(seeds):
        rule, seconds = timed(lambda: design("menu", Items(1, 2), Uniform(0, 1), seed=seed))  # noqa: B023
        drawn = profiles(Items(1, 2), Uniform(0, 1), 4 * points, seed=7)
        each = objective(rule, Items(1, 2), drawn, 0.0) / optimum
        more = f"{seconds:.1f} s"
        yield ShareRow(f"menu, 1 bidder 2 items, seed {seed}", float(each.mean()), mean_interval(each), 0.999, more)
    for seed in range(seeds):
        substrate = Items(2, 2)
        learned, seconds = timed(lambda: design("affine", substrate, Uniform(0, 1), seed=seed))  # noqa: B023
        drawn = profiles(substrate, Uniform(0, 1), 4 * points, seed=7)
        each = objective(learned, substrate, drawn, 0.0)
        generator = torch.Generator().manual_seed(13)
        bids = torch.rand(FEASIBLE, 2, 2, generator=generator)
        wrong = sum(
            int((~substrate.feasible(learned(part).allocation)).sum())
            for part in bids.split(2**17)  # type: ignore[no-untyped-call]
        )
        more = f"{wrong} of {FEASIBLE:.0e} profiles infeasible, regret "
        more += f"{searched_regret(learned, substrate, Uniform(0, 1)):.1e}, {seconds:.1f} s"
        what = f"affine maximizer, 2 × 2 items, revenue, seed {seed}"
        yield ShareRow(what, float(each.mean()), mean_interval(each), myerson, more)


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each rule")
    parser.add_argument("--points", type=int, default=2**13, help="of the lattice, for each shift")
    parser.add_argument("--only", default="", help="parts whose name holds this: items, menus, crosstalk")
    swept = ",".join(f"{weight:g}" for weight in USER_WEIGHTS)
    parser.add_argument("--user-weights", default=swept, help="of the separable menus, 0 the first")
    chosen = parser.parse_args()
    weights = [float(part) for part in chosen.user_weights.split(",")]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {SHIFTS} shifts of {chosen.points} points")
    below = total = 0
    parts = {
        "items": lambda: item_rules(chosen.seeds, chosen.points),
        "menus": lambda: separable_menus(chosen.seeds, chosen.points, weights),
        "crosstalk": lambda: crosstalk_rules(chosen.seeds, chosen.points),
    }
    for name, part in parts.items():
        if chosen.only not in name:
            continue
        for row in part():
            low, high = row.interval or (row.value, row.value)
            judged = "" if row.bar is None else f"{'≥' if row.value >= row.bar else 'BELOW'} {row.bar:.4f}"
            print(f"{row.what:<62}{row.value:.5f} [{low:.5f}, {high:.5f}] {judged:<13} {row.more}", flush=True)
            total += row.bar is not None
            below += row.bar is not None and row.value < row.bar
    print(f"{total - below} of {total} bars reached")


if __name__ == "__main__":
    main()
