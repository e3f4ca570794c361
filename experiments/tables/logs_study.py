"""The study of logs: which family wins by paired intervals, what assumptions cost, and verdicts by stated rules."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from scipy import stats

from auctionsim.errors import InputError
from auctionsim.experiments.running.logs_regimes import CONTENDERS
from auctionsim.experiments.running.run import Row, markdown_table

LEVEL = 0.05
"""Share of wrong rejections that a set of comparisons may have, all together."""
LOG_USERS = ("obs_only_direct", "cvci_direct", "grounded_direct", "rosenman_direct", "representation_exp_direct")
"""Contenders that use the log; EXP-Only does not."""
LABELS = {
    "raw_means": "raw means",
    "exp_means": "EXP means",
    "ips_obs": "IPS on OBS",
    "obs_only": "OBS-Only",
    "exp_only": "EXP-Only",
    "cvci": "CVCI",
    "grounded": "Grounded",
    "rosenman": "Rosenman",
    "representation_exp": "Representation-EXP",
}


class LogAnswer(NamedTuple):
    """The answer to a question about logs.

    Attributes:
        question: As a reader would ask it.
        verdict: By the rule.
        rule: By which numbers become a verdict.
        tables: Markdown.
    """

    question: str
    verdict: str
    rule: str
    tables: str


class PairedDifference(NamedTuple):
    """A mean of differences over draws with its interval by Student's t."""

    mean: float
    low: float
    high: float

    def text(self) -> str:
        """Return the numbers as tables show them."""
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def label(name: str) -> str:
    """Return an estimator as tables name it: its family, with what is added to the direct method."""
    for ending, words in (("_direct", ""), ("_doubly_robust", " (doubly robust)"), ("_augmented", " (augmented)")):
        if name.endswith(ending):
            return LABELS[name.removesuffix(ending)] + words
    return LABELS.get(name, name)


def interval(row: Row, of: str = "regret", comparisons: int = 1) -> PairedDifference:
    """Return a number's interval of level 1 − 5 % / comparisons."""
    reach = float(stats.t.ppf(1 - LEVEL / comparisons / 2, row["draws"] - 1)) * row[f"{of}_error"]
    return PairedDifference(row[of], row[of] - reach, row[of] + reach)


def chosen(rows: Sequence[Row], kind: str, wanted: Mapping[str, object] = MappingProxyType({})) -> list[Row]:
    """Return a kind's rows that have the wanted values."""
    return [row for row in rows if row["kind"] == kind and all(row.get(key) == value for key, value in wanted.items())]


