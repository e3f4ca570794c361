"""What lotteries over a carrier's settings give and cost: every setting, the corners of frontiers, each cap."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from auctionsim.experiments.running.carrier_cell import AD_WORDS, COLUMNS, CarrierCell
from auctionsim.experiments.running.prompt_intervals import Array, PromptMean, Stratum, mean_of
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.carrier_lotteries import CarrierCost, corners, held_lottery

RATE = (0.0, 1.0)


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


def frontier_rows(cell: CarrierCell, costs: Mapping[str, CarrierCost]) -> Iterator[Row]:
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


def capped_rows(cell: CarrierCell, cost: CarrierCost, caps: Sequence[float]) -> Iterator[Row]:
    """Yield each brand's lottery at each cap: as designed on A, as designed on B, and held to the cap on B."""
    for brand, name in enumerate(cell.brands):
        for cap in caps:
            held = held_lottery(cell, brand, cost, cap)
            if held is None:
                continue
            drawn = {str(k): round(float(held.designed[k]), 6) for k in np.flatnonzero(held.designed)}
            kept = _words({str(k): round(float(held.shares[k]), 6) for k in np.flatnonzero(held.shares)})
            tried = {"settings_tried": len(cell.settings), "alone": len(cell.alone(brand))}
            own = {**_whose(cell, name), "cap": cap, "lottery": _words(drawn), "held_lottery": kept, **tried}
            for replicate in cell.replicates:
                yield {
                    **own,
                    "replicate": replicate,
                    "held": False,
                    **score(cell, replicate, held.designed, brand).row(),
                }
            found = score(cell, "B", held.shares, brand)._replace(named=mean_of(held.named, RATE))
            yield {**own, "replicate": "B", "held": True, **found.row()}


def _whose(cell: CarrierCell, brand: str) -> Row:
    where = "after the reply" if cell.acts_after else "in the reply"
    return {"category": cell.category, "brand": brand, "carrier": cell.carrier, "acts": where}


def _words(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in numbers.items())
