"""Learning an affine maximizer: its boosts, weights and allocations, by gradient through a soft argmax."""

from dataclasses import dataclass
from typing import Any, SupportsIndex

import torch
from jaxtyping import Float
from torch import Tensor, nn

from auctionsim.checks import checked_count, checked_money
from auctionsim.errors import InputError
from auctionsim.mechanisms.affine_maximizer import AffineMaximizer, listed
from auctionsim.mechanisms.candidates import Candidates, candidates_of, has_candidates
from auctionsim.mechanisms.menu import check_menus_fit
from auctionsim.mechanisms.training import ProfileSampler, Progress, Schedule, evaluated, geometric
from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.priors import Priors, Product, product
from auctionsim.seeds import seeded
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate, contexts_of, is_finite

EVALUATIONS = 40  # points of the training history
SCHEDULE = Schedule(0.01, (30.0, 1000.0))
LAST = 0.01  # the last step size, as a share of the first
SLOW = 0.1  # the step size of single entries, as a share of that of the whole rule


@dataclass(frozen=True)
class AffineStart:
    """The start of the training of an affine maximizer, and what of it moves.

    Attributes:
        allocations: (entry, …), the list to begin with. None: the substrate's finite range if it is short enough, else
            those that maximise virtual welfare most often over drawn profiles.
        learn_allocations: Whether allocations move. None: in a box of levers without a finite range. On items they
            would move among lotteries.
        from_virtual_values: Boosts and weights start near the virtual-welfare maximiser; else at VCG.
    """

    allocations: Tensor | None = None
    learn_allocations: bool | None = None
    from_virtual_values: bool = True


START = AffineStart()


def train_affine_maximizer(
    substrate: Substrate,
    priors: Priors,
    user_weight: float = 0.0,
    *,
    entries: int = 64,
    start: AffineStart = START,
    steps: int = 600,
    batch: int = 1024,
    schedule: Schedule = SCHEDULE,
    seed: SupportsIndex = 0,
    progress: Progress | None = None,
) -> AffineMaximizer:
    """Learn the affine maximizer with the greatest E[Σ p − user_weight · L] under truthful bids.

    Each step draws valuations, chooses entry k with probability softmax_k β (Σ_i w_i v_i(A_k) + λ_k), charges the
    pivots of that mixture and follows the gradient of revenue minus the user's loss; β grows geometrically. The rule
    returned chooses hard, so it is exactly truthful however well it was learned.

    It starts, by default, from the affine maximizer nearest to the virtual-welfare maximiser: with
    φ_i(v) ≈ a_i v − c_i fitted by least squares where φ_i > 0, w_i = a_i and λ_k = −Σ_i c_i · e_i(A_k) − user_weight ·
    L(A_k). For uniform and exponential priors that is the optimum on the list already. Otherwise from VCG on the list.

    Args:
        substrate: Anything with exposure.
        priors: What valuations are drawn from.
        user_weight: λ ≥ 0, money per unit of user loss.
        entries: How many allocations the list holds at most, the null included.
        start: The list, the boosts and the weights to begin with, and whether allocations move.
        steps: Gradient steps (Adam, step sizes falling geometrically to a hundredth).
        batch: Profiles a step.
        schedule: Of the step sizes, in shares of the money scale, a lever's range, and log weights, and of β, per mean
            welfare of what is chosen.
        seed: Of the list and the draws.
        progress: Called at each of the history's points.
    Source:
        Curry, Sandholm and Dickerson (2023), "Differentiable economics for randomized affine maximizer auctions"; Duan
        et al. (2023), "A scalable neural network for DSIC affine maximizer auction design".
    """
    user_weight = checked_money(user_weight, "user_weight")
    checked_count(steps, "steps")
    checked_count(batch, "batch")
    distribution = product(priors, substrate.num_bidders, len(substrate.features))
    generator = seeded(seed)
    profiles = ProfileSampler(distribution)
    fits = _affine_fits(distribution)
    allocations = start.allocations
    if allocations is None:
        allocations = initial_list(substrate, profiles, fits, user_weight, checked_count(entries, "entries"), generator)
    movable = _is_movable(substrate)
    moving = start.learn_allocations
    if moving is None:
        moving = movable and not (is_finite(substrate) or isinstance(substrate, Items))
    if moving and not movable:
        raise InputError(f"{type(substrate).__name__} has no box of levers in which allocations could move")
    begun = fits if start.from_virtual_values else None
    typical = profiles.table.mean(0).float()
    model = AffineModel(substrate, allocations, begun, user_weight, typical, moving=moving)
    optimiser = torch.optim.Adam(model.groups(schedule.learning_rate), betas=(0.9, 0.99))
    examples = profiles.draw(4096, torch.Generator().manual_seed(0), torch.float64)
    names = contexts_of(substrate)
    turns = torch.arange(len(examples)) % len(names) if names else None
    marks = {round(steps * k / EVALUATIONS) for k in range(EVALUATIONS + 1)}
    history: list[TrainingPoint] = []
    best: tuple[float, AffineMaximizer] | None = None
    for step in range(steps + 1):
        beta = geometric(*schedule.inverse_temperatures, step / steps)
        if step in marks:
            rule = model.rule()
            numbers = evaluated(rule, substrate, examples, user_weight, turns)
            history.append(TrainingPoint(step, *numbers, beta / model.money))
            if best is None or numbers[0] > best[0]:
                best = numbers[0], rule
            if progress is not None:
                progress(history[-1], steps)
        if step < steps:
            for group in optimiser.param_groups:
                group["lr"] = geometric(group["first"], LAST * group["first"], step / steps)
            optimiser.zero_grad()
            loss = -model.soft_objective(profiles.draw(batch, generator, torch.float32), beta)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            model.project()
    assert best is not None
    best[1].history = tuple(history)
    return best[1]


