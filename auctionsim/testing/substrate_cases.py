"""What a substrate is checked on: drawn batches of feasible allocations, contexts and weights."""

import contextlib
from typing import NamedTuple

import hypothesis.strategies as st
import torch
from torch import Tensor

from auctionsim.errors import BrokenClaimError
from auctionsim.substrates.protocol import BaseSubstrate, Substrate, contexts_of, finite_range_of, is_finite, null_of
from auctionsim.testing.sentences import vector
from auctionsim.testing.strategies import Draw

EIGHTHS = 8
ANYWHERE = 104_729  # a prime: hardly any of its multiples lies on a grid
SHARES = (1.0, 0.5, 0.25, 0.125)  # of the way from the null, until an allocation can be carried out
LISTED = 64  # entries of a finite range that are drawn from


class SubstrateCase(NamedTuple):
    """One drawn batch.

    Attributes:
        allocation: (batch, …), feasible, in the substrate's allocation shape.
        context: (batch,) or None.
        weights: (batch, bidder, feature), of any sign, on quarters.
        user_weight: ≥ 0, on quarters.
    """

    allocation: Tensor
    context: Tensor | None
    weights: Tensor
    user_weight: float


class SubstrateClaim(NamedTuple):
    """What is checked, and how exactly.

    Attributes:
        substrate: What is checked.
        tolerance: Share of the amounts at stake that counts as rounding.
    """

    substrate: Substrate
    tolerance: float

    def exposure(self, case: SubstrateCase) -> Tensor:
        """Return the case's exposure."""
        return self.substrate.exposure(case.allocation, case.context)

    def user_loss(self, case: SubstrateCase) -> Tensor:
        """Return the case's loss."""
        return self.substrate.user_loss(case.allocation, case.context)

    def losses(self, case: SubstrateCase) -> dict[str, Tensor]:
        """Return the case's charged loss, and every loss that `observe` tells, by what a sentence calls them."""
        charged = {"loss": self.user_loss(case)}
        if not isinstance(self.substrate, BaseSubstrate):
            return charged
        observed = self.substrate.observe(case.allocation, case.context).losses
        return charged | {f"loss {name}": loss for name, loss in observed.items()}

    def maximum(self, case: SubstrateCase) -> Tensor | None:
        """Return the case's maximum, or None where the substrate says that it is not available."""
        try:
            return self.substrate.maximise(case.weights, case.user_weight, case.context)
        except NotImplementedError:
            return None

    def null(self, batch: int, dtype: torch.dtype) -> Tensor:
        """Return the null allocation of so many rows."""
        return null_of(self.substrate, batch, dtype=dtype, device=torch.device("cpu"))

    def rounding(self, *amounts: Tensor) -> float:
        """Return what counts as rounding beside these amounts."""
        return self.tolerance * max([1.0, *(float(part.abs().max()) for part in amounts if part.numel())])

    def same(self, one: Tensor, other: Tensor, what: str) -> None:
        """Refuse amounts that differ by more than rounding.

        Raises:
            BrokenClaimError: They differ; names both.
        """
        if one.shape != other.shape:
            raise BrokenClaimError(f"{what}: shapes {tuple(one.shape)} and {tuple(other.shape)}")
        if one.numel() and not float((one - other).abs().max()) <= self.rounding(one, other):
            raise BrokenClaimError(f"{what}: {vector(one)} and {vector(other)}")


def words(case: SubstrateCase, row: int) -> str:
    """Return a row's allocation and context in words."""
    place = f"the allocation {vector(case.allocation[row])}"
    return place if case.context is None else f"{place} in context {int(case.context[row])}"


def row_of(case: SubstrateCase, row: int) -> SubstrateCase:
    """Return one row alone."""
    part = slice(row, row + 1)
    context = None if case.context is None else case.context[part]
    return SubstrateCase(case.allocation[part], context, case.weights[part], case.user_weight)


def cases(substrate: Substrate, allocations: Tensor | None, dtype: torch.dtype) -> st.SearchStrategy[SubstrateCase]:
    """Draw cases.

    Args:
        substrate: What is checked.
        allocations: (entry, …) feasible allocations to draw from as well; None: none.
        dtype: Of allocations and weights.
    """
    return st.deferred(lambda: _cases(substrate, _pool(substrate, allocations, dtype), dtype))


@st.composite
def _cases(draw: Draw, substrate: Substrate, pool: Tensor, dtype: torch.dtype) -> SubstrateCase:
    batch = draw(st.integers(1, 4))
    first, second = (torch.tensor(draw(_integers(batch, len(pool) - 1))) for _ in range(2))
    share = torch.tensor(draw(_integers(batch, 4)), dtype=dtype).view(-1, *[1] * (pool.ndim - 1)) / 4
    mixed = torch.where(share == 0, pool[first], pool[first] + share * (pool[second] - pool[first]))
    wanted = _by_levers(draw, substrate, batch, dtype) if draw(st.booleans()) else None
    allocation = _carried_out(substrate, mixed, pool[first])
    if wanted is not None and wanted.shape == allocation.shape:
        allocation = _carried_out(substrate, wanted, allocation)
    count = len(contexts_of(substrate))
    given = bool(count) and draw(st.booleans())
    context = torch.tensor(draw(_integers(batch, count - 1))) if given else None
    shape = (batch, substrate.num_bidders, len(substrate.features))
    steps = draw(st.lists(st.integers(-4, 8), min_size=torch.Size(shape).numel(), max_size=torch.Size(shape).numel()))
    weights = torch.tensor(steps, dtype=dtype).view(shape) / 4
    return SubstrateCase(allocation, context, weights, draw(st.integers(0, 8)) / 4)


def _integers(count: int, most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, most), min_size=count, max_size=count)


def _by_levers(draw: Draw, substrate: Substrate, batch: int, dtype: torch.dtype) -> Tensor:
    """Draw levers anywhere in their ranges: (batch, bidder, lever)."""
    shape = (batch, substrate.num_bidders, len(substrate.levers))
    most = draw(st.sampled_from((EIGHTHS, ANYWHERE)))
    drawn = torch.tensor(draw(_integers(torch.Size(shape).numel(), most)), dtype=dtype).view(shape) / most
    low = drawn.new_tensor([lever.low for lever in substrate.levers])
    high = drawn.new_tensor([lever.high for lever in substrate.levers])
    return torch.minimum(low + (high - low) * drawn, high)


def _carried_out(substrate: Substrate, wanted: Tensor, otherwise: Tensor) -> Tensor:
    """Return the wanted rows, moved towards the null until they are feasible, else the others."""
    null = null_of(substrate, len(wanted), dtype=wanted.dtype)
    found, left = otherwise.clone(), torch.ones(len(wanted), dtype=torch.bool)
    for share in SHARES:
        candidate = wanted if share == 1 else null + share * (wanted - null)
        fits = left & substrate.feasible(candidate)
        found[fits] = candidate[fits]
        left = left & ~fits
    return found


def _pool(substrate: Substrate, allocations: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Return feasible allocations (entry, …): the null, those given, a finite range's, and maxima of a few weights."""
    found = [null_of(substrate, 1, dtype=dtype)]
    if allocations is not None:
        found.append(allocations.to(dtype))
    if is_finite(substrate):
        found.append(finite_range_of(substrate).allocations[:LISTED].to(dtype))
    shape = (8, substrate.num_bidders, len(substrate.features))
    weights = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype) * 2 - 0.25
    with contextlib.suppress(NotImplementedError):  # its maximum is not available, which it may say
        found.append(substrate.maximise(weights, 0.25))
    return torch.cat(found)
