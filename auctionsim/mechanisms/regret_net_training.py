"""Learning an auction without a proof: revenue by gradient, regret by an augmented Lagrangian on learned misreports."""

from dataclasses import dataclass
from typing import NamedTuple, SupportsIndex

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count, checked_money, checked_positive
from auctionsim.mechanisms.bid_networks import BidNetwork, BidPerceptron, BidTransformer
from auctionsim.mechanisms.regret_net import REGRET_NET_FILE, RegretNet, network_sizes
from auctionsim.mechanisms.table import Entry, Problem, Published, of_kind, register
from auctionsim.mechanisms.training import ProfileSampler, Progress, evaluated, geometric
from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.priors import Priors, product
from auctionsim.seeds import seeded
from auctionsim.substrates.lottery import Lottery
from auctionsim.substrates.randomised import Randomised

EVALUATIONS = 10  # points of the training history
PROFILES = 2048  # each with a misreport of its own a bidder, kept from step to step
BATCH = 128
MOVES = 4  # of misreports before each step
MOVE = 0.05  # of the largest valuation, the first of them
PENALTY_EVERY = 20  # steps between updates of the multipliers


@dataclass(frozen=True)
class LagrangianSettings:
    """Settings of the price of regret during training; all per unit of the mean welfare.

    Attributes:
        multiplier: What a unit of each bidder's mean regret costs at first, and at least.
        penalty: ρ: half of it times the squared mean regret is charged, and multipliers grow by it times the regret.
        learning_rates: Adam's step sizes at the first and the last step, geometric between.
    Raises:
        TypeError, ValueError: Numbers that are not positive.
    """

    multiplier: float = 1.0
    penalty: float = 20.0
    learning_rates: tuple[float, float] = (0.003, 0.0006)

    def __post_init__(self) -> None:
        for number in (self.multiplier, self.penalty, *self.learning_rates):
            checked_positive(number, "settings of the Lagrangian")


class TruthAndLies(NamedTuple):
    """A batch as it was told and as each bidder alone might tell it.

    Attributes:
        revenue: (row,).
        user_loss: (row,).
        gains: (row, bidder), what each bidder's misreport brings over truth.
    """

    revenue: Tensor
    user_loss: Tensor
    gains: Tensor


LAGRANGIAN = LagrangianSettings()


def train_regret_net(
    substrate: Randomised,
    priors: Priors,
    user_weight: float = 0.0,
    *,
    network: BidNetwork | None = None,
    steps: int = 1500,
    settings: LagrangianSettings = LAGRANGIAN,
    seed: SupportsIndex = 0,
    progress: Progress | None = None,
) -> RegretNet:
    """Maximise E[Σ t_i − user_weight · L] less a price on each bidder's mean regret, which rises while there is some.

    For every profile each bidder keeps its best misreport so far, moved uphill before every step and compared with one
    drawn anew. What is left of regret at the end is whatever it is: measure it.

    Args:
        substrate: What it sells; any number of features.
        priors: What valuations are drawn from.
        user_weight: λ ≥ 0.
        network: What learns, in place; None: a perceptron.
        steps: Of Adam.
        settings: The price of regret.
        seed: Of the network if none is given, and of the draws.
        progress: Called at each of the history's points.
    Source:
        Dütting et al. (2019), algorithm 1. Here misreports also compete with random ones.
    """
    checked_count(steps, "steps"), checked_money(user_weight, "user_weight")
    known = product(priors, substrate.num_bidders, len(substrate.features))
    rule = RegretNet(substrate, network, float(known.high.max()), user_weight, seed=seed)
    rule.network.requires_grad_(True)
    generator, sampler = seeded(seed), ProfileSampler(known)
    profiles = sampler.draw(PROFILES, generator, torch.float32)
    lies = sampler.draw(PROFILES, generator, torch.float32)
    stake = max(float((profiles * substrate.exposures.max(0).values.float()).sum((1, 2)).mean()), 1e-12)
    examples = sampler.draw(1024, torch.Generator().manual_seed(0), torch.float64)
    slots = len(rule.exposures) - 1
    turns = torch.arange(len(examples)) % slots if slots else None
    multipliers = torch.full((substrate.num_bidders,), settings.multiplier)
    optimiser = torch.optim.Adam(rule.network.parameters(), lr=settings.learning_rates[0])
    marks = {round(steps * k / EVALUATIONS) for k in range(EVALUATIONS + 1)}
    for step in range(steps + 1):
        if step in marks:
            with torch.no_grad():
                point = TrainingPoint(step, *evaluated(rule, substrate, examples, user_weight, turns), 0.0)
            rule.history = (*rule.history, point)
            if progress is not None:
                progress(point, steps)
        if step == steps:
            break
        optimiser.param_groups[0]["lr"] = geometric(*settings.learning_rates, step / steps)
        rows = torch.randint(PROFILES, (BATCH,), generator=generator)
        context = torch.randint(slots, (BATCH,), generator=generator) if slots else None
        lies[rows] = _better_lies(rule, profiles[rows], lies[rows], sampler, context, generator)
        told = _told(rule, profiles[rows], lies[rows], context)
        regret = told.gains.clamp_min(0).mean(0) / stake
        objective = (told.revenue - user_weight * told.user_loss).mean() / stake
        loss = -objective + (multipliers * regret).sum() + settings.penalty / 2 * regret.square().sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % PENALTY_EVERY == PENALTY_EVERY - 1:
            multipliers = multipliers + settings.penalty * regret.detach()
    rule.network.requires_grad_(False)
    return rule


