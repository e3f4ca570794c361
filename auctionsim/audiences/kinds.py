"""Kinds of users: a name, a share of all users, and the loss of each, made of the losses that a substrate has."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.substrates.offer import Charge, Offer

_ROUNDING = 1e-9


@dataclass(frozen=True)
class UserKind:
    """A kind of users.

    Attributes:
        name: In words, without "/", "=" or ":".
        share: Of all users, above 0.
        loss: The loss by name, or weights over names, as an `Offer` has it: {"kl": 1.5} loses half as much again.
    Raises:
        ValueError: A name that is none, a share outside (0, 1], a loss that an offer refuses.
    """

    name: str
    share: float
    loss: Charge

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or set("/=:") & set(self.name):
            raise InputError(f"a kind of users needs a name without /, = and :, got {self.name!r:.60}")
        if checked_number(self.share, f"the share of {self.name}", 0.0, 1.0) == 0:
            raise InputError(f"the share of {self.name} must be above 0: leave the kind out, got 0")
        Offer(("any",), self.loss)

    @property
    def weights(self) -> dict[str, float]:
        """Weights of the losses by name."""
        return dict(Offer(("any",), self.loss).charges)

    @classmethod
    def read(cls, text: str) -> "UserKind":
        """Return the kind that a text means, NAME=SHARE:LOSS, such as "strict=0.25:1.5*kl".

        Raises:
            ValueError: It is no such text.
        """
        name, equals, rest = text.partition("=")
        share, colon, loss = rest.partition(":")
        try:
            number = float(share)
        except ValueError:
            number = math.nan
        if not equals or not colon or not math.isfinite(number):
            raise InputError(f"a kind of users is written NAME=SHARE:LOSS, as in strict=0.25:1.5*kl, got {text!r:.80}")
        return cls(name.strip(), number, loss.strip())


class KindLosses(NamedTuple):
    """Losses of the kinds of users over some replies.

    Attributes:
        names: Of the kinds.
        shares: (kind,), of all users; they sum to 1.
        losses: (batch, kind).
    """

    names: tuple[str, ...]
    shares: Float[Tensor, " kind"]
    losses: Float[Tensor, "batch kind"]

    @property
    def by_kind(self) -> Float[Tensor, " kind"]:
        """Each kind's mean over the batch."""
        return self.losses.mean(0)

    @property
    def mean(self) -> float:
        """The mean over all users."""
        return float(self.by_kind @ self.shares.to(self.losses))

    @property
    def worst(self) -> float:
        """The mean of the kind that loses most."""
        return float(self.by_kind.max())

    def tail_mean(self, tail: float) -> float:
        """Return the mean loss of the users that lose most, a share `tail` of all: the conditional value at risk.

        A user is a kind and a reply, so this is a tail over both.

        Args:
            tail: In (0, 1]; 1 is the mean.
        """
        rows = len(self.losses)
        return float(tail_mean(self.losses.reshape(1, -1), (self.shares / rows).repeat(rows), tail)[0])


@dataclass(frozen=True)
class Audience:
    """All kinds of users, with shares that sum to 1.

    Attributes:
        kinds: At least one, each name once.
    Raises:
        ValueError: No kind, a name twice, shares that do not sum to 1.
    Example:
        >>> audience = Audience((UserKind("patient", 0.75, {"kl": 0.5}), UserKind("strict", 0.25, {"kl": 2.0})))
        >>> audience.mean_loss
        {'kl': 0.875}
    """

    kinds: tuple[UserKind, ...]

    def __post_init__(self) -> None:
        names = [kind.name for kind in self.kinds]
        if not names or len(set(names)) < len(names):
            raise InputError(f"an audience has one kind of users at least, each name once, got {names}")
        total = math.fsum(kind.share for kind in self.kinds)
        if abs(total - 1) > _ROUNDING:
            raise InputError(f"the shares of an audience must sum to 1, got {total:g}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kinds."""
        return tuple(kind.name for kind in self.kinds)

    @property
    def shares(self) -> Float[Tensor, " kind"]:
        """Shares of all users, float64."""
        shares = torch.tensor([kind.share for kind in self.kinds], dtype=torch.float64)
        return shares / shares.sum()

    @property
    def mean_loss(self) -> dict[str, float]:
        """The loss of the mean user, as weights by name: expectations are linear, so one charge says all of it."""
        total: dict[str, float] = {}
        for kind in self.kinds:
            for name, weight in kind.weights.items():
                total[name] = total.get(name, 0.0) + kind.share * weight
        return {name: weight for name, weight in total.items() if weight != 0}

    def losses_of(self, losses: Mapping[str, Tensor]) -> KindLosses:
        """Return each kind's loss of an observation's losses, each (batch,).

        Raises:
            ValueError: A kind loses by a name that is not among them.
        """
        columns = []
        for kind in self.kinds:
            offer = Offer(("any",), kind.loss)
            offer.refuse_unknown(("any",), tuple(losses))
            columns.append(offer.charge(losses))
        return KindLosses(self.names, self.shares, torch.stack(columns, 1))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return (count,) indices of kinds, drawn by their shares."""
        return torch.multinomial(self.shares, checked_count(count, "count"), replacement=True, generator=generator)


def tail_mean(
    losses: Float[Tensor, "batch user"], shares: Float[Tensor, " user"], tail: float
) -> Float[Tensor, " batch"]:
    """Return the mean of the largest losses of each row, a share `tail` of all users: the conditional value at risk.

    The user at the edge counts in part, so it is exact for any shares, falls as the tail grows, and is the mean at 1.

    Args:
        losses: Any order.
        shares: Above 0; they sum to 1.
        tail: In (0, 1].
    Source:
        Rockafellar and Uryasev (2002), "Conditional value-at-risk for general loss distributions", definition 3.
    """
    if checked_number(tail, "tail", 0.0, 1.0) == 0:
        raise InputError("tail must be above 0: it is a share of users, got 0")
    ordered, order = losses.sort(1, descending=True)
    own = shares.to(losses)[order]
    counted = (tail - (own.cumsum(1) - own)).clamp(min=0.0).minimum(own)
    return (ordered * counted).sum(1) / counted.sum(1)
