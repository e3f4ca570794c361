"""The dose of an allocation: how far all bidders' levers together are from the untouched model, from 0 to 1."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.levers import Lever, at_null

BANDS = 3
"""Of the dose, equally wide: labels are drawn in each."""


def doses(allocations: Float[Tensor, "entry bidder lever"], levers: tuple[Lever, ...]) -> Float[Tensor, " entry"]:
    """Return each allocation's dose.

    A lever's part is its distance from its null, over the farthest that it goes that way. A bidder's is the product
    over its levers, so 0 where one of them is at its null. The dose is the mean over bidders: of one lever per bidder
    from 0 to 1 it is the mean of the levers.

    Example:
        >>> doses(torch.tensor([[[0.5], [1.0]]]), (Lever("boost", 0.0, 1.0, 0.0),))
        tensor([0.7500])
    """
    levels = at_null(allocations, levers)
    null, low, high = (
        levels.new_tensor([lever._asdict()[name] for lever in levers]) for name in ("null", "low", "high")
    )
    reach = torch.where(levels >= null, high - null, null - low)
    return ((levels - null).abs() / torch.where(reach > 0, reach, torch.ones_like(reach))).prod(2).mean(1)


def bands(dose: Float[Tensor, " entry"]) -> list[int]:
    """Return each entry's band of the dose, 0 to 2: thirds of the range that there is."""
    share = dose / dose.max().clamp_min(1e-12)
    return (share * BANDS).floor().clamp(0, BANDS - 1).to(torch.int64).tolist()
