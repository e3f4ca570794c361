"""What learning does to every mechanism: bidders that learned against bidders that tell the truth, on one surface.

auctionsim bidders study --out runs/bidders-study
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from torch import Tensor

from auctionsim import metrics
from auctionsim.agents import (
    EquilibriumLearner,
    ExponentialWeights,
    HedgeSettings,
    Strategy,
    Truthful,
    learn_by_context,
)
from auctionsim.envs import AuctionGame
from auctionsim.errors import InputError
from auctionsim.experiments.figures.bidders_study import draw
from auctionsim.experiments.running.designs import COMPARED, UNKEPT, Designs
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.tables.bidder_scores import Mean, evaluate
from auctionsim.experiments.tables.bidders_study import QUANTITIES, menu_claim, prose
from auctionsim.experiments.tables.mechanisms import PRIOR, recipe_sentence
from auctionsim.mechanisms import Mechanism
from auctionsim.mechanisms.kl_tilt import TEMPERATURE
from auctionsim.mechanisms.protocol import dsic_proof_of
from auctionsim.mechanisms.table import Problem
from auctionsim.metrics import Interval
from auctionsim.scoring import draw_profiles, estimate
from auctionsim.strategies import played
from auctionsim.substrates import Items, Lottery, ResponseSurface
from auctionsim.substrates.measurements import REPLICATES
from auctionsim.substrates.protocol import Substrate, contexts_of

LEARNERS = ("equilibrium", "exponential-weights")
EVALUATED = 10_000  # added to a seed where learned bids are scored: other valuations than those learned on


@dataclass(frozen=True)
class BiddersStudySettings:
    """Who learns in what.

    Attributes:
        surface: Its name, for titles and run.json.
        folder: Run folder.
        feature: Feature that is sold: what bidders pay for, such as slot_probability.
        user_weights: λ at each of which every mechanism is designed, on replicate A.
        seeds: Of mechanisms' training, of learning and of the scored valuations: one repetition each.
        learners: "equilibrium" (neural pseudogradients) and "exponential-weights" (autobidders on a grid of bids).
        sees_context: Whether bids may depend on the public context, as environments show it; else one bid for all.
        updates: Updates of the equilibrium learner.
        batch: Auctions an update.
        rounds: Rounds of exponential weights.
        field: Draws of the others a round of exponential weights.
        bids: Points of its grid of bids.
        draws: Auctions that plays are scored on.
        deviation_draws: Auctions, in each context, that best replies are sought and scored on.
        quick: Whether learned mechanisms are trained by the quick recipe.
        untouched: Probability of the untouched model in the KL tilt's reference; the other measured interventions share
            the rest evenly.
        loss: Which loss of the user is charged, as `Offer` reads it.
    """

    surface: str
    folder: Path
    feature: str = "slot_probability"
    user_weights: tuple[float, ...] = (0.0, 1.0)
    seeds: tuple[int, ...] = (0, 1, 2)
    learners: tuple[str, ...] = ("equilibrium",)
    sees_context: bool = True
    updates: int = 600
    batch: int = 1024
    rounds: int = 300
    field: int = 64
    bids: int = 21
    draws: int = 1 << 14
    deviation_draws: int = 1 << 10
    quick: bool = True
    untouched: float = 0.5
    loss: str = "kl"

    def __post_init__(self) -> None:
        unknown = [name for name in self.learners if name not in LEARNERS]
        if unknown or not self.learners or not self.seeds or not self.user_weights:
            raise InputError(
                f"a study needs user weights, seeds and learners among {', '.join(LEARNERS)}, "
                f"got {self.user_weights}, {self.seeds}, {self.learners}"
            )
        if not 0 < self.untouched < 1:
            raise InputError(f"untouched must be a probability inside (0, 1), got {self.untouched}")


class Auction(NamedTuple):
    """One auction to learn in.

    Attributes:
        name: Of the mechanism.
        mechanism: Designed on `substrate`.
        substrate: What bidders learn on.
        scored: By replicate, what pays.
        recipe: "quick" where it was trained so.
    """

    name: str
    mechanism: Mechanism
    substrate: Substrate
    scored: Mapping[str, Substrate]
    recipe: str = ""


class BiddersStudy(NamedTuple):
    """What was found.

    Attributes:
        plays: One row a weight, mechanism, learner, seed, replicate, play ("truth", "learned", "change") and quantity.
        bidders: One row a weight, mechanism, learner and seed: bid / valuation, exploitability of truth and of what was
            learned.
        section: Of the results.
    """

    plays: tuple[Row, ...]
    bidders: tuple[Row, ...]
    section: Section


def main(
    settings: BiddersStudySettings, surface: ResponseSurface, command: str, console: Console, designs: Designs = UNKEPT
) -> BiddersStudy:
    """Let bidders learn in every mechanism, score them, and write tables, a figure and what they say.

    Args:
        settings: Who learns in what.
        surface: Two or three brands; sells the feature.
        command: What the user typed, for run.json.
        console: Told where it all is.
        designs: Makes the mechanisms.
    """
    sold = surface.sell(settings.feature, loss=settings.loss)
    run = Run(settings.folder, settings, {"surface": sold.digest})
    run.begin(command)
    rows: list[Row] = []
    for seed in settings.seeds:
        for weight in settings.user_weights:
            console.print(f"learning: user weight {weight:g}, seed {seed}")
            rows += run.part(
                f"weight {weight!r} seed {seed}",
                lambda w=weight, s=seed: [  # type: ignore[misc]
                    row
                    for one in surface_auctions(settings, sold, designs, w, s)
                    for row in scored(settings, one, w, s)
                ],
            )
        rows += run.part(
            f"items seed {seed}",
            lambda s=seed: [  # type: ignore[misc]
                row for one in item_auctions(sold.num_bidders, designs) for row in scored(settings, one, 0.0, s)
            ],
        )
    plays = [row for row in rows if row["table"] == "plays"]
    bidders = [row for row in rows if row["table"] == "bidders"]
    draw(plays, settings.folder / "bidders_study.png")
    section = Section(
        "Learned against truthful bidders",
        prose(opening(settings), plays, bidders),
        {"bidders_study.png": "Revenue and user loss on replicate A, from truth (hollow) to learned bids (filled)"},
        (menu_claim(bidders),),
    )
    run.finish({"plays": plays, "bidders": bidders}, section, command=command, console=console)
    return BiddersStudy(tuple(plays), tuple(bidders), section)


def surface_auctions(
    settings: BiddersStudySettings, sold: ResponseSurface, designs: Designs, user_weight: float, seed: int
) -> Iterator[Auction]:
    """Yield every mechanism on the surface; the KL tilt among distributions over its measured interventions."""
    problem = Problem(sold, PRIOR, user_weight, seed, settings.quick)
    recipes = designs.recipes(COMPARED, quick=settings.quick)
    views = {name: sold.replicate(name) for name in REPLICATES}
    for label, mechanism in designs.by_label(COMPARED, problem).items():
        yield Auction(label, mechanism, sold, views, recipes.get(label, ""))
    lotteries = {name: measured_lottery(view, settings.untouched) for name, view in views.items()}
    tilt = designs.of("kl-tilt", problem._replace(view=lotteries["A"]))
    yield Auction(designs.entry("kl-tilt").label, tilt, lotteries["A"], lotteries)


def measured_lottery(view: ResponseSurface, untouched: float) -> Lottery:
    """Return the lottery over a surface's distinct interventions, contexts averaged; the null, first, is likeliest."""
    listed = view.finite_range()
    others = len(listed.allocations) - 1
    reference = torch.full((others + 1,), (1 - untouched) / others, dtype=torch.float64)
    reference[0] = untouched
    return Lottery(listed.exposures[0], listed.user_losses[0], reference)


