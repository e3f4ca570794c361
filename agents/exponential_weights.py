"""Exponential weights, simple autobidders: a grid of bids, one distribution a valuation."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, SupportsIndex

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.agents.checkpoints import Checkpoint, fill, fill_generator
from auctionsim.agents.networks import LearningStep
from auctionsim.agents.strategies import ByContext, Strategy, TableStrategy
from auctionsim.checks import checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.outcome import Outcome
from auctionsim.priors import product
from auctionsim.seeds import seeded
from auctionsim.substrates.protocol import Substrate, contexts_of, drawn_contexts

Clearing = Callable[[Tensor, Tensor | None], Outcome]


@dataclass(frozen=True)
class HedgeSettings:
    """The grids that exponential weights learn on, and how fast.

    Attributes:
        bids: Points of the bid grid, evenly spaced from 0 to each bidder's highest valuation.
        bins: Bins of the valuations.
        batch: Draws of the field a round.
        step: η in units of √(8 ln K / T) / range, the range taken as twice the highest valuation; above 1 the bound
            grows with it, and on auctions the last bids are sharper.
    Raises:
        TypeError, ValueError: A number outside its range.
    """

    bids: int = 41
    bins: int = 40
    batch: int = 256
    step: float = 8.0

    def __post_init__(self) -> None:
        checked_count(self.bids, "bids", 2)
        checked_count(self.bins, "bins", 2)
        checked_count(self.batch, "batch")
        checked_number(self.step, "step", 0.0, 1e6)


HEDGE = HedgeSettings()


class ExponentialWeights:
    """Bidders that weigh every bid of a grid by exp(η · what it would have earned so far).

    Valuations fall into equal bins; bidder i keeps weights over bids for each. In every round all draw valuations and
    bids, `batch` times; every bid of the grid is then scored against the others' draws for every bin (full feedback):
    with independent values what a bid brings does not depend on the bidder's own valuation, so one measurement of
    E[e | b] and E[t | b] serves all bins. With η = √(8 ln K / T) / range, K bids and T rounds, average regret against
    the best fixed bid is at most range · √(ln K / 2T) a bin (full-information Hedge), so the field's empirical play
    approaches a coarse equilibrium on the grid; that it comes close to a Bayesian equilibrium is seen, not proved.
    Bidders do not see the context; where all do, each context is an auction of its own: see `learn_by_context`.

    Args:
        mechanism: Any callable (bids, context) -> Outcome.
        substrate: One feature.
        priors: As everywhere.
        seed: Draws everything.
        context: Index of the one public context that is played; None: contexts are drawn, all alike.
        settings: The grids of bids and valuations, the draws a round, and η.
    Source:
        Freund and Schapire (1997), "A decision-theoretic generalization of on-line learning", section 2.
    """

    def __init__(
        self,
        mechanism: Clearing,
        substrate: Substrate,
        priors: Any,
        *,
        seed: SupportsIndex,
        context: int | None = None,
        settings: HedgeSettings = HEDGE,
    ) -> None:
        if len(substrate.features) != 1:
            raise InputError(f"exponential weights bid on one feature, got {substrate.features}")
        self.mechanism, self.substrate = mechanism, substrate
        self.num_bidders = substrate.num_bidders
        self.prior = product(priors, self.num_bidders, 1)
        self.context = context
        drawn_contexts(substrate, 0, context, torch.Generator())  # refuses a context that there is not
        self.generator = seeded(seed)
        self.batch, self.step = settings.batch, settings.step
        self.low: Tensor = self.prior.low[:, 0].float()
        self.high: Tensor = self.prior.high[:, 0].float()
        grid = torch.linspace(0, 1, settings.bids)
        self.bids: Tensor = self.high.unsqueeze(1) * grid  # (bidder, bid)
        middles = (torch.arange(settings.bins) + 0.5) / settings.bins
        self.middles: Tensor = self.low.unsqueeze(1) + (self.high - self.low).unsqueeze(1) * middles  # (bidder, bin)
        self.earned: Tensor = torch.zeros(self.num_bidders, settings.bins, settings.bids)  # summed over rounds
        self._rate = torch.zeros(self.num_bidders)

    @property
    def weights(self) -> Float[Tensor, "bidder bin bid"]:
        """The probability of each bid in each bin."""
        return torch.softmax(self._rate.view(-1, 1, 1) * self.earned, dim=2)

    @property
    def strategies(self) -> list[Strategy]:
        """One table a bidder: the mean bid of each bin, linear between the bins' middles."""
        means = (self.weights * self.bids.unsqueeze(1)).sum(2)
        return [TableStrategy(self.middles[i], means[i]) for i in range(self.num_bidders)]

    def train(
        self,
        rounds: int,
        progress: Callable[[LearningStep], None] | None = None,
        *,
        report_every: int = 100,
        checkpoint: Checkpoint | None = None,
    ) -> list[Strategy]:
        """Play `rounds` rounds from flat weights, with the learning rate that suits this horizon.

        Args:
            rounds: How many.
            progress: Called every `report_every` rounds, and after the last.
            report_every: How often.
            checkpoint: Where the state is kept now and then, and gone on from, to the same bits; None: nowhere.
        Returns:
            `strategies`.
        """
        checked_count(rounds, "rounds")
        self.earned.zero_()
        self._rate = self.step * math.sqrt(8 * math.log(self.bids.shape[1]) / rounds) / (2 * self.high)
        reached = None if checkpoint is None else checkpoint.read(rounds, self.num_bidders)
        if checkpoint is not None and reached is not None:
            fill({"earned": self.earned}, reached.arrays, checkpoint.path)
            fill_generator(self.generator, reached.arrays, checkpoint.path)
        for played in range(1 + (reached.iteration if reached else 0), rounds + 1):
            bins, chosen = self._draw()
            exposure, payment = self._consequences(chosen)
            self.earned += self.middles.unsqueeze(2) * exposure.unsqueeze(1) - payment.unsqueeze(1)
            if progress is not None and (played % report_every == 0 or played == rounds):
                progress(self._report(played, bins, chosen, exposure, payment))
            if checkpoint is not None:
                checkpoint.offer(played, lambda: {"earned": self.earned, "generator": self.generator.get_state()})
        return self.strategies

    def _draw(self) -> tuple[Int[Tensor, "batch bidder"], Int[Tensor, "batch bidder"]]:
        """Return everybody's bins and the places of their bids on the grid."""
        valuations = self.prior.sample(self.batch, self.generator, dtype=torch.float32).squeeze(2)
        count = self.middles.shape[1]
        share = (valuations - self.low) / (self.high - self.low)
        bins = (share * count).long().clamp(0, count - 1)
        weights = self.weights
        chosen = [
            torch.multinomial(weights[i][bins[:, i]], 1, generator=self.generator).squeeze(1)
            for i in range(self.num_bidders)
        ]
        return bins, torch.stack(chosen, dim=1)

    @torch.no_grad()
    def _consequences(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return E[e | b] and E[t | b] of every bidder and bid against the others' draws, in one mechanism call."""
        n, k = self.bids.shape
        rows = torch.arange(n)
        field = self.bids[rows, chosen]  # (batch, bidder)
        profiles = field.expand(n, k, self.batch, n).clone()
        for bidder in range(n):
            profiles[bidder, :, :, bidder] = self.bids[bidder].unsqueeze(1)
        drawn = drawn_contexts(self.substrate, self.batch, self.context, self.generator)
        context = None if drawn is None else drawn.repeat(n * k)
        outcome = self.mechanism(profiles.flatten(0, 2).unsqueeze(2), context)
        exposure = self.substrate.exposure(outcome.allocation, context).view(n, k, self.batch, n)
        payments = outcome.payments.view(n, k, self.batch, n)
        return exposure.mean(2)[rows, :, rows], payments.mean(2)[rows, :, rows]

    def _report(self, played: int, bins: Tensor, chosen: Tensor, exposure: Tensor, payment: Tensor) -> LearningStep:
        rows = torch.arange(self.num_bidders)
        valuations, bids = self.middles[rows, bins], self.bids[rows, chosen]
        utility = valuations * exposure[rows, chosen] - payment[rows, chosen]
        return LearningStep(played, tuple(utility.mean(0).tolist()), tuple((bids.sum(0) / valuations.sum(0)).tolist()))


def learn_by_context(
    mechanism: Clearing,
    substrate: Substrate,
    priors: Any,
    rounds: int,
    *,
    seed: int,
    checkpoint: Callable[[int], Checkpoint] | None = None,
    settings: HedgeSettings = HEDGE,
) -> list[Strategy]:
    """Let exponential weights learn in each context by itself; return one strategy a bidder that observes the context.

    Where every bidder sees the context, nothing that is bid in one context touches another.

    Args:
        mechanism: As for `ExponentialWeights`.
        substrate: One that has contexts.
        priors: As everywhere.
        rounds: Played in each context.
        seed: Of the first context; the next one's is one more.
        checkpoint: Gives the file of each context's state; None: none is kept.
        settings: As for `ExponentialWeights`.
    Raises:
        ValueError: A substrate without contexts.
    """
    count = len(contexts_of(substrate))
    if not count:
        raise InputError("this substrate has no contexts: train ExponentialWeights itself")
    each = [
        ExponentialWeights(mechanism, substrate, priors, seed=seed + k, context=k, settings=settings).train(
            rounds, checkpoint=None if checkpoint is None else checkpoint(k)
        )
        for k in range(count)
    ]
    return [ByContext(own) for own in zip(*each, strict=True)]
