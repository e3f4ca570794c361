"""Doses of allocations."""

import torch

from auctionsim.gold import doses
from auctionsim.gold.doses import bands
from auctionsim.levers import Lever

NEURONS = (Lever("num_neurons", 0.0, 512.0, 0.0), Lever("amplification", 1.0, 2.0, 1.0))


def test_a_dose_is_the_mean_over_bidders_of_the_product_of_the_levers_parts() -> None:
    allocations = torch.tensor(
        [
            [[0.0, 2.0], [512.0, 1.0]],  # both bidders have a lever at its null
            [[512.0, 2.0], [0.0, 1.0]],
            [[512.0, 2.0], [512.0, 2.0]],
            [[256.0, 1.5], [512.0, 1.25]],
        ]
    )
    assert doses(allocations, NEURONS).tolist() == [0.0, 0.5, 1.0, 0.25]


def test_a_lever_that_goes_both_ways_counts_its_reach_each_way() -> None:
    lever = (Lever("scale", -1.0, 3.0, 0.0),)
    assert doses(torch.tensor([[[-1.0]], [[3.0]], [[-0.5]]]), lever).tolist() == [1.0, 1.0, 0.5]


def test_bands_are_thirds_of_the_range() -> None:
    assert bands(torch.tensor([0.0, 0.25, 0.375, 0.5, 0.625])) == [0, 1, 1, 2, 2]
