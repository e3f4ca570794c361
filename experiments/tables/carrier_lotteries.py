"""Lotteries over a carrier's settings: designed on replicate A under a cap on a cost, scored on replicate B.

What is sold to a brand is a lottery over the settings in which it alone moves anything, the null among them: the one
that names the brand most often at an expected cost of at most the cap. A lottery's expected reply_kl is that of its
settings, which whoever sees the lot pays. Every carrier is designed by this one rule, so those with few settings lose
nothing by having no setting at the cap itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from auctionsim.errors import InputError
from auctionsim.experiments.running.carrier_cell import AD_WORDS, COLUMNS, FEWEST, CarrierCell
from auctionsim.experiments.running.prompt_intervals import Array, PromptMean, Stratum, mean_of
from auctionsim.experiments.running.run import Row
from auctionsim.substrates import best_mixture

RATE = (0.0, 1.0)
Cost = Callable[[CarrierCell, str], Array | None]
"""A cost of each setting on a replicate, (setting,); None where it was not read."""


def column_cost(column: str) -> Cost:
    """Return the cost that is one column's mean."""
    return lambda cell, replicate: setting_means(cell, replicate, column)


def user_cost(price: float) -> Cost:
    """Return the user's loss reply_kl + price · ad words, in nats a reply.

    Args:
        price: ρ, nats a word, at least 0.
    Raises:
        ValueError: A price below 0.
    """
    if not price >= 0:
        raise InputError(f"the price of an ad's word must be >= 0 nats, got {price}")

    def cost(cell: CarrierCell, replicate: str) -> Array | None:
        moved, words = (setting_means(cell, replicate, column) for column in ("reply_kl", AD_WORDS))
        return None if moved is None or words is None else moved + price * words

    return cost


def setting_means(cell: CarrierCell, replicate: str, column: str) -> Array | None:
    """Return a column's mean in each setting, every context alike; None where it was not read in some context."""
    one = cell.replicates[replicate]
    if column not in one.columns:
        return None
    parts = [one.columns[column][:, one.context == k] for k in np.unique(one.context)]
    if any(((~np.isnan(part)).sum(1) < FEWEST).any() for part in parts):
        return None
    return np.asarray(np.stack([np.nanmean(part, axis=1) for part in parts]).mean(0))


def named_means(cell: CarrierCell, replicate: str, brand: int) -> Array:
    """Return the probability that a reply names a brand in each setting, every context alike."""
    one = cell.replicates[replicate]
    shares = one.named[:, :, brand] / one.replies
    return np.asarray(np.stack([shares[:, one.context == k].mean(1) for k in np.unique(one.context)]).mean(0))


def lottery(cell: CarrierCell, brand: int, cost: Cost, cap: float) -> Array | None:
    """Return the shares (setting,) that name a brand most often on A at an expected cost of at most `cap` there.

    None where the cost was not read.
    """
    costs = cost(cell, "A")
    if costs is None:
        return None
    alone = cell.alone(brand)
    named = named_means(cell, "A", brand)[alone]
    chosen = best_mixture(torch.from_numpy(named), torch.from_numpy(costs[alone]), cap)
    return cell.shares(dict(zip(alone, chosen.shares.tolist(), strict=True)))


def corners(cell: CarrierCell, brand: int, cost: Cost) -> list[int]:
    """Return the settings that a frontier on A runs through, by rising cost; nothing where the cost was not read."""
    costs = cost(cell, "A")
    if costs is None:
        return []
    found = []
    for k in cell.alone(brand):
        shares = lottery(cell, brand, cost, float(costs[k]))
        if shares is not None and shares[k] == 1:
            found.append(k)
    return sorted(found, key=lambda k: float(costs[k]))


class LotteryScore(NamedTuple):
    """A lottery on a replicate.

    Attributes:
        named: The probability that a reply names the brand.
        untouched: The same of untouched replies.
        others: What the other brands' probabilities gain together, by sum; 0 loss or gain where there is none.
        columns: Means of the user's side by reading; `quality` is the rise above the untouched reply.
        slots: Probability of the brand's name after the replicate's stems, with its error over prompts.
        rows: Rows of the model that are decoded for a reply.
    """

    named: PromptMean
    untouched: PromptMean
    others: PromptMean
    columns: Mapping[str, PromptMean]
    slots: tuple[float, float] | None
    rows: float | None

    def row(self) -> Row:
        """Return it as a table has it."""
        found: Row = {**self.named.columns("named"), "untouched": self.untouched.mean, **self.others.columns("others")}
        for name in (*COLUMNS, AD_WORDS):
            known = self.columns.get(name)
            found |= known.columns(name) if known else dict.fromkeys((name, f"{name}_low", f"{name}_high"))
        slots, error = self.slots or (None, None)
        return {**found, "slot_probability": slots, "slot_probability_error": error, "rows_per_reply": self.rows}


