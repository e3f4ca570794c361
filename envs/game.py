"""The auction as a pure game: what is drawn, what a bidder sees, how a round clears, what it earns, when it ends.

Every adapter (Gymnasium, vector, PettingZoo, RLlib) is a thin face of this one core, so they agree to the last bit.
A game has no state of its own: `draw` and `draw_rows` make a batch of episodes, `observe` and `step` are functions of
it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_amounts, checked_count, checked_finite, checked_number
from auctionsim.envs.observations import Limits, Observations, largest_exposure
from auctionsim.envs.rounds import GameState, Round
from auctionsim.envs.row_draws import EpisodeKeys, uniform_indices, uniform_levels
from auctionsim.outcome import Outcome
from auctionsim.priors import product
from auctionsim.regret import quasi_linear
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of

__all__ = ["AuctionGame", "GameState", "Round"]

Clearing = Callable[[Tensor, Tensor | None], Outcome]


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
            "menu" is the bidder's own, where it is fixed before the bids.
        persistent: Valuations are drawn once an episode rather than every round.
        budgets: What each bidder may pay in an episode (one number, or one a bidder); None: no limit. Before clearing,
            a bidder's bids are scaled down until the most it could be charged by a rule that never asks for more than
            the bid (Σ_f b_f · max e_f) fits what is left. Another rule can break a budget; then nothing is left.
        roi_targets: The least value per money spent over the episode (one number, or one a bidder); None: none. Before
            clearing, each bid is capped at v_f / target plus a share of the slack so far, so that no rule that asks for
            at most the bid can break the target.
        shared_box: All bidders have one observation box and one action box, the union of their own, so that one policy
            can play every seat. Nothing is rescaled: whoever has the lower prior may bid up to the highest of all.
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
        shared_box: bool = False,
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
        highest: Tensor = self.prior.high.to(dtype)
        self.bid_high = highest.amax(0).expand_as(highest) if shared_box else highest  # (bidder, feature)
        self.exposure_high: Tensor = largest_exposure(substrate, dtype)  # (bidder, feature)
        self.budgets = self._constraint(budgets, "budgets")
        self.roi_targets = self._constraint(roi_targets, "roi_targets")
        self._observations = Observations(
            observe,
            Limits(self.bid_high, self.exposure_high, self.rounds, len(self.contexts), self.budgets, self.roi_targets),
            mechanism,
        )
        self.observed = self._observations.names
        self.observation_low, self.observation_high = self._observations.box(shared=shared_box)  # (bidder, number)
        self._allocation_shape = allocation_shape(substrate)

    def draw(self, batch: int, generator: torch.Generator) -> GameState:
        """Begin `batch` episodes: draw every round's valuations and contexts from one generator."""
        levels, contexts = self._draws(batch, generator)
        return self._begin(levels, contexts)

    def draw_rows(self, episodes: EpisodeKeys) -> GameState:
        """Begin the episodes of these keys: each the same as it would begin alone."""
        batch, n, m = len(episodes.key), self.num_bidders, self.num_features
        draws = 1 if self.persistent else self.rounds
        levels = uniform_levels(episodes, draws * n * m).view(batch, draws, n, m)
        if not self.contexts:
            return self._begin(levels, torch.zeros(batch, self.rounds, dtype=torch.int64))
        return self._begin(levels, uniform_indices(episodes, self.rounds, len(self.contexts)))

    def _draws(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return all that chance decides: quantile levels (batch, draw, bidder, feature), contexts (batch, round)."""
        checked_count(batch, "batch", 0)
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
        return state.this_round(state.valuations)

    def context(self, state: GameState) -> Int[Tensor, " batch"] | None:
        """Return the current round's contexts, None where the substrate has none."""
        return state.this_round(state.contexts) if self.contexts else None

    def observe(self, state: GameState) -> Float[Tensor, "batch bidder observation"]:
        """Return what each bidder sees, the parts of `observed` side by side."""
        return self._observations(state)

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
        if len(bids) != len(valuations):
            raise ValueError(f"bids must have one row a game: {len(bids)} rows for {len(valuations)} games")
        bids = self._within_constraints(state, valuations, bids.to(self.dtype))
        outcome = self.mechanism(bids, context)
        checked_allocation(outcome.allocation, self._allocation_shape)
        checked_finite(outcome.payments, "payments")
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
        listed = limits if isinstance(limits, Sequence) and not isinstance(limits, str) else [limits]
        ends = [checked_number(limit, what, -math.inf, infinite=True) for limit in listed]
        given = torch.tensor(ends if isinstance(limits, Sequence) else ends[0], dtype=self.dtype)
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
