"""One auction, told: what each bidder got, paid and why, what the user lost, and the words that this takes."""

from auctionsim.accounts.glossary import GLOSSARY, Term, meaning_of, terms
from auctionsim.accounts.misreports import Misreports
from auctionsim.accounts.records import AuctionAccount, BidderAccount
from auctionsim.accounts.telling import auction_account

__all__ = [
    "GLOSSARY",
    "AuctionAccount",
    "BidderAccount",
    "Misreports",
    "Term",
    "auction_account",
    "meaning_of",
    "terms",
]