def _told(
    rule: RegretNet,
    valuations: Float[Tensor, "row bidder feature"],
    lies: Float[Tensor, "row bidder feature"],
    context: Tensor | None,
) -> TruthAndLies:
    """Return what truth brings, and what each bidder gains by its lie when the others stay truthful."""
    rows, n, m = valuations.shape
    alone = torch.eye(n, dtype=torch.bool).unsqueeze(2)
    bids = torch.where(alone, lies.unsqueeze(1), valuations.unsqueeze(1)).flatten(0, 1)
    everything = torch.cat([valuations, bids])
    places = None if context is None else torch.cat([context, context.repeat_interleave(n)])
    q, exposure, fractions = rule.chosen(everything, places)
    payments = fractions * (everything * exposure).sum(2).clamp_min(0)
    slot = torch.full((rows,), len(rule.exposures) - 1) if context is None else context
    loss = (q[:rows] * rule.user_losses.to(q)[slot]).sum(1)
    truth = (valuations * exposure[:rows]).sum(2) - payments[:rows]
    own = exposure[rows:].view(rows, n, n, m).diagonal(dim1=1, dim2=2).movedim(2, 1)
    lied = (valuations * own).sum(2) - payments[rows:].view(rows, n, n).diagonal(dim1=1, dim2=2)
    return TruthAndLies(payments[:rows].sum(1), loss, lied - truth)


def _better_lies(
    rule: RegretNet,
    valuations: Float[Tensor, "row bidder feature"],
    lies: Float[Tensor, "row bidder feature"],
    sampler: ProfileSampler,
    context: Tensor | None,
    generator: torch.Generator,
) -> Float[Tensor, "row bidder feature"]:
    """Return misreports that bring no less: the better of the kept and a drawn one, moved along the gradient."""
    drawn = sampler.draw(len(lies), generator, lies.dtype)
    with torch.no_grad():
        kept, other = (_told(rule, valuations, one, context).gains for one in (lies, drawn))
    best, gains = torch.where((other > kept).unsqueeze(2), drawn, lies), torch.maximum(kept, other)
    place = best
    for move in range(MOVES):
        place = place.detach().requires_grad_(True)
        reached = _told(rule, valuations, place, context).gains
        best = torch.where((reached > gains).unsqueeze(2), place, best).detach()
        gains = torch.maximum(reached, gains).detach()
        (slope,) = torch.autograd.grad(reached.sum(), place)
        length = slope.norm(dim=2, keepdim=True).clamp_min(1e-12)
        place = (place + rule.scale * MOVE / (move + 1) * slope / length).clamp(0, rule.scale)
    return best


QUICK_STEPS = 200  # of the quick recipe
SELLS_LOTS = of_kind(Lottery, Randomised)


def _designed(problem: Problem, kind: type[BidNetwork]) -> RegretNet:
    network = kind(network_sizes(problem.view), seed=problem.seed)
    how = (problem.view, problem.priors, problem.user_weight)
    if problem.quick:
        return train_regret_net(*how, network=network, steps=QUICK_STEPS, seed=problem.seed)
    return train_regret_net(*how, network=network, seed=problem.seed)


PAYS = "A network reads all bids and draws a reply; each bidder pays a share of what it said the draw is worth to it."
CLAIMS = "Little is gained by another bid, as far as a search by gradient finds; nobody loses by taking part."
register(
    Entry(
        "regret-net",
        "RegretNet",
        "A network draws an entry and charges shares of reported values, learned with a price on regret: no proof.",
        lambda problem: _designed(problem, BidPerceptron),
        REGRET_NET_FILE,
        needs=(SELLS_LOTS,),
        is_learned=True,
        pays=PAYS,
        published=Published(
            "Dütting, Feng, Narasimhan, Parkes and Ravindranath (2019), Optimal auctions through deep learning, "
            "arXiv:1706.03459",
            CLAIMS,
            "items, additive or unit-demand; here any exposure on a list fixed before the bids",
        ),
    )
)
register(
    Entry(
        "regret-transformer",
        "RegretNet (transformer)",
        "The same by a transformer over the set of bids, a token for each bidder and feature: no proof.",
        lambda problem: _designed(problem, BidTransformer),
        REGRET_NET_FILE,
        needs=(SELLS_LOTS,),
        is_learned=True,
        pays=PAYS,
        published=Published(
            "Ivanov, Safiulin, Filippov and Balabaeva (2022), Optimal-er auctions through attention, arXiv:2202.13110",
            CLAIMS,
            "items, additive bidders; here any exposure on a list fixed before the bids",
        ),
    )
)
