"""Learning a menu: levers and prices by gradient through a soft choice, annealed until it is the hard one."""

from typing import NamedTuple, SupportsIndex

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count, checked_money
from auctionsim.mechanisms.free_menu import FreeMenu
from auctionsim.mechanisms.menu import OWN_LEVERS, MenuAuction, check_menus_fit, entry_exposures
from auctionsim.mechanisms.menu_codec import MENU_FILE
from auctionsim.mechanisms.menu_entries import Menu
from auctionsim.mechanisms.menu_losses import MenuLosses
from auctionsim.mechanisms.menu_polishing import Polish, can_polish
from auctionsim.mechanisms.table import Entry, Problem, register
from auctionsim.mechanisms.training import ProfileSampler, Progress, Schedule, evaluated, geometric
from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.priors import Priors, Product, product
from auctionsim.seeds import seeded
from auctionsim.substrates.protocol import Substrate, contexts_of

LAST = 0.01  # the last step size, as a share of the first
REVIVALS = 30  # times that entries nobody chooses are moved to where somebody might, in the first REVIVE of the steps
REVIVE = 0.7
POLISH = 0.4  # steps on the hard choice's own objective that follow, as a share of those before
EVALUATIONS = 40  # points of the training history
SCHEDULE = Schedule(0.02, (20.0, 300.0))


def train_menu(
    substrate: Substrate,
    priors: Priors,
    user_weight: float = 0.0,
    *,
    entries: int = 32,
    steps: int = 1200,
    batch: int = 1024,
    schedule: Schedule = SCHEDULE,
    seed: SupportsIndex = 0,
    progress: Progress | None = None,
) -> MenuAuction:
    """Learn one fixed menu a bidder (and context) that maximises E[Σ p − user_weight · L] under truthful choices.

    Each step draws valuations, lets bidder i choose entry k with probability softmax_k β (v_i · e_i(k) − p_ik), and
    follows the gradient of the expected price minus the expected user loss; β grows geometrically. Levers move inside
    their box and prices above 0 by projection. The rule returned chooses hard, and its history is of hard choices.
    With one feature and priors that have densities, the end is an ascent on the hard choice's own exact objective (see
    `menu_polishing`), kept if hard evaluation on drawn profiles agrees.

    With crosstalk the choice is valued at the others' null, and the loss is that of the joint choice; the result is
    then neither truthful nor individually rational.

    Args:
        substrate: Levers of each bidder's own; exposure and user loss differentiable in them.
        priors: What valuations are drawn from.
        user_weight: λ ≥ 0, money per unit of user loss.
        entries: How many entries a bidder gets besides the null.
        steps: Gradient steps through the soft choice (Adam, step sizes falling geometrically to a hundredth).
        batch: Profiles a step.
        schedule: Of the step sizes, in shares of a lever's range and of the money scale, and of β, per bidder's mean
            value of what it chooses.
        seed: Of the initial menu and the draws.
        progress: Called at each of the history's points.
    Source:
        Dütting et al. (2019), "Optimal auctions through deep learning" (RochetNet) for learned menus; the user's loss,
        levers and contexts are ours.
    """
    check_menus_fit(substrate)
    settings = _Settings(
        checked_money(user_weight, "user_weight"),
        checked_count(steps, "steps"),
        checked_count(batch, "batch"),
        schedule,
    )
    distribution = product(priors, substrate.num_bidders, len(substrate.features))
    generator = seeded(seed)
    lesson = _Lesson(substrate, distribution, settings, generator)
    menu = FreeMenu(substrate, lesson.slots, checked_count(entries, "entries"), lesson.money, generator)
    menu.price_by_value(substrate, lesson.typical, generator)
    return lesson.teach(menu, progress)


class _Settings(NamedTuple):
    user_weight: float
    steps: int
    batch: int
    schedule: Schedule


