"""A fake story of an auction for reports: VCG on the fake surface, replies of made-up words, some hostile."""

from report_fakes import HOSTILE, WORDS, fake_surface

from auctionsim.accounts import AccountReply, AuctionStory, StoryDraws, auction_story
from auctionsim.mechanisms import VCG, PayAsBid
from auctionsim.priors import Uniform


def fake_story() -> AuctionStory:
    """Return a story with four replies, three draws and another rule."""
    view = fake_surface().sell("slot_probability")
    rules = {"VCG": VCG(view, 1.0), "pay as bid": PayAsBid(view, 1.0)}
    told = auction_story(rules, view, StoryDraws(Uniform(0, 1)), user_weight=1.0, names=("Nike", "Adidas"))
    titles = (("untouched", ()), ("Nike: 64 neurons × 1.5", (0,)), ("Adidas: 256 neurons × 2.5", (1,)))
    alone = [AccountReply(title, moved, WORDS, (), (1, 1), 0.2, discloses=False) for title, moved in titles]
    both = AccountReply("Nike: 64 neurons × 1.5 and Adidas: 256 neurons × 2.5", (0, 1), HOSTILE, (), (1, 1), None, True)
    account = told.account._replace(prompt="Which <b>shoes</b>?")
    return told._replace(account=account, replies=(*alone, both), lacking="", passed_over=2)
