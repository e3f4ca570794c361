"""The reference corpus as a section: who finds the equilibrium, who loses what, and where other bids paid.

Every sentence follows from the summary by a stated rule: intervals are Student's over seeds, 95 %.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from auctionsim.experiments.learners import CorpusLearner
from auctionsim.experiments.running.run import Row, Section, markdown_table
from auctionsim.experiments.tables.bidders_study import Seeds, moved, over_seeds
from auctionsim.metrics import Interval
from auctionsim.report.wording import NOTHING, number

TITLE = "The reference corpus: learners in every auction"
TOLERANCE = 0.01
"""Of what a bidder's exposure is worth where all tell the truth: less exploitability than that counts as none."""
FOUND, MISSED, OPEN = "found", "missed", "open"
CHANGES = {
    "revenue_change": "revenue",
    "user_loss_change": "the user's loss",
    "utility_change": "the bidders' utility",
}
"""Against the play in which all tell the truth, by what it is called."""
RULE = (
    "**Rules.** A learner has *found* an equilibrium where the upper end of its exploitability is at most "
    f"{TOLERANCE:.0%} of what a bidder's exposure is worth where all tell the truth; it has *missed* it where the "
    "lower end is above that; else it is *open*. Exploitability is of deviations that were tried: *found* says that "
    "none of them gains more. Something rises or falls where its interval leaves out 0, however little. A deviation "
    "was cheaper than truth where what learned bids earn above truthful ones, against the same others, lies above 0."
)


def summary_rows(rows: Sequence[Row]) -> list[Row]:
    """Return a row for each environment and learner: means of bidders with intervals over seeds, and the verdict.

    Args:
        rows: Of the corpus, one a bidder.
    """
    pairs = dict.fromkeys((row["environment"], row["learner"]) for row in rows)
    return [_summary([row for row in rows if (row["environment"], row["learner"]) == pair]) for pair in pairs]


def _summary(rows: Sequence[Row]) -> Row:
    first = rows[0]
    worth = sum(row["worth"] for row in rows) / len(rows)
    gain = _spread(rows, "exploitability", "exploitability_low", "exploitability_high")
    means: dict[str, Seeds | None] = {
        "exploitability": gain,
        "over_truth": _spread(rows, "over_truth"),
        "bid_ratio": _spread(rows, "bid_ratio"),
        "distance_to_equilibrium": _spread(rows, "distance_to_equilibrium"),
        "revenue_change": _difference(rows, "revenue", "truthful_play_revenue"),
        "user_loss_change": _difference(rows, "user_loss", "truthful_play_user_loss"),
        "utility_change": _difference(rows, "utility", "truthful_play_utility"),
    }
    wide = {
        f"{name}{end}": None if one is None else value
        for name, one in means.items()
        for end, value in zip(("", "_low", "_high"), one or (None,) * 3, strict=True)
    }
    return {
        **{name: first[name] for name in ("environment", "learner", "constraint")},
        "seeds": len({row["seed"] for row in rows}),
        "verdict": _verdict(gain, TOLERANCE * worth) if gain is not None else OPEN,
        "worth": worth,
        **wide,
        "over_budget": _over_budget(rows),
        "seconds": sum(row["seconds"] for row in rows) / len(rows),
        "steps": first["steps"],
    }


def _verdict(gain: Seeds, tolerance: float) -> str:
    if gain.high <= tolerance:
        return FOUND
    return MISSED if gain.low > tolerance else OPEN


def _over_budget(rows: Sequence[Row]) -> float | None:
    """Return the largest spend above a budget, as a share of it; None without budgets."""
    shares = [row["spend"] / row["budget"] - 1 for row in rows if row["budget"] is not None]
    return max(shares) if shares else None


def _spread(rows: Sequence[Row], name: str, low: str = "", high: str = "") -> Seeds | None:
    """Return a column's mean over bidders with its interval over seeds; None where a row lacks it.

    Of one seed alone it is the interval of its draws where the columns of the ends are named, else none that tells.
    """
    if any(row[name] is None for row in rows):
        return None
    return _over_seeds(rows, lambda row: float(row[name]), (low, high))


def _difference(rows: Sequence[Row], name: str, less: str) -> Seeds:
    return _over_seeds(rows, lambda row: float(row[name]) - float(row[less]), ("", ""))


