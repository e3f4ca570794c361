"""Learning a network that writes menus: from a fixed menu on, by gradient through the soft choice."""

from typing import SupportsIndex

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count, checked_money
from auctionsim.errors import InputError
from auctionsim.mechanisms.menu import OWN_LEVERS, MenuAuction, entry_exposures
from auctionsim.mechanisms.menu_codec import MENU_FILE
from auctionsim.mechanisms.menu_entries import Menu
from auctionsim.mechanisms.menu_network import MenuNetwork
from auctionsim.mechanisms.menu_training import menu_by_recipe
from auctionsim.mechanisms.table import Entry, Problem, register
from auctionsim.mechanisms.training import ProfileSampler, Progress, Schedule, evaluated, geometric
from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.priors import Priors, product
from auctionsim.seeds import seeded
from auctionsim.substrates.protocol import Substrate, contexts_of, is_separable

EVALUATIONS = 20  # points of the training history
SCHEDULE = Schedule(0.003, (30.0, 1000.0))


def train_menu_writer(
    rule: MenuAuction,
    priors: Priors,
    user_weight: float = 0.0,
    *,
    hidden: int = 64,
    steps: int = 300,
    batch: int = 256,
    schedule: Schedule = SCHEDULE,
    seed: SupportsIndex = 0,
    progress: Progress | None = None,
) -> MenuAuction:
    """Let a network rewrite a fixed menu for every (b_{−i}, context), so as to raise E[Σ p − user_weight · L].

    Steps are those of `train_menu`, with a menu of its own for each profile; contexts take turns. The user's loss
    follows each bidder's moves at the others' hard choices. Where the loss is a sum over bidders and valuations are
    independent a fixed menu is as good as any; where the loss of one depends on the levers of another, a menu can
    answer what the others will take. Under crosstalk the bids that it looks at then become worth bending.

    Args:
        rule: A menu auction with fixed menus, to begin with.
        priors: What valuations are drawn from.
        user_weight: λ ≥ 0, money per unit of user loss.
        hidden: Width of the network's layers.
        steps: Gradient steps (Adam, step sizes falling geometrically to a tenth).
        batch: Profiles a step.
        schedule: Of the step sizes, and of β, per bidder's mean value of what it chooses.
        seed: Of the network and the draws.
        progress: Called at each of the history's points.
    Raises:
        ValueError: The rule's menus are not fixed.
    """
    if not isinstance(rule.menus, Menu):
        raise InputError("the rule to begin with must have fixed menus")
    checked_money(user_weight, "user_weight")
    checked_count(steps, "steps")
    substrate = rule.range
    generator = seeded(seed)
    entries = rule.menus.prices.shape[2]
    network = MenuNetwork(
        substrate, entries=entries, hidden=checked_count(hidden, "hidden"), free=rule.menus, seed=seed
    )
    profiles = ProfileSampler(product(priors, substrate.num_bidders, len(substrate.features)))
    examples = profiles.draw(2048, torch.Generator().manual_seed(0), torch.float64)
    names = contexts_of(substrate)
    turns = torch.arange(len(examples)) % len(names) if names else None
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate, betas=(0.9, 0.99))
    written = MenuAuction(substrate, network, reference=rule.reference)
    marks = {round(steps * k / EVALUATIONS) for k in range(EVALUATIONS + 1)}
    history: list[TrainingPoint] = []
    for step in range(steps + 1):
        beta = geometric(*schedule.inverse_temperatures, step / steps)
        if step in marks:
            with torch.no_grad():
                numbers = evaluated(written, substrate, examples, user_weight, turns)
            history.append(TrainingPoint(step, *numbers, beta))
            if progress is not None:
                progress(history[-1], steps)
        if step < steps:
            optimiser.param_groups[0]["lr"] = geometric(
                schedule.learning_rate, schedule.learning_rate / 10, step / steps
            )
            context = int(torch.randint(len(names), (), generator=generator)) if names else None
            valuations = profiles.draw(batch, generator, torch.float32)
            loss = -soft_objective(substrate, network, rule.reference.float(), valuations, context, user_weight, beta)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    network.requires_grad_(False)
    written.history = tuple(history)
    return written


def soft_objective(
    substrate: Substrate,
    network: MenuNetwork,
    reference: Float[Tensor, "bidder lever"],
    valuations: Float[Tensor, "row bidder feature"],
    context: int | None,
    user_weight: float,
    beta: float,
) -> Tensor:
    """Return a number with the gradient of the softened objective, per mean value of what is chosen."""
    repeated = None if context is None else torch.full((len(valuations),), context)
    menu = network(valuations, repeated)
    null = torch.tensor([lever.null for lever in substrate.levers]).expand(*menu.levers.shape[:2], 1, -1)
    levers = torch.cat([null, menu.levers], 2)
    prices = torch.cat([torch.zeros_like(menu.prices[..., :1]), menu.prices], 2)
    exposures = entry_exposures(substrate, levers, reference, context)
    worth = (valuations.unsqueeze(2) * exposures).sum(3)
    hard = (worth - prices).detach().argmax(2, keepdim=True)
    stake = worth.detach().gather(2, hard).mean(0).clamp_min(1e-12)
    choice = torch.softmax((worth - prices) * (beta / stake), 2)
    total = (choice * prices).sum((1, 2)).mean()
    if user_weight > 0:
        total = total - user_weight * (choice * _losses(substrate, levers, hard, reference, context)).sum((1, 2)).mean()
    return total / stake.mean()


def _losses(
    substrate: Substrate,
    levers: Float[Tensor, "row bidder entry lever"],
    hard: Tensor,
    reference: Float[Tensor, "bidder lever"],
    context: int | None,
) -> Float[Tensor, "row bidder entry"]:
    """Return L of each bidder's entries: the others where they choose to stand, or at the reference if separable."""
    rows, n, entries, width = levers.shape
    if is_separable(substrate):
        standing = reference.expand(rows, n, width)
    else:
        standing = levers.gather(2, hard.unsqueeze(3).expand(-1, -1, -1, width)).squeeze(2).detach()
    losses = []
    for i in range(n):
        moved = standing.unsqueeze(1).expand(-1, entries, -1, -1).clone()
        moved[:, :, i] = levers[:, i]
        repeated = None if context is None else torch.full((rows * entries,), context)
        losses.append(substrate.user_loss(moved.flatten(0, 1), repeated).view(rows, entries))
    return torch.stack(losses, 1)


QUICK_STEPS = 100  # of the quick recipe, after the quick menu's


def _designed(problem: Problem) -> MenuAuction:
    fixed, how = menu_by_recipe(problem), (problem.priors, problem.user_weight)
    if problem.quick:
        return train_menu_writer(fixed, *how, steps=QUICK_STEPS, seed=problem.seed)
    return train_menu_writer(fixed, *how, seed=problem.seed)


register(
    Entry(
        "menu-network",
        "menu (by a network)",
        "A menu for each bidder that a network rewrites for the others' bids and the context, from the learned one on.",
        _designed,
        MENU_FILE,
        needs=(OWN_LEVERS,),
        is_learned=True,
    )
)
