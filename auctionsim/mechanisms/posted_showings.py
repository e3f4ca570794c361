"""Posted prices for being shown: every brand takes or leaves one offer, whatever the others do."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.checks import checked_tensor
from auctionsim.claims import behaves_as
from auctionsim.errors import InputError
from auctionsim.mechanisms.codecs import Codec, Saved, State, needed
from auctionsim.mechanisms.posted_thresholds import best_thresholds
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.showings import SHOWN_ALONE, Showings, showings, strengths
from auctionsim.mechanisms.showings_codec import checked_showings, showings_from, showings_record
from auctionsim.mechanisms.table import Entry, Need, Problem, Published, register
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors, product
from auctionsim.substrates.protocol import Substrate, contexts_of, same_substrate
from auctionsim.substrates.randomised import Randomised

MOST_BIDDERS = 8
"""All sets of them must be shown by some entry."""
LEVEL = 1e-12
"""Of the largest exposure: means of the same replies differ by as much as they are rounded."""


class PostedShowings(Mechanism):
    """Offer bidder i to be shown at a price p_i; i takes it iff b_i a_i ≥ p_i, and the entry shows those who take.

    a_i is what the offer adds to i's exposure where nobody else is shown, contexts averaged: a menu a bidder, with the
    untouched page for nothing and one setting for p_i, in which the bidder picks what it likes best as if nobody else
    were there. Where a showing adds a_i whatever the others take, and in every context, truth is dominant and nobody
    loses. With crosstalk neither holds: what is delivered is not what was picked.

    Args:
        view: A `Randomised` range of one feature.
        shown: Which of its entries show whom, every set of bidders included.
        prices: (bidder,) p_i ≥ 0 in money; infinite where nothing is offered.
    Raises:
        ValueError: A set of bidders that no entry shows, more than 8 bidders, or prices that are none.
    Source:
        Liu, Zeng, Kong, Yun and Wang (2026), "LLM Advertisement based on Neuron Auctions", arXiv 2605.08326: a menu a
        brand, over strengths of its own neurons. Its menus and prices are not public; one setting a menu, and prices
        for a prior, are ours.
    """

    def __init__(self, view: Randomised, shown: Showings, prices: Tensor) -> None:
        checked_showings(view, shown)
        n = view.num_bidders
        if n > MOST_BIDDERS:
            raise InputError(f"posted showings need an entry for every set of bidders: at most {MOST_BIDDERS}, got {n}")
        super().__init__(n, 1, view)
        self.range: Randomised = view
        self.showings = shown
        self.prices = checked_tensor(prices, "prices").detach().to("cpu", torch.float64, copy=True)
        if self.prices.shape != (n,) or not bool((self.prices >= 0).all()):
            raise InputError(f"prices must be {n} numbers >= 0, one a bidder, got {prices.tolist()}")
        self.entries = torch.tensor([shown.entry(takers) for takers in taker_sets(n)])

    @property
    def gains(self) -> Float[Tensor, " bidder"]:
        """a_i, what being shown alone adds to each bidder's exposure, contexts averaged."""
        return gains_of(self.range, self.showings)

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Let each bidder take or leave."""
        del context  # offers are the same in all
        takes = bids.double().squeeze(2) * self.gains.to(bids.device) >= self.prices.to(bids.device)
        number = torch.zeros(len(bids), dtype=torch.int64, device=bids.device)
        for i in range(takes.shape[1]):
            number = number + (takes[:, i].long() << i)
        chosen = self.entries.to(bids.device)[number]
        allocation = bids.new_zeros(len(bids), len(self.range.reference))
        for rows in row_blocks(len(bids), allocation.shape[1]):
            allocation[rows] = allocation[rows].scatter(1, chosen[rows].unsqueeze(1), 1.0)
        payments = torch.where(takes, self.prices.to(bids.device), 0.0)
        return Outcome(allocation, payments.to(bids.dtype))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """The taxation principle, where a showing adds the same whatever the others take, in every context."""
        exact = behaves_as(self.range, Randomised) and same_substrate(self.range, substrate)
        if not exact or not self.adds_alike:
            return None
        return "taxation principle: a price that no bid moves, for an exposure that no other bidder moves"

    def own_bid_breakpoints(self, bids: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the bid at which each bidder takes its offer: (batch, bidder, 1), infinite where it never does."""
        del context
        gains = self.gains
        at = torch.where(gains > 0, self.prices / torch.where(gains > 0, gains, 1.0), torch.inf)
        return at.to(bids.device).view(1, -1, 1).expand(len(bids), -1, -1)

    @property
    def adds_alike(self) -> bool:
        """Whether being shown adds a_i to bidder i's exposure whoever else is shown, in every context.

        Sums differ by as much as means are rounded, 1e-12 of an exposure.
        """
        gains, level = self.gains, LEVEL * self.range.exposures.max()
        for context in (None, *range(len(contexts_of(self.range)))):
            given = self.range.entries(context).exposures.squeeze(2)[self.entries]  # (set, bidder)
            for i in range(len(gains)):
                takes = torch.arange(len(given)) >> i & 1 == 1
                if not bool(((given[takes, i] - given[~takes, i] - gains[i]).abs() <= level).all()):
                    return False
        return True


