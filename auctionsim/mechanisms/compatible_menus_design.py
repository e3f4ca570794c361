"""Designing menus under a shared budget: the best menus without it, then prices raised where picks would not fit.

Where nobody's lever touches another the best menus without a budget are one bidder's matter each. With a budget, each
profile of cells in which their picks would use too much gets the entries that maximise Σ_i φ̄_i e_i − user_weight · L
among those that fit and are no larger, φ̄_i the mean virtual value in i's cell. Entries above a bidder's part are then
sold from its cell's upper end on: a threshold, and so a price, rises, and only in the menu for those cells of the
others. Raised prices make picks smaller everywhere, so what fitted still fits.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.checks import checked_money, checked_positive
from auctionsim.errors import InputError, UnsupportedError
from auctionsim.mechanisms.bayesian_menu_training import Ascent, offered_levers
from auctionsim.mechanisms.codecs import Codec, Saved, State, needed
from auctionsim.mechanisms.compatible_menus import ONE_LEVER_APART, CompatibleMenus, has_one_lever_apart
from auctionsim.mechanisms.joint_entries import JointEntries
from auctionsim.mechanisms.table import Entry, Problem, register
from auctionsim.priors import Prior, Priors, product
from auctionsim.priors.saving import prior_from, prior_record
from auctionsim.records import Record
from auctionsim.seeds import seeded
from auctionsim.substrates.protocol import Substrate

MOST_WORK = 2**26  # profiles of cells × combinations of entries
MOST_CELLS, MOST_ENTRIES = 128, 64  # of one bidder
BLOCK = 2**22  # scores at once
SHARES = (1.0, 0.75, 0.5, 0.25)  # of all bidders' highest levers, what `budget` can be in the table


class FreeMenus(NamedTuple):
    """The best menus without a budget.

    Attributes:
        levers: (bidder, entry), the null first; places left over repeat the last.
        thresholds: (bidder, entry), above which each entry but the null is picked; infinite in places left over.
        worth: (bidder, entry) exposures.
        losses: (bidder, entry), what each costs the user by itself.
    """

    levers: Tensor
    thresholds: Tensor
    worth: Tensor
    losses: Tensor


def menus_within_budget(
    substrate: Substrate, priors: Priors, user_weight: float = 0.0, *, budget: float, cells: int = MOST_CELLS
) -> CompatibleMenus:
    """Design menus whose joint picks never use more than a budget.

    Args:
        substrate: One lever a bidder that touches no other, one feature, no contexts.
        priors: What valuations are drawn from, independently.
        user_weight: λ ≥ 0, money per unit of user loss.
        budget: The most that levers may be moved off their nulls, all bidders together.
        cells: Of equal chance, that each bidder's bids are sorted into; fewer where profiles would be too many.
    Raises:
        ValueError: A substrate that lacks this, a budget that is not above 0.
        NotImplementedError: So many bidders that even two cells and two entries are too many.
    """
    if not has_one_lever_apart(substrate):
        raise InputError(f"a shared budget needs {ONE_LEVER_APART.words}, {type(substrate).__name__} lacks them")
    checked_money(user_weight, "user_weight")
    checked_positive(budget, "budget")
    distribution, n = product(priors, substrate.num_bidders), substrate.num_bidders
    each = MOST_WORK ** (1 / n)
    entries = min(MOST_ENTRIES, int(math.sqrt(each / 2)))
    width = min(cells, MOST_CELLS, int(each / (entries + 1)))
    if entries < 1 or width < 2:
        raise UnsupportedError(f"{n} bidders have too many profiles of cells and entries to look at each")
    marginals = [distribution.marginal(i) for i in range(n)]
    ends = torch.stack([_cells(prior, width) for prior in marginals])
    free = _free_menus(substrate, marginals, user_weight, entries)
    caps = _caps(free, ends, marginals, user_weight, budget)
    thresholds = torch.stack([_raised(free.thresholds[i], ends[i], caps[..., i], i) for i in range(n)])
    return CompatibleMenus(substrate, distribution, budget, free.levers[:, 1:], ends, thresholds)


def _cells(prior: Prior, width: int) -> Float[Tensor, " cell"]:
    """Return lower ends of cells of equal chance, the first 0; infinite where atoms leave fewer."""
    shares = torch.arange(1, width, dtype=torch.float64) / width
    ends = torch.unique(torch.cat([shares.new_zeros(1), prior.quantile(shares)]))
    return torch.nn.functional.pad(ends, (0, width - len(ends)), value=torch.inf)


def _free_menus(substrate: Substrate, priors: list[Prior], user_weight: float, entries: int) -> FreeMenus:
    joint = JointEntries(substrate, offered_levers(substrate, entries + 1), None)
    ladders = [one.ladder for one in Ascent(joint, priors, user_weight).best(0, seeded(0))]
    places = max(2, *(len(one.entries) for one in ladders))
    taken = torch.tensor([[*one.entries, *[one.entries[-1]] * (places - len(one.entries))] for one in ladders])
    short = [places - 1 - len(one.thresholds) for one in ladders]
    pairs = zip(ladders, short, strict=True)
    thresholds = [torch.nn.functional.pad(one.thresholds, (0, left), value=torch.inf) for one, left in pairs]
    nobody = [torch.eye(1, joint.levers.shape[1], dtype=torch.float64)[0]] * len(priors)
    worth = torch.stack([joint.expected(i, nobody) for i in range(len(priors))])
    losses = torch.stack([joint.loss(i, nobody) for i in range(len(priors))])
    columns = (part.gather(1, taken) for part in (joint.levers[..., 0], worth, losses))
    levers, worth, losses = columns
    return FreeMenus(levers, torch.stack(thresholds), worth, losses)


def _caps(
    free: FreeMenus, cells: Float[Tensor, "bidder cell"], priors: list[Prior], user_weight: float, budget: float
) -> Int[Tensor, "..."]:
    """Return the highest entry that each bidder may pick in each profile of cells: (cell, …, cell, bidder).

    What it would pick at its cell's upper end where these fit together; else the best that fit.
    """
    n, width = cells.shape
    upper = torch.cat([cells[:, 1:], torch.full((n, 1), torch.inf, dtype=torch.float64)], 1)
    free_picks = (free.thresholds.unsqueeze(1) < upper.unsqueeze(2)).sum(2)  # bidder, cell
    phis = torch.stack([_mean_virtual_value(prior, *pair) for prior, *pair in zip(priors, cells, upper, strict=True)])
    gains = phis.unsqueeze(2) * free.worth.unsqueeze(1) - user_weight * free.losses.unsqueeze(1)
    every = torch.arange(free.levers.shape[1])
    gains = gains.masked_fill(every > free_picks.unsqueeze(2), -torch.inf)  # bidder, cell, entry
    combos = torch.cartesian_prod(*[every] * n).view(-1, n)
    moved = (free.levers - free.levers[:, :1]).abs().cummax(1).values
    used = moved.gather(1, combos.T).sum(0)
    combos = combos[used <= budget]
    profiles = torch.cartesian_prod(*[torch.arange(width)] * n).view(-1, n)
    best = []
    for rows in profiles.split(max(1, BLOCK // len(combos))):  # type: ignore[no-untyped-call]
        score = torch.zeros(len(rows), len(combos), dtype=torch.float64)
        for i in range(n):
            score += gains[i, rows[:, i]][:, combos[:, i]]
        wanted = free_picks[torch.arange(n), rows]
        fits = moved[torch.arange(n), wanted].sum(1, keepdim=True) <= budget
        best.append(torch.where(fits, wanted, combos[score.argmax(1)]))
    return torch.cat(best).view(*[width] * n, n)


def _mean_virtual_value(
    prior: Prior, low: Float[Tensor, " cell"], high: Float[Tensor, " cell"]
) -> Float[Tensor, " cell"]:
    """Return ∫ φ dF / ∫ dF over each cell, by t P(V > t) at its ends; its lower end where nobody is."""
    survival = [1 - prior.cdf(end) for end in (low, high)]
    worth = [torch.where(chance > 0, end * chance, 0.0) for end, chance in zip((low, high), survival, strict=True)]
    mass = survival[0] - survival[1]
    return torch.where(mass > 0, (worth[0] - worth[1]) / mass.clamp_min(1e-300), low)


def _raised(
    thresholds: Float[Tensor, " entry"], cells: Float[Tensor, " cell"], caps: Int[Tensor, "..."], bidder: int
) -> Float[Tensor, "others entry"]:
    """Return one bidder's thresholds for each profile of the others' cells, raised above cells where it is capped."""
    own = caps.movedim(bidder, -1).flatten(0, -2) if caps.ndim > 1 else caps.view(1, -1)  # others' cells, own cell
    upper = torch.cat([cells[1:], cells.new_full((1,), torch.inf)])
    capped = own.unsqueeze(2) < torch.arange(1, len(thresholds) + 1)  # others' cells, own cell, entry
    least = torch.where(capped, upper.view(1, -1, 1), 0.0)
    free = upper.view(1, -1, 1) <= thresholds  # nobody in the cell picks the entry anyway
    return torch.maximum(torch.where(free, 0.0, least).amax(1), thresholds)


def _designed(problem: Problem) -> CompatibleMenus:
    lever = problem.view.levers[0]
    most = problem.view.num_bidders * max(lever.high - lever.null, lever.null - lever.low)
    return menus_within_budget(*problem[:3], budget=problem.settings["budget"] * most)


def _state(rule: CompatibleMenus) -> State:
    priors = [[prior_record(prior) for prior in row] for row in rule.priors.marginals]
    arrays = {name: getattr(rule, name) for name in ("levers", "cells", "thresholds")}
    return State({"priors": priors, "budget": rule.budget}, arrays)


def _made(saved: Saved, substrate: Substrate | None) -> CompatibleMenus:
    rows = [Record({"row": row}, "priors") for row in saved.settings.items("priors")]
    priors = [[prior_from(prior) for prior in row.records("row")] for row in rows]
    tables = [saved.array(name, (None,) * axes) for name, axes in (("levers", 2), ("cells", 2), ("thresholds", 3))]
    return CompatibleMenus(needed(substrate), priors, saved.settings.number("budget", 0), *tables)


register(
    Entry(
        "compatible-menus",
        "menus under a shared budget",
        "Menus that read the others' bids, their prices raised where joint picks would use more than a shared budget.",
        _designed,
        Codec(CompatibleMenus, _state, _made),
        needs=(ONE_LEVER_APART,),
        pays="Each bidder takes what it likes best from a price list that the others' bids set, and pays that price.",
        knobs={"budget": SHARES},
    )
)
