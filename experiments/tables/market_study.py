"""The market study's answers: a table per question, intervals over seeds, and verdicts by rule."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

import numpy as np
import torch

from auctionsim.experiments.running.market_questions import PACED, POPULATIONS, TRUTH
from auctionsim.experiments.running.market_worlds import FIRST, MENU, OPTIMUM, TRUTHFUL
from auctionsim.experiments.running.run import Row, markdown_table
from auctionsim.metrics import mean_interval

TOLERATED = 0.02
"""Of the best rule's revenue: what a rule may lose against other bidders and still survive."""
LABELS = {MENU: "the paper's menu", TRUTHFUL: "VCG", OPTIMUM: "the optimum", FIRST: "pay-as-bid"}
RULES = (TRUTHFUL, MENU, OPTIMUM, FIRST)


class SeedMean(NamedTuple):
    """A mean over seeds with its 95 % interval by Student's t."""

    mean: float
    low: float
    high: float

    def text(self, scale: float = 1.0, digits: int = 3) -> str:
        """Return the numbers as tables show them."""
        return f"{scale * self.mean:.{digits}f} [{scale * self.low:.{digits}f}, {scale * self.high:.{digits}f}]"


class MarketAnswer(NamedTuple):
    """The answer to a question.

    Attributes:
        question: As it was asked.
        verdicts: A sentence per case, by the rule.
        rule: By which numbers become a verdict.
        table: Markdown.
        lines: The table's numbers, tidy.
    """

    question: str
    verdicts: tuple[str, ...]
    rule: str
    table: str
    lines: list[Row]


def over_seeds(samples: Iterable[float]) -> SeedMean:
    """Return the mean of one number per seed; two seeds at least."""
    values = np.fromiter(samples, dtype=np.float64)
    interval = mean_interval(torch.from_numpy(values))
    return SeedMean(float(values.mean()), interval.low, interval.high)


def _seeds(rows: Sequence[Row]) -> list[int]:
    return sorted({row["seed"] for row in rows})


def _only(rows: Sequence[Row], wanted: Mapping[str, object]) -> list[Row]:
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def regret_answer(rows: Sequence[Row]) -> MarketAnswer:
    """Return whether pacing makes the menu's regret matter less or more."""
    lines: list[Row] = []
    for rule in (MENU, TRUTHFUL):
        for shortlist in ("free", "priced"):
            own = _only(rows, {"rule": rule, "shortlist": shortlist})
            shares = {
                population.name: [
                    _share(_only(own, {"seed": seed, "population": population.name})) for seed in _seeds(own)
                ]
                for population in (TRUTH, PACED)
            }
            before, after = (over_seeds(shares[population.name]) for population in (TRUTH, PACED))
            change = over_seeds(np.subtract(shares[PACED.name], shares[TRUTH.name]))
            frozen = {
                one.name: [
                    _share(_only(own, {"seed": seed, "population": one.name}), "frozen_") for seed in _seeds(own)
                ]
                for one in (TRUTH, PACED)
            }
            lines.append(
                {
                    "rule": rule,
                    "shortlist": shortlist,
                    "truth": before,
                    "paced": after,
                    "change": change,
                    "frozen_truth": over_seeds(frozen[TRUTH.name]),
                    "frozen_paced": over_seeds(frozen[PACED.name]),
                    "frozen_change": over_seeds(np.subtract(frozen[PACED.name], frozen[TRUTH.name])),
                    "frozen_exact": all(row["frozen_exact"] for row in own),
                }
            )
    sentences = [
        f"{LABELS[line['rule']]} behind a {line['shortlist']} shortlist: pacing makes what a campaign gains "
        f"{_direction(line['change'])} ({line['change'].text(100, 2)} points of value), and what free bids would "
        f"gain in one tick {_direction(line['frozen_change'])} ({line['frozen_change'].text(100, 2)})"
        for line in lines
    ]
    table = [
        {
            "rule": LABELS[line["rule"]],
            "shortlist": line["shortlist"],
            "gain, truth, % of value": line["truth"].text(100, 2),
            "gain, paced, % of value": line["paced"].text(100, 2),
            "paced less truth": line["change"].text(100, 2),
            "free bids, one tick, truth": line["frozen_truth"].text(100, 2),
            "free bids, paced": line["frozen_paced"].text(100, 2),
            "the latter are": "exact" if line["frozen_exact"] else "at least",
        }
        for line in lines
    ]
    return MarketAnswer(
        "Does pacing make the menu's regret matter less or more?",
        tuple(sentences),
        "Less or more where the 95 % interval of the paired difference excludes 0. A gain is what the best of four "
        "factors on all of a campaign's bids brings, the others reacting as they are run: at least so much. Free "
        "bids are one for each query type and signal, in the last tick, all else held; to a paced campaign an exposure "
        "is worth its multiplier times its valuation there.",
        markdown_table(table),
        [_flat(line) for line in lines],
    )


def _share(rows: Sequence[Row], of: str = "") -> float:
    return float(sum(row[f"{of}gain"] for row in rows) / sum(row[f"{of}value"] for row in rows))


