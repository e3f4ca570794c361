"""The base of the classical item rules: each item goes to its highest bid, if that meets the reserve."""

from abc import abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_money
from auctionsim.claims import behaves_as
from auctionsim.errors import InputError, InputTypeError
from auctionsim.mechanisms.codecs import Codec, State
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.outcome import Outcome
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate

TIES = ("first", "shared", "random")


class ItemRule(Mechanism):
    """Sell every item by itself to its highest bidder; bidders are additive and their payments add up over items.

    The winner of item j is a bidder with b_ij = max_k b_kj, if b_ij ≥ reserve; otherwise nobody. Any number of bidders
    and items. The allocation fits `Items(bidders, items)`. Where several bid the highest, `ties` says who wins:

    - "first": the first of them, by index.
    - "shared": each gets an equal share of the item, and pays that share of what it would pay as the only winner (what
      is charged to losers too, the average over who wins): allocation and payments are the expectation of "random".
    - "random": one of them, each with the same chance, drawn for each row and item.

    Args:
        reserve: The lowest bid that wins, in money, the same for every item.
        ties: One of `TIES`.
        generator: For random ties: draws one number for each row and item, whether bids tie or not.
    Attributes:
        draws: Whether an outcome depends on more than the bids. Evaluators of regret refuse such a rule.
    Raises:
        ValueError: Another word for ties, random ties without a generator, or a generator that nothing is drawn from.
    """

    def __init__(self, reserve: float = 0.0, *, ties: str = "first", generator: torch.Generator | None = None) -> None:
        super().__init__(None, None)
        self.reserve = checked_money(reserve, "reserve")
        if ties not in TIES:
            raise InputError(f"ties must be one of {TIES}, got {ties!r}")
        if (ties == "random") != (generator is not None):
            raise InputError(f"random ties are drawn from a generator, others are not; got ties={ties!r}, {generator=}")
        self.ties = ties
        self.generator = generator
        self.draws = ties == "random"

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Find the winners and charge them by the rule."""
        del context  # items have none
        best, first = bids.max(dim=1, keepdim=True)  # the first bidder of the highest bid
        if self.ties == "first":
            wins = torch.zeros_like(bids).scatter_(1, first, (best >= self.reserve).to(bids.dtype))
            charged = self.charges(bids, wins)
        else:
            tied = ((bids == best) & (best >= self.reserve)).to(bids.dtype)
            wins, charged = self._shared(bids, tied) if self.ties == "shared" else self._drawn(bids, tied)
        return Outcome(wins, charged[..., 0] if charged.shape[2] == 1 else charged.sum(2))  # a sum of one is slow

    def _shared(self, bids: Tensor, tied: Tensor) -> tuple[Tensor, Tensor]:
        """Return the average over winners: each of the tied ones in turn."""
        count = tied.sum(1, keepdim=True).clamp_min(1)
        charged = torch.zeros_like(bids)
        for bidder in range(bids.shape[1]):
            alone = torch.zeros_like(tied)
            alone[:, bidder] = tied[:, bidder]
            charged = charged + self.charges(bids, alone) * tied[:, bidder : bidder + 1]
        return tied / count, charged / count

    def _drawn(self, bids: Tensor, tied: Tensor) -> tuple[Tensor, Tensor]:
        """Return one of the tied ones, and what it makes everybody pay."""
        batch, _, items = bids.shape
        level = torch.rand((batch, 1, items), generator=self.generator, dtype=torch.float64).to(bids.device)
        place = (level * tied.sum(1, keepdim=True)).floor() + 1  # 1 … how many are tied
        wins = tied * (tied.cumsum(1) == place)
        return wins, self.charges(bids, wins)

    @abstractmethod
    def charges(
        self, bids: Float[Tensor, "batch bidder item"], wins: Float[Tensor, "batch bidder item"]
    ) -> Float[Tensor, "batch bidder item"]:
        """Return what each bidder pays for each item, `wins` being 1 where it gets it and 0 elsewhere."""

    def alike_for_all(self, substrate: Substrate) -> bool:
        """Tell whether winners go by bids alone: one reserve for all, and exposure is the allocation.

        Charges are the subclass's: it claims `is_anonymous` where they go by bids alone too.
        """
        return isinstance(self.reserve, float) and behaves_as(substrate, Items)


def item_rule_codec(kind: Callable[[float], ItemRule]) -> Codec:
    """Return the file form of an item rule: its reserve, where ties go to the first bidder."""
    assert isinstance(kind, type)

    def state(rule: ItemRule) -> State:
        if rule.ties != "first":
            raise InputTypeError(f"{kind.__name__} has a file form where ties go to the first bidder only")
        return State({"reserve": rule.reserve}, {})

    return Codec(kind, state, lambda saved, _: kind(saved.settings.number("reserve", 0)))
