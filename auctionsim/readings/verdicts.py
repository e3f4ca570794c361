"""Verdicts of a judge on a reply: yes or no, a rating, better than an untouched reply, as good as an untouched reply.

A verdict is a reading, never a loss by itself: the gate of `auctionsim.trust` says whether it may become one. By
tokens' logits, in float32: in bfloat16 their gap moves in steps that are larger than the margins. Pairwise, the reply
stands first and second, and log odds are averaged over the two orders, which frees them of what a place is worth.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch

from auctionsim.brands import Brand
from auctionsim.judges.choices import RATING, SLOTS, YES_NO, NoVerdict, Verdict, VerdictOptions
from auctionsim.judges.named import VerdictJudge
from auctionsim.judges.positions import swap_averaged
from auctionsim.judges.prompts import judge_prompt
from auctionsim.readings.protocol import Reading, ReferenceReading, Reply, TextReading, Unscored, Value
from auctionsim.readings.remembered import Remembered

NO_REFERENCE = Unscored("no untouched reply beside it")
EMPTY = Unscored("the reply is empty")


class PairVerdict(NamedTuple):
    """A reply beside another one, in both orders.

    Attributes:
        probability: That the reply is the better one, freed of the position where logits are known.
        margin: Its log odds; None where the judge shows no probabilities.
        position: Log odds that the first place is worth; None likewise.
        first_wins: Share of the two orders in which the first place wins.
    """

    probability: float
    margin: float | None
    position: float | None
    first_wins: float


_pairs: Remembered[tuple[str, str, str, str], PairVerdict | Unscored] = Remembered(
    lambda pair: isinstance(pair, PairVerdict) or not pair.for_now
)


def pair_verdicts(
    judge: VerdictJudge, question: str, replies: Sequence[str], other: str
) -> list[PairVerdict | Unscored]:
    """Return what a judge thinks of replies beside one other reply to the same question.

    Args:
        judge: Who judges.
        question: That they answer.
        replies: A verdict each.
        other: The other reply.
    """
    template = judge_prompt("pairwise")
    basis = judge.basis(template)

    def ask(first: str, second: str) -> str:
        return template.fill({"question": question, "first": first, "second": second})

    def compute(fresh: list[tuple[str, str, str, str]]) -> list[PairVerdict | Unscored]:
        texts = [key[2].strip() for key in fresh]
        there = [text for text in texts if text]
        first = judge.verdicts([ask(text, other.strip()) for text in there], SLOTS)
        second = judge.verdicts([ask(other.strip(), text) for text in there], SLOTS)
        pairs = iter(zip(first, second, strict=True))
        return [_pair(*next(pairs)) if text else EMPTY for text in texts]

    return _pairs.get([(basis, question, text, other) for text in replies], compute)


def _pair(first: Verdict | NoVerdict, second: Verdict | NoVerdict) -> PairVerdict | Unscored:
    """Return the verdict of two orders: the reply first, the reply second."""
    for one in (first, second):
        if isinstance(one, NoVerdict):
            return _unscored(one)
    assert isinstance(first, Verdict)
    assert isinstance(second, Verdict)
    ahead = [(one.probabilities[0] > 0.5) + (one.probabilities[0] == 0.5) / 2 for one in (first, second)]
    wins = sum(ahead) / 2
    if first.logits is None or second.logits is None:
        return PairVerdict((first.probabilities[0] + second.probabilities[1]) / 2, None, None, wins)
    pair = swap_averaged(
        torch.tensor([first.logits[0] - first.logits[1]], dtype=torch.float64),
        torch.tensor([second.logits[1] - second.logits[0]], dtype=torch.float64),
    )
    return PairVerdict(float(torch.sigmoid(pair.margin)), float(pair.margin), float(pair.position), wins)


def _unscored(verdict: NoVerdict) -> Unscored:
    return Unscored(verdict.reason, verdict.for_now)


Find = Callable[[], VerdictJudge]
"""Finds the judge, loading it where that is wanted."""


def verdict_readings(find: Find, suffix: str = "") -> tuple[Reading, ...]:
    """Return the readings that a judge's verdicts give; nothing is loaded before they read.

    Args:
        find: Returns the judge.
        suffix: What follows their names.
    """

    def basis(prompt: str) -> Callable[[], str]:
        return lambda: find().basis(judge_prompt(prompt))

    def yes(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Value]:  # noqa: ARG001
        return _of_replies(find(), "yes", YES_NO, replies, lambda one: one.probabilities[0])

    def rating(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Value]:  # noqa: ARG001
        return _of_replies(find(), "rating", RATING, replies, _expected)

    probability, per = "probability", "reply"
    return (
        TextReading(f"judged_yes{suffix}", probability, per, (0.0, 1.0), basis=basis("yes"), read=yes),
        TextReading(f"judged_rating{suffix}", "rating of 1 to 5", per, (1.0, 5.0), basis=basis("rating"), read=rating),
        ReferenceReading(
            f"judged_pairwise{suffix}", probability, per, (0.0, 1.0), basis=basis("pairwise"),
            read=partial(_beside_one, find, "probability"),
        ),
        ReferenceReading(
            f"judged_position{suffix}", "log odds of the first place", per, basis=basis("pairwise"),
            read=partial(_beside_one, find, "position"),
        ),
        ReferenceReading(
            f"judged_reference{suffix}", probability, per, (0.0, 1.0), basis=basis("reference"),
            read=partial(_as_good, find),
        ),
    )  # fmt: skip


def _expected(verdict: Verdict) -> float:
    mean = sum(float(option) * p for option, p in zip(RATING.options, verdict.probabilities, strict=True))
    return min(5.0, max(1.0, mean))  # not below 1 by rounding


def _of_replies(
    judge: VerdictJudge,
    prompt: str,
    choice: VerdictOptions,
    replies: Sequence[Reply],
    value: Callable[[Verdict], float],
) -> list[Value]:
    template = judge_prompt(prompt)
    asked = [
        template.fill({"question": one.prompt, "reply": one.text.strip()}) if one.text.strip() else None
        for one in replies
    ]
    return _values(judge, asked, choice, value, [EMPTY] * len(asked))


def _values(
    judge: VerdictJudge,
    asked: Sequence[str | None],
    choice: VerdictOptions,
    value: Callable[[Verdict], float],
    lacking: Sequence[Unscored],
) -> list[Value]:
    """Return the values of verdicts on the prompts that are there, and for the others why they are not."""
    verdicts = iter(judge.verdicts([one for one in asked if one is not None], choice))
    found: list[Value] = []
    for one, why in zip(asked, lacking, strict=True):
        verdict = NoVerdict(why.reason) if one is None else next(verdicts)
        found.append(_unscored(verdict) if isinstance(verdict, NoVerdict) else value(verdict))
    return found


def _beside_one(
    find: Find, part: str, replies: Sequence[Reply], brands: tuple[Brand, ...], references: Sequence[Sequence[Reply]]
) -> list[Value]:
    """Return verdicts of replies beside the first untouched reply to the same prompt."""
    del brands
    groups: dict[tuple[str, str], list[int]] = {}
    found: list[Value] = [NO_REFERENCE] * len(replies)
    for k, (reply, beside) in enumerate(zip(replies, references, strict=True)):
        other = next((one.text for one in beside if one.text.strip()), None)
        if other is not None:
            groups.setdefault((reply.prompt, other), []).append(k)
    for (question, other), numbers in groups.items():
        for k, pair in zip(
            numbers, pair_verdicts(find(), question, [replies[k].text for k in numbers], other), strict=True
        ):
            value = pair if isinstance(pair, Unscored) else getattr(pair, part)
            found[k] = Unscored("the judge shows no log odds") if value is None else value
    return found


def _as_good(
    find: Find, replies: Sequence[Reply], brands: tuple[Brand, ...], references: Sequence[Sequence[Reply]]
) -> list[Value]:
    """Return P(yes) that replies are as good as the first untouched reply to the same prompt, which is shown."""
    del brands
    template = judge_prompt("reference")
    asked: list[str | None] = []
    lacking = []
    for reply, beside in zip(replies, references, strict=True):
        other, text = next((one.text.strip() for one in beside if one.text.strip()), None), reply.text.strip()
        lacking.append(NO_REFERENCE if other is None else EMPTY)
        if other is None or not text:
            asked.append(None)
        else:
            asked.append(template.fill({"question": reply.prompt, "reference": other, "reply": text}))
    return _values(find(), asked, YES_NO, lambda one: one.probabilities[0], lacking)
