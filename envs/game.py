"""The auction as a pure game: what is drawn, what a bidder sees, how a round clears, what it earns, when it ends.

Every adapter (Gymnasium, vector, PettingZoo, RLlib) is a thin face of this one core, so they agree to the last bit.
A game has no state of its own: `draw` makes a batch of episodes, `observe` and `step` are functions of it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_amounts, checked_count
from auctionsim.outcome import Outcome
from auctionsim.priors import product
from auctionsim.regret import quasi_linear
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of

PLAIN_OBSERVATION = ("valuation", "context", "last_exposure", "last_payment")
OBSERVABLES = (*PLAIN_OBSERVATION, "budget", "roi_slack", "round")
Clearing = Callable[[Tensor, Tensor | None], Outcome]


class GameState(NamedTuple):
    """A batch of episodes, each at its own round.

    Attributes:
        valuations: The whole episode's, drawn when it began.
        contexts: The whole episode's prompt groups, indices into the substrate's contexts; all 0 where it has none.
        round: Rounds played so far; `rounds` once the episode is over.
        last_exposure: What each bidder got in the round before, 0 at the start.
        last_payment: What each bidder paid in the round before, 0 at the start.
        spent: Payments so far.
        gained: Value so far, Σ v · e.
    """

    valuations: Float[Tensor, "batch round bidder feature"]
    contexts: Int[Tensor, "batch round"]
    round: Int[Tensor, " batch"]
    last_exposure: Float[Tensor, "batch bidder feature"]
    last_payment: Float[Tensor, "batch bidder"]
    spent: Float[Tensor, "batch bidder"]
    gained: Float[Tensor, "batch bidder"]


class Round(NamedTuple):
    """What one round gave.

    Attributes:
        bids: The bids that were cleared: the reported ones, lowered where a budget or an ROI target says so.
        outcome: The mechanism's answer.
        exposure: What each bidder really got, by the game's substrate.
        rewards: Each bidder's utility.
        user_loss: What the user lost; None where the game was told not to ask (each ask may be a model call).
        over: Which episodes have ended with this round.
    """

    bids: Float[Tensor, "batch bidder feature"]
    outcome: Outcome
    exposure: Float[Tensor, "batch bidder feature"]
    rewards: Float[Tensor, "batch bidder"]
    user_loss: Float[Tensor, " batch"] | None
    over: Tensor


class AuctionGame:
    """Repeated rounds of one auction among the same bidders.

    In each round bidder i sees its valuation v_i and the public context, reports b_i ≥ 0, and earns
    u_i = utility(v_i · e_i(x), t_i), x and t the mechanism's answer, e the exposure on `substrate`, which may be
    another than the one the mechanism was designed on (a live model, a second replicate).

    Args:
        mechanism: Any callable (bids, context) -> Outcome whose allocations have the substrate's shape.
        substrate: What turns allocations into exposure and user loss.
        priors: One prior, one a bidder, or one a bidder and feature.
        rounds: Rounds in an episode, ≥ 1.
        observe: Which of `OBSERVABLES` a bidder sees, in this order; None: the first four, and what constraints need.
        persistent: Valuations are drawn once an episode rather than every round.
        budgets: What each bidder may pay in an episode (one number, or one a bidder); None: no limit. Before clearing,
            a bidder's bids are scaled down until the most it could be charged by a rule that never asks for more than
            the bid (Σ_f b_f · max e_f) fits what is left. Another rule can break a budget; then nothing is left.
        roi_targets: The least value per money spent over the episode (one number, or one a bidder); None: none. Before
            clearing, each bid is capped at v_f / target plus a share of the slack so far, so that no rule that asks for
            at most the bid can break the target.
        utility: (value, payment) -> utility, elementwise.
        with_user_loss: Ask the substrate for the user's loss each round.
        dtype: Of every tensor in the game.
    Raises:
        ValueError: An unknown observable, a constraint ≤ 0, or one on a substrate whose largest exposure is unknown.
    """

    def __init__(
        self,
        mechanism: Clearing,
        substrate: Substrate,
        priors: Any,
        *,
        rounds: int = 16,
        observe: Sequence[str] | None = None,
        persistent: bool = False,
        budgets: float | Sequence[float] | None = None,
        roi_targets: float | Sequence[float] | None = None,
        utility: Callable[[Tensor, Tensor], Tensor] = quasi_linear,
        with_user_loss: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.mechanism = mechanism
        self.substrate = substrate
        self.num_bidders = substrate.num_bidders
        self.num_features = len(substrate.features)
        self.contexts = contexts_of(substrate)
        self.prior = product(priors, self.num_bidders, self.num_features)
        self.rounds = checked_count(rounds, "rounds")
        self.persistent = persistent
        self.utility = utility
        self.with_user_loss = with_user_loss
        self.dtype = dtype
        self.bid_high: Tensor = self.prior.high.to(dtype)  # (bidder, feature)
        self.exposure_high: Tensor = largest_exposure(substrate, dtype)  # (bidder, feature)
        self.budgets = self._constraint(budgets, "budgets")
        self.roi_targets = self._constraint(roi_targets, "roi_targets")
        self.observed = self._checked_observables(observe)
        self.observation_low, self.observation_high = self._observation_bounds()
        self._allocation_shape = allocation_shape(substrate)

    def draw(self, batch: int, generator: torch.Generator) -> GameState:
        """Begin `batch` episodes: draw every round's valuations and contexts from one generator."""
        levels, contexts = self._draws(batch, generator)
        return self._begin(levels, contexts)

    def draw_each(self, generators: Sequence[torch.Generator]) -> GameState:
        """Begin one episode a generator, the same as each would begin alone."""
        draws = [self._draws(1, generator) for generator in generators]
        return self._begin(torch.cat([levels for levels, _ in draws]), torch.cat([contexts for _, contexts in draws]))

    def _draws(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return all that chance decides: quantile levels (batch, draw, bidder, feature), contexts (batch, round)."""
        draws = 1 if self.persistent else self.rounds
        shape = (batch, draws, self.num_bidders, self.num_features)
        levels = torch.rand(shape, generator=generator, dtype=torch.float64)
        if not self.contexts:
            return levels, torch.zeros(batch, self.rounds, dtype=torch.int64)
        return levels, torch.randint(len(self.contexts), (batch, self.rounds), generator=generator)

    def _begin(self, levels: Tensor, contexts: Tensor) -> GameState:
        batch, draws, n, m = levels.shape
        valuations = self.prior.quantile(levels.flatten(0, 1), self.dtype).view(batch, draws, n, m)
        nothing = torch.zeros(batch, n, dtype=self.dtype)
        return GameState(
            valuations=valuations.expand(batch, self.rounds, n, m),
            contexts=contexts,
            round=torch.zeros(batch, dtype=torch.int64),
            last_exposure=torch.zeros(batch, n, m, dtype=self.dtype),
            last_payment=nothing,
            spent=nothing,
            gained=nothing,
        )

    def valuations(self, state: GameState) -> Float[Tensor, "batch bidder feature"]:
        """Return the current round's valuations; after the end, the last round's."""
        rows = torch.arange(len(state.round))
        return state.valuations[rows, state.round.clamp_max(self.rounds - 1)]

    def context(self, state: GameState) -> Int[Tensor, " batch"] | None:
        """Return the current round's contexts, None where the substrate has none."""
        if not self.contexts:
            return None
        rows = torch.arange(len(state.round))
        return state.contexts[rows, state.round.clamp_max(self.rounds - 1)]

    def observe(self, state: GameState) -> Float[Tensor, "batch bidder observation"]:
        """Return what each bidder sees, the parts of `observed` side by side."""
        return torch.cat([self._observable(name, state) for name in self.observed], dim=2)

    @torch.no_grad()
    def step(self, state: GameState, bids: Tensor) -> tuple[GameState, Round]:
        """Clear one round in every episode of the batch: one call of the mechanism, one of the substrate.

        Args:
            state: Episodes of which none is over.
            bids: (batch, bidder, feature), finite, ≥ 0.
        Raises:
            ValueError: Bad bids, or an allocation that was made for another substrate.
        """
        checked_amounts(bids, self.num_bidders, self.num_features)
        valuations, context = self.valuations(state), self.context(state)
        bids = self._within_constraints(state, valuations, bids.to(self.dtype))
        outcome = self.mechanism(bids, context)
        checked_allocation(outcome.allocation, self._allocation_shape)
        exposure, user_loss = self._measured(outcome.allocation, context)
        value = (valuations * exposure).sum(2)
        following = state._replace(
            round=state.round + 1,
            last_exposure=exposure,
            last_payment=outcome.payments,
            spent=state.spent + outcome.payments,
            gained=state.gained + value,
        )
        return following, Round(
            bids=bids,
            outcome=outcome,
            exposure=exposure,
            rewards=self.utility(value, outcome.payments),
            user_loss=user_loss,
            over=following.round >= self.rounds,
        )

    def _measured(self, allocation: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return exposure and user loss, at once where the substrate can (a live model generates for both)."""
        if not self.with_user_loss:
            return self.substrate.exposure(allocation, context), None
        observe = getattr(self.substrate, "observe", None)
        if observe is None:
            return self.substrate.exposure(allocation, context), self.substrate.user_loss(allocation, context)
        exposure, user_loss = observe(allocation, context)
        return exposure, user_loss

    def _constraint(self, limits: float | Sequence[float] | None, what: str) -> Tensor | None:
        if limits is None:
            return None
        given = torch.as_tensor(limits, dtype=self.dtype)
        if given.ndim > 1 or (given.ndim == 1 and len(given) != self.num_bidders):
            raise ValueError(f"{what} must be one number or one a bidder ({self.num_bidders}), got {limits!r}")
        if not bool((given > 0).all()):
            raise ValueError(f"{what} must be > 0, got {limits!r}")
        if not bool(torch.isfinite(self.exposure_high).all()):
            raise ValueError(f"{what} need a substrate whose largest exposure is known: one with an exact `maximise`")
        return given.expand(self.num_bidders)

    def _within_constraints(self, state: GameState, valuations: Tensor, bids: Tensor) -> Tensor:
        if self.budgets is not None:
            most = (bids * self.exposure_high).sum(2)
            left = (self.budgets - state.spent).clamp_min(0)
            share = torch.where(most > left, left / most, torch.ones_like(most))
            bids = bids * share.unsqueeze(2)
        if self.roi_targets is not None:
            target = self.roi_targets.view(-1, 1)
            slack = (state.gained - self.roi_targets * state.spent).clamp_min(0).unsqueeze(2)
            bids = torch.minimum(bids, valuations / target + slack / (target * self.num_features * self.exposure_high))
        return bids

    def _checked_observables(self, observe: Sequence[str] | None) -> tuple[str, ...]:
        budgeted, targeted = self.budgets is not None, self.roi_targets is not None
        constraints = ("budget",) * budgeted + ("roi_slack",) * targeted
        names = (*PLAIN_OBSERVATION, *constraints, *(("round",) if constraints else ()))
        if observe is not None:
            names = tuple(observe)
        possible = {*PLAIN_OBSERVATION, "round", *constraints}
        if not names or len(set(names)) != len(names) or not possible.issuperset(names):
            raise ValueError(f"observe must name some of {sorted(possible)} once each, got {names}")
        if not self.contexts:
            names = tuple(name for name in names if name != "context")
        if not names:
            raise ValueError("this substrate has no contexts: observe something else than the context")
        return names

    def _observable(self, name: str, state: GameState) -> Tensor:
        batch, n = len(state.round), self.num_bidders
        match name:
            case "valuation":
                seen = self.valuations(state)
            case "context":
                rows = torch.arange(batch)
                now = state.contexts[rows, state.round.clamp_max(self.rounds - 1)]
                seen = torch.nn.functional.one_hot(now, len(self.contexts)).unsqueeze(1).expand(batch, n, -1)
            case "last_exposure":
                seen = state.last_exposure
            case "last_payment":  # a rule may charge more than bids or pay out: clipped here, never in the reward
                most = (self.bid_high * self.exposure_high).sum(1)
                seen = torch.maximum(torch.minimum(state.last_payment, most), -most).unsqueeze(2)
            case "budget" if self.budgets is not None:
                seen = (self.budgets - state.spent).clamp_min(0).unsqueeze(2)
            case "roi_slack" if self.roi_targets is not None:
                seen = (state.gained - self.roi_targets * state.spent).clamp_min(0).unsqueeze(2)
            case _:
                seen = (state.round / self.rounds).view(batch, 1, 1).expand(batch, n, 1)
        return seen.to(self.dtype)

    def _observation_bounds(self) -> tuple[Tensor, Tensor]:
        most = (self.bid_high * self.exposure_high).sum(1, keepdim=True)  # (bidder, 1): the dearest round
        ones = torch.ones(self.num_bidders, 1, dtype=self.dtype)
        highs = {
            "valuation": self.bid_high,
            "context": ones.expand(-1, max(len(self.contexts), 1)),
            "last_exposure": self.exposure_high,
            "last_payment": most,
            "budget": ones if self.budgets is None else self.budgets.unsqueeze(1),
            "roi_slack": most * self.rounds,
            "round": ones,
        }
        high = torch.cat([highs[name] for name in self.observed], dim=1)
        low = torch.cat(
            [-most if name == "last_payment" else torch.zeros_like(highs[name]) for name in self.observed], 1
        )
        return low, high


def largest_exposure(substrate: Substrate, dtype: torch.dtype = torch.float32) -> Float[Tensor, "bidder feature"]:
    """Return max_x e_if(x) over the substrate's range and contexts; infinite where the substrate cannot tell.

    A feature called a probability is at most 1 even then. A hair is added for interpolation's rounding.
    """
    n, m = substrate.num_bidders, len(substrate.features)
    certain = [1.0 if name.endswith("probability") else math.inf for name in substrate.features]
    high = torch.tensor(certain, dtype=dtype).expand(n, m)
    one_each = torch.eye(n * m, dtype=dtype).view(n * m, n, m)
    contexts: list[Tensor | None] = [torch.full((n * m,), k) for k in range(len(contexts_of(substrate)))] or [None]
    try:
        peaks = [
            (substrate.exposure(substrate.maximise(one_each, 0.0, context), context) * one_each).sum((1, 2))
            for context in contexts
        ]
    except NotImplementedError:
        return high.clone()
    reached = torch.stack(peaks).amax(0).view(n, m)
    hair = 16 * torch.finfo(dtype).eps
    return reached * (1 + hair) + hair
