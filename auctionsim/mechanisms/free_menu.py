"""A menu as free parameters, for learning."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from auctionsim.mechanisms.menu import entry_exposures
from auctionsim.mechanisms.menu_entries import Menu
from auctionsim.substrates.protocol import Substrate


class FreeMenu(nn.Module):
    """Levers and prices as free parameters, in shares of a lever's range and of each bidder's money scale."""

    def __init__(
        self,
        substrate: Substrate,
        slots: int,
        entries: int,
        money: Float[Tensor, " bidder"],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        n, levers = substrate.num_bidders, len(substrate.levers)
        self.low = torch.tensor([lever.low for lever in substrate.levers])
        self.span = torch.tensor([lever.high for lever in substrate.levers]) - self.low
        self.money = money
        self.levers = nn.Parameter(torch.rand(slots, n, entries, levers, generator=generator))
        self.prices = nn.Parameter(torch.zeros(slots, n, entries))

    def price_by_value(
        self, substrate: Substrate, typical: Float[Tensor, "bidder feature"], generator: torch.Generator
    ) -> None:
        """Begin with prices at a random share of what each entry is worth to a typical bidder."""
        menu = self.menu()
        reference = substrate.null_allocation(1)[0]
        for slot in range(len(self.prices)):
            context = None if slot == len(self.prices) - 1 else slot
            worth = entry_exposures(substrate, menu.levers[slot : slot + 1].detach(), reference, context)[0]
            value = (worth * typical.unsqueeze(1)).sum(2)
            share = 0.2 + 0.8 * torch.rand(value.shape, generator=generator)
            self.prices.data[slot] = value * share / self.money.unsqueeze(1)

    def menu(self) -> Menu:
        """Return the menu in the levers' and money's own units."""
        return Menu(self.low + self.span * self.levers, self.prices * self.money.unsqueeze(1))

    @torch.no_grad()
    def project(self) -> None:
        """Push levers back into their box and prices to ≥ 0."""
        self.levers.clamp_(0, 1)
        self.prices.clamp_(min=0)
