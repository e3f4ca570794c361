"""Posted prices: take it or leave it, in the bidders' order."""

import torch
from torch import Tensor

from auctionsim.checks import checked_number
from auctionsim.claims import behaves_as
from auctionsim.mechanisms.codecs import Codec, Saved, State
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import Entry, Problem, of_kind, register
from auctionsim.outcome import Outcome
from auctionsim.priors import Product, product
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate


class PostedPrice(Mechanism):
    """Sell each item to the first bidder whose bid reaches its price p_j, at that price. DSIC, individually rational.

    Any number of bidders, additive over items. The allocation fits `Items(bidders, items)`.

    Args:
        prices: In money, ≥ 0: one number for every item, or one an item.
    Source:
        Chawla et al. (2010), "Multi-parameter mechanism design and sequential posted pricing".
    Example:
        >>> PostedPrice(0.5)(torch.tensor([[[0.4], [0.6], [0.9]]])).payments
        tensor([[0.0000, 0.5000, 0.0000]])
    """

    def __init__(self, prices: float | Tensor) -> None:
        listed = prices.flatten().tolist() if isinstance(prices, Tensor) else [prices]
        self.prices = torch.tensor([checked_number(price, "prices") for price in listed], dtype=torch.float64)
        super().__init__(None, len(self.prices) if isinstance(prices, Tensor) else None)

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Offer in order."""
        del context  # items have none
        prices = self.prices.to(bids.device, bids.dtype)
        takes = (bids >= prices).to(bids.dtype)
        x = takes * (takes.cumsum(1) == 1)
        return Outcome(x, (x * prices).sum(2))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """No bid moves a price or the order, where exposure is the allocation."""
        return "posted prices: no bid moves a price" if behaves_as(substrate, Items) else None


LEVELS = 2001  # of a price, evenly from 0 to the largest valuation


def best_price(priors: Product, item: int) -> float:
    """Return the price p of an item that earns most, p · (1 − Π_i F_i(p)), among even steps, ties the lowest."""
    marginals = [priors.marginal(bidder, item) for bidder in range(priors.num_bidders)]
    high = max(prior.finite_high for prior in marginals)
    prices = torch.linspace(0, high, LEVELS, dtype=torch.float64)
    nobody = torch.stack([prior.cdf(prices) for prior in marginals]).prod(0)
    return float(prices[(prices * (1 - nobody)).argmax()])


def _designed(problem: Problem) -> PostedPrice:
    items = len(problem.view.features)
    known = product(problem.priors, problem.view.num_bidders, items)
    return PostedPrice(torch.tensor([best_price(known, item) for item in range(items)], dtype=torch.float64))


def _state(rule: PostedPrice) -> State:
    return State({"one_price": rule.num_features is None}, {"prices": rule.prices})


def _made(saved: Saved, substrate: Substrate | None) -> PostedPrice:
    del substrate
    prices = saved.array("prices", (None,))
    return PostedPrice(float(prices[0]) if saved.settings.flag("one_price") and len(prices) else prices)


register(
    Entry(
        "posted-price",
        "posted price",
        "Each item goes to the first bidder who takes it at a price, the one that earns most under the priors.",
        _designed,
        Codec(PostedPrice, _state, _made),
        needs=(of_kind(Items),),
    )
)