def item_auctions(num_bidders: int, designs: Designs = UNKEPT) -> Iterator[Auction]:
    """Yield one item's auctions, where what learning does is known."""
    items = Items(num_bidders)
    for label, rule in designs.by_label(("first-price", "second-price", "posted-price"), Problem(items, PRIOR)).items():
        yield Auction(f"one item, {label}", rule, items, {"A": items})


def scored(settings: BiddersStudySettings, auction: Auction, user_weight: float, seed: int) -> Iterator[Row]:
    """Yield one auction's rows: what bidders lose by not lying and by having learned, what the auction gives."""
    game = AuctionGame(auction.mechanism, auction.substrate, PRIOR, rounds=1, dtype=torch.float64)
    n = auction.substrate.num_bidders
    draws = settings.deviation_draws
    if dsic_proof_of(auction.mechanism, auction.substrate) is None:
        honest = evaluate(game, [Truthful()] * n, draws=draws, seed=EVALUATED + seed).exploitability
    else:
        honest = Mean(0.0, Interval(0.0, 0.0))  # proved
    for learner in settings.learners:
        strategies = learned(settings, auction, learner, seed)
        key = {"user_weight": user_weight, "mechanism": auction.name, "recipe": auction.recipe}
        key |= {"learner": learner, "seed": seed}
        evaluation = evaluate(game, strategies, draws=draws, seed=EVALUATED + seed)
        yield {
            "table": "bidders",
            **key,
            "bid_ratio": sum(one.bid_ratio for one in evaluation.bidders) / n,
            "from_truth": sum(one.from_truth for one in evaluation.bidders) / n,
            **spread("exploitability_truth", honest.value, honest.interval),
            **spread("exploitability_learned", evaluation.exploitability.value, evaluation.exploitability.interval),
            "draws": draws,
        }
        for replicate, place in auction.scored.items():
            yield from play_rows(auction, place, strategies, settings.draws, key | {"replicate": replicate})


