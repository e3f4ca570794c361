"""What more samples per cell buy: deployed regret and share over the count, with stated verdicts."""

from collections.abc import Mapping, Sequence

from auctionsim.experiments.running.run import Row, Section, markdown_table, with_error
from auctionsim.experiments.running.thinning import SUBSAMPLED
from auctionsim.report.wording import NOTHING
from auctionsim.scoring.pooling import NORMAL
from auctionsim.scoring.records import titled


def section(opening: str, surface: str, rows: Sequence[Row], figures: Mapping[str, str]) -> Section:
    """Return the section: what was drawn, a table a feature, how regret goes with the count."""
    parts = [opening]
    for feature in dict.fromkeys(row["feature"] for row in rows):
        own = [row for row in rows if row["feature"] == feature]
        parts += [f"`{feature}` is sold; {_how(feature, own[0]['measured'])}:", markdown_table(_table(own))]
        parts.append(" ".join(trend([row for row in own if row["mechanism"] == name]) for name in mechanism_names(own)))
    return Section(f"Deployed regret and samples per cell: {surface}", "\n\n".join(parts), figures)


def trend(rows: Sequence[Row]) -> str:
    """Say how one mechanism's deployed regret and share go from the fewest samples to all of them.

    The verdict is the interval of the difference: "falls", "rises", or "is not told apart".
    """
    first, last = min(rows, key=lambda row: row["count"]), max(rows, key=lambda row: row["count"])
    words = []
    for quantity, word in (("regret", "regret"), ("objective_share", "share")):
        if first[quantity] is None or last[quantity] is None:
            words.append(f"{word} is not defined (B's own optimum sells nothing)")
            continue
        change = last[quantity] - first[quantity]
        reach = NORMAL * (first[f"{quantity}_standard_error"] ** 2 + last[f"{quantity}_standard_error"] ** 2) ** 0.5
        verb = "falls" if change + reach < 0 else "rises" if change - reach > 0 else "is not told apart"
        words.append(f"{word} {verb} ({first[quantity]:.4f} to {last[quantity]:.4f}, change ± {reach:.4f})")
    return f"{first['mechanism']}, {first['count']} to {last['count']} samples: {'; '.join(words)}."


def _how(feature: str, measured: int) -> str:
    if feature == SUBSAMPLED:
        return f"of a cell's {measured} replies so many are drawn without replacement (hypergeometric mentions)"
    return (
        f"a parametric bootstrap of the {measured} prompts a cell: normal noise of the measured standard error times "
        "√(n/m − 1), cut to [0, 1]"
    )


def _table(rows: Sequence[Row]) -> list[dict[str, str]]:
    return [
        {
            "samples per cell": str(row["count"]),
            "mechanism": titled(row["mechanism"], row["recipe"]),
            "deployed regret": f"{with_error(row['regret'], row['regret_standard_error'], 4)} ({row['regret_is']})",
            "IR violation": with_error(row["ir_violation"], row["ir_violation_standard_error"], 4),
            "objective on B": with_error(row["objective"], row["objective_standard_error"], 4),
            "of B's own optimum": NOTHING
            if row["objective_share"] is None
            else with_error(row["objective_share"], row["objective_share_standard_error"], 2),
            "draws": str(row["runs"]),
        }
        for row in rows
    ]


def mechanism_names(rows: Sequence[Row]) -> list[str]:
    """Return the mechanisms in the order of their first rows."""
    return list(dict.fromkeys(row["mechanism"] for row in rows))
