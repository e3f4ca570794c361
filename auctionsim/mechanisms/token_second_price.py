"""The token auction: bids weigh the advertisers' laws of the next token, charged for the total variation moved."""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import behaves_as
from auctionsim.errors import InputError, InputTypeError
from auctionsim.mechanisms.codecs import Codec, Saved, State, needed
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.showings import Showings, showings, strengths
from auctionsim.mechanisms.showings_codec import showings_from, showings_record
from auctionsim.mechanisms.shown_shares import (
    SHOWN_IN_SETS,
    checked_sets,
    exposes_by_shares,
    shares_of_showings,
    worths_of_rows,
)
from auctionsim.mechanisms.table import Entry, Need, Problem, Published, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import Substrate, same_substrate
from auctionsim.substrates.randomised import Randomised
from auctionsim.substrates.token_mixture_replies import TokenMixtureReplies

NODES = 64
"""Of the quadrature that charges log-linear mixtures."""


class TokenSecondPrice(Mechanism):
    """Mix the advertisers' laws by w_i = b_i / Σ_j b_j and charge each the integral of what its bid moved.

    On `TokenMixtureReplies`, with q(b_i) a token's law, B = Σ_{j≠i} b_j and r_i = Σ_{j≠i} b_j p_j / B, the expected
    charge in total is length · ∫_0^{b_i} TV(q(b_i), q(z)) dz, for the linear mixture length · TV(p_i, r_i) ·
    [B ln(1 + b_i/B) − b_i B/(b_i + B)] in closed form, else by Gauss and Legendre's rule, within some 1e-5 of the bid
    where a token's probability turns round and the total variation has a kink. In a reply of one token it is
    Myerson's payment for v_i (1 − TV(q, p_i)), so truth is dominant there for the linear mixture, and for no other
    exposure: the probability of a brand's token may even fall in the brand's own bid.

    On a `Randomised` range the showings of one strength are mixed by these weights (`shares_of_showings`), entries
    counting as replies that have nothing in common (TV = 1), and the charge per showing is scaled by the bidder's
    worth where it alone is shown: truthful where exposure is worth times share (`exposes_by_shares`).

    Where nobody bids, nothing is changed.

    Args:
        place: What it allocates on.
        shown: On a `Randomised` range: which entries show whom, each set of bidders too; else None.
    Raises:
        TypeError: Another substrate.
        ValueError: More than one feature; showings that are missing, or given where there are none.
    Source:
        Duetting, Mirrokni, Paes Leme, Xu and Zuo (2024), "Mechanism design for large language models": the linear and
        the log-linear aggregation, and the second price by stable sampling, here in expectation.
    """

    def __init__(self, place: TokenMixtureReplies | Randomised, shown: Showings | None = None) -> None:
        if not isinstance(place, TokenMixtureReplies | Randomised):
            raise InputTypeError(
                f"a token auction needs TokenMixtureReplies or a Randomised range, got {type(place).__name__}"
            )
        if len(place.features) != 1:
            raise InputError(f"a token auction sells one feature, got {', '.join(place.features)}")
        super().__init__(place.num_bidders, 1, place)
        self.place = place
        self.showings: Showings | None = None
        if isinstance(place, Randomised):
            if shown is None:
                raise InputError("a token auction on a Randomised range needs its showings, got None")
            self.showings = checked_sets(place, shown)
        elif shown is not None:
            raise InputError("replies of mixed tokens have no entries that showings could name")

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Mix by bids and charge, in float64; charges by what being shown is worth in the row's own context."""
        money = bids[..., 0].double()
        n = money.shape[1]
        others = torch.stack([_summed(money, [j for j in range(n) if j != i]) for i in range(n)], 1)
        total = _summed(money, list(range(n)))
        shares = money / torch.where(total > 0, total, 1.0).unsqueeze(1)
        if isinstance(self.place, Randomised):
            assert self.showings is not None
            allocation = shares_of_showings(shares, self.showings, len(self.place.reference))
            worths = worths_of_rows(self.place, self.showings, context, len(money), bids.device)
            charges = worths * share_charges(money, others)
        else:
            allocation, charges = shares.unsqueeze(2), self.place.length * self._token_charges(money, others)
        return Outcome(allocation.to(bids.dtype), charges.to(bids.dtype))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Myerson's lemma, where exposure is what the charges integrate."""
        if not same_substrate(self.place, substrate) or not behaves_as(self.place, TokenMixtureReplies, Randomised):
            return None
        if isinstance(self.place, TokenMixtureReplies):
            p = self.place
            sure = p.mixture == "linear" and p.features == ("match",) and p.length == 1
            return "Myerson: 1 - TV rises in the own weight, and its integral is charged" if sure else None
        assert self.showings is not None
        sure = exposes_by_shares(self.showings, self.place)
        return "Myerson: exposure is the share times the worth, and its integral is charged" if sure else None

    def _token_charges(
        self,
        bids: Float[Tensor, "row bidder"],
        others: Float[Tensor, "row bidder"],
    ) -> Float[Tensor, "row bidder"]:
        """Return ∫_0^{b_i} TV(q(b_i), q(z)) dz for one token."""
        assert isinstance(self.place, TokenMixtureReplies)
        laws = self.place.laws.to(bids.device)
        linear = self.place.mixture == "linear"
        by_share = share_charges(bids, others) if linear else torch.zeros_like(bids)
        charges = []
        for i in range(bids.shape[1]):
            mixed = torch.zeros(len(bids), laws.shape[1], dtype=torch.float64, device=bids.device)
            for j in range(bids.shape[1]):
                weight = bids[:, j] / torch.where(others[:, i] > 0, others[:, i], 1.0) if j != i else None
                if weight is not None:
                    mixed = mixed + weight.unsqueeze(1) * (laws[j] if linear else laws[j].log())
            if linear:
                charges.append((laws[i] - mixed).abs().sum(1) / 2 * by_share[:, i])
            else:
                charges.append(_log_linear_charge(bids[:, i], others[:, i], laws[i].log(), mixed))
        return torch.stack(charges, 1)


