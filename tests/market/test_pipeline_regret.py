"""Regret of the whole pipeline, shortlist included: by hand, against slow grids through the tick, proofs by search."""

import numpy as np
import pytest
import torch
from market_fakes import campaigns, item_market, query_types
from torch import Tensor

from auctionsim import Outcome
from auctionsim.errors import InputError, UnsupportedError
from auctionsim.market import CategoryMarket, Market, Placement, TickCall
from auctionsim.market.frozen_rows import FrozenRows
from auctionsim.market.pipeline_regret import PipelineRegret, pipeline_regret
from auctionsim.mechanisms import VCG, FirstPrice, Mechanism, PayAsBid, SecondPrice
from auctionsim.substrates import Lottery, QuadraticSubstrate
from auctionsim.substrates.protocol import Substrate


class SearchedVCG(VCG):
    """VCG without its proof: the class that replaces `clear` claims nothing."""

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        return super().clear(bids, context)


def call_of(market: Market, multiplier: object = 1.0, **changed: object) -> TickCall:
    count = len(market.campaigns)
    ones = np.ones(count)
    return TickCall(0, 0, ones * np.array(multiplier, float), ones, ones > 0, market.campaigns.budget)._replace(
        **changed
    )


def regret(market: Market, campaign: int = 0, **settings: object) -> PipelineRegret:
    return pipeline_regret(CategoryMarket(market, "things"), call_of(market), campaign, **settings)


def tick_utility(category: CategoryMarket, multiplier: float, campaign: int = 0) -> float:
    """The campaign's value less spend in the deployed tick, where it bids a multiple of its valuations."""
    orders = np.ones(len(category.members))
    orders[campaign] = multiplier
    won = category.tick(call_of(category.market, orders)).campaigns
    return float(won.value[campaign] - won.spend[campaign])


def lottery() -> Lottery:
    """Five replies: nobody's, each brand's strongly and weakly, with losses of the user."""
    exposures = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 0.25], [0.0, 1.0], [0.25, 0.5]], dtype=torch.float64)
    return Lottery(exposures.unsqueeze(2), torch.tensor([0.0, 0.5, 0.25, 0.5, 0.25], dtype=torch.float64))


def market_of(substrate: Substrate, rule: Mechanism, *, entry_price: bool, types: int = 6, signals: int = 2) -> Market:
    """Five campaigns of two brands with relevances, several query types and signals."""
    placement = Placement("here", ("a", "b"), substrate, {"rule": rule})
    bidders = campaigns(("a", "b", "a", "b", "a"), relevance=[1.0, 0.5, 0.75, 1.0, 0.5])
    queries = query_types(types, "here", relevance=np.linspace(0.25, 1, types), arrivals=np.arange(types) + 1.0)
    return Market(bidders, queries, {"here": placement}, seed=3, signals=signals, entry_price=entry_price)


def test_by_hand_second_price_lets_the_weaker_campaign_in() -> None:
    """Worths .5 and .9 for one brand, .2 for the other: who bids above .9 stands, and pays .2 for what is worth .5."""
    known = {"things": np.array([[[0.5, 0.9, 0.2]]])}
    settings = {"bidders": campaigns(("a", "a", "b")), "queries": query_types(1), "known": known}
    for freedom in ("bids", "multiplier"):
        free = regret(item_market(**settings), freedom=freedom)
        assert (free.truth, free.upper) == (0.0, pytest.approx(0.3))
        assert free.lower == pytest.approx(0.3)
        assert free.multipliers[0] == pytest.approx(1.8)
        assert free.campaign == "things campaign 0"
        priced = regret(item_market(**settings, entry_price=True), freedom=freedom)
        assert (priced.truth, priced.lower, priced.upper) == (0.0, 0.0, 0.0)
        assert priced.method.startswith("proof")
        strong = regret(item_market(**settings, entry_price=True), 1, freedom=freedom)
        assert (strong.truth, strong.upper) == (pytest.approx(0.4), 0.0)  # pays .5 for what is worth .9


def test_by_hand_first_price_shades_down_to_the_next_of_its_brand() -> None:
    known = {"things": np.array([[[0.5, 0.9, 0.2]]])}
    market = item_market(
        bidders=campaigns(("a", "a", "b")), queries=query_types(1), known=known, rules={"first": FirstPrice()}
    )
    for freedom in ("bids", "multiplier"):
        assert regret(market, 0, freedom=freedom).upper == pytest.approx(0.0, abs=1e-15)
        strong = regret(market, 1, freedom=freedom)
        assert strong.lower == pytest.approx(0.4, abs=1e-6)
        assert strong.upper == pytest.approx(0.4)
        assert strong.multipliers[0] == pytest.approx(5 / 9)


