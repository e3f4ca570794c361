"""Placements: what a query's answer sells, a substrate's view of one feature, and the rules by which it is sold."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.mechanisms import Mechanism
from auctionsim.substrates import Randomised
from auctionsim.substrates.protocol import Substrate, contexts_of, losses_of, null_of, observe


@dataclass(frozen=True)
class Placement:
    """Brands' places in an answer.

    Attributes:
        name: By which query types refer to it.
        brands: Of the view's bidders, in their order.
        view: Turns an allocation into exposure and losses; it sells one feature.
        rules: Mechanisms on the view by name; the platform chooses one per day. The first is the usual one.
    Raises:
        ValueError: Several features, another number of brands, a brand twice, or no rule.
    """

    name: str
    brands: tuple[str, ...]
    view: Substrate
    rules: Mapping[str, Mechanism]

    def __post_init__(self) -> None:
        if len(self.view.features) != 1:
            raise InputError(f"placement {self.name!r} must sell one feature, got {self.view.features}")
        if len(self.brands) != self.view.num_bidders or len(set(self.brands)) != len(self.brands):
            raise InputError(
                f"placement {self.name!r} must name {self.view.num_bidders} different brands, got {self.brands}"
            )
        if not self.rules:
            raise InputError(f"placement {self.name!r} must have a rule, got none")

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of the losses that its view reads."""
        return losses_of(self.view)

    def context(self, name: str) -> int:
        """Return the index of a context by name, -1 for "".

        Raises:
            ValueError: The view has no such context.
        """
        if not name:
            return -1
        contexts = contexts_of(self.view)
        if name not in contexts:
            raise InputError(f"placement {self.name!r} has the contexts {', '.join(contexts) or 'none'}, got {name!r}")
        return contexts.index(name)

    def rule(self, name: str) -> Mechanism:
        """Return a rule by name, "" the usual one.

        Raises:
            ValueError: No such rule.
        """
        if not name:
            return next(iter(self.rules.values()))
        if name not in self.rules:
            raise InputError(f"placement {self.name!r} has the rules {', '.join(self.rules)}, got {name!r}")
        return self.rules[name]


def sold_share(view: Substrate, allocation: Tensor) -> Tensor:
    """Return the share of replies in which anything is sold: (batch,).

    How likely it is that not the null is carried out where the allocation is a distribution; else whether any lever is
    moved from its null.
    """
    null = null_of(view, len(allocation), dtype=allocation.dtype)
    difference = (allocation - null).abs().flatten(1)
    return difference.sum(1) / 2 if isinstance(view, Randomised) else (difference > 0).any(1).to(allocation.dtype)


def losses_under(view: Substrate, allocation: Tensor, context: Tensor | None) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Return exposure (batch, bidder) and all losses by name, each (batch,)."""
    with torch.no_grad():
        exposure, losses = observe(view, allocation, context)
    return exposure[..., 0], losses
