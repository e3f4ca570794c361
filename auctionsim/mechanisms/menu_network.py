"""A network that writes each bidder's menu from the others' bids and the context."""

from typing import SupportsIndex

import torch
from torch import Tensor, nn

from auctionsim.checks import checked_count
from auctionsim.mechanisms.menu import check_menus_fit
from auctionsim.mechanisms.menu_entries import Menu
from auctionsim.seeds import seeded
from auctionsim.substrates.protocol import Substrate, contexts_of


class MenuNetwork(nn.Module):
    """Write bidder i's menu from (b_{−i}, context, i): a free menu plus what a network adds to it.

    The own bid is no input, so on a separable substrate the menu auction stays exactly truthful. One network serves all
    bidders; its last layer starts at 0, so that it begins as the free menu. Levers end in their range and prices at
    ≥ 0 by clamping, with the gradient let through.

    Args:
        substrate: Levers of each bidder's own.
        entries: How many a bidder gets besides the null.
        hidden: Width of the two hidden layers.
        free: The menu to begin with, one a bidder, or one a slot (each context, then None) and bidder; None for levers
            and prices drawn uniformly.
        seed: Of the network's weights, and of the menu if none is given.
    """

    ignores_own_bid = True  # what `MenuAuction.dsic_proof` asks for

    def __init__(
        self, substrate: Substrate, *, entries: int, hidden: int = 64, free: Menu | None = None, seed: SupportsIndex = 0
    ) -> None:
        super().__init__()
        check_menus_fit(substrate)
        checked_count(entries, "entries"), checked_count(hidden, "hidden")
        generator = seeded(seed)
        n, features, levers = substrate.num_bidders, len(substrate.features), len(substrate.levers)
        self.hidden, self.entries, self.num_levers = hidden, entries, levers
        self.slots = len(contexts_of(substrate)) + 1
        low = torch.tensor([lever.low for lever in substrate.levers])
        self.register_buffer("low", low)
        self.register_buffer("span", torch.tensor([lever.high for lever in substrate.levers]) - low)
        if free is None:
            start = low + self._buffer("span") * torch.rand(n, entries, levers, generator=generator)
            free = Menu(start, torch.rand(n, entries, generator=generator))
        shape = (self.slots, n, entries)
        self.levers = nn.Parameter(((free.levers.float() - low) / self._buffer("span")).expand(*shape, levers).clone())
        self.prices = nn.Parameter(free.prices.float().expand(shape).clone())
        inputs = (n - 1) * features + n + self.slots
        self.body = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, entries * (levers + 1)),
        )
        for layer in self.body:
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                layer.weight.data.uniform_(-bound, bound, generator=generator)
                layer.bias.data.zero_()
        for parameter in list(self.body.parameters())[-2:]:
            parameter.data.zero_()

    def forward(self, bids: Tensor, context: Tensor | None = None) -> Menu:
        """Return menus (batch, bidder, entry, …) for bids (batch, bidder, feature)."""
        batch, n, _ = bids.shape
        slot = torch.full((batch,), self.slots - 1, device=bids.device) if context is None else context.long()
        others = torch.stack([torch.cat([bids[:, :i], bids[:, i + 1 :]], 1).flatten(1) for i in range(n)], 1)
        who = torch.eye(n, dtype=bids.dtype, device=bids.device).expand(batch, n, n)
        where = torch.eye(self.slots, dtype=bids.dtype, device=bids.device)[slot].unsqueeze(1).expand(-1, n, -1)
        inputs = torch.cat([torch.log1p(others), who, where], 2).to(self.levers.dtype)
        added = self.body(inputs).to(bids.dtype)
        added = added.view(batch, n, self.entries, self.num_levers + 1)
        levers = _kept(self.levers[slot] + added[..., :-1], 0.0, 1.0)
        prices = _kept(self.prices[slot] + added[..., -1], 0.0, torch.inf)
        # clamped again: low + span · 1 may round past the end of the range
        low, span = self._buffer("low"), self._buffer("span")
        return Menu(torch.minimum(low + span * levers, low + span), prices)

    def _buffer(self, name: str) -> Tensor:
        return self.get_buffer(name)


def _kept(values: Tensor, low: float, high: float) -> Tensor:
    """Return the values clamped, with the gradient of the values."""
    return values + (values.clamp(low, high) - values).detach() if values.requires_grad else values.clamp(low, high)
