"""A language model that bids: any causal model by id or folder, or a chat model behind an OpenAI-compatible address."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from auctionsim.agents.pacing.answers import AnswerBook
from auctionsim.agents.pacing.external_bidders import AnswerCounts, External, replayed
from auctionsim.agents.pacing.registry import register
from auctionsim.agents.pacing.speakers import speaker
from auctionsim.checks import checked_count, checked_positive
from auctionsim.errors import InputError
from auctionsim.market import CampaignTerms, Controller, Orders, State, TickNews, TickStart

INSTRUCTIONS = (
    "You bid for an advertiser in a market for places in answers. In each auction your bid is a multiplier times what "
    "the place is worth to you. Without limits the multiplier 1 is best; a lower one spends less, so that the budget "
    "lasts the day. If there is a target, value so far must be at least target times spend so far. These are the "
    "facts:\n\n{observation}\n\nSay the multiplier for the next tick: one number between 0 and {most}, nothing else."
)
"""The prompt that a model is asked by, unless another is given."""


@dataclass(frozen=True)
class LanguageModelBidding(Controller):
    """A language model that is asked for every campaign, at the start of a tick, for its multiplier.

    It says the likeliest words (behind an address: what is drawn there), which are recorded. Who answers, how, and by
    which prompt is the basis of the record; a record of another basis is refused. See `External` for what is believed.

    Attributes:
        name: By which campaigns refer to it.
        model: "smollm2", a hub id, a folder, or an address as in "http://localhost:8000/v1#MODEL".
        record: File that answers are recorded in, and taken from as far as they are there; "": none.
        replay: Ask nothing, and load no model: every answer is in `record`.
        most: The greatest multiplier that is believed.
        every: It is asked in every so many ticks of a day.
        tokens: Of an answer, at most; an address gives its own.
        instructions: Prompt with the places {observation} and {most}; "": `INSTRUCTIONS`.
    """

    name: str = "language-model"
    model: str = "smollm2"
    record: str = ""
    replay: bool = False
    most: float = 2.0
    every: int = 1
    tokens: int = 8
    instructions: str = ""

    def __post_init__(self) -> None:
        checked_positive(self.most, "most")
        checked_count(self.every, "every")
        checked_count(self.tokens, "tokens")
        if "{observation}" not in (self.instructions or INSTRUCTIONS):
            raise InputError("instructions must have the place {observation}, got none")
        if self.replay and not self.record:
            raise InputError("a replay needs the file of recorded answers as record, got none")

    def begin(self, terms: CampaignTerms) -> State:
        """Return the multiplier 1, and no observations."""
        return self._bidder.begin(terms)

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return the answers' multipliers."""
        return self._bidder.orders(state, terms, start)

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        """Return what is observed next."""
        return self._bidder.learn(state, terms, news)

    def counts(self) -> AnswerCounts:
        """Return how many answers there are, and how many say no multiplier."""
        return self._bidder.counts()

    @cached_property
    def _bidder(self) -> External:
        if self.replay:
            return replayed(self.record, self.name, most=self.most, every=self.every)
        prompt = self.instructions or INSTRUCTIONS
        basis, words = speaker(self.model, self.tokens)
        prompt = prompt.replace("{most}", f"{self.most:g}")

        def ask(observations: Sequence[str]) -> Sequence[str]:
            return words([prompt.replace("{observation}", one) for one in observations])

        digest = hashlib.sha256(prompt.encode()).hexdigest()[:16]
        book = AnswerBook(self.record, basis=f"{basis}; prompt {digest}")
        return External(ask, book, self.name, self.most, self.every)


register(LanguageModelBidding)
