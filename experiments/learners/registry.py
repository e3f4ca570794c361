"""Learners of the reference corpus: what each is called, and how its bidders come to their bids.

A file of this folder, or one of one's own (`auctionsim --plugin FILE bidders corpus`), ends by
`register(CorpusLearner(...))` and has a row in every environment and seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from auctionsim import plugins
from auctionsim.agents import Strategy
from auctionsim.envs import AuctionGame
from auctionsim.errors import InputError
from auctionsim.substrates.protocol import contexts_of


class LearningTask(NamedTuple):
    """One auction to learn in, by all of its bidders at once.

    Attributes:
        environment: Gymnasium id.
        setting: Its named auction.
        game: Its mechanism, substrate and priors; single rounds in float64.
        seed: Seed of everything that is drawn.
        effort: Share of the learner's own number of updates that is made; 1 is all of them.
        budgets: (bidder,) money per auction that may be spent on average; None where there is no limit.
    """

    environment: str
    setting: str
    game: AuctionGame
    seed: int
    effort: float = 1.0
    budgets: tuple[float, ...] | None = None

    @property
    def contexts(self) -> int:
        """How many public contexts bidders see, each before its bid; 0 for none."""
        return len(contexts_of(self.game.substrate))

    def updates(self, whole: int) -> int:
        """Return how many of a learner's updates this task's effort makes, at least 1."""
        return max(round(self.effort * whole), 1)


class LearnedPlay(NamedTuple):
    """What bidders learned.

    Attributes:
        strategies: One a bidder; they may observe the context and nothing else.
        auctions: How many auctions were cleared for it, those for one bidder's trial bids included.
    """

    strategies: Sequence[Strategy]
    auctions: int


@dataclass(frozen=True)
class CorpusLearner:
    """A learner of the corpus.

    Attributes:
        name: Lower-case words, hyphens between.
        label: In tables.
        summary: How bids come about, one line for a stranger.
        learn: From the auction to what bidders learned in it.
        budgeted: Whether it learns under a budget, and is scored against bids that keep to the same budget.
        on_ray: Whether it needs a running Ray.
    """

    name: str
    label: str
    summary: str
    learn: Callable[[LearningTask], LearnedPlay]
    budgeted: bool = False
    on_ray: bool = False

    def __post_init__(self) -> None:
        if not self.name or any(not (c.islower() or c.isdigit() or c == "-") for c in self.name):
            raise InputError(f"a learner's name must be lower-case words with hyphens between, got {self.name!r}")
        for part in ("label", "summary"):
            if not str(getattr(self, part)).strip():
                raise InputError(f"{self.name}: {part} must not be empty")


_TABLE: dict[str, CorpusLearner] = {}
_MADE_BY: dict[str, str] = {}


def register(new: CorpusLearner) -> CorpusLearner:
    """Put a learner into the corpus.

    Raises:
        ValueError: A name or a label that is taken.
    """
    for one in _TABLE.values():
        if new.name == one.name or new.label == one.label:
            raise InputError(f"there is a learner {one.name!r} labelled {one.label!r} already, got {new.name!r}")
    _TABLE[new.name] = new
    _MADE_BY[new.name] = plugins.running()
    return new


def withdraw(name: str) -> None:
    """Take a learner out of the corpus, as before its file is loaded anew.

    Raises:
        ValueError: No learner of that name.
    """
    learner_named(name)
    del _TABLE[name], _MADE_BY[name]


def learner_named(name: str) -> CorpusLearner:
    """Return one learner.

    Raises:
        ValueError: None of that name; lists those there are.
    """
    if name not in _TABLE:
        raise InputError(f"learner must be one of {', '.join(_TABLE)}, got {name!r}")
    return _TABLE[name]


def learner_maker(name: str) -> str:
    """Return which plugin registered a learner, see `auctionsim.plugins.running`; "" where none did."""
    return _MADE_BY[learner_named(name).name]


def learners() -> dict[str, CorpusLearner]:
    """Return all learners by name, in the order in which they were registered."""
    return dict(_TABLE)
