"""What a learned menu offers: the entries that some valuation takes, and what the live model says under each."""

from collections.abc import Sequence

import torch
from torch import Tensor

from auctionsim.mechanisms import MenuAuction
from auctionsim.priors import Priors, product
from auctionsim.report.records import MenuOption
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.language_model import LanguageModelSubstrate

VALUATIONS = 401  # of each bidder, even in quantiles and even in money


def menu_options(
    menu: MenuAuction,
    surface: ResponseSurface,
    priors: Priors,
    brands: Sequence[str],
    live: LanguageModelSubstrate | None,
) -> tuple[MenuOption, ...]:
    """Return the entries that some valuation chooses, in the average context, the rivals at null, cheapest first.

    Args:
        menu: One feature.
        surface: What exposure and user loss are read from, as it is viewed.
        priors: Which valuations there are.
        brands: Names of the bidders.
        live: The model that replies under each entry, to its first prompt; None leaves replies blank.
    """
    options = []
    for bidder, brand in enumerate(brands):
        entries = _taken(menu, surface, priors, bidder)
        allocation = surface.null_allocation(len(entries), dtype=torch.float64)
        allocation[:, bidder] = entries[:, :-1]
        exposure = surface.exposure(allocation)[:, bidder, 0].tolist()
        loss = surface.user_loss(allocation).tolist()
        prompt = "" if live is None else live.prompts.prompts[0][0]
        texts = [""] * len(entries) if live is None else live.replies(prompt, allocation, (0, 0), 1).texts
        for k, (neurons, factor, price) in enumerate(entries.tolist()):
            options.append(MenuOption(brand, neurons, factor, price, exposure[k], loss[k], prompt, texts[k]))
    return tuple(options)


def _taken(menu: MenuAuction, surface: ResponseSurface, priors: Priors, bidder: int) -> Tensor:
    """Return the different (lever …, price) that the bidder is given over its valuations, by price."""
    prior = product(priors, surface.num_bidders, len(surface.features)).marginal(bidder)
    levels = torch.linspace(0, 1, VALUATIONS, dtype=torch.float64)
    valuations = torch.cat([levels * prior.finite_high, prior.quantile(levels[:-1])])
    bids = torch.zeros(len(valuations), surface.num_bidders, 1, dtype=torch.float64)
    bids[:, bidder, 0] = valuations
    outcome = menu(bids)
    chosen = torch.cat([outcome.allocation[:, bidder], outcome.payments[:, bidder, None]], 1)
    return torch.tensor(sorted({tuple(entry) for entry in chosen.tolist()}, key=lambda entry: entry[-1]))
