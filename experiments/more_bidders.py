"""What two, three, four and five bidders change: every market that a measured list of subsets holds.

auctionsim auction more-bidders --out runs/more-bidders
"""

import itertools
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from auctionsim.comparison import compare
from auctionsim.experiments.auctions import AFFINE, MENU, OPTIMUM, PAY_AS_BID, PRIOR
from auctionsim.experiments.comparing import tidy
from auctionsim.experiments.comparison_figures import MARKS, saved, sheet
from auctionsim.experiments.running import Claim, Row, Run, Section, markdown_table, with_error
from auctionsim.experiments.subsets import market_of
from auctionsim.mechanisms import (
    VCG,
    Mechanism,
    PayAsBid,
    VirtualWelfareMaximizer,
    train_affine_maximizer,
    train_menu,
)
from auctionsim.substrates import MeasuredList, ResponseSurface
from auctionsim.substrates.measurements import REPLICATES

MECHANISMS = (OPTIMUM, AFFINE, MENU, "VCG", PAY_AS_BID)
ITEMS = ("one item, Myerson", "one item, second price")
NUMBERS = ("revenue", "user_loss", "objective", "objective_share", "bidder_utility", "regret", "ir_violation")
PANELS = ("revenue", "user_loss", "objective_share", "regret")
NOTHING = 1e-9  # of money: an optimum below it is rounding
CLEAR = 2.0  # standard errors from which on a change over n has a direction


@dataclass(frozen=True)
class MoreBiddersSettings:
    """Which markets, and how mechanisms are made and scored.

    Attributes:
        measured: The list's name, for titles and run.json.
        folder: Run folder.
        feature: What is sold.
        sizes: How many bidders, ascending.
        most_markets: Of one size, evenly among all subsets of the brands in order.
        user_weights: λ at each of which every mechanism is designed, on replicate A.
        draws: Truthful profiles for the means.
        regret_draws: Profiles among them that regret is searched on.
        regret_budget: Misreports for each and bidder.
        entries: Of the menu, besides the null: one lever has few settings that matter.
        menu_steps: Of its training.
        affine_steps: Of the affine maximizer's.
        seed: Of everything.
    """

    measured: str
    folder: Path
    feature: str = "slot_probability"
    sizes: tuple[int, ...] = (2, 3, 4, 5)
    most_markets: int = 5
    user_weights: tuple[float, ...] = (0.0, 1.0)
    draws: int = 4096
    regret_draws: int = 64
    regret_budget: int = 128
    entries: int = 4
    menu_steps: int = 200
    affine_steps: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or self.sizes[0] < 1 or list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(f"sizes must be two or more ascending numbers of bidders, got {self.sizes}")
        if self.most_markets < 1 or not self.user_weights:
            raise ValueError(f"markets and user weights are needed, got {self.most_markets} and {self.user_weights}")


class Market(NamedTuple):
    """What was found.

    Attributes:
        rows: One a size, market, user weight, mechanism and replicate, flat as `comparing.tidy` writes them.
        means: One a size, user weight, mechanism, replicate and number: mean over markets, standard error, extremes.
        seconds: One a size, market, user weight and mechanism: CPU seconds of its design, on this machine.
        section: Of the results.
    """

    rows: tuple[Row, ...]
    means: tuple[Row, ...]
    seconds: tuple[Row, ...]
    section: Section


def main(settings: MoreBiddersSettings, measured: MeasuredList, command: str, console: Console) -> Market:
    """Hold every auction in every market, and write tables, a figure and what they say.

    Args:
        settings: What to do.
        measured: Every subset of its brands, amplified or not.
        command: What the user typed, for run.json.
        console: Told where it all is.
    Raises:
        ValueError: More bidders than brands, or a subset that was not measured.
    """
    if settings.sizes[-1] > measured.num_bidders:
        raise ValueError(f"{settings.measured} has {measured.num_bidders} brands, got sizes {settings.sizes}")
    run = Run(settings.folder, settings, {"measured": measured.digest})
    names = brand_list(measured)
    rows: list[Row] = []
    for size in settings.sizes:
        for bidders in markets(measured.num_bidders, size, settings.most_markets):
            market = ", ".join(names[i] for i in bidders)
            console.print(f"{size} bidders: {market}")
            surface = market_of(measured, bidders).sell(settings.feature)
            rows += run.part(
                f"{size} {'-'.join(map(str, bidders))}",
                lambda s=surface, m=market: list(auctioned(settings, s, m)),  # type: ignore[misc]
            )
    seconds = [row for row in rows if "seconds" in row]
    rows = [row for row in rows if "seconds" not in row]
    means = [*averaged(rows), *item_means(settings.sizes)]
    draw(settings, means, settings.folder / "more_bidders.png")
    section = Section(
        f"From {settings.sizes[0]} to {settings.sizes[-1]} bidders",
        prose(settings, rows, means, seconds),
        {"more_bidders.png": "Means over markets on replicate A, one standard error; one item's closed forms grey"},
        (menu_claim(settings, rows),),
    )
    run.finish({"markets": rows, "means": means, "seconds": seconds}, section, command=command, console=console)
    return Market(tuple(rows), tuple(means), tuple(seconds), section)


