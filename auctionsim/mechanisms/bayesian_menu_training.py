"""Designing menus that are honest under crosstalk: one bidder's menu after the other, each the exact best for the rest.

Truthful picks are ladders: bidder i takes entry k where its valuation lies between two thresholds. With R(t) =
t P(V > t), q_k the chance of entry k and w_k = R(t_k) − R(t_{k+1}) what a unit of its exposure earns, the objective is

    J = Σ_i Σ_k w_i(k) ē_i(k) − user_weight · E L,

exact for any priors, the user's loss and what i's picks do to the others' prices included. With the others' ladders
fixed, bidder i's picks at virtual value φ should maximise φ A(k) + B(k), where A(k) = ē_i(k) and B(k) is everything
else: the others' earnings Σ_{j≠i} Σ w_j ē_j given k, less the user's expected loss. The best ladder is the upper
envelope of these lines, its thresholds where φ_i passes the envelope's corners; A rises along it, as prices need. So
every step is an exact maximum over all of a bidder's ladders on the entries at hand, J never falls, and the end is a
design that no single bidder's menu can better. Several starts guard against poor ones. Thresholds fix the picks, hence
the expected exposures, hence the prices p_k = p_{k−1} + t_k (ē(k) − ē(k−1)): the fixed point is had by construction.
"""

from typing import NamedTuple, SupportsIndex

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count, checked_money
from auctionsim.errors import InputError
from auctionsim.levers import null_levers
from auctionsim.mechanisms.bayesian_menu import BayesianMenu, pick_chances
from auctionsim.mechanisms.joint_entries import JointEntries, entry_levers, levers_of
from auctionsim.mechanisms.menu_entries import Menu, envelope
from auctionsim.priors import Prior, Priors, product
from auctionsim.seeds import seeded
from auctionsim.substrates.protocol import Substrate, contexts_of, is_separable

MOST_LEVELS, MOST_COMBINATIONS = 65, 2**18  # of a lever without a list; of entries tabulated in training
SWEEPS = 200  # over all bidders
SETTLED = 1e-11  # gain of a sweep, as a share of the objective's size, at which it ends
SAME = 1e-9  # two expected exposures are the same if they differ by less, as a share of the largest
BESIDE = 2.0**-22  # how far below an atom of the prior a threshold lies, as a share of it


class PickLadder(NamedTuple):
    """Which entry a bidder picks at which valuation.

    Attributes:
        thresholds: (step,) increasing; the next entry is picked above each.
        entries: One more, the first the null.
    """

    thresholds: Tensor
    entries: tuple[int, ...]


class Picks(NamedTuple):
    """What a ladder comes to under a prior.

    Attributes:
        ladder: The ladder.
        chances: (entry,) q.
        earnings: (entry,) w: the expected payment is Σ_k w_k ē(k).
    """

    ladder: PickLadder
    chances: Tensor
    earnings: Tensor


def train_bayesian_menu(
    substrate: Substrate,
    priors: Priors,
    user_weight: float = 0.0,
    *,
    levels: int = MOST_LEVELS,
    starts: int = 8,
    seed: SupportsIndex = 0,
) -> BayesianMenu:
    """Design one menu a bidder (and context) that maximises E[Σ p − user_weight · L] under truthful picks.

    Entries come from a finite range's own settings, on which nothing is lost for a grid that is multilinear in between;
    elsewhere from an even grid of levers, which a grid of 65 levels falls short of by some 1e-4 of the objective.

    Args:
        substrate: One feature, levers of each bidder's own.
        priors: What valuations are drawn from, independently.
        user_weight: λ ≥ 0, money per unit of user loss.
        levels: Of each lever on a substrate without a finite range; fewer where combinations would be too many.
        starts: How many drawn ladders the ascent starts from, besides nobody's picks.
        seed: Of the starts.
    Raises:
        ValueError: As `BayesianMenu`.
        NotImplementedError: Too many combinations of entries.
    """
    if len(substrate.features) != 1:
        raise InputError(f"expected exposures are of one feature, got {', '.join(substrate.features)}")
    checked_money(user_weight, "user_weight")
    distribution = product(priors, substrate.num_bidders)
    marginals = [distribution.marginal(i) for i in range(substrate.num_bidders)]
    levers = offered_levers(substrate, checked_count(levels, "levels", 2))
    slots = []
    for context in [*range(len(contexts_of(substrate))), None]:
        ascent = Ascent(JointEntries(substrate, levers, context), marginals, user_weight)
        slots.append((ascent, ascent.best(checked_count(starts, "starts", 0), seeded(seed))))
    widest = max(len(one.ladder.entries) for _, picks in slots for one in picks)
    offers = [ascent.priced(picks, widest) for ascent, picks in slots]
    levers, prices, expected = (torch.stack(part) for part in zip(*offers, strict=True))
    return BayesianMenu(substrate, distribution, Menu(levers[:, :, 1:], prices[:, :, 1:]), expected)


