"""Auctioning the distribution of replies: tilt the reference towards what bidders want, at a divergence's price."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.checks import checked_money, checked_number, checked_tensor
from auctionsim.claims import behaves_as, claimed
from auctionsim.errors import InputError, InputTypeError
from auctionsim.mechanisms import divergences
from auctionsim.mechanisms.candidates import context_groups
from auctionsim.mechanisms.codecs import Codec, Saved, State
from auctionsim.mechanisms.divergences import Divergence, ReverseKL
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.showings import showings, strengths
from auctionsim.mechanisms.table import Entry, Knob, Problem, Published, of_kind, register
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
        lottery: A `Lottery` of replies, or any `Randomised` range: its entries y and what they give. What π_ref never
            draws stays out, so one that is sure of the null sells nothing.
        temperature: τ > 0, money per unit of divergence.
        divergence: D_f; None for the reverse KL.
        user_weight: λ ≥ 0, money per unit of user loss.
        reference: (entry,) probabilities π_ref, fixed before any bid; None: the range's own.
    Source:
        The reverse KL: Soumalias, Curry and Seuken (2024), "Truthful aggregation of LLMs with an application to online
        advertising"; Duetting et al. (2024), "Mechanism design for large language models". Groves (1973) for the
        payment.
    """

    def __init__(
        self,
        lottery: Randomised,
        temperature: float,
        divergence: Divergence | None = None,
        user_weight: float = 0.0,
        reference: Tensor | None = None,
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
        self.reference = lottery.reference if reference is None else _checked_reference(reference, lottery)

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
        chosen = self._tilt(rewards.sum(1) + base)
        return Outcome(chosen, self._charged(chosen, rewards, base))

    def _charged(
        self, chosen: Float[Tensor, "row entry"], rewards: Float[Tensor, "row bidder entry"], base: Tensor
    ) -> Float[Tensor, "row bidder"]:
        """Return the Clarke pivots."""
        paid = []
        for i in range(rewards.shape[1]):
            others = rewards.index_fill(1, torch.tensor([i], device=rewards.device), 0.0).sum(1) + base
            pivot = self._welfare(self._tilt(others), others) - self._welfare(chosen, others)
            paid.append(pivot.clamp_min(0))  # negative only by rounding
        return torch.stack(paid, 1)

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Groves's theorem over all distributions, where exposure is what it was designed on."""
        exact = behaves_as(self.lottery, Randomised) and claimed(self.divergence, "tilt") is not None
        if exact and same_substrate(self.lottery, substrate):
            return "Groves: exact argmax over all distributions"
        return None

    def _tilt(self, rewards: Float[Tensor, "batch reply"]) -> Tensor:
        return self.divergence.tilt(rewards, self.temperature, self.reference.to(rewards.device))

    def _welfare(self, q: Float[Tensor, "batch reply"], rewards: Float[Tensor, "batch reply"]) -> Tensor:
        distance = self.divergence.between(q, self.reference.to(q.device))
        return (q * rewards).sum(1) - self.temperature * distance


def spread_reference(view: Randomised, strength: int, spread: float) -> Float[Tensor, " entry"]:
    """Return the reference that shows nobody but in a share of replies, in which each of the others is drawn alike.

    Args:
        view: A range over levers of each bidder's own.
        strength: At which bidders are shown, alone and together; 0 for the weakest.
        spread: The share, in (0, 1).
    Raises:
        ValueError: No such strength or share, or a range that says not whom its entries show.
    """
    shown = showings(view, strength)
    if not 0 < spread < 1:
        raise InputError(f"spread must be a share between 0 and 1, got {spread:g}")
    entries = [*shown.alone, *shown.together.values()]
    reference = torch.zeros(len(view.reference), dtype=torch.float64)
    reference[entries] = spread / len(entries)
    reference[shown.nobody] = 1 - spread
    return reference


def _checked_reference(reference: Tensor, lottery: Randomised) -> Tensor:
    held = checked_tensor(reference, "reference").detach().double()
    if held.shape != lottery.reference.shape or not bool((held >= 0).all()) or not abs(float(held.sum()) - 1) <= 1e-6:
        raise InputError(
            f"reference must be {len(lottery.reference)} probabilities that sum to 1, got {reference.tolist()}"
        )
    return held / held.sum()


OWN_REFERENCE = -1.0
"""The strength of a tilt that leans from the range's own reference, as on a lottery of replies."""


def strength_knob(view: Substrate) -> tuple[float, ...]:
    """Return the strengths that a tilt's reference can show bidders at; a range that shows nobody has its own."""
    return tuple(float(k) for k in range(strengths(view))) or (OWN_REFERENCE,)


def spread_knob(view: Substrate) -> tuple[float, ...]:
    """Return the shares of replies in which a tilt's reference shows somebody."""
    return (0.5, 0.05, 0.25, 0.75) if strengths(view) else (0.0,)


TEMPERATURE = 0.1
"""Of the table's tilts by default, money per unit of divergence."""
TILT_KNOBS: Mapping[str, Knob] = MappingProxyType(
    {"temperature": (TEMPERATURE, 0.02, 0.05, 0.2, 0.5), "strength": strength_knob, "spread": spread_knob}
)
"""What a table's tilt has by default comes first."""


def tilt_state(rule: KLTilt) -> State:
    """Return what makes a tilt what it is."""
    settings = {"user_weight": rule.user_weight, "temperature": rule.temperature, "divergence": rule.divergence.name}
    own = torch.equal(rule.reference, rule.lottery.reference)
    return State({**settings, "alpha": rule.divergence.alpha}, {} if own else {"reference": rule.reference})


def tilt_made(kind: type[KLTilt], saved: Saved, substrate: Substrate | None) -> KLTilt:
    """Return a tilt of a kind as its state has it."""
    s = saved.settings
    name, divergence_kinds = s.text("divergence"), {one.name: one for one in divergences.PLAIN}
    alpha = s.number_or_none("alpha")
    if alpha is None and name not in divergence_kinds:
        raise InputError(f"divergence must be one of {', '.join(divergence_kinds)}, got {name!r}")
    if not isinstance(substrate, Randomised):
        raise InputError(f"a tilt needs a Lottery or a Randomised range, got {type(substrate).__name__}")
    chosen = divergence_kinds[name]() if alpha is None else divergences.Alpha(alpha)
    shape = (len(substrate.reference),)
    reference = saved.array("reference", shape) if "reference" in saved.stored.arrays else None
    return kind(substrate, s.number("temperature", 0), chosen, s.number("user_weight", 0), reference)


def tilt_designed(kind: type[KLTilt], problem: Problem) -> KLTilt:
    """Return a tilt of a kind by the settings of its knobs."""
    strength = problem.settings["strength"]
    own = strength == OWN_REFERENCE
    reference = None if own else spread_reference(problem.view, int(strength), problem.settings["spread"])
    return kind(problem.view, problem.settings["temperature"], None, problem.user_weight, reference)


register(
    Entry(
        "kl-tilt",
        "KL tilt",
        "The distribution of replies, tilted towards what bidders want at a price for leaving the untouched one.",
        lambda problem: tilt_designed(KLTilt, problem),
        Codec(KLTilt, tilt_state, lambda saved, substrate: tilt_made(KLTilt, saved, substrate)),
        needs=(of_kind(Lottery, Randomised),),
        pays="Replies become likelier the more they are worth to all bidders together; each pays what its bid takes "
        "from the others, the distance from the untouched model counted in money.",
        published=Published(
            "Soumalias, Curry and Seuken (2024), Truthful aggregation of LLMs with an application to online "
            "advertising, arXiv:2405.05905",
            "Truth is a dominant strategy and nobody loses by taking part, in expectation over the drawn reply.",
            "each advertiser's own reward of the whole reply, known to the mechanism as a function",
        ),
        knobs=TILT_KNOBS,
    )
)
