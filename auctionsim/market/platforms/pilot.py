"""A pilot: every rule for some days alone, from which the scale of a bandit's rewards is read."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from auctionsim.checks import checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.market.actors import Actors
from auctionsim.market.market import Market
from auctionsim.market.platforms.fixed import FixedRule
from auctionsim.market.platforms.rewards import PlatformReward, RewardScale
from auctionsim.market.simulation import Simulation, SimulationSettings


def rewards_alone(
    market: Market,
    actors: Actors,
    reward: PlatformReward,
    days: int,
    settings: SimulationSettings | None = None,
) -> Mapping[str, list[float]]:
    """Return each rule's reward per day, in money, in a run in which there is no other rule.

    Args:
        market: The market.
        actors: Bidders and users; the platform among them is left out.
        reward: What is wanted of a day.
        days: Of each run, ≥ 1.
        settings: Of the simulation.
    """
    count = checked_count(days, "days")
    alone = {}
    for rule in market.rules:
        run = Simulation(market, replace(actors, platform=FixedRule(rule)), settings)
        alone[rule] = [reward.of(one.news) for one in islice(run.days(), count)]
    return alone


def pilot_scale(
    market: Market,
    actors: Actors,
    reward: PlatformReward | None = None,
    *,
    days: int = 1,
    margin: float = 0.5,
    settings: SimulationSettings | None = None,
) -> RewardScale:
    """Return the scale from the least to the largest daily reward of a pilot, and a margin on both sides.

    Args:
        market, actors, settings: As `rewards_alone` has them.
        reward: What the platform wants; None: revenue.
        days: Of each rule's pilot. Rewards that move over time, since users leave or bidders learn, need more.
        margin: As a share of the distance between the least and the largest, ≥ 0.
    Raises:
        ValueError: All rules bring the same, so that there is nothing to learn.
    """
    wanted = reward or PlatformReward()
    every = [one for rewards in rewards_alone(market, actors, wanted, days, settings).values() for one in rewards]
    low, high = min(every), max(every)
    room = checked_number(margin, "margin", 0.0, 1e6) * (high - low)
    if low == high:
        raise InputError(f"all rules bring the same reward in the pilot, {low:g}: there is nothing to learn")
    return RewardScale(low - room, high + room)
