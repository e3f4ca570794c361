"""Which numbers of an environment's observation mean what, so that a strategy can bid from it."""

from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.strategies import AnyStrategy, Memory, Situation, bids_of, called, observed_by
from auctionsim.strategy_memory import Turn, begun, turn_of

PARTS = {  # what an environment calls what a situation tells
    "context": "context",
    "budget": "budget_left",
    "round": "round",
    "last_exposure": "last_exposure",
    "last_payment": "last_payment",
}


class ObservationLayout(NamedTuple):
    """The parts of an observation, in order.

    Attributes:
        names: The parts side by side, as the environment calls them: "valuation", "context", "budget", …
        widths: How many numbers each has.
        rounds: Of an episode.
        has_contexts: Whether the game has contexts, shown or not.
        has_budgets: Whether it has budgets, shown or not.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]
    rounds: int
    has_contexts: bool
    has_budgets: bool

    @property
    def tells(self) -> tuple[str, ...]:
        """What it tells beside the valuation, as strategies call it, in its order."""
        return tuple(PARTS[name] for name in self.names if name in PARTS)

    def scales(self, high: Tensor) -> Tensor:
        """Return the largest number of every input of a network that sees what this tells; 1 where it has no end.

        Args:
            high: (number,), the upper ends of the observation's box.
        """
        ends = [
            torch.full_like(self._part(name, high), float(self.rounds)) if name == "round" else self._part(name, high)
            for name in self.names
            if name in PARTS
        ]
        largest = torch.cat(ends) if ends else high[:0]
        return torch.where(largest.isfinite(), largest, torch.ones_like(largest))

    def valuations(self, seen: Tensor) -> Tensor:
        """Return the valuations (batch, feature) of an observation (batch, number)."""
        return self._part("valuation", seen)

    def situation(self, seen: Tensor) -> Situation:
        """Return what an observation (batch, number) tells beside the valuation."""
        context, left, share, exposure, payment = (
            self._part(name, seen) if name in self.names else None for name in PARTS
        )
        unlimited = None if self.has_budgets else torch.full(seen.shape[:-1], torch.inf, device=seen.device)
        return Situation(
            context=None if context is None else context.argmax(-1),
            budget_left=unlimited if left is None else left.squeeze(-1),
            round=None if share is None else (share.squeeze(-1) * self.rounds).round().long(),
            last_exposure=exposure,
            last_payment=None if payment is None else payment.squeeze(-1),
        )

    def bids(self, strategy: AnyStrategy | None, seen: Tensor) -> Tensor:
        """Return what a strategy bids (batch, feature) on an observation (batch, number).

        Raises:
            ValueError: The observation does not show what the strategy observes.
        """
        self.check(strategy)
        return bids_of(strategy, self.valuations(seen), self.situation(seen))

    def turn(self, strategy: AnyStrategy | None, memory: Memory, seen: Tensor) -> Turn:
        """Return what a strategy bids on an observation, and what it carries on; an empty memory begins one.

        Raises:
            ValueError: The observation does not show what the strategy observes.
        """
        self.check(strategy)
        kept = memory or begun(strategy, len(seen))
        return turn_of(strategy, kept, self.valuations(seen), self.situation(seen))

    def check(self, strategy: AnyStrategy | None) -> None:
        """Refuse a strategy that observes what is not shown.

        Raises:
            ValueError: Names it and what it lacks.
        """
        absent = {"context"} if not self.has_contexts else set()
        absent |= {"budget_left"} if not self.has_budgets else set()
        missing = [name for name in observed_by(strategy) if name not in {*self.tells, *absent}]
        if missing or "valuation" not in self.names:
            raise InputError(
                f"{called(strategy)} bids on {', '.join(['valuation', *observed_by(strategy)])}; "
                f"this observation shows {', '.join(self.names)}"
            )

    def _part(self, name: str, seen: Tensor) -> Tensor:
        place = self.names.index(name)
        start = sum(self.widths[:place])
        return seen[..., start : start + self.widths[place]]


def valuation_alone(num_features: int) -> ObservationLayout:
    """Return the layout of an observation that is the valuation, whatever else the game has."""
    return ObservationLayout(("valuation",), (num_features,), rounds=1, has_contexts=True, has_budgets=True)