class _Lesson:
    """One training: everything that stays the same over its steps."""

    def __init__(self, substrate: Substrate, priors: Product, settings: _Settings, generator: torch.Generator) -> None:
        self.substrate, self.settings, self.generator = substrate, settings, generator
        names = contexts_of(substrate)
        self.contexts: list[int | None] = [*range(len(names)), None]
        self.slots = len(self.contexts)
        self.profiles = ProfileSampler(priors)
        self.typical = self.profiles.table.mean(0).float()
        self.reference = substrate.null_allocation(1)[0]
        self.losses = MenuLosses(substrate, self.reference)
        self.polish = Polish(substrate, priors, settings.user_weight, self.losses) if can_polish(priors) else None
        self.money = self._money_scale()
        self.examples = self.profiles.draw(4096, torch.Generator().manual_seed(0), torch.float64)

    def _money_scale(self) -> Float[Tensor, " bidder"]:
        """Return each bidder's mean value of the best exposure among random levers."""
        n, count = self.substrate.num_bidders, 256
        low = torch.tensor([lever.low for lever in self.substrate.levers])
        high = torch.tensor([lever.high for lever in self.substrate.levers])
        levers = low + (high - low) * torch.rand(1, n, count, len(low), generator=self.generator)
        levers[:, :, 0] = high
        exposure = entry_exposures(self.substrate, levers, self.reference, None)[0]
        best = (exposure * self.typical.unsqueeze(1)).sum(2).amax(1)
        return best.clamp_min(1e-12)

    def teach(self, menu: FreeMenu, progress: Progress | None) -> MenuAuction:
        """Train and return the hard rule with its history."""
        s = self.settings
        optimiser = torch.optim.Adam(menu.parameters(), lr=s.schedule.learning_rate, betas=(0.9, 0.99))
        marks = {round(s.steps * k / EVALUATIONS) for k in range(EVALUATIONS + 1)}
        revivals = {round(REVIVE * s.steps * (k + 1) / REVIVALS) for k in range(REVIVALS)}
        history: list[TrainingPoint] = []
        for step in range(s.steps + 1):
            beta = geometric(*s.schedule.inverse_temperatures, step / s.steps)
            if step in marks:
                rule = self._finished(menu) if step == s.steps else MenuAuction(self.substrate, menu.menu())
                history.append(self._point(rule, step, beta / float(self.money.mean())))
                if progress is not None:
                    progress(history[-1], s.steps)
            if step == s.steps:
                break
            if step in revivals:
                for slot in range(self.slots):
                    self._revive(menu, slot)
            optimiser.param_groups[0]["lr"] = geometric(
                s.schedule.learning_rate, LAST * s.schedule.learning_rate, step / s.steps
            )
            valuations = self.profiles.draw(s.batch, self.generator, torch.float32)
            loss = -torch.stack(
                [self._objective(menu.menu(), slot, valuations, beta) for slot in range(self.slots)]
            ).sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            menu.project()
        rule.history = tuple(history)
        return rule

    def _finished(self, menu: FreeMenu) -> MenuAuction:
        """Return the rule to sell: losing entries withdrawn, and polished if that is better."""
        self._prune(menu)
        plain = MenuAuction(self.substrate, menu.menu())
        if self.polish is None:
            return plain
        now, steps = plain.menus, max(1, round(POLISH * self.settings.steps))
        assert isinstance(now, Menu)
        slots = [
            self.polish.of(Menu(now.levers[slot], now.prices[slot]), context, steps)
            for slot, context in enumerate(self.contexts)
        ]
        better = MenuAuction(self.substrate, Menu(*(torch.stack(part) for part in zip(*slots, strict=True))))
        return max(plain, better, key=lambda rule: self._point(rule, 0, 1.0).objective)

    @torch.no_grad()
    def _revive(self, menu: FreeMenu, slot: int) -> None:
        """Move every entry that nobody chooses near one that somebody does.

        Levers between two entries in use, or, half of the time, anywhere in the box with its corners and edges, at the
        lowest price at which nobody prefers it and somebody is indifferent: harmless, and within the soft choice's
        reach. Not where the platform would lose more than half of what it earns from that somebody.
        """
        now = menu.menu()
        levers, prices = _with_null(self.substrate, now.levers[slot], now.prices[slot])
        valuations = self.profiles.draw(1024, self.generator, torch.float32)
        exposures = entry_exposures(self.substrate, levers.unsqueeze(0), self.reference, self.contexts[slot])[0]
        utility = torch.einsum("bif,ikf->bik", valuations, exposures) - prices
        best, chosen = utility.max(2)
        n, count = prices.shape
        idle = torch.stack([torch.bincount(chosen[:, i], minlength=count) == 0 for i in range(n)])[:, 1:]
        if not bool(idle.any()):
            return
        shape = (n, count - 1)
        bidder = torch.arange(n).unsqueeze(1).expand(shape)
        one, other = (chosen[torch.randint(1024, shape, generator=self.generator), bidder] for _ in range(2))
        share = torch.rand(*shape, 1, generator=self.generator)
        moved = torch.lerp(levers[bidder, one], levers[bidder, other], share)
        anywhere = (torch.rand(moved.shape, generator=self.generator) * 3 - 1).clamp(0, 1)
        explore = torch.rand(*shape, 1, generator=self.generator) < 0.5
        moved = torch.where(explore, menu.low + menu.span * anywhere, moved)
        worth = entry_exposures(self.substrate, moved.unsqueeze(0), self.reference, self.contexts[slot])[0]
        indifferent, first = (torch.einsum("bif,ikf->bik", valuations, worth) - best.unsqueeze(2)).max(0)
        kept = prices - self.settings.user_weight * self.losses.alone(levers, self.contexts[slot])
        gain = indifferent - self.settings.user_weight * self.losses.alone(moved, self.contexts[slot])
        idle = idle & (gain > 0.5 * kept.gather(1, chosen[first, bidder]))
        levers_share = (moved - menu.low) / menu.span
        menu.levers[slot] = torch.where(idle.unsqueeze(2), levers_share, menu.levers[slot])
        menu.prices[slot] = torch.where(idle, indifferent / menu.money.unsqueeze(1), menu.prices[slot])
        menu.project()

    @torch.no_grad()
    def _prune(self, menu: FreeMenu) -> None:
        """Withdraw entries whose price does not cover what they cost the user, if that raises the hard objective.

        It always does on a separable substrate: whoever loses such an entry moves to one that pays, or to the null.
        """
        levers, prices = menu.levers.clone(), menu.prices.clone()
        before = self._point(MenuAuction(self.substrate, menu.menu()), 0, 1.0).objective
        now = menu.menu()
        null = torch.tensor([lever.null for lever in self.substrate.levers])
        for slot, context in enumerate(self.contexts):
            own, price = _with_null(self.substrate, now.levers[slot], now.prices[slot])
            losses = self.losses.alone(own, context)
            profit = price - self.settings.user_weight * (losses - losses[:, :1])
            losing = profit[:, 1:] < 0
            menu.levers[slot] = torch.where(losing.unsqueeze(2), (null - menu.low) / menu.span, menu.levers[slot])
            menu.prices[slot] = menu.prices[slot].masked_fill(losing, 0.0)
        if self._point(MenuAuction(self.substrate, menu.menu()), 0, 1.0).objective < before:
            menu.levers.copy_(levers)
            menu.prices.copy_(prices)

    def _point(self, rule: MenuAuction, step: int, beta: float) -> TrainingPoint:
        """Evaluate hard, contexts taking turns."""
        names = contexts_of(self.substrate)
        context = torch.arange(len(self.examples)) % len(names) if names else None
        numbers = evaluated(rule, self.substrate, self.examples, self.settings.user_weight, context)
        return TrainingPoint(step, *numbers, beta)

    def _objective(self, menu: Menu, slot: int, valuations: Float[Tensor, "row bidder feature"], beta: float) -> Tensor:
        """Return the soft objective of one slot, in units of the mean money scale."""
        context = self.contexts[slot]
        levers, prices = _with_null(self.substrate, menu.levers[slot], menu.prices[slot])
        exposures = entry_exposures(self.substrate, levers.unsqueeze(0), self.reference, context)[0]
        utility = torch.einsum("bif,ikf->bik", valuations, exposures) - prices
        with torch.no_grad():  # what is at stake: the mean value of what is chosen
            worth = torch.einsum("bif,ikf->bik", valuations, exposures)
            stake = worth.gather(2, utility.argmax(2, keepdim=True)).mean(0)
            stake = torch.maximum(stake, 0.01 * self.money.view(-1, 1))
        choice = torch.softmax(utility * (beta / stake), 2)
        revenue = (choice * prices).sum((1, 2)).mean()
        if self.settings.user_weight == 0:
            return revenue / self.money.mean()
        loss = self.losses.expected(levers, choice.mean(0), utility.argmax(2), context)
        return (revenue - self.settings.user_weight * loss) / self.money.mean()


