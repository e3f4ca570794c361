"""Networks that read all bids at once: what each bid weighs, what each entry is given, and what share is charged."""

from typing import NamedTuple, SupportsIndex, TypeAlias

import torch
from torch import Tensor, nn

from auctionsim.checks import checked_count
from auctionsim.seeds import seeded


class BidReadings(NamedTuple):
    """What a network makes of bids, all as shares of the largest valuation.

    Attributes:
        weights: (batch, bidder, feature), what a unit of exposure counts for in the choice.
        constants: (batch, entry), what an entry counts for by itself.
        fractions: (batch, bidder) in (0, 1), what share of the reported value is charged.
    """

    weights: Tensor
    constants: Tensor
    fractions: Tensor


class BidPerceptron(nn.Module):
    """A perceptron of two hidden layers over all bids and the context, as in RegretNet.

    Weights begin as the bids, constants as nothing and fractions as a half: the last layer starts at 0.

    Args:
        sizes: Contexts plus one, entries, bidders, features.
        width: Of the hidden layers.
        seed: Of the weights.
    """

    kind = "perceptron"

    def __init__(self, sizes: tuple[int, int, int, int], width: int = 64, seed: SupportsIndex = 0) -> None:
        super().__init__()
        self.sizes, self.width = sizes, checked_count(width, "width")
        slots, entries, bidders, features = sizes
        bids = bidders * features
        self.body = nn.Sequential(
            nn.Linear(bids + slots, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, bids + entries + bidders),
        )
        _begin(self, seed)
        _silence(self.body[4])

    def forward(self, shares: Tensor, slot: Tensor) -> BidReadings:
        """Read bids (batch, bidder, feature), as shares of the largest valuation, and slots (batch,)."""
        slots, entries, bidders, features = self.sizes
        where = torch.eye(slots, dtype=shares.dtype, device=shares.device)[slot]
        added = self.body(torch.cat([shares.flatten(1), where], 1))
        weights, constants, charges = added.split([bidders * features, entries, bidders], 1)
        return BidReadings(shares + weights.view(-1, bidders, features), constants, charges.sigmoid())


class BidTransformer(nn.Module):
    """A transformer over the set of bids, a token for each bidder and feature, and one for the context.

    A token's head writes the weight of its bid, the mean of a bidder's tokens its fraction, and the context's token
    is compared with a vector for each entry, which gives the constants.

    Args:
        sizes: Contexts plus one, entries, bidders, features.
        width: Of tokens; a multiple of 4.
        seed: Of the weights.
    """

    kind = "transformer"

    def __init__(self, sizes: tuple[int, int, int, int], width: int = 16, seed: SupportsIndex = 0) -> None:
        super().__init__()
        self.sizes, self.width = sizes, 4 * checked_count(max(width // 4, 1), "width")
        slots, entries, bidders, features = sizes
        self.bid = nn.Linear(1, self.width)
        self.bidder = nn.Embedding(bidders, self.width)
        self.feature = nn.Embedding(features, self.width)
        self.slot = nn.Embedding(slots, self.width)
        layers = [nn.TransformerEncoderLayer(self.width, 4, 2 * self.width, 0.0, batch_first=True) for _ in range(2)]
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(self.width, 2)
        self.entry = nn.Linear(self.width, entries)
        _begin(self, seed)
        _silence(self.head)
        _silence(self.entry)

    def forward(self, shares: Tensor, slot: Tensor) -> BidReadings:
        """Read bids (batch, bidder, feature), as shares of the largest valuation, and slots (batch,)."""
        _, _, bidders, features = self.sizes
        tokens = self.bid(shares.unsqueeze(3)) + self.bidder.weight.unsqueeze(1) + self.feature.weight
        tokens = torch.cat([self.slot(slot).unsqueeze(1), tokens.flatten(1, 2)], 1)
        for layer in self.layers:
            tokens = layer(tokens)
        written = self.head(tokens[:, 1:]).view(-1, bidders, features, 2)
        return BidReadings(shares + written[..., 0], self.entry(tokens[:, 0]), written[..., 1].mean(2).sigmoid())


BidNetwork: TypeAlias = BidPerceptron | BidTransformer


def _begin(network: nn.Module, seed: SupportsIndex) -> None:
    """Draw matrices evenly within one over the root of their inputs; vectors at 0, gains at 1."""
    generator = seeded(seed)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            bound = parameter.shape[1] ** -0.5
            parameter.data.uniform_(-bound, bound, generator=generator)
        else:
            parameter.data.fill_(float(name.endswith(("norm1.weight", "norm2.weight"))))


def _silence(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.data.zero_()