def score(cell: CarrierCell, replicate: str, shares: Array, brand: int) -> LotteryScore:
    """Return what a lottery over settings gives and costs on a replicate.

    Args:
        cell: Of a carrier.
        replicate: "A" or "B".
        shares: (setting,).
        brand: Who bought it.
    """
    null = cell.shares({0: 1.0})
    columns = {}
    for name in (*COLUMNS, AD_WORDS):
        strata = cell.column_strata(replicate, shares, name)
        if strata is not None:
            columns[name] = mean_of(
                strata, RATE if name == "ad_share" else (-np.inf if name == "quality" else 0, np.inf)
            )
    one = cell.replicates[replicate]
    slots = None
    if one.slots is not None and one.slot_errors is not None:
        error = float(np.sqrt((shares**2) @ one.slot_errors[:, brand] ** 2))
        slots = (float(shares @ one.slots[:, brand]), error)
    return LotteryScore(
        named=mean_of(cell.named_strata(replicate, shares, brand), RATE),
        untouched=mean_of(cell.named_strata(replicate, null, brand), RATE),
        others=mean_of(_others(cell, replicate, shares, brand)),
        columns=columns,
        slots=slots,
        rows=None if cell.rows is None else float(shares @ np.array(cell.rows, dtype=np.float64)),
    )


def _others(cell: CarrierCell, replicate: str, shares: Array, brand: int) -> Sequence[Stratum]:
    """Return what the other brands' probabilities of being named gain together, prompt by prompt."""
    rivals = [k for k in range(len(cell.brands)) if k != brand]
    parts = [cell.named_strata(replicate, shares, k, gain=True) for k in rivals]
    if not parts:
        return [one._replace(values=one.values * 0, redrawn=one.redrawn * 0)
                for one in cell.named_strata(replicate, shares, brand)]  # fmt: skip
    return [
        Stratum(some[0].weight, sum(s.values for s in some), sum(s.redrawn for s in some))
        for some in zip(*parts, strict=True)
    ]


def setting_rows(cell: CarrierCell) -> Iterator[Row]:
    """Yield every brand alone at each of its settings, on A and on B."""
    for brand, name in enumerate(cell.brands):
        for k in cell.alone(brand):
            levers = dict(zip(cell.levers, cell.settings[k, brand].tolist(), strict=True))
            for replicate in cell.replicates:
                found = score(cell, replicate, cell.shares({k: 1.0}), brand)
                yield {
                    **_whose(cell, name),
                    "setting": k,
                    "levers": _words(levers),
                    "replicate": replicate,
                    **found.row(),
                }


def frontier_rows(cell: CarrierCell, costs: Mapping[str, Cost]) -> Iterator[Row]:
    """Yield the corners of each brand's frontier on A, with what they give and cost on A and on B.

    Args:
        cell: Of a carrier.
        costs: By name.
    """
    for brand, name in enumerate(cell.brands):
        for against, cost in costs.items():
            for k in corners(cell, brand, cost):
                for replicate in cell.replicates:
                    found = score(cell, replicate, cell.shares({k: 1.0}), brand)
                    yield {
                        **_whose(cell, name),
                        "against": against,
                        "setting": k,
                        "replicate": replicate,
                        **found.row(),
                    }


def capped_rows(cell: CarrierCell, cost: Cost, caps: Sequence[float]) -> Iterator[Row]:
    """Yield each brand's lottery at each cap, designed on A, with what it gives and costs on A and on B."""
    for brand, name in enumerate(cell.brands):
        for cap in caps:
            shares = lottery(cell, brand, cost, cap)
            if shares is None:
                continue
            drawn = {str(k): round(float(shares[k]), 6) for k in np.flatnonzero(shares)}
            for replicate in cell.replicates:
                found = score(cell, replicate, shares, brand)
                tried = {"settings_tried": len(cell.settings), "alone": len(cell.alone(brand))}
                own = {"cap": cap, "lottery": _words(drawn), "replicate": replicate, **tried}
                yield {**_whose(cell, name), **own, **found.row()}


def _whose(cell: CarrierCell, brand: str) -> Row:
    where = "after the reply" if cell.acts_after else "in the reply"
    return {"category": cell.category, "brand": brand, "carrier": cell.carrier, "acts": where}


def _words(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in numbers.items())
