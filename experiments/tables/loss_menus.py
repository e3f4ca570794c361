"""What mechanisms sell and charge under each loss: entries, outcomes at a few valuations, and stored replies there."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product as combinations
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.experiments.running.measured import brand_names
from auctionsim.experiments.running.priced_losses import PricedLoss, sold_at
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.menu_options import menu_options
from auctionsim.levers import at_null
from auctionsim.measurement.side_files import matching
from auctionsim.measurement.stored_replies import Asked, StoredReplies
from auctionsim.mechanisms import Mechanism, MenuAuction
from auctionsim.priors import Priors, product
from auctionsim.readings import reading
from auctionsim.readings.protocol import Reading, ReferenceReading, TextReading, Unscored, Value
from auctionsim.readings.values import read_beside, read_texts
from auctionsim.report.wording import setting
from auctionsim.substrates import ResponseSurface

REPLICATE, PROMPT = "B", 0
"""Whose replies are shown: the first that was sampled to the first prompt of each context on B."""


def entry_rows(
    designed: str, rule: Mechanism, surface: ResponseSurface, loss: PricedLoss, priors: Priors
) -> Iterator[Row]:
    """Yield the entries of a menu that some valuation takes, rivals at null, in the average context; A's numbers.

    Args:
        designed: The loss that it was designed on.
        rule: Any mechanism; one that is no menu has no entries.
        surface: Sells one feature.
        loss: Whose numbers stand beside the price, in its own unit.
        priors: Which valuations there are.
    """
    if not isinstance(rule, MenuAuction):
        return
    size = loss.dearest or 1.0
    for option in menu_options(rule, sold_at(surface, loss), priors, brand_names(surface), None):
        yield {
            "designed_on": designed,
            "brand": option.brand,
            "num_neurons": option.num_neurons,
            "amplification": option.amplification,
            "price": option.price,
            "exposure": option.exposure,
            "loss": size * option.user_loss,
            "loss_name": loss.name,
        }


def profiles_of(surface: ResponseSurface, priors: Priors, quantiles: Sequence[float]) -> Tensor:
    """Return a few valuations: every bidder at each of the quantiles of its prior, (profile, bidder, 1)."""
    rule = product(priors, surface.num_bidders, 1)
    levels = torch.tensor([*quantiles], dtype=torch.float64)
    values = [rule.marginal(bidder).quantile(levels).tolist() for bidder in range(surface.num_bidders)]
    return torch.tensor(list(combinations(*values)), dtype=torch.float64).unsqueeze(2)


def outcome_rows(
    label: str, designed: str, rule: Mechanism, surface: ResponseSurface, loss: PricedLoss, valuations: Tensor
) -> Iterator[Row]:
    """Yield what each bidder gets and pays at each profile in each context; exposure and loss are B's.

    Args:
        label: Of the mechanism.
        designed: The loss that it was designed on.
        rule: The mechanism.
        surface: Sells one feature.
        loss: Whose numbers stand beside the payments, in its own unit.
        valuations: (profile, bidder, 1).
    """
    view, size = sold_at(surface, loss).replicate(REPLICATE), loss.dearest or 1.0
    brands, count = brand_names(surface), len(valuations)
    levers = [lever.name for lever in surface.levers]
    for context, name in enumerate(surface.contexts):
        here = torch.full((count,), context)
        outcome = rule(valuations, here)
        exposure, lost = view.exposure(outcome.allocation, here)[:, :, 0], view.user_loss(outcome.allocation, here)
        entries = nearest_entries(surface, outcome.allocation)
        for profile, bidder in combinations(range(count), range(surface.num_bidders)):
            levels = dict(zip(levers, outcome.allocation[profile, bidder].tolist(), strict=True))
            yield {
                "mechanism": label,
                "designed_on": designed,
                "profile": profile,
                "context": name,
                "brand": brands[bidder],
                "valuation": float(valuations[profile, bidder, 0]),
                **levels,
                "payment": float(outcome.payments[profile, bidder]),
                "exposure": float(exposure[profile, bidder]),
                "loss": size * float(lost[profile]),
                "loss_name": loss.name,
                "entry": int(entries[profile]),
            }


def nearest_entries(surface: ResponseSurface, allocation: Tensor) -> Tensor:
    """Return, for each row, the number of the measured intervention that counts most in it: (batch,).

    Each lever is taken to the nearest value of its grid, which is the corner of greatest weight; a bidder with a lever
    at its null is untouched. Numbers are those of `finite_range`, the null 0.
    """
    levels = []
    for lever, grid in enumerate(surface.grids):
        values = allocation.new_tensor(grid.values)
        levels.append(values[(allocation[:, :, lever].unsqueeze(2) - values).abs().argmin(2)])
    nodes = at_null(torch.stack(levels, 2), surface.levers)
    there = at_null(surface.finite_range().allocations.to(nodes), surface.levers)
    return (nodes.unsqueeze(1) == there.unsqueeze(0)).flatten(2).all(2).to(torch.uint8).argmax(1)


class ChosenReplies(NamedTuple):
    """Stored replies at chosen allocations, and what can be read of them without the model that replied.

    Attributes:
        rows: One a context and allocation, the untouched one first: prompt, levers, reply, its scores.
        unread: Readings that were not taken of single replies, with the reason.
    """

    rows: list[Row]
    unread: Mapping[str, str]


def reply_rows(
    surface: ResponseSurface,
    stored: StoredReplies,
    chosen: Sequence[Row],
    readings: Sequence[str],
    kept: Mapping[str, Mapping[int, Value]] = MappingProxyType({}),
) -> ChosenReplies:
    """Return the replies behind outcomes, picked by rule: the first to the first prompt of each context on B.

    Args:
        surface: Whose outcomes they are.
        stored: Its replies.
        chosen: Rows of `outcome_rows`; the null is added in every context.
        readings: What is read of each reply.
        kept: Values of single replies that an earlier pass left, by reading and the reply's number.
    """
    order = matching(surface, stored)
    brands = brand_names(surface)
    allocations = at_null(surface.finite_range().allocations, surface.levers)
    wanted = [(name, 0) for name in surface.contexts] + [(row["context"], row["entry"]) for row in chosen]
    known, unread = _readable(readings, kept)
    rows = []
    for context, entry in sorted(set(wanted), key=lambda one: (surface.contexts.index(one[0]), one[1])):
        asked = Asked(REPLICATE, surface.contexts.index(context), PROMPT)
        number = _first(stored, asked, int(order[entry]))
        reply = stored.reply(number)
        levers = [
            f"{brand} {setting(*_pair(surface, levels))}"
            for brand, levels in zip(brands, allocations[entry].tolist(), strict=True)
        ]
        scores = {
            one.name: _as_cell(kept[one.name][number]) if one.name in kept else _score(one, stored, asked, number)
            for one in known
        }
        row: Row = {"context": context, "entry": entry, "levers": ", ".join(levers), "prompt": reply.prompt}
        rows.append(row | {"reply": reply.text, **scores})
    return ChosenReplies(rows, unread)


def _pair(surface: ResponseSurface, levels: Sequence[float]) -> tuple[float | None, float | None]:
    named = dict(zip((lever.name for lever in surface.levers), levels, strict=True))
    fixed = surface.provenance.get("fixed_levers", {})
    neurons, factor = (named.get(name, fixed.get(name)) for name in ("num_neurons", "amplification"))
    return neurons, factor


def _readable(names: Sequence[str], kept: Collection[str]) -> tuple[list[Reading], dict[str, str]]:
    """Return the readings that single replies have been or can be read by without a model, and why others cannot."""
    known: list[Reading] = []
    unread = {}
    for name in names:
        one = reading(name)
        if one.per in ("reply", "user") and (name in kept or isinstance(one, (TextReading, ReferenceReading))):
            known.append(one)
        else:
            unread[name] = f"it is read per {one.per}" if one.per in ("set", "brand") else f"it needs the {one.needs}"
    return known, unread


def _first(stored: StoredReplies, asked: Asked, intervention: int) -> int:
    """Return the number of the first reply that was sampled to a prompt under an intervention."""
    own = [k for k in stored.by_prompt()[asked] if stored.kept.replies[k].intervention == intervention]
    return min(own, key=lambda k: stored.kept.replies[k].place)


def _score(one: Reading, stored: StoredReplies, asked: Asked, number: int) -> float | str:
    """Return a reading's value of one reply, or why it has none."""
    reply = stored.reply(number)
    if isinstance(one, TextReading):
        (value,) = read_texts(one, [reply], stored.brands)
    else:
        assert isinstance(one, ReferenceReading)
        untouched = [k for k in stored.by_prompt()[asked] if stored.kept.replies[k].intervention == 0 and k != number]
        (value,) = read_beside(one, [reply], stored.brands, [[stored.reply(k) for k in untouched]])
    return _as_cell(value)


def _as_cell(value: Value) -> float | str:
    if isinstance(value, Unscored):
        return value.reason
    assert isinstance(value, float)
    return value
