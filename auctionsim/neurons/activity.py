"""What neurons do where a brand is named, against where its rivals or nothing of the kind is."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.language_models.hooks import read_neurons
from auctionsim.language_models.model import LanguageModel


class Activity(NamedTuple):
    """Sums over token positions, so that parts can be added.

    Attributes:
        positions: (group,) how many.
        total: (group, layer, neuron) sum of activations.
        squares: (group, layer, neuron) sum of their squares.
        firing: (group, layer, neuron) positions at which the activation is positive.
    """

    positions: Float[Tensor, " group"]
    total: Float[Tensor, "group layer neuron"]
    squares: Float[Tensor, "group layer neuron"]
    firing: Float[Tensor, "group layer neuron"]

    @property
    def mean(self) -> Float[Tensor, "group layer neuron"]:
        """Mean activation."""
        return self.total / self.positions.view(-1, 1, 1)

    @property
    def variance(self) -> Float[Tensor, "group layer neuron"]:
        """Variance of the activation, the sum of squares over the count."""
        return (self.squares / self.positions.view(-1, 1, 1) - self.mean.square()).clamp_min(0)

    @property
    def rate(self) -> Float[Tensor, "group layer neuron"]:
        """Share of positions at which the neuron fires."""
        return self.firing / self.positions.view(-1, 1, 1)

    def plus(self, other: "Activity") -> "Activity":
        """Return the sums over both."""
        return Activity(*(a + b for a, b in zip(self, other, strict=True)))


@torch.inference_mode()
def name_activity(model: LanguageModel, brands: tuple[Brand, ...], prompt: str, stems: tuple[str, ...]) -> Activity:
    """Sum activations over the tokens of each brand's names, written after prompt and stems: a group a brand."""
    prompt_ids = model.chat_ids(prompt)
    pieces = [
        (index, [*prompt_ids, *model.text_ids(stem)], model.continuation_ids(stem, name))
        for index, brand in enumerate(brands)
        for stem in stems
        for name in brand.names
    ]
    longest = max(len(before) + len(name) for _, before, name in pieces)
    rows = [[*before, *name] for _, before, name in pieces]
    ids = torch.tensor([row + row[-1:] * (longest - len(row)) for row in rows], device=model.device)
    inside = torch.zeros(len(rows), longest, dtype=torch.bool, device=model.device)
    for k, (_, before, name) in enumerate(pieces):
        inside[k, len(before) : len(before) + len(name)] = True
    owner = torch.tensor([index for index, _, _ in pieces])
    with read_neurons(model) as read:
        model.network(ids, logits_to_keep=1)
    return _summed(list(read.values()), inside, owner, len(brands))


@torch.inference_mode()
def text_activity(model: LanguageModel, text: str) -> Activity:
    """Sum activations over the tokens of one text: one group."""
    ids = torch.tensor([model.text_ids(text)], device=model.device)
    with read_neurons(model) as read:
        model.network(ids, logits_to_keep=1)
    inside = torch.ones_like(ids, dtype=torch.bool)
    return _summed(list(read.values()), inside, torch.zeros(1, dtype=torch.long), 1)


def _summed(activations: list[Tensor], inside: Tensor, owner: Tensor, groups: int) -> Activity:
    parts: list[list[Tensor]] = [[], [], []]
    for activation in activations:
        kept = activation.float() * inside.unsqueeze(2)
        for part, values in zip(parts, (kept, kept.square(), (kept > 0).float()), strict=True):
            part.append(values.sum(1))
    sums = [
        torch.zeros(groups, len(activations), activations[0].shape[2]).index_add_(
            0, owner, torch.stack(part, dim=1).cpu()
        )
        for part in parts
    ]
    count = torch.zeros(groups).index_add_(0, owner, inside.sum(1).float().cpu())
    return Activity(count, *sums)
