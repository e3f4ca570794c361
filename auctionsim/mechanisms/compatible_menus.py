"""Menus under a shared budget: they read the others' bids, and their prices rise until joint picks always fit."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.checks import checked_positive, checked_tensor
from auctionsim.errors import InputError
from auctionsim.mechanisms.bayesian_menu import TruthfulMeans
from auctionsim.mechanisms.joint_entries import JointEntries
from auctionsim.mechanisms.menu import have_own_levers
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.price_sentences import posted_sentence
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import Need
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors, Product, product
from auctionsim.substrates.protocol import Substrate, contexts_of, is_separable, same_substrate

SLACK = 1e-9  # share of the budget that counts as rounding
MOST_PROFILES = 2**22  # of cells, each of which is looked at


def has_one_lever_apart(substrate: Substrate) -> bool:
    """Tell whether bidders have one lever each that touches nobody else, one feature and no contexts."""
    single = len(substrate.features) == 1 and len(substrate.levers) == 1 and not contexts_of(substrate)
    return single and is_separable(substrate) and have_own_levers(substrate)


ONE_LEVER_APART = Need("one lever a bidder that touches no other, one feature and no contexts", has_one_lever_apart)


class CompatibleMenus(Mechanism):
    """Let bidders pick levers x_i from menus whose prices read the others' bids, so that Σ x_i never exceeds a budget.

    Bids are sorted into cells. Bidder i's menu depends on the cells of the others' bids, not on its own bid: entry k is
    picked above the threshold t_k, and costs p_k = p_{k−1} + t_k (e_k − e_{k−1}). By the taxation principle that is
    exactly truthful and individually rational where no lever touches another.

    Picks fit for all bids, which is proved cell by cell: while everybody stays in its cell no menu moves, and a
    bidder's pick rises with its bid. So the most that a profile of cells can use is what it uses at the upper ends of
    all its cells. There are finitely many profiles; the constructor looks at each, and refuses thresholds that break
    the budget in one. With one feature monotone picks need no Lipschitz constant for what happens inside a cell.

    Args:
        substrate: One lever a bidder that touches no other (`ONE_LEVER_APART`).
        priors: What valuations are drawn from, for `truthful_means` alone.
        budget: The most that levers may be moved off their nulls, all bidders together, in the lever's unit.
        levers: (bidder, entry), of the entries besides the null, exposures nondecreasing along them.
        cells: (bidder, cell) lower ends, increasing from 0; infinite where a bidder has fewer.
        thresholds: (bidder, others' cells, entry), nondecreasing along entries; infinite: not offered. The others'
            cells are counted with the last of the other bidders fastest.
    Attributes:
        most_used: The most of the budget that any bids use.
    Raises:
        ValueError: Thresholds under which some bids break the budget, and numbers that do not fit.
    Source:
        Wang, Jiang and Parkes (2024), "GemNet: Menu-based, strategy-proof multi-bidder auctions through deep learning",
        for menus that read the others' bids and a price change that makes picks compatible, certified by a Lipschitz
        bound over a grid. The certificate by monotone picks is ours.
    """

    def __init__(
        self,
        substrate: Substrate,
        priors: Priors,
        budget: float,
        levers: Float[Tensor, "bidder entry"],
        cells: Float[Tensor, "bidder cell"],
        thresholds: Float[Tensor, "bidder others entry"],
    ) -> None:
        super().__init__(substrate.num_bidders, 1, substrate)
        if not has_one_lever_apart(substrate):
            raise InputError(f"a shared budget needs {ONE_LEVER_APART.words}, {type(substrate).__name__} lacks them")
        self.priors: Product = product(priors, substrate.num_bidders)
        self.budget = checked_positive(budget, "budget")
        self.levers, self.cells, self.thresholds = _checked(substrate, levers, cells, thresholds)
        lever = substrate.levers[0]
        self._own = torch.nn.functional.pad(self.levers, (1, 0), value=lever.null)
        self._joint = JointEntries(substrate, self._own.unsqueeze(2), None)
        worth = torch.stack([self._joint.expected(i, []) for i in range(substrate.num_bidders)])
        if bool((worth.diff(dim=1) < 0).any()):
            raise InputError("exposures must not fall along the entries of a menu")
        steps = torch.where(self.thresholds.isfinite(), self.thresholds, 0.0) * worth.diff(dim=1).unsqueeze(1)
        self._prices = torch.nn.functional.pad(steps.cumsum(2), (1, 0))
        self.most_used = float(self._used().max())
        if self.most_used > self.budget * (1 + SLACK):
            raise InputError(f"some bids would use {self.most_used:.6g} of a budget of {self.budget:.6g}")

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Let every bidder pick."""
        del context  # there are none
        numbers = bids[..., 0].double().cpu()
        cells = torch.searchsorted(self.cells, numbers.T.contiguous(), right=True).T - 1
        levers, payments = torch.empty_like(numbers), torch.empty_like(numbers)
        for i in range(numbers.shape[1]):
            others = self._others(cells, i)
            picked = (numbers[:, i, None] > self.thresholds[i, others]).sum(1)
            levers[:, i], payments[:, i] = self._own[i, picked], self._prices[i, others, picked]
        return Outcome(levers.unsqueeze(2).to(bids), payments.to(bids))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """The taxation principle, where no bidder's lever touches another."""
        if not same_substrate(self.substrate, substrate) or not is_separable(substrate):
            return None
        return "taxation principle: menus read the others' bids alone, and every pick is carried out"

    def price_sentence(self, case: PriceCase) -> str:
        """Return which entry of its menu the bidder picked, and the price that the others' bids set for it."""
        assert self.substrate is not None
        reckoned = self.priced_exposure(case.bids, case.outcome, case.context)[0, case.bidder]
        return posted_sentence(case, case.setting(self.substrate.levers), reckoned)

    def own_bid_breakpoints(self, bids: Tensor, context: Tensor | None) -> Tensor:
        """Where a bidder's own pick changes, and where its bid enters another cell: (batch, bidder, breakpoint)."""
        del context
        cells = torch.searchsorted(self.cells, bids[..., 0].double().cpu().T.contiguous(), right=True).T - 1
        rows = torch.stack([self.thresholds[i, self._others(cells, i)] for i in range(bids.shape[1])], 1)
        return torch.cat([rows, self.cells.expand(len(bids), -1, -1)], 2).to(bids)

    def truthful_means(self) -> TruthfulMeans:
        """Return the expected revenue and user loss under truthful bids, exactly."""
        n = len(self.cells)
        ends = torch.cat([self.cells, torch.full((n, 1), torch.inf, dtype=torch.float64)], 1)
        below = torch.stack([self._below(i, ends[i]) for i in range(n)])
        chances = below.diff(dim=1)
        revenue, loss = 0.0, float(self._joint.loss(0, self._nobody())[0])
        for i in range(n):
            rivals = torch.ones(1, dtype=torch.float64)
            for j in range(n):
                if j != i:
                    rivals = (rivals.unsqueeze(1) * chances[j]).flatten()
            reached = torch.stack([self.priors.marginal(i).cdf(row) for row in self.thresholds[i]])
            edges = torch.nn.functional.pad(torch.nn.functional.pad(reached, (1, 0)), (0, 1), value=1.0)
            picked = edges.diff(dim=1)
            revenue += float((rivals.unsqueeze(1) * picked * self._prices[i]).sum())
            own = self._joint.loss(i, self._nobody())
            loss += float((rivals @ picked) @ (own - own[0]))
        return TruthfulMeans(revenue, loss)

    def _below(self, bidder: int, ends: Float[Tensor, " end"]) -> Float[Tensor, " end"]:
        """Return the chance of a valuation below each end, the end itself left out."""
        before = torch.nextafter(ends, torch.full_like(ends, -torch.inf)).clamp_min(-1.0)
        return self.priors.marginal(bidder).cdf(before)

    def _nobody(self) -> list[Tensor]:
        return [torch.eye(1, self._own.shape[1], dtype=torch.float64)[0]] * len(self._own)

    def _others(self, cells: Int[Tensor, "row bidder"], bidder: int) -> Int[Tensor, " row"]:
        """Return the place of the others' cells in a bidder's table."""
        place = torch.zeros_like(cells[:, 0])
        for j in range(cells.shape[1]):
            if j != bidder:
                place = place * self.cells.shape[1] + cells[:, j]
        return place

    def _used(self) -> Float[Tensor, "..."]:
        """Return what is used at the upper ends of every profile of cells: (cell of the first bidder, …)."""
        n, width = self.cells.shape
        ends = torch.cat([self.cells[:, 1:], torch.full((n, 1), torch.inf, dtype=torch.float64)], 1)
        moved = (self._own - self._own[:, :1]).abs().cummax(1).values  # off the null
        total = torch.zeros([width] * n, dtype=torch.float64)
        for i in range(n):
            picked = (self.thresholds[i].unsqueeze(1) < ends[i].view(1, -1, 1)).sum(2)  # others' cells, own cell
            use = moved[i][picked].view(*[width] * (n - 1), width).movedim(-1, i)
            total = total + use
        return total


def _checked(substrate: Substrate, levers: Tensor, cells: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tables in float64."""
    x, ends, t = (
        checked_tensor(part, name).detach().to("cpu", torch.float64, copy=True)
        for part, name in ((levers, "levers"), (cells, "cells"), (thresholds, "thresholds"))
    )
    n, lever = substrate.num_bidders, substrate.levers[0]
    if x.ndim != 2 or ends.ndim != 2 or len(x) != n or len(ends) != n or not ends.shape[1]:
        raise InputError(f"levers and cells need a row for each of {n} bidders, got {x.shape} and {ends.shape}")
    if ends.shape[1] ** n > MOST_PROFILES:
        raise InputError(f"at most {MOST_PROFILES} profiles of cells are looked at, got {ends.shape[1]} cells a bidder")
    if t.shape != (n, ends.shape[1] ** (n - 1), x.shape[1]):
        raise InputError(f"thresholds must be (bidder, others' cells, entry), got {tuple(t.shape)}")
    if not bool(((x >= lever.low) & (x <= lever.high)).all()):
        raise InputError(f"levers must lie in [{lever.low}, {lever.high}]")
    finite = ends.isfinite()
    rising = (ends.diff(dim=1) > 0) | ~finite[:, 1:]
    if bool((ends[:, 0] != 0).any()) or bool(ends.isnan().any()) or not bool(rising.all()):
        raise InputError("cells must start at 0 and increase")
    if bool(t.isnan().any()) or bool((t < 0).any()) or not bool((t[..., 1:] >= t[..., :-1]).all()):
        raise InputError("thresholds must be >= 0 and must not fall along the entries")
    return x, ends, t
