"""Rank agreement of two readings over a surface's cells, and how often a test of it is wrong where both follow a trend.

Two readings that both rise with the dose agree over cells even where they share nothing else. A test that exchanges all
cells asks whether there is any association; one within strata of the dose asks for agreement beyond the dose.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from auctionsim.errors import InputError
from auctionsim.seeds import checked_seed
from auctionsim.trust.agreement import numbered

RANK_METHODS = ("spearman", "kendall")
FEWEST_CELLS = 5


class RankAgreement(NamedTuple):
    """Rank agreement of two readings' means over cells.

    Attributes:
        value: Spearman's ρ or Kendall's τ-b; of what the control leaves, where there is one.
        p_value: Share of exchanges, the observed order among them, with a value at least as far from 0.
        exchanges: How many were drawn.
    """

    value: float
    p_value: float
    exchanges: int


class FalsePositives(NamedTuple):
    """Share of worlds without agreement beyond the trend in which a test at 5 % finds one.

    Attributes:
        naive: All cells exchanged.
        within_strata: Cells of one dose exchanged.
        partial: What the trend leaves exchanged.
        worlds: How many.
    """

    naive: float
    within_strata: float
    partial: float
    worlds: int


def rank_agreement(
    first: Float[np.ndarray, " cell"],
    second: Float[np.ndarray, " cell_too"],
    method: str = "spearman",
    strata: Sequence[Hashable] | None = None,
    control: Float[np.ndarray, " control"] | None = None,
    seed: int = 0,
    exchanges: int = 999,
) -> RankAgreement:
    """Return the rank agreement of two readings over cells, with a two-sided permutation p-value.

    Without strata and control, cells are exchanged at will: it tests "no association at all", and two readings that
    follow one trend fail it. With strata, cells are exchanged within a stratum alone: exact where cells of one stratum
    are exchangeable. With a control, ranks are freed of the control's ranks by least squares, and what is left of one
    reading is exchanged: approximate, and right only where the trend is one of ranks.

    Args:
        first: Mean of one reading per cell.
        second: Mean of the other.
        method: One of "spearman", "kendall".
        strata: What each cell belongs to, such as its dose.
        control: Such as mentions per word; in place of strata.
        seed: Draws the exchanges.
        exchanges: How many.
    Raises:
        ValueError: Another method, both strata and a control, fewer than five cells, unequal numbers, values that are
            not finite or do not vary, or strata of one cell each.
    Source:
        Good (2005), "Permutation, parametric and bootstrap tests of hypotheses"; for the control Freedman and Lane
        (1983), "A nonstochastic interpretation of reported significance levels", on ranks.
    Example:
        >>> import numpy as np
        >>> dose = np.repeat([0.0, 1.0, 2.0], 3)
        >>> one, other = dose + np.tile([0, 0.1, 0.2], 3), dose + np.tile([0.1, 0, 0.2], 3)
        >>> found = rank_agreement(one, other)
        >>> round(found.value, 2), found.p_value < 0.01, rank_agreement(one, other, strata=dose.tolist()).p_value > 0.05
        (0.95, True, True)
    """
    _check(first, second, method, strata, control)
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(first), rankdata(second)])
    if control is not None:
        ranks = _freed(ranks, rankdata(control))
    generator = np.random.default_rng(checked_seed(seed))
    of = numbered(strata, len(first)) if strata is not None else np.zeros(len(first), dtype=np.int64)
    orders = np.concatenate([np.arange(len(first))[None], _orders(of, exchanges, generator)])
    values = (_spearman if method == "spearman" else _kendall)(ranks[0], ranks[1][orders])
    share = float((np.abs(values) >= abs(values[0]) - 1e-12).mean())
    return RankAgreement(float(values[0]), share, exchanges)


def rank_false_positives(
    trend: float, worlds: int = 200, seed: int = 0, levels: int = 5, per_level: int = 5, exchanges: int = 199
) -> FalsePositives:
    """Return how often three tests find agreement of two readings that share a trend in the dose and nothing else.

    Each reading of a cell is trend · dose + normal noise of variance 1, dose from 0 to 1 in even levels.

    Args:
        trend: From the lowest to the highest dose, in standard deviations of the noise.
        worlds: How many.
        seed: Of all draws.
        levels: Of the dose.
        per_level: Cells per level.
        exchanges: Per test.
    """
    generator = np.random.default_rng(checked_seed(seed))
    dose = np.repeat(np.linspace(0, 1, levels), per_level)
    found = np.zeros(3)
    for _ in range(worlds):
        first, second = trend * dose + generator.normal(size=(2, len(dose)))
        for k in range(3):
            strata, control = (dose.tolist() if k == 1 else None), (dose if k == 2 else None)
            own = int(generator.integers(2**31))
            result = rank_agreement(first, second, "spearman", strata, control, own, exchanges)
            found[k] += result.p_value <= 0.05
    naive, within_strata, partial = (float(share) for share in found / worlds)
    return FalsePositives(naive, within_strata, partial, worlds)


def _freed(ranks: Float[np.ndarray, "2 cell"], control: Float[np.ndarray, " cell"]) -> Float[np.ndarray, "2 cell"]:
    centred = control - control.mean()
    slopes = (ranks - ranks.mean(1, keepdims=True)) @ centred / (centred @ centred)
    left = ranks - ranks.mean(1, keepdims=True) - slopes[:, None] * centred
    if (left.std(1) < 1e-9).any():
        raise InputError("a reading must not follow the control exactly: nothing is left to compare")
    rounded: Float[np.ndarray, "2 cell"] = np.round(left, 9)
    return rounded


def _orders(
    of: Int[np.ndarray, " cell"], exchanges: int, generator: np.random.Generator
) -> Int[np.ndarray, "exchange cell"]:
    """Return orders of cells in which each stays in its stratum."""
    orders = np.tile(np.arange(len(of)), (exchanges, 1))
    for stratum in range(int(of.max()) + 1):
        cells = np.flatnonzero(of == stratum)
        orders[:, cells] = generator.permuted(np.tile(cells, (exchanges, 1)), axis=1)
    return orders


def _spearman(
    first: Float[np.ndarray, " cell"], second: Float[np.ndarray, "order cell"]
) -> Float[np.ndarray, " order"]:
    one, other = first - first.mean(), second - second.mean(1, keepdims=True)
    return np.asarray(other @ one / np.sqrt((one @ one) * (other**2).sum(1)))


def _kendall(first: Float[np.ndarray, " cell"], second: Float[np.ndarray, "order cell"]) -> Float[np.ndarray, " order"]:
    """Return τ-b: concordant less discordant pairs over the root of the pairs that are not tied in each."""
    upper = np.triu_indices(len(first), 1)
    one = np.sign(first[upper[0]] - first[upper[1]])
    other = np.sign(second[:, upper[0]] - second[:, upper[1]])
    return np.asarray(other @ one / np.sqrt((one @ one) * (other**2).sum(1)))


def _check(
    first: Float[np.ndarray, " cell"],
    second: Float[np.ndarray, " cell_too"],
    method: str,
    strata: Sequence[Hashable] | None,
    control: Float[np.ndarray, " control"] | None,
) -> None:
    if method not in RANK_METHODS:
        raise InputError(f"the method must be one of {', '.join(RANK_METHODS)}, got {method!r}")
    if strata is not None and control is not None:
        raise InputError("cells are exchanged within strata, or freed of a control, not both")
    columns = {"the first reading": first, "the second reading": second}
    if control is not None:
        columns["the control"] = control
    for what, values in columns.items():
        if len(values) != len(first) or len(values) < FEWEST_CELLS:
            rule = f"one value per cell, of at least {FEWEST_CELLS} cells"
            raise InputError(f"{what} must have {rule}, got {len(values)} beside {len(first)}")
        if not np.isfinite(values).all() or np.ptp(values) == 0:
            raise InputError(f"{what} must be finite and vary over cells")
    if strata is not None and len(set(strata)) == len(first):
        raise InputError("strata must have more than one cell: within strata of one cell nothing can be exchanged")
