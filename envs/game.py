"""The auction as a pure game: what is drawn, what a bidder sees, how a round clears, what it earns, when it ends.

Every adapter (Gymnasium, vector, PettingZoo, RLlib) is a thin face of this one core, so they agree to the last bit.
A game has no state of its own: `draw` and `draw_rows` make a batch of episodes, `observe` and `step` are functions of
it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_amounts, checked_count
from auctionsim.envs.constraints import Cleared, Constraints, Standing, TrialRound, checked_constraint
from auctionsim.envs.observations import Limits, Observations, largest_exposures
from auctionsim.envs.rounds import GameState, Round
from auctionsim.envs.row_draws import EpisodeKeys, uniform_indices, uniform_levels
from auctionsim.outcome import Outcome
from auctionsim.priors import product
from auctionsim.regret import quasi_linear
from auctionsim.regret.estimate import checked_outcome, checked_payments
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
        budgets: What each bidder may pay in an episode (one number, or one a bidder); None: no limit. A bid is lowered
            only where the rule would charge more for it, in this round and context, than is left; then to the highest
            bid whose charge fits. Kept under every rule that charges nothing for a bid of 0, all-pay included; under
            another it can be broken, and then nothing is left.
        roi_targets: The least value per money spent over the episode (one number, or one a bidder); None: none. A bid
            is lowered only where the round would end below the target. Kept under the same rules, all-pay included,
            wherever value can be told before the round: on a live model, which is asked once a step, it is foreseen
            by the rule's own substrate, and whoever is behind by what the model then shows spends what pays its way.
        shared_box: All bidders have one observation box and one action box, the union of their own, so that one policy
            can play every seat. Nothing is rescaled: whoever has the lower prior may bid up to the highest of all.
        utility: (value, payment) -> utility, elementwise.
        with_user_loss: Ask the substrate for the user's loss each round.
        dtype: Of every tensor in the game.
    Raises:
        ValueError: An unknown observable, a constraint that is not finite and > 0, or return targets on a live model
            under a rule that has no substrate of its own to foresee value by.
        TypeError: A mechanism or a utility that is no callable.
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
        for rule, what in ((mechanism, "mechanism"), (utility, "utility")):
            if not callable(rule):
                raise TypeError(f"{what} must be callable, got {rule!r:.60}")
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
        ceilings = largest_exposures(substrate, dtype)
        self.exposure_high: Tensor = ceilings.amax(0)  # (bidder, feature)
        self.budgets = checked_constraint(budgets, self.num_bidders, "budgets", dtype)
        self.roi_targets = checked_constraint(roi_targets, self.num_bidders, "roi_targets", dtype)
        self.constraints = Constraints(self.budgets, self.roi_targets, ceilings)
        self._foresight = None if self.roi_targets is None else foresight(mechanism, substrate)
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

        Rows in which a constraint binds ask the mechanism again, for lower bids, and so does a return target the
        substrate; a live model is asked once, for what is cleared in the end. A rule that draws is asked anew for lower
        bids only, and what it drew for the bids that are cleared is what happens.

        Args:
            state: Episodes of which none is over.
            bids: (batch, bidder, feature), finite, ≥ 0; above `bid_high`, too, since rules are defined for them.
        Raises:
            ValueError: Bad bids, an allocation that was made for another substrate, payments that are not one a bidder,
                or a utility that is not.
            TypeError: A mechanism that returns no outcome.
        """
        checked_amounts(bids, self.num_bidders, self.num_features)
        valuations, context = self.valuations(state), self.context(state)
        if len(bids) != len(valuations):
            raise ValueError(f"bids must have one row a game: {len(bids)} rows for {len(valuations)} games")
        asked = bids.to(self.dtype)
        standing = Standing(valuations, context, state.spent, state.gained)
        if self.budgets is None and self.roi_targets is None:
            happened = Cleared(asked, self._trial(asked, standing))
        else:
            happened = self.constraints.clear(self._trial, standing, asked)
        outcome = happened.trial.outcome
        exposure, user_loss = self._measured(happened.trial, context)
        value = (valuations * exposure).sum(2)
        following = state._replace(
            round=state.round + 1,
            last_exposure=exposure,
            last_payment=outcome.payments,
            spent=state.spent + outcome.payments,
            gained=state.gained + value,
        )
        rewards = self.utility(value, outcome.payments.clone())
        if rewards.shape != value.shape:
            raise ValueError(
                f"utility must be elementwise: {tuple(rewards.shape)} of values and payments {tuple(value.shape)}"
            )
        return following, Round(
            bids=happened.bids,
            asked=asked,
            outcome=outcome,
            exposure=exposure,
            rewards=rewards,
            user_loss=user_loss,
            over=following.round >= self.rounds,
            budget_left=self.constraints.budget_left(following.spent),
            roi_slack=self.constraints.roi_slack(following.gained, following.spent),
        )

    def _trial(self, bids: Tensor, standing: Standing) -> TrialRound:
        """Return what bids would give; the exposure only where a return target needs it."""
        outcome = checked_outcome(self.mechanism(bids.clone(), standing.context))  # a rule may compute in place
        checked_allocation(outcome.allocation, self._allocation_shape)
        checked_payments(outcome.payments, bids)
        if self._foresight is None:
            return TrialRound(outcome, None)
        return TrialRound(outcome, self._foresight.exposure(outcome.allocation, standing.context))

    def _measured(self, trial: TrialRound, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return exposure and user loss, at once where the substrate can (a live model generates for both)."""
        allocation = trial.outcome.allocation
        exposure = trial.exposure if self._foresight is self.substrate else None
        if not self.with_user_loss:
            return self.substrate.exposure(allocation, context) if exposure is None else exposure, None
        if exposure is not None:
            return exposure, self.substrate.user_loss(allocation, context)
        observe = getattr(self.substrate, "observe", None)
        if observe is None:
            return self.substrate.exposure(allocation, context), self.substrate.user_loss(allocation, context)
        exposure, user_loss = observe(allocation, context)
        return exposure, user_loss


def foresight(mechanism: Clearing, substrate: Substrate) -> Substrate:
    """Return what tells the value of an allocation before it is carried out.

    That is the game's substrate, unless it is a live model (it gives `replies`): then the rule's own.

    Raises:
        ValueError: A live model under a rule without a substrate of its own that has the same features and levers.
    """
    if not hasattr(substrate, "replies"):
        return substrate
    own: Substrate | None = getattr(mechanism, "substrate", None)
    if own is None or own.features != substrate.features or allocation_shape(own) != allocation_shape(substrate):
        raise ValueError(
            "roi_targets on a live model need a rule with a substrate of its own, by which value is foreseen: "
            f"{type(mechanism).__name__} has none with the features {substrate.features}"
        )
    return own
