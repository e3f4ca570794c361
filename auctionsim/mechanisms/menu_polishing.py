"""The end of learning a menu of one feature: ascent on the exact objective of the hard choice, softness left behind.

A fixed menu of one feature is a ladder: whoever bids above the threshold t_j takes step j, and
p_j = p_{j−1} + t_j (e_j − e_{j−1}). With G_i(t) = P(V_i > t) the expected revenue is Σ_i Σ_j t_ij (e_ij − e_i,j−1)
G_i(t_ij), and step j is taken with probability G_i(t_ij) − G_i(t_i,j+1): both are smooth in levers and thresholds, so
the objective of hard choices has a gradient, without noise and without an inverse temperature.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.mechanisms.menu import entry_exposures, priced_entries
from auctionsim.mechanisms.menu_entries import Menu, envelope
from auctionsim.mechanisms.menu_losses import ROWS, MenuLosses
from auctionsim.mechanisms.training import geometric
from auctionsim.priors import Prior, Product
from auctionsim.substrates.protocol import Substrate

ROUNDS = 8  # between them steps that nobody takes are put where one is missed
RATES = (0.3, 0.002)  # first and last step size of a round, in shares of the distance between neighbours
LEAST = 1e-4  # that distance at least, in shares of a lever's range and of a mean valuation
LATER = 0.8  # the step sizes of a round, as a share of those of the round before
SAME = 1e-9  # two exposures are the same if they differ by less, in shares of the largest
NEVER = 1e3  # a threshold that no valuation reaches, in mean valuations at the top quantile


class Ladder(NamedTuple):
    """All bidders' steps, the null not among them.

    Attributes:
        levers: (bidder, step, lever), in shares of the ranges.
        thresholds: (bidder, step), in shares of each bidder's mean valuation, nondecreasing.
    """

    levers: Tensor
    thresholds: Tensor


def can_polish(priors: Product) -> bool:
    """Tell whether there is one feature and every prior has a density."""
    return priors.num_features == 1 and all(row[0].atoms is None for row in priors.marginals)


class Polish:
    """Raises E[Σ p − user_weight · L] of the hard choice, one slot at a time.

    Args:
        substrate: What the menus are for; one feature.
        priors: As `can_polish` wants them.
        user_weight: λ.
        losses: The user's side.
    """

    def __init__(self, substrate: Substrate, priors: Product, user_weight: float, losses: MenuLosses) -> None:
        self.substrate, self.user_weight, self.losses = substrate, user_weight, losses
        self.priors = [row[0] for row in priors.marginals]
        self.scale = torch.tensor([prior.mean for prior in self.priors], dtype=torch.float64).clamp_min(1e-300)
        low, high = (torch.tensor([lever[k] for lever in substrate.levers], dtype=torch.float64) for k in (1, 2))
        self.low, self.span = low, high - low
        self.null = (torch.tensor([lever.null for lever in substrate.levers]) - low) / self.span
        middles = (torch.arange(ROWS, dtype=torch.float64) + 0.5) / ROWS
        generator = torch.Generator().manual_seed(0)
        orders = [middles[torch.randperm(ROWS, generator=generator)] for _ in self.priors]
        self.examples = torch.stack([p.quantile(q) for p, q in zip(self.priors, orders, strict=True)], 1) / self.scale

    def of(self, menu: Menu, context: int | None, steps: int) -> Menu:
        """Return a menu (bidder, entry, …) of one slot that is at least as good, by its exact objective.

        Args:
            menu: Levers and prices, the null not listed.
            context: Of the slot.
            steps: Gradient steps, spread over the rounds.
        """
        ladder = self.ladder(menu, context)
        best, value = ladder, self.objective(ladder, context).item()
        for k in range(ROUNDS):
            ladder = self._filled(best, context)
            rates = (RATES[0] * LATER**k, RATES[1] * LATER**k)
            ladder, reached = self._climbed(ladder, context, max(1, steps // ROUNDS), rates)
            if reached > value:
                best, value = ladder, reached
        return self._priced(best, context)

    def _climbed(
        self, ladder: Ladder, context: int | None, steps: int, rates: tuple[float, float]
    ) -> tuple[Ladder, float]:
        """Return the best ladder along the way, and its objective."""
        units = self._gaps(ladder)
        moves = Ladder(*(torch.zeros_like(part, requires_grad=True) for part in ladder))
        optimiser = torch.optim.Adam(moves, betas=(0.9, 0.99))
        best, value = ladder, -torch.inf
        for step in range(steps + 1):
            now = self._in_order(_moved(ladder, units, moves), context)
            objective = self.objective(now, context)
            if objective.item() > value:
                best, value = Ladder(*(part.detach().clone() for part in now)), objective.item()
            if step == steps:
                break
            optimiser.param_groups[0]["lr"] = geometric(*rates, step / steps)
            optimiser.zero_grad()
            (-objective).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            with torch.no_grad():  # levers back into their box, thresholds back into order
                levers, thresholds = _moved(ladder, units, moves)
                kept = Ladder(levers.clamp(0, 1), thresholds.clamp_min(0).cummax(1).values)
                for move, start, unit, part in zip(moves, ladder, units, kept, strict=True):
                    move.copy_((part - start) / unit)
        return best, value

    @torch.no_grad()
    def _gaps(self, ladder: Ladder) -> Ladder:
        """Return half the distance between each step's neighbours, which is how far it may sensibly move."""
        never = self._never().unsqueeze(1)
        levers = torch.cat([self.null.expand(len(never), 1, -1), ladder.levers], 1)
        thresholds = torch.cat([torch.zeros_like(never), ladder.thresholds], 1)
        gaps = []
        for part in (levers, torch.minimum(thresholds, thresholds.masked_fill(thresholds >= never, 0).amax(1, True))):
            ahead = torch.cat([part[:, 2:], part[:, -1:]], 1)
            gaps.append(((ahead - part[:, :-1]).abs() / 2).clamp_min(LEAST))
        return Ladder(*gaps)

    def objective(self, ladder: Ladder, context: int | None) -> Tensor:
        """Return the hard choice's expected objective; right where exposures and thresholds rise along the steps."""
        levers, exposures = self._offered(ladder.levers, context)
        thresholds = ladder.thresholds * self.scale.unsqueeze(1)
        pairs = zip(self.priors, thresholds, strict=True)
        above = torch.stack([_survival(prior, threshold) for prior, threshold in pairs])
        revenue = (thresholds * exposures.diff(dim=1) * above).sum()
        if self.user_weight == 0:
            return revenue
        edges = torch.cat([torch.ones_like(above[:, :1]), above, torch.zeros_like(above[:, :1])], 1)
        chances = edges[:, :-1] - edges[:, 1:]
        return revenue - self.user_weight * self.losses.expected(levers, chances, self._choices(ladder), context)

    def _choices(self, ladder: Ladder) -> Int[Tensor, "row bidder"]:
        return (self.examples.unsqueeze(2) > ladder.thresholds.detach()).sum(2)

    def _offered(self, shares: Float[Tensor, "bidder step lever"], context: int | None) -> tuple[Tensor, Tensor]:
        """Return levers and exposures with the null in front: (bidder, step + 1, …)."""
        null = self.null.expand(len(shares), 1, -1)
        levers = torch.minimum(self.low + self.span * torch.cat([null, shares], 1), self.low + self.span)
        reference = self.losses.reference
        return levers, entry_exposures(self.substrate, levers.unsqueeze(0), reference, context)[0, :, :, 0]

    def _in_order(self, ladder: Ladder, context: int | None) -> Ladder:
        """Let a step that is never taken, or that gives less than one below it, repeat the best one below."""
        taken = (ladder.thresholds < self._never().unsqueeze(1)).sum(1, keepdim=True)
        source = torch.minimum(torch.arange(ladder.thresholds.shape[1]), (taken - 1).clamp_min(0))
        levers = ladder.levers.gather(1, source.unsqueeze(2).expand_as(ladder.levers))
        with torch.no_grad():
            source = self._offered(levers, context)[1].cummax(1).indices
        levers = torch.cat([self.null.expand(len(levers), 1, -1), levers], 1)
        levers = levers.gather(1, source.unsqueeze(2).expand_as(levers))
        return ladder._replace(levers=levers[:, 1:])

    @torch.no_grad()
    def ladder(self, menu: Menu, context: int | None) -> Ladder:
        """Return the entries that some bid takes; the places left over repeat the last of them and are never taken."""
        row = Menu(menu.levers.unsqueeze(0), menu.prices.unsqueeze(0))
        menus = priced_entries(self.substrate, row, self.losses.reference, context)
        shape = menu.prices.shape
        levers = self.null.expand(*shape, -1).clone()
        thresholds = self._never().unsqueeze(1).expand(shape).clone()
        for i in range(shape[0]):
            bids, entries = envelope(menus.exposures[0, i, :, 0], menus.prices[0, i])
            steps = menus.levers[0, i, entries[1:]]
            levers[i, : len(steps)] = (steps - self.low) / self.span
            if len(steps):
                levers[i, len(steps) :] = levers[i, len(steps) - 1]
            thresholds[i, : len(bids)] = torch.tensor(bids, dtype=torch.float64) / self.scale[i]
        return Ladder(levers, thresholds)

    def _never(self) -> Float[Tensor, " bidder"]:
        return NEVER * torch.tensor([prior.finite_high for prior in self.priors], dtype=torch.float64) / self.scale

    @torch.no_grad()
    def _filled(self, ladder: Ladder, context: int | None) -> Ladder:
        """Put steps that nobody takes half-way up the steps that are the highest and most taken.

        A new half takes the threshold of the whole, so nothing changes before it is learned further.
        """
        exposures = self._offered(ladder.levers, context)[1]
        levers, thresholds = ladder.levers.clone(), ladder.thresholds.clone()
        never = self._never()
        for i, prior in enumerate(self.priors):
            taken = torch.cat([thresholds[i].diff() > 0, thresholds.new_ones(1, dtype=torch.bool)])
            taken &= prior.cdf(thresholds[i] * self.scale[i]) < 1
            taken &= exposures[i].diff() > SAME * exposures[i].amax()
            x = torch.cat([self.null.unsqueeze(0), levers[i, taken]])
            e = torch.cat([exposures[i, :1], exposures[i, 1:][taken]])
            t = thresholds[i, taken]
            while 1 < len(x) <= levers.shape[1]:
                above = 1 - prior.cdf(t * self.scale[i])
                mass = above - torch.cat([above[1:], above.new_zeros(1)])
                place = int((e.diff().square() * mass).argmax())
                x = torch.cat([x[: place + 1], (x[place : place + 1] + x[place + 1 : place + 2]) / 2, x[place + 1 :]])
                middle = self._exposure_of(x[place + 1], i, context)
                if not float(e[place]) < float(middle) < float(e[place + 1]):
                    x = torch.cat([x[: place + 1], x[place + 2 :]])
                    break
                e = torch.cat([e[: place + 1], middle.view(1), e[place + 1 :]])
                t = torch.cat([t[: place + 1], t[place:]])
            levers[i], thresholds[i] = x[-1], never[i]
            levers[i, : len(t)], thresholds[i, : len(t)] = x[1:], t
        return Ladder(levers, thresholds)

    def _exposure_of(self, share: Float[Tensor, " lever"], bidder: int, context: int | None) -> Tensor:
        everyone = self.null.expand(len(self.priors), 1, -1).clone()
        everyone[bidder, 0] = share
        return self._offered(everyone, context)[1][bidder, 1]

    @torch.no_grad()
    def _priced(self, ladder: Ladder, context: int | None) -> Menu:
        """Return levers and prices; a step that is never taken is sold at the price of the one that it repeats."""
        levers, exposures = self._offered(ladder.levers, context)
        rise = exposures.diff(dim=1)
        rise = torch.where(ladder.thresholds < self._never().unsqueeze(1), rise, 0.0)
        return Menu(levers[:, 1:], (ladder.thresholds * self.scale.unsqueeze(1) * rise).cumsum(1).clamp_min(0))


def _moved(ladder: Ladder, units: Ladder, moves: Ladder) -> Ladder:
    return Ladder(*(start + unit * move for start, unit, move in zip(ladder, units, moves, strict=True)))


def _survival(prior: Prior, thresholds: Float[Tensor, " step"]) -> Float[Tensor, " step"]:
    """Return P(V > t) with the gradient −f(t), of a finite size also where the density has none."""
    at = thresholds.detach()
    return 1 - prior.cdf(at) - prior.pdf(at).clamp_max(1e6 / prior.mean) * (thresholds - at)
