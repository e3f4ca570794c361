"""The same learner against several kinds of bidders: which reserve wins depends on whether bidders shade."""

import pytest

from auctionsim.errors import InputError
from auctionsim.market import Actors, Market
from auctionsim.market.platforms import (
    BidderPopulation,
    Exp3,
    PlatformReward,
    RewardScale,
    RuleScore,
    pilot_scale,
    rewards_alone,
    rule_contest,
    rule_transfers,
)
from auctionsim.mechanisms import SecondPrice
from tests.market_fakes import FixedMultiplier, item_market

TRUTHFUL = BidderPopulation("truthful", {"fixed": FixedMultiplier(1.0)})
SHADING = BidderPopulation("shading", {"half": FixedMultiplier(0.5, name="half")})


def market(types: int = 64) -> Market:
    rules = {f"reserve {price:g}": SecondPrice(reserve=price) for price in (0.0, 0.5)}
    return item_market(rules=rules, types=types, ticks_per_day=1)


@pytest.fixture(scope="module")
def scores() -> tuple[RuleScore, ...]:
    learner = Exp3(RewardScale(0.0, 64 * 24 * 0.6), exploration=0.5)
    return rule_contest(market(), [TRUTHFUL, SHADING], learner, days=40, last=20)


def test_the_rule_that_wins_depends_on_the_bidders(scores: tuple[RuleScore, ...]) -> None:
    """U[0, 1] valuations: at 1/2 a reserve earns more from truth (5/12 over 1/3) and nothing from who bids half."""
    winners = {one.bidders: one.rule for one in scores if one.best}
    assert winners == {one.bidders: one.rule for one in scores if one.favourite}
    assert winners == {"truthful": "reserve 0.5", "shading": "reserve 0"}
    alone = {(one.bidders, one.rule): one.alone for one in scores}
    assert alone["shading", "reserve 0.5"] == 0
    assert alone["shading", "reserve 0"] == pytest.approx(alone["truthful", "reserve 0"] / 2)
    for name in ("truthful", "shading"):
        own = [one for one in scores if one.bidders == name]
        assert sum(one.chosen for one in own) == pytest.approx(1)
        mixed = sum(one.chosen * one.alone for one in own)  # nobody here remembers the day before
        assert [one.learner for one in own] == pytest.approx([mixed] * 2)


def test_a_rule_learnt_against_one_kind_is_scored_against_another(scores: tuple[RuleScore, ...]) -> None:
    transfers = {(one.learnt_against, one.played_against): one for one in rule_transfers(scores)}
    assert transfers["truthful", "truthful"].shortfall == 0
    assert transfers["truthful", "shading"].reward == 0
    best = next(one.alone for one in scores if one.bidders == "shading" and one.best)
    assert transfers["truthful", "shading"].shortfall == best > 0


def test_a_pilot_reads_the_scale_of_rewards() -> None:
    actors = Actors(TRUTHFUL.controllers)
    alone = rewards_alone(market(8), actors, PlatformReward(), 2)
    low, high = min(min(alone.values())), max(max(alone.values()))
    scale = pilot_scale(market(8), actors, days=2, margin=0.25)
    assert (scale.low, scale.high) == pytest.approx((low - (high - low) / 4, high + (high - low) / 4))
    with pytest.raises(InputError, match="all rules bring the same reward in the pilot"):
        pilot_scale(item_market(types=2), actors)


def test_who_bids_must_be_told() -> None:
    learner = Exp3(RewardScale(0.0, 1.0))
    several = BidderPopulation("several", {"a": FixedMultiplier(), "b": FixedMultiplier()})
    with pytest.raises(InputError, match="the bidders 'several' have 2 controllers: of_campaigns must name one per"):
        rule_contest(market(2), [several], learner, days=1, last=1)
    mixed = several._replace(of_campaigns=("a", "b"))
    assert len(rule_contest(market(2), [mixed], learner, days=1, last=1)) == 2
    with pytest.raises(InputError, match="days must be an integer >= 5, got 4"):
        rule_contest(market(2), [mixed], learner, days=4, last=5)
    with pytest.raises(InputError, match="a population of bidders must be given, each once, got 'several'"):
        rule_contest(market(2), [mixed, mixed], learner, days=1, last=1)
