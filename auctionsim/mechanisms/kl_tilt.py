"""Auctioning the distribution of replies: tilt the reference towards what bidders want, at a divergence's price."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.checks import checked_money, checked_number
from auctionsim.claims import behaves_as, claimed
from auctionsim.errors import InputError, InputTypeError
from auctionsim.mechanisms import divergences
from auctionsim.mechanisms.candidates import context_groups
from auctionsim.mechanisms.codecs import Codec, Saved, State
from auctionsim.mechanisms.divergences import Divergence, ReverseKL
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import Entry, of_kind, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.lottery import Lottery
from auctionsim.substrates.protocol import Substrate, same_substrate
from auctionsim.substrates.randomised import Randomised


class KLTilt(Mechanism):
    """Choose π = argmax_q Σ_i E_q r_i − λ E_q L − τ D_f(q‖π_ref), r_i(y) = b_i · e_i(y), and charge the Clarke pivot.

    With W_{−i}(q) = Σ_{j≠i} E_q r_j − λ E_q L − τ D_f(q‖π_ref) and π_{−i} its maximiser, t_i = W_{−i}(π_{−i}) −
    W_{−i}(π) ≥ 0 and u_i = W(π) − W_{−i}(π_{−i}) ≥ 0: truthful and individually rational, in expectation over the drawn
    reply, for every f. For the reverse KL, π ∝ π_ref exp((Σ_i r_i − λ L)/τ), t_i = τ KL(π‖π_{−i}) and
    u_i = τ log(Z/Z_{−i}); for other f the pivot is not a divergence between π and π_{−i}. Where there are contexts, all
    of this is in the row's own.

    Args:
        lottery: A `Lottery` of replies, or any `Randomised` range: its entries y, what they give, and π_ref. What π_ref
            never draws stays out, so one that is sure of the null sells nothing.
        temperature: τ > 0, money per unit of divergence.
        divergence: D_f; None for the reverse KL.
        user_weight: λ ≥ 0, money per unit of user loss.
    Source:
        The reverse KL: Soumalias, Curry and Seuken (2024), "Truthful aggregation of LLMs with an application to online
        advertising"; Duetting et al. (2024), "Mechanism design for large language models". Groves (1973) for the
        payment.
    """

    def __init__(
        self, lottery: Randomised, temperature: float, divergence: Divergence | None = None, user_weight: float = 0.0
    ) -> None:
        if not isinstance(lottery, Randomised):
            raise InputTypeError(f"a tilt needs a Lottery or a Randomised range, got {type(lottery).__name__}")
        super().__init__(lottery.num_bidders, len(lottery.features), lottery)
        self.lottery = lottery
        self.temperature = checked_number(temperature, "temperature")
        if self.temperature == 0:
            raise InputError("temperature must be positive, got 0: VCG on the lottery is that limit")
        self.divergence = ReverseKL() if divergence is None else divergence
        if not isinstance(self.divergence, Divergence):
            raise InputTypeError(f"divergence must be a Divergence, got {type(divergence).__name__}")
        self.user_weight = checked_money(user_weight, "user_weight")

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Tilt each row once with everybody and once without each bidder, in float64, a block of rows at a time."""
        allocation = bids.new_empty(len(bids), len(self.lottery.reference))
        payments = bids.new_empty(bids.shape[:2])
        for which, group in context_groups(self.lottery, context, len(bids)):
            entries = [part.to(bids.device) for part in self.lottery.entries(which)]
            numbers = max(bids.shape[1], bids.shape[2]) * len(self.lottery.reference)
            for block in row_blocks(len(group), numbers):
                rows = group[block]
                chosen, paid = self._cleared(bids[rows].double(), *entries)
                allocation[rows], payments[rows] = chosen.to(bids.dtype), paid.to(bids.dtype)
        return Outcome(allocation, payments)

    def _cleared(
        self,
        bids: Float[Tensor, "row bidder feature"],
        exposures: Float[Tensor, "entry bidder feature"],
        losses: Tensor,
    ) -> Outcome:
        rewards = torch.stack([(bids[:, i].unsqueeze(1) * exposures[:, i]).sum(2) for i in range(bids.shape[1])], 1)
        base = -self.user_weight * losses
        total = rewards.sum(1) + base
        chosen = self._tilt(total)
        paid = []
        for i in range(bids.shape[1]):
            others = rewards.index_fill(1, torch.tensor([i], device=bids.device), 0.0).sum(1) + base
            pivot = self._welfare(self._tilt(others), others) - self._welfare(chosen, others)
            paid.append(pivot.clamp_min(0))  # negative only by rounding
        return Outcome(chosen, torch.stack(paid, 1))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Groves's theorem over all distributions, where exposure is what it was designed on."""
        exact = behaves_as(self.lottery, Randomised) and claimed(self.divergence, "tilt") is not None
        if exact and same_substrate(self.lottery, substrate):
            return "Groves: exact argmax over all distributions"
        return None

    def _tilt(self, rewards: Float[Tensor, "batch reply"]) -> Tensor:
        return self.divergence.tilt(rewards, self.temperature, self.lottery.reference.to(rewards.device))

    def _welfare(self, q: Float[Tensor, "batch reply"], rewards: Float[Tensor, "batch reply"]) -> Tensor:
        distance = self.divergence.between(q, self.lottery.reference.to(q.device))
        return (q * rewards).sum(1) - self.temperature * distance


TEMPERATURE = 0.1  # of the table's tilt, money per unit of divergence


def _state(rule: KLTilt) -> State:
    settings = {"user_weight": rule.user_weight, "temperature": rule.temperature, "divergence": rule.divergence.name}
    return State({**settings, "alpha": rule.divergence.alpha}, {})


def _made(saved: Saved, substrate: Substrate | None) -> KLTilt:
    s = saved.settings
    name, kinds = s.text("divergence"), {kind.name: kind for kind in divergences.PLAIN}
    alpha = s.number_or_none("alpha")
    if alpha is None and name not in kinds:
        raise InputError(f"divergence must be one of {', '.join(kinds)}, got {name!r}")
    if not isinstance(substrate, Randomised):
        raise InputError(f"a tilt needs a Lottery or a Randomised range, got {type(substrate).__name__}")
    chosen = kinds[name]() if alpha is None else divergences.Alpha(alpha)
    return KLTilt(substrate, s.number("temperature", 0), chosen, s.number("user_weight", 0))


register(
    Entry(
        "kl-tilt",
        "KL tilt",
        "The distribution of replies, tilted towards what bidders want at a price for leaving the untouched one.",
        lambda problem: KLTilt(problem.view, TEMPERATURE, user_weight=problem.user_weight),
        Codec(KLTilt, _state, _made),
        needs=(of_kind(Lottery, Randomised),),
    )
)
