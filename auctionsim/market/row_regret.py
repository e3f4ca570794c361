"""The best score of one campaign in each row of a frozen tick: by proof, by breakpoints, or by search.

- A truthful rule with the entry price: no score beats truth. The price is what the rule would leave at the brand's next
  score s, u_s(s). A worth w ≥ s keeps u_w(w) − u_s(s) ≥ (w − s) e(s) ≥ 0 and no other score has more than u_w(w); a
  worth w < s has at best u_w(z) ≤ u_s(z) ≤ u_s(s), so that standing gains nothing.
- A truthful rule without it: no score beats truth where the truthful campaign stands. Elsewhere u_w(z) ≤ u_w(s) for all
  scores z ≥ s > w, since exposure is nondecreasing; that much is reached just above s unless exposure jumps there.
- A rule with known breakpoints: the supremum over all its stretches.
- Another rule: the best of a search, no bound.

The first two are for rules that pay nobody who bids 0, as all of the library do.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.market.frozen_rows import FrozenRows
from auctionsim.mechanisms.protocol import dsic_proof_of

ABOVE = 1e-9  # relative: just above a score
SCALES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.5, 2.0)  # of the worth
ZOOMS = 3  # each on a quarter of the last one's range


class RowRegret(NamedTuple):
    """A campaign's utility per query in each row, at truth and at best.

    Attributes:
        truth: (row,) money at the truthful score.
        best: (row,) money at `score`, at least `truth` and 0.
        score: (row,) the best one that is known; NaN: to stay away.
        supremum: (row,) no score has more; None: nothing is proved.
        method: How `best` and `supremum` came about.
    """

    truth: Float[np.ndarray, " row"]
    best: Float[np.ndarray, " row"]
    score: Float[np.ndarray, " row"]
    supremum: Float[np.ndarray, " row"] | None
    method: str


def row_regret(rows: FrozenRows, budget: int) -> RowRegret:
    """Return the best score in each row.

    Args:
        rows: Of one campaign.
        budget: Scores tried where a search is needed, ≥ 16.
    """
    truth = rows.utility(rows.worth[None])[0]
    proof = dsic_proof_of(rows.mechanism, rows.block.placement.view)
    if proof is not None and rows.has_entry_price:
        method = f"proof: {proof}, and a place on the shortlist has its price"
        return _answer(rows, truth, rows.worth[None], np.maximum(truth, 0.0), method)
    if proof is not None:
        supremum = np.where(rows.stands(rows.worth[None])[0], truth, 0.0)
        out = np.flatnonzero(~rows.stands(rows.worth[None])[0])
        supremum[out] = rows.utility_if_standing(out, rows.least[out])
        method = f"proof: {proof}; where the brand's next score is higher, bidding just above it"
        return _answer(rows, truth, just_above(rows.least), np.maximum(supremum, 0.0), method)
    pieces = rows.pieces()
    if pieces is not None and pieces.falls:
        method = "exact: between breakpoints utility is affine in the score"
        beside = just_above(np.take_along_axis(pieces.ends, pieces.left.argmax(1)[:, None], 1)[:, 0])
        return _answer(rows, truth, np.concatenate([pieces.score[None], beside]), pieces.supremum, method)
    return _answer(rows, truth, _searched(rows, budget), None, f"search: {budget} scores in each row and {ZOOMS} zooms")


def just_above(score: Float[np.ndarray, "*some"]) -> Float[np.ndarray, "two *some"]:
    """Return scores and what lies just above them, which stands where the score itself is beaten by its equal."""
    return np.stack([score, score * (1 + ABOVE) + np.finfo(float).tiny])


def _answer(
    rows: FrozenRows, truth: np.ndarray, trials: np.ndarray, supremum: np.ndarray | None, method: str
) -> RowRegret:
    """Return the best of truth, of staying away and of trials (trial, row)."""
    away = np.full((1, len(truth)), np.nan)
    scores = np.concatenate([rows.worth[None], away, trials])
    utility = np.concatenate([truth[None], np.zeros(away.shape), rows.utility(trials)])
    first, every = utility.argmax(0), np.arange(len(truth))
    best = utility[first, every]
    return RowRegret(
        truth, best, scores[first, every], None if supremum is None else np.maximum(supremum, best), method
    )


def _searched(rows: FrozenRows, budget: int) -> Float[np.ndarray, "trial row"]:
    """Return scores that undo common rules, an even grid, and finer grids around the best."""
    high = 2 * np.maximum(np.maximum(rows.worth, rows.least), rows.rivals.max(0, initial=0.0))
    trials = [
        *(scale * rows.worth for scale in SCALES),
        *just_above(rows.least),
        *(rival * factor for rival in rows.rivals for factor in (1 - ABOVE, 1.0, 1 + ABOVE)),
        *(high * share for share in np.linspace(0, 1, budget)),
    ]
    scores = np.stack(trials)
    width = high / budget
    for _ in range(ZOOMS):
        utility = rows.utility(scores)
        best = scores[utility.argmax(0), np.arange(len(high))]
        scores = np.concatenate([best[None], best + width * np.linspace(-1, 1, max(8, budget // 4))[:, None]]).clip(0)
        width = width / 4
    return scores
