"""Which bidders share a network: only those of whom it is known that nothing but their draws tells them apart."""

from typing import Any

import pytest
import torch
from torch import Tensor

from auctionsim.agents import EquilibriumLearner, RiskAverse
from auctionsim.envs import build_game
from auctionsim.mechanisms import (
    VCG,
    AllPay,
    DiscriminatoryPrice,
    FirstPrice,
    GeneralizedFirstPrice,
    GeneralizedSecondPrice,
    NearestBid,
    PayAsBid,
    PostedPrice,
    SecondPrice,
    ThirdPrice,
    UniformPrice,
    VickreyUnits,
)
from auctionsim.mechanisms.protocol import is_anonymous
from auctionsim.outcome import Outcome
from auctionsim.priors import Empirical, Uniform
from auctionsim.substrates import Bundles, Items, Positions, QuadraticSubstrate, ResponseSurface, Units

UNIT = Uniform(0, 1)
CLICKS = Positions(4, (1.0, 0.5, 0.25))
ALIKE: list[tuple[Any, Any]] = [
    *(
        (rule, Items(3, 2))
        for rule in (FirstPrice(0.3), SecondPrice(ties="shared"), SecondPrice(0.3), ThirdPrice(0.1), AllPay(0.25))
    ),
    *((rule(Units(3, 4)), Units(3, 4)) for rule in (UniformPrice, DiscriminatoryPrice, VickreyUnits)),
    (GeneralizedFirstPrice(CLICKS), CLICKS),
    (GeneralizedSecondPrice(CLICKS, 0.2), CLICKS),
    *((rule(QuadraticSubstrate(3, 0.4), 0.5), QuadraticSubstrate(3, 0.4)) for rule in (VCG, PayAsBid)),
    *((rule(Units(3, 2)), Units(3, 2)) for rule in (VCG, PayAsBid)),
]


@pytest.mark.parametrize(("rule", "place"), ALIKE, ids=lambda part: type(part).__name__)
def test_rules_that_claim_to_treat_bidders_alike_do(rule: Any, place: Any) -> None:
    assert is_anonymous(rule, place)
    n, m = place.num_bidders, len(place.features)
    bids = torch.rand(200, n, m, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    outcome = rule(bids)
    exposure = place.exposure(outcome.allocation)
    for order in (torch.arange(n).roll(1), torch.arange(n).flip(0)):
        swapped = rule(bids[:, order])
        torch.testing.assert_close(swapped.payments, outcome.payments[:, order])
        torch.testing.assert_close(place.exposure(swapped.allocation), exposure[:, order])
    assert float(exposure.std(1).max()) > 0


class Handicapped(FirstPrice):
    """The second bidder pays half."""

    def charges(self, bids: Tensor, wins: Tensor) -> Tensor:
        return bids * wins * torch.tensor([1.0, 0.5]).view(-1, 1)


class Reserves(FirstPrice):
    """A reserve a bidder, set where one for all belongs."""

    def __init__(self) -> None:
        super().__init__()
        self.reserve = torch.tensor([0.0, 0.5]).view(-1, 1)  # type: ignore[assignment]


def weighted(bids: Tensor, context: Tensor | None = None) -> Outcome:
    del context
    x = FirstPrice()(bids * torch.tensor([1.0, 2.0]).view(-1, 1)).allocation
    return Outcome(x, (x * bids).sum(2))


SURFACE = ResponseSurface.packaged("running-shoes-2@3").sell("slot_probability")
TRIPLE = ResponseSurface.packaged("running-shoes-3@2").sell("slot_probability")


@pytest.mark.parametrize(
    ("rule", "place", "priors"),
    [
        (Handicapped(), Items(2), UNIT),
        (Reserves(), Items(2), UNIT),
        (weighted, Items(2), UNIT),
        (lambda bids, context: FirstPrice()(bids), Items(2), UNIT),  # nothing is known of a function
        (PostedPrice(0.5), Items(2), UNIT),  # the first bidder is asked first
        (FirstPrice(), Items(2), Empirical([0.5, 1.0])),  # ties are common, and go by index
        (VCG(Bundles.llg()), Bundles.llg(), UNIT),
        (NearestBid(), Bundles.llg(), UNIT),
        (PayAsBid(SURFACE, 1.0), SURFACE, UNIT),
        (VCG(SURFACE, 1.0), SURFACE, UNIT),
        (PayAsBid(TRIPLE, 1.0), TRIPLE, UNIT),
        (VCG(QuadraticSubstrate(2)), QuadraticSubstrate(2, 0.5), UNIT),  # played elsewhere than designed
    ],
    ids=lambda part: type(part).__name__,
)
def test_bidders_that_may_differ_have_networks_of_their_own(rule: Any, place: Any, priors: Any) -> None:
    learner = EquilibriumLearner(rule, place, priors, seed=0)
    assert learner.groups == tuple(range(place.num_bidders))
    assert len(learner.networks) == place.num_bidders


def test_exchangeable_bidders_share_one_and_a_different_third_does_not() -> None:
    for rule, place in ALIKE:
        assert EquilibriumLearner(rule, place, UNIT, seed=0).groups == (0,) * place.num_bidders
    priors = [UNIT, Uniform(0, 2), UNIT]
    assert EquilibriumLearner(AllPay(), Items(3), priors, seed=0).groups == (0, 1, 0)
    averse = EquilibriumLearner(FirstPrice(), Items(2), UNIT, seed=0, utility=RiskAverse(0.5))
    assert averse.groups == (0, 0)
    own = EquilibriumLearner(FirstPrice(), Items(2), UNIT, seed=0, utility=lambda value, payment: value - payment)
    assert own.groups == (0, 1)  # what a function does to whom is not known


@pytest.mark.parametrize("setting", ["neuron-pay-as-bid", "neuron-menu", "neuron-auction"])
def test_brands_never_share_a_network(setting: str) -> None:
    game = build_game(setting)
    assert EquilibriumLearner(game.mechanism, game.substrate, game.prior, seed=0).groups == (0, 1)


def test_the_weaker_brand_earns_what_is_there() -> None:
    """Tied to the stronger one's network it earns next to nothing under pay as bid; with its own many times that."""
    game = build_game("neuron-pay-as-bid")
    generator = torch.Generator().manual_seed(5)
    v = game.prior.sample(1 << 11, generator)
    context = torch.randint(len(game.contexts), (len(v),), generator=generator)

    def earned(groups: tuple[int, ...] | None) -> float:
        learner = EquilibriumLearner(game.mechanism, game.substrate, UNIT, seed=0, batch=64, groups=groups)
        strategies = learner.train(50)
        bids = torch.stack([play(v[:, i]) for i, play in enumerate(strategies)], 1)
        outcome = game.mechanism(bids, context)
        utility = (v * game.substrate.exposure(outcome.allocation, context)).sum(2) - outcome.payments
        return float(utility.mean(0).min())

    assert earned(None) > 1.25 * earned((0, 0)) > 0
