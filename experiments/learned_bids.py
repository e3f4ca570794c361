"""What learning does to every mechanism: bidders that learned against bidders that tell the truth, on one surface.

auctionsim bidders study --out runs/learned
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from torch import Tensor

from auctionsim import metrics
from auctionsim.agents import EquilibriumLearner, ExponentialWeights, Strategy, Truthful
from auctionsim.comparison import estimate
from auctionsim.envs import AuctionGame
from auctionsim.experiments.auctions import MENU, PAY_AS_BID, PRIOR, rival_mechanisms
from auctionsim.experiments.bidder_evaluation import evaluate
from auctionsim.experiments.comparison_figures import MARKS, saved, sheet
from auctionsim.experiments.running import Claim, Row, Run, Section, markdown_table
from auctionsim.mechanisms import FirstPrice, KLTilt, Mechanism, PostedPrice, SecondPrice
from auctionsim.metrics import Interval, mean_interval
from auctionsim.substrates import Items, Lottery, ResponseSurface
from auctionsim.substrates.measurements import REPLICATES
from auctionsim.substrates.protocol import Substrate, contexts_of

KL_TILT = "KL tilt"
QUANTITIES = ("revenue", "user_loss", "objective", "bidder_utility", "welfare")
LEARNERS = ("equilibrium", "exponential weights")
EVALUATED = 10_000  # added to a seed where learned bids are scored: other valuations than those learned on
SMALL = 0.01  # of money: valuations reach 1


@dataclass(frozen=True)
class LearnedSettings:
    """Who learns in what.

    Attributes:
        surface: Its name, for titles and run.json.
        folder: Run folder.
        feature: What is sold.
        user_weights: λ at each of which every mechanism is designed, on replicate A.
        seeds: Of mechanisms' training, of learning and of the scored valuations: one repetition each.
        learners: "equilibrium" (neural pseudogradients) and "exponential weights" (autobidders on a grid of bids).
        updates: Of the equilibrium learner.
        batch: Auctions an update.
        rounds: Of exponential weights.
        field: Draws of the others a round of exponential weights.
        bids: Points of its grid of bids.
        draws: Auctions that plays are scored on.
        deviation_draws: Auctions, in each context, that best replies are sought and scored on.
        entries: Of the menu.
        menu_steps: Of its training.
        temperature: Of the KL tilt, money a nat.
        untouched: Probability of the untouched model in the KL tilt's reference; the other measured interventions share
            the rest evenly.
    """

    surface: str
    folder: Path
    feature: str = "slot_probability"
    user_weights: tuple[float, ...] = (0.0, 1.0)
    seeds: tuple[int, ...] = (0, 1, 2)
    learners: tuple[str, ...] = ("equilibrium",)
    updates: int = 400
    batch: int = 2048
    rounds: int = 300
    field: int = 64
    bids: int = 21
    draws: int = 1 << 14
    deviation_draws: int = 1 << 11
    entries: int = 6
    menu_steps: int = 400
    temperature: float = 0.1
    untouched: float = 0.5

    def __post_init__(self) -> None:
        unknown = [name for name in self.learners if name not in LEARNERS]
        if unknown or not self.learners or not self.seeds or not self.user_weights:
            raise ValueError(
                f"a study needs user weights, seeds and learners among {', '.join(LEARNERS)}, "
                f"got {self.user_weights}, {self.seeds}, {self.learners}"
            )
        if not 0 < self.untouched < 1:
            raise ValueError(f"untouched must be a probability inside (0, 1), got {self.untouched}")


class Auction(NamedTuple):
    """One auction to learn in.

    Attributes:
        name: Of the mechanism.
        mechanism: Designed on `substrate`.
        substrate: What bidders learn on.
        scored: By replicate, what pays.
    """

    name: str
    mechanism: Mechanism
    substrate: Substrate
    scored: Mapping[str, Substrate]


class Learned(NamedTuple):
    """What was found.

    Attributes:
        plays: One row a weight, mechanism, learner, seed, replicate, play ("truth", "learned", "change") and quantity.
        bidders: One row a weight, mechanism, learner and seed: bid / valuation, exploitability of truth and of learned play.
        section: Of the results.
    """

    plays: tuple[Row, ...]
    bidders: tuple[Row, ...]
    section: Section


def main(settings: LearnedSettings, surface: ResponseSurface, command: str, console: Console) -> Learned:
    """Let bidders learn in every mechanism, score them, and write tables, a figure and what they say.

    Args:
        settings: Who learns in what.
        surface: Two or three brands; sells the feature.
        command: What the user typed, for run.json.
        console: Told where it all is.
    """
    run = Run(settings.folder, settings, {"surface": surface.digest})
    sold = surface.sell(settings.feature)
    rows: list[Row] = []
    for seed in settings.seeds:
        for weight in settings.user_weights:
            console.print(f"learning: user weight {weight:g}, seed {seed}")
            rows += run.part(
                f"weight {weight:g} seed {seed}",
                lambda w=weight, s=seed: [  # type: ignore[misc]
                    row for one in surface_auctions(settings, sold, w, s) for row in scored(settings, one, w, s)
                ],
            )
        rows += run.part(
            f"items seed {seed}",
            lambda s=seed: [  # type: ignore[misc]
                row for one in item_auctions(sold.num_bidders) for row in scored(settings, one, 0.0, s)
            ],
        )
    plays = [row for row in rows if row["table"] == "plays"]
    bidders = [row for row in rows if row["table"] == "bidders"]
    draw(settings, plays, settings.folder / "learned_bids.png")
    section = Section(
        "Learned against truthful bidders",
        prose(settings, plays, bidders),
        {"learned_bids.png": "Revenue and user loss on replicate A, from truth (hollow) to learned bids (filled)"},
        (menu_claim(settings, bidders),),
    )
    run.finish({"plays": plays, "bidders": bidders}, section, command=command, console=console)
    return Learned(tuple(plays), tuple(bidders), section)


def surface_auctions(
    settings: LearnedSettings, sold: ResponseSurface, user_weight: float, seed: int
) -> Iterator[Auction]:
    """Yield every mechanism on the surface; the KL tilt among distributions over its measured interventions."""
    shape = {"entries": settings.entries, "steps": settings.menu_steps}
    views = {name: sold.replicate(name) for name in REPLICATES}
    for name, mechanism in rival_mechanisms(sold, user_weight, seed=seed, priors=PRIOR, **shape).items():
        yield Auction(name, mechanism, sold, views)
    lotteries = {name: measured_lottery(view, settings.untouched) for name, view in views.items()}
    tilt = KLTilt(lotteries["A"], settings.temperature, user_weight=user_weight)
    yield Auction(KL_TILT, tilt, lotteries["A"], lotteries)


def measured_lottery(view: ResponseSurface, untouched: float) -> Lottery:
    """Return the lottery over a surface's distinct interventions, contexts averaged; the null, first, is likeliest."""
    found = view.finite_range()
    others = len(found.allocations) - 1
    reference = torch.full((others + 1,), (1 - untouched) / others, dtype=torch.float64)
    reference[0] = untouched
    return Lottery(found.exposures[0], found.user_losses[0], reference)


