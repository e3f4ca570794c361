"""Settings of the market's environments, and the small packaged market that they play by default."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

import numpy as np

from auctionsim.checks import checked_count, checked_number, checked_positive
from auctionsim.errors import InputError
from auctionsim.market import (
    Actors,
    CampaignTerms,
    Controller,
    Market,
    Orders,
    Placement,
    RetainedUsers,
    State,
    TickStart,
    UserType,
)
from auctionsim.market.generator import GeneratorSettings, generate, outlets
from auctionsim.market.rule_designs import grid, with_rules
from auctionsim.mechanisms import VCG
from auctionsim.priors import Uniform
from auctionsim.substrates import ResponseSurface

SURFACE, FEATURE, LOSS = "running-shoes-2@3", "mention_probability", "reply_kl"
STEADY = "steady"


@dataclass(frozen=True)
class SteadyMultiplier(Controller):
    """Bid one multiple of the valuation, always.

    Attributes:
        multiplier: ≥ 0; 1 is truth.
        name: By which campaigns refer to it.
    """

    multiplier: float = 1.0
    name: str = STEADY

    def __post_init__(self) -> None:
        checked_number(self.multiplier, "multiplier")

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return the multiplier for everybody."""
        del state, start
        return Orders(np.full(len(terms.budget), self.multiplier), np.ones(len(terms.budget)))


@dataclass(frozen=True)
class MarketEnvSettings:
    """Settings of a market as an environment.

    Attributes:
        market: What is played; its seed is replaced by the episode's. None: `packaged_market()`.
        actors: Controllers, users and platform beside the learner; None: `packaged_actors()`, whose only controller is
            "steady". The learner's own campaign, or the platform, is stood in for.
        days: Of an episode, ≥ 1.
        sampled: Whether arrivals are drawn; else every tick clears their mean.
        campaign: Name of the learner's campaign; None: the first.
        multiplier_high: The highest multiplier that a campaign may bid, > 0; 1 is truth, above which who earns value
            less spend need never bid, and who has a target to reach may.
        loss_weights: What a platform's reward loses for each unit of users' losses, by name, in money.
    Raises:
        ValueError: A number outside its range.
    """

    market: Market | None = None
    actors: Actors | None = None
    days: int = 1
    sampled: bool = False
    campaign: str | None = None
    multiplier_high: float = 1.0
    loss_weights: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "days", checked_count(self.days, "days"))
        checked_positive(self.multiplier_high, "multiplier_high")
        for name, weight in self.loss_weights.items():
            checked_number(weight, f"the weight of the loss {name!r}", -np.inf)

    @property
    def played(self) -> Market:
        """The market."""
        return packaged_market() if self.market is None else self.market

    @property
    def others(self) -> Actors:
        """The actors."""
        return packaged_actors() if self.actors is None else self.actors

    def place(self) -> int:
        """Return the index of the learner's campaign.

        Raises:
            ValueError: There is none of that name.
        """
        names = self.played.campaigns.name
        if not names:
            raise InputError("a market without campaigns has none that could learn")
        if self.campaign is None:
            return 0
        if self.campaign not in names:
            raise InputError(f"campaign must be one of {', '.join(names)}, got {self.campaign!r:.60}")
        return names.index(self.campaign)


@cache
def packaged_market() -> Market:
    """Return a small market on a packaged surface: 6 campaigns with budgets, 8 query types, a day of 24 ticks.

    Its rules are VCG with user weight .02, 0 and .05, each without and with a reserve of .1; the first is usual.
    """
    view = ResponseSurface.packaged(SURFACE).sell(FEATURE, loss=LOSS)
    bare = Placement("shoes", ("Nike", "Adidas"), view, {"vcg": VCG(view)})
    placement = with_rules(bare, grid(["vcg"], (0.02, 0.0, 0.05), (0.0, 0.1)), Uniform(0.0, 1.0))
    settings = GeneratorSettings(
        query_types=8,
        campaigns=6,
        budget=0.02,
        unlimited=0.0,
        values=("uniform:0,1",),
        newcomers=0.0,
        leavers=0.0,
        controllers=(STEADY,),
    )
    tables = generate(settings, outlets({"shoes": placement}, {"shoes": "running shoes"}))
    return Market(tables.campaigns, tables.query_types, {"shoes": placement}, signals=4)


def packaged_actors() -> Actors:
    """Return who acts in the packaged market: campaigns that bid their valuations, and users whom losses drive away."""
    users = RetainedUsers((UserType("all", loss_sensitivity=0.01, ad_sensitivity=0.0),), loss=LOSS)
    return Actors({STEADY: SteadyMultiplier()}, users)
