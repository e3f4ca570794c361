"""What a carrier is checked on: drawn batches of allocations, a null row and a touched one among them."""

from collections.abc import Callable
from typing import NamedTuple

import hypothesis.strategies as st
import torch
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.protocol import Carrier
from auctionsim.language_models.model import LanguageModel
from auctionsim.levers import Lever, null_levers
from auctionsim.storage import Stored
from auctionsim.testing.sentences import vector
from auctionsim.testing.strategies import Draw

EIGHTHS = 8
SHARES = (1.0, 0.5, 0.25, 0.125)  # of the way from the null, until an allocation can be carried out
MOST_ROWS = 3
Made = Callable[[tuple[Brand, ...], Stored], Carrier]


class CarrierClaim(NamedTuple):
    """What is checked, and on what.

    Attributes:
        carrier: What is checked.
        model: The language model that it moves.
        turned: The same carrier with its brands in the other order; None where that has no meaning.
        made: Makes it again from its brands and what `Carrier.stored` returned.
        prompts: What users ask.
        tolerance: In total variation of a next token's law, what counts as rounding between batches.
    """

    carrier: Carrier
    model: LanguageModel
    turned: Carrier | None
    made: Made
    prompts: tuple[str, ...]
    tolerance: float

    def null(self, rows: int = 1) -> Tensor:
        """Return nobody's levers moved: (row, bidder, lever)."""
        return null_levers(self.carrier.levers, len(self.carrier.brands)).repeat(rows, 1, 1)

    def alone(self, bidder: int, levers: Tensor) -> Tensor:
        """Return the allocation of one row in which one bidder has these levers and the others none."""
        x = self.null()
        x[0, bidder] = levers
        return x


class CarrierCase(NamedTuple):
    """One drawn batch.

    Attributes:
        allocation: (row, bidder, lever), feasible; float64.
        null: The row in which nobody's levers are moved.
        touched: A row in which somebody's are.
        boxed: (bidder, lever) within the levers' bounds; it may break other rules.
        bidder: Whom a change of one bidder's levers is tried on.
        seed: Of the replies' tokens and of the uniform numbers.
    """

    allocation: Tensor
    null: int
    touched: int
    boxed: Tensor
    bidder: int
    seed: int

    @property
    def rows(self) -> tuple[int, ...]:
        """What tells the rows' prompts and numbers apart: a name each, which stays with the row."""
        return tuple(self.seed + k for k in range(len(self.allocation)))


def words(case: CarrierCase, row: int) -> str:
    """Return a row's allocation in words."""
    return f"the allocation {vector(case.allocation[row])}"


@st.composite
def cases(draw: Draw, carrier: Carrier) -> CarrierCase:
    """Draw a batch of one null row and one or two touched ones, in any order."""
    bidders = len(carrier.brands)
    touched = [_feasible(carrier, draw(_bidders(carrier)), draw(st.integers(0, bidders - 1)))]
    if draw(st.booleans()):
        touched.append(_feasible(carrier, draw(_bidders(carrier)), draw(st.integers(0, bidders - 1))))
    null = draw(st.integers(0, len(touched)))
    rows = [*touched[:null], null_levers(carrier.levers, bidders), *touched[null:]]
    return CarrierCase(
        allocation=torch.stack(rows),
        null=null,
        touched=0 if null else 1,
        boxed=draw(_bidders(carrier)),
        bidder=draw(st.integers(0, bidders - 1)),
        seed=draw(st.integers(0, 99)),
    )


@st.composite
def _bidders(draw: Draw, carrier: Carrier) -> Tensor:
    """Draw everybody's levers within their bounds, on eighths of the way: (bidder, lever)."""
    return torch.tensor(
        [[draw(_values(lever, lever.name in carrier.whole)) for lever in carrier.levers] for _ in carrier.brands],
        dtype=torch.float64,
    )


def _values(lever: Lever, whole: bool) -> st.SearchStrategy[float]:
    way = st.integers(0, EIGHTHS).map(lambda eighth: lever.low + (lever.high - lever.low) * eighth / EIGHTHS)
    return way.map(lambda value: float(round(value))) if whole else way


def _feasible(carrier: Carrier, levers: Tensor, bidder: int) -> Tensor:
    """Return levers that can be carried out and move somebody's: nearer to the null than those that were drawn."""
    null = null_levers(carrier.levers, len(carrier.brands))
    whole = torch.tensor([lever.name in carrier.whole for lever in carrier.levers])
    for share in SHARES:
        some = null + share * (levers - null)
        some = torch.where(whole, some.round(), some)
        if bool((some != null).any()) and bool(carrier.feasible(some.unsqueeze(0))):
            return some
    null[bidder] = carrier.ladder()[-1]
    return null
