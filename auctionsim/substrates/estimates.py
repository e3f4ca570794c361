"""Estimates that a design uses in place of measured cells: shrunk towards each other, or at the lower end of a region.

A design chooses the best of many noisy cells, so it chooses errors, too, and charges by them. Two ways to take errors
into account, both of the replicate that a view reports and of nothing else:

- **Shrunk cells.** y is a bidder's exposure in a cell, s its standard error, m the mean of cells like it (`Centre`).
  The estimate is m + (1 − B)(y − m), B = k s² / (k s² + τ²): k the strength, τ² ≥ 0 the spread of true cells around m,
  by moments: mean (y − m)² = f (τ² + mean s²), with f the share of degrees of freedom that m leaves.
- **Lower ends.** Every exposure lowered by so many standard errors, down to its least value, and the user's loss raised
  by as many. Of a joint confidence region (`joint_deviations`) this is the end at which nobody gets more.

Both leave standard errors and counts as measured, and the loss at the null at 0. Losses are not shrunk: contexts cost
the user unlike amounts, and pooling them brought them no nearer to the other replicate.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_number
from auctionsim.errors import InputError
from auctionsim.levers import at_null
from auctionsim.substrates.measured_substrate import MeasuredSubstrate
from auctionsim.substrates.measurements import Measurement, checked_replicates

Centre = Literal["contexts", "levers"]
"""Towards what cells are shrunk: their mean over contexts; or what contexts, and cells in which the bidder's own levers
are the same, say of them when the two effects add up."""
EstimateKind = Literal["measured", "shrunk", "lower"]
MOST_STRENGTH = 1e6


class Estimation(NamedTuple):
    """How a design estimates what its cells give.

    Attributes:
        kind: "measured" takes the means as they are, "shrunk" and "lower" as the module says.
        strength: Of "shrunk" k ≥ 0, of "lower" how many standard errors ≥ 0; 0 is "measured".
        centre: Towards what cells are shrunk.
    """

    kind: EstimateKind = "measured"
    strength: float = 0.0
    centre: Centre = "contexts"


MEASURED = Estimation()


def estimated(view: MeasuredSubstrate, how: Estimation) -> MeasuredSubstrate:
    """Return the view that reports estimates; the view itself where they are its means.

    Args:
        view: Its sold features and its charged losses are estimated, on the replicate that it reports.
        how: By which rule.
    Raises:
        ValueError: Another kind or centre; a strength below 0 or above a million.
    Source:
        Shrinking: James and Stein (1961), "Estimation with quadratic loss"; towards a mean, with unequal errors, Efron
        and Morris (1975), "Data analysis using Stein's estimator and its generalizations".
    """
    for value, words, what in ((how.kind, EstimateKind, "kind"), (how.centre, Centre, "centre")):
        if value not in get_args(words):
            raise InputError(f"the {what} of an estimate must be one of {get_args(words)}, got {value!r}")
    strength = checked_number(how.strength, "the strength of an estimate", 0, MOST_STRENGTH)
    if how.kind == "measured" or strength == 0:
        return view
    whole = _DistinctCells.of(view)
    if how.kind == "shrunk":
        features = [whole.shrunk(view, place, strength, how.centre) for place in whole.sold]
        return whole.restated(view, features, {}, {"estimates": list(how)})
    features = [whole.means[..., f] - strength * whole.errors[..., f] for f in whole.sold]
    losses = {
        name: whole.losses[name].mean + (1 if weight > 0 else -1) * strength * whole.losses[name].standard_error
        for name, weight in view.offer.charges
    }
    return whole.restated(view, features, losses, {"estimates": [how.kind, strength]})


def joint_deviations(view: MeasuredSubstrate, confidence: float = 0.95) -> float:
    """Return how many standard errors reach from every measured number to its end of a joint one-sided region.

    All sold exposures and the charged loss in all cells and contexts are on the right side of these ends with at least
    this probability, whatever their dependence (Bonferroni), where errors are normal and known.

    Args:
        view: Whose numbers.
        confidence: Of all together, in (0, 1).
    """
    level = checked_number(confidence, "confidence", 1e-6, 1 - 1e-6)
    whole = _DistinctCells.of(view)
    numbers = (whole.errors[..., whole.sold] > 0).sum()
    for name, _ in view.offer.charges:
        numbers = numbers + (whole.losses[name].standard_error > 0).sum()
    tail = (1 - level) / max(int(numbers), 1)
    return max(float(-torch.special.ndtri(torch.tensor(tail, dtype=torch.float64))), 0.0)


def halves(view: MeasuredSubstrate, generator: torch.Generator) -> tuple[MeasuredSubstrate, MeasuredSubstrate]:
    """Return the view as two halves of its samples might have measured it, independent of each other.

    With z ~ N(0, 1) a number, y + s z and y − s z are independent with standard error √2 s where y is normal with
    standard error s: their mean is y, and each is what half the samples say. Numbers are cut to what they may be.

    Args:
        view: On the replicate that it reports.
        generator: Draws z, one a number and distinct intervention.
    Source:
        Leiner, Duan, Wasserman and Ramdas (2023), "Data fission: splitting a single data point".
    """
    whole = _DistinctCells.of(view)
    drawn = [_normal(whole.errors[..., f], generator) for f in whole.sold]
    lost = {name: _normal(whole.losses[name].standard_error, generator) for name, _ in view.offer.charges}
    parts = []
    for number, sign in enumerate((1, -1)):
        features = [whole.means[..., f] + sign * noise for f, noise in zip(whole.sold, drawn, strict=True)]
        losses = {name: whole.losses[name].mean + sign * noise for name, noise in lost.items()}
        parts.append(whole.restated(view, features, losses, {"half": [number, generator.initial_seed()]}, 2**0.5))
    return parts[0], parts[1]


class _DistinctCells(NamedTuple):
    """What a view's replicate says of its distinct interventions.

    Attributes:
        means: (context, entry, bidder, feature), all features.
        errors: Of the same shape.
        losses: By name, each (context, entry).
        sold: Places of the sold features among all.
        place: (cell,), which entry a cell means.
    """

    means: Tensor
    errors: Tensor
    losses: Mapping[str, Measurement]
    sold: list[int]
    place: Tensor

    @classmethod
    def of(cls, view: MeasuredSubstrate) -> "_DistinctCells":
        """Read a view."""
        cells, one = view._cells, view.replicates[view.scored_replicate]
        number = torch.zeros_like(cells.canonical)
        number[cells.distinct] = torch.arange(len(cells.distinct))

        def listed(array: Tensor) -> Tensor:
            return array.flatten(1, len(cells.shape))[:, cells.distinct]

        losses = {name: Measurement(*map(listed, item)) for name, item in one.losses.items()}
        sold = [view.measured_features.index(name) for name in view.features]
        means, errors = listed(one.features.mean), listed(one.features.standard_error)
        return cls(means, errors, losses, sold, number[cells.canonical])

    def shrunk(
        self, view: MeasuredSubstrate, feature: int, strength: float, centre: Centre
    ) -> Float[Tensor, "context entry bidder"]:
        """Return one feature's cells, shrunk bidder by bidder."""
        y, s = self.means[..., feature], self.errors[..., feature]
        over_contexts = y.mean(0, keepdim=True).expand_as(y)
        freedom = torch.full_like(y, 1 - 1 / len(y))
        middle = over_contexts
        if centre == "levers":
            alike = _same_levers(view)  # (bidder, entry, entry), rows sum to 1
            middle = over_contexts + torch.einsum("bkj,cjb->ckb", alike, y - over_contexts)
            freedom = freedom * (1 - torch.diagonal(alike, dim1=1, dim2=2).T)
        noise = (freedom * s.square()).mean((0, 1))
        spread = ((y - middle).square().mean((0, 1)) - noise).clamp_min(0) / freedom.mean((0, 1)).clamp_min(1e-12)
        weighted = strength * s.square()
        share = torch.where(weighted > 0, weighted / (weighted + spread).clamp_min(1e-300), 0.0)
        return y - share * (y - middle)

    def restated(
        self,
        view: MeasuredSubstrate,
        features: list[Tensor],
        losses: Mapping[str, Tensor],
        note: Mapping[str, object],
        errors: float = 1.0,
    ) -> MeasuredSubstrate:
        """Return the view with other means in its sold features and in these losses, cut to what they may be.

        Args:
            view: The whole.
            features: Of each sold feature (context, entry, bidder).
            losses: By name, (context, entry).
            note: Goes into the provenance, so that two estimates are never taken for one.
            errors: What the standard errors of all of these are multiplied by.
        """
        one = view.replicates[view.scored_replicate]
        mean, error = one.features.mean.clone(), one.features.standard_error.clone()
        for f, values in zip(self.sold, features, strict=True):
            bounds = view.quantities[view.measured_features[f]]
            mean[..., f] = self._spread(values.clamp(bounds.low, bounds.high), mean[..., f].shape)
            error[..., f] *= errors
        changed = dict(one.losses)
        for name, values in losses.items():
            bounds = view.quantities[name]
            bounded = values.clamp(bounds.low, bounds.high)
            bounded[:, 0] = 0.0  # the null
            before = one.losses[name]
            spread = self._spread(bounded, before.mean.shape)
            changed[name] = Measurement(spread, before.standard_error * errors, before.n)
        scaled = {
            pair: array * errors ** sum(name in losses for name in pair) for pair, array in one.covariances.items()
        }
        restated = one._replace(
            features=one.features._replace(mean=mean, standard_error=error),
            losses=changed,
            covariances=scaled,
        )
        replicates = {**view.replicates, view.scored_replicate: restated}
        made = view._view(
            {
                "replicates": checked_replicates(replicates, view._cells, view.quantities),
                "_provenance": {**view.provenance, **note},
                "_columns_by_kind": {},
            }
        )
        made.__dict__.pop("_checksum", None)
        return made

    def _spread(self, values: Tensor, shape: torch.Size) -> Tensor:
        return values[:, self.place].reshape(shape)


def _same_levers(view: MeasuredSubstrate) -> Float[Tensor, "bidder entry entry"]:
    """Return for each bidder the matrix that averages over the entries in which its own levers are the same."""
    cells = view._cells
    allocations = at_null(cells.allocations[cells.distinct], cells.levers)
    same = (allocations.unsqueeze(0) == allocations.unsqueeze(1)).all(3).movedim(2, 0).double()
    return same / same.sum(2, keepdim=True)


def _normal(scale: Tensor, generator: torch.Generator) -> Tensor:
    return scale * torch.randn(scale.shape, generator=generator, dtype=scale.dtype)
