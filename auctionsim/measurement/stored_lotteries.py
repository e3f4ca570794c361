"""Lotteries of stored replies: exposures from stored texts, losses from stored values, weights for another law.

A measurement's replies to a prompt were drawn under known settings, so many under each. A tilt needs a reference: which
law the replies stand for. With `setting_weights` it is any mixture of the settings, such as the untouched model alone,
or all settings alike; with weights of one's own it is any law whose likelihood ratios are known.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_tensor
from auctionsim.errors import InputError, UnsupportedError
from auctionsim.measurement.reply_values import ReadingValues
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings.protocol import Reading, TextReading, Value, basis_of
from auctionsim.readings.registry import reading
from auctionsim.readings.values import read_texts
from auctionsim.substrates.lottery import Lottery, shares_of
from auctionsim.substrates.reply_candidates import reply_numbers


def stored_lottery(
    stored: StoredReplies,
    numbers: Sequence[int],
    *,
    exposure: str = "mention_probability",
    loss: str | None = None,
    values: Mapping[str, ReadingValues] | None = None,
    weights: Tensor | None = None,
) -> Lottery:
    """Return the lottery over some stored replies, such as all to one prompt.

    Args:
        stored: A measurement's replies.
        numbers: Which, by their place in it, see `StoredReplies.by_prompt`.
        exposure: Name of the reading, per brand, that is sold; "hits" counts the sentences that name a brand.
        loss: Name of the reading that the user loses by, relative to its mean under the reference where it is a
            difference; None: no loss.
        values: What was kept of single replies, by reading. A reading that is not among them is taken of the texts.
        weights: (reply,) importance weights, up to a factor; None: equal ones.
    Raises:
        ValueError: No reply, or one that is not there; a reading that is not per brand, or no loss; values on another
            basis than now; a reply that is unscored; weights that are none.
        NotImplementedError: A reading that needs more than texts, and no values of it.
    """
    if not numbers or not all(0 <= k < len(stored.kept.replies) for k in numbers):
        raise InputError(
            f"numbers must be one or more of 0 … {len(stored.kept.replies) - 1}, got {list(numbers)!s:.80}"
        )
    sold, charged = reading(exposure), None if loss is None else reading(loss)
    if sold.per != "brand":
        raise InputError(f"what replies are sold by must be a reading per brand, got {exposure!r}")
    if charged is not None and (charged.loss is None or charged.per == "brand"):
        raise InputError(f"what replies are charged for must be a reading that is a loss, got {loss!r}")
    shares = None if weights is None else shares_of(weights, len(numbers))
    kept = values or {}
    exposures = reply_numbers(sold, _values(sold, stored, numbers, kept))
    costs = None if charged is None else reply_numbers(charged, _values(charged, stored, numbers, kept), shares)
    texts = [stored.kept.replies[k].text for k in numbers]
    return Lottery.of_texts(texts, exposures, costs, shares, sold=sold, charged=charged)


def setting_weights(
    stored: StoredReplies, numbers: Sequence[int], shares: Float[Tensor, " setting"]
) -> Float[Tensor, " reply"]:
    """Return weights under which a setting is drawn by its share first, and then one of its replies.

    Args:
        stored: A measurement's replies.
        numbers: Which of them.
        shares: Probabilities of the measurement's interventions, in its order.
    Raises:
        ValueError: Shares that are no distribution over the interventions, or one above 0 without a reply.
    """
    settings = len(stored.interventions)
    held = shares_of(checked_tensor(shares, "shares"), settings)
    places = torch.tensor([stored.kept.replies[k].intervention for k in numbers])
    counts = torch.bincount(places, minlength=settings)
    lacking = ((counts == 0) & (held > 0)).nonzero().flatten().tolist()
    if lacking:
        raise InputError(f"setting {lacking[0]} has a share of {float(held[lacking[0]]):g} and no reply")
    return held[places] / counts[places]


def _values(
    one: Reading, stored: StoredReplies, numbers: Sequence[int], values: Mapping[str, ReadingValues]
) -> list[Value]:
    """Return a reading's value of each reply: as it was kept, else taken of the texts."""
    if one.name in values:
        kept = values[one.name]
        if kept.basis != basis_of(one):
            raise InputError(f"the values of {one.name} rest on {kept.basis!r}, and now it rests on {basis_of(one)!r}")
        return [kept.values[k] for k in numbers]
    if not isinstance(one, TextReading) or one.per == "set":
        raise UnsupportedError(f"{one.name} needs more than single texts: give its values of the stored replies")
    return read_texts(one, [stored.reply(k) for k in numbers], stored.brands)
