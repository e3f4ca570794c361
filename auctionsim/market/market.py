"""A market: campaigns, query types and placements that fit each other, and the valuations that are drawn for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float

from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.kept import key_digest
from auctionsim.market.campaigns import Campaigns, one_prior
from auctionsim.market.placements import Placement
from auctionsim.market.query_types import HOURS, QueryTypes
from auctionsim.seeds import checked_seed


@dataclass(frozen=True)
class Market:
    """Campaigns, query types and placements, as given before the first tick.

    A query type has `signals` profiles of its campaigns' valuations, equally likely: what a campaign knows privately
    about one user. They are drawn from the priors by the seed, and stay for the whole run.

    Attributes:
        campaigns: Advertisers.
        query_types: Users' queries.
        placements: What answers sell, by name.
        seed: Of valuations, and of all that is drawn tick by tick.
        signals: Profiles of valuations per query type, ≥ 1.
        ticks_per_day: How often per day bids are set, ≥ 1.
        entry_price: Whether a place on the shortlist has a price, see `clearing.cleared_rows`.
        known: Valuations (type, signal, campaign) by category, in money per exposure, where they are not drawn.
    Raises:
        ValueError: A brand, a placement or a context that there is not, rules that differ between placements, or known
            valuations of another shape or that are not finite and ≥ 0.
    """

    campaigns: Campaigns
    query_types: QueryTypes
    placements: Mapping[str, Placement]
    seed: int = 0
    signals: int = 1
    ticks_per_day: int = HOURS
    entry_price: bool = False
    known: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_seed(self.seed)
        checked_count(self.signals, "signals")
        checked_count(self.ticks_per_day, "ticks_per_day")
        self._check_placements()
        for category, valuations in self.known.items():
            shape = len(self.types(category)), self.signals, len(self.members(category))
            if np.shape(valuations) != shape:
                raise InputError(
                    f"known valuations of {category!r} must have the shape (type, signal, campaign) = {shape}, "
                    f"got {np.shape(valuations)}"
                )
            if not bool((np.isfinite(valuations) & (valuations >= 0)).all()):
                raise InputError(f"known valuations of {category!r} must be finite and >= 0")
        for category in sorted({*self.campaigns.category, *self.query_types.category}):
            brands = self.brands_of(category)
            for name, own, brand in zip(
                self.campaigns.name, self.campaigns.category, self.campaigns.brand, strict=True
            ):
                if own == category and brand not in brands:
                    raise InputError(
                        f"campaign {name!r} is for the brand {brand!r}; placements of {category!r} sell "
                        f"{', '.join(sorted(brands)) or 'none'}"
                    )

    def _check_placements(self) -> None:
        queries = self.query_types
        for name, placement, context in zip(queries.name, queries.placement, queries.context, strict=True):
            if placement not in self.placements:
                raise InputError(
                    f"query type {name!r} is sold on {placement!r}; there are the placements "
                    f"{', '.join(self.placements) or 'none'}"
                )
            self.placements[placement].context(context)
        rules = {name: tuple(placement.rules) for name, placement in self.placements.items()}
        if len(set(rules.values())) > 1:
            raise InputError(f"all placements must have rules of the same names, got {rules}")

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories that queries ask in, in the order of their names."""
        return tuple(sorted(set(self.query_types.category)))

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules that the platform may choose among."""
        return tuple(next(iter(self.placements.values())).rules)

    @cached_property
    def losses(self) -> tuple[str, ...]:
        """Names of the losses that all placements read, in the order of the first."""
        first, *others = self.placements.values()
        return tuple(name for name in first.losses if all(name in other.losses for other in others))

    def brands_of(self, category: str) -> frozenset[str]:
        """Return the brands that a category's placements sell."""
        queries = self.query_types
        sold = {p for p, own in zip(queries.placement, queries.category, strict=True) if own == category}
        return frozenset(brand for name in sold for brand in self.placements[name].brands)

    def members(self, category: str) -> np.ndarray:
        """Return the indices of a category's campaigns."""
        return np.flatnonzero(np.array(self.campaigns.category) == category)

    def types(self, category: str) -> np.ndarray:
        """Return the indices of a category's query types."""
        return np.flatnonzero(np.array(self.query_types.category) == category)

    def valuations(self, category: str) -> Float[np.ndarray, "type signal campaign"]:
        """Return what one exposure is worth to each of a category's campaigns, in money, before relevance.

        Where they are drawn, a campaign's numbers depend on the seed and its name, and no other campaign.
        """
        if category in self.known:
            return np.asarray(self.known[category], dtype=np.float64)
        types, columns = self.types(category), []
        for member in self.members(category):
            draws = self.generator("valuations", self.campaigns.name[member]).random((len(types), self.signals))
            prior = one_prior(self.campaigns.value[member])
            columns.append(prior.quantile(torch.from_numpy(draws)).numpy())
        return np.stack(columns, 2) if columns else np.zeros((len(types), self.signals, 0))

    def generator(self, *what: str | int) -> np.random.Generator:
        """Return the generator of one purpose: another for other words or numbers."""
        return np.random.default_rng([self.seed, int(key_digest({"of": what}), 16)])