class AffineModel(nn.Module):
    """The parameters; λ_k = −Σ_i c_i · e_i(A_k) − g · user_weight · L(A_k) + μ_k, all in shares of the money scale.

    The few numbers w, c and g move the whole rule and learn fast; the boosts μ_k and the allocations, where they may
    move, shape it entry by entry and learn slowly.
    """

    def __init__(
        self,
        substrate: Substrate,
        allocations: Tensor,
        fits: tuple[Tensor, Tensor] | None,
        user_weight: float,
        typical: Float[Tensor, "bidder feature"],
        *,
        moving: bool,
    ) -> None:
        super().__init__()
        n, f = substrate.num_bidders, len(substrate.features)
        slope, offset = (torch.ones(n, f), torch.zeros(n, f)) if fits is None else fits
        self.substrate, self.user_weight, self.moving = substrate, user_weight, moving
        self.contexts: list[int | None] = [*range(len(contexts_of(substrate))), None]
        start = allocations.float()
        first = listed(substrate, start, None)
        self.money = float((first.exposures * typical).sum((1, 2)).max().clamp_min(1e-12))
        self.low = torch.tensor([lever.low for lever in substrate.levers])
        self.span = torch.tensor([lever.high for lever in substrate.levers]) - self.low
        self.log_weights = nn.Parameter((slope.mean(1) / slope.mean()).log())
        self.offsets = nn.Parameter(offset / slope.mean() / self.money)
        self.log_care = nn.Parameter(-slope.mean().log())
        self.boosts = nn.Parameter(torch.zeros(len(self.contexts), len(start)))
        self.place = nn.Parameter((start - self.low) / self.span if moving else start)
        self.place.requires_grad_(moving)
        self.null = self.place.detach()[:1].clone()

    def groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Return the optimiser's groups: fast, and at a tenth of the step size."""
        fast = [self.log_weights, self.offsets, self.log_care]
        return [
            {"params": fast, "lr": learning_rate, "first": learning_rate},
            {"params": [self.boosts, self.place], "lr": SLOW * learning_rate, "first": SLOW * learning_rate},
        ]

    def allocations(self) -> Tensor:
        """Return the list in the levers' own units."""
        return self.low + self.span * self.place if self.moving else self.place

    def total_boosts(self, slot: int, candidates: Candidates) -> Float[Tensor, " entry"]:
        """Return λ in money, 0 at entry 0."""
        worth = (candidates.exposures * self.offsets * self.money).sum((1, 2))
        total = self.boosts[slot] * self.money - worth - self.log_care.exp() * self.user_weight * candidates.user_losses
        return total - total[:1]

    @torch.no_grad()
    def rule(self) -> AffineMaximizer:
        """Return the hard rule."""
        lists = [listed(self.substrate, self.allocations(), context) for context in self.contexts]
        boosts = torch.stack([self.total_boosts(slot, candidates) for slot, candidates in enumerate(lists)])
        allocations = self.allocations().double()
        if isinstance(self.substrate, Items):  # feasible in float64 too
            allocations = allocations / allocations.sum(1, keepdim=True).clamp_min(1)
        return AffineMaximizer(self.substrate, allocations, boosts, self.log_weights.double().exp())

    @torch.no_grad()
    def project(self) -> None:
        """Keep the list feasible, its first entry the null; an item is never given more than once."""
        if self.moving:
            self.place.clamp_(0, 1)
            if isinstance(self.substrate, Items):
                self.place.div_(self.place.sum(1, keepdim=True).clamp_min(1))
            self.place[:1] = self.null

    def soft_objective(self, valuations: Float[Tensor, "row bidder feature"], beta: float) -> Tensor:
        """Return Σ over contexts of mean revenue − user_weight · loss of the softened rule, per money scale."""
        weights = self.log_weights.exp()
        total = weights.new_zeros(())
        for slot, context in enumerate(self.contexts):
            candidates = listed(self.substrate, self.allocations(), context)
            values = torch.einsum("bif,kif->bik", valuations, candidates.exposures) * weights.view(1, -1, 1)
            welfare = values.sum(1) + self.total_boosts(slot, candidates)
            stake = welfare.detach().amax(1).mean().clamp_min(0.01 * self.money)
            chosen = torch.softmax(welfare * (beta / stake), 1)
            without = welfare.unsqueeze(1) - values
            pivots = without.amax(2) - (chosen.unsqueeze(1) * without).sum(2)
            revenue = (pivots / weights).sum(1).mean()
            loss = (chosen * candidates.user_losses).sum(1).mean()
            total = total + (revenue - self.user_weight * loss) / self.money
        return total


