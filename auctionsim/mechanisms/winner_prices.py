"""One winner by worth times bid, shown alone, at the second price or at its own."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.mechanisms.showing_rule import RESERVES, Sales, ShowingRule, every_strength
from auctionsim.mechanisms.showings import SHOWN_ALONE, Showings, showings
from auctionsim.mechanisms.showings_codec import on_showings
from auctionsim.mechanisms.table import ONE_FEATURE, Entry, Problem, Published, register
from auctionsim.substrates.protocol import Substrate
from auctionsim.substrates.randomised import Randomised


class WinnerSecondPrice(ShowingRule):
    """Show the bidder with the largest b_i g_i alone, if b_i ≥ reserve, and charge its worth times its critical bid.

    The critical bid is the larger of the reserve and max_{j≠i} b_j g_j / g_i over those that bid the reserve. Ties go
    to the first. Truthful and individually rational where exposure is being shown.

    Args:
        view: A `Randomised` range of one feature.
        showings: Which of its entries show whom alone.
        reserve: The lowest bid that takes part, in money per unit of exposure.
    Source:
        Vickrey (1961), "Counterspeculation, auctions, and competitive sealed tenders", with rates of clicks as weights:
        Edelman, Ostrovsky and Schwarz (2007), "Internet advertising and the generalized second-price auction", for one
        position.
    Example:
        >>> from auctionsim.substrates import Lottery
        >>> exposures = torch.tensor([[[0.0], [0.0]], [[0.5], [0.0]], [[0.0], [0.25]]])
        >>> rule = WinnerSecondPrice(Lottery(exposures, torch.zeros(3)), Showings(0, (1, 2), {}))
        >>> rule(torch.tensor([[[0.5], [0.75]]])).payments
        tensor([[0.1875, 0.0000]])
    """

    def __init__(self, view: Randomised, showings: Showings, reserve: float = 0.0) -> None:
        super().__init__(view, showings, reserve=reserve)

    def sales(self, bids: Float[Tensor, "row bidder"], worths: Float[Tensor, " bidder"]) -> Sales:
        """Show the best and charge what it would have had to bid."""
        bids = self.admitted(bids)
        critical = critical_bids(bids * worths, worths).clamp_min(self.reserve)
        return sold_to(best(bids * worths), critical)

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Myerson's theorem, where what is sold is being shown."""
        return "Myerson: a higher bid wins, too, and the critical bid is charged" if self.native(substrate) else None

    def own_bid_breakpoints(self, bids: Tensor, context: Tensor | None) -> Tensor:
        """Return the critical bid and the reserve: (batch, bidder, 2)."""
        return _breakpoints(self, bids, context)


class WinnerFirstPrice(ShowingRule):
    """Show the bidder with the largest b_i g_i alone, if b_i ≥ reserve, and charge that: its own bid times its worth.

    Ties go to the first. Not truthful: truth earns exactly 0 where exposure is being shown.

    Args:
        view: A `Randomised` range of one feature.
        showings: Which of its entries show whom alone.
        reserve: The lowest bid that takes part, in money per unit of exposure.
    Source:
        The sealed first-price auction: Vickrey (1961), "Counterspeculation, auctions, and competitive sealed tenders".
    Example:
        >>> from auctionsim.substrates import Lottery
        >>> exposures = torch.tensor([[[0.0], [0.0]], [[0.5], [0.0]], [[0.0], [0.25]]])
        >>> rule = WinnerFirstPrice(Lottery(exposures, torch.zeros(3)), Showings(0, (1, 2), {}))
        >>> rule(torch.tensor([[[0.5], [0.75]]])).payments
        tensor([[0.2500, 0.0000]])
    """

    def __init__(self, view: Randomised, showings: Showings, reserve: float = 0.0) -> None:
        super().__init__(view, showings, reserve=reserve)

    def sales(self, bids: Float[Tensor, "row bidder"], worths: Float[Tensor, " bidder"]) -> Sales:
        """Show the best and charge its bid."""
        bids = self.admitted(bids)
        return sold_to(best(bids * worths), bids)

    def own_bid_breakpoints(self, bids: Tensor, context: Tensor | None) -> Tensor:
        """Return the critical bid and the reserve: (batch, bidder, 2)."""
        return _breakpoints(self, bids, context)


def best(scores: Float[Tensor, "row bidder"]) -> Tensor:
    """Return who has the largest score above 0, the first of equals: (row, bidder), one at most of each row true."""
    first = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, scores.argmax(1, keepdim=True), 1)
    return first & (scores > 0)


def critical_bids(scores: Float[Tensor, "row bidder"], weights: Float[Tensor, " bidder"]) -> Tensor:
    """Return the bid at which each bidder's weight times it would equal the largest score of the others.

    0 where all others score 0, infinite where a bidder's weight is 0 and another's score is not.
    """
    columns = []
    for i in range(scores.shape[1]):
        others = scores.index_fill(1, torch.tensor([i], device=scores.device), 0.0).amax(1)
        columns.append(torch.where(others > 0, others / weights[i], 0.0))
    return torch.stack(columns, 1)


def sold_to(wins: Tensor, prices: Float[Tensor, "row bidder"]) -> Sales:
    """Return the sale that shows each row's winner alone, or nobody, at a price per unit of its worth."""
    shown = {frozenset({i}): wins[:, i].double() for i in range(wins.shape[1])}
    shown[frozenset()] = (~wins.any(1)).double()
    return Sales(shown, torch.where(wins, prices, 0.0))


def _breakpoints(rule: ShowingRule, bids: Tensor, context: Tensor | None) -> Tensor:
    critical = rule.by_context(bids, context, lambda part, worths: critical_bids(rule.admitted(part) * worths, worths))
    return torch.stack([critical, torch.full_like(critical, rule.reserve)], 2)


def _shown(problem: Problem) -> Showings:
    return showings(problem.view, int(problem.settings["strength"]))


register(
    Entry(
        "winner-second-price",
        "one winner, second price",
        "The advertiser with the largest worth times bid is shown alone and pays what it would have had to bid.",
        lambda problem: WinnerSecondPrice(problem.view, _shown(problem), problem.settings["reserve"]),
        on_showings(WinnerSecondPrice, "reserve"),
        needs=(SHOWN_ALONE, ONE_FEATURE),
        pays="The one that is shown pays, per showing, the lowest bid at which it would still have been.",
        published=Published(
            'Vickrey (1961), "Counterspeculation, auctions, and competitive sealed tenders"; Edelman, Ostrovsky and '
            'Schwarz (2007), "Internet advertising and the generalized second-price auction", for weights by clicks',
            "With one place to sell, truth is a dominant strategy.",
            "Having the place: clicks on it, an ad's rate of clicks being its own.",
        ),
        knobs={"strength": every_strength, "reserve": RESERVES},
    )
)
register(
    Entry(
        "winner-first-price",
        "one winner, first price",
        "The advertiser with the largest worth times bid is shown alone and pays its bid; not truthful.",
        lambda problem: WinnerFirstPrice(problem.view, _shown(problem), problem.settings["reserve"]),
        on_showings(WinnerFirstPrice, "reserve"),
        needs=(SHOWN_ALONE, ONE_FEATURE),
        pays="The one that is shown pays its bid per showing.",
        published=Published(
            'Vickrey (1961), "Counterspeculation, auctions, and competitive sealed tenders"',
            "Not truthful: in equilibrium everybody bids less than a showing is worth to it.",
            "Having the place.",
        ),
        knobs={"strength": every_strength, "reserve": RESERVES},
    )
)
