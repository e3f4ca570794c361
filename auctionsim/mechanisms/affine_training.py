"""Learning an affine maximizer: its boosts, weights and allocations, by gradient through a soft argmax."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from auctionsim.checks import checked_count, checked_number
from auctionsim.mechanisms.affine_maximizer import AffineMaximizer, listed
from auctionsim.mechanisms.candidates import candidates_of, has_candidates
from auctionsim.mechanisms.menu import check_menus_fit
from auctionsim.mechanisms.training import Profiles, Progress, TrainingPoint, evaluated, geometric
from auctionsim.priors import Priors, Product, product
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import FiniteSubstrate, Substrate, contexts_of

EVALUATIONS = 40  # points of the training history
LAST = 0.01  # the last step size, as a share of the first


def train_affine_maximizer(
    substrate: Substrate,
    priors: Priors,
    user_weight: float = 0.0,
    *,
    entries: int = 64,
    allocations: Tensor | None = None,
    learn_allocations: bool | None = None,
    from_virtual_values: bool = True,
    steps: int = 600,
    batch: int = 1024,
    learning_rate: float = 0.01,
    inverse_temperatures: tuple[float, float] = (30.0, 1000.0),
    seed: int = 0,
    progress: Progress | None = None,
) -> AffineMaximizer:
    """Learn the affine maximizer with the greatest E[Σ p − user_weight · L] under truthful bids.

    Each step draws valuations, chooses entry k with probability softmax_k β (Σ_i w_i v_i(A_k) + λ_k), charges the
    pivots of that mixture and follows the gradient of revenue minus the user's loss; β grows geometrically. The rule
    returned chooses hard, so it is exactly truthful however well it was learned.

    It starts, if `from_virtual_values`, from the affine maximizer nearest to the virtual-welfare maximiser: with
    φ_i(v) ≈ a_i v − c_i fitted by least squares where φ_i > 0, w_i = a_i and λ_k = −Σ_i c_i · e_i(A_k) − user_weight ·
    L(A_k). For uniform and exponential priors that is the optimum on the list already. Otherwise from VCG on the list.

    Args:
        substrate: Anything with exposure.
        priors: What valuations are drawn from.
        user_weight: λ ≥ 0, money per unit of user loss.
        entries: How many allocations the list holds at most, the null included.
        allocations: (entry, …), the list to begin with. None: the substrate's finite range if it is that short, else
            those that maximise virtual welfare most often over drawn profiles.
        learn_allocations: Whether allocations move. None: where they can move freely (a box of levers, or lotteries
            over items) and are not on a finite range.
        from_virtual_values: Where boosts and weights start.
        steps: Gradient steps (Adam, step sizes falling geometrically to a hundredth).
        batch: Profiles a step.
        learning_rate: First step size, in shares of the money scale, a lever's range, and log weights.
        inverse_temperatures: β at the first and the last step, per mean welfare of what is chosen.
        seed: Of the list and the draws.
        progress: Called at each of the history's points.
    Source:
        Curry, Sandholm and Dickerson (2023), "Differentiable economics for randomized affine maximizer auctions"; Duan
        et al. (2023), "A scalable neural network for DSIC affine maximizer auction design".
    """
    checked_number(user_weight, "user_weight")
    checked_number(learning_rate, "learning_rate")
    checked_count(steps, "steps")
    checked_count(batch, "batch")
    distribution = product(priors, substrate.num_bidders, len(substrate.features))
    generator = torch.Generator().manual_seed(seed)
    profiles = Profiles(distribution)
    fits = _affine_fits(distribution)
    if allocations is None:
        allocations = initial_list(substrate, profiles, fits, user_weight, checked_count(entries, "entries"), generator)
    movable = _is_movable(substrate)
    moving = movable and not isinstance(substrate, FiniteSubstrate) if learn_allocations is None else learn_allocations
    if moving and not movable:
        raise ValueError(f"{type(substrate).__name__} has no box of levers in which allocations could move")
    start = AffineStart(substrate, allocations, fits if from_virtual_values else None, user_weight, profiles)
    model = AffineModel(substrate, start, moving=moving)
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, betas=(0.9, 0.99))
    examples = profiles.draw(4096, torch.Generator().manual_seed(0), torch.float64)
    names = contexts_of(substrate)
    turns = torch.arange(len(examples)) % len(names) if names else None
    marks = {round(steps * k / EVALUATIONS) for k in range(EVALUATIONS + 1)}
    history: list[TrainingPoint] = []
    best: tuple[float, AffineMaximizer] | None = None
    for step in range(steps + 1):
        beta = geometric(*inverse_temperatures, step / steps)
        if step in marks:
            rule = model.rule()
            numbers = evaluated(rule, substrate, examples, user_weight, turns)
            history.append(TrainingPoint(step, *numbers, beta / start.money))
            if best is None or numbers[0] > best[0]:
                best = numbers[0], rule
            if progress is not None:
                progress(history[-1], steps)
        if step < steps:
            optimiser.param_groups[0]["lr"] = geometric(learning_rate, LAST * learning_rate, step / steps)
            optimiser.zero_grad()
            (-model.soft_objective(profiles.draw(batch, generator, torch.float32), user_weight, beta)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            model.project()
    assert best is not None
    best[1].history = tuple(history)
    return best[1]


class AffineStart:
    """Where learning begins: a list, weights and boosts, and the scale of money."""

    def __init__(
        self,
        substrate: Substrate,
        allocations: Tensor,
        fits: tuple[Tensor, Tensor] | None,
        user_weight: float,
        profiles: Profiles,
    ) -> None:
        n, f = substrate.num_bidders, len(substrate.features)
        slope, offset = (torch.ones(n, f), torch.zeros(n, f)) if fits is None else fits
        self.allocations = allocations.float()
        self.contexts: list[int | None] = [*range(len(contexts_of(substrate))), None]
        self.weights = slope.mean(1) / slope.mean()
        lists = [listed(substrate, self.allocations, context) for context in self.contexts]
        worth = torch.stack([(entry.exposures * offset).sum((1, 2)) for entry in lists])
        losses = torch.stack([entry.user_losses for entry in lists])
        self.boosts = -(worth + user_weight * losses) / slope.mean()
        self.boosts = self.boosts - self.boosts[:, :1]
        typical = profiles.table.mean(0).float()
        self.money = float((lists[-1].exposures * typical).sum((1, 2)).max().clamp_min(1e-12))


class AffineModel(nn.Module):
    """The parameters: log weights, boosts in shares of the money scale, and allocations where they may move."""

    def __init__(self, substrate: Substrate, start: AffineStart, *, moving: bool) -> None:
        super().__init__()
        self.substrate, self.contexts, self.money, self.moving = substrate, start.contexts, start.money, moving
        self.low = torch.tensor([lever.low for lever in substrate.levers])
        self.span = torch.tensor([lever.high for lever in substrate.levers]) - self.low
        self.log_weights = nn.Parameter(start.weights.log())
        self.boosts = nn.Parameter(start.boosts / start.money)
        self.place = nn.Parameter((start.allocations - self.low) / self.span if moving else start.allocations)
        self.place.requires_grad_(moving)
        self.null = self.place.detach()[:1].clone()

    def allocations(self) -> Tensor:
        """Return the list in the levers' own units."""
        return self.low + self.span * self.place if self.moving else self.place

    def rule(self) -> AffineMaximizer:
        """Return the hard rule."""
        weights = self.log_weights.detach().double().exp()
        return AffineMaximizer(self.substrate, self.allocations(), self.boosts * self.money, weights)

    @torch.no_grad()
    def project(self) -> None:
        """Keep the list feasible and its first entry the null with boost 0; an item is never given more than once."""
        self.boosts -= self.boosts[:, :1].clone()
        if self.moving:
            self.place.clamp_(0, 1)
            if isinstance(self.substrate, Items):
                self.place /= self.place.sum(1, keepdim=True).clamp_min(1)
            self.place[:1] = self.null

    def soft_objective(
        self, valuations: Float[Tensor, "row bidder feature"], user_weight: float, beta: float
    ) -> Tensor:
        """Return Σ over contexts of mean revenue − user_weight · loss of the softened rule, per money scale."""
        weights = self.log_weights.exp()
        total = weights.new_zeros(())
        for slot, context in enumerate(self.contexts):
            found = listed(self.substrate, self.allocations(), context)
            values = torch.einsum("bif,kif->bik", valuations, found.exposures) * weights.view(1, -1, 1)
            welfare = values.sum(1) + self.boosts[slot] * self.money
            stake = welfare.detach().amax(1).mean().clamp_min(0.01 * self.money)
            chosen = torch.softmax(welfare * (beta / stake), 1)
            without = welfare.unsqueeze(1) - values
            pivots = without.amax(2) - (chosen.unsqueeze(1) * without).sum(2)
            revenue = (pivots / weights).sum(1).mean()
            loss = (chosen * found.user_losses).sum(1).mean()
            total = total + (revenue - user_weight * loss) / self.money
        return total


