"""Panels: several judges' votes, scores and comparisons made into one answer, and what that answer is worth."""

from auctionsim.panels.certificate import MajorityCertificate, certify_majority, false_stop_probability
from auctionsim.panels.comparisons import FIRST, SECOND, TIE, Strengths, bradley_terry, fit_comparisons
from auctionsim.panels.dawid_skene import RELATIVES, VoteModel, one_coin, relative_labels, two_coin
from auctionsim.panels.dependence import (
    ErrorDependence,
    beta_binomial_accuracy,
    effective_judges,
    error_dependence,
    independent_equivalent,
    shared_error_accuracy,
)
from auctionsim.panels.majority import (
    Majority,
    fewest_judges,
    majority_accuracy,
    majority_is_optimal,
    majority_vote,
    number_right,
    share_above_half,
)
from auctionsim.panels.peers import PeerRank, peer_rank
from auctionsim.panels.pooling import max_score, mean_score, trimmed_score
from auctionsim.panels.votes import NO_VOTE, Votes
from auctionsim.panels.weighted import WeightedVote, log_odds_weights, weighted_accuracy, weighted_vote

__all__ = [
    "FIRST",
    "NO_VOTE",
    "RELATIVES",
    "SECOND",
    "TIE",
    "ErrorDependence",
    "Majority",
    "MajorityCertificate",
    "PeerRank",
    "Strengths",
    "VoteModel",
    "Votes",
    "WeightedVote",
    "beta_binomial_accuracy",
    "bradley_terry",
    "certify_majority",
    "effective_judges",
    "error_dependence",
    "false_stop_probability",
    "fewest_judges",
    "fit_comparisons",
    "independent_equivalent",
    "log_odds_weights",
    "majority_accuracy",
    "majority_is_optimal",
    "majority_vote",
    "max_score",
    "mean_score",
    "number_right",
    "one_coin",
    "peer_rank",
    "relative_labels",
    "share_above_half",
    "shared_error_accuracy",
    "trimmed_score",
    "two_coin",
    "weighted_accuracy",
    "weighted_vote",
]
