"""Tables of the study of logs, regime by regime: sizes and confounding, the grid, wrong models, broken assumptions."""

from collections.abc import Sequence

from auctionsim.experiments.running.logs_regimes import CONTENDERS, DIRECT
from auctionsim.experiments.running.run import Row, markdown_table
from auctionsim.experiments.tables.logs_study import (
    LogAnswer,
    chosen,
    interval,
    label,
    paired,
    regimes_of,
    standing,
)

_LEADERS = 2  # names in a cell before "and others"


def _leaders(names: Sequence[str]) -> str:
    """Return who wins: one family, those that lead together, or how many are alike."""
    if len(names) == 1:
        return f"**{label(names[0])}**"
    if len(names) == len(CONTENDERS):
        return "none: all alike"
    shown = ", ".join(label(name) for name in names[:_LEADERS])
    return shown if len(names) <= _LEADERS else f"{shown}, {len(names) - _LEADERS} more"


def _scores(rows: Sequence[Row]) -> dict[str, Row]:
    return {row["estimator"]: row for row in chosen(rows, "estimator")}


def sweep_answer(rows: Sequence[Row]) -> LogAnswer:
    """Return regret and error over the experiment's size and the confounding's strength."""
    regret, rmse = [], []
    for (setup, _, size, kappa, *_), own in regimes_of(rows).items():
        scores = _scores(own)
        case = {"world": str(setup), "κ": f"{kappa:g}", "EXP": str(size)}
        names = ("raw_means", "exp_means", *CONTENDERS)
        regret.append(
            {
                **case,
                **{label(name): _number(scores, name, "regret") for name in names},
                "wins": _leaders(standing(own)),
            }
        )
        names = ("raw_means", "exp_means", *(name for name in scores if name.endswith(("_direct", "_robust"))))
        rmse.append({**case, **{label(name): _number(scores, name, "rmse") for name in names}})
    alone = sum(line["wins"].startswith("**") for line in regret)
    alike = sum(line["wins"].startswith("none") for line in regret)
    return LogAnswer(
        "Which family wins at which size of the experiment and which confounding?",
        f"Of {len(regret)} regimes one family wins alone in {alone}; in {alike} all are alike.",
        "Whoever has the lowest mean regret wins alone if the intervals of all others' paired differences to it are "
        "above 0 (5 % over six comparisons); else those whose intervals are not are named with it. κ is how strongly "
        "the hidden U chooses the option in the log; EXP is how many sessions were randomised. An estimator that "
        "refuses a draw, such as means without sessions of an option, has no number.",
        "Mean regret:\n\n"
        + markdown_table(regret)
        + "\n\nRoot mean square error of values less their mean over options:\n\n"
        + markdown_table(rmse),
    )


def _number(scores: dict[str, Row], name: str, of: str) -> str:
    return f"{scores[name][of]:.4f}" if name in scores else "–"


def grid_answer(rows: Sequence[Row]) -> LogAnswer:
    """Return who wins each cell of the grid, and differences to EXP-Only over it."""
    regimes = regimes_of(rows)
    parts, wins = [], []
    for setup in dict.fromkeys(key[0] for key in regimes):
        own = {(key[4], key[5]): cell for key, cell in regimes.items() if key[0] == setup}
        bents, aligneds = sorted({key[0] for key in own}), sorted({key[1] for key in own})
        winners = [
            {"ν": f"{bent:g}", **{f"ω {aligned:g}": _leaders(standing(own[bent, aligned])) for aligned in aligneds}}
            for bent in bents
        ]
        wins += [text for line in winners for text in line.values() if text.startswith("**")]
        pairs = [
            {
                "first less second": f"{label(row['first'])} less {label(row['second'])}",
                "lower in": str(sum(interval(paired(c, row["first"], row["second"])).high < 0 for c in own.values())),
                "higher in": str(sum(interval(paired(c, row["first"], row["second"])).low > 0 for c in own.values())),
                **{
                    f"ν {bent:g}, ω {aligned:g}": interval(
                        paired(own[bent, aligned], row["first"], row["second"])
                    ).text()
                    for bent in (bents[0], bents[-1])
                    for aligned in (aligneds[0], aligneds[-1])
                },
            }
            for row in chosen(own[bents[0], aligneds[0]], "pair")
        ]
        parts += [f"{setup}, who wins:", markdown_table(winners)]
        parts += [f"{setup}, paired differences of regret, in how many of {len(own)} cells, and in the corners:"]
        parts += [markdown_table(pairs)]
    names = ", ".join(f"{text.strip('*')} {wins.count(text)}" for text in dict.fromkeys(wins))
    return LogAnswer(
        "Who wins as the reward bends and as labels stray from it?",
        f"Wins alone, by cells: {names or 'none'}; of {len(regimes)} cells in all.",
        "ν is how far the reward is from linear in the loss, 0 to 1; ω is how far clicks, dwell and conversions follow "
        "the reward rather than the brand's mention. Cells are won as regimes above. Intervals of pairs are 95 % each, "
        "not corrected for their number; every cell's are in the table `pairs`.",
        "\n\n".join(parts),
    )