@pytest.mark.parametrize("entry_price", [False, True])
@pytest.mark.parametrize("campaign", [0, 1, 4])
def test_frozen_rows_are_the_tick(entry_price: bool, campaign: int) -> None:
    substrate = QuadraticSubstrate(2, crosstalk=0.5)
    market = market_of(substrate, VCG(substrate, 0.5), entry_price=entry_price)
    category = CategoryMarket(market, "things")
    frozen = category.frozen(call_of(market))
    (block,), (scores,) = frozen.blocks, frozen.scores
    column = int(np.flatnonzero(block.columns == campaign)[0])
    rows = FrozenRows(block, scores, column, rule="", shade=1.0, entry_price=entry_price)
    for multiplier in (0.0, 0.6, 1.0, 1.7, 30.0):
        utility = rows.utility(multiplier * rows.worth[None])[0] @ frozen.weights[block.rows]
        assert utility == pytest.approx(tick_utility(category, multiplier, campaign), abs=1e-12)


@pytest.mark.parametrize("freedom", ["bids", "multiplier"])
def test_with_the_entry_price_a_search_gains_nothing_under_vcg(freedom: str) -> None:
    """By search, as if nothing were proved, with three campaigns of one brand. Without the price somebody gains."""
    gains = {}
    for entry_price in (True, False):
        for substrate in (QuadraticSubstrate(2, crosstalk=0.5), lottery()):
            market = market_of(substrate, SearchedVCG(substrate, 0.5), entry_price=entry_price)
            category = CategoryMarket(market, "things")
            rows = [row for k in range(5) for row in [pipeline_regret(category, call_of(market), k, freedom=freedom)]]
            assert all(row.upper is None and row.method.startswith("search") for row in rows)
            gains[entry_price, type(substrate)] = max(row.lower for row in rows)
    assert gains[True, QuadraticSubstrate] <= 1e-12
    assert gains[True, Lottery] <= 1e-12
    assert gains[False, QuadraticSubstrate] > 0.01
    assert gains[False, Lottery] > 0.01


@pytest.mark.parametrize("campaign", [0, 2, 4])
@pytest.mark.parametrize("crosstalk", [0.0, 0.5])
def test_the_bound_of_a_truthful_rule_is_nearly_reached(campaign: int, crosstalk: float) -> None:
    """Without entry price: what is proved is what a search without proof reaches, up to steps and jumps."""
    substrate = QuadraticSubstrate(2, crosstalk=crosstalk)
    proved = regret(market_of(substrate, VCG(substrate, 0.5), entry_price=False), campaign)
    searched = regret(market_of(substrate, SearchedVCG(substrate, 0.5), entry_price=False), campaign)
    assert proved.upper is not None
    assert searched.lower <= proved.upper + 1e-9
    assert proved.lower == pytest.approx(proved.upper, abs=1e-6)
    assert searched.lower == pytest.approx(proved.lower, abs=1e-3)


@pytest.mark.parametrize("entry_price", [False, True])
@pytest.mark.parametrize("rule", [FirstPrice, SecondPrice])
@pytest.mark.parametrize("campaign", [0, 3])
def test_one_multiplier_of_items_against_a_slow_grid(entry_price: bool, rule: type, campaign: int) -> None:
    bidders = campaigns(("a", "b", "a", "b", "a"), relevance=[1.0, 0.5, 0.75, 1.0, 0.5])
    queries = query_types(5, arrivals=[1.0, 2, 3, 4, 5])
    market = item_market(bidders=bidders, queries=queries, rules={"rule": rule()}, entry_price=entry_price, seed=1)
    check_against_grid(market, campaign)


@pytest.mark.parametrize("rule", [VCG, PayAsBid])
@pytest.mark.parametrize("campaign", [0, 1])
def test_one_multiplier_of_a_list_against_a_slow_grid(rule: type, campaign: int) -> None:
    substrate = lottery()
    check_against_grid(market_of(substrate, rule(substrate, 0.5), entry_price=False, types=4), campaign)


def check_against_grid(market: Market, campaign: int) -> None:
    """No multiplier of a grid gains more than the bound, and the printed one gains what is printed."""
    one = regret(market, campaign, freedom="multiplier")
    assert one.upper is not None
    category = CategoryMarket(market, "things")
    truth = tick_utility(category, 1.0, campaign)
    assert one.truth == pytest.approx(truth, abs=1e-12)
    grid = max(tick_utility(category, multiplier, campaign) for multiplier in np.arange(0, 3, 0.05)) - truth
    assert max(grid, -truth) <= one.upper + 1e-9
    assert one.lower <= one.upper
    assert one.lower >= grid - 1e-9
    assert one.lower == pytest.approx(one.upper, abs=1e-6)
    assert tick_utility(category, float(one.multipliers[0]), campaign) - truth == pytest.approx(one.lower, abs=1e-12)
    free = regret(market, campaign)
    assert free.upper is not None
    assert one.upper <= free.upper + 1e-9
    assert free.upper - 1e-5 <= free.lower <= free.upper


