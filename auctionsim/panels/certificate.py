"""Majority certificate: more votes are asked for until the majority is certain at a level, whatever the stopping rule.

Votes come one after another, each "yes" with probability μ given the past: draws from a large body of judges, or
repeated answers of one that samples. Who stakes the share c of a capital of 1 on "yes" at every vote does not grow
richer on average where μ ≤ ½, so the probability that the capital *ever* exceeds 2/δ is at most δ/2 (Ville's
inequality); likewise for "no". The certificate is given where one of the two capitals has done so. A false certificate,
ever, has probability δ at most, at μ = ½ too, where both answers are false.

It is about the majority of those who could be asked. Whether that majority is right is another question.

Source:
    Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting"; Ville (1939), "Étude
    critique de la notion de collectif". The mixture of stakes is that of `auctionsim.regret.betting`.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from auctionsim.errors import InputError
from auctionsim.panels.votes import NO_VOTE
from auctionsim.regret.betting import STAKES, log_capital_path


class MajorityCertificate(NamedTuple):
    """Majorities that are certain, and when they became so.

    Attributes:
        winner: (sequence,) 1 or 0, or `NO_VOTE` where no majority has become certain.
        asked: (sequence,) votes that were looked at until then, gaps included; all of them where there is no winner.
        log_capital: (sequence, vote) log of the larger capital after each vote.
    """

    winner: Int[np.ndarray, " sequence"]
    asked: Int[np.ndarray, " sequence"]
    log_capital: Float[np.ndarray, "sequence vote"]


def certify_majority(votes: Int[np.ndarray, "sequence vote"], level: float = 0.05) -> MajorityCertificate:
    """Return the majority of each sequence of votes, once it is certain.

    Args:
        votes: 1, 0 or `NO_VOTE` for a gap, in the order in which they came. The order may not depend on the votes.
        level: δ, the largest probability of a false certificate at any time.
    Raises:
        ValueError: Another vote, no vote, or a level that is no probability.
    Example:
        >>> certify_majority(np.ones((1, 20), dtype=int)).asked.tolist()
        [9]
    """
    if not 0 < level < 1:
        raise InputError(f"the level must be above 0 and below 1, got {level:g}")
    if not votes.shape[1] or not np.isin(votes, (NO_VOTE, 0, 1)).all():
        raise InputError(f"votes must be 0, 1 or {NO_VOTE} for a gap, at least one, got shape {votes.shape}")
    signs = np.where(votes == NO_VOTE, 0, 2 * votes - 1)
    gains = torch.from_numpy(signs.astype(np.float64))
    yes, no = (log_capital_path(side).numpy() for side in (gains, -gains))
    larger = np.maximum(yes, no)
    certain = larger > math.log(2 / level)
    there = certain.any(1)
    first = certain.argmax(1)
    row = np.arange(len(votes))
    winner = np.where(there, np.where(yes[row, first] > no[row, first], 1, 0), NO_VOTE)
    return MajorityCertificate(winner, np.where(there, first + 1, votes.shape[1]), larger)


def false_stop_probability(share: float, horizon: int, level: float = 0.05) -> Float[np.ndarray, " vote"]:
    """Return the exact probability of a false certificate by each number of votes, when each is "yes" by itself.

    The capitals depend on the number of votes and of "yes" among them only, so the law of that number over sequences
    without a certificate is carried from vote to vote.

    Args:
        share: μ, at most ½: "no" is the majority, and at ½ either certificate is false.
        horizon: Votes.
        level: δ.
    """
    if not 0 <= share <= 0.5 or horizon < 1:
        raise InputError(f"the share must be from 0 to .5 and the horizon at least 1, got {share:g} and {horizon}")
    law, false, found = np.ones(1), 0.0, np.zeros(horizon)
    bound = math.log(2 / level)
    for count in range(1, horizon + 1):
        law = np.convolve(law, [1 - share, share])
        up = _log_capital(count) > bound
        down = up[::-1]
        false += float(law[up].sum()) + (float(law[down].sum()) if share == 0.5 else 0.0)
        law = np.where(up | down, 0.0, law)
        found[count - 1] = false
    return found


def _log_capital(count: int) -> Float[np.ndarray, " yes"]:
    """Return the log capital staked on "yes" after some votes, by how many of them are "yes", from none to all."""
    from scipy.special import logsumexp, xlog1py

    yes = np.arange(count + 1)
    stakes = np.array(STAKES)[:, None]
    logs = xlog1py(yes, stakes) + xlog1py(count - yes, -stakes)
    return np.asarray(logsumexp(logs, axis=0) - math.log(len(STAKES)))
