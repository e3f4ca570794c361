"""What more samples a cell buy: deployed regret and share over the count, with stated verdicts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from auctionsim.experiments.figures.compare import MARKS, saved, sheet
from auctionsim.experiments.running.run import Row, Section, markdown_table, with_error
from auctionsim.experiments.running.thinning import SUBSAMPLED
from auctionsim.experiments.tables.scoring import NORMAL
from auctionsim.report.wording import NOTHING

if TYPE_CHECKING:
    from auctionsim.experiments.studies.reply_counts import ReplyCountSettings


def section(settings: "ReplyCountSettings", rows: Sequence[Row], figures: Mapping[str, str]) -> Section:
    """Return the section: what was drawn, a table a feature, how regret goes with the count."""
    parts = [
        f"Mechanisms for `{settings.surface}` are designed on what replicate A would have said with fewer samples a "
        f"cell, and paid by the whole of B: valuations {settings.prior}, user weight {settings.user_weight:g}, "
        f"truthful bids, {settings.draws} draws a count (one at the measured n, which is A itself), "
        f"{settings.profiles:,} profiles a draw, {settings.regret_draws:,} of them for regret, the "
        "largest among bidders. The user's loss is as measured at every count. ± is one standard error over draws and "
        "profiles, not over what another B would pay. A share above 1 is no gain: on B these rules are neither "
        "truthful nor individually rational; the IR violation is what they charge for exposure that is not there."
    ]
    for feature in dict.fromkeys(row["feature"] for row in rows):
        own = [row for row in rows if row["feature"] == feature]
        parts += [f"`{feature}` is sold; {_how(feature, own[0]['measured'])}:", markdown_table(_table(own))]
        parts.append(" ".join(trend([row for row in own if row["mechanism"] == name]) for name in _names(own)))
    return Section(f"Deployed regret and samples a cell: {settings.surface}", "\n\n".join(parts), figures)


def trend(rows: Sequence[Row]) -> str:
    """Say how one mechanism's deployed regret and share go from the fewest samples to all of them.

    The verdict is the interval of the difference: "falls", "rises", or "is not told apart".
    """
    first, last = min(rows, key=lambda row: row["count"]), max(rows, key=lambda row: row["count"])
    words = []
    for quantity in ("regret", "share"):
        if first[quantity] is None or last[quantity] is None:
            words.append(f"{quantity} is not defined (B's own optimum sells nothing)")
            continue
        change = last[quantity] - first[quantity]
        reach = NORMAL * (first[f"{quantity}_standard_error"] ** 2 + last[f"{quantity}_standard_error"] ** 2) ** 0.5
        verb = "falls" if change + reach < 0 else "rises" if change - reach > 0 else "is not told apart"
        words.append(f"{quantity} {verb} ({first[quantity]:.4f} to {last[quantity]:.4f}, change ± {reach:.4f})")
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
            "samples a cell": str(row["count"]),
            "mechanism": row["mechanism"],
            "deployed regret": f"{with_error(row['regret'], row['regret_standard_error'], 4)} ({row['regret_is']})",
            "IR violation": with_error(row["ir_violation"], row["ir_violation_standard_error"], 4),
            "objective on B": with_error(row["objective"], row["objective_standard_error"], 4),
            "of B's own optimum": NOTHING
            if row["share"] is None
            else with_error(row["share"], row["share_standard_error"], 2),
            "draws": str(row["runs"]),
        }
        for row in rows
    ]


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["mechanism"] for row in rows))


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw deployed regret and the share of B's optimum over the count, a column a feature."""
    features = list(dict.fromkeys(row["feature"] for row in rows))
    figure, axes = sheet(2, len(features), (6.5 * len(features), 8))
    for column, feature in enumerate(features):
        own = [row for row in rows if row["feature"] == feature]
        for line, (quantity, title) in enumerate(
            (("regret", "mean deployed regret"), ("share", "share of B's optimum"))
        ):
            panel = axes[line][column]
            for k, name in enumerate(_names(own)):
                known = [row for row in own if row["mechanism"] == name and row[quantity] is not None]
                panel.errorbar(
                    [row["count"] for row in known],
                    [row[quantity] for row in known],
                    yerr=[NORMAL * row[f"{quantity}_standard_error"] for row in known],
                    color=f"C{k}",
                    marker=MARKS[k],
                    markersize=5,
                    elinewidth=0.8,
                    label=name,
                )
            panel.set_xscale("log", base=2)
            panel.axhline(float(quantity == "share"), color="grey", linewidth=0.5)
            panel.set(title=feature, xlabel="samples a cell of A", ylabel=title)
    axes[0][0].legend(fontsize=8)
    saved(figure, path)
