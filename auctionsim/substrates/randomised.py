"""Distributions over a finite range: what is allocated is how likely each of its entries is to be carried out."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.checks import (
    checked_allocation,
    checked_context,
    checked_count,
    checked_money,
    checked_tensor,
    checked_weights,
)
from auctionsim.errors import InputError
from auctionsim.substrates.protocol import (
    BaseSubstrate,
    FiniteRange,
    Lever,
    Observation,
    Substrate,
    bases_of,
    charged_loss_of,
    contexts_of,
    finite_range_of,
    is_finite,
    losses_of,
    observe,
    units_of,
)


class ListedEntries(NamedTuple):
    """Exposures and losses of the entries of a finite range, in every context and on average.

    Attributes:
        exposures: (context + 1, entry, bidder, feature), the mean over contexts last, float64.
        losses: By name, the charged one first, each (context + 1, entry), float64.
        contexts: Names of the contexts.
        features: Names of the features.
        units: Of features and losses by name.
        bases: Of losses by name, see `BaseSubstrate.bases`.
    """

    exposures: Tensor
    losses: Mapping[str, Tensor]
    contexts: tuple[str, ...]
    features: tuple[str, ...]
    units: Mapping[str, str]
    bases: Mapping[str, str]


class SureEntries(NamedTuple):
    """Exposures and losses of the entries of a finite range in one context, each carried out for sure.

    Attributes:
        exposures: (entry, bidder, feature), float64.
        user_losses: (entry,), the loss that is charged, float64.
    """

    exposures: Tensor
    user_losses: Tensor


class Randomised(BaseSubstrate):
    """Distributions q over the entries y of a substrate's finite range: e_i(q) = E_q e_i(y), L(q) = E_q L(y).

    Every loss that has a name is an expectation, too; the charged one comes first. No lever is a bidder's own. A linear
    objective is greatest at a sure entry, so the maximum is exact, and what randomising adds shows where something
    bends: a price for leaving the reference (`KLTilt`), or a cap on an expected loss (`best_mixture`). The numbers are
    copied: they are those of the range when this was made.

    Args:
        substrate: One with a finite range, such as a `MeasuredList` or a view of one.
        reference: (entry,) probabilities, what holds where nobody bids, in the order of the range; None: the
            substrate's null for sure.
    Raises:
        ValueError: No finite range, or a reference that is no distribution over it.
    Example:
        >>> from auctionsim.substrates import Bundles
        >>> randomised = Randomised(Bundles.llg())
        >>> randomised.exposure(torch.tensor([[0.5, 0.5, 0.0, 0.0, 0.0]])).flatten().tolist()
        [0.5, 0.0, 0.0]
    """

    levers: tuple[Lever, ...] = ()
    separable = False
    contexts: tuple[str, ...] = ()
    losses: tuple[str, ...] = ("loss",)

    def __init__(self, substrate: Substrate, reference: Tensor | None = None) -> None:
        if not is_finite(substrate):
            raise InputError(f"what is randomised needs a finite range, and {type(substrate).__name__} has none")
        listed = _listed(substrate)
        if reference is None:
            reference = torch.zeros(listed.exposures.shape[1], dtype=torch.float64)
            reference[0] = 1.0
        self.substrate: Substrate | None = substrate
        self._keep(listed, reference)

    def _keep(self, listed: ListedEntries, reference: Tensor) -> None:
        """Hold what entries give, and the reference."""
        entries = listed.exposures.shape[1]
        held = checked_tensor(reference, "reference").detach().double()
        if held.shape != (entries,) or not bool((held >= 0).all()) or not abs(float(held.sum()) - 1) <= 1e-6:
            raise InputError(f"reference must be {entries} probabilities that sum to 1, got {reference.tolist()}")
        self.reference = held / held.sum()
        self.num_bidders = listed.exposures.shape[2]
        self.contexts, self.features, self.losses = listed.contexts, listed.features, tuple(listed.losses)
        self._units, self._bases = dict(listed.units), dict(listed.bases)
        self._exposures, self._losses = _with_reference(self.reference, listed.exposures), {}
        for name, values in listed.losses.items():
            self._losses[name] = _with_reference(self.reference, values)

    @property
    def exposures(self) -> Tensor:
        """What each entry gives, contexts averaged: (entry, bidder, feature), float64."""
        return self.entries().exposures

    @property
    def user_losses(self) -> Tensor:
        """What each entry costs the user by the loss that is charged, contexts averaged: (entry,), float64."""
        return self.entries().user_losses

    def entries(self, context: int | None = None) -> "SureEntries":
        """Return what each entry gives for sure, in one context; None: on average."""
        place = -1 if context is None else context
        return SureEntries(self._exposures[place, 1:], self._losses[self.losses[0]][place, 1:])

    @property
    def units(self) -> Mapping[str, str]:
        """Units of features and losses by name: the substrate's, and that of what it charges."""
        return dict(self._units)

    @property
    def bases(self) -> Mapping[str, str]:
        """What losses rest on beside replies and code, by name."""
        return dict(self._bases)

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return the reference: (batch, entry)."""
        checked_count(batch, "batch", 0)
        dtype = dtype or torch.get_default_dtype()
        return self.reference.to(device=device, dtype=dtype).repeat(batch, 1)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows are distributions, up to float rounding: (batch,) bool."""
        q = checked_allocation(allocation, (len(self.reference),), finite=False)
        slack = 8 * len(self.reference) * torch.finfo(q.dtype).eps
        return (q >= 0).all(1) & ((q.sum(1) - 1).abs() <= slack)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return E_q e: (batch, bidder, feature)."""
        q = self._checked(allocation, context)
        return _expected(q, context, self._exposures)

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return E_q L of the loss that is charged: (batch,)."""
        q = self._checked(allocation, context)
        return _expected(q, context, self._losses[self.losses[0]])

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
        """Return E_q e and E_q L of every loss."""
        q = self._checked(allocation, context)
        losses = {name: _expected(q, context, values) for name, values in self._losses.items()}
        return Observation(_expected(q, context, self._exposures), losses)

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return the reference and every sure entry: a linear objective is greatest at one of them."""
        sure = torch.cat([self.reference.unsqueeze(0), torch.eye(len(self.reference), dtype=torch.float64)])
        charged = self._losses[self.losses[0]]
        if context is None:
            return FiniteRange(sure, self._exposures[-1:].clone(), charged[-1:].clone())
        checked_context(context, len(context), self.contexts)
        rows = context.long()
        return FiniteRange(sure, *(values.to(rows.device)[rows] for values in (self._exposures, charged)))

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the best sure entry, or the reference where none is better."""
        checked_weights(weights, self.num_bidders, len(self.features))
        user_weight = checked_money(user_weight, "user_weight")
        checked_context(context, len(weights), self.contexts)
        best = torch.zeros(len(weights), dtype=torch.int64, device=weights.device)
        for place, rows in _by_context(context, len(weights)):
            exposures = self._exposures[place].to(weights)
            costs = user_weight * self._losses[self.losses[0]][place].to(weights)
            for block in row_blocks(len(rows), len(costs)):
                best[rows[block]] = _best(weights[rows[block]], exposures, costs)
        sure = torch.zeros(len(best), len(self.reference), dtype=weights.dtype, device=weights.device)
        sure.scatter_(1, (best - 1).clamp_min(0).unsqueeze(1), 1.0)
        sure[best == 0] = self.reference.to(weights)
        return sure

    def draw(self, allocation: Tensor, generator: torch.Generator) -> Tensor:
        """Return which entry is carried out, one a row, drawn from the row's distribution: (batch,).

        What is carried out then is `substrate.finite_range().allocations[entry]`.

        Raises:
            ValueError: A row that is no distribution.
        """
        if not bool(self.feasible(allocation).all()):
            raise InputError(f"only a distribution over {len(self.reference)} entries can be drawn from")
        return torch.multinomial(allocation, 1, generator=generator).squeeze(1)

    def _checked(self, allocation: Tensor, context: Tensor | None) -> Tensor:
        checked_context(context, len(allocation), self.contexts)
        return checked_allocation(allocation, (len(self.reference),))