def _direction(change: SeedMean) -> str:
    if change.high < 0:
        return "**less**"
    return "**more**" if change.low > 0 else "**neither more nor less** for sure"


def revenue_answer(rows: Sequence[Row]) -> MarketAnswer:
    """Return what a truthful rule costs in revenue against each population."""
    lines: list[Row] = []
    for population in POPULATIONS:
        own = _only(rows, {"population": population.name})
        line: Row = {"population": population.name}
        for rule in RULES:
            chosen = _only(own, {"rule": rule})
            line[rule] = over_seeds(row["revenue"] for row in chosen)
            line[f"welfare {rule}"] = over_seeds(row["liquid_welfare"] for row in chosen)
            line[f"missed {rule}"] = over_seeds(row["short_of_target"] for row in chosen)
        for truthful in (TRUTHFUL, OPTIMUM):
            for other in (MENU, FIRST):
                line[f"{truthful} of {other}"] = over_seeds(
                    _one(own, seed, truthful) / max(_one(own, seed, other), 1e-12) for seed in _seeds(own)
                )
        lines.append(line)
    sentences = [
        f"Against {line['population']}: "
        + ", ".join(
            f"{LABELS[truthful]} {_verb(line[f'{truthful} of {other}'])} {LABELS[other]} "
            f"({line[f'{truthful} of {other}'].text(100, 1)} %)"
            for other in (FIRST, MENU)
            for truthful in (TRUTHFUL, OPTIMUM)
        )
        for line in lines
    ]
    table = [
        {
            "bidders": line["population"],
            **{LABELS[rule]: line[rule].text(1, 1) for rule in RULES},
            **{
                f"{LABELS[truthful]}, % of {LABELS[other]}": line[f"{truthful} of {other}"].text(100, 1)
                for truthful in (TRUTHFUL, OPTIMUM)
                for other in (MENU, FIRST)
            },
        }
        for line in lines
    ]
    welfare = [
        {"bidders": line["population"], **{LABELS[rule]: line[f"welfare {rule}"].text(1, 1) for rule in RULES}}
        for line in lines
    ]
    missed = [
        {"bidders": line["population"], **{LABELS[rule]: line[f"missed {rule}"].text(100, 1) for rule in RULES}}
        for line in lines
    ]
    return MarketAnswer(
        "What does a truthful rule cost in revenue once bidders are autobidders?",
        tuple(sentences),
        "Earns less or more where the 95 % interval of the ratio excludes 100 %. VCG and the optimum are truthful on "
        "the exposure that they sell, for bidders who maximise value less payment; nobody would bid the truth under "
        "pay-as-bid, whose revenue there is what a platform would hope for: that of learned shading is nearer to what "
        "it gets.",
        "\n\n".join(
            (
                markdown_table(table),
                "Liquid welfare per day, Σ min(budget, value over target):",
                markdown_table(welfare),
                "Value short of target · spend, % of it (targets are followed, not kept as a cap):",
                markdown_table(missed),
            )
        ),
        [_flat(line) for line in lines],
    )


def _one(rows: Sequence[Row], seed: int, rule: str) -> float:
    return float(_only(rows, {"seed": seed, "rule": rule})[0]["revenue"])


def _verb(share: SeedMean) -> str:
    if share.high < 1:
        return "**earns less than**"
    return "**earns more than**" if share.low > 1 else "**is not told apart from**"


def retention_answer(rows: Sequence[Row], days: int) -> MarketAnswer:
    """Return how far the user weight may fall before users who leave make it a loss."""
    weights, sentences, lines = sorted({row["user_weight"] for row in rows}), [], []
    for sensitivity in sorted({row["sensitivity"] for row in rows}):
        own = _only(rows, {"sensitivity": sensitivity})
        revenue = {
            weight: [_only(own, {"seed": seed, "user_weight": weight})[0]["revenue"] for seed in _seeds(own)]
            for weight in weights
        }
        best = max(weights, key=lambda weight: float(np.mean(revenue[weight])))
        behind = {weight: over_seeds(np.subtract(revenue[best], revenue[weight])) for weight in weights}
        below = [weight for weight in reversed(weights) if weight < best]
        fit = [best, *takewhile(lambda weight: behind[weight].low <= 0, below)]  # noqa: B023  # used at once
        lost = over_seeds(np.divide(behind_of(revenue, best, weights[0]), revenue[best]))
        sentences.append(
            f"At a sensitivity of {sensitivity:g} per unit of reply_kl the most is earned at a user weight of "
            f"{best:g}; it may fall to {min(fit):g} before revenue over {days} days is less for sure, and at "
            f"{weights[0]:g} it is less by {lost.text(100, 1)} %"
        )
        for weight in weights:
            chosen = _only(own, {"user_weight": weight})
            lines.append(
                {
                    "sensitivity": sensitivity,
                    "user_weight": weight,
                    "revenue": over_seeds(revenue[weight]),
                    "users_left": over_seeds(row["users_left"] for row in chosen),
                    "first_day": over_seeds(row["first_day"] for row in chosen),
                    "last_day": over_seeds(row["last_day"] for row in chosen),
                    "user_loss": over_seeds(row["user_loss"] for row in chosen),
                }
            )
    table = [
        {
            "sensitivity, per unit of reply_kl": f"{line['sensitivity']:g}",
            "user weight": f"{line['user_weight']:g}",
            f"revenue over {days} days": line["revenue"].text(1, 1),
            "on the first day": line["first_day"].text(1, 2),
            "on the last": line["last_day"].text(1, 2),
            "users left, %": line["users_left"].text(100, 1),
            "reply_kl per query, first day": line["user_loss"].text(1, 2),
        }
        for line in lines
    ]
    return MarketAnswer(
        "How far may the user weight fall before retention makes it a loss?",
        tuple(sentences),
        "Going down from the best weight, the last before one whose revenue is below the best one's by a 95 % "
        "interval of the paired difference. "
        "Sensitivities are inputs: no user was asked.",
        markdown_table(table),
        [_flat(line) for line in lines],
    )


