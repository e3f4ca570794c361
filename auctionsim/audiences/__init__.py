"""Kinds of users: known before the auction or not, what each loses, and what a unit of loss is worth in money."""

from auctionsim.audiences.acceptance import Acceptances, Willingness, simulate_acceptances, willingness_to_accept
from auctionsim.audiences.kinds import Audience, KindLosses, UserKind, tail_mean
from auctionsim.audiences.private import PrivateAudience, Risk
from auctionsim.audiences.public import PublicAudience

__all__ = [
    "Acceptances",
    "Audience",
    "KindLosses",
    "PrivateAudience",
    "PublicAudience",
    "Risk",
    "UserKind",
    "Willingness",
    "simulate_acceptances",
    "tail_mean",
    "willingness_to_accept",
]
