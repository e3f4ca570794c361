"""Fake measurements for tests: smooth functions with crosstalk, sampled on a grid or a list, two noisy replicates."""

import torch
from torch import Tensor

from auctionsim.experiments.running.subsets import joint_settings
from auctionsim.levers import at_null
from auctionsim.substrates import Lever, LeverGrid, MeasuredList, Measurement, Replicate, ResponseSurface

FEATURES = ("slot_probability", "hits")
CONTEXTS = ("direct", "comparison", "loose")
NEURONS = LeverGrid("num_neurons", (0.0, 64.0, 256.0), 0.0)
AMPLIFICATION = LeverGrid("amplification", (1.0, 1.5, 3.0), 1.0)
LEVERS = (Lever("num_neurons", 0.0, 256.0, 0.0), Lever("amplification", 1.0, 3.0, 1.0))
PROVENANCE = {
    "brands": ["Nike", "Adidas", "Puma", "Asics"],
    "category": "running shoes",
    "model": "fake:0123456789abcdef",
    "command": "pytest",
    "seed": 0,
}


def grid_nodes(grids: tuple[LeverGrid, ...], num_bidders: int) -> Tensor:
    """Return all nodes, (cell, bidder, lever), float64, bidder 0's first lever outermost."""
    axes = [torch.tensor(grid.values, dtype=torch.float64) for grid in grids] * num_bidders
    return torch.cartesian_prod(*axes).view(-1, num_bidders, len(grids))


def fake_replicates(
    allocations: Tensor, shape: tuple[int, ...], levers: tuple[Lever, ...] = LEVERS, seed: int = 0
) -> dict[str, Replicate]:
    """Measure a made-up model: own strength raises exposure, rivals' lowers it, the user pays for the sum squared."""
    generator = torch.Generator().manual_seed(seed)
    meaning = at_null(allocations, levers)
    _, group = torch.unique(meaning.flatten(1), dim=0, return_inverse=True)
    groups = int(group.max()) + 1

    def noise(*rest: int) -> Tensor:  # one draw an intervention, shared by all its cells
        return torch.rand(len(CONTEXTS), groups, *rest, generator=generator, dtype=torch.float64)[:, group]

    def measurement(mean: Tensor) -> Measurement:
        rest = mean.shape[2:]
        counts = torch.randint(16, 64, (len(CONTEXTS), groups, *rest), generator=generator)[:, group]
        parts = (mean, 0.01 + 0.05 * noise(*rest), counts)
        return Measurement(*(part.reshape(len(CONTEXTS), *shape, *rest) for part in parts))

    span = torch.tensor([lever.high - lever.low for lever in levers], dtype=torch.float64)
    nulls = torch.tensor([lever.null for lever in levers], dtype=torch.float64)
    strength = ((meaning - nulls) / span).abs().prod(2).unsqueeze(0) * torch.tensor(
        [[[1.0]], [[0.7]], [[0.4]]]
    ).double()
    rivals = strength.sum(2, keepdim=True) - strength
    n = allocations.shape[1]

    def replicate() -> Replicate:
        slot = 0.05 + 0.8 * strength * torch.exp(-rivals) + 0.05 * noise(n)
        hits = 0.1 + 1.5 * strength * (1 - 0.5 * strength) / (1 + rivals) + 0.05 * noise(n)
        return Replicate(
            measurement(torch.stack([slot, hits], 3)),
            {"kl": measurement(strength.sum(2).square() / 4 + 0.01 * noise() * (strength.sum(2) > 0))},
            {"repetition_rate": measurement(strength.sum(2) / 8), "say_probability": measurement(0.9 * noise(n))},
        )

    return {"A": replicate(), "B": replicate()}


def fake_subsets(num_brands: int = 3) -> MeasuredList:
    """Return every subset of the brands amplified, the others at null."""
    allocations = joint_settings(num_brands, NEURONS.values[-1], AMPLIFICATION.values[-1])
    return MeasuredList(
        levers=LEVERS,
        allocations=allocations,
        features=FEATURES,
        contexts=CONTEXTS,
        replicates=fake_replicates(allocations, (len(allocations),)),
        provenance={**PROVENANCE, "brands": PROVENANCE["brands"][:num_brands]},
    )


def fake_surface(
    num_bidders: int = 2, grids: tuple[LeverGrid, ...] = (NEURONS, AMPLIFICATION), seed: int = 0
) -> ResponseSurface:
    """Return a surface whose two replicates differ by noise."""
    shape = tuple(len(grid.values) for grid in grids) * num_bidders
    levers = tuple(Lever(grid.name, grid.values[0], grid.values[-1], grid.null) for grid in grids)
    return ResponseSurface(
        grids=grids,
        num_bidders=num_bidders,
        features=FEATURES,
        contexts=CONTEXTS,
        replicates=fake_replicates(grid_nodes(grids, num_bidders), shape, levers, seed),
        provenance=PROVENANCE,
    )


def listed_allocations(num_bidders: int = 4) -> Tensor:
    """Return single bidders at first, the null third and once more in other words, then each bidder at two settings."""
    alone = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(2 * num_bidders + 4, num_bidders, 1)
    alone[0, 0] = torch.tensor([64.0, 2.0])
    alone[1, 1] = torch.tensor([128.0, 1.5])
    alone[3, 0] = torch.tensor([0.0, 2.0])  # 0 neurons: the null again
    for bidder in range(num_bidders):
        alone[4 + bidder, bidder] = torch.tensor([256.0, 3.0])
        alone[4 + num_bidders + bidder] = torch.tensor([32.0 * (bidder + 1), 1.25])
    return alone


def fake_list(num_bidders: int = 4, seed: int = 0) -> MeasuredList:
    """Return a measured list whose two replicates differ by noise."""
    allocations = listed_allocations(num_bidders)
    return MeasuredList(
        levers=LEVERS,
        allocations=allocations,
        features=FEATURES,
        contexts=CONTEXTS,
        replicates=fake_replicates(allocations, (len(allocations),), seed=seed),
        provenance=PROVENANCE,
    )