def initial_list(
    substrate: Substrate,
    profiles: ProfileSampler,
    fits: tuple[Tensor, Tensor],
    user_weight: float,
    entries: int,
    generator: torch.Generator,
) -> Tensor:
    """Return the allocations to begin with: the whole finite range, or what virtual welfare chooses most often."""
    null = substrate.null_allocation(1)
    if has_candidates(substrate):
        every = candidates_of(substrate, None, torch.device("cpu")).allocations
        if len(every) <= entries:
            return every
    slope, offset = fits
    candidates = []
    for context in [*range(len(contexts_of(substrate))), None]:
        draws = profiles.draw(max(4096, 4 * entries), generator, torch.float32)
        repeated = None if context is None else torch.full((len(draws),), context)
        candidates.append(substrate.maximise(draws * slope - offset, user_weight, repeated))
    chosen = torch.cat(candidates)
    distinct, counts = torch.unique(chosen, dim=0, return_counts=True)
    distinct, counts = (part[~(distinct == null).flatten(1).all(1)] for part in (distinct, counts))
    if len(distinct) <= entries - 1:
        return torch.cat([null, distinct])
    common = counts.argsort(descending=True, stable=True)
    if len(distinct) < len(chosen) / 4:
        return torch.cat([null, distinct[common[: entries - 1]]])
    often = common[: int((counts > len(chosen) / (4 * entries)).sum())][: entries // 2]
    return spread(torch.cat([null, distinct[often], distinct]), 1 + len(often), entries)  # a continuum: cover it


def spread(points: Tensor, first: int, count: int) -> Tensor:
    """Return the first points and up to `count` in all, each next one the farthest from those taken (Gonzalez)."""
    flat = points.flatten(1)
    taken = list(range(first))
    distance = torch.cdist(flat, flat[:first]).amin(1)
    while len(taken) < count:
        taken.append(int(distance.argmax()))
        distance = torch.minimum(distance, (flat - flat[taken[-1]]).norm(dim=1))
    return points[taken]


def _affine_fits(priors: Product) -> tuple[Tensor, Tensor]:
    """Return a, c (bidder, feature) of φ(v) ≈ a v − c, by least squares over the quantiles with φ > 0."""
    levels = (torch.arange(4096, dtype=torch.float64) + 0.5) / 4096
    slopes, offsets = [], []
    for row in priors.marginals:
        for prior in row:
            v = prior.quantile(levels)
            phi = prior.curve.evaluate(v)
            v, phi = v[phi > 0], phi[phi > 0]
            spread_v = (v - v.mean()).square().mean()
            slope = (
                ((v - v.mean()) * (phi - phi.mean())).mean() / spread_v if float(spread_v) > 1e-12 else v.new_ones(())
            )
            slope = slope.clamp_min(1e-3)
            slopes.append(slope)
            offsets.append(slope * v.mean() - phi.mean())
    shape = (priors.num_bidders, priors.num_features)
    return torch.stack(slopes).view(shape).float(), torch.stack(offsets).view(shape).float()


def _is_movable(substrate: Substrate) -> bool:
    if isinstance(substrate, Items):
        return True
    try:
        check_menus_fit(substrate)
    except ValueError:
        return False
    return True
