"""A best response to a given field: a search over bids with the field's draws shared by all of them."""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.outcome import Outcome
from auctionsim.priors import product
from auctionsim.strategies import Strategies, played, strategy_list
from auctionsim.substrates.protocol import Substrate, drawn_contexts

ROWS_A_CALL = 1 << 16
Clearing = Callable[[Tensor, Tensor | None], Outcome]


class BestResponse:
    """Bid what earned most on average against draws of the field, among the bids of a grid.

    With independent private values what a bid brings, E[e | b] and E[t | b], does not depend on the bidder's own
    valuation: both are measured once a candidate bid, on the same draws of valuations and contexts, and each valuation
    then takes argmax_b v · E[e | b] − E[t | b] (ties: the first candidate, the smallest bid first). So it is exact on
    the grid and the sample; utility is quasi-linear. It does not see the context; one that does is
    `ByContext([BestResponse(…, context=k) for k in …])`.

    Args:
        mechanism: Any callable (bids, context) -> Outcome.
        substrate: What turns its allocations into exposure.
        priors: As everywhere; the field's valuations are drawn from them.
        bidder: Who responds.
        strategies: The field, one for all or one a bidder; the responder's own plays no part. None: truth.
        generator: Draws the field.
        candidates: Candidate bids a feature, evenly spaced from 0 to the prior's high.
        draws: How many draws of the field.
        context: Index of the one public context that is answered; None: contexts are drawn, all alike.
        dtype: Of bids and valuations.
    Attributes:
        bids: (candidate, feature), the candidates.
        exposure: (candidate, feature), E[e | b].
        payment: (candidate,), E[t | b].
    """

    def __init__(
        self,
        mechanism: Clearing,
        substrate: Substrate,
        priors: Any,
        bidder: int,
        strategies: Strategies = None,
        *,
        generator: torch.Generator,
        candidates: int = 201,
        draws: int = 2048,
        context: int | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        n, m = substrate.num_bidders, len(substrate.features)
        if not 0 <= bidder < n:
            raise InputError(f"bidder must be 0 … {n - 1}, got {bidder}")
        checked_count(candidates, "candidates", 2)
        checked_count(draws, "draws")
        prior = product(priors, n, m)
        axes = [torch.linspace(0, float(high), candidates, dtype=dtype) for high in prior.high[bidder]]
        self.bids: Tensor = torch.tensor(list(itertools.product(*(axis.tolist() for axis in axes))), dtype=dtype)
        valuations = prior.sample(draws, generator, dtype=dtype)
        drawn = drawn_contexts(substrate, draws, context, generator)
        field = played(strategy_list(strategies, n), valuations, drawn)
        self.exposure, self.payment = mean_outcomes(mechanism, substrate, field, drawn, bidder=bidder, bids=self.bids)

    def __call__(self, valuations: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch feature"]:
        """Return each valuation's best candidate."""
        return self.bids[self._utilities(valuations).argmax(1)].to(valuations.dtype)

    def utility(self, valuations: Float[Tensor, "batch feature"]) -> Float[Tensor, " batch"]:
        """Return what each valuation's best candidate earned on average."""
        return self._utilities(valuations).amax(1).to(valuations.dtype)

    def _utilities(self, valuations: Tensor) -> Tensor:
        return valuations.to(self.exposure.dtype) @ self.exposure.T - self.payment


@torch.no_grad()
def mean_outcomes(
    mechanism: Clearing, substrate: Substrate, field: Tensor, context: Tensor | None, *, bidder: int, bids: Tensor
) -> tuple[Tensor, Tensor]:
    """Return E[e | b] (candidate, feature) and E[t | b] (candidate,), some candidates a call."""
    draws, n, m = field.shape
    exposures, payments = [], []
    for some in torch.split(bids, max(ROWS_A_CALL // draws, 1)):
        profiles = field.expand(len(some), draws, n, m).clone()
        profiles[:, :, bidder] = some.unsqueeze(1)
        repeated = None if context is None else context.repeat(len(some))
        outcome = mechanism(profiles.flatten(0, 1), repeated)
        exposure = substrate.exposure(outcome.allocation, repeated)[:, bidder]
        exposures.append(exposure.view(len(some), draws, m).mean(1))
        payments.append(outcome.payments[:, bidder].view(len(some), draws).mean(1))
    return torch.cat(exposures), torch.cat(payments)
