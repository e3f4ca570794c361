"""The optimum of revenue against the user's loss: Myerson's auction with externalities, on any substrate."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.checks import checked_context, checked_count, checked_number
from auctionsim.mechanisms.candidates import MOST_CELLS, Candidates, candidates_of, context_groups, has_candidates
from auctionsim.mechanisms.myerson import integral_by_envelope, integral_by_steps
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.metrics import Interval, mean_interval
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors, VirtualValueCurve, product
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of, same_substrate

FEW_KNOTS = 8  # up to here an envelope is cheaper than a walk along the staircase
MOST_ROWS = 2**18  # rows handed to `maximise` at once


class Optimum(NamedTuple):
    """What the virtual-welfare maximiser expects when bids are truthful.

    Attributes:
        objective: E[Σ t_i] − user_weight · E[L], in money.
        revenue: E[Σ t_i], in money.
        user_loss: E[L].
        interval: 95 % interval of the objective from sampling; None for a quadrature.
    """

    objective: float
    revenue: float
    user_loss: float
    interval: Interval | None


class VirtualWelfareMaximizer(Mechanism):
    """Choose x* = argmax Σ_i φ_i(b_i) e_i(x) − λ L(x) and charge t_i = b_i e_i(b) − ∫_0^{b_i} e_i(s, b_{−i}) ds.

    φ_i is the ironed virtual value of bidder i's prior, λ the user weight. Raising b_i raises φ_i, so e_i is
    nondecreasing in b_i, with crosstalk too, and the payment makes truth dominant; the integral starts at 0, so
    u_i ≥ 0. Ties go to the first allocation, the null first. It maximises E[Σ t_i − λ L] among all honest mechanisms
    where exposure can be driven to 0 or supports start at 0; with organic exposure *and* a support that starts above 0
    the lowest type keeps what it would get if ignored, and more could be taken from it.

    φ is the piecewise linear `Prior.curve`, floored at −100 times the largest valuation, and the payments are exact for
    it; so truthfulness does not suffer where the curve approximates a prior's φ. Computed in float64.

    Args:
        substrate: One feature. A finite range, or an exact `maximise`.
        priors: What valuations are drawn from, independently: one, one a bidder, or a product.
        user_weight: λ ≥ 0, money per unit of user loss.
        no_suppression: Only allocations with e_i(x) ≥ e_i(null) for every bidder; needs a finite range.
    Raises:
        ValueError: More than one feature; `no_suppression` without a finite range.
    Source:
        Myerson (1981), "Optimal auction design"; with externalities on the choice set, Jehiel, Moldovanu and
        Stacchetti (1996). The user's loss is a cost of the seller.
    Example:
        >>> from auctionsim.priors import Uniform
        >>> from auctionsim.substrates import Items
        >>> VirtualWelfareMaximizer(Items(2), Uniform(0, 1))(torch.tensor([[[0.9], [0.6]]])).payments
        tensor([[0.6000, 0.0000]])
    """

    def __init__(
        self, substrate: Substrate, priors: Priors, user_weight: float = 0.0, *, no_suppression: bool = False
    ) -> None:
        if len(substrate.features) != 1:
            raise ValueError(
                f"virtual values are defined for one feature, got {len(substrate.features)} "
                f"{substrate.features}: sell one of them"
            )
        super().__init__(substrate.num_bidders, 1, substrate)
        self.range: Substrate = substrate
        self.priors = product(priors, substrate.num_bidders, 1)
        self.user_weight = checked_number(user_weight, "user_weight")
        self.no_suppression = no_suppression
        if no_suppression and not has_candidates(substrate):
            raise ValueError(f"no_suppression needs a substrate with a finite range, got {type(substrate).__name__}")

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Maximise virtual welfare and charge by Myerson's formula."""
        curves = self._curves(bids)
        b = bids.squeeze(2).double()
        phi = torch.stack([curve.evaluate(b[:, i]) for i, curve in enumerate(curves)], 1)
        allocation, exposure, integral = self._solve(curves, b, phi, context)
        payments = torch.minimum((b * exposure - integral).clamp_min(0), b * exposure)  # outside only by rounding
        return Outcome(allocation.to(bids.dtype), payments.to(bids.dtype))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Myerson's lemma, where exposure is what it was designed on."""
        return (
            "Myerson: exposure is nondecreasing in the own bid, and payments follow the envelope formula"
            if same_substrate(self.substrate, substrate)
            else None
        )

    def optimum(
        self,
        *,
        draws: int = 2**16,
        nodes: int | None = None,
        generator: torch.Generator | None = None,
        context: int | None = None,
    ) -> Optimum:
        """Return the expected objective, revenue and user loss under truthful bids.

        Revenue is taken as Σ_i [φ_i e_i − ∫_0^{low_i} e_i ds], which has the expectation of the payments and less
        variance.

        Args:
            draws: How many profiles are drawn, each with its mirror image in quantile space.
            nodes: Instead of drawing, the midpoint rule in quantile space with this many nodes a bidder.
            generator: For the draws.
            context: Index into the substrate's contexts; None for their average.
        """
        n = self.priors.num_bidders
        if nodes is None:
            u = torch.rand(checked_count(draws, "draws", 4) // 2, n, generator=generator, dtype=torch.float64)
            levels = torch.cat([u, 1 - u])
        else:
            axis = (torch.arange(checked_count(nodes, "nodes"), dtype=torch.float64) + 0.5) / nodes
            levels = torch.cartesian_prod(*[axis] * n).view(-1, n)
        revenue, loss = self._virtual_revenue(levels, context)
        objective = revenue - self.user_weight * loss
        pairs = objective.view(2, -1).mean(0) if nodes is None else None
        interval = None if pairs is None else mean_interval(pairs)
        return Optimum(float(objective.mean()), float(revenue.mean()), float(loss.mean()), interval)

    def _virtual_revenue(self, levels: Tensor, context: int | None) -> tuple[Tensor, Tensor]:
        """Return Σ_i [φ_i e_i − low_i · e_i(below low)] and L at each row of quantile levels."""
        valuations = self.priors.quantile(levels.unsqueeze(2), torch.float64)
        repeated = None if context is None else torch.full((len(levels),), context)
        checked_context(repeated, len(levels), contexts_of(self.range))
        curves = self._curves(valuations)
        phi = torch.stack([curve.evaluate(valuations[:, i, 0]) for i, curve in enumerate(curves)], 1)
        allocation, exposure, _ = self._solve(curves, None, phi, repeated)
        revenue = (phi * exposure).sum(1)
        for i, low in enumerate(self.priors.low[:, 0].tolist()):
            if low > 0:
                ignored = phi.index_fill(1, torch.tensor([i]), float(curves[i].phis[0]))
                revenue = revenue - low * self._solve(curves, None, ignored, repeated)[1][:, i]
        return revenue, self.range.user_loss(allocation.double(), repeated)

    def _curves(self, bids: Tensor) -> list[VirtualValueCurve]:
        marginals = [self.priors.marginal(i) for i in range(self.priors.num_bidders)]
        return [prior.curve.at_precision(bids.dtype, bids.device) for prior in marginals]

    def _solve(
        self,
        curves: list[VirtualValueCurve],
        b: Float[Tensor, "row bidder"] | None,
        phi: Float[Tensor, "row bidder"],
        context: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the allocation, each bidder's exposure, and each payment's integral (zeros without bids b)."""
        allocation = phi.new_empty(len(phi), *allocation_shape(self.range))
        exposure, integral = torch.zeros_like(phi), torch.zeros_like(phi)
        for which, group in context_groups(self.range, context, len(phi)):
            if has_candidates(self.range):
                found = candidates_of(self.range, which, phi.device, no_suppression=self.no_suppression)
                most = max(1, MOST_CELLS // len(found.user_losses))
            else:
                found, most = None, MOST_ROWS
            for rows in group.split(most):  # type: ignore[no-untyped-call]
                part = None if b is None else b[rows]
                solver = _Box(self, which) if found is None else _List(found, self.user_weight)
                allocation[rows], exposure[rows], integral[rows] = solver.clear(curves, part, phi[rows])
        return allocation, exposure, integral


class _List:
    """The argmax over a list of allocations."""

    def __init__(self, found: Candidates, user_weight: float) -> None:
        self.found = found
        self.constants = -user_weight * found.user_losses
        self.exposures = found.exposures.squeeze(2)
        self.most = max(1, MOST_CELLS // len(found.user_losses))

    def clear(
        self, curves: list[VirtualValueCurve], b: Tensor | None, phi: Float[Tensor, "row bidder"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        scores = self.found.scores(phi.unsqueeze(2), self.constants)
        value, chosen = scores.max(1)
        exposure, integral = self.exposures[chosen], torch.zeros_like(phi)
        if b is not None:
            for i, curve in enumerate(curves):
                integral[:, i] = self._integral(curve, b[:, i], phi, i, (value, exposure[:, i]))
        return self.found.allocations[chosen].double(), exposure, integral

    def _integral(
        self, curve: VirtualValueCurve, b: Tensor, phi: Tensor, i: int, at_bid: tuple[Tensor, Tensor]
    ) -> Tensor:
        def best(rows: Int[Tensor, " point"], levels: Float[Tensor, " point"]) -> tuple[Tensor, Tensor]:
            replaced = phi[rows]
            replaced[:, i] = levels
            top, chosen = self.found.scores(replaced.unsqueeze(2), self.constants).max(1)
            return top, chosen

        if len(curve.values) <= FEW_KNOTS:

            def solve(rows: Int[Tensor, " point"], levels: Float[Tensor, " point"]) -> tuple[Tensor, Tensor]:
                parts = zip(rows.split(self.most), levels.split(self.most), strict=True)  # type: ignore[no-untyped-call]
                tops, entries = zip(*(best(row, level) for row, level in parts), strict=True)
                return torch.cat(tops), self.exposures[torch.cat(entries), i]

            return integral_by_envelope(curve, b, solve, *at_bid)
        others = phi.index_fill(1, torch.tensor([i], device=phi.device), 0.0)
        intercepts = self.found.scores(others.unsqueeze(2), self.constants)
        every = torch.arange(len(phi), device=phi.device)
        return integral_by_steps(curve, b, self.exposures[:, i], intercepts, lambda level: best(every, level)[1])


class _Box:
    """The argmax that a substrate finds by itself."""

    def __init__(self, rule: VirtualWelfareMaximizer, context: int | None) -> None:
        self.range, self.user_weight, self.context = rule.range, rule.user_weight, context

    def best(self, phi: Float[Tensor, "row bidder"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the allocation, its value and its exposure, a bounded number of rows at once."""
        parts = [self._part(rows) for rows in phi.split(MOST_ROWS)]  # type: ignore[no-untyped-call]
        allocations, values, exposures = zip(*parts, strict=True)
        return torch.cat(allocations), torch.cat(values), torch.cat(exposures)

    def _part(self, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        context = None if self.context is None else phi.new_full((len(phi),), self.context, dtype=torch.int64)
        allocation = self.range.maximise(phi.unsqueeze(2), self.user_weight, context)
        exposure = self.range.exposure(allocation, context).squeeze(2)
        value = (phi * exposure).sum(1) - self.user_weight * self.range.user_loss(allocation, context)
        return allocation, value, exposure

    def clear(
        self, curves: list[VirtualValueCurve], b: Tensor | None, phi: Float[Tensor, "row bidder"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        allocation, value, exposure = self.best(phi)
        integral = torch.zeros_like(phi)
        if b is not None:
            for i, curve in enumerate(curves):

                def solve(
                    rows: Int[Tensor, " point"], levels: Float[Tensor, " point"], i: int = i
                ) -> tuple[Tensor, Tensor]:
                    replaced = phi[rows]
                    replaced[:, i] = levels
                    _, top, exposures = self.best(replaced)
                    return top, exposures[:, i]

                integral[:, i] = integral_by_envelope(curve, b[:, i], solve, value, exposure[:, i])
        return allocation, exposure, integral
