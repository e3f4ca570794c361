"""Mutual information of a reply and its question, under a second model: what the question explains of the reply.

Mean over the reply's tokens of log p(y | question) − log p(y | "Say something."), in nats a token. Fluency cancels:
text that is as probable after any request gains nothing. The judge frames both by its own chat template and cuts the
text into its own tokens. Whoever games the mean pads with what fits the question; the lowest window cannot be bought
so, since the worst stretch of the reply stays as it is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.judges.model import DEFAULT_JUDGE, ModelJudge, judge_model
from auctionsim.readings.protocol import Reply, TextReading, Unscored, Value
from auctionsim.readings.remembered import Remembered

NEUTRAL = "Say something."
"""The request that says nothing of what is wanted."""
WINDOW = 12
"""Tokens of the window whose mean is lowest."""


class MutualInformation(NamedTuple):
    """What a question explains of a reply, nats a token.

    Attributes:
        mean: Over all tokens.
        lowest: The lowest mean of `WINDOW` tokens in a row; the mean of all where there are fewer.
    """

    mean: float
    lowest: float


_values: Remembered[tuple[str, str, str], MutualInformation | Unscored] = Remembered()


def mutual_information(judge: ModelJudge, prompt: str, texts: Sequence[str]) -> list[MutualInformation | Unscored]:
    """Return the mutual information of replies with the question that they answer.

    Args:
        judge: The second model.
        prompt: The question.
        texts: Replies to it.
    Returns:
        One for each text; unscored where it is empty, has control tokens of the judge's, or is too long for it.
    Source:
        Li, Galley, Brockett, Gao and Dolan (2016), "A Diversity-Promoting Objective Function for Neural Conversation
        Models", equation 9 with λ = 1; here per token, and against a neutral request instead of none.
    """
    keys = [(judge.identity, prompt, text) for text in texts]
    return _values.get(keys, lambda fresh: _scored(judge, prompt, [text for _, _, text in fresh]))


def _scored(judge: ModelJudge, prompt: str, texts: Sequence[str]) -> list[MutualInformation | Unscored]:
    try:
        asked, neutral = judge.chat_ids(prompt), judge.chat_ids(NEUTRAL)
    except InputError:
        return [Unscored("the question has control tokens of the judge's")] * len(texts)
    room = None if judge.context_length is None else judge.context_length - max(len(asked), len(neutral))
    ids = [_ids(judge, text, room) for text in texts]
    continuations = [one if isinstance(one, list) else [] for one in ids]
    pairs = zip(*(judge.log_probabilities(frame, continuations) for frame in (asked, neutral)), strict=True)
    gains = [after.double() - anyway.double() for after, anyway in pairs]
    return [_summary(gain) if isinstance(one, list) else one for one, gain in zip(ids, gains, strict=True)]


def _ids(judge: ModelJudge, text: str, room: int | None) -> list[int] | Unscored:
    try:
        ids = judge.reply_ids(text)
    except InputError:
        return Unscored("the reply has control tokens of the judge's")
    if not ids:
        return Unscored("the reply is empty")
    return ids if room is None or len(ids) <= room else Unscored("the reply is longer than the judge can read")


def _summary(gain: torch.Tensor) -> MutualInformation:
    """Return mean and lowest window of the tokens' gains."""
    windows = gain.unfold(0, min(WINDOW, len(gain)), 1).mean(1)
    return MutualInformation(float(gain.mean()), float(windows.min()))


def mutual_information_readings(judge: str = DEFAULT_JUDGE, suffix: str = "") -> tuple[TextReading, TextReading]:
    """Return the readings `mutual_information` and `mutual_information_lowest`; nothing is loaded before they read.

    Args:
        judge: Name of a judge model.
        suffix: What follows their names.
    """

    def basis() -> str:
        return f"{judge_model(judge).identity}; beside {NEUTRAL!r}; window {WINDOW}"

    def all_of(replies: Sequence[Reply]) -> list[MutualInformation | Unscored]:
        found: list[MutualInformation | Unscored] = [Unscored("not read")] * len(replies)
        for prompt in dict.fromkeys(reply.prompt for reply in replies):
            numbers = [k for k, reply in enumerate(replies) if reply.prompt == prompt]
            values = mutual_information(judge_model(judge), prompt, [replies[k].text for k in numbers])
            for k, value in zip(numbers, values, strict=True):
                found[k] = value
        return found

    def mean(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Value]:  # noqa: ARG001
        return [one.mean if isinstance(one, MutualInformation) else one for one in all_of(replies)]

    def lowest(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Value]:  # noqa: ARG001
        return [one.lowest if isinstance(one, MutualInformation) else one for one in all_of(replies)]

    name = f"mutual_information{suffix}"
    return (
        TextReading(name, "nats a token", per="reply", basis=basis, read=mean),
        TextReading(name.replace("information", "information_lowest", 1), "nats a token", per="reply", basis=basis,
                    read=lowest),
    )  # fmt: skip
