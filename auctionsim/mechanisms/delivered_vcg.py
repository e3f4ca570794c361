"""VCG that chooses on estimates and charges for what was delivered: truth is best where the choice is."""

import math

import torch
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.checks import checked_money, checked_tensor
from auctionsim.errors import InputError, InputTypeError
from auctionsim.mechanisms.codecs import Codec, Saved, State, needed
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import EXACT_MAXIMUM, Entry, Published, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import Substrate, allocation_shape, maximises_exactly, same_substrate


class DeliveredVCG(Mechanism):
    """Choose x* = argmax Σ_j w_j b_j · ê_j(x) − λ L̂(x) on estimates and charge by what x* delivered.

    t_i = (1/w_i) [max_x (Σ_{j≠i} w_j b_j · ê_j(x) − λ L̂(x)) − (Σ_{j≠i} w_j b_j · e_j(x*) − λ L(x*))], where ê, L̂ are
    the estimates and e, L what is delivered. The first term is free of b_i and of what is delivered, so by a misreport
    bidder i gains exactly what Σ_j w_j v_j e_j − λ L gains at (v_i, b_−i), over w_i: nothing where the choice is the
    best of the delivered welfare, too. t_i may be negative, and where estimates err a truthful bidder may lose: it is
    neither individually rational nor truthful then. Where they are what is delivered it is VCG.

    Args:
        estimates: Any substrate with an exact `maximise`: what the choice is made on.
        user_weight: λ ≥ 0, money per unit of user loss.
        weights: w (bidder,), positive; None for ones.
        delivery: What is delivered; None: the estimates. `delivered` returns the rule for another.
    Raises:
        ValueError: A delivery with other bidders, features or allocations; weights that are not positive.
    Source:
        Bergemann, Bojko, Dütting, Paes Leme, Xu and Zuo (2024), "Data-driven mechanism design: jointly eliciting
        preferences and information"; Mezzetti (2004), "Mechanism design with interdependent valuations: efficiency".
    Example:
        >>> from auctionsim.substrates import Items
        >>> DeliveredVCG(Items(2))(torch.tensor([[[0.3], [0.7]]])).payments
        tensor([[0.0000, 0.3000]])
    """

    def __init__(
        self,
        estimates: Substrate,
        user_weight: float = 0.0,
        weights: Tensor | None = None,
        delivery: Substrate | None = None,
    ) -> None:
        super().__init__(estimates.num_bidders, len(estimates.features), estimates)
        self.range: Substrate = estimates
        self.user_weight = checked_money(user_weight, "user_weight")
        n = estimates.num_bidders
        given = torch.ones(n) if weights is None else checked_tensor(weights, "weights")
        self.weights = given.detach().to(torch.float64, copy=True)
        if self.weights.shape != (n,) or not bool(((self.weights > 0) & torch.isfinite(self.weights)).all()):
            raise InputError(f"weights must be {n} positive numbers, got {given.tolist()}")
        self.delivery: Substrate = estimates if delivery is None else delivery
        shapes = [(one.num_bidders, len(one.features), allocation_shape(one)) for one in (self.range, self.delivery)]
        if shapes[0] != shapes[1]:
            raise InputError(f"what is delivered must fit the estimates, bidders, features and shape: {shapes}")

    def delivered(self, substrate: Substrate) -> "DeliveredVCG":
        """Return the rule that charges by what `substrate` delivers."""
        return DeliveredVCG(self.range, self.user_weight, self.weights, substrate)

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Solve each auction once with everybody and once without each bidder, a block of rows in one call."""
        n, features = bids.shape[1:]
        numbers = (n + 1) * max(n * features, math.prod(allocation_shape(self.range)))
        parts = [
            self._cleared(bids[rows], None if context is None else context[rows])
            for rows in row_blocks(len(bids), numbers)
        ]
        return parts[0] if len(parts) == 1 else Outcome(*(torch.cat(one) for one in zip(*parts, strict=True)))

    def _cleared(self, bids: Tensor, context: Tensor | None) -> Outcome:
        batch, n, features = bids.shape
        weighted = bids.double() * self.weights.to(bids.device).view(1, -1, 1)
        keep = 1 - torch.eye(n + 1, n, dtype=torch.float64, device=bids.device).roll(1, 0)  # row 1 + i drops i
        economies = keep.view(n + 1, 1, n, 1) * weighted  # (economy, batch, bidder, feature)
        repeated = None if context is None else context.repeat(n + 1)
        chosen = self.range.maximise(economies.flatten(0, 1), self.user_weight, repeated)
        exposure = self.range.exposure(chosen, repeated).view(n + 1, batch, n, features)
        loss = self.range.user_loss(chosen, repeated).view(n + 1, batch)
        best_without = _values(economies, exposure).sum(2) - self.user_weight * loss  # (economy, batch)
        allocation = chosen[:batch].clone()
        own = self.delivery is self.range
        given = exposure[0] if own else self.delivery.exposure(allocation, context)
        lost = loss[0] if own else self.delivery.user_loss(allocation, context)
        value = _values(weighted, given)  # (batch, bidder)
        without = torch.stack([value[:, [j for j in range(n) if j != i]].sum(1) for i in range(n)], 1)
        pivots = best_without[1:].T - (without - self.user_weight * lost.unsqueeze(1))
        payments = (pivots.clamp_min(0) if own else pivots) / self.weights.to(bids.device)  # below 0 only by rounding
        return Outcome(allocation.to(bids.dtype), payments.to(bids.dtype))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Groves's theorem, where exposure is what it was designed on and what is delivered is that, too."""
        same = self.delivery is self.range or same_substrate(self.delivery, self.range)
        if same and same_substrate(self.range, substrate) and maximises_exactly(self.range):
            return "Groves: exact argmax over a fixed range, and the estimates are what is delivered"
        return None


def _values(bids: Tensor, exposure: Tensor) -> Tensor:
    """Return what exposures are worth, features summed term by term: (…, bidder)."""
    total = bids[..., 0] * exposure[..., 0]
    for f in range(1, bids.shape[-1]):
        total = total + bids[..., f] * exposure[..., f]
    return total


def _state(rule: DeliveredVCG) -> State:
    if rule.delivery is not rule.range:
        raise InputTypeError("DeliveredVCG has a file form where the estimates are what is delivered only")
    return State({"user_weight": rule.user_weight}, {"weights": rule.weights})


def _made(saved: Saved, substrate: Substrate | None) -> DeliveredVCG:
    weights = saved.array("weights", (needed(substrate).num_bidders,))
    return DeliveredVCG(needed(substrate), saved.settings.number("user_weight", 0), weights)


register(
    Entry(
        "delivered-vcg",
        "VCG, delivered",
        "The greatest estimated welfare less the user's loss, charged by what the reply then brought to the others.",
        lambda problem: DeliveredVCG(problem.view, problem.user_weight),
        Codec(DeliveredVCG, _state, _made),
        needs=(EXACT_MAXIMUM,),
        pays="The reply that is estimated to be worth most to all bidders and the user is given; each bidder pays what "
        "the others could have had by the estimates, less what they did get.",
        published=Published(
            "Bergemann, Bojko, Dütting, Paes Leme, Xu and Zuo (2024), Data-driven mechanism design: jointly eliciting "
            "preferences and information, arXiv:2412.16132",
            "Truth is an equilibrium whatever the others know, where what was delivered is seen or estimated without "
            "bias; approximately so where the estimate is consistent.",
            "what was delivered, such as clicks",
        ),
    )
)