def initial_list(
    substrate: Substrate,
    profiles: Profiles,
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
    found = []
    for context in [*range(len(contexts_of(substrate))), None]:
        draws = profiles.draw(max(4096, 4 * entries), generator, torch.float32)
        repeated = None if context is None else torch.full((len(draws),), context)
        found.append(substrate.maximise(draws * slope - offset, user_weight, repeated))
    chosen = torch.cat(found)
    distinct, counts = torch.unique(chosen, dim=0, return_counts=True)
    distinct, counts = (part[~(distinct == null).flatten(1).all(1)] for part in (distinct, counts))
    if len(distinct) <= entries - 1:
        return torch.cat([null, distinct])
    if int(counts.max()) == 1:  # a continuum: spread over it evenly, in the order of the draws
        return torch.cat([null, spread(distinct, entries - 1)])
    return torch.cat([null, distinct[counts.argsort(descending=True)[: entries - 1]]])


def spread(points: Tensor, count: int) -> Tensor:
    """Return `count` of the points, each next one the farthest from those taken (Gonzalez)."""
    flat = points.flatten(1)
    distance = torch.full((len(flat),), torch.inf)
    taken = [0]
    for _ in range(count - 1):
        distance = torch.minimum(distance, (flat - flat[taken[-1]]).square().sum(1))
        taken.append(int(distance.argmax()))
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
