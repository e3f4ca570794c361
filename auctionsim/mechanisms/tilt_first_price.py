"""First price on a tilted distribution of replies: whoever is named pays its bid for it, and truth is not dominant."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.mechanisms.candidates import context_groups
from auctionsim.mechanisms.codecs import Codec
from auctionsim.mechanisms.kl_tilt import TILT_KNOBS, KLTilt, tilt_designed, tilt_made, tilt_state
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.price_sentences import own_bid_sentence
from auctionsim.mechanisms.table import Entry, Published, of_kind, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.lottery import Lottery
from auctionsim.substrates.randomised import Randomised


class TiltFirstPrice(KLTilt):
    """Choose `KLTilt`'s distribution π and charge t_i = b_i · E_π e_i.

    Exposure rises continuously in the own bid, at the rate Var(e_i)/τ for the reverse KL: a bidder shades its bid,
    and truth earns exactly 0. With one bidder and one entry of exposure 1, of reference probability P_0, and a value of
    v, the best bid b solves (v − b)(1 − P(b)) = τ, P(b) = P_0 e^{b/τ} / (1 − P_0 + P_0 e^{b/τ}).

    Source:
        Zhao, Hu, Song, Chen, Zhu, Xu and Zheng (2025), "LLM-Auction: generative auction towards LLM-native
        advertising", for a first price on a model that is trained towards the same objective; what its training would
        reach is here by the closed form.
    Example:
        >>> replies = Lottery(torch.tensor([[[1.0]], [[0.0]]]), torch.zeros(2))
        >>> TiltFirstPrice(replies, 0.25)(torch.zeros(1, 1, 1)).allocation
        tensor([[0.5000, 0.5000]])
    """

    def _charged(
        self, chosen: Float[Tensor, "row entry"], rewards: Float[Tensor, "row bidder entry"], base: Tensor
    ) -> Float[Tensor, "row bidder"]:
        del base
        return torch.stack([(chosen * rewards[:, i]).sum(1) for i in range(rewards.shape[1])], 1)

    def price_sentence(self, case: PriceCase) -> str:
        """Return the own bid times the exposure that it is paid for."""
        return own_bid_sentence(case, self.priced_exposure(case.bids, case.outcome, case.context))

    def drawn_payments(self, bids: Tensor, outcome: Outcome, context: Tensor | None = None) -> Tensor:
        """Return b_i · e_i(y), what is charged when entry y is drawn: (batch, entry, bidder)."""
        del outcome
        drawn = bids.new_empty(len(bids), len(self.lottery.reference), bids.shape[1])
        for which, group in context_groups(self.lottery, context, len(bids)):
            exposures = self.lottery.entries(which).exposures.to(bids)
            drawn[group] = (exposures * bids[group].unsqueeze(1)).sum(3)
        return drawn


register(
    Entry(
        "tilt-first-price",
        "tilt, first price",
        "The tilted distribution of replies, each bidder charged its bid for the exposure it gets; not truthful.",
        lambda problem: tilt_designed(TiltFirstPrice, problem),
        Codec(TiltFirstPrice, tilt_state, lambda saved, substrate: tilt_made(TiltFirstPrice, saved, substrate)),
        needs=(of_kind(Lottery, Randomised),),
        pays="Replies become likelier the more they are worth to all bidders together; each pays its bid for every "
        "unit of exposure that it gets.",
        published=Published(
            "Zhao, Hu, Song, Chen, Zhu, Xu and Zheng (2025), LLM-Auction: generative auction towards LLM-native "
            "advertising, arXiv:2512.10551",
            "Its first price has favourable incentives, exposure being monotone and continuous in the bid; not that "
            "truth is dominant.",
            "predicted clicks on the ads in a generated reply",
        ),
        knobs=TILT_KNOBS,
    )
)
