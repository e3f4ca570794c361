"""The equilibrium learner: every bidder a small network, all climbing their own utility at once."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

import torch
from torch import Tensor

from auctionsim.agents.checkpoints import Checkpoint, fill, fill_adam, fill_generator, optimizer_arrays
from auctionsim.agents.closed_forms import RiskAverse
from auctionsim.agents.networks import BiddingNetwork, LearningStep, NetworkStrategy, Sight
from auctionsim.agents.strategies import Strategy
from auctionsim.checks import checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.mechanisms.protocol import is_anonymous
from auctionsim.outcome import Outcome
from auctionsim.priors import Product, product
from auctionsim.regret import quasi_linear
from auctionsim.seeds import seeded
from auctionsim.strategies import Situation
from auctionsim.substrates.protocol import Substrate, contexts_of

SIZES = 1 << 12  # quantiles that a prior's mean and spread are taken over
LAST = 0.2  # what is left of the smoothing at the end: less is noise, for u(b + δ) − u(b − δ) seldom differs
Clearing = Callable[[Tensor, Tensor | None], Outcome]
Utility = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class AscentSettings:
    """Settings of pseudogradient ascent.

    Attributes:
        hidden: Width of the networks.
        learning_rate: Adam's, at the start.
        smoothing: δ at the start, as a share of each prior's width, √12 standard deviations.
    Raises:
        TypeError, ValueError: A number outside its range.
    """

    hidden: int = 24
    learning_rate: float = 3e-2
    smoothing: float = 0.05

    def __post_init__(self) -> None:
        checked_count(self.hidden, "hidden")
        checked_number(self.learning_rate, "learning_rate", 0.0, 1.0)
        checked_number(self.smoothing, "smoothing", 1e-6, 1.0)


ASCENT = AscentSettings()


class EquilibriumLearner:
    """Neural pseudogradient ascent: all bidders climb their own ex-ante utility at once, batched.

    An auction's utility jumps where the winner changes, so its gradient in the bid tells nothing. Each update draws
    valuations, and for every bidder and row compares the utility of bidding δ more and δ less, the others' bids held:
    [u(b + δs) − u(b − δs)] / 2δs, s a random sign a feature, is an unbiased gradient of utility smoothed over ± δ. It
    is handed to the bidder's network as the gradient at its bid. The learning rate falls to a fiftieth on a cosine, δ
    to a fifth; the weights of the last quarter are averaged. A fixed point is a local equilibrium of the smoothed game:
    check it with interim regret.

    Every bidder has a network of its own, unless bidders are known to be exchangeable: equal priors without atoms, and
    a mechanism that claims to treat bidders alike on this substrate (`Mechanism.is_anonymous`: the item rules on
    `Items`, for one). Those share one. Equal priors alone do not make brands on a language model alike.

    Args:
        mechanism: Any callable (bids, context) -> Outcome.
        substrate: What turns its allocations into exposure.
        priors: As everywhere; valuations are independent.
        seed: Draws everything.
        groups: Which network each bidder uses, e.g. (0, 0, 1); None: exchangeable bidders share one.
        observe: What bidders see beside their valuation: () or ("context",), where the substrate has contexts.
        utility: (value, payment) -> utility, elementwise.
        batch: Auctions an update.
        ascent: The networks' width, the learning rate and δ.
    Source:
        Bichler, Fichtl, Heidekrüger, Kohring, Sutterer (2021), "Learning equilibria in symmetric auction games using
        artificial neural networks". Differs: bids are perturbed, not parameters: 2 auctions a row and bidder.
    """

    def __init__(
        self,
        mechanism: Clearing,
        substrate: Substrate,
        priors: Any,
        *,
        seed: SupportsIndex,
        groups: Sequence[int] | None = None,
        observe: Sequence[str] = (),
        utility: Utility = quasi_linear,
        batch: int = 8192,
        ascent: AscentSettings = ASCENT,
    ) -> None:
        self.mechanism, self.substrate, self.utility = mechanism, substrate, utility
        self.num_bidders, self.num_features = substrate.num_bidders, len(substrate.features)
        self.prior = product(priors, self.num_bidders, self.num_features)
        self.contexts = len(contexts_of(substrate))
        self.generator = seeded(seed)
        self.batch = checked_count(batch, "batch")
        self.learning_rate, self.smoothing = ascent.learning_rate, ascent.smoothing
        self.high: Tensor = self.prior.high.to(torch.float32)
        self.centre, self.width = _centre_and_width(self.prior)
        self.observe = _checked_sight(observe, self.contexts)
        self.groups = self._exchangeable() if groups is None else _checked_groups(groups, self.num_bidders)
        members = [self.groups.index(group) for group in range(max(self.groups) + 1)]
        sight = Sight(self.observe, torch.ones(self.contexts)) if self.observe else None
        self.networks = [
            BiddingNetwork(
                self.high[i], ascent.hidden, self.generator, centre=self.centre[i], reach=self.width[i] / 2, sight=sight
            )
            for i in members
        ]

    @property
    def strategies(self) -> list[Strategy]:
        """One strategy a bidder, as learned so far; they follow further training."""
        return [NetworkStrategy(self.networks[group]) for group in self.groups]

    def train(
        self,
        iterations: int = 2000,
        progress: Callable[[LearningStep], None] | None = None,
        *,
        report_every: int = 50,
        checkpoint: Checkpoint | None = None,
    ) -> list[Strategy]:
        """Make `iterations` updates over one whole cosine schedule.

        Args:
            iterations: Updates.
            progress: Called every `report_every` updates, and after the last.
            report_every: How often.
            checkpoint: Where the state is kept now and then, and gone on from, to the same bits; None: nowhere.
        Returns:
            `strategies`.
        """
        checked_count(iterations, "iterations")
        parameters = [p for network in self.networks for p in network.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=self.learning_rate, betas=(0.8, 0.99))
        fade, averaged = 0.02, [torch.zeros_like(p) for p in parameters]
        tail = max(iterations // 4, 1)
        begun = 0 if checkpoint is None else self._go_on(checkpoint, iterations, parameters, averaged, optimizer)
        for iteration in range(begun, iterations):
            left = fade + (1 - fade) * (1 + math.cos(math.pi * iteration / iterations)) / 2
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate * left
            valuations = self.prior.sample(self.batch, self.generator, dtype=torch.float32)
            context = torch.randint(self.contexts, (self.batch,), generator=self.generator) if self.contexts else None
            seen = Situation(context=context)
            bids = torch.stack([self.networks[g](valuations[:, i], seen) for i, g in enumerate(self.groups)], dim=1)
            share = self.smoothing * max(left, LAST)
            slopes, utility = self._pseudogradient(valuations, bids.detach(), share, context)
            optimizer.zero_grad()
            torch.autograd.backward([bids], [-slopes / self.batch])
            optimizer.step()
            if iteration >= iterations - tail:
                torch._foreach_add_(averaged, [p.detach() for p in parameters], alpha=1 / tail)
            if progress is not None and ((iteration + 1) % report_every == 0 or iteration + 1 == iterations):
                ratio = bids.detach().sum((0, 2)) / valuations.sum((0, 2))
                progress(LearningStep(iteration + 1, tuple(utility.mean(0).tolist()), tuple(ratio.tolist())))
            if checkpoint is not None:
                checkpoint.offer(iteration + 1, lambda: self._state(parameters, averaged, optimizer))
        with torch.no_grad():
            for p, mean in zip(parameters, averaged, strict=True):
                p.copy_(mean)
        return self.strategies

    def _state(
        self, parameters: Sequence[Tensor], averaged: Sequence[Tensor], optimizer: torch.optim.Optimizer
    ) -> dict[str, Tensor]:
        """Return everything that the next update depends on."""
        named = {f"parameter.{k}": p for k, p in enumerate(parameters)}
        named |= {f"averaged.{k}": mean for k, mean in enumerate(averaged)}
        return {**named, **optimizer_arrays(optimizer), "generator": self.generator.get_state()}

    def _go_on(
        self,
        checkpoint: Checkpoint,
        iterations: int,
        parameters: Sequence[Tensor],
        averaged: Sequence[Tensor],
        optimizer: torch.optim.Adam,
    ) -> int:
        """Take up the state of an earlier run, if there is one; return the updates that it made."""
        reached = checkpoint.read(iterations, self.num_bidders)
        if reached is None:
            return 0
        own = {f"parameter.{k}": p for k, p in enumerate(parameters)}
        own |= {f"averaged.{k}": mean for k, mean in enumerate(averaged)}
        fill(own, reached.arrays, checkpoint.path)
        fill_adam(optimizer, reached.arrays, checkpoint.path)
        fill_generator(self.generator, reached.arrays, checkpoint.path)
        return reached.iteration

    @torch.no_grad()
    def _pseudogradient(
        self, valuations: Tensor, bids: Tensor, share: float, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return d utility_i / d bid_i (batch, bidder, feature), and both sides' mean utility (batch, bidder)."""
        batch, n, m = bids.shape
        signs = torch.randint(2, (batch, n, m), generator=self.generator) * 2.0 - 1
        steps = share * self.width * signs
        sides = torch.stack([(bids + steps).clamp_min(0), (bids - steps).clamp_min(0)])
        profiles = bids.expand(2, n, batch, n, m).clone()
        for bidder in range(n):
            profiles[:, bidder, :, bidder] = sides[:, :, bidder]
        utilities = self._own_utilities(valuations, profiles, context)  # (side, batch, bidder)
        widths = sides[0] - sides[1]
        slopes = (utilities[0] - utilities[1]).unsqueeze(2) / torch.where(widths == 0, torch.inf, widths)
        return slopes, utilities.mean(0)

    def _own_utilities(self, valuations: Tensor, profiles: Tensor, context: Tensor | None) -> Tensor:
        """Return what each deviator gets from its own deviation, all in one mechanism call."""
        sides, n, batch, _, m = profiles.shape
        repeated = None if context is None else context.repeat(sides * n)
        outcome = self.mechanism(profiles.flatten(0, 2), repeated)
        exposure = self.substrate.exposure(outcome.allocation, repeated).view(sides, n, batch, n, m)
        payments = outcome.payments.view(sides, n, batch, n)
        value = (valuations * exposure).sum(4)
        utilities = self.utility(value, payments)  # (side, deviator, batch, bidder)
        return utilities.diagonal(dim1=1, dim2=3)

    def _exchangeable(self) -> tuple[int, ...]:
        """Return a network each, but one for bidders of equal priors where it is known that nothing else differs."""
        n, m = self.num_bidders, self.num_features
        priors = [tuple(self.prior.marginal(i, f) for f in range(m)) for i in range(n)]
        symmetric = self.utility is quasi_linear or isinstance(self.utility, RiskAverse)
        smooth = all(prior.atoms is None for row in priors for prior in row)  # ties, which go by index, are rare
        if not (symmetric and smooth and is_anonymous(self.mechanism, self.substrate)):
            return tuple(range(n))
        distinct = [prior for i, prior in enumerate(priors) if prior not in priors[:i]]
        return tuple(distinct.index(prior) for prior in priors)


def _checked_groups(groups: Sequence[int], num_bidders: int) -> tuple[int, ...]:
    if len(groups) != num_bidders or set(groups) != set(range(max(groups) + 1)):
        raise InputError(f"groups must give each of the {num_bidders} bidders a network 0, 1, …, got {tuple(groups)}")
    return tuple(groups)


def _checked_sight(observe: Sequence[str], contexts: int) -> tuple[str, ...]:
    if isinstance(observe, str) or tuple(observe) not in ((), ("context",)):
        raise InputError(f"this learner plays single rounds: observe must be () or ('context',), got {observe!r}")
    if observe and not contexts:
        raise InputError("this substrate has no contexts: observe must be ()")
    return tuple(observe)


def _centre_and_width(prior: Product) -> tuple[Tensor, Tensor]:
    """Return each prior's mean and √12 standard deviations, which is how wide a uniform one is: (bidder, feature)."""
    levels = (torch.arange(SIZES, dtype=torch.float64) + 0.5) / SIZES
    values = prior.quantile(levels.view(-1, 1, 1).expand(-1, prior.num_bidders, prior.num_features))
    return values.mean(0), math.sqrt(12) * values.std(0, correction=0)
