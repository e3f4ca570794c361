"""The auction as a pure game: what is drawn, what a bidder sees, how a round clears, what it earns, when it ends.

Every adapter (Gymnasium, vector, PettingZoo, RLlib) is a thin face of this one core, so they agree to the last bit.
A game has no state of its own: `draw` and `draw_rows` make a batch of episodes, `observe` and `step` are functions of
it.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_amounts, checked_count
from auctionsim.envs.constraints import Cleared, Constraints, Standing, TrialRound, checked_constraint
from auctionsim.envs.contexts import ContextDraws
from auctionsim.envs.game_settings import Clearing, GameSettings
from auctionsim.envs.observations import Limits, Observations, largest_exposures
from auctionsim.envs.presence import PresenceDraws
from auctionsim.envs.rounds import GameState, Round
from auctionsim.envs.row_draws import EpisodeKeys, uniform_levels
from auctionsim.envs.target_cost import target_cost
from auctionsim.errors import InputError, InputTypeError
from auctionsim.mechanisms.protocol import substrate_of
from auctionsim.priors import product
from auctionsim.record_keywords import fields_as_keywords
from auctionsim.regret.estimate import checked_outcome, checked_payments
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of, observer, speaks

__all__ = ["AuctionGame", "GameState", "Round"]


class AuctionGame:
    """Repeated rounds of one auction among the same bidders.

    In each round bidder i sees its valuation v_i and the public context, reports b_i ≥ 0, and earns
    u_i = utility(v_i · e_i(x), t_i), x and t the mechanism's answer, e the exposure on `substrate`, which may be
    another than the one the mechanism was designed on (a live model, a second replicate).

    Args:
        mechanism: Any callable (bids, context) -> Outcome whose allocations have the substrate's shape.
        substrate: What turns allocations into exposure and user loss.
        priors: One prior, one a bidder, or one a bidder and feature.
        settings: How episodes go; given by the fields of `GameSettings` as keywords.
    Raises:
        ValueError: An unknown observable, a constraint that is not finite and > 0, or return targets on a live model
            under a rule that has no substrate of its own to foresee value by.
        TypeError: A mechanism or a utility that is no callable; an option that there is not.
    """

    @fields_as_keywords("settings")
    def __init__(
        self,
        mechanism: Clearing,
        substrate: Substrate,
        priors: Any,
        *,
        settings: GameSettings,
    ) -> None:
        if not callable(mechanism):
            raise InputTypeError(f"mechanism must be callable, got {mechanism!r:.60}")
        self.mechanism = mechanism
        self.substrate = substrate
        self.num_bidders = substrate.num_bidders
        self.num_features = len(substrate.features)
        self.contexts = contexts_of(substrate)
        self._observe = observer(substrate)
        self.prior = product(priors, self.num_bidders, self.num_features)
        self.rounds = settings.rounds
        self.persistent = settings.persistent
        self.utility = settings.utility
        self.with_user_loss = settings.with_user_loss
        self.dtype = dtype = settings.dtype
        highest: Tensor = self.prior.high.to(dtype)
        self.bid_high = highest.amax(0).expand_as(highest) if settings.shared_box else highest  # (bidder, feature)
        ceilings = largest_exposures(substrate, dtype)
        self.exposure_high: Tensor = ceilings.amax(0)  # (bidder, feature)
        self.budgets = checked_constraint(settings.budgets, self.num_bidders, "budgets", dtype)
        self.roi_targets = checked_constraint(settings.roi_targets, self.num_bidders, "roi_targets", dtype)
        self.cost = target_cost(settings.roi_as_cost, self.roi_targets, dtype)
        caps = self.roi_targets if self.cost is None else None
        self.constraints = Constraints(self.budgets, caps, ceilings)
        self._foresight = None if caps is None else foresight(mechanism, substrate)
        self._traffic = ContextDraws(
            self.contexts,
            self.rounds,
            weights=settings.context_weights,
            stream=settings.context_stream,
            stream_end=settings.stream_end,
        )
        self.absences = settings.presence is not None
        self._presence = PresenceDraws(settings.presence, self.rounds, self.num_bidders)
        limits = Limits(
            self.bid_high, self.exposure_high, self.rounds, len(self.contexts), self.budgets, self.roi_targets
        )
        self._observations = Observations(
            settings.observe, limits._replace(roi_capped=self.cost is None, absences=self.absences), mechanism
        )
        self.observed = self._observations.names
        self.observation_low, self.observation_high = self._observations.box(
            shared=settings.shared_box
        )  # (bidder, number)
        self._allocation_shape = allocation_shape(substrate)

    def draw(self, batch: int, generator: torch.Generator) -> GameState:
        """Begin `batch` episodes: draw every round's valuations, contexts and presence from one generator."""
        checked_count(batch, "batch", 0)
        shape = (batch, self._draws, self.num_bidders, self.num_features)
        levels = torch.rand(shape, generator=generator, dtype=torch.float64)
        contexts = self._traffic.batch(batch, generator)
        return self._begin(levels, contexts, self._presence.batch(batch, generator))

    def draw_rows(self, episodes: EpisodeKeys) -> GameState:
        """Begin the episodes of these keys: each the same as it would begin alone."""
        shape = (len(episodes.key), self._draws, self.num_bidders, self.num_features)
        levels = uniform_levels(episodes, self._draws * self.num_bidders * self.num_features).view(shape)
        return self._begin(levels, self._traffic.rows(episodes), self._presence.rows(episodes))

    @property
    def _draws(self) -> int:
        """How often valuations are drawn in an episode."""
        return 1 if self.persistent else self.rounds

    def _begin(self, levels: Tensor, contexts: Tensor, present: Tensor) -> GameState:
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
            present=present,
        )

    def valuations(self, state: GameState) -> Float[Tensor, "batch bidder feature"]:
        """Return the current round's valuations; after the end, the last round's."""
        return state.this_round(state.valuations)

    def context(self, state: GameState) -> Int[Tensor, " batch"] | None:
        """Return the current round's contexts, None where the substrate has none."""
        return state.this_round(state.contexts) if self.contexts else None

    def present(self, state: GameState) -> Bool[Tensor, "batch bidder"]:
        """Return who takes part in the current round; after the end, in the last round."""
        return state.this_round(state.present)

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
        if len(bids) != len(state.round):
            raise InputError(f"bids must have one row a game: {len(bids)} rows for {len(state.round)} games")
        asked, present = bids.to(self.dtype), self.present(state)
        happened = self._cleared(state, asked * present.unsqueeze(2) if self.absences else asked)
        exposure, user_loss = self._measured(happened.trial, self.context(state))
        outcome = happened.trial.outcome
        if self.absences:
            exposure = torch.where(present.unsqueeze(2), exposure, 0.0)
            outcome = outcome._replace(payments=torch.where(present, outcome.payments, 0.0))
        value = (self.valuations(state) * exposure).sum(2)
        following = state._replace(
            round=state.round + 1,
            last_exposure=exposure,
            last_payment=outcome.payments,
            spent=state.spent + outcome.payments,
            gained=state.gained + value,
        )
        utility, cost = self._utility(value, outcome.payments), self._cost(state, following)
        rewards = utility if self.cost is None or cost is None else self.cost.reward(utility, cost)
        return following, Round(
            bids=happened.bids,
            asked=asked,
            outcome=outcome,
            exposure=exposure,
            rewards=torch.where(present, rewards, 0.0) if self.absences else rewards,
            user_loss=user_loss,
            over=following.round >= self.rounds,
            budget_left=self.constraints.budget_left(following.spent),
            roi_slack=None if self.roi_targets is None else following.gained - self.roi_targets * following.spent,
            present=present if self.absences else None,
            cost=cost,
        )

    def _cleared(self, state: GameState, reports: Tensor) -> Cleared:
        """Return what reports bring, lowered where a limit says so."""
        standing = Standing(self.valuations(state), self.context(state), state.spent, state.gained)
        if self.constraints.budgets is None and self.constraints.roi_targets is None:
            return Cleared(reports, self._trial(reports, standing))
        return self.constraints.clear(self._trial, standing, reports)

    def _utility(self, value: Tensor, payments: Tensor) -> Tensor:
        """Return each bidder's utility (batch, bidder)."""
        utility = self.utility(value, payments.clone())
        if utility.shape != value.shape:
            raise InputError(
                f"utility must be elementwise: {tuple(utility.shape)} of values and payments {tuple(value.shape)}"
            )
        return utility

    def _cost(self, before: GameState, after: GameState) -> Tensor | None:
        """Return by how much a round put each bidder further behind its target; None where targets are a cap."""
        if self.cost is None:
            return None
        return self.cost.shortfall(after.gained, after.spent) - self.cost.shortfall(before.gained, before.spent)

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
        return self._observe(allocation, context)


def foresight(mechanism: Clearing, substrate: Substrate) -> Substrate:
    """Return what tells the value of an allocation before it is carried out.

    That is the game's substrate, unless it is a live model: then the rule's own.

    Raises:
        ValueError: A live model under a rule without a substrate of its own that has the same features and levers.
    """
    if not speaks(substrate):
        return substrate
    own = substrate_of(mechanism)
    if own is None or own.features != substrate.features or allocation_shape(own) != allocation_shape(substrate):
        raise InputError(
            "roi_targets on a live model need a rule with a substrate of its own, by which value is foreseen: "
            f"{type(mechanism).__name__} has none with the features {substrate.features}"
        )
    return own
