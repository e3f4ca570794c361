"""Bidding networks, of which learned strategies are made: small ones that say which share of each valuation to bid."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from auctionsim.checks import checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.strategies import Situation

FAINT = -6.0  # softplus of it, .0025, is the share of another feature's valuation at first


class Sight(NamedTuple):
    """The inputs of a network beside the valuation, and their units.

    Attributes:
        observes: Names out of `auctionsim.strategies.OBSERVED`, in the order of its inputs.
        scales: (input,), what is 1 to the network; a context is one-hot, so it has as many 1s as there are contexts.
    """

    observes: tuple[str, ...]
    scales: Tensor


class BiddingNetwork(nn.Module):
    """A strategy with parameters: bid_f = Σ_g share_fg v_g, share_f = start · softplus(net_f(v)) / ln 2.

    What it learns are shares of the valuations; who values nothing bids nothing. At first net_ff ≈ 0, so that the share
    of the own valuation is `start`, and the others' is almost 0: they serve where features are sold together (a bid for
    a first unit that opens the way to a dearer second). Where a bidder hardly ever wins, little is learned, and an
    error in the share does little harm. Every bid has a network of its own, which sees (v − centre) / reach: a bid that
    nothing depends on stays where it is while others learn.

    Args:
        high: (feature,), the largest valuations.
        hidden: Width of the two hidden layers.
        generator: Draws the initial weights.
        start: The share that is bid at first; 1 is truth.
        centre: (feature,), which valuation is 0 to the network; None: half of `high`.
        reach: (feature,), which distance from it is 1; None: half of `high`.
        sight: What it sees beside the valuation; None: nothing.
    """

    def __init__(
        self,
        high: Tensor,
        hidden: int,
        generator: torch.Generator,
        start: float = 1.0,
        *,
        centre: Tensor | None = None,
        reach: Tensor | None = None,
        sight: Sight | None = None,
    ) -> None:
        super().__init__()
        self.start, self.hidden = checked_number(start, "start"), checked_count(hidden, "hidden")
        self.high: Tensor
        self.centre: Tensor
        self.reach: Tensor
        self.register_buffer("high", high.to(torch.float32))
        self.register_buffer("centre", (high / 2 if centre is None else centre).to(torch.float32))
        self.register_buffer("reach", (high / 2 if reach is None else reach).to(torch.float32))
        self.others: Tensor
        self.register_buffer("others", FAINT * (1 - torch.eye(len(high))))
        self.observes = () if sight is None else _checked(sight, len(high)).observes
        self.scales: Tensor | None  # kept in files only where something is seen
        self.register_buffer("scales", None if sight is None else sight.scales.to(torch.float32))
        seen = 0 if sight is None else len(sight.scales)
        self.nets = nn.ModuleList(_net(len(high), seen, hidden, generator) for _ in high)

    @property
    def sight(self) -> Sight | None:
        """What it sees beside the valuation."""
        return None if self.scales is None else Sight(self.observes, self.scales)

    def seen(self, situation: Situation) -> Float[Tensor, "batch input"]:
        """Return what it sees of a situation in its own units, at most 1 either way."""
        if self.scales is None:
            raise InputError("this network sees valuations alone")
        names = [name for name in self.observes if name != "context"]
        plain = {name: _columns(getattr(situation, name)) for name in names}
        kinds = len(self.scales) - _plain_inputs(self.observes, len(self.high))
        parts = [_one_hot(situation.context, kinds) if name == "context" else plain[name] for name in self.observes]
        return (torch.cat(parts, -1) / self.scales.clamp_min(1e-12)).clamp(-1, 1)

    def forward(self, valuations: Tensor, situation: Situation | None = None) -> Tensor:
        """Return bids (batch, feature), ≥ 0, in the valuations' dtype."""
        inner = (valuations.to(torch.float32) - self.centre) / self.reach
        if self.observes:
            inner = torch.cat([inner, self.seen(Situation() if situation is None else situation)], -1)
        raw = torch.stack([net(inner) for net in self.nets], dim=-2)  # (batch, feature, valuation)
        if len(self.nets) > 1:
            raw = raw + self.others
        share = nn.functional.softplus(raw) * (self.start / math.log(2))
        return (share.to(valuations.dtype) * valuations.unsqueeze(-2)).sum(-1)


def _plain_inputs(observes: tuple[str, ...], num_features: int) -> int:
    """Return how many inputs there are that are not the context's."""
    return sum(num_features if name == "last_exposure" else 1 for name in observes if name != "context")


def _checked(sight: Sight, num_features: int) -> Sight:
    plain, given = _plain_inputs(sight.observes, num_features), len(sight.scales)
    wrong = given <= plain if "context" in sight.observes else given != plain
    if wrong:
        raise InputError(f"a network that sees {', '.join(sight.observes)} has other than {given} scales")
    if not bool((sight.scales >= 0).all()):
        raise InputError(f"scales must be >= 0, got {sight.scales.tolist()}")
    return sight


def _columns(numbers: Tensor) -> Tensor:
    """Return what is one number a row, or several, as (batch, number) float32."""
    return (numbers if numbers.ndim > 1 else numbers.unsqueeze(-1)).to(torch.float32)


def _one_hot(context: Tensor | None, kinds: int) -> Tensor:
    if context is None:
        raise InputError(f"this network bids by context, one of {kinds}: none is told here")
    return nn.functional.one_hot(context.long(), kinds).to(torch.float32)


def _net(features: int, seen: int, hidden: int, generator: torch.Generator) -> nn.Sequential:
    layers = (nn.Linear(features + seen, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, features))
    for layer, gain in zip(layers, (1.0, 1.0, 0.01), strict=True):
        nn.init.xavier_normal_(layer.weight, gain, generator=generator)
        nn.init.normal_(layer.bias, std=0.3 * gain, generator=generator)
    return nn.Sequential(layers[0], nn.SiLU(), layers[1], nn.SiLU(), layers[2])


class NetworkStrategy:
    """A trained network as a strategy: no gradients, any dtype."""

    def __init__(self, network: BiddingNetwork) -> None:
        self.network = network

    @property
    def observes(self) -> tuple[str, ...]:
        """What its network sees beside the valuation."""
        return self.network.observes

    @torch.no_grad()
    def __call__(
        self, valuations: Float[Tensor, "batch feature"], situation: Situation | None = None
    ) -> Float[Tensor, "batch feature"]:
        """Return the network's bids."""
        bids: Tensor = self.network(valuations, situation)
        return bids


class CappedStrategy:
    """A policy's mean as a strategy, capped at the highest bid that its environment allowed."""

    def __init__(self, network: BiddingNetwork) -> None:
        self.network = network
        self.inner = NetworkStrategy(network)

    @property
    def observes(self) -> tuple[str, ...]:
        """What its network sees beside the valuation."""
        return self.network.observes

    def __call__(
        self, valuations: Float[Tensor, "batch feature"], situation: Situation | None = None
    ) -> Float[Tensor, "batch feature"]:
        """Return the bids."""
        return torch.minimum(self.inner(valuations, situation), self.network.high.to(valuations.dtype))


class LearningStep(NamedTuple):
    """A learner's progress after some updates: utilities and bids on its last batch.

    Attributes:
        iteration: Updates made so far.
        utility: Mean utility of each bidder on the last batch.
        bid_ratio: Mean bid over mean valuation of each bidder, features together.
    """

    iteration: int
    utility: tuple[float, ...]
    bid_ratio: tuple[float, ...]