def taker_sets(bidders: int) -> list[frozenset[int]]:
    """Return all sets of bidders, bidder i in the sets whose number has bit i."""
    return [frozenset(i for i in range(bidders) if number >> i & 1) for number in range(2**bidders)]


def gains_of(view: Randomised, shown: Showings) -> Float[Tensor, " bidder"]:
    """Return what being shown alone adds to each bidder's exposure, contexts averaged, float64."""
    return shown.worths(view) - view.exposures[shown.nobody, :, 0]


def posted_showings(view: Randomised, shown: Showings, priors: Priors, user_weight: float = 0.0) -> PostedShowings:
    """Design prices that bring most, Σ t_i − λ L, under truthful bids (`posted_thresholds.best_thresholds`).

    Args:
        view: A `Randomised` range of one feature, on which losses and gains are read, contexts averaged.
        shown: Which of its entries show whom.
        priors: Of valuations.
        user_weight: λ ≥ 0.
    """
    free = PostedShowings(view, shown, torch.zeros(view.num_bidders))
    costs = user_weight * view.user_losses[free.entries]
    thresholds = best_thresholds(product(priors, view.num_bidders, 1), free.gains, costs)
    offered = ~torch.isinf(thresholds)
    prices = torch.where(offered, free.gains * torch.where(offered, thresholds, 0.0), torch.inf)
    return PostedShowings(view, shown, prices)


def _shows_every_set(view: Substrate) -> bool:
    if not strengths(view) or not isinstance(view, Randomised) or view.num_bidders > MOST_BIDDERS:
        return False
    there = showings(view, 0).together
    return all(len(takers) < 2 or takers in there for takers in taker_sets(view.num_bidders))


def _designed(problem: Problem) -> PostedShowings:
    shown = showings(problem.view, int(problem.settings["strength"]))
    return posted_showings(problem.view, shown, problem.priors, problem.user_weight)


def _state(rule: PostedShowings) -> State:
    return State({"showings": showings_record(rule.showings)}, {"prices": rule.prices})


def _made(saved: Saved, substrate: Substrate | None) -> PostedShowings:
    view = needed(substrate)
    if not isinstance(view, Randomised):
        raise InputError(f"posted showings need a Randomised range, got {type(view).__name__}")
    shown = showings_from(saved.settings.record("showings"))
    return PostedShowings(view, shown, saved.array("prices", (view.num_bidders,)))


register(
    Entry(
        "posted-showings",
        "posted price to be shown",
        "Each brand is offered to be shown at a price of its own, the menu of one setting, best for the prior.",
        _designed,
        Codec(PostedShowings, _state, _made),
        needs=(SHOWN_ALONE, Need("entries that show every set of bidders, at most 8 of them", _shows_every_set)),
        pays="Each brand has a posted price for being shown; those whose bid says it is worth it are shown and pay it.",
        published=Published(
            "Liu, Zeng, Kong, Yun and Wang (2026), LLM Advertisement based on Neuron Auctions, arXiv 2605.08326",
            "Truthful bidding is dominant: each advertiser picks from a menu that its own bid does not move.",
            "the effect of a brand's own neurons, taken not to depend on which neurons of others are amplified",
        ),
        knobs={"strength": lambda view: tuple(map(float, range(strengths(view))))},
    )
)
