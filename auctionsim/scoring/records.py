"""Rows of numbers about mechanisms: estimates with errors, a mechanism on a view, a point of a trade-off."""

from collections.abc import Sequence
from typing import Any, NamedTuple

PROVED, EXACT, LOWER_BOUND = "proved 0", "exact", "lower bound"
"""What a number of regret is."""


class Estimate(NamedTuple):
    """A mean with its standard error over n draws; `standard_error` None where it is exact."""

    mean: float
    standard_error: float | None
    n: int


class MechanismRow(NamedTuple):
    """One mechanism on one view, truthful bidders; means over the same valuations for all mechanisms.

    Attributes:
        mechanism: Its label in the table of mechanisms.
        replicate: The replicate that pays, "" where the view has none.
        user_weight: λ.
        revenue: Σ t_i.
        bidder_utility: Σ u_i.
        welfare: Σ v_i · e_i.
        user_loss: L, in `loss_unit`.
        objective: Σ t_i − λ L.
        objective_share: Its fraction of the virtual-welfare optimum's on the same view and profiles, with the standard
            error of the paired ratio (linearised); None where the optimum's is not above 0, or where more than one
            feature is sold and no optimum is known.
        regret: Mean over profiles of the largest ex-post regret among bidders.
        regret_max: The largest of all.
        regret_is: `PROVED`, `EXACT` or `LOWER_BOUND`.
        regret_method: How it was found.
        ir_violation: Mean of the largest loss of a bidder, max(−u_i, 0).
        participation_gain: Mean over bidders of u_i − v_i · e_i(null).
        objective_ir: The objective with payments cut so that no bidder loses; None where nothing is cut.
        objective_best_response: The objective when every bidder answers the truthful others best; None where nobody
            gains by it.
        recipe: How it was trained where that is not the full recipe: "quick".
        loss: Which loss of the user is charged for.
        loss_unit: Its unit.
    """

    mechanism: str
    replicate: str
    user_weight: float
    revenue: Estimate
    bidder_utility: Estimate
    welfare: Estimate
    user_loss: Estimate
    objective: Estimate
    objective_share: Estimate | None
    regret: Estimate
    regret_max: float
    regret_is: str
    regret_method: str
    ir_violation: Estimate
    participation_gain: Estimate
    objective_ir: float | None = None
    objective_best_response: float | None = None
    recipe: str = ""
    loss: str = "loss"
    loss_unit: str = "loss"

    @property
    def titled(self) -> str:
        """The label, with the recipe where that is not the full one: what tables show."""
        return titled(self.mechanism, self.recipe)

    @property
    def regret_is_exact(self) -> bool:
        """Whether the regret is no lower bound only."""
        return self.regret_is in (PROVED, EXACT)


ESTIMATES = (
    "revenue",
    "bidder_utility",
    "welfare",
    "user_loss",
    "objective",
    "objective_share",
    "regret",
    "ir_violation",
    "participation_gain",
)


def titled(mechanism: str, recipe: str) -> str:
    """Return a mechanism's label with its recipe, "" for the full one or a closed form.

    Example:
        >>> titled("affine maximizer", "quick")
        'affine maximizer, quick recipe'
    """
    return f"{mechanism}, {recipe} recipe" if recipe else mechanism


class TradeOffPoint(NamedTuple):
    """One mechanism at one user weight: what the platform earns and what the user loses."""

    mechanism: str
    replicate: str
    user_weight: float
    revenue: float
    user_loss: float
    objective: float
    optimum: float


def tidy(rows: Sequence[MechanismRow]) -> list[dict[str, Any]]:
    """Return one flat record a row: an estimate becomes its mean, its standard error and its number of draws."""
    records = []
    for row in rows:
        record: dict[str, Any] = {}
        for name, value in row._asdict().items():
            if name in ESTIMATES:
                mean, error, n = (None, None, None) if value is None else value
                record |= {name: mean, f"{name}_standard_error": error, f"{name}_draws": n}
            else:
                record[name] = value
        records.append(record)
    return records
