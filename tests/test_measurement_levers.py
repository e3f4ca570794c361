"""Any subset of the levers, one to three brands on a grid, more on a list; each carried into auctions."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts

from auctionsim.measurement import LeverSetting, MeasurementSettings, levels_of, measure, sparse_allocations
from auctionsim.mechanisms import VCG, VirtualWelfareMaximizer, train_affine_maximizer
from auctionsim.priors import Uniform
from auctionsim.substrates import MeasuredList, ResponseSurface
from auctionsim.testing import check_mechanism

SMALL = replace(SETTINGS, samples=2, max_new_tokens=3, rows=64)
NAMES = ("or", "the|to", "and", "you", "are")


def measured(folder: Path, brands: int, settings: MeasurementSettings, **more: torch.Tensor) -> object:
    model = fake_model()
    neurons = fake_neurons(model, ",".join(NAMES[:brands]))
    return measure(folder, model, neurons, fake_prompts(3), settings, **more)


def test_a_fixed_number_of_neurons_leaves_amplification_alone(tmp_path: Path) -> None:
    settings = replace(SMALL, num_neurons=(20.0,), amplification=(1.0, 2.0, 3.0))
    surface = measured(tmp_path / "one", 2, settings)
    assert isinstance(surface, ResponseSurface)
    assert [lever.name for lever in surface.levers] == ["amplification"]
    assert surface.provenance["fixed_levers"] == {"num_neurons": 20.0}
    assert surface.null_allocation(1).shape == (1, 2, 1)
    both = measured(tmp_path / "both", 2, replace(settings, num_neurons=(0.0, 20.0)))
    assert isinstance(both, ResponseSurface)
    assert both.provenance["fixed_levers"] == {}
    x = torch.tensor([[[1.0], [1.0]], [[3.0], [1.0]], [[2.0], [3.0]]], dtype=torch.float64)
    wide = torch.cat([torch.full_like(x, 20.0), x], 2)
    assert torch.equal(surface.exposure(x), both.exposure(wide))  # the same units, to the last bit
    assert torch.equal(surface.user_loss(x), both.user_loss(wide))


def test_a_fixed_amplification_leaves_the_number_of_neurons_alone(tmp_path: Path) -> None:
    surface = measured(tmp_path, 1, replace(SMALL, num_neurons=(0.0, 8.0, 20.0), amplification=(3.0,)))
    assert isinstance(surface, ResponseSurface)
    assert [grid.values for grid in surface.grids] == [(0.0, 8.0, 20.0)]
    assert surface.provenance["fixed_levers"] == {"amplification": 3.0}
    assert surface.separable
    assert surface.user_loss(torch.tensor([[[0.0]], [[20.0]]], dtype=torch.float64)).tolist()[0] == 0


@pytest.mark.parametrize("brands", [1, 2, 3])
def test_a_surface_of_one_two_or_three_brands_is_auctioned(brands: int, tmp_path: Path) -> None:
    settings = replace(SMALL, num_neurons=(20.0,), amplification=(1.0, 2.0, 3.0))
    surface = measured(tmp_path, brands, settings)
    assert isinstance(surface, ResponseSurface)
    assert len(surface.contexts) == 3
    assert surface.replicates["A"].features.mean.shape == (3, *(3,) * brands, brands, 4)
    surface.save(tmp_path / "s.safetensors")
    again = ResponseSurface.load(tmp_path / "s.safetensors")
    assert again == surface
    auctioned(again.sell("mention_probability"))


def auctioned(sold: ResponseSurface | MeasuredList) -> None:
    """Every honest mechanism runs on it, exactly truthful and individually rational."""
    prior = Uniform(0.0, 1.0)
    for mechanism in (
        VCG(sold, 0.5),
        VirtualWelfareMaximizer(sold, prior, 0.5),
        train_affine_maximizer(sold, prior, 0.5, steps=3, batch=32, seed=0),
    ):
        check_mechanism(mechanism, sold, dsic=True, individually_rational=True, examples=8)


@pytest.mark.parametrize("brands", [4, 5])
def test_more_brands_are_measured_on_a_list(brands: int, tmp_path: Path) -> None:
    allocations = sparse_allocations(brands, [LeverSetting(16.0, 3.0)])
    listed = measured(tmp_path, brands, SMALL, allocations=allocations)
    assert isinstance(listed, MeasuredList)
    assert torch.equal(listed.allocations, allocations)
    assert [(lever.name, lever.low, lever.high) for lever in listed.levers] == [
        ("num_neurons", 0.0, 16.0),
        ("amplification", 1.0, 3.0),
    ]
    assert "num_neurons" not in listed.provenance["settings"]
    listed.save(tmp_path / "l.safetensors")
    again = MeasuredList.load(tmp_path / "l.safetensors")
    assert again == listed
    auctioned(again.sell("slot_probability"))
    with pytest.raises(ValueError, match=rf"the grid of {brands} has {6**brands} cells: measure a list"):
        measured(tmp_path / "grid", brands, SMALL)


def test_a_list_says_what_its_units_say(tmp_path: Path) -> None:
    """The same interventions as a grid's, in another order and once twice: the same exact scores."""
    settings = replace(SMALL, num_neurons=(0.0, 8.0), amplification=(1.0, 3.0))
    surface = measured(tmp_path / "grid", 2, settings)
    on, off = [8.0, 3.0], [0.0, 1.0]
    entries = torch.tensor([[on, on], [off, [8.0, 1.0]], [off, on], [on, off], [on, on]], dtype=torch.float64)
    listed = measured(tmp_path / "list", 2, settings, allocations=entries)
    assert isinstance(surface, ResponseSurface)
    assert isinstance(listed, MeasuredList)
    for name in ("slot_probability", "intent", "hits"):
        ours, theirs = listed.sell(name).exposure(entries), surface.sell(name).exposure(entries)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-9)


