"""The story of an auction: one account with its replies, further draws, and the same bids under other rules."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.accounts.records import AuctionAccount
from auctionsim.accounts.replies import AccountReply, ReplyPlace, account_replies
from auctionsim.accounts.telling import auction_account
from auctionsim.brands import Brand
from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.measurement.stored_replies import Asked, StoredReplies
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.priors import Priors, product
from auctionsim.substrates.measured_substrate import MeasuredSubstrate

MOST_TRIES = 64
"""StoryDraws among which the first is looked for in which every brand is given something."""
NO_REPLIES = "the measurement's replies were not kept"


class AuctionStory(NamedTuple):
    """One auction on a measured view, told with its replies.

    Attributes:
        account: The auction.
        replies: To its prompt: untouched, with one brand, with all that are moved; () where none were kept.
        lacking: Why replies are missing, "" where they are there.
        passed_over: How many draws came before it in which not every brand was given something.
        draws: The draws that came next, as they came.
        rules: The same bids under other rules.
    """

    account: AuctionAccount
    replies: tuple[AccountReply, ...]
    lacking: str
    passed_over: int
    draws: tuple[AuctionAccount, ...]
    rules: tuple[AuctionAccount, ...]


class StoryDraws(NamedTuple):
    """Which auctions a story tells.

    Attributes:
        priors: What valuations are drawn from.
        seed: Of the draws.
        more: How many draws follow the first.
        place: Whose replies are shown; its replicate is that of the view.
    """

    priors: Priors
    seed: int = 0
    more: int = 3
    place: ReplyPlace = ReplyPlace()


def auction_story(
    mechanisms: Mapping[str, Mechanism],
    view: MeasuredSubstrate,
    draws: StoryDraws,
    *,
    user_weight: float,
    stored: StoredReplies | None = None,
    valuations: Tensor | None = None,
    names: tuple[str, ...] = (),
) -> AuctionStory:
    """Tell one auction of the first mechanism with its replies, the draws that follow, and the other mechanisms.

    Valuations are drawn until every brand is given something under the first mechanism, so that there is something to
    tell; how many draws were passed over is counted. If none of `MOST_TRIES` is such a draw, the first is told.

    Args:
        mechanisms: By label; the first one's auction is told.
        view: One feature sold, or several.
        draws: Which valuations, which prompt.
        user_weight: λ ≥ 0, money per unit of user loss.
        stored: Replies behind the measurement; None: none were kept.
        valuations: (bidder, feature) of the auction that is told; None: drawn.
        names: Of the bidders; () for those of the measurement's record.
    Raises:
        ValueError: No mechanism, or what does not fit the view.
    """
    checked_count(draws.more, "more", 0)
    if not mechanisms:
        raise InputError("a story needs a mechanism")
    label, told = next(iter(mechanisms.items()))
    names = names or brand_names_of(view)
    context, prompt = _asked(view, stored, draws.place)
    profiles = _profiles(view, draws)

    def account(of: str, rule: Mechanism, worth: Tensor, tried: int) -> AuctionAccount:
        return auction_account(
            rule,
            view,
            worth,
            names=names,
            user_weight=user_weight,
            context=context,
            prompt=prompt,
            label=of,
            tried=tried,
        )

    first = 0
    if valuations is None:
        outcome = told(profiles[:MOST_TRIES], None if context is None else torch.full((MOST_TRIES,), context))
        nulls = outcome.allocation.new_tensor([lever.null for lever in view.levers])
        full = ~(outcome.allocation == nulls).any(2).any(1)
        first = int(full.int().argmax())
        valuations = profiles[first]
    main = account(label, told, valuations, 41)
    replies, lacking = _replies(view, stored, main, draws.place)
    return AuctionStory(
        account=main,
        replies=replies,
        lacking=lacking,
        passed_over=first,
        draws=tuple(account(label, told, profiles[first + 1 + k], 0) for k in range(draws.more)),
        rules=tuple(account(of, rule, valuations, 41) for of, rule in list(mechanisms.items())[1:]),
    )


def brand_names_of(view: MeasuredSubstrate) -> tuple[str, ...]:
    """Return the bidders' names from a measurement's record, numbers where it has none."""
    listed = view.provenance.get("brands", [])
    names = tuple(brand if isinstance(brand, str) else Brand.read(brand).name for brand in listed)
    return names if len(names) == view.num_bidders else tuple(f"brand {k + 1}" for k in range(view.num_bidders))


def _profiles(view: MeasuredSubstrate, draws: StoryDraws) -> Tensor:
    """Return draws of valuations: (draw, bidder, feature), float64."""
    prior = product(draws.priors, view.num_bidders, len(view.features))
    generator = torch.Generator().manual_seed(draws.seed)
    return prior.sample(MOST_TRIES + draws.more, generator=generator, dtype=torch.float64)


def _asked(view: MeasuredSubstrate, stored: StoredReplies | None, place: ReplyPlace) -> tuple[int | None, str]:
    """Return the context of the auction, and its prompt where replies were kept."""
    if not 0 <= place.context < max(len(view.contexts), 1):
        raise InputError(f"context must index {len(view.contexts)} contexts, got {place.context!r}")
    context = place.context if view.contexts else None
    if stored is None:
        return context, ""
    return context, stored.prompt(Asked(view.scored_replicate, place.context, place.prompt))


def _replies(
    view: MeasuredSubstrate, stored: StoredReplies | None, account: AuctionAccount, place: ReplyPlace
) -> tuple[tuple[AccountReply, ...], str]:
    if stored is None:
        return (), NO_REPLIES
    allocation = torch.tensor([one.levers for one in account.bidders], dtype=torch.float64)
    found = account_replies(stored, view.levers, allocation, place._replace(replicate=view.scored_replicate))
    return found, ""
