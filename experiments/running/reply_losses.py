"""The charged loss of single replies, each beside the untouched reply of the same random numbers."""

import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.readings.live import ReplyBatch
from auctionsim.readings.protocol import IS_ONE, LOWER
from auctionsim.readings.registry import reading
from auctionsim.readings.standard import STANDARD
from auctionsim.substrates import Offer


def readings_besides(offer: Offer) -> tuple[str, ...]:
    """Return the readings that the charged loss is made of and that are not standard: they are to be taken, too.

    Raises:
        ValueError: One that there is not, or that is no loss.
    """
    for name, _ in offer.charges:
        if reading(name).role != "loss":
            raise InputError(f"the loss must be made of readings that are losses, and {name} is a {reading(name).role}")
    return tuple(name for name, _ in offer.charges if name not in STANDARD)


def paired_losses(batch: ReplyBatch, offer: Offer) -> Tensor:
    """Return the charged loss of the second half of some replies, beside the first: (reply,), NaN where unscored.

    Args:
        batch: Untouched replies, then as many boosted ones from the same random numbers.
        offer: Which loss is charged.
    """
    losses = {}
    for name, _ in offer.charges:
        untouched, boosted = batch.numbers(name).view(2, -1)
        how = reading(name).loss
        losses[name] = boosted if how == IS_ONE else boosted - untouched if how == LOWER else untouched - boosted
    return torch.as_tensor(offer.charge(losses))