def test_sparse_lists_have_null_singles_pairs_and_all() -> None:
    listed = sparse_allocations(4, [LeverSetting(8.0, 2.0), LeverSetting(16.0, 1.5)])
    active = listed[..., 0] > 0
    assert len(listed) == 1 + 2 * (4 + 6 + 1)
    assert active.sum(1).tolist() == [0, *[1] * 4, *[2] * 6, 4, *[1] * 4, *[2] * 6, 4]
    assert len(listed.flatten(1).unique(dim=0)) == len(listed)
    assert levels_of(MeasurementSettings((0.0, 8.0), (1.0, 2.0, 3.0))) == [(8.0, 2.0), (8.0, 3.0)]
    assert len(sparse_allocations(2, [LeverSetting(8.0, 2.0)])) == 4  # both is a pair already


@pytest.mark.parametrize(
    ("allocations", "message"),
    [
        (torch.ones(3, 2, 1), r"allocations must be of shape \(entry, bidder=2, lever=2\)"),
        (torch.ones(3, 3, 2), r"bidder=2"),
        (torch.full((1, 2, 2), 2.0), "the null must be among the allocations"),
        (torch.full((1, 2, 2), -1.0), "must be finite and >= 0"),
        (
            torch.tensor([[[0.0, 1.0]] * 2, [[99.0, 2.0]] * 2]),
            r"neurons takes num_neurons in \[0, 32\], .* got \[\[99\.0, 2\.0\]",
        ),
    ],
)
def test_bad_lists_are_refused(allocations: torch.Tensor, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        measured(tmp_path, 2, SMALL, allocations=allocations)
    assert not list(tmp_path.iterdir())


def test_both_levers_cannot_be_fixed() -> None:
    with pytest.raises(ValueError, match="a lever must vary: num_neurons is fixed at 8 and amplification at 2"):
        MeasurementSettings((8.0,), (2.0,))
    with pytest.raises(ValueError, match="one other value at which it is fixed"):
        MeasurementSettings((0.0,), (1.0, 2.0))


def test_modes_and_positions_reach_the_model(tmp_path: Path) -> None:
    settings = replace(SMALL, num_neurons=(20.0,), amplification=(1.0, 3.0))
    reply, everything = (
        measured(tmp_path / positions, 1, replace(settings, positions=positions)) for positions in ("reply", "all")
    )
    assert isinstance(reply, ResponseSurface)
    assert isinstance(everything, ResponseSurface)
    on = torch.tensor([[[3.0]]], dtype=torch.float64)
    assert not torch.allclose(reply.user_loss(on), everything.user_loss(on), rtol=1e-3)
    assert everything.provenance["settings"]["positions"] == "all"
    with pytest.raises(ValueError, match="mode 'clamp' needs the neurons' references"):
        measured(tmp_path / "clamp", 1, replace(settings, mode="clamp"))
    with pytest.raises(ValueError, match="positions must be one of"):
        measured(tmp_path / "nowhere", 1, replace(settings, positions="nowhere"))