def offered_levers(substrate: Substrate, levels: int) -> Float[Tensor, "bidder entry lever"]:
    """Return the entries that a bidder's menu is chosen from, the null first; places left over repeat it.

    Raises:
        ValueError: A substrate without levers of each bidder's own.
    """
    controls, n = levers_of(substrate), substrate.num_bidders
    null = null_levers(controls, n)
    listed = entry_levers(substrate)
    if listed is not None:
        each = [torch.unique(listed.settings[:, i], dim=0) for i in range(n)]
    else:
        count = levels if is_separable(substrate) else min(levels, int(MOST_COMBINATIONS ** (1 / n) + 1e-9))
        axes = [
            torch.linspace(lever.low, lever.high, max(2, int(count ** (1 / len(controls)) + 1e-9)), dtype=torch.float64)
            for lever in controls
        ]
        each = [torch.cartesian_prod(*axes).view(-1, len(controls))] * n
    moved = [rows[(rows != null[i]).any(1)] for i, rows in enumerate(each)]
    longest = max(len(rows) for rows in moved)
    return torch.stack(
        [
            torch.cat([null[i : i + 1], rows, null[i : i + 1].expand(longest - len(rows), -1)])
            for i, rows in enumerate(moved)
        ]
    )


class Ascent:
    """The ascent in one context.

    Args:
        joint: The entries that menus are chosen from.
        priors: By bidder.
        user_weight: λ.
    """

    def __init__(self, joint: JointEntries, priors: list[Prior], user_weight: float) -> None:
        self.joint, self.priors, self.user_weight = joint, priors, user_weight
        self.entries = joint.levers.shape[1]
        self.tolerance = SAME * max(joint.largest, 1e-300)

    def best(self, starts: int, generator: torch.Generator) -> list[Picks]:
        """Return the best end of several ascents: from nobody's picks, each bidder first, and from drawn ones."""
        n = len(self.priors)
        nobody = [self.picks(i, PickLadder(torch.empty(0, dtype=torch.float64), (0,))) for i in range(n)]
        if self.joint.apart:  # each bidder's best ladder is the same whatever the others pick
            return self._settled(nobody, 0)
        begins = [(nobody, first) for first in range(n)]
        begins += [([self._drawn(i, generator) for i in range(n)], 0) for _ in range(starts)]
        ends = [self._settled(begin, first) for begin, first in begins]
        return max(ends, key=self.objective)

    def objective(self, picks: list[Picks]) -> float:
        """Return J."""
        chances = [one.chances for one in picks]
        revenue = sum(float(one.earnings @ self.joint.expected(i, chances)) for i, one in enumerate(picks))
        return revenue - self.user_weight * float(chances[0] @ self.joint.loss(0, chances))

    def picks(self, bidder: int, ladder: PickLadder) -> Picks:
        """Return what a ladder comes to."""
        below = self.priors[bidder].cdf(ladder.thresholds)
        steps = torch.tensor(ladder.entries)
        worth = torch.cat([below.new_zeros(1), ladder.thresholds * (1 - below), below.new_zeros(1)])
        earnings = worth.new_zeros(self.entries).index_add(0, steps, -worth.diff())
        return Picks(ladder, pick_chances(below, steps, self.entries), earnings)

    def reply(self, bidder: int, picks: list[Picks]) -> Picks:
        """Return the best ladder of one bidder for the others' picks."""
        chances = [one.chances for one in picks]
        gains = self.joint.expected(bidder, chances)
        rest = -self.user_weight * self.joint.loss(bidder, chances)
        for j, other in enumerate(picks):
            if j != bidder:
                weighed = [other.earnings if k == j else one for k, one in enumerate(chances)]
                rest = rest + self.joint.expected(bidder, weighed, of=j)
        levels, lines = self._corners(gains, rest)
        thresholds = self._reached(bidder, levels)
        sold = self.priors[bidder].cdf(thresholds) < 1
        kept = sold & torch.cat([thresholds.diff() > 0, sold.new_ones(1)])[: len(sold)]
        later = torch.tensor(lines[1:], dtype=torch.long)[kept]
        return self.picks(bidder, PickLadder(thresholds[kept], (0, *later.tolist())))

    def priced(self, picks: list[Picks], places: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return levers, prices and expected exposures, (bidder, entry, …), the null first; the last is repeated."""
        chances = [one.chances for one in picks]
        rows = []
        for i, one in enumerate(picks):
            entries = torch.tensor(
                [*one.ladder.entries, *[one.ladder.entries[-1]] * (places - len(one.ladder.entries))]
            )
            numbers = self.joint.expected(i, chances)[entries]
            rise = numbers.diff()
            rise[: len(one.ladder.thresholds)] *= one.ladder.thresholds
            rows.append((self.joint.levers[i, entries], torch.cat([rise.new_zeros(1), rise.cumsum(0)]), numbers))
        levers, prices, expected = (torch.stack(part) for part in zip(*rows, strict=True))
        return levers, prices, expected

    def _settled(self, picks: list[Picks], first: int) -> list[Picks]:
        """Return where replying in turn ends; what no longer rises along a ladder is taken off it."""
        order = [(first + k) % len(picks) for k in range(len(picks))]
        best, reached = picks, self.objective(picks)
        for _ in range(SWEEPS):
            for i in order:
                picks = [self.reply(i, picks) if j == i else one for j, one in enumerate(picks)]
            now = self.objective(picks)
            gain = now - reached
            if gain > 0:
                best, reached = picks, now
            if gain <= SETTLED * abs(reached):
                break
        return self._rising(best)

    def _rising(self, picks: list[Picks]) -> list[Picks]:
        """Return the picks without steps that, as the others now stand, give no more than the one before."""
        while True:
            chances = [one.chances for one in picks]
            ladders = [self._risen(one.ladder, self.joint.expected(i, chances)) for i, one in enumerate(picks)]
            if all(len(new.entries) == len(old.ladder.entries) for new, old in zip(ladders, picks, strict=True)):
                return picks
            picks = [self.picks(i, ladder) for i, ladder in enumerate(ladders)]

    def _risen(self, ladder: PickLadder, numbers: Float[Tensor, " entry"]) -> PickLadder:
        kept, entries = [], [0]
        for k, entry in enumerate(ladder.entries[1:]):
            if float(numbers[entry] - numbers[entries[-1]]) > self.tolerance:
                kept.append(k)
                entries.append(entry)
        return PickLadder(ladder.thresholds[kept], tuple(entries))

    def _corners(self, gains: Float[Tensor, " entry"], rest: Float[Tensor, " entry"]) -> tuple[Tensor, list[int]]:
        """Return the virtual values at which the best line φ · gain + rest changes, and the lines, the null first."""
        usable = (gains > gains[0] + self.tolerance).nonzero().flatten()
        order = torch.cat([torch.zeros(1, dtype=torch.long), usable[gains[usable].argsort(stable=True)]])
        levels, lines = envelope(gains[order], -rest[order], -torch.inf)
        lines = order[lines].tolist()
        kept = [0]
        for k in range(1, len(lines)):
            if float(gains[lines[k]] - gains[lines[kept[-1]]]) > self.tolerance:
                kept.append(k)
        return torch.tensor([levels[k - 1] for k in kept[1:]], dtype=torch.float64), [lines[k] for k in kept]

    def _reached(self, bidder: int, levels: Float[Tensor, " step"]) -> Float[Tensor, " step"]:
        """Return where the bidder's virtual value reaches levels; just below an atom, so that the atom is above."""
        prior = self.priors[bidder]
        at = prior.curve.inverse(levels).clamp_min(prior.support_low)
        beside = at * (1 - BESIDE)
        return torch.where(prior.cdf(at) - prior.cdf(beside) > 1e-4, beside, at)

    def _drawn(self, bidder: int, generator: torch.Generator) -> Picks:
        entry = int(torch.randint(self.entries, (1,), generator=generator))
        share = torch.rand(1, generator=generator, dtype=torch.float64)
        return self.picks(bidder, PickLadder(self.priors[bidder].quantile(share), (0, entry)))
