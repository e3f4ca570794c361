"""A view of a substrate that sells some of its features."""

import copy
import pickle

import pytest
import torch

from auctionsim.substrates import Items, Selling, Substrate, Units, contexts_of


def test_it_is_the_substrate_with_fewer_features(generator: torch.Generator) -> None:
    whole = Items(2, 3)
    view = Selling(whole, "item_2", "item_0")
    assert isinstance(view, Substrate)
    assert (view.num_bidders, view.features, contexts_of(view)) == (2, ("item_2", "item_0"), ())
    weights = torch.rand(5, 2, 2, generator=generator)
    best = view.maximise(weights, 0.0)
    every = torch.stack([weights[..., 1], torch.zeros(5, 2), weights[..., 0]], dim=2)
    assert torch.equal(best, whole.maximise(every, 0.0))
    assert torch.equal(view.exposure(best), whole.exposure(best)[..., [2, 0]])
    exposure, loss = view.observe(best)
    assert torch.equal(exposure, view.exposure(best))
    assert torch.equal(loss, view.user_loss(best))
    assert bool(view.feasible(view.null_allocation(2)).all())
    assert not hasattr(view, "num_items")  # nothing else of the substrate is seen through it
    assert copy.copy(view) == view
    assert pickle.loads(pickle.dumps(view)) == view
    assert copy.deepcopy(view).features == view.features


@pytest.mark.parametrize("features", [(), ("unit_1", "unit_1"), ("item_0",)])
def test_it_refuses_what_is_not_there(features: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="features to sell"):
        Selling(Units(2, 2), *features)
