"""Orders of carriers: who names brands more often at one cap, told apart by paired intervals over B's prompts."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from auctionsim.errors import InputError
from auctionsim.experiments.running.carrier_cell import CarrierCell
from auctionsim.experiments.running.prompt_intervals import PromptMean, Stratum, difference, mean_of, ranking
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.carrier_efficiency import Efficiency, NamedCounts, efficiency
from auctionsim.experiments.tables.carrier_lotteries import CarrierCost, held_lottery, setting_means
from auctionsim.experiments.tables.carrier_scores import RATE

TOGETHER = "all"
"""What stands for a category, and a brand, where all are taken together."""


class BrandScope(NamedTuple):
    """Which row of a table is meant: a category and a brand, or all of them."""

    category: str
    brand: str


def scopes_of(cells: Sequence[CarrierCell]) -> list[BrandScope]:
    """Return all of them together first, then every brand of every category.

    Raises:
        ValueError: Cells of one category that were measured on different prompts or brands, or two of one carrier.
    """
    found = []
    for category, some in _by_category(cells).items():
        first = some[0]
        for one in some[1:]:
            if one.brands != first.brands:
                theirs = f"{first.measured} of {', '.join(first.brands)}"
                raise InputError(f"{one.measured} is of {', '.join(one.brands)}, {theirs}: a category has one set")
            if any(one.replicates[name].prompts != first.replicates[name].prompts for name in first.replicates):
                both = f"{one.measured} and {first.measured}"
                raise InputError(f"{both} were measured on different prompts: rows are compared prompt by prompt")
        carriers = [one.carrier for one in some]
        twice = sorted({name for name in carriers if carriers.count(name) > 1})
        if twice:
            raise InputError(f"two lists of {category} are of the carrier {twice[0]}: name one of them")
        found += [BrandScope(category, brand) for brand in first.brands]
    return [BrandScope(TOGETHER, TOGETHER), *found]


def strata_at(
    cells: Sequence[CarrierCell], carrier: str, scope: BrandScope, cost: CarrierCost, cap: float
) -> list[Stratum] | None:
    """Return how often B's replies name the brand under a carrier's lottery, held to the cap, prompt by prompt.

    All together are the mean over categories of the mean over their brands, each brand alone in its own lottery.

    Returns:
        Strata; None where the carrier was not measured in a category that is meant, or the cost was not read.
    """
    found: list[Stratum] = []
    categories = _by_category(cells)
    meant = categories if scope.category == TOGETHER else {scope.category: categories.get(scope.category, [])}
    for some in meant.values():
        own = next((one for one in some if one.carrier == carrier), None)
        if own is None:
            return None
        brands = range(len(own.brands)) if scope.brand == TOGETHER else [own.brands.index(scope.brand)]
        lotteries = [held_lottery(own, brand, cost, cap) for brand in brands]
        known = [held.named for held in lotteries if held is not None]
        if len(known) < len(lotteries):
            return None
        for together in zip(*known, strict=True):
            weight = together[0].weight / len(meant)
            values = np.mean([one.values for one in together], axis=0)
            redrawn = np.sum([one.redrawn for one in together], axis=0) / len(together) ** 2
            found.append(Stratum(weight, values, redrawn))
    return found


def order_rows(cells: Sequence[CarrierCell], scope: BrandScope, cost: CarrierCost, cap: float) -> list[Row]:
    """Return carriers by how often they name the brand at a cap, best first, with ranks and the leader's margin.

    Args:
        cells: Whose carriers are ordered.
        scope: Where.
        cost: What is capped.
        cap: On its expectation on A.
    """
    strata = {}
    for carrier in dict.fromkeys(one.carrier for one in cells):
        found = strata_at(cells, carrier, scope, cost, cap)
        if found is not None:
            strata[carrier] = found
    if not strata:
        return []
    names, listed = list(strata), list(strata.values())
    ranks = ranking(listed)
    first = listed[ranks.order[0]]
    rows = []
    for k in ranks.order:
        named = mean_of(listed[k], RATE)
        behind = PromptMean(0.0, 0.0, 0.0) if k == ranks.order[0] else difference(first, listed[k])
        rows.append(
            {"category": scope.category, "brand": scope.brand, "cap": cap, "carrier": names[k], "rank": ranks.rank[k],
             "best_rank": ranks.best[k], "worst_rank": ranks.worst[k], **named.columns("named"),
             **behind.columns("behind"), "resolved": ranks.resolved}
        )  # fmt: skip
    return rows


def efficiency_rows(cell: CarrierCell, replicate: str = "B") -> Iterator[Row]:
    """Yield η of each brand alone at each setting, pooled over prompts and of each prompt; nothing after the reply.

    A setting whose replies all have reply_kl 0 has none.
    """
    one = cell.replicates[replicate]
    means = setting_means(cell, "A", "reply_kl")
    for (brand, name), k in itertools.product(enumerate(cell.brands), range(1, len(cell.settings))):
        if cell.acts_after or k not in cell.alone(brand):
            continue
        every = np.arange(len(one.context))
        for prompts in (every, *np.split(every, len(every))):
            counts = NamedCounts(one.named[k, prompts, brand], one.named[0, prompts, brand], one.replies)
            found = efficiency(counts, one.reply_kl[k, prompts])
            if found is not None:
                yield {
                    "category": cell.category,
                    "brand": name,
                    "carrier": cell.carrier,
                    "setting": k,
                    "prompt": one.prompts[prompts[0]] if len(prompts) == 1 else TOGETHER,
                    "reply_kl_A": None if means is None else float(means[k]),
                    **_efficiency(found),
                }


def _efficiency(found: Efficiency) -> Row:
    ends = {"efficiency": found.mean, "efficiency_low": found.low, "efficiency_high": found.high}
    return {name: value if np.isfinite(value) else None for name, value in ends.items()}


def _by_category(cells: Sequence[CarrierCell]) -> Mapping[str, list[CarrierCell]]:
    found: dict[str, list[CarrierCell]] = {}
    for one in cells:
        found.setdefault(one.category, []).append(one)
    return found
