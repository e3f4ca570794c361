"""A carrier's list as the board sells it: prompts of all contexts pooled, one feature, one charged loss a reply."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_context
from auctionsim.errors import InputError
from auctionsim.experiments.running.board_cell import Price
from auctionsim.experiments.running.carrier_cell import AD_WORDS, COLUMNS, CarrierCell
from auctionsim.experiments.running.prompt_intervals import Array
from auctionsim.levers import at_null
from auctionsim.readings.registry import reading
from auctionsim.substrates import Randomised
from auctionsim.substrates.protocol import BaseSubstrate, FiniteRange, Lever, Observation

Contexts = NDArray[np.int64]
"""(prompt,) the context of each prompt."""
NAMED = "mention_probability"
"""What is sold: the probability that the page names the brand at least once."""


class PricedSettings(BaseSubstrate):
    """Joint settings of a carrier, what each gives, and what it costs the user; nothing between them.

    Args:
        levers: The controls of one bidder.
        allocations: (entry, bidder, lever), float64; the null is entry 0.
        exposures: (entry, bidder), probabilities, float64.
        losses: (entry,), 0 at the null, float64.
        loss: Name and unit of the loss.
    """

    features = (NAMED,)

    def __init__(
        self, levers: tuple[Lever, ...], allocations: Tensor, exposures: Tensor, losses: Tensor, loss: tuple[str, str]
    ) -> None:
        self.levers = levers
        self.num_bidders = allocations.shape[1]
        self._allocations = at_null(allocations, levers)
        self._exposures, self._losses = exposures.unsqueeze(2), losses
        self._loss, self._unit = loss

    @property
    def losses(self) -> tuple[str, ...]:
        """The charged one."""
        return (self._loss,)

    @property
    def units(self) -> dict[str, str]:
        """Of the feature and the loss."""
        return {NAMED: "probability", self._loss: self._unit}

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return nobody's levers moved: (batch, bidder, lever)."""
        return self._allocations[:1].to(device, dtype or torch.get_default_dtype()).repeat(batch, 1, 1)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows are on the list: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, len(self.levers)), finite=False)
        return self._equal(x).any(1)

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
        """Return what listed rows give and cost.

        Raises:
            ValueError: A row that is not on the list.
        """
        checked_context(context, len(allocation), ())  # they are pooled
        x = checked_allocation(allocation, (self.num_bidders, len(self.levers)))
        equal = self._equal(x)
        if not bool(equal.any(1).all()):
            raise InputError("only settings on the list were measured")
        entry = equal.to(torch.uint8).argmax(1)
        return Observation(self._exposures.to(x)[entry], {self._loss: self._losses.to(x)[entry]})

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return the list."""
        if context is not None:
            checked_context(context, len(context), ())
        return FiniteRange(self._allocations.clone(), self._exposures[None].clone(), self._losses[None].clone())

    def _equal(self, x: Tensor) -> Tensor:
        return (at_null(x, self.levers).unsqueeze(1) == self._allocations.to(x)).flatten(2).all(2)


class PromptValues(NamedTuple):
    """What one replicate's replies were worth, prompt by prompt: K settings, P prompts, n brands.

    Attributes:
        context: (prompt,) context of each.
        named: (setting, prompt, brand) share of replies that name the brand.
        loss: (setting, prompt) of the loss that is charged.
        columns: (setting, prompt) of the user's side by name; what was not read is left out.
    """

    context: Contexts
    named: Array
    loss: Array
    columns: dict[str, Array]

    def weights(self) -> Array:
        """Return how much each prompt counts, (prompt,): contexts alike, prompts of a context alike."""
        _, place, counts = np.unique(self.context, return_inverse=True, return_counts=True)
        return np.asarray(1.0 / (len(counts) * counts[place]))


def prompt_values(cell: CarrierCell, replicate: str, price: Price) -> PromptValues:
    """Return a replicate's values at a price of the user's loss.

    A prompt all of whose replies under a setting were left unscored by a reading counts as the mean of its context.

    Raises:
        ValueError: The loss was not read of this carrier's replies.
    """
    one = cell.replicates[replicate]
    columns = {name: _filled(values, one.context) for name, values in one.columns.items() if name in _READ}
    columns["reply_kl"] = one.reply_kl.mean(2)
    needed = [price.loss, *([AD_WORDS] if price.words else [])]
    for name in needed:
        if name not in columns:
            why = cell.unread.get(name, "it was not read")
            raise InputError(f"{cell.measured}: {name} cannot be charged: {why}")
        if np.isnan(columns[name]).any():
            raise InputError(f"{cell.measured}: {name} cannot be charged: in some context no reply of a setting has it")
    loss = columns[price.loss] + (price.words * columns[AD_WORDS] if price.words else 0.0)
    return PromptValues(one.context, one.named / one.replies, loss - loss[:1], columns)


_READ = (*COLUMNS, AD_WORDS)


def view_of(cell: CarrierCell, values: PromptValues, price: Price, weights: Array | None = None) -> Randomised:
    """Return distributions over a carrier's settings, as prompts of these weights answer.

    Args:
        cell: The list.
        values: Of one replicate.
        price: Says what the loss is called.
        weights: (prompt,) that sum to 1; None counts contexts alike and prompts of a context alike.
    """
    share = values.weights() if weights is None else weights
    exposures = torch.from_numpy(np.einsum("kpn,p->kn", values.named, share))
    losses = torch.from_numpy(values.loss @ share)
    levers = tuple(_lever(cell, k) for k in range(len(cell.levers)))
    settings = torch.from_numpy(cell.settings)
    return Randomised(PricedSettings(levers, settings, exposures, losses - losses[:1], loss_words(price)))


def loss_words(price: Price) -> tuple[str, str]:
    """Return name and unit of the loss that a price charges."""
    return (f"{price.loss} + {price.words:g} · {AD_WORDS}" if price.words else price.loss), reading(price.loss).unit


def _lever(cell: CarrierCell, k: int) -> Lever:
    found, null = cell.settings[:, :, k], float(cell.nulls[k])
    return Lever(cell.levers[k], min(float(found.min()), null), max(float(found.max()), null), null)


def _filled(values: Array, context: Contexts) -> Array:
    """Return values (setting, prompt) with gaps filled by the mean of their setting and context."""
    filled = values.copy()
    for k in np.unique(context):
        part = filled[:, context == k]
        known = ~np.isnan(part)
        with np.errstate(invalid="ignore"):
            means = np.where(known, part, 0.0).sum(1) / known.sum(1)
        filled[:, context == k] = np.where(known, part, means[:, None])
    return filled