def brand_list(measured: MeasuredList) -> tuple[str, ...]:
    """Return the brands' names, numbers where the provenance has none."""
    listed = measured.provenance.get("brands", [])
    names = tuple(brand if isinstance(brand, str) else brand[0] for brand in listed)
    return names if len(names) == measured.num_bidders else tuple(f"bidder {i}" for i in range(measured.num_bidders))


def markets(brands: int, size: int, most: int) -> list[tuple[int, ...]]:
    """Return at most so many subsets of a size, evenly spaced among all in lexicographic order."""
    every = list(itertools.combinations(range(brands), size))
    count = min(most, len(every))
    return [every[k * len(every) // count] for k in range(count)]


def auctioned(settings: MoreBiddersSettings, surface: ResponseSurface, market: str) -> Iterator[Row]:
    """Yield one market's rows: every mechanism, weight and replicate, then each design's CPU seconds."""
    for weight in settings.user_weights:
        mechanisms: dict[str, Mechanism] = {}
        key = {"n": surface.num_bidders, "market": market}
        for name in MECHANISMS:
            began = time.process_time()
            mechanisms[name] = designed_rule(settings, surface, name, weight)
            seconds = time.process_time() - began
            yield {**key, "user_weight": weight, "mechanism": name, "seconds": round(seconds, 3)}
        found = compare(
            mechanisms,
            surface,
            PRIOR,
            weight,
            seed=settings.seed,
            draws=settings.draws,
            regret_draws=min(settings.regret_draws, settings.draws),
            regret_budget=settings.regret_budget,
        )
        for row in tidy(found):
            yield key | row


def designed_rule(settings: MoreBiddersSettings, surface: ResponseSurface, name: str, weight: float) -> Mechanism:
    """Return one mechanism, designed on replicate A."""
    if name == OPTIMUM:
        return VirtualWelfareMaximizer(surface, PRIOR, weight)
    if name == AFFINE:
        return train_affine_maximizer(surface, PRIOR, weight, steps=settings.affine_steps, seed=settings.seed)
    if name == MENU:
        entries, steps = settings.entries, settings.menu_steps
        return train_menu(surface, PRIOR, weight, entries=entries, steps=steps, seed=settings.seed)
    return VCG(surface, weight) if name == "VCG" else PayAsBid(surface, weight)


def averaged(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield means over markets, with the standard error over markets, which share brands; one market's is of draws."""
    # one market's share of the optimum is a ratio of means and has no error
    keys = ("n", "user_weight", "mechanism", "replicate")
    for key in dict.fromkeys(tuple(row[name] for name in keys) for row in rows):
        own = [row for row in rows if tuple(row[name] for name in keys) == key]
        for number in NUMBERS:
            if number == "objective_share":
                yield from share_of_sums(rows, own, dict(zip(keys, key, strict=True)))
                continue
            values = [float(row[number]) for row in own if row[number] is not None]
            if not values:
                continue
            error = (
                statistics.stdev(values) / math.sqrt(len(values))
                if len(values) > 1
                else own[0].get(f"{number}_standard_error")
            )
            yield {
                **dict(zip(keys, key, strict=True)),
                "number": number,
                "mean": statistics.fmean(values),
                "standard_error": error,
                "low": min(values),
                "high": max(values),
                "markets": len(values),
            }


def share_of_sums(rows: Sequence[Row], own: Sequence[Row], key: Row) -> Iterator[Row]:
    """Yield one mechanism's Σ objective / Σ optimum over markets; in some markets the optimum is to sell nothing.

    The standard error is the ratio's, by its residuals over markets; extremes are over markets whose optimum is not 0.
    """
    same = ("n", "market", "user_weight", "replicate")
    best = [
        max(
            row["objective"] / row["objective_share"]
            for row in rows
            if row["objective_share"] and all(row[name] == one[name] for name in same)
        )
        if any(row["objective_share"] and all(row[name] == one[name] for name in same) for row in rows)
        else 0.0
        for one in own
    ]
    if sum(best) <= NOTHING:
        return
    share = sum(row["objective"] for row in own) / sum(best)
    residuals = [row["objective"] - share * optimum for row, optimum in zip(own, best, strict=True)]
    error = statistics.stdev(residuals) * math.sqrt(len(own)) / sum(best) if len(own) > 1 else None
    each = [row["objective"] / optimum for row, optimum in zip(own, best, strict=True) if optimum > NOTHING]
    ends = {"low": min(each), "high": max(each), "markets": len(own)}
    yield {**key, "number": "objective_share", "mean": share, "standard_error": error, **ends}


def item_means(sizes: Sequence[int]) -> Iterator[Row]:
    """Yield one item's revenue among n × U[0, 1]: Myerson, reserve ½, and second price without one, in closed form."""
    for n in sizes:
        optimal = 2 * n / (n + 1) * (1 - 2.0 ** -(n + 1)) - (1 - 2.0**-n)
        for name, revenue in zip(ITEMS, (optimal, (n - 1) / (n + 1)), strict=True):
            exact = {"standard_error": 0.0, "low": revenue, "high": revenue, "markets": 0}
            key = {"n": n, "user_weight": 0.0, "mechanism": name, "replicate": "A", "number": "revenue"}
            yield {**key, "mean": revenue, **exact}


def mean_of(means: Sequence[Row], **key: object) -> Row | None:
    """Return one mean's row, None where there is none (a share of an optimum that is 0)."""
    return next((row for row in means if all(row[name] == value for name, value in key.items())), None)


def direction(first: Row, last: Row) -> str:
    """Say where a number goes from the fewest bidders to the most, if by `CLEAR` standard errors of the difference."""
    change = last["mean"] - first["mean"]
    error = math.hypot(first["standard_error"] or 0.0, last["standard_error"] or 0.0)
    if abs(change) <= CLEAR * error or change == 0:
        return "does not change clearly"
    return "rises" if change > 0 else "falls"


def menu_verdict(rows: Sequence[Row]) -> str:
    """Say whether the menu beats VCG at the same user weight, on A.

    "holds" where in every market its revenue at truthful bids and its objective with every bidder's best response are
    above VCG's revenue and objective; "does not hold" where not even its mean revenue is; "holds in part" else.
    """
    pairs = [(row, rival_of(rows, row)) for row in rows if (row["mechanism"], row["replicate"]) == (MENU, "A")]
    told = all(menu["revenue"] > vcg["revenue"] for menu, vcg in pairs)
    lied = all(played_best(menu) > vcg["objective"] for menu, vcg in pairs)
    if told and lied:
        return "holds"
    return "does not hold" if sum(menu["revenue"] - vcg["revenue"] for menu, vcg in pairs) <= 0 else "holds in part"


def rival_of(rows: Sequence[Row], menu: Row) -> Row:
    """Return VCG's row in the same market, on the same replicate, at the same weight."""
    same = ("n", "market", "user_weight", "replicate")
    return next(row for row in rows if row["mechanism"] == "VCG" and all(row[name] == menu[name] for name in same))


def played_best(row: Row) -> float:
    """Return the objective when every bidder answers the truthful others best: the truthful one where nobody gains."""
    value = row["objective_best_response"]
    return float(row["objective"] if value is None else value)


def menu_claim(settings: MoreBiddersSettings, rows: Sequence[Row]) -> Claim:
    """Judge the menu against VCG over all markets and weights."""
    pairs = [(row, rival_of(rows, row)) for row in rows if (row["mechanism"], row["replicate"]) == (MENU, "A")]
    told = sum(menu["revenue"] > vcg["revenue"] for menu, vcg in pairs)
    lied = sum(played_best(menu) > vcg["objective"] for menu, vcg in pairs)
    ratio = sum(menu["revenue"] for menu, _ in pairs) / sum(vcg["revenue"] for _, vcg in pairs)
    weights = ", ".join(f"{weight:g}" for weight in settings.user_weights)
    evidence = (
        f"{len(pairs)} markets and user weights ({weights}), {settings.sizes[0]} to {settings.sizes[-1]} "
        f"bidders, designed "
        f"and scored on A: the learned menu's revenue at truthful bids is above VCG's of the same user "
        f"weight in {told} "
        f"({ratio:.2f} of it on average); its objective when every bidder answers the truthful others best is above "
        f"VCG's in {lied}. Rule: holds where both are so in all, does not hold where mean truthful revenue "
        f"is not above, "
        f"else in part."
    )
    return Claim("menu against VCG revenue", menu_verdict(rows), evidence)


def draw(settings: MoreBiddersSettings, means: Sequence[Row], path: Path) -> None:
    """Draw one row of panels a user weight: numbers over n, on A."""
    figure, axes = sheet(len(settings.user_weights), len(PANELS), (4.6 * len(PANELS), 4 * len(settings.user_weights)))
    for line, weight in zip(axes, settings.user_weights, strict=True):
        for panel, number in zip(line, PANELS, strict=True):
            key = {"user_weight": weight, "replicate": "A", "number": number}
            for k, name in enumerate((*MECHANISMS, *ITEMS)):
                own = [mean_of(means, n=n, mechanism=name, **key) for n in settings.sizes]
                known = [row for row in own if row is not None]
                x, y, e = ([row[column] or 0.0 for row in known] for column in ("n", "mean", "standard_error"))
                style = {"color": "0.6", "linestyle": "--"} if name in ITEMS else {"color": f"C{k}"}
                panel.errorbar(x, y, yerr=e, marker=MARKS[k % len(MARKS)], markersize=4, label=name, **style)
            panel.set(title=f"{number.replace('_', ' ')}, user weight {weight:g}", xlabel="bidders")
            panel.set_xticks(settings.sizes)
            if number == "objective_share":
                panel.set_ylim(max(panel.get_ylim()[0], -0.5), min(panel.get_ylim()[1], 2.0))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    saved(figure, path)


def prose(settings: MoreBiddersSettings, rows: Sequence[Row], means: Sequence[Row], seconds: Sequence[Row]) -> str:
    """Say what more bidders bring the platform, cost the user, and do to each mechanism."""
    counts = {n: len({row["market"] for row in rows if row["n"] == n}) for n in settings.sizes}
    said = ", ".join(f"{count} of {n}" for n, count in counts.items())
    parts = [
        f"Markets among the brands of `{settings.measured}`: {said} bidders; each brand's neurons are amplified as "
        f"measured or not at all, {settings.feature} is sold, valuations U[0, 1], {settings.draws} truthful profiles. "
        f"Designed on A. Means over markets ± their standard error (markets of one size share brands, so it is too "
        f"small by what that correlates; with one market it is that of the drawn profiles)."
    ]
    for weight in settings.user_weights:
        parts += [f"**User weight {weight:g}, scored on A (share of the optimum on B, too).**"]
        parts += [markdown_table(list(mean_lines(settings, means, weight))), *findings(settings, means, weight)]
    parts += ["**CPU seconds a design takes on this machine, mean over markets and weights.**"]
    parts += [markdown_table(list(second_lines(settings, seconds)))]
    return "\n\n".join(parts)


def mean_lines(settings: MoreBiddersSettings, means: Sequence[Row], weight: float) -> Iterator[dict[str, str]]:
    for n in settings.sizes:
        for name in MECHANISMS:
            line = {"mechanism": name, "bidders": str(n)}
            for number in NUMBERS:
                for replicate in REPLICATES if number == "objective_share" else ("A",):
                    key = {"user_weight": weight, "mechanism": name, "replicate": replicate, "number": number}
                    found = mean_of(means, n=n, **key)
                    title = (
                        f"share of optimum, {replicate}" if number == "objective_share" else number.replace("_", " ")
                    )
                    line[title] = "–" if found is None else with_error(found["mean"], found["standard_error"])
            yield line


def findings(settings: MoreBiddersSettings, means: Sequence[Row], weight: float) -> Iterator[str]:
    """Yield what happens from the fewest bidders to the most: the optimum against one item, then each mechanism."""
    few, many = settings.sizes[0], settings.sizes[-1]

    def ends(name: str, number: str) -> tuple[Row, Row] | None:
        key = {"user_weight": weight, "mechanism": name, "replicate": "A", "number": number}
        first, last = (mean_of(means, n=n, **key) for n in (few, many))
        return None if first is None or last is None else (first, last)

    grown = ends(OPTIMUM, "revenue")
    items = [[row["mean"] for row in means if row["mechanism"] == name and row["n"] in (few, many)] for name in ITEMS]
    if grown is not None and grown[0]["mean"] > 0:
        yield (
            f"- From {few} to {many} bidders the optimum's revenue {direction(*grown)}: {grown[0]['mean']:.3f} to "
            f"{grown[1]['mean']:.3f}, × {grown[1]['mean'] / grown[0]['mean']:.2f}; one item's optimum grows × "
            f"{items[0][1] / items[0][0]:.2f}, its second price × {items[1][1] / items[1][0]:.2f}."
        )
    for name in MECHANISMS:
        told = []
        for number in ("user_loss", "objective_share", "regret", "ir_violation"):
            pair = ends(name, number)
            if (
                pair is None
                or (name == OPTIMUM and number == "objective_share")
                or not any(row["high"] for row in pair)
            ):
                continue
            said = number.replace("_", " ").replace("objective share", "share of the optimum")
            told.append(f"{said} {direction(*pair)} ({pair[0]['mean']:.3f} to {pair[1]['mean']:.3f})")
        yield f"- {name}: {'; '.join(told)}."


def second_lines(settings: MoreBiddersSettings, seconds: Sequence[Row]) -> Iterator[dict[str, str]]:
    for name in (AFFINE, MENU):
        line = {"mechanism": name}
        for n in settings.sizes:
            own = [row["seconds"] for row in seconds if (row["mechanism"], row["n"]) == (name, n)]
            line[f"{n} bidders"] = f"{statistics.fmean(own):.1f}"
        yield line