def item_auctions(num_bidders: int) -> Iterator[Auction]:
    """Yield one item's auctions, where what learning does is known."""
    items = Items(num_bidders)
    for name, rule in (("first", FirstPrice()), ("second", SecondPrice()), ("posted", PostedPrice(0.5))):
        yield Auction(f"one item, {name} price", rule, items, {"A": items})


def scored(settings: LearnedSettings, auction: Auction, user_weight: float, seed: int) -> Iterator[Row]:
    """Yield one auction's rows: what bidders lose by not lying and by having learned, what the auction gives."""
    game = AuctionGame(auction.mechanism, auction.substrate, PRIOR, rounds=1, dtype=torch.float64)
    n = auction.substrate.num_bidders
    draws = settings.deviation_draws
    honest = evaluate(game, [Truthful()] * n, draws=draws, seed=EVALUATED + seed).exploitability
    for learner in settings.learners:
        strategies = learned(settings, auction, learner, seed)
        key = {"user_weight": user_weight, "mechanism": auction.name, "learner": learner, "seed": seed}
        found = evaluate(game, strategies, draws=draws, seed=EVALUATED + seed)
        yield {
            "table": "bidders",
            **key,
            "bid_ratio": sum(one.bid_ratio for one in found.bidders) / n,
            "from_truth": sum(one.from_truth for one in found.bidders) / n,
            **spread("exploitability_truth", honest.value, honest.interval),
            **spread("exploitability_learned", found.exploitability.value, found.exploitability.interval),
            "draws": draws,
        }
        for replicate, place in auction.scored.items():
            yield from play_rows(auction, place, strategies, settings.draws, key | {"replicate": replicate})


