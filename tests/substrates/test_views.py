"""A view of a substrate: some of its features sold, one of its losses charged."""

import copy
import pickle

import pytest
import torch
from measured_fakes import fake_surface

from auctionsim.substrates import (
    BaseSubstrate,
    Items,
    Offer,
    QuadraticSubstrate,
    Substrate,
    Units,
    View,
    contexts_of,
    maximises_exactly,
)


def test_it_is_the_substrate_with_fewer_features(generator: torch.Generator) -> None:
    whole = Items(2, 3)
    view = View(whole, ["item_2", "item_0"])
    assert isinstance(view, Substrate)
    assert (view.num_bidders, view.features, contexts_of(view)) == (2, ("item_2", "item_0"), ())
    weights = torch.rand(5, 2, 2, generator=generator)
    best = view.maximise(weights, 0.0)
    every = torch.stack([weights[..., 1], torch.zeros(5, 2), weights[..., 0]], dim=2)
    assert torch.equal(best, whole.maximise(every, 0.0))
    assert torch.equal(view.exposure(best), whole.exposure(best)[..., [2, 0]])
    exposure, losses = view.observe(best)
    assert torch.equal(exposure, view.exposure(best))
    assert torch.equal(losses["loss"], view.user_loss(best))
    assert bool(view.feasible(view.null_allocation(2)).all())
    assert not hasattr(view, "num_items")  # nothing else of the substrate is seen through it
    assert copy.copy(view) == view
    assert pickle.loads(pickle.dumps(view)) == view
    assert copy.deepcopy(view).features == view.features
    assert view.sell("item_1").features == ("item_1",)


def test_copies_and_pickles_leave_claims_as_they_are() -> None:
    """Python notes on a class that its objects were copied; that is no change to what they do."""
    surface = fake_surface()
    for one in (View(Items(2), ["item_0"]), surface, surface.sell("hits"), BaseSubstrate()):
        copy.copy(one), pickle.loads(pickle.dumps(one))
    assert maximises_exactly(surface)
    assert maximises_exactly(View(surface, ["hits"]))


@pytest.mark.parametrize("features", [[], ["unit_1", "unit_1"], ["item_0"]])
def test_it_refuses_what_is_not_there(features: list[str]) -> None:
    with pytest.raises(ValueError, match="features to sell"):
        View(Units(2, 2), features)


def test_a_weight_of_the_loss_is_a_part_of_its_price(generator: torch.Generator) -> None:
    whole = QuadraticSubstrate(2, 0.5)
    view = View(whole, Offer("exposure", {"loss": 0.25}))
    weights = torch.rand(5, 2, 1, generator=generator)
    best = view.maximise(weights, 2.0)
    assert torch.equal(best, whole.maximise(weights, 0.5))
    assert torch.equal(view.user_loss(best), 0.25 * whole.user_loss(best))
    assert str(view.charged_loss) == "0.25 loss, 0.25 (loss)"


def test_offers_are_values() -> None:
    offer = Offer(("hits",), {"length": 1, "kl": 0.3})
    assert offer == Offer(["hits"], {"kl": 0.3, "length": 1.0})
    assert pickle.loads(pickle.dumps(offer)) == offer
    assert hash(offer) == hash(Offer("hits", offer.loss))
    assert offer != Offer("hits")
    assert offer.loss_name == "0.3 kl + 1 length"
    assert offer.loss_unit({"kl": "nats a token", "length": "tokens"}) == "0.3 (nats a token) + 1 (tokens)"
    assert Offer("hits", {"a": 1, "b": 2}).loss_unit({"a": "votes", "b": "votes"}) == "votes"
    assert offer.charge({"kl": 1.0, "length": -2.0}) == pytest.approx(-1.7)
    with pytest.raises(AttributeError, match="does not change"):
        offer.features = ()
    for loss in ({}, {"kl": 0.0}, {"kl": float("-inf")}, {"kl": float("inf")}, {"kl": True}):
        with pytest.raises(ValueError, match="loss"):
            Offer("hits", loss)