def _over_seeds(rows: Sequence[Row], value: Callable[[Row], float], ends: tuple[str, str]) -> Seeds:
    by_seed: dict[int, list[float]] = {}
    for row in rows:
        by_seed.setdefault(row["seed"], []).append(value(row))
    low, high = (rows[0].get(end) if end else None for end in ends)
    within = Interval(-float("inf"), float("inf")) if low is None or high is None else Interval(low, high)
    return over_seeds([sum(some) / len(some) for some in by_seed.values()], within)


def corpus_section(
    summary: Sequence[Row],
    learners: Mapping[str, CorpusLearner],
    settings: Mapping[str, str],
    figures: Mapping[str, str],
) -> Section:
    """Return the section.

    Args:
        summary: Of `summary_rows`.
        learners: By name.
        settings: What a reader must know of how the corpus was made, by what it is called.
        figures: File names, with captions.
    """
    free = [row for row in summary if row["constraint"] == "none"]
    bound = [row for row in summary if row["constraint"] != "none"]
    parts = [*_manner(summary, learners, settings), RULE]
    parts += [f"**{line}**" for line in headlines(summary, learners)]
    if free:
        parts += ["### Who finds the equilibrium", *_equilibria(free, learners)]
        parts += ["### Who loses what, against the play in which all tell the truth", *_losses(free, learners)]
        parts += ["### Where a learned deviation was cheaper than truth", *_deviations(free, learners)]
    if bound:
        parts += ["### Under a budget", *_budgets(bound, learners)]
    return Section(TITLE, "\n\n".join(parts), figures)


def _manner(
    summary: Sequence[Row], learners: Mapping[str, CorpusLearner], settings: Mapping[str, str]
) -> Iterator[str]:
    names = dict.fromkeys(row["learner"] for row in summary)
    yield (
        f"{len(names)} learners in {len({row['environment'] for row in summary})} environments that need no language "
        f"model; {', '.join(f'{name}: {text}' for name, text in settings.items())}. All bidders of an auction learn by "
        "the same rule, see their valuation and the public context, and are scored on other auctions than they learned "
        "on. Regret is of the learned bids against the others' learned bids. A number has its 95 % interval over seeds "
        "in brackets. The learners, as they are at full effort:"
    )
    yield "\n".join(f"- **{learners[name].label}** (`{name}`): {learners[name].summary}." for name in names)


def headlines(summary: Sequence[Row], learners: Mapping[str, CorpusLearner]) -> Iterator[str]:
    """Yield a sentence a learner, on where it finds the equilibrium."""
    for name in dict.fromkeys(row["learner"] for row in summary):
        own = [row for row in summary if row["learner"] == name]
        counts = {verdict: [row for row in own if row["verdict"] == verdict] for verdict in (FOUND, MISSED, OPEN)}
        sentence = f"{_label(learners, name)}: equilibrium found in {len(counts[FOUND])} of {len(own)} environments"
        if counts[MISSED]:
            worst = max(counts[MISSED], key=lambda row: float(row["exploitability"]) / row["worth"])
            share = number(100 * worst["exploitability"] / worst["worth"], 2)
            where = _short(worst["environment"])
            sentence += f", missed in {len(counts[MISSED])}, farthest in {where} ({share} % of what exposure is worth)"
        if counts[OPEN]:
            sentence += f", open in {len(counts[OPEN])}"
        yield f"{sentence}."


def _equilibria(rows: Sequence[Row], learners: Mapping[str, CorpusLearner]) -> Iterator[str]:
    yield (
        "Exploitability, what the average bidder gains by its best reply, money per auction, and the verdict; the last "
        "row is the tolerance:"
    )
    table = _table(rows, learners, lambda row: f"{_interval(row, 'exploitability')} {row['verdict']}")
    tolerance = {_short(row["environment"]): number(TOLERANCE * row["worth"], 2) for row in rows}
    yield markdown_table([*table, {"learner": "tolerance", **tolerance}])
    known = [row for row in rows if row["distance_to_equilibrium"] is not None]
    if known:
        yield (
            "Distance of bids from the equilibrium in closed form, root mean squares in money. Where truth is dominant "
            "there are other equilibria as well, and bids on which nothing depends may lie anywhere:"
        )
        yield markdown_table(_table(known, learners, partial(_interval, name="distance_to_equilibrium")))


