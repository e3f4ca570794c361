"""Regret of the whole pipeline on a frozen tick: shortlist, rule and entry price, for one campaign.

Everybody else's bids, the rows that they leave out and the arrivals are those of the tick. Budgets play no part, as if
none ended within it. The campaign's utility is Σ over queries of worth × exposure − payment. Its regret is the most
that it would gain over bidding its worth in every row, by bids of its own choice for each row (query type and signal),
or by one multiplier of all its valuations. It may also stay away. `row_regret` says what is proved for which rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from auctionsim.checks import checked_count
from auctionsim.errors import InputError, UnsupportedError
from auctionsim.market.category import CategoryMarket, TickCall
from auctionsim.market.frozen_rows import FrozenRows
from auctionsim.market.multiplier_sweep import swept_supremum
from auctionsim.market.row_regret import SCALES, ZOOMS, RowRegret, just_above, row_regret
from auctionsim.mechanisms.protocol import draws

Freedom = Literal["bids", "multiplier"]


@dataclass(frozen=True, eq=False)
class PipelineRegret:
    """The gain of one campaign by other bids than its worth, in one frozen tick.

    Attributes:
        campaign: Its name.
        truth: Money: its utility at truthful bids, over all queries of the tick.
        lower: Money, ≥ 0: a gain that `multipliers` bring through the deployed pipeline.
        upper: Money: a proved bound on any gain, up to rounding; None: nothing is proved.
        multipliers: (row,) multiples of the worth that are bid for `lower`, in the order of the placements' blocks; one
            number where one multiplier is free. NaN: to stay away; inf: more than a worth of 0.
        method: How the numbers came about, in one sentence.
    """

    campaign: str
    truth: float
    lower: float
    upper: float | None
    multipliers: Float[np.ndarray, " row"]
    method: str


def pipeline_regret(
    category: CategoryMarket,
    call: TickCall,
    campaign: int,
    *,
    freedom: Freedom = "bids",
    shaded: bool = False,
    budget: int = 64,
) -> PipelineRegret:
    """Return what a campaign could gain in a tick by bidding otherwise than its worth.

    Args:
        category: Of a market.
        call: Everybody's orders for the tick. Of the campaign's own only the multiplier counts, where `shaded`.
        campaign: Its place among the category's members.
        freedom: "bids": one for each row; "multiplier": one for all valuations.
        shaded: Whether its multiplier × valuation counts as its worth, as for a paced campaign, to whom money is worth
            more than 1; gains are then in money.
        budget: Scores tried in each row, or multipliers, where a search is needed; ≥ 16.
    Raises:
        ValueError: No such campaign, another freedom, a budget below 16.
        NotImplementedError: The rule draws lots of its own.
    """
    if freedom not in get_args(Freedom):
        raise InputError(f"freedom must be one of {get_args(Freedom)}, got {freedom!r}")
    if not 0 <= campaign < len(category.members):
        raise InputError(f"campaign must be in 0 … {len(category.members) - 1}, got {campaign}")
    trials = checked_count(budget, "budget", 16)
    shade = float(call.multiplier[campaign]) if shaded else 1.0
    frozen = category.frozen(call)
    entry = category.market.entry_price
    rows, weights = [], []
    for block, scores in zip(frozen.blocks, frozen.scores, strict=True):
        for column in np.flatnonzero(block.columns == campaign):
            rows.append(FrozenRows(block, scores, int(column), rule=call.rule, shade=shade, entry_price=entry))
            weights.append(frozen.weights[block.rows])
    name = category.market.campaigns.name[category.members[campaign]]
    if any(draws(part.mechanism) for part in rows):
        raise UnsupportedError(f"a rule that draws lots of its own has no regret on a frozen tick, got {call.rule!r}")
    every = [row_regret(part, trials) for part in rows]
    return (_of_bids if freedom == "bids" else _of_one_multiplier)(name, rows, weights, every, trials)


def _of_bids(
    name: str, rows: Sequence[FrozenRows], weights: Sequence[np.ndarray], every: Sequence[RowRegret], budget: int
) -> PipelineRegret:
    del budget
    worth = np.concatenate([part.worth for part in rows])
    score = np.concatenate([one.score for one in every])
    with np.errstate(divide="ignore", invalid="ignore"):
        multipliers = np.where(score == worth, 1.0, score / worth)
    return PipelineRegret(
        name,
        sum(float(own @ one.truth) for own, one in zip(weights, every, strict=True)),
        sum(float(own @ (one.best - one.truth)) for own, one in zip(weights, every, strict=True)),
        _upper(weights, every),
        multipliers,
        _methods(every),
    )


def _upper(weights: Sequence[np.ndarray], every: Sequence[RowRegret]) -> float | None:
    """Return the sum of what is proved in rows, None where something is not."""
    gains = [None if one.supremum is None else one.supremum - one.truth for one in every]
    proved = [own @ gain for own, gain in zip(weights, gains, strict=True) if gain is not None]
    return float(sum(proved)) if len(proved) == len(gains) else None


def _methods(every: Sequence[RowRegret]) -> str:
    return "; ".join(dict.fromkeys(one.method for one in every))


def _of_one_multiplier(
    name: str, rows: Sequence[FrozenRows], weights: Sequence[np.ndarray], every: Sequence[RowRegret], budget: int
) -> PipelineRegret:
    def totals(multipliers: np.ndarray) -> np.ndarray:
        parts = [part.utility(multipliers[:, None] * part.worth) @ own for part, own in zip(rows, weights, strict=True)]
        return np.asarray(sum(parts))

    truth = float(totals(np.ones(1))[0])
    upper, method = _upper(weights, every), _methods(every)
    if upper is not None and upper <= 0:
        return PipelineRegret(name, truth, 0.0, 0.0, np.ones(1), method)
    supremum, ends = swept_supremum(rows, weights)
    if supremum is not None:
        upper, method = supremum - truth, "exact: between breakpoints the sum is affine in the multiplier"
        trials = np.concatenate([ends * (1 - 1e-9), *just_above(ends)])
    else:
        method = f"search: {budget} multipliers and {ZOOMS} zooms; the bound is that of free bids, by {method}"
        trials = _searched(rows, totals, budget)
    trials = np.concatenate([[1.0], trials])
    utility = totals(trials)
    best = int(utility.argmax())
    stays = utility[best] < 0
    lower = max(float(utility[best]), 0.0) - truth
    chosen = np.array([np.nan if stays else trials[best]])
    return PipelineRegret(name, truth, lower, None if upper is None else max(upper, lower), chosen, method)


def _searched(
    rows: Sequence[FrozenRows], totals: Callable[[np.ndarray], np.ndarray], budget: int
) -> Float[np.ndarray, " trial"]:
    """Return multipliers that undo common rules, just above brands' other campaigns, an even grid, and finer ones."""
    worth, least = (np.concatenate([getattr(part, name) for part in rows]) for name in ("worth", "least"))
    meets = np.quantile(least[worth > 0] / worth[worth > 0], np.linspace(0, 1, budget)) if (worth > 0).any() else []
    high = 2 * max(2.0, *meets) if len(meets) else 4.0
    trials = np.concatenate([SCALES, *just_above(np.array(meets, float)), np.linspace(0, high, budget)])
    width = high / budget
    for _ in range(ZOOMS):
        best = trials[totals(trials).argmax()]
        trials = np.concatenate([[best], best + width * np.linspace(-1, 1, max(8, budget // 4))]).clip(0)
        width = width / 4
    return np.asarray(trials)
