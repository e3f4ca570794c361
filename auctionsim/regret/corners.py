"""The worst ex-interim regret of piecewise-constant strategies, over a whole interval of valuations at once.

Estimand. Strategies bid the constant β_ik on the cell [edge_k, edge_{k+1}]. For each bidder and cell,

    max over v in the cell of  sup_b [v E e_i(b) − E t_i(b)]  −  [v E e_i(β_ik) − E t_i(β_ik)].

Valuations are independent and one number each, and utility is quasi-linear, so the first term is a supremum of
functions affine in v, hence convex, and the second is affine on the cell. Their difference is convex: its maximum
over the cell lies at a corner, and two evaluations bound the regret of every valuation between them. Nothing is
assumed about the mechanism.

Both corners' numbers are those of `ex_interim.py`: estimates from the bids tried, with intervals at half the miss
each, and certified where that module certifies.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_amounts, checked_tensor
from auctionsim.errors import InputError
from auctionsim.metrics import Interval
from auctionsim.priors import Priors, product
from auctionsim.regret.confidence import checked_miss
from auctionsim.regret.estimate import AnyMechanism, RegretEstimate
from auctionsim.regret.ex_interim import DEFAULT_DRAWS, ex_interim_regret
from auctionsim.regret.settings import InterimSettings
from auctionsim.substrates.protocol import Substrate


def corner_regret(
    mechanism: AnyMechanism,
    substrate: Substrate,
    priors: Priors,
    edges: Tensor,
    bids: Tensor,
    *,
    draws: int = DEFAULT_DRAWS,
    confidence: float = 0.95,
    generator: torch.Generator | None = None,
    context: int | None = None,
    budget: int = InterimSettings.budget,
) -> RegretEstimate:
    """Bound the regret of every valuation of every cell by that of its corners.

    Args:
        mechanism: Any callable bids, context → outcome.
        substrate: One feature.
        priors: What valuations are drawn from; their supports must lie within the edges.
        edges: (cell + 1,), increasing.
        bids: (cell, bidder), what each bidder bids in each cell.
        draws: Of the others' valuations, half to choose and half to score.
        confidence: Of each cell's interval.
        generator: Draws everything; None takes seed 0.
        context: Index of the public context; None: the mean over all of the game played in each, still convex.
        budget: Bids among which a best response is chosen.
    Returns:
        Rows are cells: `lower` the larger corner's estimate, `pointwise` an interval for the cell's maximum, `upper` a
        certified bound on it where there is one, `mean` the average over cells, `interval` of `pointwise`'s averages.
    Raises:
        ValueError: More than one feature, edges that do not increase or do not cover the priors, or bad bids.
    """
    n = substrate.num_bidders
    if len(substrate.features) != 1:
        raise InputError(f"cells are intervals: one feature is needed, got {substrate.features}")
    prior = product(priors, n)
    checked_tensor(edges, "edges")
    if edges.ndim != 1 or len(edges) < 2 or not bool((edges.diff() > 0).all()) or float(edges[0]) < 0:
        raise InputError(f"edges must be an increasing vector of numbers >= 0, got {edges.tolist()}")
    if float(edges[0]) > float(prior.low.min()) or float(edges[-1]) < float(prior.high.max()):
        raise InputError(
            f"edges must cover the priors: {float(prior.low.min())} … {float(prior.high.max())} is not within "
            f"{float(edges[0])} … {float(edges[-1])}"
        )
    cells = len(edges) - 1
    checked_amounts(checked_tensor(bids, "bids").unsqueeze(-1), n, 1, "bids")
    if len(bids) != cells:
        raise InputError(f"bids must have one row a cell: {len(bids)} for {cells}")
    corners = torch.cat([edges[:-1], edges[1:]]).to(bids).view(-1, 1, 1).expand(-1, n, 1).contiguous()
    estimate = ex_interim_regret(
        mechanism,
        substrate,
        prior,
        valuations=corners,
        strategies=[_StepFunction(edges.to(bids), bids[:, i]) for i in range(n)],
        draws=draws,
        confidence=1 - checked_miss(confidence) / 2,
        generator=generator,
        context=context,
        settings=InterimSettings(reports=bids.repeat(2, 1).unsqueeze(2), budget=budget),
    )
    assert estimate.pointwise is not None
    pairs = estimate.lower.view(2, cells, n)
    worse = pairs.max(0)
    pointwise = estimate.pointwise.view(2, 2, cells, n).amax(1)
    best = estimate.best_misreports.view(2, cells, n, 1)
    return RegretEstimate(
        lower=worse.values,
        upper=None if estimate.upper is None else estimate.upper.view(2, cells, n).amax(0),
        best_misreports=best.gather(0, worse.indices[None, ..., None])[0],
        mean=float(worse.values.mean()),
        max=float(worse.values.max()),
        interval=Interval(float(pointwise[0].mean()), float(pointwise[1].mean())),
        method=f"corners of {cells} cells; {estimate.method}",
        budget=budget,
        pointwise=pointwise,
        bids_up_to=None if estimate.bids_up_to is None else estimate.bids_up_to.view(2, cells, n, 1).amin(0),
    )


class _StepFunction:
    """The strategy that bids one constant a cell; a valuation on an edge belongs to the cell above it."""

    def __init__(self, edges: Float[Tensor, " edge"], bids: Float[Tensor, " cell"]) -> None:
        self.edges, self.bids = edges, bids

    def __call__(self, valuations: Tensor) -> Tensor:
        """Return the bid of each valuation's cell."""
        cell = torch.searchsorted(self.edges.to(valuations), valuations.contiguous(), right=True) - 1
        return self.bids.to(valuations)[cell.clamp(0, len(self.bids) - 1)]