def _losses(rows: Sequence[Row], learners: Mapping[str, CorpusLearner]) -> Iterator[str]:
    learned = [row for row in rows if row["learner"] != "truth"]
    for name, what in CHANGES.items():
        moves = {word: [row for row in learned if _moved(row, name) == word] for word in ("falls", "rises")}
        sentence = (
            f"{what[0].upper()}{what[1:]} falls in {len(moves['falls'])} and rises in {len(moves['rises'])} of "
            f"{len(learned)} pairs of an environment and a learner"
        )
        for word, pick in (("falls", min), ("rises", max)):
            if moves[word]:
                most = pick(moves[word], key=lambda row: float(row[name]))
                sentence += (
                    f"; it {word} most in {_short(most['environment'])} under {_label(learners, most['learner'])}: "
                    f"{_interval(most, name)}"
                )
        yield f"{sentence}."
        if learned:
            yield markdown_table(_table(learned, learners, partial(_interval, name=name)))


def _deviations(rows: Sequence[Row], learners: Mapping[str, CorpusLearner]) -> Iterator[str]:
    learned = [row for row in rows if row["learner"] != "truth"]
    moves = {word: [row for row in learned if _moved(row, "over_truth") == word] for word in ("rises", "falls")}
    yield (
        "Learned bids earned their bidder more than truth would have, against the same others, in "
        f"{len(moves['rises'])} of {len(learned)} pairs, and less in {len(moves['falls'])}."
    )
    lines = []
    for environment in dict.fromkeys(row["environment"] for row in learned):
        own = [row for row in moves["rises"] if row["environment"] == environment]
        if own:
            best = max(own, key=lambda row: float(row["over_truth"]))
            names = ", ".join(_label(learners, row["learner"]) for row in own)
            lines.append(
                f"- {_short(environment)}: cheaper than truth for {names}; most for "
                f"{_label(learners, best['learner'])}, {_interval(best, 'over_truth')} per auction and bidder."
            )
        else:
            lines.append(f"- {_short(environment)}: no learned deviation was cheaper than truth.")
    yield "\n".join(lines)
    if learned:
        yield markdown_table(_table(learned, learners, partial(_interval, name="over_truth")))


def _budgets(rows: Sequence[Row], learners: Mapping[str, CorpusLearner]) -> Iterator[str]:
    yield (
        "Every bidder may spend half of what it spends where all tell the truth, on average per auction, and paces by "
        "a multiplier of its valuation. Regret is against all bids that spend no more than its own, or than the "
        "budget; so these rows are compared with one another, and not with the tables above. The closed form is that "
        "of bidders who all pace (one item, U[0, 1])."
    )
    lines = []
    for row in rows:
        lines.append(
            {
                "environment": _short(row["environment"]),
                "learner": _label(learners, row["learner"]),
                "bid / valuation": _interval(row, "bid_ratio"),
                "from the closed form": _interval(row, "distance_to_equilibrium"),
                "regret, equal spend": f"{_interval(row, 'exploitability')} {row['verdict']}",
                "most spend above budget": f"{number(100 * row['over_budget'], 2)} %",
            }
        )
    yield markdown_table(lines)


def _table(
    rows: Sequence[Row], learners: Mapping[str, CorpusLearner], text: Callable[[Row], str]
) -> list[dict[str, str]]:
    """Return a line a learner, a column an environment."""
    environments = dict.fromkeys(row["environment"] for row in rows)
    lines = []
    for name in dict.fromkeys(row["learner"] for row in rows):
        cells = {row["environment"]: text(row) for row in rows if row["learner"] == name}
        lines.append(
            {"learner": _label(learners, name), **{_short(one): cells.get(one, NOTHING) for one in environments}}
        )
    return lines


def _moved(row: Row, name: str) -> str:
    return moved(Seeds(row[name], row[f"{name}_low"], row[f"{name}_high"]))


def _interval(row: Row, name: str) -> str:
    if row[name] is None:
        return NOTHING
    middle, low, high = (number(row[f"{name}{end}"], 2) for end in ("", "_low", "_high"))
    return f"{middle} [{low}, {high}]"


def _short(environment: str) -> str:
    return environment.removeprefix("auctionsim/")


def _label(learners: Mapping[str, CorpusLearner], name: str) -> str:
    return learners[name].label if name in learners else name
