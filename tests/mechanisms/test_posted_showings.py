"""Posted showings: prices that no grid beats, who takes what, and truth where a showing adds the same to everybody."""

import math
from pathlib import Path

import pytest
import torch
from shown_list import ShownList, isolated, levels_of, shown_list
from torch import Tensor

from auctionsim import metrics
from auctionsim.mechanisms import PostedShowings, design, load_mechanism, save_mechanism
from auctionsim.mechanisms.posted_showings import gains_of, posted_showings
from auctionsim.mechanisms.posted_thresholds import best_thresholds
from auctionsim.mechanisms.showings import Showings, showings
from auctionsim.mechanisms.table import Problem, entry
from auctionsim.mechanisms.tuned import tuned
from auctionsim.priors import Empirical, Exponential, Prior, Uniform, product
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.seeds import seeded
from auctionsim.substrates import Randomised
from auctionsim.testing import mechanism_checks

F64 = torch.float64
SEARCHED = BoundSettings(use_structure=False)


def pair() -> tuple[Randomised, Showings]:
    """Two brands whose showings add .8 and .5 whatever the other does; the joint entry costs more than both."""
    exposures = torch.tensor([[0.0, 0.0], [0.8, 0.0], [0.0, 0.5], [0.8, 0.5]], dtype=F64)
    view = Randomised(ShownList(levels_of(2, 1), exposures, torch.tensor([0.0, 0.1, 0.2, 0.6])))
    return view, showings(view, 0)


def objective(priors: list[Prior], gains: Tensor, costs: Tensor, thresholds: list[float]) -> float:
    """Return what thresholds bring, by a slow loop over sets of takers."""
    takes = [
        0.0 if math.isinf(at) else 1 - float(prior.cdf(at - 1e-13))
        for prior, at in zip(priors, thresholds, strict=True)
    ]
    total = sum(float(a) * at * p for a, at, p in zip(gains, thresholds, takes, strict=True) if p)
    for number, cost in enumerate(costs.tolist()):
        chance = math.prod(p if number >> i & 1 else 1 - p for i, p in enumerate(takes))
        total -= chance * cost
    return total


def test_who_takes_is_shown_and_pays_its_price() -> None:
    view, shown = pair()
    rule = PostedShowings(view, shown, torch.tensor([0.4, 0.25], dtype=F64))
    bids = torch.tensor([[[0.5], [0.5]], [[0.5], [0.49]], [[0.49], [0.75]], [[0.0], [0.0]]], dtype=F64)
    outcome = rule(bids)
    assert outcome.allocation.argmax(1).tolist() == [3, 1, 2, 0]
    assert outcome.payments.tolist() == [[0.4, 0.25], [0.4, 0.0], [0.0, 0.25], [0.0, 0.0]]
    never = PostedShowings(view, shown, torch.tensor([0.4, math.inf], dtype=F64))(bids + 100)
    assert never.payments.tolist() == [[0.4, 0.0]] * 4


def test_the_price_of_one_offer_with_a_cost() -> None:
    """One bidder, U[0,1]: P(v ≥ θ)(a θ − c) is greatest at θ = ½ + c / 2a."""
    gains, costs = torch.tensor([0.5], dtype=F64), torch.tensor([0.0, 0.1], dtype=F64)
    theta = best_thresholds(product(Uniform(0, 1), 1, 1), gains, costs)
    assert float(theta) == pytest.approx(0.6, abs=1e-7)
    exponential = best_thresholds(product(Exponential(0.5), 1, 1), gains, costs)
    assert float(exponential) == pytest.approx(0.7, abs=1e-6)  # mean + c/a
    assert math.isinf(float(best_thresholds(product(Uniform(0, 1), 1, 1), gains, costs * 5)))
    assert math.isinf(float(best_thresholds(product(Uniform(0, 1), 1, 1), gains * 0, costs)))


def test_prices_sit_on_atoms() -> None:
    """Values .25, .5 and 1, equally likely, at no cost: .5 · ⅔ = ⅓ ties with 1 · ⅓, the lower price is taken."""
    theta = best_thresholds(
        product(Empirical([0.25, 0.5, 1.0]), 1, 1), torch.ones(1, dtype=F64), torch.zeros(2, dtype=F64)
    )
    assert float(theta) == pytest.approx(0.5, abs=1e-12)
    view, shown = isolated([1.0], {})
    rule = posted_showings(view, shown, Empirical([0.25, 0.75, 1.0]))
    assert float(rule.prices) == 0.75
    assert rule(torch.tensor([[[0.75]]])).payments.tolist() == [[0.75]]


