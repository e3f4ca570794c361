"""One tick of a category against a slow loop, the shortlist, entry prices, and budgets that end within a tick."""

import numpy as np
import pytest
import torch
from market_fakes import campaigns, item_market, market_on, query_types

from auctionsim.market import CategoryMarket, Market, Placement, Tally, TickCall
from auctionsim.market.shortlist import NOBODY, next_scores, shortlist
from auctionsim.mechanisms import VCG, FirstPrice, SecondPrice
from auctionsim.substrates import Items, QuadraticSubstrate


def tick_of(market: Market, *, sampled: bool = False, day: int = 0, **changed: object) -> Tally:
    """Clear the first tick with truthful bids, unless told otherwise."""
    count = len(market.campaigns)
    call = TickCall(
        day, 0, np.ones(count), np.ones(count), np.ones(count, dtype=bool), market.campaigns.budget, sampled=sampled
    )
    return CategoryMarket(market, "things").tick(call._replace(**changed))


def test_the_best_of_each_brand_stands_and_the_first_of_equals() -> None:
    scores = np.array([[0.5, 0.5, 0.25], [-1.0, 0.25, -1.0], [0.0, -1.0, 0.25]])
    spans = ((0, 2), (2, 3))
    there = shortlist(scores, spans)
    assert there.campaign.tolist() == [[0, 2], [1, NOBODY], [0, 2]]
    assert there.score.tolist() == [[0.5, 0.25], [0.25, 0.0], [0.0, 0.25]]
    assert next_scores(scores, there, spans).tolist() == [[0.5, 0.0], [0.0, 0.0], [0.0, 0.0]]


def test_a_tick_equals_a_slow_loop() -> None:
    """Two brands of several campaigns, relevance on both sides, three arrivals per query type."""
    brands = ("a", "b", "a", "b", "a")
    bidders = campaigns(brands, relevance=[1.0, 0.5, 0.75, 1.0, 0.25])
    queries = query_types(6, arrivals=[3.0] * 6, relevance=np.linspace(0.2, 1, 6))
    market = item_market(("a", "b"), bidders=bidders, queries=queries, signals=2)
    tally = tick_of(market)
    spend, value, valuations = np.zeros(5), np.zeros(5), market.valuations("things")
    for kind in range(6):
        for signal in range(2):
            worth = valuations[kind, signal] * queries.relevance[kind] * bidders.relevance
            best = {brand: max((i for i in range(5) if brands[i] == brand), key=lambda i: worth[i]) for brand in "ab"}
            winner, loser = sorted(best.values(), key=lambda i: -worth[i])
            spend[winner] += 1.5 * worth[loser]
            value[winner] += 1.5 * worth[winner]
    np.testing.assert_allclose(tally.campaigns.spend, spend, rtol=1e-12)
    np.testing.assert_allclose(tally.campaigns.value, value, rtol=1e-12)
    assert tally.arrivals == pytest.approx(18)
    assert tally.campaigns.auctions == pytest.approx([18.0] * 5)
    assert tally.campaigns.shortlisted.sum() == pytest.approx(36)


def test_a_tick_equals_the_mechanism_where_one_campaign_stands_for_each_brand() -> None:
    substrate = QuadraticSubstrate(2, crosstalk=0.5)
    market = market_on(substrate, VCG(substrate, 0.5), types=5)
    tally = tick_of(market)
    bids = torch.from_numpy(market.valuations("things")[:, 0]).unsqueeze(2)
    outcome = VCG(substrate, 0.5)(bids)
    np.testing.assert_allclose(tally.campaigns.spend, outcome.payments.sum(0).numpy(), rtol=1e-12)
    exposure = substrate.exposure(outcome.allocation)
    np.testing.assert_allclose(tally.campaigns.value, (bids * exposure).sum((0, 2)).numpy(), rtol=1e-12)
    assert tally.losses["loss"] == pytest.approx(float(substrate.user_loss(outcome.allocation).sum()))


