"""One campaign's rows of a frozen tick: its utility by score, everybody else's bids held, the shortlist included.

In a row the campaign stands for its brand from some score on, the best of its brand's other campaigns; below it has
nothing. Above it is a bidder of the placement's rule like any other, and pays the entry price where the market has one.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float

from auctionsim.market.clearing import cleared_rows
from auctionsim.market.query_blocks import QueryBlock
from auctionsim.market.shortlist import ABSENT, Shortlist, next_scores, shortlist
from auctionsim.mechanisms import Mechanism
from auctionsim.regret.breakpoints import INSIDE, own_bid_breakpoints
from auctionsim.regret.estimate import Game, quasi_linear

AT_ONCE = 1 << 15  # profiles per call of a rule


class UtilityPieces(NamedTuple):
    """Utility by own score, row by row: affine on each open stretch between two ends, 0 below the first.

    Attributes:
        ends: (row, end), nondecreasing; beyond the last the last stretch goes on.
        at: (row, end) utility at each end itself.
        left, right: (row, stretch) limits at both ends of each stretch.
        best, score: (row,) the most utility among all scores that were tried, and where.
    """

    ends: Float[np.ndarray, "row end"]
    at: Float[np.ndarray, "row end"]
    left: Float[np.ndarray, "row stretch"]
    right: Float[np.ndarray, "row stretch"]
    best: Float[np.ndarray, " row"]
    score: Float[np.ndarray, " row"]

    @property
    def supremum(self) -> Float[np.ndarray, " row"]:
        """The supremum of utility over all scores up to the last end, and over staying away: (row,)."""
        limits = np.concatenate([self.at, self.left, self.right], 1).max(1)
        return np.asarray(np.maximum(limits, np.maximum(self.best, 0.0)))

    @property
    def falls(self) -> bool:
        """Whether no row's utility grows in its last stretch, so that the supremum is one over all scores."""
        unit = np.abs(self.at).max(initial=0.0)
        return bool((self.right[:, -1] <= self.left[:, -1] + 1e-12 * unit).all())


class FrozenRows:
    """A campaign in one block of a frozen tick.

    Args:
        block: Rows that are cleared together.
        scores: (row, column) of everybody.
        column: The campaign's.
        rule: Name of the placement's rule.
        shade: Share of valuations that counts as the campaign's worth.
        entry_price: Whether a place on the shortlist has a price.
    Attributes:
        worth: (row,) money per exposure: what the campaign's truthful score is.
        least: (row,) the best score of its brand's others, 0 where there is none.
    """

    def __init__(
        self,
        block: QueryBlock,
        scores: Float[np.ndarray, "row column"],
        column: int,
        *,
        rule: str,
        shade: float,
        entry_price: bool,
    ) -> None:
        self.block, self.column, self.rule = block, column, rule
        self.worth = block.worth[:, column] * shade
        self._others = scores.copy()
        self._others[:, column] = ABSENT
        self._standing = shortlist(self._others, block.spans)
        self._following = next_scores(self._others, self._standing, block.spans) if entry_price else None
        self.brand = next(b for b, (begin, end) in enumerate(block.spans) if begin <= column < end)
        begin, end = block.spans[self.brand]
        self._before = self._others[:, begin:column].max(1, initial=ABSENT)
        self._after = self._others[:, column + 1 : end].max(1, initial=ABSENT)
        self.least = np.maximum(np.maximum(self._before, self._after), 0.0)

    @property
    def mechanism(self) -> Mechanism:
        """The rule that clears the rows."""
        return self.block.placement.rule(self.rule)

    @property
    def has_entry_price(self) -> bool:
        """Whether a place on the shortlist has a price."""
        return self._following is not None

    @property
    def rivals(self) -> Float[np.ndarray, "brand row"]:
        """The other brands' scores."""
        return np.asarray(np.delete(self._standing.score, self.brand, 1).T)

    def stands(self, score: Float[np.ndarray, "*some row"]) -> Bool[np.ndarray, "*some row"]:
        """Tell where the campaign stands for its brand: the first of equals does."""
        return np.asarray((score > self._before) & (score >= self._after))

    def utility(self, score: Float[np.ndarray, "trial row"]) -> Float[np.ndarray, "trial row"]:
        """Return utility per query at scores: 0 where the campaign does not stand."""
        gained = np.zeros(score.shape)
        trial, row = np.nonzero(self.stands(score))
        for part in np.array_split(np.arange(len(row)), len(row) // AT_ONCE + 1):
            gained[trial[part], row[part]] = self.utility_if_standing(row[part], score[trial[part], row[part]])
        return gained

    def utility_if_standing(self, row: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Return utility per query in some rows, were the campaign to stand there with a score."""
        campaign, every = self._standing.campaign[row], self._standing.score[row]
        campaign[:, self.brand], every[:, self.brand] = self.column, score
        following = None if self._following is None else self._following[row]
        if following is not None:
            following[:, self.brand] = self.least[row]
        gives = cleared_rows(
            self.block.placement,
            self.rule,
            Shortlist(campaign, every),
            None if self.block.context is None else self.block.context[row],
            (),
            following,
        )
        return np.asarray(self.worth[row] * gives.exposure[:, self.brand] - gives.payments[:, self.brand])

    def pieces(self) -> UtilityPieces | None:
        """Return utility as affine stretches, or None for a rule whose breakpoints are not known."""
        breakpoints = self._breakpoints()
        if breakpoints is None:
            return None
        finite = np.where(np.isfinite(breakpoints), breakpoints, 0.0)
        first = self.least[:, None]
        last = 2 * np.concatenate([first, finite, self.worth[:, None]], 1).max(1, keepdims=True)
        last = np.where(last > 0, last, 1.0)
        ends = np.sort(np.concatenate([first, np.clip(breakpoints, first, last), last], 1), 1)
        start, length = ends[:, :-1], np.diff(ends)
        trials = np.concatenate([ends, *(start + share * length for share in INSIDE)], 1)
        utility = self.utility(trials.T).T
        count, stretches = ends.shape[1], length.shape[1]
        near, far = (utility[:, count + k * stretches : count + (k + 1) * stretches] for k in (0, 1))
        slope = (far - near) / 2  # over half of half a stretch
        real = length > 64 * np.finfo(float).eps * last  # shorter ones are rounding
        level = np.maximum(near, far)
        best = utility.argmax(1)
        rows = np.arange(len(ends))
        return UtilityPieces(
            ends,
            utility[:, :count],
            np.where(real, near - slope, level),
            np.where(real, far + slope, level),
            utility[rows, best],
            trials[rows, best],
        )

    def _breakpoints(self) -> Float[np.ndarray, "row breakpoint"] | None:
        profile = self._standing.score.copy()
        profile[:, self.brand] = self.worth
        scores = torch.from_numpy(profile).unsqueeze(2)
        context = None if self.block.context is None else torch.from_numpy(self.block.context)
        game = Game(self.mechanism, self.block.placement.view, scores, scores, context, quasi_linear)
        every = own_bid_breakpoints(game)
        return None if every is None else every[:, self.brand].numpy().astype(np.float64)