def spread(name: str, value: float, interval: Interval) -> Row:
    """Return a value with its interval's ends as columns."""
    return {name: value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def learned(settings: LearnedSettings, auction: Auction, learner: str, seed: int) -> list[Strategy]:
    """Return what bidders learned in an auction."""
    if learner == "equilibrium":
        climbing = EquilibriumLearner(auction.mechanism, auction.substrate, PRIOR, seed=seed, batch=settings.batch)
        return climbing.train(settings.updates)
    hedging = ExponentialWeights(
        auction.mechanism, auction.substrate, PRIOR, seed=seed, bids=settings.bids, batch=settings.field
    )
    return hedging.train(settings.rounds)


@torch.no_grad()
def play_rows(
    auction: Auction, place: Substrate, strategies: Sequence[Strategy], draws: int, key: Row
) -> Iterator[Row]:
    """Yield what truthful and learned play give on the same valuations and contexts, and the paired change."""
    generator = torch.Generator().manual_seed(EVALUATED + int(key["seed"]))
    n = place.num_bidders
    valuations = torch.rand(draws, n, 1, generator=generator, dtype=torch.float64)
    valuations = torch.stack([PRIOR.quantile(valuations[:, i]) for i in range(n)], 1)
    names = contexts_of(place)
    context = torch.randint(len(names), (draws,), generator=generator) if names else None
    bids = torch.stack([play(valuations[:, i]) for i, play in enumerate(strategies)], 1)
    weight = float(key["user_weight"])
    told = play_samples(auction, place, valuations, valuations, context, weight)
    bid = play_samples(auction, place, bids, valuations, context, weight)
    for quantity in QUANTITIES:
        for play, samples in (
            ("truth", told[quantity]),
            ("learned", bid[quantity]),
            ("change", bid[quantity] - told[quantity]),
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


class Seeds(NamedTuple):
    """A mean over seeds with its 95 % interval; over one seed alone, the interval of its draws."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def over_seeds(values: Sequence[float], within: Interval) -> Seeds:
    """Return Student's interval over seeds; `within` is taken where there is only one."""
    if len(values) < 2:
        return Seeds(values[0], *within)
    return Seeds(sum(values) / len(values), *mean_interval(torch.tensor(values, dtype=torch.float64)))


def play_over_seeds(plays: Sequence[Row], play: str, quantity: str, **key: object) -> Seeds:
    """Return one quantity of one play over seeds, on A unless told otherwise."""
    wanted = {"replicate": "A", "play": play, "quantity": quantity, **key}
    own = [row for row in plays if all(row[name] == value for name, value in wanted.items())]
    reach = 1.96 * own[0]["standard_error"]
    return over_seeds([row["mean"] for row in own], Interval(own[0]["mean"] - reach, own[0]["mean"] + reach))


def bidders_over_seeds(bidders: Sequence[Row], name: str, **key: object) -> Seeds:
    """Return a bidders' number over seeds. A bid ratio has no interval of its own within a seed."""
    own = [row for row in bidders if all(row[part] == value for part, value in key.items())]
    first = own[0]
    return over_seeds(
        [row[name] for row in own],
        Interval(first.get(f"{name}_low", first[name]), first.get(f"{name}_high", first[name])),
    )


def moved(change: Seeds) -> str:
    """Say where a change goes: it rises or falls if the interval leaves out 0."""
    return "rises" if change.low > 0 else "falls" if change.high < 0 else "does not move measurably"


def verdict(exploitable: Sequence[Seeds]) -> str:
    """Return what truth's exploitability, one a user weight, says of strategy-proofness.

    "does not hold" where every interval lies above 0, "holds" where every upper end is under `SMALL`, else "holds in
    part".
    """
    if all(one.low > 0 for one in exploitable):
        return "does not hold"
    return "holds" if all(one.high < SMALL for one in exploitable) else "holds in part"


def menu_claim(settings: LearnedSettings, bidders: Sequence[Row]) -> Claim:
    """Judge the menu's strategy-proofness by what the average bidder gains by its best reply to the truthful others."""
    keys = [{"user_weight": w, "mechanism": MENU, "learner": settings.learners[0]} for w in settings.user_weights]
    gains = [bidders_over_seeds(bidders, "exploitability_truth", **key) for key in keys]
    ratios = [bidders_over_seeds(bidders, "bid_ratio", **key) for key in keys]
    said = "; ".join(
        f"user weight {w:g}: {gain} in money, learned bids {ratio.mean:.2f} of valuations"
        for w, gain, ratio in zip(settings.user_weights, gains, ratios, strict=True)
    )
    evidence = (
        f"What the average bidder expects to gain by its best reply to the truthful others under the learned menu, "
        f"95 % over {len(settings.seeds)} seeds, {said}. Rule: it does not hold where every interval lies above 0, holds "
        f"where every upper end is under {SMALL:g}, else in part."
    )
    return Claim("strategy-proofness of the menu", verdict(gains), evidence)


def draw(settings: LearnedSettings, plays: Sequence[Row], path: Path) -> None:
    """Draw one panel a user weight and learner: an arrow a mechanism, from truth to what was learned."""
    weights, learners = settings.user_weights, settings.learners
    figure, axes = sheet(len(learners), len(weights), (6.5 * len(weights), 5 * len(learners)))
    panels = [(learner, weight) for learner in learners for weight in weights]
    for panel, (learner, weight) in zip(axes.flat, panels, strict=True):
        for k, name in enumerate(surface_names(plays)):
            key = {"user_weight": weight, "mechanism": name, "learner": learner}
            ends = [
                [play_over_seeds(plays, play, quantity, **key) for quantity in ("user_loss", "revenue")]
                for play in ("truth", "learned")
            ]
            (x0, y0), (x1, y1) = ends
            colour, mark = f"C{k}", MARKS[k % len(MARKS)]
            panel.plot(x0.mean, y0.mean, mark, color=colour, fillstyle="none", markersize=8)
            bars = {
                "xerr": [[x1.mean - x1.low], [x1.high - x1.mean]],
                "yerr": [[y1.mean - y1.low], [y1.high - y1.mean]],
            }
            panel.errorbar(x1.mean, y1.mean, **bars, fmt=mark, color=colour, elinewidth=0.8, label=name)
            arrow = {"arrowstyle": "->", "color": colour}
            panel.annotate("", (x1.mean, y1.mean), (x0.mean, y0.mean), arrowprops=arrow)
        panel.set(title=f"user weight {weight:g}, {learner}", xlabel="user loss", ylabel="revenue")
    axes.flat[0].legend(fontsize=8)
    saved(figure, path)


def surface_names(plays: Sequence[Row]) -> list[str]:
    """Return the mechanisms that were scored on both replicates: those on the surface."""
    return list(dict.fromkeys(row["mechanism"] for row in plays if row["replicate"] == "B"))


def prose(settings: LearnedSettings, plays: Sequence[Row], bidders: Sequence[Row]) -> str:
    """Say what learning does to the bids, the platform and the user."""
    paragraphs = [
        f"Two-sided play on `{settings.surface}`, {settings.feature}, valuations U[0, 1], mechanisms designed on "
        f"replicate A, {len(settings.seeds)} seeds (of mechanisms' training, learning and valuations), {settings.draws} "
        f"auctions a seed; [95 % intervals over seeds]. Learners: {', '.join(settings.learners)}. Exploitability is what "
        f"the average bidder gains by its best reply. The KL tilt (temperature {settings.temperature:g}) sells "
        f"distributions over the measured interventions; its reference gives the untouched model {settings.untouched:g}. "
        f"Items have no user."
    ]
    for learner in settings.learners:
        for weight in settings.user_weights:
            names = list(dict.fromkeys(row["mechanism"] for row in plays if row["user_weight"] == weight))
            keys = [{"user_weight": weight, "mechanism": name, "learner": learner} for name in names]
            paragraphs += [
                f"**User weight {weight:g}, {learner}: bids.**",
                markdown_table([bid_line(bidders, key) for key in keys]),
                "**What the auction gives, truth → learned, and the paired change (A).**",
                markdown_table([play_line(plays, key) for key in keys]),
                markdown_table([change_line(plays, key) for key in keys if key["mechanism"] in surface_names(plays)]),
                *findings(plays, bidders, learner, weight),
            ]
    return "\n\n".join(paragraphs)


def bid_line(bidders: Sequence[Row], key: Row) -> dict[str, str]:
    names = {
        "bid / valuation": "bid_ratio",
        "exploitability of truth": "exploitability_truth",
        "of learned play": "exploitability_learned",
    }
    return {
        "mechanism": str(key["mechanism"]),
        **{said: str(bidders_over_seeds(bidders, name, **key)) for said, name in names.items()},
    }


def play_line(plays: Sequence[Row], key: Row) -> dict[str, str]:
    line = {"mechanism": str(key["mechanism"])}
    for quantity in QUANTITIES:
        truth, bid = (play_over_seeds(plays, play, quantity, **key) for play in ("truth", "learned"))
        line[quantity.replace("_", " ")] = f"{truth.mean:.4f} → {bid.mean:.4f}"
    return line


def change_line(plays: Sequence[Row], key: Row) -> dict[str, str]:
    changes = {f"change of {q.replace('_', ' ')}": play_over_seeds(plays, "change", q, **key) for q in QUANTITIES}
    deployed = play_over_seeds(plays, "learned", "revenue", **key, replicate="B")
    return {
        "mechanism": str(key["mechanism"]),
        **{name: str(change) for name, change in changes.items()},
        "learned revenue on B": f"{deployed.mean:.4f}",
    }


def findings(plays: Sequence[Row], bidders: Sequence[Row], learner: str, weight: float) -> Iterator[str]:
    """Yield sentences on the untruthful mechanisms, then on the truthful ones together."""
    honest = []
    for name in surface_names(plays):
        key = {"user_weight": weight, "mechanism": name, "learner": learner}
        changes = {q: play_over_seeds(plays, "change", q, **key) for q in ("revenue", "user_loss", "bidder_utility")}
        if name not in (MENU, PAY_AS_BID):
            honest.append((name, bidders_over_seeds(bidders, "bid_ratio", **key), changes["revenue"]))
            continue
        truth = {q: play_over_seeds(plays, "truth", q, **key).mean for q in ("revenue", "user_loss")}
        gain = bidders_over_seeds(bidders, "exploitability_truth", **key)
        is_open = "leaves a gain to lies" if gain.low > 0 else "leaves no gain to lies that is measurable"
        shares = ", ".join(
            f"{q.replace('_', ' ')} {moved(changes[q])}"
            + (f" ({100 * changes[q].mean / base:+.0f} %)" if base > 0 else "")
            for q, base in truth.items()
        )
        yield (
            f"- **{name}**: truth {is_open} ({gain}); once bidders have learned, {shares}, and what bidders earn "
            f"{moved(changes['bidder_utility'])}."
        )
    furthest = max(honest, key=lambda one: abs(one[1].mean - 1))
    most = max(honest, key=lambda one: abs(one[2].mean))
    yield (
        f"- **Truthful mechanisms**: the learned bid / valuation furthest from 1 is {furthest[1].mean:.3f} "
        f"({furthest[0]}); the largest change of revenue is {most[2]} ({most[0]})."
    )