def test_a_budget_splits_the_tick_exactly() -> None:
    """At first price a wins every query at 1 until its 6 are gone, after 6 of 24 queries; then b wins at 1/2."""
    known = {"things": np.array([[[1.0, 0.5]]])}
    bidders = campaigns(("a", "b"), budget=[6.0, np.inf])
    queries = query_types(1, arrivals=[24.0])
    market = item_market(rules={"first": FirstPrice()}, bidders=bidders, queries=queries, known=known)
    tally = tick_of(market)
    assert tally.campaigns.spend.tolist() == [6.0, 9.0]
    assert tally.campaigns.ended[0] == 0.25
    assert np.isnan(tally.campaigns.ended[1])
    assert tally.campaigns.auctions.tolist() == [6.0, 24.0]
    assert (tally.splits, tally.paid) == (1, 15.0)


@pytest.mark.parametrize("sampled", [False, True])
def test_nobody_spends_more_than_is_left(sampled: bool) -> None:
    rng = np.random.default_rng(3)
    bidders = campaigns(("a", "b", "c") * 6, budget=rng.uniform(0.01, 3, 18))
    market = item_market(
        ("a", "b", "c"), bidders=bidders, queries=query_types(40, arrivals=rng.uniform(0, 4, 40)), signals=2
    )
    tally = tick_of(market, sampled=sampled)
    assert tally.splits > 5
    assert (tally.campaigns.spend <= bidders.budget).all()
    assert tally.paid == pytest.approx(tally.campaigns.spend.sum(), abs=1e-9)


def test_drawn_queries_stop_at_the_first_that_cannot_be_paid() -> None:
    """Every query costs a 1, and it has 3.5: it wins 3 in all draws of more, then b wins for 1/2 each."""
    known = {"things": np.array([[[1.0, 0.5]]])}
    bidders = campaigns(("a", "b"), budget=[3.5, np.inf])
    market = item_market(
        rules={"first": FirstPrice()}, bidders=bidders, queries=query_types(1, arrivals=[20.0]), known=known
    )
    tally = tick_of(market, sampled=True)
    assert tally.campaigns.spend[0] == 3
    assert tally.campaigns.spend[1] == (tally.arrivals - 3) / 2
    assert tally.campaigns.ended[0] == pytest.approx(3 / tally.arrivals)


def test_both_modes_have_one_mean() -> None:
    market = item_market(types=30, signals=3, queries=query_types(30, arrivals=np.linspace(1, 50, 30)))
    mean = tick_of(market)
    drawn = [tick_of(market, sampled=True, day=day) for day in range(60)]
    for column, whole in zip(
        mean.campaigns[:5], zip(*(tally.campaigns[:5] for tally in drawn), strict=True), strict=True
    ):
        error = np.std(whole, axis=0, ddof=1) / 60**0.5
        assert (np.abs(np.mean(whole, axis=0) - column) <= 4 * error).all()
    assert len({tally.paid for tally in drawn}) == 60


def test_who_takes_part_in_half_of_the_queries() -> None:
    market = item_market(types=2000)
    half = np.array([0.5, 1.0])
    tally, other = tick_of(market, participation=half), tick_of(market, participation=half, day=1)
    assert tally.campaigns.auctions[0] == pytest.approx(1000, abs=100)
    assert tally.campaigns.auctions[1] == 2000
    assert tally.campaigns.spend[0] != other.campaigns.spend[0]
    assert tally.campaigns.spend.tolist() == tick_of(market, participation=half).campaigns.spend.tolist()


def test_whose_brand_has_nobody_pays_nothing() -> None:
    tally = tick_of(item_market(("a", "b"), bidders=campaigns(("a", "a"))))
    assert tally.campaigns.spend.tolist() == [0.0, 0.0]
    assert tally.campaigns.shortlisted.sum() == 8


