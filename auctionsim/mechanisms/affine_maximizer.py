"""The affine maximizer: exactly truthful with crosstalk, and learnable, because its list is fixed before the bids."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_tensor
from auctionsim.errors import InputError
from auctionsim.mechanisms.candidates import MOST_CELLS, Candidates, context_groups
from auctionsim.mechanisms.codecs import Codec, Saved, State, history_of, needed
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.price_sentences import WorthToRest, harm_sentence, without_bidder
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of, same_substrate


class AffineMaximizer(Mechanism):
    """Choose k* = argmax_k Σ_i w_i v_i(A_k) + λ_k from a list of joint allocations and charge the weighted pivot.

    p_i = (1/w_i) [max_k (Σ_{j≠i} w_j v_j(A_k) + λ_k) − Σ_{j≠i} w_j v_j(A_k*) − λ_k*], v_i(A) = b_i · e_i(A; c).
    Neither the list, the weights w > 0 nor the boosts λ depend on bids, so truth is dominant, u_i ≥ 0 and p_i ≥ 0,
    whatever the crosstalk; the argmax is exact and in float64, ties go to the first entry. The user's loss enters
    through λ: w = 1 and λ_k = −user_weight · L(A_k) is VCG on the list.

    Args:
        substrate: Anything with exposure.
        allocations: (entry, …), each feasible; the null should be entry 0, to win ties.
        boosts: λ (entry,), in money; or (slot, entry), one row a context of the substrate and then one for a context
            of None.
        weights: w (bidder,), positive; None for ones.
    Raises:
        ValueError: Shapes that do not fit, infeasible allocations, weights that are not positive, infinite boosts.
    Source:
        Roberts (1979), "The characterization of implementable choice rules"; learned ones: Curry, Sandholm and
        Dickerson (2023), "Differentiable economics for randomized affine maximizer auctions". The learnable oracle:
        for U[0,1] valuations w = 1 and λ_k = −½ (Σ_i e_i(A_k) + user_weight · L(A_k)) is the optimum on the list.
    Example:
        >>> from auctionsim.substrates import Items
        >>> give = torch.cat([torch.zeros(1, 2, 1), torch.eye(2).unsqueeze(2)])
        >>> AffineMaximizer(Items(2), give, torch.zeros(3))(torch.tensor([[[0.3], [0.7]]])).payments
        tensor([[0.0000, 0.3000]])
    """

    def __init__(
        self, substrate: Substrate, allocations: Tensor, boosts: Tensor, weights: Tensor | None = None
    ) -> None:
        super().__init__(substrate.num_bidders, len(substrate.features), substrate)
        self.range: Substrate = substrate
        self.allocations = checked_tensor(allocations, "allocations").detach().to(torch.float64, copy=True)
        n, entries, slots = substrate.num_bidders, len(allocations), len(contexts_of(substrate)) + 1
        weights = torch.ones(n) if weights is None else weights
        self.weights = checked_tensor(weights, "weights").detach().to(torch.float64, copy=True)
        boosts = checked_tensor(boosts, "boosts").detach().to(torch.float64, copy=True)
        if entries == 0 or allocations.shape[1:] != allocation_shape(substrate):
            raise InputError(
                f"allocations must have shape (entry, {', '.join(map(str, allocation_shape(substrate)))}), "
                f"got {tuple(allocations.shape)}"
            )
        if not bool(substrate.feasible(self.allocations).all()):
            raise InputError("every allocation on the list must be feasible")
        if self.weights.shape != (n,) or not bool(((self.weights > 0) & torch.isfinite(self.weights)).all()):
            raise InputError(f"weights must be {n} positive numbers, got {weights.tolist()}")
        if boosts.shape not in ((entries,), (slots, entries)) or not bool(torch.isfinite(boosts).all()):
            raise InputError(
                f"boosts must be finite, (entry={entries},) or (slot={slots}, entry), got {tuple(boosts.shape)}"
            )
        self.boosts = boosts.view(-1, entries)
        contexts: list[int | None] = [*range(slots - 1), None]
        self._lists = [listed(substrate, self.allocations, context) for context in contexts]

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Search the list once with everybody and once without each bidder."""
        allocation = bids.new_empty(len(bids), *allocation_shape(self.range))
        payments = bids.new_empty(bids.shape[:2])
        most = max(1, MOST_CELLS // len(self.allocations))
        for which, group in context_groups(self.range, context, len(bids)):
            slot = -1 if which is None else which
            candidates = Candidates(*(part.to(bids.device) for part in self._lists[slot]))
            boosts = self.boosts[slot if len(self.boosts) > 1 else 0].to(bids.device)
            for rows in group.split(most):  # type: ignore[no-untyped-call]
                chosen, paid = self._choose(bids[rows].double(), candidates, boosts)
                allocation[rows] = candidates.allocations[chosen].to(bids.dtype)
                payments[rows] = paid.to(bids.dtype)
        return Outcome(allocation, payments)

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Roberts's rule, where exposure is what it was designed on."""
        return (
            "affine maximizer: exact argmax over a list fixed before the bids"
            if same_substrate(self.substrate, substrate)
            else None
        )

    def price_sentence(self, case: PriceCase) -> str:
        """Return what the bid takes from the others and from the bonus of the outcome, over the bidder's weight."""
        slot = -1 if case.context_index is None else case.context_index
        boosts = self.boosts[slot if len(self.boosts) > 1 else 0]
        weighted = case.bids.double() * self.weights.view(1, -1, 1)
        scores = self._lists[slot].scores(weighted, boosts)
        others = without_bidder(weighted, case.bidder)
        worths = self._lists[slot].scores(others, boosts)[0]
        without, chosen = (
            WorthToRest(float(worths[entry] - boosts[entry]), 0.0, float(boosts[entry]))
            for entry in (int(worths.argmax()), int(scores[0].argmax()))
        )
        return harm_sentence(case, without, chosen, float(self.weights[case.bidder]))

    def _choose(
        self, bids: Float[Tensor, "row bidder feature"], candidates: Candidates, boosts: Float[Tensor, " entry"]
    ) -> tuple[Tensor, Tensor]:
        weights = self.weights.to(bids.device)
        weighted = bids * weights.view(1, -1, 1)
        chosen = candidates.scores(weighted, boosts).argmax(1)
        paid = []
        for i in range(bids.shape[1]):
            without = weighted.index_fill(1, torch.tensor([i], device=bids.device), 0.0)
            scores = candidates.scores(without, boosts)  # free of bid i, to the last bit
            pivot = scores.amax(1) - scores.gather(1, chosen.unsqueeze(1)).squeeze(1)
            paid.append(pivot / weights[i])
        return chosen, torch.stack(paid, 1)


def listed(substrate: Substrate, allocations: Tensor, context: int | None) -> Candidates:
    """Return what each allocation gives in one context, differentiable in the allocations."""
    repeated = None if context is None else torch.full((len(allocations),), context)
    exposures = substrate.exposure(allocations, repeated)
    losses = substrate.user_loss(allocations, repeated)
    return Candidates(allocations, exposures, losses, torch.ones_like(losses, dtype=torch.bool))


def _state(rule: AffineMaximizer) -> State:
    arrays = {"allocations": rule.allocations, "boosts": rule.boosts, "weights": rule.weights}
    return State({"history": history_of(rule.history)}, arrays)


def _made(saved: Saved, substrate: Substrate | None) -> AffineMaximizer:
    boosts = saved.array("boosts", (None, None))
    allocations = saved.array("allocations", (boosts.shape[1], *allocation_shape(needed(substrate))))
    weights = saved.array("weights", (needed(substrate).num_bidders,))
    rule = AffineMaximizer(needed(substrate), allocations, boosts[0] if len(boosts) == 1 else boosts, weights)
    rule.history = saved.history
    return rule


AFFINE_FILE = Codec(AffineMaximizer, _state, _made)
