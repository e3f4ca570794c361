"""Rules from a grid: reserves are second price with one item and stay truthful elsewhere; priors are the market's."""

import numpy as np
import pytest
import torch

from auctionsim.errors import InputError
from auctionsim.market import Placement
from auctionsim.market.rule_designs import RuleDesign, grid, score_priors, with_rules
from auctionsim.mechanisms import VCG, SecondPrice, VirtualWelfareMaximizer
from auctionsim.priors import Uniform
from auctionsim.substrates import Items, QuadraticSubstrate
from tests.market_fakes import campaigns, item_market, item_placement, query_types


def test_a_reserve_on_one_item_is_second_price_with_it() -> None:
    scores = torch.rand(200, 3, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for name in ("vcg", "second-price"):
        rule = RuleDesign(name, reserve=0.5).designed(Items(3), Uniform(0, 1))
        torch.testing.assert_close(rule(scores).payments, SecondPrice(reserve=0.5)(scores).payments)


def test_a_reserve_on_a_substrate_weighs_scores_above_it() -> None:
    """Quadratic substrate, one lever each: the lever maximises (b − r) x − λ x² / 2, so x = min((b − r)⁺ / λ, 1)."""
    view = QuadraticSubstrate(2)
    rule = RuleDesign("vcg", user_weight=2.0, reserve=0.3).designed(view, Uniform(0, 1))
    bids = torch.tensor([[[0.9], [0.2]], [[0.5], [0.8]]], dtype=torch.float64)
    levers = ((bids[..., 0] - 0.3).clamp_min(0) / 2.0).clamp_max(1)
    torch.testing.assert_close(view.exposure(rule(bids).allocation)[..., 0], levers)
    assert float(rule(bids).payments[0, 1]) == 0


def test_truth_stays_dominant_under_a_reserve() -> None:
    """Every valuation and misreport on a grid of quarters, against every rival's bid; with crosstalk."""
    view = QuadraticSubstrate(2, crosstalk=0.5)
    rule = RuleDesign("vcg", user_weight=0.5, reserve=0.25).designed(view, Uniform(0, 1))
    steps = torch.arange(0.0, 1.25, 0.25, dtype=torch.float64)
    own, rival = torch.meshgrid(steps, steps, indexing="ij")
    outcome = rule(torch.stack([own.ravel(), rival.ravel()], 1).unsqueeze(2))
    exposure = view.exposure(outcome.allocation)[:, 0, 0].view(5, 5)
    utility = steps[:, None, None] * exposure - outcome.payments[:, 0].view(5, 5)  # valuation, report, rival
    truthful = utility[torch.arange(5), torch.arange(5)]
    assert float((utility - truthful.unsqueeze(1)).max()) <= 1e-9
    assert float(truthful.min()) >= -1e-9
    assert float(truthful.max()) > 0.1


def test_a_grid_becomes_the_rules_of_a_placement() -> None:
    view = QuadraticSubstrate(2)
    placement = Placement("here", ("a", "b"), view, {"old": VCG(view)})
    rules = with_rules(placement, grid(["vcg", "optimum"], [0.0, 0.5]), Uniform(0, 1)).rules
    assert list(rules) == ["vcg", "vcg, user weight 0.5", "optimum", "optimum, user weight 0.5"]
    assert [type(rule) for rule in rules.values()] == [VCG, VCG, VirtualWelfareMaximizer, VirtualWelfareMaximizer]
    assert [rule.user_weight for rule in rules.values()] == [0.0, 0.5, 0.0, 0.5]  # type: ignore[attr-defined]
    assert list(with_rules(placement, [RuleDesign("vcg", name="mine")], Uniform(0, 1)).rules) == ["mine"]


def test_what_cannot_be_designed_is_refused() -> None:
    items = item_placement(("a", "b"))
    for designs, words in (
        (
            lambda: [RuleDesign("optimum", reserve=0.2)],
            "a reserve can be designed into vcg, second-price, got 'optimum'",
        ),
        (lambda: [RuleDesign("vcg"), RuleDesign("vcg")], "got 'vcg' twice"),
        (lambda: [RuleDesign("generalized-second-price")], "Positions"),
        (lambda: [RuleDesign("vcg", settings={"width": 1.0})], "has no knob 'width'"),
        (lambda: [], "must have a rule"),
    ):
        with pytest.raises(InputError, match=words):
            with_rules(items, designs(), Uniform(0, 1))


def test_priors_are_of_the_best_truthful_score_per_brand() -> None:
    bidders = campaigns(("a", "a", "b", "a"), relevance=[1.0, 0.5, 0.8, 1.0], arrival=[0.0, 0.0, 0.0, 1.0])
    queries = query_types(5, relevance=np.linspace(0.2, 1.0, 5), arrivals=[1.0, 2.0, 0.0, 1.0, 3.0])
    market = item_market(bidders=bidders, queries=queries, signals=2, seed=4)
    worth = market.valuations("things") * np.array([1.0, 0.5, 0.8, 1.0]) * np.linspace(0.2, 1.0, 5)[:, None, None]
    best = {"a": worth[..., :2].max(2), "b": worth[..., 2]}
    weights = np.array([1.0, 2.0, 0.0, 1.0, 3.0])[:, None] / 2
    for prior, brand in zip(score_priors(market, "items"), ("a", "b"), strict=True):
        assert prior.mean == pytest.approx(float((best[brand] * weights).sum() / 7))
        assert prior.high == pytest.approx(float(best[brand][weights[:, 0] > 0].max()))


def test_a_brand_without_a_campaign_has_no_prior() -> None:
    with pytest.raises(InputError, match="no campaign stands for the brand 'b' of placement 'items' on day 0"):
        score_priors(item_market(bidders=campaigns(("a", "a"))), "items")
    with pytest.raises(InputError, match="placement must be one of items, got 'elsewhere'"):
        score_priors(item_market(), "elsewhere")