def test_with_an_entry_price_a_brands_place_costs_what_it_is_worth_to_the_next() -> None:
    """Within a brand the price is the runner-up's score, across brands the rival brand's: the higher of the two."""
    known = {"things": np.array([[[1.0, 0.75, 0.5]]])}
    market = item_market(bidders=campaigns(("a", "a", "b")), queries=query_types(1), known=known, entry_price=True)
    assert tick_of(market).campaigns.spend.tolist() == [0.75, 0.0, 0.0]
    known = {"things": np.array([[[1.0, 0.25, 0.5]]])}
    market = item_market(bidders=campaigns(("a", "a", "b")), queries=query_types(1), known=known, entry_price=True)
    assert tick_of(market).campaigns.spend.tolist() == [0.5, 0.0, 0.0]


def test_no_misreport_gains_where_the_place_has_its_price() -> None:
    """VCG with crosstalk, three campaigns of one brand: whatever the first bids, truth earns most."""
    substrate = QuadraticSubstrate(2, crosstalk=0.5)
    placement = Placement("here", ("a", "b"), substrate, {"vcg": VCG(substrate, 0.5)})
    known = {"things": np.random.default_rng(1).random((40, 1, 4))}
    bidders = campaigns(("a", "a", "a", "b"))

    def gain(entry_price: bool) -> float:
        market = Market(bidders, query_types(40, "here"), {"here": placement}, known=known, entry_price=entry_price)
        utility = []
        for multiplier in (1.0, 0.5, 0.9, 1.2, 2.0):
            won = tick_of(market, multiplier=np.array([multiplier, 1, 1, 1])).campaigns
            utility.append(won.value[0] - won.spend[0])
        return max(utility) - utility[0]

    assert gain(entry_price=True) < 1e-12
    assert gain(entry_price=False) > 0.01


def test_rules_are_chosen_by_name() -> None:
    market = item_market(rules={"second": SecondPrice(), "first": FirstPrice()})
    second, first = tick_of(market), tick_of(market, rule="first")
    assert first.paid > second.paid
    with pytest.raises(ValueError, match="has the rules second, first, got 'third'"):
        tick_of(market, rule="third")


def test_a_placement_that_fits_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="must sell one feature"):
        Placement("two", ("a", "b"), Items(2, 2), {"second": SecondPrice()})
    with pytest.raises(ValueError, match="must name 2 different brands"):
        Placement("two", ("a", "a"), Items(2), {"second": SecondPrice()})
    with pytest.raises(ValueError, match="must have a rule"):
        Placement("two", ("a", "b"), Items(2), {})
    with pytest.raises(ValueError, match="is for the brand 'c'"):
        item_market(bidders=campaigns(("a", "c")))
    with pytest.raises(ValueError, match="has the contexts none, got 'night'"):
        item_market(queries=query_types(1, context=("night",)))
    with pytest.raises(ValueError, match="there are the placements items"):
        item_market(queries=query_types(1, placement="elsewhere"))


def test_a_budget_that_buys_every_query_ends_with_the_last_but_for_rounding() -> None:
    """Three queries at .1 cost more than .3 in doubles: all three are won, and not a hair more than .3 is spent."""
    known = {"things": np.array([[[0.1, 0.05]]])}
    market = item_market(
        rules={"first": FirstPrice()},
        bidders=campaigns(("a", "b"), budget=[0.3, np.inf]),
        queries=query_types(1, arrivals=[3.0]),
        known=known,
    )
    days = [tick_of(market, sampled=True, day=day) for day in range(40)]
    three = [tally for tally in days if tally.arrivals == 3]
    assert three
    assert all(tally.campaigns.spend[0] == 0.3 and tally.campaigns.spend[1] == 0 for tally in three)
    more = [tally for tally in days if tally.arrivals > 3]
    assert all(tally.campaigns.spend.tolist() == [0.3, (tally.arrivals - 3) * 0.05] for tally in more)
