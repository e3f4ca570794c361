"""Contests of rules: the same learner against several populations of bidders, since what earns may be theirs alone.

Against each population the learner plays with all rules, and every rule plays alone for as long, from the same start.
So there are two answers to which rule wins, the learner's favourite and the best alone, and a third number: what a
favourite that was learnt against one population earns against another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np

from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.market.actors import Actors, Users
from auctionsim.market.columns import checked_names
from auctionsim.market.controllers import Controller
from auctionsim.market.market import Market
from auctionsim.market.platforms.bandit import Bandit
from auctionsim.market.platforms.pilot import rewards_alone
from auctionsim.market.simulation import Simulation, SimulationSettings


class BidderPopulation(NamedTuple):
    """A population of bidders: the controllers of a market's campaigns.

    Attributes:
        name: Of the population.
        controllers: By name.
        of_campaigns: Name of each campaign's controller; (): all have the only one.
    """

    name: str
    controllers: Mapping[str, Controller]
    of_campaigns: tuple[str, ...] = ()

    def bidding_in(self, market: Market) -> Market:
        """Return the market in which it bids; valuations stay as they were.

        Raises:
            ValueError: Several controllers, and nothing says which campaign has which.
        """
        if not self.of_campaigns and len(self.controllers) != 1:
            raise InputError(
                f"the bidders {self.name!r} have {len(self.controllers)} controllers: of_campaigns must name one per "
                f"campaign"
            )
        names = self.of_campaigns or tuple(self.controllers) * len(market.campaigns)
        return replace(market, campaigns=replace(market.campaigns, controller=names))


class RuleScore(NamedTuple):
    """Scores of a rule against a population, over the last days of a contest.

    Attributes:
        bidders: Name of the population.
        rule: Name of the rule.
        chosen: Share of the days on which the learner chose it.
        alone: Mean reward per day where there is no other rule, in money.
        learner: Mean reward per day of the learner, in money; the same for all rules.
        favourite: Whether the learner chose it most often; the first on ties.
        best: Whether no rule earns more alone; the first on ties.
    """

    bidders: str
    rule: str
    chosen: float
    alone: float
    learner: float
    favourite: bool
    best: bool


class RuleTransfer(NamedTuple):
    """Earnings of a learner's favourite against other bidders than those it was learnt against.

    Attributes:
        learnt_against: Name of the population whose favourite it is.
        played_against: Name of the population it meets.
        rule: The favourite.
        reward: Mean per day alone against them, in money.
        shortfall: How much less than the best rule against them, in money per day, ≥ 0.
    """

    learnt_against: str
    played_against: str
    rule: str
    reward: float
    shortfall: float


def rule_contest(
    market: Market,
    populations: Sequence[BidderPopulation],
    learner: Bandit,
    *,
    days: int,
    last: int,
    users: Users | None = None,
    settings: SimulationSettings | None = None,
) -> tuple[RuleScore, ...]:
    """Return how every rule fares against every population, population by population.

    Args:
        market: Whose campaigns get the populations' controllers.
        populations: One or more, each of another name.
        learner: Chooses among the market's rules; every population meets it anew.
        days: Of every run, ≥ last.
        last: Days at the end that are scored, ≥ 1: what comes before is the learners' way there.
        users: Who come back or stay away; None: as many every day.
        settings: Of the simulation.
    """
    checked_count(last, "last")
    checked_count(days, "days", last)
    checked_names([one.name for one in populations], "the name of a population of bidders")
    return tuple(
        score
        for population in populations
        for score in _against(population, market, learner, (days, last), users, settings)
    )


def _against(
    population: BidderPopulation,
    market: Market,
    learner: Bandit,
    span: tuple[int, int],
    users: Users | None,
    settings: SimulationSettings | None,
) -> list[RuleScore]:
    days, last = span
    own = population.bidding_in(market)
    actors = Actors(population.controllers, users, learner)
    run = [day.news for day in islice(Simulation(own, actors, settings).days(), days)][-last:]
    rewards = rewards_alone(own, actors, learner.reward, days, settings)
    chosen = np.array([sum(news.rule == rule for news in run) / last for rule in own.rules])
    alone = np.array([np.mean(rewards[rule][-last:]) for rule in own.rules])
    earned = float(np.mean([learner.reward.of(news) for news in run]))
    return [
        RuleScore(
            population.name, rule, float(chosen[k]), float(alone[k]), earned, k == chosen.argmax(), k == alone.argmax()
        )
        for k, rule in enumerate(own.rules)
    ]


def rule_transfers(scores: Sequence[RuleScore]) -> tuple[RuleTransfer, ...]:
    """Return what each population's favourite earns against each, itself included."""
    favourites = {one.bidders: one.rule for one in scores if one.favourite}
    return tuple(
        RuleTransfer(home, away, rule, reward, max(of_rule.values()) - reward)
        for home, rule in favourites.items()
        for away in favourites
        for of_rule in [{one.rule: one.alone for one in scores if one.bidders == away}]
        for reward in [of_rule[rule]]
    )
