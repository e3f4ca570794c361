"""Candidate replies to one prompt, drawn before any bid: from the untouched model, or a carrier at a fixed setting."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.protocol import Carrier
from auctionsim.checks import checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.language_models.change import Change
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import prefill_under
from auctionsim.readings.passes import BegunReplies, SamplingLaw
from auctionsim.readings.protocol import IS_ONE, LOWER, Reading, Reply, TextReading, Unscored, Value
from auctionsim.readings.registry import reading
from auctionsim.readings.values import read_texts
from auctionsim.substrates.drawing import Draw, drawn_replies, uniforms

FixedAllocation = Tensor | Callable[..., object] | None
"""One row of levers, or None for the untouched model; a function is refused, because it could read bids."""


def candidate_replies(
    model: LanguageModel,
    carrier: Carrier,
    candidates: int,
    seed: int,
    *,
    prompt: str,
    allocation: FixedAllocation,
    max_new_tokens: int,
    temperature: float,
) -> list[Reply]:
    """Draw candidates, independently, as `Lottery.sampled` says.

    Candidate k is drawn at the uniform numbers of (seed, k), whatever the prompt and the allocation.

    Raises:
        ValueError: A carrier or an allocation that reads bids, an allocation that cannot be carried out, a model that
            overflows at it.
    """
    count, longest = checked_count(candidates, "candidates"), checked_count(max_new_tokens, "max_new_tokens")
    seed = checked_count(seed, "seed", 0)
    law = SamplingLaw(checked_number(temperature, "temperature"), 1.0)
    change = _fixed_change(carrier, allocation)
    carrier.check_model(model)
    prefix = prefill_under(model, [prompt], longest, change.reply)
    drawn = drawn_replies(
        model,
        change.repeat(count),
        [Draw(prompt, (k,)) for k in range(count)],
        BegunReplies(prefix, prefix, prefix).repeat(count),
        lambda place: uniforms(seed, place, longest),
        law,
    )
    if not bool(drawn.decoded.finite.all()):
        raise InputError(f"the model's logits are not finite in {model.dtype} at the candidates' allocation")
    return drawn.replies


def _fixed_change(carrier: Carrier, allocation: FixedAllocation) -> Change:
    """Return the change, a single row, that all candidates are drawn under."""
    if carrier.reads_bids:
        raise InputError(
            f"candidates must be drawn from a law that does not read bids: {carrier.name} shows bids to the model"
        )
    if allocation is None:
        return Change(1)
    if not isinstance(allocation, Tensor):
        raise InputError(
            "candidates must be drawn from a law that does not read bids: pass one allocation and no function of bids"
        )
    levers = (len(carrier.brands), len(carrier.levers))
    if tuple(allocation.shape) != levers:
        raise InputError(
            f"candidates are drawn at one allocation (bidder, lever) of shape {levers}, got {tuple(allocation.shape)}"
        )
    return carrier.change(carrier.checked(allocation.unsqueeze(0)))


def sold_reading(name: str) -> TextReading:
    """Return the reading of texts per brand that candidates are sold by.

    Raises:
        ValueError: There is none of this name, or it is of another kind.
    """
    one = reading(name)
    if not isinstance(one, TextReading) or one.per != "brand":
        raise InputError(f"what candidates are sold by must be a reading of texts per brand, got {name!r}")
    return one


def charged_reading(name: str) -> TextReading:
    """Return the reading of texts that is the user's loss by candidates.

    Raises:
        ValueError: There is none of this name, or it is no loss.
    """
    one = reading(name)
    if not isinstance(one, TextReading) or one.role != "loss":
        raise InputError(f"what candidates are charged for must be a reading of texts that is a loss, got {name!r}")
    return one


def candidate_values(one: TextReading, replies: Sequence[Reply], brands: tuple[Brand, ...]) -> Float[Tensor, "reply *"]:
    """Return what each candidate is worth, (reply, bidder), or costs, (reply,), relative to their mean; float64.

    Raises:
        ValueError: The reading left a candidate unscored.
    """
    return reply_numbers(one, read_texts(one, replies, brands))


def reply_numbers(one: Reading, listed: Sequence[Value], weights: Tensor | None = None) -> Float[Tensor, "reply *"]:
    """Return a reading's values of replies as numbers, those of a loss by difference relative to their mean; float64.

    Args:
        one: Whose they are.
        listed: A value a reply, or a list of one a bidder.
        weights: (reply,) probabilities that the mean is under; None: equal ones.
    Raises:
        ValueError: The reading left a reply unscored.
    """
    for k, value in enumerate(listed):
        if isinstance(value, Unscored):
            raise InputError(f"{one.name} left candidate {k} unscored ({value.reason}): a lottery needs all of them")
    values = torch.tensor(listed, dtype=torch.float64)
    if one.loss is None or one.loss == IS_ONE:
        return values
    mean = values.mean() if weights is None else (weights * values).sum()
    return values - mean if one.loss == LOWER else mean - values
