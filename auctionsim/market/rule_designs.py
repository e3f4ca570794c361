"""Rules that a platform may choose among: a grid of reserves, user weights or mechanisms, designed on a placement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import torch

from auctionsim.checks import checked_money
from auctionsim.errors import InputError
from auctionsim.market.market import Market
from auctionsim.market.placements import Placement
from auctionsim.mechanisms import Mechanism
from auctionsim.mechanisms.table import Problem, entry
from auctionsim.priors import Empirical, Exponential, Priors
from auctionsim.substrates.protocol import Substrate

RESERVED = ("vcg", "second-price")
"""Mechanisms that a reserve can be designed into."""


@dataclass(frozen=True)
class RuleDesign:
    """One rule, by what it is designed from.

    Attributes:
        mechanism: Of the table, `auctionsim.mechanisms.table`.
        user_weight: Money per unit of the loss that the view charges, ≥ 0.
        reserve: Money per unit of exposure, ≥ 0, that a campaign's score must exceed: everybody is weighed by
            score − reserve instead of the score, and charged so that truth stays dominant. It is the
            virtual-welfare maximiser of exponential priors with this mean, whose virtual value is v − mean; with one
            item it is second price with a reserve. For `RESERVED` mechanisms only; 0: none.
        settings: Of the mechanism's knobs.
        name: By which the rule is called; "": made from the rest.
    """

    mechanism: str
    user_weight: float = 0.0
    reserve: float = 0.0
    settings: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    name: str = ""

    def __post_init__(self) -> None:
        checked_money(self.user_weight, "user_weight")
        if checked_money(self.reserve, "reserve") and self.mechanism not in RESERVED:
            raise InputError(f"a reserve can be designed into {', '.join(RESERVED)}, got {self.mechanism!r:.60}")

    @property
    def title(self) -> str:
        """Its name, or what it is designed from: `vcg, user weight 0.5`."""
        parts = {"user weight": self.user_weight, "reserve": self.reserve, **self.settings}
        own = [f"{what} {value:g}" for what, value in parts.items() if value or what in self.settings]
        return self.name or ", ".join([self.mechanism, *own])

    def designed(self, view: Substrate, priors: Priors, *, seed: int = 0, quick: bool = False) -> Mechanism:
        """Return the mechanism on a view.

        Raises:
            ValueError: No such mechanism, a view that lacks what it needs, or a knob that it does not have.
        """
        if not self.reserve:
            problem = Problem(view, priors, self.user_weight, seed, quick, self.settings)
            return entry(self.mechanism).designed(problem)
        refusal = entry(self.mechanism).refusal(view)
        if refusal is not None:
            raise InputError(refusal)
        return entry("optimum").designed(
            Problem(view, Exponential(self.reserve), self.user_weight, settings=self.settings)
        )


def grid(
    mechanisms: Sequence[str], user_weights: Sequence[float] = (0.0,), reserves: Sequence[float] = (0.0,)
) -> tuple[RuleDesign, ...]:
    """Return every combination, the mechanism slowest.

    Example:
        >>> [design.title for design in grid(["vcg"], [0.0, 1.0], [0.0, 0.2])]
        ['vcg', 'vcg, reserve 0.2', 'vcg, user weight 1', 'vcg, user weight 1, reserve 0.2']
    """
    return tuple(
        RuleDesign(name, weight, price) for name in mechanisms for weight in user_weights for price in reserves
    )


def with_rules(
    placement: Placement, designs: Sequence[RuleDesign], priors: Priors, *, seed: int = 0, quick: bool = False
) -> Placement:
    """Return a placement that is sold by these rules, the first the usual one.

    Args:
        placement: Whose view is sold; its own rules are replaced.
        designs: One or more.
        priors: What mechanisms that ask are designed for: of scores, bid × relevance, one per brand or one for all;
            `score_priors` has those of truthful bids.
        seed: Of mechanisms that are trained.
        quick: Whether they are trained by the quick recipe.
    Raises:
        ValueError: No design, two of one name, or a mechanism that cannot be designed on the view.
    """
    rules: dict[str, Mechanism] = {}
    for design in designs:
        if design.title in rules:
            raise InputError(f"rules must have different names, got {design.title!r} twice")
        rules[design.title] = design.designed(placement.view, priors, seed=seed, quick=quick)
    return replace(placement, rules=rules)


def score_priors(market: Market, placement: str) -> list[Empirical]:
    """Return what each brand's score in a placement is drawn from if bids are truthful: (brand).

    The largest valuation × relevance among the brand's campaigns that are there on day 0, in every query type and
    signal of the placement, weighted by arrivals.

    Raises:
        ValueError: No such placement, nobody asks there, or no campaign stands for one of its brands on day 0.
    """
    if placement not in market.placements:
        raise InputError(f"placement must be one of {', '.join(market.placements)}, got {placement!r:.60}")
    queries, campaigns = market.query_types, market.campaigns
    own = np.array(queries.placement) == placement
    scores: dict[str, list[np.ndarray]] = {brand: [] for brand in market.placements[placement].brands}
    weights = []
    for category in sorted({queries.category[k] for k in np.flatnonzero(own)}):
        types, members = market.types(category), market.members(category)
        members_here = campaigns.present(0.0)[members]
        relevance = queries.relevance[types][:, None, None] * campaigns.relevance[members]
        worth = (market.valuations(category) * relevance)[own[types]]
        weights.append(np.repeat(queries.arrivals[types][own[types]], market.signals))
        for brand, columns in scores.items():
            stands = members_here & np.array([campaigns.brand[member] == brand for member in members], dtype=bool)
            columns.append(worth[:, :, stands].max(2, initial=0.0).ravel())
    weight = np.concatenate([*weights, np.zeros(0)])
    if not weight.sum():
        raise InputError(f"nobody asks for what placement {placement!r} answers")
    empty = [brand for brand, columns in scores.items() if not np.concatenate(columns).any()]
    if empty:
        raise InputError(f"no campaign stands for the brand {empty[0]!r} of placement {placement!r} on day 0")
    return [
        Empirical(torch.from_numpy(np.concatenate(columns)), torch.from_numpy(weight)) for columns in scores.values()
    ]