def _listed(substrate: Substrate) -> ListedEntries:
    """Return what the entries of a substrate's finite range give."""
    names, charged = contexts_of(substrate), charged_loss_of(substrate)
    ranges = [finite_range_of(substrate)]
    if names:
        ranges.insert(0, finite_range_of(substrate, torch.arange(len(names))))
    entries, allocations = len(ranges[0].allocations), ranges[0].allocations.double()
    losses = {charged.name: torch.cat([part.user_losses.double().expand(-1, entries) for part in ranges])}
    if set(losses_of(substrate)) - {charged.name}:
        places = [torch.full((entries,), k) for k in range(len(names))]
        observed = [observe(substrate, allocations, place).losses for place in (*places, None)]
        for name in losses_of(substrate):
            losses.setdefault(name, torch.stack([one[name].double() for one in observed]))
    return ListedEntries(
        exposures=torch.cat([part.exposures.double() for part in ranges]),
        losses={name: values.detach() for name, values in losses.items()},
        contexts=names,
        features=tuple(substrate.features),
        units={**units_of(substrate), charged.name: charged.unit},
        bases={**bases_of(substrate), **({charged.name: charged.basis} if charged.basis else {})},
    )


def _with_reference(reference: Tensor, values: Tensor) -> Tensor:
    """Return values (context + 1, entry, …) with their mean under the reference before them, as an entry."""
    mean = torch.stack([torch.tensordot(reference, part, dims=1) for part in values]).unsqueeze(1)
    return torch.cat([mean, values], 1)


def _by_context(context: Tensor | None, batch: int) -> Iterator[tuple[int, Tensor]]:
    """Yield each context, contexts being few, and its rows; −1 stands for their mean."""
    if context is None:
        yield -1, torch.arange(batch)
        return
    for place in sorted(set(context.tolist())):
        yield place, (context == place).nonzero().squeeze(1)


def _expected(q: Tensor, context: Tensor | None, values: Tensor) -> Tensor:
    """Return E_q of values (context + 1, reference and entry, …) in each row's context: (batch, …)."""
    groups = list(_by_context(context, len(q)))
    if len(groups) <= 1:
        return _contracted(q, values[groups[0][0] if groups else -1, 1:])
    parts = [_contracted(q[rows], values[place, 1:]) for place, rows in groups]
    return torch.cat(parts)[torch.cat([rows for _, rows in groups]).argsort()]


def _contracted(q: Tensor, values: Tensor) -> Tensor:
    values = values.to(q.device, q.dtype)
    return q @ values if values.ndim == 1 else torch.einsum("by,yif->bif", q, values)


def _best(weights: Tensor, exposures: Tensor, costs: Tensor) -> Tensor:
    """Return each row's best entry, the first of equals, summed term by term: equal weights give equal floats."""
    total = (-costs).expand(len(weights), -1)
    for i in range(weights.shape[1]):
        for f in range(weights.shape[2]):
            total = torch.addcmul(total, weights[:, i, f, None], exposures[:, i, f])
    return total.argmax(1)
