"""The welfare-maximal allocation on any substrate, each bidder charged its own bid: the untruthful reference."""

from torch import Tensor

from auctionsim.checks import checked_money
from auctionsim.mechanisms.codecs import numbers_on_substrate
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.price_sentences import own_bid_sentence
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import EXACT_MAXIMUM, Entry, Published, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import Substrate, same_substrate, treats_bidders_alike


class PayAsBid(Mechanism):
    """Choose x* = argmax Σ_j b_j · e_j(x) − λ L(x) and charge t_i = b_i · e_i(x*), λ the user weight.

    First price where the substrate is one item. Truth earns exactly 0, so it is individually rational at truthful
    bids and far from truthful.

    Args:
        substrate: Any substrate with an exact `maximise`.
        user_weight: λ ≥ 0, money per unit of user loss.
    Source:
        The discriminatory auction; Bernheim and Whinston (1986), "Menu auctions", for the general form.
    Example:
        >>> import torch
        >>> from auctionsim.substrates import Items
        >>> PayAsBid(Items(2))(torch.tensor([[[0.25], [0.75]]])).payments
        tensor([[0.0000, 0.7500]])
    """

    def __init__(self, substrate: Substrate, user_weight: float = 0.0) -> None:
        super().__init__(substrate.num_bidders, len(substrate.features), substrate)
        self.range: Substrate = substrate
        self.user_weight = checked_money(user_weight, "user_weight")

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Maximise reported welfare and charge the reports."""
        allocation = self.range.maximise(bids, self.user_weight, context)
        return Outcome(allocation, (bids * self.range.exposure(allocation, context)).sum(2))

    def price_sentence(self, case: PriceCase) -> str:
        """Return the own bid times the exposure that it is paid for."""
        return own_bid_sentence(case, self.priced_exposure(case.bids, case.outcome, case.context))

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Where the substrate it was designed on treats bidders alike, so does the welfare maximum."""
        return same_substrate(self.range, substrate) and treats_bidders_alike(self.range)


register(
    Entry(
        "pay-as-bid",
        "pay as bid",
        "The greatest reported welfare less the user's loss, each bidder charged its own bid; not truthful.",
        lambda problem: PayAsBid(problem.view, problem.user_weight),
        numbers_on_substrate(PayAsBid, "user_weight"),
        needs=(EXACT_MAXIMUM,),
        pays="The reply that is worth most to all bidders and the user together is given; each bidder pays its bid for "
        "every unit of exposure that it gets.",
        published=Published(
            "Bernheim and Whinston (1986), Menu auctions, resource allocation, and economic influence",
            "Truth is no equilibrium; equilibria are efficient where bidders may name a sum for every outcome.",
            "any exposure that the platform knows and maximises over exactly",
        ),
    )
)