def share_charges(
    bids: Float[Tensor, "row bidder"], others: Float[Tensor, "row bidder"]
) -> Float[Tensor, "row bidder"]:
    """Return b w(b) − ∫_0^b w(z) dz = B ln(1 + b/B) − bB/(b + B), w(z) = z/(z + B): what a share of one thing costs.

    Args:
        bids: b ≥ 0, float64.
        others: B ≥ 0, the sum of the others' bids.
    """
    total = bids + others
    share = bids / torch.where(total > 0, total, 1.0)
    inside = share < 1  # at 1 the others' bids are lost in rounding, and so is the charge
    safe = torch.where(inside, share, 0.0)
    return (others * (-torch.log1p(-safe) - safe)).clamp_min(0) * inside


def _log_linear_charge(
    bid: Float[Tensor, " row"],
    others: Float[Tensor, " row"],
    own: Float[Tensor, " token"],
    mixed: Float[Tensor, "row token"],
) -> Float[Tensor, " row"]:
    """Return ∫_0^b TV(q(b), q(z)) dz by the substitution z = B (e^s − 1), under which the own weight is 1 − e^{−s}."""
    nodes, weights = _gauss_legendre(NODES)
    contested = (others > 0) & (bid > 0)
    high = torch.where(contested, torch.log1p(bid / torch.where(contested, others, 1.0)), 0.0).clamp_max(600.0)

    def law(s: Float[Tensor, " row"]) -> Float[Tensor, "row token"]:
        left = torch.exp(-s).unsqueeze(1)
        return torch.softmax((1 - left) * own + left * mixed, 1)

    final, total = law(high), torch.zeros_like(bid)
    for node, weight in zip(nodes, weights, strict=True):
        s = node * high
        total = total + weight * (law(s) - final).abs().sum(1) / 2 * torch.exp(s) * high
    return torch.where(contested, others * total, 0.0)


@cache
def _gauss_legendre(count: int) -> tuple[list[float], list[float]]:
    """Return nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return ((nodes + 1) / 2).tolist(), (weights / 2).tolist()


def _summed(values: Float[Tensor, "row bidder"], places: list[int]) -> Float[Tensor, " row"]:
    """Return a sum of columns, term by term: equal bids give equal floats, whatever the batch."""
    total = torch.zeros_like(values[:, 0])
    for place in places:
        total = total + values[:, place]
    return total


def _state(rule: TokenSecondPrice) -> State:
    return State({"showings": None if rule.showings is None else showings_record(rule.showings)}, {})


def _made(saved: Saved, substrate: Substrate | None) -> TokenSecondPrice:
    place = needed(substrate)
    if not isinstance(place, TokenMixtureReplies | Randomised):
        raise InputError(f"a token auction needs mixed tokens or a Randomised range, got {type(place).__name__}")
    s = saved.settings
    return TokenSecondPrice(place, None if s.value("showings") is None else showings_from(s.record("showings")))


def _designed(problem: Problem) -> TokenSecondPrice:
    view = problem.view
    shown = showings(view, int(problem.settings["strength"])) if isinstance(view, Randomised) else None
    return TokenSecondPrice(view, shown)


def _mixes(view: Substrate) -> bool:
    return isinstance(view, TokenMixtureReplies) or (len(view.features) == 1 and SHOWN_IN_SETS.holds(view))


register(
    Entry(
        "token-second-price",
        "token auction",
        "Each advertiser's law of the next token weighs by its bid, and each pays a second price for what it moved.",
        _designed,
        Codec(TokenSecondPrice, _state, _made),
        needs=(Need("replies of mixed tokens, or " + SHOWN_IN_SETS.words, _mixes),),
        pays="The reply is written by the advertisers' models together, each with a weight of its share of all bids; "
        "each pays for how far its bid moved the reply, at the bids at which it would have.",
        published=Published(
            "Duetting, Mirrokni, Paes Leme, Xu and Zuo (2024), Mechanism design for large language models, "
            "arXiv:2310.10826",
            "A bidder does not gain by bidding otherwise, where its weight moves every token's law towards its own.",
            "each advertiser's preference for laws of the next token that are nearer to its own model's",
        ),
        knobs={"strength": lambda view: tuple(float(k) for k in range(strengths(view))) or (0.0,)},
    )
)