def wrong_model_answer(rows: Sequence[Row]) -> LogAnswer:
    """Return direct against doubly robust where the reward model is wrong on purpose."""
    table, counts = [], [0, 0]
    regimes = regimes_of(rows)
    for (setup, _, size, *_), own in regimes.items():
        scores = _scores(own)
        for direct in DIRECT:
            robust = direct.replace("_direct", "_doubly_robust")
            gap = interval(paired(own, robust, direct), comparisons=len(regimes) * len(DIRECT))
            counts[0] += gap.high < 0
            counts[1] += gap.low > 0
            table.append(
                {
                    "world": str(setup),
                    "EXP": str(size),
                    "family": label(direct),
                    "bias, direct": _biased(scores[direct]),
                    "bias, doubly robust": _biased(scores[robust]),
                    "RMSE, direct": f"{scores[direct]['rmse']:.4f}",
                    "RMSE, doubly robust": f"{scores[robust]['rmse']:.4f}",
                    "regret, doubly robust less direct": gap.text(),
                }
            )
    return LogAnswer(
        "Direct or doubly robust, under strong selection and with a wrong reward model?",
        f"Doubly robust has the lower regret in {counts[0]} of {len(table)} cases, the direct method in {counts[1]}; "
        "in the others neither is shown.",
        f"κ = 2, and the reward model does not see the mediator that the reward depends on most. The interval of the "
        f"paired difference excludes 0, at 5 % over all {len(table)} cases. Bias is that of the last option less the "
        "first, with twice its error over draws.",
        markdown_table(table),
    )


def _biased(row: Row) -> str:
    return f"{row['bias']:.4f} ± {2 * row['bias_error']:.4f}"


def violation_answer(rows: Sequence[Row]) -> LogAnswer:
    """Return every estimator's bias, and how often the tests reject, where an assumption is violated."""
    table, words = [], []
    for (setup, case, *_), own in regimes_of(rows).items():
        scores = _scores(own)
        rates = {row["test"]: row["rejections"] for row in chosen(own, "test")}
        names = list(scores)
        table.append(
            {
                "violated": str(case),
                "world": str(setup),
                "agreement rejects": f"{100 * rates['agreement']:.0f} %",
                "drift test rejects": f"{100 * rates['drift']:.0f} %",
                **{label(name): _biased(scores[name]) for name in names},
            }
        )
        words.append(f"{case}, {setup}: {100 * rates['agreement']:.0f} % and {100 * rates['drift']:.0f} %")
    return LogAnswer(
        "What does each violated assumption do, and do the tests see it?",
        "The agreement test and the drift test reject: " + "; ".join(words) + ".",
        "A row for each assumption; none violated is the first. Numbers are biases of the last option less the first, "
        "with twice their error over draws: what is farther from 0 than that is biased. Tests are at 5 %.",
        markdown_table(table),
    )


def drift_answer(rows: Sequence[Row]) -> LogAnswer:
    """Return what a drifted simulator does to values and choices."""
    table, worst = [], []
    for (setup, case, *_), own in regimes_of(rows).items():
        scores = _scores(own)
        rate = next(row["rejections"] for row in chosen(own, "test", {"test": "drift"}))
        line = {"world": str(setup), "simulator": str(case), "drift test rejects": f"{100 * rate:.0f} %"}
        for name, row in scores.items():
            line |= {f"{label(name)}: bias": _biased(row), "regret" + f", {label(name)}": f"{row['regret']:.4f}"}
        table.append(line)
        beyond = [label(name) for name, row in scores.items() if abs(row["bias"]) > 3 * row["bias_error"] + 1e-12]
        worst.append(f"{setup}, {case}: {', '.join(beyond) or 'none'}")
    return LogAnswer(
        "What does a simulator that has drifted do?",
        "Biased: " + "; ".join(worst) + ".",
        "Biased is what is more than three errors from 0, of the last option less the first. In measured worlds "
        "replicate A simulates and replicate B is real, where a drift is meant.",
        markdown_table(table),
    )