def regimes_of(rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """Return the rows of each regime."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = tuple(row.get(name) for name in ("setup", "case", "randomised", "kappa", "nonlinearity", "alignment"))
        found.setdefault(key, []).append(row)
    return found


def paired(rows: Sequence[Row], first: str, second: str) -> Row:
    """Return the difference of two estimators in a regime, the first less the second."""
    for row in chosen(rows, "pair"):
        if (row["first"], row["second"]) == (first, second):
            return row
        if (row["first"], row["second"]) == (second, first):
            return {**row, "first": first, "second": second, "regret": -row["regret"], "square": -row["square"]}
    raise InputError(f"no difference of {first} and {second} was taken in this regime")


def standing(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the contenders of a regime that are not beaten by the one of the lowest regret; that one is the first.

    One is beaten where the interval of its regret less the lowest one's is above 0, at 5 % over the six comparisons.
    """
    regrets = {row["estimator"]: row["regret"] for row in chosen(rows, "estimator") if row["estimator"] in CONTENDERS}
    lowest = min(regrets, key=lambda name: regrets[name])
    others = [name for name in regrets if name != lowest]
    alike = [name for name in others if interval(paired(rows, name, lowest), comparisons=len(others)).low <= 0]
    return (lowest, *alike)


def winner_rows(rows: Sequence[Row]) -> list[Row]:
    """Return a row per regime: the lowest regret, whose it is, and who is not beaten."""
    lines = []
    for own in regimes_of(rows).values():
        names = standing(own)
        best = next(row for row in chosen(own, "estimator") if row["estimator"] == names[0])
        knobs = ("question", "setup", "kappa", "randomised", "nonlinearity", "alignment")
        lines.append(
            {
                **{key: best[key] for key in knobs if key in best},
                "lowest": names[0],
                "regret": best["regret"],
                "wins": len(names) == 1,
                "not_beaten": " ".join(names),
            }
        )
    return lines


def raw_answer(rows: Sequence[Row]) -> LogAnswer:
    """Return whether raw logs mislead, setup by setup."""
    words, table = [], []
    for (setup, *_), own in regimes_of(rows).items():
        gap = interval(paired(own, "raw_means", "exp_only_direct"), comparisons=len(regimes_of(rows)))
        words.append(f"{setup}: {'**mislead**' if gap.low > 0 else '**not shown to mislead**'} ({gap.text()})")
        scores = {row["estimator"]: row for row in chosen(own, "estimator")}
        names = ("raw_means", "ips_obs", "obs_only_direct", "exp_means", "exp_only_direct")
        table.append(
            {
                "world": str(setup),
                **{
                    label(name): f"{scores[name]['regret']:.4f} ({100 * scores[name]['best_share']:.0f} %)"
                    if name in scores
                    else "refused"
                    for name in names
                },
            }
        )
    return LogAnswer(
        "Do raw logs mislead?",
        "Raw logs: " + "; ".join(words) + ".",
        "They mislead where the option with the highest raw mean has a larger regret than EXP-Only's choice: the "
        "interval of the paired difference, shown after each world, is above 0, at 5 % over all worlds. Regret is the "
        "best option's true value less that of the option that is recommended. The table has mean regret, and the "
        "share of draws in which the best option is recommended. IPS on OBS has the true propensities, which no "
        "platform has.",
        markdown_table(table),
    )


def help_answer(rows: Sequence[Row]) -> LogAnswer:
    """Return in how many regimes each family that uses the log is better or worse than EXP-Only."""
    regimes = regimes_of(rows)
    comparisons = len(regimes) * len(LOG_USERS)
    table, helps, hurts = [], [], []
    for name in LOG_USERS:
        counts = []
        for of in ("regret", "square"):
            gaps = [interval(paired(own, name, "exp_only_direct"), of, comparisons) for own in regimes.values()]
            counts += [sum(gap.high < 0 for gap in gaps), sum(gap.low > 0 for gap in gaps)]
        columns = ("regret lower", "regret higher", "square error lower", "square error higher")
        table.append({"family": label(name), **dict(zip(columns, map(str, counts), strict=True))})
        if counts[0]:
            helps.append(f"{label(name)} in {counts[0]}")
        if counts[1]:
            hurts.append(f"{label(name)} in {counts[1]}")
    count = f"of {len(regimes)} regimes"
    verdict = (
        f"OBS helps a choice: **{'in some regimes' if helps else 'in none'}** ({', '.join(helps) or 'no family'}; "
        f"{count}). It hurts: **{'in some' if hurts else 'in none'}** ({', '.join(hurts) or 'no family'})."
    )
    return LogAnswer(
        "Does the log help beside an experiment and a simulator?",
        verdict,
        "A family that uses the log helps in a regime where the interval of its regret less EXP-Only's is below 0, and "
        f"hurts where it is above 0, at 5 % over all {comparisons} comparisons; where neither, nothing is shown. "
        "Square errors are of values less their mean over options. Regimes are those of the two tables below.",
        markdown_table(table),
    )


def dominance_answer(rows: Sequence[Row]) -> LogAnswer:
    """Return whether a contender is never beaten, and where each wins."""
    regimes = regimes_of(rows)
    comparisons = len(regimes) * len(CONTENDERS) * (len(CONTENDERS) - 1) // 2
    alone = {name: 0 for name in CONTENDERS}
    for own in regimes.values():
        names = standing(own)
        alone[names[0]] += len(names) == 1
    beaten = {
        name: sum(
            any(
                interval(paired(own, name, other), comparisons=comparisons).low > 0
                for other in CONTENDERS
                if other != name
            )
            for own in regimes.values()
        )
        for name in CONTENDERS
    }
    never = [label(name) for name, count in beaten.items() if not count]
    verdict = (
        "**No family dominates**: each is beaten in a regime at least."
        if not never
        else f"**Never shown to be beaten**: {', '.join(never)}. So it is not shown that no family dominates."
    )
    table = [
        {"family": label(name), "wins alone": str(alone[name]), "is beaten": str(beaten[name])} for name in CONTENDERS
    ]
    return LogAnswer(
        "Does one family win everywhere?",
        f"{verdict} Of {len(regimes)} regimes.",
        "A family is beaten in a regime where the interval of its regret less some other's is above 0, at 5 % over all "
        f"{comparisons} comparisons. No family dominates if each is beaten somewhere. One wins a regime alone if the "
        "intervals of all others' regrets less its own are above 0, at 5 % over the six comparisons there.",
        markdown_table(table),
    )
