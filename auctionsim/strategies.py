"""What a strategy is: a callable from valuations to bids, which may declare what else it observes.

A strategy maps (batch, feature) valuations to (batch, feature) bids. One that has an attribute `observes`, some of
`OBSERVED`, is called with a second argument, a `Situation` that tells what it named and nothing else:

    def pacing(valuations, situation):
        return valuations * (situation.budget_left / 4).clamp_max(1).unsqueeze(1)

    pacing.observes = ("budget_left",)

One that draws from a generator of its own says `draws = True` in the same way. One that carries something from round to
round of an episode says `remembers = True`, and has the methods of `auctionsim.strategy_memory` in place of a call.

Environments, evaluators and learners all call strategies through `bids_of`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, cast, runtime_checkable

import torch
from torch import Tensor

from auctionsim.checks import checked_amounts
from auctionsim.claims import declared
from auctionsim.errors import InputError, InputTypeError

OBSERVED = ("context", "budget_left", "round", "last_exposure", "last_payment")
Strategy: TypeAlias = Callable[..., Tensor]
"""A rule from valuations, and the situation where it observes one, to bids, all (batch, feature)."""
Strategies: TypeAlias = "Strategy | Sequence[Strategy] | None"


class Situation(NamedTuple):
    """What a bidder can know beside its valuation when it bids; one row an auction, None what is not told.

    Attributes:
        context: (batch,) int64, index of the public context; None also where the substrate has no contexts.
        budget_left: (batch,) money that may still be spent; infinite in a game without budgets.
        round: (batch,) int64, rounds played so far in the episode.
        last_exposure: (batch, feature), what the round before brought; 0 in the first.
        last_payment: (batch,), what the round before cost; 0 in the first.
    """

    context: Tensor | None = None
    budget_left: Tensor | None = None
    round: Tensor | None = None
    last_exposure: Tensor | None = None
    last_payment: Tensor | None = None

    def only(self, names: Sequence[str]) -> "Situation":
        """Return what these names tell, in memory of its own."""
        told = {name: getattr(self, name) for name in names}
        return Situation(**{name: None if part is None else part.clone() for name, part in told.items()})


Memory: TypeAlias = Mapping[str, Tensor]
"""What a bidder carries from round to round: tensors by name, each with one row an episode."""


@runtime_checkable
class MemoryStrategy(Protocol):
    """A strategy with a memory, see `auctionsim.strategy_memory`; it may declare `observes` and `draws`, too."""

    @property
    def remembers(self) -> bool:
        """True."""
        ...

    def begin(self, batch: int) -> Memory:
        """Return the memory of `batch` episodes that begin."""
        ...

    @property
    def next(self) -> Callable[..., tuple[Tensor, Memory]]:
        """Return bids (batch, feature) and the next memory, of a memory, valuations and what it observes."""
        ...


AnyStrategy: TypeAlias = Strategy | MemoryStrategy
"""A strategy with or without a memory."""


class Declaration(NamedTuple):
    """What a strategy says of itself, by attributes of these names; each says no until the strategy says more.

    Attributes:
        observes: Names out of `OBSERVED`: what it is told beside the valuation.
        draws: Whether its bids depend on more than what it is told: it draws from a generator of its own.
        remembers: Whether it carries a memory from round to round, see `auctionsim.strategy_memory`.
    """

    observes: tuple[str, ...] = ()
    draws: bool = False
    remembers: bool = False


def declared_by(strategy: AnyStrategy | None) -> Declaration:
    """Return what a strategy declares; truth and a plain function of the valuation declare nothing.

    Raises:
        ValueError: `observes` is no sequence of names out of `OBSERVED`, once each, or `draws` or `remembers` is
            neither True nor False.
    """
    answers: dict[str, Any] = {}
    for name in ("draws", "remembers"):
        answers[name] = declared(strategy, name, getattr(Declaration(), name))
        if not isinstance(answers[name], bool):
            raise InputError(f"{called(strategy)}.{name} must be True or False, got {answers[name]!r:.60}")
    return Declaration(observed_by(strategy), **answers)


def observed_by(strategy: AnyStrategy | None) -> tuple[str, ...]:
    """Return what a strategy declares that it observes; () for truth and for a function of the valuation alone.

    Raises:
        ValueError: `observes` is no sequence of names out of `OBSERVED`, once each.
    """
    names = declared(strategy, "observes", Declaration().observes)
    if isinstance(names, str) or not isinstance(names, Collection):
        raise InputError(f"{called(strategy)}.observes must name some of {OBSERVED} once each, got {names!r:.60}")
    if not set(names) <= set(OBSERVED) or len(set(names)) != len(tuple(names)):
        raise InputError(f"{called(strategy)}.observes must name some of {OBSERVED} once each, got {names!r}")
    return tuple(names)


def bids_of(strategy: AnyStrategy | None, valuations: Tensor, situation: Situation | None = None) -> Tensor:
    """Return what a strategy bids; None tells the truth.

    Args:
        strategy: Any strategy.
        valuations: (batch, feature).
        situation: What is known beside them; None: nothing.
    Returns:
        (batch, feature).
    Raises:
        ValueError: The strategy observes what the situation does not tell, carries a memory, or answers in another
            shape.
        TypeError: It answers with something else than a tensor.
    """
    if strategy is None:
        return valuations
    if declared_by(strategy).remembers:
        raise InputError(
            f"{called(strategy)} carries a memory from round to round, which a single round does not have: "
            f"play it in an environment"
        )
    known, plain = known_to(strategy, situation), cast("Strategy", strategy)
    own = valuations.clone()  # so that one that computes in place (v *= 0.5) changes nobody's valuations
    return checked_bids(strategy, plain(own) if known is None else plain(own, known), valuations)


def known_to(strategy: AnyStrategy, situation: Situation | None) -> Situation | None:
    """Return the part of a situation that a strategy observes, None where it observes nothing.

    Raises:
        ValueError: It observes what the situation does not tell.
    """
    names = observed_by(strategy)
    if not names:
        return None
    known = Situation() if situation is None else situation
    untold = [name for name in names if name != "context" and getattr(known, name) is None]
    if untold:
        raise InputError(
            f"{called(strategy)} observes {', '.join(untold)}, which a single round does not have: "
            f"play it in an environment"
        )
    return known.only(names)


def checked_bids(strategy: object, bids: object, valuations: Tensor) -> Tensor:
    """Return a strategy's answer if it is bids for these valuations.

    Raises:
        ValueError: Another shape.
        TypeError: No tensor.
    """
    if not isinstance(bids, Tensor):
        raise InputTypeError(f"strategies must answer with a tensor, got {type(bids).__name__} from {called(strategy)}")
    if bids.shape != valuations.shape:
        raise InputError(
            f"strategies must answer in the shape of valuations, {tuple(valuations.shape)}, got {tuple(bids.shape)}"
        )
    return bids


def called(strategy: object) -> str:
    """Return what a message calls a strategy: a function's own name, or its class."""
    return str(declared(strategy, "__name__", type(strategy).__name__))