def test_one_multiplier_on_many_rows_is_exact_and_not_searched() -> None:
    """Numbers that no double holds exactly: rounding in the last stretch is no growth."""
    exposures = torch.rand(7, 2, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    substrate = Lottery(torch.cat([torch.zeros(1, 2, 1), exposures]), torch.linspace(0, 0.3, 8, dtype=torch.float64))
    market = market_of(substrate, VCG(substrate, 0.5), entry_price=False, types=40)
    gains = [regret(market, campaign, freedom="multiplier") for campaign in range(5)]
    assert max(one.lower for one in gains) > 0
    for one in gains:
        assert one.upper == pytest.approx(one.lower, abs=1e-6)


def test_a_paced_campaigns_worth_is_what_it_bids() -> None:
    """Alone for its brand it gains nothing over its shaded valuations at second price, and does at first price."""
    for rule, exact in ((SecondPrice(), True), (FirstPrice(), False)):
        category = CategoryMarket(item_market(types=6, rules={"rule": rule}), "things")
        paced = pipeline_regret(category, call_of(category.market, [0.5, 0.7]), 0, shaded=True)
        assert (paced.upper == 0.0) is exact
        assert (paced.lower == 0.0) is exact
        known = {"things": category.market.valuations("things") * [0.5, 0.7]}
        plain = regret(item_market(types=6, rules={"rule": rule}, known=known))
        assert (paced.truth, paced.lower) == pytest.approx((plain.truth, plain.lower))


def test_rows_that_others_leave_out_and_absent_campaigns_count() -> None:
    known = {"things": np.tile([[[0.5, 0.9, 0.2]]], (400, 1, 1))}
    market = item_market(bidders=campaigns(("a", "a", "b")), queries=query_types(400), known=known)
    category = CategoryMarket(market, "things")
    half = pipeline_regret(category, call_of(market, participation=np.array([1.0, 0.5, 1.0])), 0)
    assert half.truth == pytest.approx(0.3 * 200, rel=0.2)  # stands where the other does not
    assert half.truth + half.lower == pytest.approx(0.3 * 400)
    assert half.upper == pytest.approx(half.lower)
    gone = pipeline_regret(category, call_of(market, taking=np.array([True, False, True])), 0)
    assert (gone.truth, gone.upper) == (pytest.approx(0.3 * 400), 0.0)


def test_the_first_of_equals_stands() -> None:
    """Both campaigns of a brand are worth .5: the first stands at truth, the second only above it."""
    known = {"things": np.array([[[0.5, 0.5, 0.2]]])}
    market = item_market(bidders=campaigns(("a", "a", "b")), queries=query_types(1), known=known)
    first, second = regret(market, 0), regret(market, 1)
    assert (first.truth, first.lower) == (pytest.approx(0.3), 0.0)
    assert second.truth == 0.0
    assert second.lower == pytest.approx(0.3)
    assert second.multipliers[0] > 1


def test_staying_away_is_a_bid() -> None:
    """A rule that charges whoever bids: the best is not to take part, whatever the rule."""

    class Toll(Mechanism):
        def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
            return Outcome(torch.zeros_like(bids), torch.full_like(bids[..., 0], 0.25))

    market = item_market(types=4, rules={"toll": Toll(2, 1)})
    for freedom in ("bids", "multiplier"):
        away = regret(market, freedom=freedom)
        assert (away.truth, away.lower, away.upper) == (-1.0, 1.0, None)
        assert np.isnan(away.multipliers).all()


def test_bad_input_is_refused() -> None:
    market = item_market()
    category = CategoryMarket(market, "things")
    with pytest.raises(InputError, match="campaign must be in 0 … 1, got 2"):
        pipeline_regret(category, call_of(market), 2)
    with pytest.raises(InputError, match="budget must be an integer >= 16, got 3"):
        pipeline_regret(category, call_of(market), 0, budget=3)
    lots = SecondPrice()
    lots.draws = True
    drawing = CategoryMarket(item_market(rules={"lots": lots}), "things")
    with pytest.raises(UnsupportedError, match="draws lots of its own"):
        pipeline_regret(drawing, call_of(market), 0)
