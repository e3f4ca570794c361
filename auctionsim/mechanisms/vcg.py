"""Vickrey–Clarke–Groves on any substrate: the welfare-maximal allocation, each bidder charged its externality."""

import math

import torch
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.checks import checked_money
from auctionsim.mechanisms.codecs import numbers_on_substrate
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.price_sentences import harm_sentence, without_bidder, worth_to_rest
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import EXACT_MAXIMUM, Entry, Published, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import (
    Substrate,
    allocation_shape,
    maximises_exactly,
    same_substrate,
    treats_bidders_alike,
)


class VCG(Mechanism):
    """Choose x* = argmax Σ_j b_j · e_j(x) − λ L(x) and charge the Clarke pivot.

    t_i = max_x [Σ_{j≠i} b_j · e_j(x) − λ L(x)] − [Σ_{j≠i} b_j · e_j(x*) − λ L(x*)], λ the user weight. DSIC,
    individually rational and t ≥ 0, with crosstalk too, because `maximise` is exact over a range that no bid moves.

    Args:
        substrate: Any substrate with an exact `maximise`.
        user_weight: λ ≥ 0, money per unit of user loss.
    Source:
        Vickrey (1961); Clarke (1971); Groves (1973). The user enters as a bidder who always tells the truth.
    Example:
        >>> from auctionsim.substrates import Items
        >>> VCG(Items(2))(torch.tensor([[[0.3], [0.7]]])).payments
        tensor([[0.0000, 0.3000]])
    """

    def __init__(self, substrate: Substrate, user_weight: float = 0.0) -> None:
        super().__init__(substrate.num_bidders, len(substrate.features), substrate)
        self.range: Substrate = substrate
        self.user_weight = checked_money(user_weight, "user_weight")

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Solve each auction once with everybody and once without each bidder, a block of rows in one call."""
        n, features = bids.shape[1:]
        numbers = (n + 1) * max(n * features, math.prod(allocation_shape(self.range)))
        outcomes = [
            self._cleared(bids[rows], None if context is None else context[rows])
            for rows in row_blocks(len(bids), numbers)
        ]
        return (
            outcomes[0] if len(outcomes) == 1 else Outcome(*(torch.cat(parts) for parts in zip(*outcomes, strict=True)))
        )

    def _cleared(self, bids: Tensor, context: Tensor | None) -> Outcome:
        batch, n, features = bids.shape
        keep = 1 - torch.eye(n + 1, n, dtype=bids.dtype, device=bids.device).roll(1, 0)  # row 1 + i drops i
        economies = keep.view(n + 1, 1, n, 1) * bids  # (economy, batch, bidder, feature)
        repeated = None if context is None else context.repeat(n + 1)
        chosen = self.range.maximise(economies.flatten(0, 1), self.user_weight, repeated)
        exposure = self.range.exposure(chosen, repeated).view(n + 1, batch, n, features)
        loss = self.range.user_loss(chosen, repeated).view(n + 1, batch)
        best_without = (economies * exposure).sum((2, 3)) - self.user_weight * loss  # (economy, batch)
        value = (bids * exposure[0]).sum(2)  # (batch, bidder)
        others = value.sum(1, keepdim=True) - value - self.user_weight * loss[0].unsqueeze(1)
        payments = (best_without[1:].T - others).clamp_min(0)  # negative only by rounding
        return Outcome(chosen[:batch].clone(), payments)  # what the others' economies chose is let go

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Groves's theorem, where exposure is what it was designed on."""
        if same_substrate(self.range, substrate) and maximises_exactly(self.range):
            return "Groves: exact argmax over a fixed range"
        return None

    def price_sentence(self, case: PriceCase) -> str:
        """Return what the bid takes from the others and from the user."""
        others = without_bidder(case.bids, case.bidder)
        absent = self.range.maximise(others, self.user_weight, case.context)
        without, chosen = (
            worth_to_rest(self.range, others, allocation, case.context, self.user_weight)
            for allocation in (absent, case.outcome.allocation)
        )
        return harm_sentence(case, without, chosen)

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Where the substrate it was designed on treats bidders alike, so does the welfare maximum."""
        return same_substrate(self.range, substrate) and treats_bidders_alike(self.range)


register(
    Entry(
        "vcg",
        "VCG",
        "The greatest reported welfare less the user's loss, and each bidder charged what it takes from the rest.",
        lambda problem: VCG(problem.view, problem.user_weight),
        numbers_on_substrate(VCG, "user_weight"),
        needs=(EXACT_MAXIMUM,),
        pays="The reply that is worth most to all bidders and the user together is given; each bidder pays what its "
        "bid takes from the others and the user.",
        published=Published(
            "Vickrey (1961), Counterspeculation, auctions, and competitive sealed tenders; Clarke (1971), Multipart "
            "pricing of public goods; Groves (1973), Incentives in teams",
            "Truth is a dominant strategy and nobody loses by taking part.",
            "any exposure that the platform knows and maximises over exactly",
        ),
    )
)