def behind_of(revenue: dict[float, list[float]], best: float, weight: float) -> np.ndarray:
    """Return by how much a weight's revenue is behind the best one's, per seed."""
    return np.subtract(revenue[best], revenue[weight])


def survival_answer(learned: Sequence[Row], fixed: Sequence[Row]) -> MarketAnswer:
    """Return whether the rule that a platform learned against some bidders still earns against others.

    Args:
        learned: One row per seed, set of rules and population that the platform learned against.
        fixed: What each rule earns against each population, of the same seeds.
    """
    lines, sentences, tables = [], [], []
    for rules in sorted({row["rules"] for row in learned}):
        own = _survival_lines(
            _only(learned, {"rules": rules}), [row for row in fixed if row["rule"] in rules.split(", ")]
        )
        moved = [line for line in own if line["learned_against"] != line["met"]]
        counts = {word: sum(line["verdict"] == word for line in moved) for word in ("survives", "fails", "not told")}
        found = ", ".join(
            f"{LABELS[line['rule']]} against {line['met']}" for line in own if line["learned_against"] == line["met"]
        )
        title = f"Among {', '.join(LABELS[name] for name in rules.split(', '))}"
        sentences.append(
            f"{title} it learns {found}. Met by other bidders, what it learned survives in {counts['survives']} of "
            f"{len(moved)} cases, fails in {counts['fails']}, and in {counts['not told']} it is not told"
        )
        tables += [f"{title}:", markdown_table(_survival_table(own))]
        lines += [{"rules": rules, **line} for line in own]
    return MarketAnswer(
        "Does the platform's learned rule survive a change of bidders?",
        tuple(sentences),
        f"A rule survives where it loses at most {100 * TOLERATED:g} % of the revenue of the best of its set against "
        "the bidders that it meets, the whole 95 % interval; it fails where the interval lies above.",
        "\n\n".join(tables),
        [_flat(line) for line in lines],
    )


def _survival_lines(learned: Sequence[Row], fixed: Sequence[Row]) -> list[Row]:
    """Return what a set's learned rules lose, by the bidders that they learned against and those that they meet."""
    lines: list[Row] = []
    for own in POPULATIONS:
        rows = _only(learned, {"learned_against": own.name})
        chosen = [row["rule"] for row in rows]
        usual = max(sorted(set(chosen)), key=chosen.count)
        for other in POPULATIONS:
            met = _only(fixed, {"population": other.name})
            lost = over_seeds(_lost(_only(met, {"seed": row["seed"]}), row["rule"]) for row in rows)
            lines.append(
                {
                    "learned_against": own.name,
                    "met": other.name,
                    "rule": usual,
                    "agreed": chosen.count(usual) / len(chosen),
                    "lost": lost,
                    "verdict": _survives(lost),
                }
            )
    return lines


def _survival_table(lines: Sequence[Row]) -> list[dict[str, str]]:
    table = []
    for own in POPULATIONS:
        mine = _only(lines, {"learned_against": own.name})
        named = f"{LABELS[mine[0]['rule']]} ({100 * mine[0]['agreed']:.0f} % of seeds)"
        cells = {f"loses against {line['met']}": f"{line['lost'].text(100, 1)} %: {line['verdict']}" for line in mine}
        table.append({"learned against": own.name, "rule": named, **cells})
    return table


def _lost(rows: Sequence[Row], rule: str) -> float:
    revenue = {row["rule"]: row["revenue"] for row in rows}
    return float(1 - revenue[rule] / max(revenue.values()))


def _survives(lost: SeedMean) -> str:
    if lost.high <= TOLERATED:
        return "survives"
    return "fails" if lost.low > TOLERATED else "not told"


def _flat(line: Row) -> Row:
    """Return a line with means and their ends as columns of their own."""
    flat: Row = {}
    for name, value in line.items():
        column = name.replace(" ", "_").replace("-", "_")
        if isinstance(value, SeedMean):
            flat |= {column: value.mean, f"{column}_low": value.low, f"{column}_high": value.high}
        else:
            flat[column] = value
    return flat
