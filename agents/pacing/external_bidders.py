"""Bidders from outside: a callable, a policy or a language model, which reads an observation and says a multiplier."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from auctionsim.agents.pacing.answers import AnswerBook, Ask
from auctionsim.agents.pacing.observations import after_news, no_observations, observation
from auctionsim.agents.pacing.tick import tick_orders
from auctionsim.checks import checked_count, checked_positive
from auctionsim.errors import InputError
from auctionsim.market import CampaignTerms, Controller, Orders, State, TickNews, TickStart

_NUMBER = re.compile(r"(?:multiplier\s*[:=]?\s*)?(\d+(?:\.\d*)?|\.\d+)\.?", re.IGNORECASE | re.ASCII)


class AnswerCounts(NamedTuple):
    """Numbers of answers.

    Attributes:
        answers: To different observations.
        unparsable: Those that say no multiplier: each left a campaign's multiplier as it was.
    """

    answers: int
    unparsable: int


@dataclass(frozen=True)
class External(Controller):
    """A controller whose multipliers are answers to observations in words.

    Who cannot bid is not asked. An answer is one number between 0 and `most`, alone or after "multiplier:"; any other
    leaves the campaign's multiplier as it was, 1 at first, and is counted. Answers are functions of the observation,
    by way of the book, so that the controller is pure.

    Attributes:
        ask: Answers several observations, one text each.
        book: Where answers are kept.
        name: By which campaigns refer to it.
        most: The greatest multiplier that is believed, > 0.
        every: It is asked in every so many ticks of a day, from the first on; in the others multipliers stay.
    """

    ask: Ask
    book: AnswerBook = field(default_factory=AnswerBook)
    name: str = "external"
    most: float = 10.0
    every: int = 1

    def __post_init__(self) -> None:
        checked_positive(self.most, "most")
        checked_count(self.every, "every")

    def begin(self, terms: CampaignTerms) -> State:
        """Return the multiplier 1, and no observations."""
        return {**no_observations(terms), "standing": np.ones(len(terms.budget))}

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return the answers' multipliers."""
        multiplier = state["standing"].copy()
        asked = start.present & (start.budget_left > 0) & (start.tick % self.every == 0)
        rows = np.flatnonzero(asked).tolist()
        texts = [observation(state, terms, start, row) for row in rows]
        for row, answer in zip(rows, self.book.answered(texts, self.ask), strict=True):
            number = multiplier_in(answer, self.most)
            multiplier[row] = multiplier[row] if number is None else number
        return tick_orders(start, multiplier)

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        """Return what is observed next, and the multiplier that stands."""
        del terms
        standing = np.where(news.taking, news.multiplier, state["standing"])
        return {**after_news(state, news), "standing": standing}

    def counts(self) -> AnswerCounts:
        """Return how many answers there are, those of the record included, and how many say no multiplier."""
        numbers = [multiplier_in(answer, self.most) for answer in self.book.answers.values()]
        return AnswerCounts(len(numbers), sum(number is None for number in numbers))


def external(
    bidder: Callable[[str], str | float],
    name: str = "external",
    *,
    record: str | Path = "",
    basis: str = "",
    most: float = 10.0,
    every: int = 1,
) -> External:
    """Return a controller that asks a callable: an RL policy's, a person's, a language model's.

    Args:
        bidder: Reads an observation (`observed_numbers` gives its numbers), says a multiplier of the valuation.
        name: By which campaigns refer to it.
        record: File that answers are recorded in; one that is there goes on. "": none.
        basis: What answers, in one line, for the record; "": the name.
        most: The greatest multiplier that is believed.
        every: It is asked in every so many ticks of a day.
    Raises:
        ValueError: `record` is another file, or has the answers of another basis.
    Example:
        >>> bidder = external(lambda text: "0.5" if "tick: 0" in text else "multiplier: 0.8")
        >>> bidder.name, bidder.most
        ('external', 10.0)
    """

    def ask(observations: Sequence[str]) -> list[str]:
        return [str(bidder(one)) for one in observations]

    return External(ask, AnswerBook(record, basis=basis or name), name, most, every)


def replayed(record: str | Path, name: str = "external", *, most: float = 10.0, every: int = 1) -> External:
    """Return a controller that repeats recorded answers and asks nobody.

    An observation that is not in the record is refused, with the tick and the first line that differs.

    Args:
        record: File of recorded answers.
        name: By which campaigns refer to it.
        most: As when it was recorded.
        every: As when it was recorded.
    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no file of answers, or damaged.
    """
    return External(_nobody, AnswerBook(record, replay=True), name, most, every)


def multiplier_in(answer: str, most: float) -> float | None:
    """Return the multiplier that an answer says, None where it says none: nothing is guessed.

    Args:
        answer: One number in decimals, alone or after "multiplier", with a full stop or without.
        most: A greater number is none.
    Example:
        >>> multiplier_in("Multiplier: 0.75", 10), multiplier_in("between 0.5 and 1", 10), multiplier_in("11", 10)
        (0.75, None, None)
    """
    match = _NUMBER.fullmatch(answer.strip())
    number = math.inf if match is None else float(match[1])
    return number if number <= most else None


def _nobody(observations: Sequence[str]) -> list[str]:
    raise InputError(f"a replay asks nobody, got {len(observations)} new observations")
