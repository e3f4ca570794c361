"""One auction in lines of text: who bids, who gets and pays what and why, what is said, what the user loses."""

from collections.abc import Iterator

from auctionsim.accounts.records import AuctionAccount
from auctionsim.accounts.stories import AuctionStory
from auctionsim.wording import amount


def told_auction(story: AuctionStory) -> Iterator[str]:
    """Yield the lines: the auction, its replies, who would gain by a lie, the next draws, other rules."""
    account = story.account
    if account.prompt:
        yield f"A user asks: “{account.prompt}”"
    yield ""
    for bidder in account.bidders:
        worth, bid = amounts(bidder.valuations), amounts(bidder.bids)
        yield f"{bidder.name} values a unit of exposure at {worth} and bids {bid}."
    yield f"The rule: {account.mechanism}."
    yield from account.sentences()
    yield ""
    for reply in story.replies:
        yield f"The reply, {reply.title}:"
        yield f"    {reply.text}"
    if story.lacking:
        yield f"No reply is shown: {story.lacking}."
    yield ""
    yield from _lies(account)
    for number, draw in enumerate(story.draws, 2):
        yield f"Draw {number}: {_short(draw)}"
    yield ""
    yield "The same bids under other rules:"
    for rule in story.rules:
        yield f"- {rule.mechanism}: {_short(rule)}"
        yield from (f"  {sentence}" for sentence in _lies(rule, gains_only=True))


def amounts(values: tuple[float, ...]) -> str:
    """Return one number, or several with commas between."""
    return ", ".join(amount(value) for value in values)


def _short(account: AuctionAccount) -> str:
    parts = [
        f"{one.name} bids {amounts(one.bids)}, gets {one.gets}, pays {amount(one.payment)}" for one in account.bidders
    ]
    return f"{'; '.join(parts)}; the user’s loss is {amount(account.user_loss)}."


def _lies(account: AuctionAccount, *, gains_only: bool = False) -> Iterator[str]:
    for bidder in account.bidders:
        other = bidder.misreports
        if other is not None and not (gains_only and (other.proof or other.gain <= 0)):
            yield other.sentence(bidder.name)
