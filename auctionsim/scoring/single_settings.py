"""Settings of one bidder's levers, rivals untouched: all of a grid, and the one that raises its exposure most."""

from collections.abc import Iterator

import torch
from torch import Tensor

from auctionsim.substrates.measurements import REPLICATES
from auctionsim.substrates.surface import ResponseSurface


def best_single_setting(surface: ResponseSurface, bidder: int, feature: str, loss_limit: float) -> Tensor | None:
    """Return the levers (lever,) that raise a brand's feature most, rivals at null, or None where none raises it.

    Both replicates and all contexts are pooled. The gain is taken one standard error lower than measured, the user loss
    one higher; it must stay under the limit. Ties go to the first setting of the grid.
    """
    index = surface.measured_features.index(feature)
    best, best_gain = None, 0.0
    for setting in single_settings(surface):
        allocation = surface.null_allocation(2, dtype=torch.float64)
        allocation[1, bidder] = setting
        views = [surface.sell(surface.measured_features[index]).replicate(name) for name in REPLICATES]
        exposure = torch.stack([view.exposure(allocation)[:, bidder, 0] for view in views]).mean(0)
        errors = [view.standard_error(allocation) for view in views]
        spread = torch.stack([error.exposure[:, bidder, 0].square() for error in errors]).sum(0).sqrt() / len(views)
        loss = torch.stack([view.user_loss(allocation)[1] for view in views]).mean()
        loss_error = torch.stack([error.user_loss[1].square() for error in errors]).sum().sqrt() / len(views)
        gain = float(exposure[1] - exposure[0] - spread.square().sum().sqrt())
        if gain > best_gain and float(loss + loss_error) < loss_limit:
            best, best_gain = setting, gain
    return best


def single_settings(surface: ResponseSurface) -> Iterator[Tensor]:
    """Yield every setting of one bidder's levers that is not its null."""
    grids = [torch.tensor(grid.values, dtype=torch.float64) for grid in surface.grids]
    nulls = torch.tensor([grid.null for grid in surface.grids], dtype=torch.float64)
    for setting in torch.cartesian_prod(*grids).view(-1, len(grids)):  # one grid alone comes flat
        if bool((setting != nulls).all()):
            yield setting
