"""What every carrier promises: from an allocation to the change of a reply that is sold by it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.checks import checked_allocation
from auctionsim.errors import InputError, InputTypeError
from auctionsim.language_models.change import Change
from auctionsim.language_models.model import LanguageModel
from auctionsim.levers import Lever
from auctionsim.storage import Stored, checksum, serialise

CARRIER_FORMAT, CARRIER_VERSION = "auctionsim carrier", 1
MOST_BRANDS = 256
"""Of a carrier."""


class Carrier(ABC):
    """Something that moves a reply and is sold: whose, by which levers, and what an allocation does.

    Attributes:
        name: Of its kind, as the table of carriers has it.
        brands: The bidders, in order.
        levers: The controls of one bidder, the same for all.
        whole: Names of levers that take whole numbers only.
        without: Names of standard readings that have no meaning for it: they are not taken.
        reads_bids: What bidders bid stands in what the model reads, so that the law of its replies depends on bids.
    """

    name: ClassVar[str]
    whole: ClassVar[tuple[str, ...]] = ()
    without: ClassVar[tuple[str, ...]] = ()
    reads_bids: ClassVar[bool] = False

    brands: tuple[Brand, ...]
    levers: tuple[Lever, ...]

    @abstractmethod
    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        """Return what allocations (row, bidder, lever) do to a reply, a row each; null rows change nothing.

        Args:
            allocation: Within the levers' bounds, floating point.
            context: (row,) indices of the prompts' groups; carriers that do the same in all have no use for it.
        Raises:
            ValueError: An allocation that is not feasible; names the lever and the bidder.
        """

    @abstractmethod
    def ladder(self) -> Float[Tensor, "rung lever"]:
        """Return settings of one bidder's levers, from weak to strong, the null left out.

        Where a lever is continuous, what lies between two rungs is measured, too; else these are all there are.
        """

    @abstractmethod
    def stored(self) -> Stored:
        """Return all that it is made of beside its brands: what was fitted, and by which rule."""

    def feasible(self, allocation: Tensor) -> Bool[Tensor, " row"]:
        """Tell which rows can be carried out: levers within bounds, whole ones whole."""
        x = checked_allocation(allocation, (len(self.brands), len(self.levers)), finite=False)
        low = x.new_tensor([lever.low for lever in self.levers])
        high = x.new_tensor([lever.high for lever in self.levers])
        whole = torch.tensor([lever.name in self.whole for lever in self.levers], device=x.device)
        fits = (x >= low) & (x <= high) & (~whole | (x == x.round()))
        return fits.flatten(1).all(1)

    def checked(self, allocation: Tensor) -> Tensor:
        """Return a copy of an allocation (row, bidder, lever) that can be carried out.

        Raises:
            ValueError: Another shape, or a row that cannot; names it.
        """
        x = checked_allocation(allocation, (len(self.brands), len(self.levers)), finite=False)
        bad = ~self.feasible(x)
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            bounds = ", ".join(
                f"{lever.name} in [{lever.low:g}, {lever.high:g}]" + " (whole)" * (lever.name in self.whole)
                for lever in self.levers
            )
            raise InputError(f"{self.name} takes {bounds} a bidder, got {x[row].tolist()} in row {row}{self.rule}")
        return x.clone()

    def check_model(self, model: LanguageModel) -> None:  # noqa: B027  nothing to refuse is the rule
        """Refuse a model that this carrier was not made for; one that works on any has nothing to refuse.

        Raises:
            ValueError: It was fitted on another; names both.
        """

    @property
    def rule(self) -> str:
        """What else a feasible allocation obeys, as the end of a sentence; "" where nothing."""
        return ""

    @property
    def digest(self) -> str:
        """16 hex digits that name the contents."""
        return checksum(serialise(file_of(self), CARRIER_FORMAT, CARRIER_VERSION))[:16]


def checked_brands(brands: Sequence[Brand], what: str) -> tuple[Brand, ...]:
    """Return a carrier's brands if there is one or there are several, and no name is there twice.

    Raises:
        TypeError: Something else than brands.
        ValueError: There are none or more than `MOST_BRANDS`, or a name is there twice.
    """
    if isinstance(brands, str) or not all(isinstance(brand, Brand) for brand in brands):
        raise InputTypeError(f"{what} takes brands, as parse_brands reads them, got {brands!r:.60}")
    names = [name for brand in brands for name in brand.names]
    if not names or len(set(names)) < len(names):
        raise InputError(f"{what} needs one brand or several of different names, got {names!r:.80}")
    if len(brands) > MOST_BRANDS:
        raise InputError(f"{what} takes at most {MOST_BRANDS} brands, got {len(brands)}")
    return tuple(brands)


def file_of(carrier: Carrier) -> Stored:
    """Return a carrier as its file has it."""
    inner = carrier.stored()
    written = [brand.written for brand in carrier.brands]
    return Stored({"carrier": carrier.name, "brands": written, "settings": inner.record}, inner.arrays)