def spread(name: str, value: float, interval: Interval) -> Row:
    """Return a value with its interval's ends as columns."""
    return {name: value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def learned(settings: BiddersStudySettings, auction: Auction, learner: str, seed: int) -> list[Strategy]:
    """Return what bidders learned in an auction, by its context where they see one."""
    rule, place = auction.mechanism, auction.substrate
    seeing = settings.sees_context and bool(contexts_of(place))
    if learner == "equilibrium":
        observe = ("context",) if seeing else ()
        climbing = EquilibriumLearner(rule, place, PRIOR, seed=seed, batch=settings.batch, observe=observe)
        return climbing.train(settings.updates)
    grid = HedgeSettings(bids=settings.bids, batch=settings.field)
    if seeing:
        return learn_by_context(rule, place, PRIOR, settings.rounds, seed=seed, settings=grid)
    return ExponentialWeights(rule, place, PRIOR, seed=seed, settings=grid).train(settings.rounds)


@torch.no_grad()
def play_rows(
    auction: Auction, place: Substrate, strategies: Sequence[Strategy], draws: int, key: Row
) -> Iterator[Row]:
    """Yield what truthful and learned play give on the same valuations and contexts, and the paired change."""
    valuations, context = draw_profiles(place, PRIOR, draws, EVALUATED + int(key["seed"]))
    bids = played(strategies, valuations, context)
    weight = float(key["user_weight"])
    truth = play_samples(auction, place, valuations, valuations, context, weight)
    bid = play_samples(auction, place, bids, valuations, context, weight)
    for quantity in QUANTITIES:
        for play, samples in (
            ("truth", truth[quantity]),
            ("learned", bid[quantity]),
            ("change", bid[quantity] - truth[quantity]),
        ):
            mean = estimate(samples)
            yield {
                "table": "plays",
                **key,
                "play": play,
                "quantity": quantity,
                "mean": mean.mean,
                "standard_error": mean.standard_error,
                "n": mean.n,
            }


def play_samples(
    auction: Auction, place: Substrate, bids: Tensor, valuations: Tensor, context: Tensor | None, user_weight: float
) -> dict[str, Tensor]:
    """Return every quantity of every drawn auction."""
    outcome = auction.mechanism(bids, context)
    revenue = metrics.revenue(outcome, place, valuations, context)
    loss = metrics.user_loss(outcome, place, valuations, context)
    utility = metrics.utility(outcome, place, valuations, context).sum(1)
    numbers = (revenue, loss, revenue - user_weight * loss, utility, utility + revenue)
    return dict(zip(QUANTITIES, numbers, strict=True))


def opening(settings: BiddersStudySettings) -> str:
    """Say who learns in what."""
    rule = "one for every public context" if settings.sees_context else "the same in every public context"
    return (
        f"Auctions on `{settings.surface}`, {settings.feature}, valuations U[0, 1], mechanisms designed on "
        f"replicate A, {len(settings.seeds)} seeds (of mechanisms' training, learning and valuations), "
        f"{settings.draws} auctions a seed; [95 % intervals over seeds]. Learners: {', '.join(settings.learners)}; "
        f"bidders that may differ each learn a rule of their own, {rule}. "
        f"Exploitability is what the average bidder gains by its best reply in each context, averaged over contexts; "
        f"truth's is 0, and not searched for, where a proof of strategy-proofness covers the rule. "
        f"The KL tilt (temperature {TEMPERATURE:g}) sells distributions over the measured interventions, "
        f"contexts averaged; its reference gives the untouched model {settings.untouched:g}. "
        f"Items have no user. {recipe_sentence(quick=settings.quick)}"
    )
