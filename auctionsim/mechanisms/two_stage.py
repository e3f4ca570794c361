"""Retrieve, then rank: a few candidates pass a coarse score times bid, a fine score times bid picks the one shown."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.mechanisms.codecs import Saved
from auctionsim.mechanisms.showing_rule import RESERVES, Sales, ShowingRule, every_strength, showing_codec
from auctionsim.mechanisms.showings import SHOWN_ALONE, Showings, showings, strengths
from auctionsim.mechanisms.table import ONE_FEATURE, Entry, Problem, Published, register
from auctionsim.mechanisms.winner_prices import best, sold_to
from auctionsim.substrates.protocol import Substrate
from auctionsim.substrates.randomised import Randomised


class TwoStage(ShowingRule):
    """Let the K highest q_i b_i pass, show the highest l_i b_i of them alone, and charge it its critical bid.

    That is the larger of two bids at which it would drop out: the K-th highest q_j b_j of the others over q_i, at which
    i would no longer pass, and the highest l_j b_j of the others that pass beside it over l_i, at which it would no
    longer win. Whom i passes beside does not depend on its own bid, so both are prices and a higher bid wins, too. Ties
    go to the first. Truthful and individually rational where exposure is being shown. A bid or a score of 0 does not
    take part.

    Args:
        view: A `Randomised` range of one feature.
        showings: Which of its entries show whom alone.
        passing: K ≥ 1, how many pass.
        retrieval: q, (bidder,), ≥ 0; None: the worths.
        relevance: l, (bidder,), ≥ 0; None: the worths.
        reserve: The lowest bid that takes part, in money per unit of exposure; 0 is the published rule.
    Raises:
        TypeError, ValueError: A range of another kind, numbers out of range.
    Source:
        Sun et al. (2026), "LERA: LLM-Enhanced RAG for Ad Auction in Generative Chatbots", where q are similarities of
        embeddings and l a language model's logits over candidates. The reserve is ours.
    Example:
        >>> from auctionsim.substrates import Lottery
        >>> shown = Lottery(torch.eye(3, 2).roll(1, 0).unsqueeze(2), torch.zeros(3))
        >>> rule = TwoStage(shown, Showings(0, (1, 2), {}), 1, retrieval=torch.tensor([1.0, 0.5]))
        >>> rule(torch.tensor([[[0.5], [0.75]]])).payments
        tensor([[0.3750, 0.0000]])
    """

    def __init__(
        self,
        view: Randomised,
        showings: Showings,
        passing: int,
        *,
        retrieval: Tensor | None = None,
        relevance: Tensor | None = None,
        reserve: float = 0.0,
    ) -> None:
        self.passing = checked_count(passing, "passing")
        super().__init__(view, showings, reserve=reserve, scores={"retrieval": retrieval, "relevance": relevance})

    def sales(self, bids: Float[Tensor, "row bidder"], worths: Float[Tensor, " bidder"]) -> Sales:
        """Show who is best among those that pass, at the larger of the two thresholds."""
        bids = self.admitted(bids)
        coarse, fine = self._scores(bids, worths)
        wins = best(torch.where(_highest(coarse, self.passing), fine, 0.0))
        passes, ranks_first = self._thresholds(bids, worths)
        return sold_to(wins, torch.maximum(passes, ranks_first).clamp_min(self.reserve))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Myerson's theorem, where what is sold is being shown."""
        return "Myerson: a higher bid wins, too, and the critical bid is charged" if self.native(substrate) else None

    def own_bid_breakpoints(self, bids: Tensor, context: Tensor | None) -> Tensor:
        """Return both thresholds and the reserve: (batch, bidder, 3)."""

        def thresholds(which: int) -> Tensor:
            return self.by_context(
                bids, context, lambda part, worths: self._thresholds(self.admitted(part), worths)[which]
            )

        passes = thresholds(0)
        return torch.stack([passes, thresholds(1), torch.full_like(passes, self.reserve)], 2)

    def _scores(self, bids: Tensor, worths: Tensor) -> tuple[Tensor, Tensor]:
        """Return q_i b_i and l_i b_i, both 0 where either is: such a bidder takes no part."""
        coarse, fine = bids * self.scores_of("retrieval", worths), bids * self.scores_of("relevance", worths)
        takes_part = (coarse > 0) & (fine > 0)
        return torch.where(takes_part, coarse, 0.0), torch.where(takes_part, fine, 0.0)

    def _thresholds(self, bids: Tensor, worths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the bids at which each bidder no longer passes, and no longer beats those that pass beside it.

        Infinite where it takes no part, whatever it bids.
        """
        coarse, fine = self._scores(bids, worths)
        q, l = self.scores_of("retrieval", worths), self.scores_of("relevance", worths)  # noqa: E741  # the paper's l
        columns: list[list[Tensor]] = [[], []]
        for i in range(bids.shape[1]):
            own = torch.tensor([i], device=bids.device)
            others, rivals = coarse.index_fill(1, own, 0.0), fine.index_fill(1, own, 0.0)
            lowest = others.sort(1, descending=True).values
            bar = lowest[:, self.passing - 1] if self.passing < bids.shape[1] else torch.zeros_like(lowest[:, 0])
            beside = _highest(others, self.passing - 1)
            columns[0].append(_over(bar, q[i]))
            columns[1].append(_over(torch.where(beside, rivals, 0.0).amax(1), l[i]))
        passes, ranks_first = (torch.stack(part, 1) for part in columns)
        return passes, ranks_first


def _over(score: Float[Tensor, " row"], weight: Tensor) -> Float[Tensor, " row"]:
    return score / weight if bool(weight > 0) else torch.full_like(score, torch.inf)


def _highest(scores: Float[Tensor, "row bidder"], count: int) -> Tensor:
    """Return which scores above 0 are among the highest, the first of equals: (row, bidder)."""
    order = scores.sort(dim=1, descending=True, stable=True).indices
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(scores.shape[1], device=scores.device).expand_as(order)
    )
    return (rank < count) & (scores > 0)


def _settings(rule: TwoStage) -> dict[str, Any]:
    return {"passing": rule.passing, "reserve": rule.reserve}


def _made(saved: Saved, view: Randomised, shown: Showings, scores: dict[str, Tensor]) -> TwoStage:
    s = saved.settings
    return TwoStage(
        view,
        shown,
        s.whole("passing", 1),
        retrieval=scores.get("retrieval"),
        relevance=scores.get("relevance"),
        reserve=s.number("reserve", 0),
    )


def _passing(view: Randomised) -> tuple[float, ...]:
    return tuple(float(count) for count in range(1, max(view.num_bidders, 2)))


def _designed(problem: Problem) -> TwoStage:
    """Take for q what a showing gives on average over strengths, and for l what it gives at the chosen one."""
    view, knobs = problem.view, problem.settings
    worths = torch.stack([showings(view, strength).worths(view) for strength in range(strengths(view))])
    return TwoStage(
        view,
        showings(view, int(knobs["strength"])),
        int(knobs["passing"]),
        retrieval=worths.mean(0),
        reserve=knobs["reserve"],
    )


register(
    Entry(
        "two-stage",
        "two stages",
        "A few advertisers pass a coarse score times bid; of these the best by a fine score times bid is shown alone.",
        _designed,
        showing_codec(TwoStage, _settings, _made),
        needs=(SHOWN_ALONE, ONE_FEATURE),
        pays="The one that is shown pays, per showing, the lowest bid at which it would have passed and been best.",
        published=Published(
            "Sun, Song, Zhang, Chen, Chu, Zhang, Yu, Xu, Zheng and Deng (2026), "
            '"LERA: LLM-Enhanced RAG for Ad Auction in Generative Chatbots", arXiv:2605.16474',
            "Critical values at both stages make truth optimal for advertisers who maximise their utility.",
            "Being the ad that is selected for the reply.",
        ),
        knobs={"strength": every_strength, "passing": _passing, "reserve": RESERVES},
    )
)
