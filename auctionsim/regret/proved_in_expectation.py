"""Ex-interim regret where a mechanism proves that truth is a best reply in expectation: no draws, no search."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.mechanisms.protocol import BayesianProof
from auctionsim.metrics import Interval
from auctionsim.regret.estimate import RegretEstimate


def proved_in_expectation(
    proof: BayesianProof, valuations: Float[Tensor, "type bidder feature"], contexts: int
) -> RegretEstimate:
    """Return regret 0 with the bound 2 v r that the proof's residual r leaves, for truthful bidders.

    Args:
        proof: For the priors and the substrate of the game, in every context.
        valuations: At which to state it.
        contexts: How many games were asked for.
    """
    lower = torch.zeros(valuations.shape[:2], dtype=torch.float64, device=valuations.device)
    upper = 2 * (valuations.double() * proof.residual.to(valuations.device).view(1, -1, 1)).sum(2)
    several = contexts > 1
    return RegretEstimate(
        lower=lower,
        upper=upper,
        best_misreports=valuations,
        mean=0.0,
        max=0.0,
        interval=Interval(0.0, float(upper.mean())),
        method=f"proof in expectation: {proof.reason}",
        budget=1,
        bids_up_to=torch.full_like(valuations, torch.inf),
        pointwise=torch.stack([lower, upper]),
        context_gains=lower.expand(contexts, *lower.shape).clone() if several else None,
        context_misreports=valuations.expand(contexts, *valuations.shape).clone() if several else None,
    )
