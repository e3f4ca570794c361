"""Gold labels: replies that were judged blind, whether and how each is bad, and who judged them.

A labeller is a person or a language model, and every file of labels says which (`auctionsim.trust.label_files`): a
model's labels are not people's.
"""

from typing import Any, NamedTuple

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.readings.protocol import Reply

GOOD = "good"
FAILURES = ("loops", "drift", "broken")
"""Kinds of failure: what repeats itself, what leaves the question, and what is no readable text."""
KINDS = (GOOD, *FAILURES)
SETTLED = ("agreement", "majority", "adjudication", "one labeller")
"""How a final label came about: all labels say so, most do, one more labeller decided, or there is one label alone."""
LABELLER_KINDS = ("language model", "person")
WARNING = "A model's labels are not people's: agreement with them is agreement with that model."


class Label(NamedTuple):
    """One labeller's label of a reply.

    Attributes:
        labeller: Name, one of the file's labellers.
        bad: Whether the reply is bad.
        kind: One of `KINDS`; "good" where it is not bad.
        rating: 1 (useless) to 5 (what one would want).
    """

    labeller: str
    bad: bool
    kind: str
    rating: int


class LabelSource(NamedTuple):
    """The stored reply that was labelled.

    Attributes:
        surface: Name of the packaged measurement.
        replicate: "A" or "B".
        context: Index of the prompt's context.
        intervention: Index of the measurement's interventions; 0 is the untouched model.
        number: The reply's place in the file of replies.
    """

    surface: str
    replicate: str
    context: int
    intervention: int
    number: int


class GoldLabel(NamedTuple):
    """A labelled reply.

    Attributes:
        category: What was asked about, such as "running shoes".
        prompt: What was asked.
        text: The reply.
        brands: The bidders, with the spelling that counts.
        labels: Of each labeller.
        bad: The final label.
        kind: The final kind, one of `KINDS`.
        rating: The final rating, 1 to 5; a mean may lie between.
        settled: How the final label came about, one of `SETTLED`.
        source: Where the reply is stored.
        weight: How many stored replies this one stands for, by the plan of sampling; above 0.
    """

    category: str
    prompt: str
    text: str
    brands: tuple[Brand, ...]
    labels: tuple[Label, ...]
    bad: bool
    kind: str
    rating: float
    settled: str
    source: LabelSource
    weight: float = 1.0

    @property
    def reply(self) -> Reply:
        """The labelled reply as readings of texts take it; it has no tokens, and reading them is refused."""
        return text_reply(self.prompt, self.text)


class Labeller(NamedTuple):
    """A labeller: a person or a language model.

    Attributes:
        name: As labels have it.
        kind: One of `LABELLER_KINDS`.
        about: Which model or what kind of person, in one line.
    """

    name: str
    kind: str
    about: str


class Labelling(NamedTuple):
    """Provenance of labels: instructions, labellers, date, and how replies were chosen.

    Attributes:
        instructions: What labellers were given, word for word.
        labellers: All of them.
        date: Such as "2026-11-26".
        sampling: How the replies were chosen, and what `weight` counts.
    """

    instructions: str
    labellers: tuple[Labeller, ...]
    date: str
    sampling: str


class GoldLabels(NamedTuple):
    """A file of labelled replies.

    Attributes:
        labels: All of them, in the file's order.
        labelling: How they came about.
        digest: SHA-256 of the file of replies.
    """

    labels: tuple[GoldLabel, ...]
    labelling: Labelling
    digest: str

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, sorted."""
        return tuple(sorted({label.category for label in self.labels}))

    @property
    def labelled_by(self) -> str:
        """Who labelled, in one sentence that is printed beside every number of these labels."""
        kinds = sorted({labeller.kind for labeller in self.labelling.labellers})
        said = f"Labelled by {' and '.join(f'a {kind}' for kind in kinds)}."
        return f"{said} {WARNING}" if LABELLER_KINDS[0] in kinds else said


class LackingTokens(list[int]):
    """Token ids of a text that has none: whatever looks at them is refused."""

    def __len__(self) -> int:
        """Refuse."""
        raise InputError("labelled texts have no tokens: a reading of tokens cannot be held against labels")

    def __iter__(self) -> Any:
        """Refuse."""
        return iter(range(len(self)))

    def __getitem__(self, place: Any) -> Any:
        """Refuse."""
        return len(self)


def text_reply(prompt: str, text: str) -> Reply:
    """Return a text as readings take it; its tokens are refused."""
    return Reply(prompt, text, LackingTokens(), ())