def strategy_list(strategies: Strategies, num_bidders: int) -> tuple[Strategy, ...] | None:
    """Return one strategy a bidder, or None for truth.

    Raises:
        ValueError: A sequence of another length.
    """
    if strategies is None:
        return None
    if callable(strategies):
        return (strategies,) * num_bidders
    if len(strategies) != num_bidders:
        raise InputError(f"strategies must be one callable or one a bidder: got {len(strategies)} for {num_bidders}")
    return tuple(strategies)


def played(strategies: Sequence[Strategy] | None, valuations: Tensor, context: Tensor | None = None) -> Tensor:
    """Return the bids (batch, bidder, feature) that bidders with these valuations submit in single rounds.

    Args:
        strategies: One a bidder; None: truth.
        valuations: (batch, bidder, feature).
        context: (batch,) indices of the public contexts, None where there are none.
    Raises:
        ValueError: A strategy observes more than the context, or answers with another shape, NaN, infinite or negative
            bids.
    """
    if strategies is None:
        return valuations
    situation = Situation(context=context)
    with torch.no_grad():
        columns = [bids_of(play, valuations[:, i], situation) for i, play in enumerate(strategies)]
        bids = torch.stack(columns, dim=1).to(valuations.dtype)
    return checked_amounts(bids, valuations.shape[1], valuations.shape[2], "a strategy's bids")
