"""What the default search finds of the best known regret: symmetric learned auctions, and needles that are planted.

Learned: networks of `symmetric_auctions.py`, trained here by seed. The best known gain of each profile and bidder is
the largest of three: the default search, the same search with a budget 40 times as large, and plain pattern searches of
about 300 evaluations from each place where bids meet (rivals' bids as they are and with items in any order, the own bid
with items in any order).

Planted: a rebate near a point made of rivals' bids, on a second price; what the search finds of the gain at that very
point, which another misreport may beat (shares above 100 %).

    python -m benchmarks.regret_search [--steps 1500] [--profiles 48] [--quick]
"""

import argparse
import itertools
import time
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.mechanisms import SecondPrice
from auctionsim.outcome import Outcome
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import Items
from benchmarks.planted_needles import Rebate, Target, exchanged, highest, last_rival, next_rival
from benchmarks.symmetric_auctions import Recipe, trained

Rule = Callable[[Tensor], Outcome]
RECIPES = [
    Recipe(kind, bidders, items, seed)
    for kind in ("attention", "exchangeable")
    for bidders, items, seed in ((2, 2, 0), (2, 2, 1), (2, 3, 0), (3, 2, 0), (3, 3, 0))
]
TARGETS: dict[str, Target] = {
    "the next rival's bid": next_rival,
    "the last rival's bid": last_rival,
    "items exchanged": exchanged,
    "the highest for each item": highest,
    "a rival's bid + .004": lambda bids: next_rival(bids) + 0.004,
    "a rival's bid + .012": lambda bids: next_rival(bids) + 0.012,
    "exchanged + .01": lambda bids: exchanged(bids) + 0.01,
}


def lone_gains(
    rule: Rule, v: Float[Tensor, "batch bidder item"], misreports: Float[Tensor, "misreport batch bidder item"]
) -> Float[Tensor, "misreport batch bidder"]:
    """Return what each misreport brings its bidder beyond the truth."""
    count, (batch, n, m) = len(misreports), v.shape
    alone = torch.eye(n, dtype=torch.bool).view(1, 1, n, n, 1)
    everybody = torch.cat([v.unsqueeze(0), misreports])
    bids = torch.where(alone, everybody.unsqueeze(3), v.view(1, batch, 1, n, m)).reshape(-1, n, m)
    outcome = rule(bids)
    worth = (v.view(1, batch, 1, n, m).expand(count + 1, batch, n, n, m).reshape(-1, n, m) * outcome.allocation).sum(2)
    own = (worth - outcome.payments).view(count + 1, batch, n, n).diagonal(dim1=2, dim2=3)
    return own[1:] - own[:1]


def pattern(rule: Rule, v: Tensor, start: Tensor, evaluations: int = 300) -> Float[Tensor, "batch bidder"]:
    """Return what a plain coordinate search from `start` finds in [0, 1]: a step each way, halved where none gains."""
    m = v.shape[2]
    best, gain = start.clone(), lone_gains(rule, v, start.unsqueeze(0))[0]
    step, axes = torch.full((*v.shape[:2], 1), 0.1, dtype=v.dtype), torch.eye(m, dtype=v.dtype)
    for _ in range(evaluations // (2 * m)):
        around = (best + torch.cat([axes, -axes]).view(2 * m, 1, 1, m) * step).clamp(0, 1)
        top, index = lone_gains(rule, v, around).max(0)
        better = (top > gain).unsqueeze(2)
        best = torch.where(better, around.gather(0, index[None, ..., None].expand(1, *v.shape))[0], best)
        gain, step = torch.maximum(gain, top), torch.where(better, step, step / 2)
    return gain.clamp_min(0)


def starts(v: Tensor) -> list[Tensor]:
    """Return where bids meet."""
    orders = [list(order) for order in itertools.permutations(range(v.shape[2]))]
    rivals = [v.roll(shift, 1)[..., order] for shift in range(1, v.shape[1]) for order in orders]
    return rivals + [v[..., order] for order in orders[1:]]


def learned(recipe: Recipe, steps: int, profiles: int) -> str:
    """Return one line about one trained network."""
    rule = trained(recipe._replace(steps=steps))
    place = Items(recipe.bidders, recipe.items)
    v = torch.rand(profiles, recipe.bidders, recipe.items, generator=torch.Generator().manual_seed(100 + recipe.seed))
    began = time.process_time()
    found = ex_post_regret(rule, place, v, high=1.0)
    seconds = time.process_time() - began
    with torch.no_grad():
        plain = torch.stack([pattern(rule, v, start) for start in starts(v)]).amax(0)
    long = ex_post_regret(rule, place, v, high=1.0, budget=40 * found.budget).lower
    known = torch.stack([found.lower, plain, long]).amax(0).mean()
    share = found.mean / float(known) if known > 0 else 1.0
    return (
        f"{recipe.name:30s} {found.mean:9.5f} {float(plain.mean()):9.5f} {float(long.mean()):9.5f} "
        f"{float(known):9.5f} {share:8.1%} {seconds:8.2f}"
    )


def planted(rule: Rule, bidders: int, items: int, width: float, rows: int = 24) -> str:
    """Return one line: what is found of the gain at each target itself."""
    v = torch.rand(rows, bidders, items, generator=torch.Generator().manual_seed(10 * bidders + items)).double()
    shares = []
    for target in TARGETS.values():
        needle = Rebate(rule, target, width)
        with torch.no_grad():
            there = lone_gains(needle, v, target(v).unsqueeze(0))[0].clamp_min(0)
        shares.append(ex_post_regret(needle, Items(bidders, items), v).mean / float(there.mean()))
    return f"{bidders} × {items}, width {width}: " + ", ".join(f"{share:.0%}" for share in shares)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500, help="of training")
    parser.add_argument("--profiles", type=int, default=48)
    parser.add_argument("--quick", action="store_true", help="planted needles only")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print("planted on a second price:", "; ".join(TARGETS))
    for bidders, items in itertools.product((2, 3, 4), (1, 2, 3)):
        for width in (0.02, 0.005):
            print(planted(SecondPrice(), bidders, items, width), flush=True)
    if chosen.quick:
        return
    print(f"\n{'network':30s} {'default':>9s} {'pattern':>9s} {'40 times':>9s} {'known':>9s} {'share':>8s} {'s':>8s}")
    for recipe in RECIPES:
        print(learned(recipe, chosen.steps, chosen.profiles), flush=True)


if __name__ == "__main__":
    main()
