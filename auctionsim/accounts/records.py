"""The account of one auction: plain records of numbers and sentences."""

from typing import Any, NamedTuple

from auctionsim.accounts.misreports import Misreports
from auctionsim.wording import amount, listed


class BidderAccount(NamedTuple):
    """One bidder of one auction.

    Attributes:
        name: Of the brand.
        valuations: Money per unit of exposure, one a feature.
        bids: Likewise.
        levers: What it was given, in the levers' own units; () where no lever is its own.
        gets: The same in words, such as "512 neurons × 2", or "nothing".
        exposures: What it has of each feature.
        untouched: What it would have of each if nobody were given anything.
        payment: In money.
        price: Why it is charged that, in a sentence or two.
        utility: Value less payment, in money.
        misreports: What other bids would have brought; None where they were not looked at.
    """

    name: str
    valuations: tuple[float, ...]
    bids: tuple[float, ...]
    levers: tuple[float, ...]
    gets: str
    exposures: tuple[float, ...]
    untouched: tuple[float, ...]
    payment: float
    price: str
    utility: float
    misreports: Misreports | None = None

    @property
    def value(self) -> float:
        """What its exposure is worth to it, before payment."""
        return self.utility + self.payment

    @property
    def is_moved(self) -> bool:
        """Whether it was given anything."""
        return self.gets != NO_LEVERS

    @property
    def is_truthful(self) -> bool:
        """Whether it bid its valuation."""
        return self.bids == self.valuations


NO_LEVERS = "nothing"
"""The word for a bidder who was given nothing."""


class AuctionAccount(NamedTuple):
    """One auction, told.

    Attributes:
        mechanism: Its label.
        rule: Who gets what and pays what, one line; "" where none is registered.
        prompt: What the user asked; "" where there is no single prompt.
        context: The kind of prompt; "" where there is none.
        features: What is sold, by name.
        units: Of each.
        loss: Name of the user loss that is charged.
        loss_unit: Its unit.
        user_weight: Money per unit of user loss.
        user_loss: Of the reply that was chosen.
        bidders: In bidder order.
        allocation: What was chosen, flat, in the substrate's own units.
    """

    mechanism: str
    rule: str
    prompt: str
    context: str
    features: tuple[str, ...]
    units: tuple[str, ...]
    loss: str
    loss_unit: str
    user_weight: float
    user_loss: float
    bidders: tuple[BidderAccount, ...]
    allocation: tuple[float, ...]

    @property
    def revenue(self) -> float:
        """What the platform takes."""
        return sum(one.payment for one in self.bidders)

    @property
    def welfare(self) -> float:
        """What the bidders' exposures are worth to them together, before payments."""
        return sum(one.value for one in self.bidders)

    @property
    def user_charge(self) -> float:
        """The user's loss in money: user weight × user loss."""
        return self.user_weight * self.user_loss

    @property
    def objective(self) -> float:
        """What the platform is left with: revenue less user weight × user loss."""
        return self.revenue - self.user_charge

    def sentences(self) -> tuple[str, ...]:
        """Return who gets what, who pays what and why, and what the user lost, in order."""
        given = [f"{one.name} gets {one.gets}" for one in self.bidders if one.is_moved]
        who = f"{listed(given)}." if given else "Nobody gets anything: all stays as it is without an auction."
        return (who, *(one.price for one in self.bidders), self.user_sentence())

    def user_sentence(self) -> str:
        """Return what the user lost, and what that counts."""
        if abs(self.user_loss) < 5e-7:
            return "The user loses nothing."
        size = abs(self.user_loss)
        if self.user_loss > 0:
            lost, favour = f"The user loses {amount(size)} {self.loss_unit} ({self.loss})", ""
        else:
            lost = (
                f"The user’s loss falls by {amount(size)} {self.loss_unit} ({self.loss}), below the untouched reply’s"
            )
            favour = " in the user’s favour"
        if not self.user_weight:
            return f"{lost}, which this auction does not count."
        counted = f"{amount(size)} × {self.user_weight:g} = {amount(abs(self.user_charge))}"
        return f"{lost}, which counts {counted} in money{favour}."


def plain(value: Any) -> Any:
    """Return an account or a story as JSON has it: records by the names of their fields, tuples as lists.

    Example:
        >>> plain(BidderAccount("Ann", (1.0,), (1.0,), (), "nothing", (0.0,), (0.0,), 0.0, "", 0.0))["bids"]
        [1.0]
    """
    if isinstance(value, tuple) and type(value) is not tuple:
        return {name: plain(part) for name, part in value._asdict().items()}  # type: ignore[attr-defined]  # a record
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value
