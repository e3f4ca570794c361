"""First price where the model reads the bids: the listed setting nearest to what is bid, and every bid is paid."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.checks import MOST_MONEY, checked_number
from auctionsim.errors import InputError, InputTypeError
from auctionsim.levers import at_null
from auctionsim.mechanisms.codecs import numbers_on_substrate
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.price_sentences import own_bid_sentence
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import ONE_FEATURE, Entry, Need, Published, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import Substrate
from auctionsim.substrates.randomised import Randomised

LEAST_SCALE = 1e-30
"""Of money: shares of it stay numbers."""


class ShownBids(Mechanism):
    """Carry out the listed entry whose levers are nearest to the bids, and charge t_i = b_i e_i.

    A bid b_i asks for the share s_i = min(b_i / scale, 1) of every lever of bidder i, from its null to its high end; of
    the entries the one is taken that minimises Σ_i Σ_l (s_i − its share of lever l)², the first of equals. On a carrier
    that displays bids to the model (`Carrier.reads_bids`) that is the list of displayed bids nearest to the real ones;
    on any other list it is bids turned into strengths. Truth earns exactly 0 and there is no proof, on any exposure:
    the entry reads the bids, and the price is the bid.

    Args:
        view: A `Randomised` range of one feature over levers of each bidder's own.
        scale: The bid that asks for all of a lever, in money.
    Raises:
        TypeError: No `Randomised` range.
        ValueError: Entries that are no levers of each bidder's own, several features, or a scale that is not positive.
    Source:
        Zhao, Hu, Song, Chen, Zhu, Xu and Zheng (2025), "LLM-Auction: generative auction towards LLM-native
        advertising", arXiv 2512.10551: the model has the bids in its input and is trained for the auction, and the
        charge is the bid. Ours is not trained; a list in place of every bid is ours, too.
    """

    def __init__(self, view: Randomised, scale: float = 1.0) -> None:
        if not isinstance(view, Randomised):
            raise InputTypeError(f"bids are shown by entries of a Randomised range, got {type(view).__name__}")
        if not _has_own_levers(view):
            raise InputError("bids are shown by levers of each bidder's own, and this range has none")
        if len(view.features) != 1:
            raise InputError(f"bids are for one feature, got {', '.join(view.features)}: sell one of them")
        super().__init__(view.num_bidders, 1, view)
        self.range: Randomised = view
        self.scale = checked_number(scale, "scale", LEAST_SCALE, MOST_MONEY)
        shares = _shares(view)
        self._slopes = 2 * shares.sum(2)
        self._constants = -shares.square().sum((1, 2))

    @property
    def slopes(self) -> Float[Tensor, "entry bidder"]:
        """How fast each entry gains on the others as a bidder's share grows: twice its own shares, summed."""
        return self._slopes.clone()

    @property
    def constants(self) -> Float[Tensor, " entry"]:
        """What each entry has where nobody bids: its squared distance from the null, times −1."""
        return self._constants.clone()

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Find the nearest entry, a block of rows at a time, and charge the bids."""
        allocation = bids.new_zeros(len(bids), len(self.range.reference))
        for rows in row_blocks(len(bids), allocation.shape[1]):
            shares = (bids[rows, :, 0].double() / self.scale).clamp_max(1.0)
            allocation[rows] = allocation[rows].scatter(1, self._nearest(shares).unsqueeze(1), 1.0)
        return Outcome(allocation, (bids * self.range.exposure(allocation, context)).sum(2))

    def price_sentence(self, case: PriceCase) -> str:
        """Return the own bid times the exposure that it is paid for."""
        return own_bid_sentence(case, self.priced_exposure(case.bids, case.outcome, case.context))

    def _nearest(self, shares: Float[Tensor, "row bidder"]) -> Tensor:
        """Return the nearest entry of each row, the first of equals, summed term by term."""
        nearness = self._constants.to(shares.device).expand(len(shares), -1)
        for i in range(shares.shape[1]):
            nearness = torch.addcmul(nearness, shares[:, i, None], self._slopes[:, i].to(shares.device))
        return nearness.argmax(1)


def _has_own_levers(view: Substrate) -> bool:
    """Tell whether entries of a range set levers of each bidder's own."""
    base: Any = view.substrate if isinstance(view, Randomised) else None
    if base is None or not base.levers:
        return False
    return bool(base.finite_range().allocations.shape[1:] == (view.num_bidders, len(base.levers)))


def _shares(view: Randomised) -> Float[Tensor, "entry bidder lever"]:
    """Return how far each lever is from its null in every entry, as a share of the way to its high end."""
    base: Any = view.substrate
    levels = at_null(base.finite_range().allocations.double(), base.levers)
    nulls = levels.new_tensor([lever.null for lever in base.levers])
    ways = levels.new_tensor([lever.high - lever.null for lever in base.levers])
    return torch.where(ways > 0, (levels - nulls) / torch.where(ways > 0, ways, 1.0), 0.0)


register(
    Entry(
        "shown-bids-first-price",
        "bids shown to the model, first price",
        "The listed setting nearest to the bids is carried out, and each brand pays its bid for what it gets.",
        lambda problem: ShownBids(problem.view, problem.settings["scale"]),
        numbers_on_substrate(ShownBids, "scale"),
        needs=(
            Need("a Randomised range over levers of each bidder's own", _has_own_levers),
            ONE_FEATURE,
        ),
        pays="The model reads what every brand bids and writes by it; each pays its bid times the exposure it got.",
        published=Published(
            "Zhao, Hu, Song, Chen, Zhu, Xu and Zheng (2025), LLM-Auction: generative auction towards LLM-native "
            "advertising, arXiv 2512.10551",
            "Paying one's bid has favourable incentives where exposure is monotone and continuous in bids; that truth "
            "is dominant is not claimed.",
            "expected clicks on an ad in a reply of a model that is trained for the auction",
        ),
        knobs={"scale": (1.0, 0.5, 0.25)},
    )
)