def _with_null(
    substrate: Substrate, levers: Float[Tensor, "bidder entry lever"], prices: Float[Tensor, "bidder entry"]
) -> tuple[Tensor, Tensor]:
    null = levers.new_tensor([lever.null for lever in substrate.levers]).expand(len(levers), 1, -1)
    return torch.cat([null, levers], 1), torch.cat([torch.zeros_like(prices[:, :1]), prices], 1)


QUICK_ENTRIES, QUICK_STEPS, QUICK_BATCH = 6, 300, 512  # of the quick recipe


def menu_by_recipe(problem: Problem) -> MenuAuction:
    """Return the table's menu: the trainer's defaults, or fewer entries and steps."""
    view, priors, user_weight, seed, quick, _ = problem
    if quick:
        entries, steps, batch = QUICK_ENTRIES, QUICK_STEPS, QUICK_BATCH
        return train_menu(view, priors, user_weight, entries=entries, steps=steps, batch=batch, seed=seed)
    return train_menu(view, priors, user_weight, seed=seed)


register(
    Entry(
        "menu",
        "menu (the paper's)",
        "A learned menu of levers and prices for each bidder; truthful where no bidder's levers touch another.",
        menu_by_recipe,
        MENU_FILE,
        needs=(OWN_LEVERS,),
        pays="Each bidder is offered a menu of own levers and prices and gets what its bid likes best; it pays that "
        "entry's price.",
        is_learned=True,
    )
)
