"""One auction, told: what each bidder got, paid and why, what the user lost, and the words that this takes."""

from auctionsim.accounts.glossary import GLOSSARY, Term, meaning_of, term_of, terms
from auctionsim.accounts.misreports import Misreports
from auctionsim.accounts.packaged import STORY_RULES, STORY_SURFACE, packaged_story
from auctionsim.accounts.records import AuctionAccount, BidderAccount, plain
from auctionsim.accounts.replies import AccountReply, ReplyPlace, account_replies, ended
from auctionsim.accounts.stories import AuctionStory, StoryDraws, auction_story
from auctionsim.accounts.telling import auction_account

__all__ = [
    "GLOSSARY",
    "STORY_RULES",
    "STORY_SURFACE",
    "AccountReply",
    "AuctionAccount",
    "AuctionStory",
    "BidderAccount",
    "Misreports",
    "ReplyPlace",
    "StoryDraws",
    "Term",
    "account_replies",
    "auction_account",
    "auction_story",
    "ended",
    "meaning_of",
    "packaged_story",
    "plain",
    "term_of",
    "terms",
]