@pytest.mark.parametrize("bidders", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_random_thresholds_bring_more(seed: int, bidders: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    priors: list[Prior] = [Uniform(0, 1), Uniform(0.25, 0.75), Empirical([0.25, 0.5, 1.0]), Exponential(0.5)][:bidders]
    gains = torch.rand(bidders, generator=generator, dtype=F64)
    costs = torch.rand(2**bidders, generator=generator, dtype=F64) - 0.25
    best = best_thresholds(product(priors, bidders, 1) if bidders > 1 else product(priors[0], 1, 1), gains, costs)
    reached = objective(priors, gains, costs, best.tolist())
    rivals = torch.rand(400, bidders, generator=generator, dtype=F64).tolist()
    rivals += [[math.inf] * bidders, [0.0] * bidders]
    rivals += [[math.inf if k == i else float(at) for k, at in enumerate(best)] for i in range(bidders)]
    assert reached >= max(objective(priors, gains, costs, each) for each in rivals) - 1e-12


def test_joint_losses_keep_one_brand_out() -> None:
    """Each alone is worth its loss, both together never: the dearer showing is not offered."""
    costs = torch.tensor([0.0, 0.0, 0.0, 10.0], dtype=F64)
    best = best_thresholds(product(Uniform(0, 1), 2, 1), torch.tensor([1.0, 0.9], dtype=F64), costs)
    assert best.tolist() == [pytest.approx(0.5, abs=1e-6), math.inf]


def test_the_design_counts_losses_and_brings_what_it_says() -> None:
    view, shown = pair()
    rule = posted_showings(view, shown, Uniform(0, 1), 0.5)
    thresholds = (rule.prices / gains_of(view, shown)).tolist()
    expected = objective([Uniform(0, 1)] * 2, rule.gains, 0.5 * view.user_losses[rule.entries], thresholds)
    drawn = product(Uniform(0, 1), 2, 1).sample(2**17, seeded(0), F64)
    outcome = rule(drawn)
    brought = metrics.revenue(outcome, view, drawn) - 0.5 * metrics.user_loss(outcome, view, drawn)
    assert float(brought.mean()) == pytest.approx(expected, abs=4 * float(brought.std()) / 2**8.5)
    free = posted_showings(view, shown, Uniform(0, 1))
    assert free.prices.tolist() == pytest.approx([0.4, 0.25], abs=1e-6)
    assert bool((rule.prices > free.prices + 0.02).all())


def test_where_a_showing_adds_the_same_truth_is_dominant() -> None:
    view, shown = pair()
    rule = posted_showings(view, shown, Uniform(0, 1), 0.5)
    assert rule.dsic_proof(view)
    assert rule.dsic_proof(pair()[0]) is None
    bids = torch.rand(16, 2, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    assert ex_post_regret(rule, view, bids, budget=64, bounds=SEARCHED).max == 0
    for check in mechanism_checks(rule, view, dsic=True, individually_rational=True, examples=4):
        check()


def test_crosstalk_takes_the_proof_and_organic_exposure_is_not_sold() -> None:
    exposures = torch.tensor([[0.25, 0.0], [0.75, 0.0], [0.25, 0.5], [0.3, 0.5]], dtype=F64)
    view = Randomised(ShownList(levels_of(2, 1), exposures, torch.zeros(4)))
    rule = posted_showings(view, showings(view, 0), Uniform(0, 1))
    assert rule.gains.tolist() == [0.5, 0.5]
    assert rule.prices.tolist() == pytest.approx([0.25, 0.25], abs=1e-6)
    assert rule.dsic_proof(view) is None
    bids = torch.tensor([[[0.6], [0.8]]], dtype=F64)  # both take, and the first gets .05 for its .25
    found = ex_post_regret(rule, view, bids, budget=64)
    assert found.upper is not None
    assert float(found.lower[0, 0]) == pytest.approx(0.25 - 0.6 * 0.05, abs=1e-6)
    assert float(found.upper[0, 0]) == pytest.approx(0.25 - 0.6 * 0.05, abs=1e-6)


def test_contexts_count_in_the_proof_and_tuning_takes_the_better_strength(tmp_path: Path) -> None:
    view = Randomised(shown_list(3, bidders=2, strengths=2, contexts=2))
    assert posted_showings(view, showings(view, 0), Uniform(0, 1)).dsic_proof(view) is None
    best = tuned(entry("posted-showings"), Problem(view, Uniform(0, 1), 0.25))
    assert best.tried == 2
    assert set(best.settings) == {"strength"}
    save_mechanism(best.mechanism, tmp_path / "rule")
    again = load_mechanism(tmp_path / "rule", view)
    bids = torch.rand(8, 2, 1, generator=torch.Generator().manual_seed(0))
    for here, there in zip(again(bids, torch.arange(8) % 2), best.mechanism(bids, torch.arange(8) % 2), strict=True):
        assert torch.equal(here, there)


def test_what_cannot_be_posted_is_refused() -> None:
    view, shown = isolated([0.5, 0.5, 0.5], {(0, 1): [0.25, 0.25]})
    with pytest.raises(ValueError, match=r"no entry of the range shows the bidders \[0, 2\] together"):
        PostedShowings(view, shown, torch.zeros(3))
    with pytest.raises(ValueError, match="every set of bidders"):
        design("posted-showings", view, Uniform(0, 1))
    view, shown = pair()
    for prices in (torch.zeros(3), torch.tensor([-0.1, 0.0]), torch.tensor([math.nan, 0.0])):
        with pytest.raises(ValueError, match="prices must be 2 numbers >= 0"):
            PostedShowings(view, shown, prices)
