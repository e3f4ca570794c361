"""What carries over to other prompts: stated from the tables of replicates and deployed designs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from auctionsim.experiments.figures.compare import saved, sheet
from auctionsim.experiments.running.run import Row, Section, markdown_table, with_error
from auctionsim.experiments.tables.mechanisms import AFFINE, MENU, OPTIMUM
from auctionsim.experiments.tables.scoring import NORMAL
from auctionsim.report.wording import NOTHING, number, percent

if TYPE_CHECKING:
    from auctionsim.experiments.studies.generalisation import GeneralisationSettings

NOISE = 2.0  # ratio of squared differences to squared errors up to which the errors are said to explain them
MECHANISMS = (OPTIMUM, AFFINE, MENU, "VCG")


def section(
    settings: "GeneralisationSettings", agree: Sequence[Row], deployed: Sequence[Row], figures: Mapping[str, str]
) -> Section:
    """Return the section: the replicates' agreement, what designs keep on B, and in an unseen context."""
    surfaces = list(dict.fromkeys(row["surface"] for row in deployed))
    parts = [
        f"Replicate B of {', '.join(f'`{name}`' for name in surfaces)} has other prompts and seeds than A. How well A "
        "predicts B over the distinct interventions (and brands), contexts apart; the last column is the mean squared "
        "difference over what the standard errors allow, about 1 where they say all:",
        markdown_table([_agreed(row) for row in agree]),
        explained(agree),
        f"`{settings.feature}` is sold at user weight {settings.user_weight:g}, valuations {settings.prior}, truthful "
        "bids. Mechanisms are designed on A and paid by B, in all contexts and in each by itself; in each also "
        "designed on A's other contexts only, the mechanism not being told where it is (it takes the mean of those it "
        f"knows). The share is of the optimum that knows B and the context; regret is the largest among bidders; "
        f"means over {len(settings.seeds)} seeds, ± one standard error, {deployed[0]['n']:,} profiles, "
        f"{deployed[0]['regret_n']:,} for regret.",
    ]
    for name in surfaces:
        parts += [f"`{name}`:", markdown_table([_said(row) for row in deployed if row["surface"] == name])]
        parts.append(" ".join(lost_by_context([row for row in deployed if row["surface"] == name])))
    parts.append(above_optimum(deployed))
    return Section("Generalisation across prompts", "\n\n".join(parts), figures)


def explained(agree: Sequence[Row]) -> str:
    """Say, a quantity, in how many contexts the standard errors explain how far B is from A."""
    sentences = []
    for quantity in dict.fromkeys(row["quantity"] for row in agree):
        known = [row for row in agree if row["quantity"] == quantity and row["ratio"] is not None]
        if not known:
            sentences.append(f"`{quantity}` has no standard error above 0 to judge its differences by.")
            continue
        within = [row for row in known if row["ratio"] <= NOISE]
        slopes = [row["slope"] for row in known if row["slope"] is not None]
        slope = f"{median(slopes):.2f}" if slopes else NOTHING
        sentences.append(
            f"`{quantity}`: {len(within)} of {len(known)} contexts differ by no more than the errors explain (ratio up "
            f"to {NOISE:g}), the median slope of B on A is {slope}."
        )
    return " ".join(sentences)


def lost_by_context(deployed: Sequence[Row]) -> list[str]:
    """Say, a mechanism, what not knowing the context costs: the verdict by the interval of the difference of shares."""
    sentences = []
    for mechanism in MECHANISMS:
        rows = [row for row in deployed if row["mechanism"] == mechanism and row["share"] is not None]
        seen, unseen = _by_context(rows, known=True), _by_context(rows, known=False)
        both = [context for context in unseen if context in seen]
        if not both:
            sentences.append(f"{mechanism}: nothing can be sold in any single context.")
            continue
        worse = [context for context in both if _difference(unseen[context], seen[context])[1] < 0]
        better = [context for context in both if _difference(unseen[context], seen[context])[0] > 0]
        kept = median(unseen[context]["share"] for context in both)
        sentences.append(
            f"{mechanism}: in a context that it never saw it keeps a median {percent(kept)} of that context's optimum "
            f"on B (with it: {percent(median(seen[context]['share'] for context in both))}); the unseen design is "
            f"worse by more than its interval in {len(worse)} of {len(both)} contexts, better in {len(better)}."
        )
    return sentences


def above_optimum(deployed: Sequence[Row]) -> str:
    """Say where a truthful objective is above the honest optimum, and whether participation is broken there."""
    known = [row for row in deployed if row["share"] is not None]
    over = [row for row in known if row["share_low"] > 1]
    broken = [row for row in over if row["ir_violation_low"] > 0]
    return (
        f"The share is above 1 by its interval in {len(over)} of {len(known)} rows, and in {len(broken)} of these the "
        "IR violation is above 0 by its interval: a design that charges for exposure which B does not give has a "
        "truthful objective that no bidder would go on paying, and is no better for it."
    )


def _by_context(rows: Sequence[Row], *, known: bool) -> dict[str, Row]:
    from auctionsim.experiments.studies.generalisation import EVERY, KNOWN

    return {row["context"]: row for row in rows if (row["designed"] == KNOWN) == known and row["context"] != EVERY}


def _difference(unseen: Row, seen: Row) -> tuple[float, float]:
    """Return the interval of the difference of two shares, their errors taken as independent."""
    error = float((unseen["share_standard_error"] ** 2 + seen["share_standard_error"] ** 2) ** 0.5)
    middle = float(unseen["share"] - seen["share"])
    return middle - NORMAL * error, middle + NORMAL * error


def _agreed(row: Row) -> dict[str, str]:
    return {
        "surface": f"`{row['surface']}`",
        "context": row["context"],
        "quantity": row["quantity"],
        "rank correlation": number(row["rank_correlation"]),
        "slope": number(row["slope"]),
        "RMS of B − A": number(row["rms"]),
        "allowed": number(row["rms_allowed"]),
        "ratio": number(row["ratio"]),
    }


def _said(row: Row) -> dict[str, str]:
    share = NOTHING if row["share"] is None else with_error(row["share"], row["share_standard_error"], 2)
    return {
        "paid in": row["context"],
        "designed": row["designed"],
        "mechanism": row["mechanism"],
        "objective": with_error(row["objective"], row["objective_standard_error"], 4),
        "of B's optimum": share,
        "regret": f"{with_error(row['regret'], row['regret_standard_error'], 4)} ({row['regret_is']})",
        "IR violation": with_error(row["ir_violation"], row["ir_violation_standard_error"], 4),
    }


def draw(deployed: Sequence[Row], path: Path) -> None:
    """Draw share and regret by context: with the context in the design full, without it open."""
    from auctionsim.experiments.studies.generalisation import KNOWN

    surfaces = list(dict.fromkeys(row["surface"] for row in deployed))
    figure, axes = sheet(2, len(surfaces), (7.5 * len(surfaces), 8))
    for column, name in enumerate(surfaces):
        own = [row for row in deployed if row["surface"] == name]
        contexts = list(dict.fromkeys(row["context"] for row in own))
        for line, (quantity, title) in enumerate((("share", "share of B's own optimum"), ("regret", "regret on B"))):
            panel = axes[line][column]
            for k, mechanism in enumerate(MECHANISMS):
                for is_known in (True, False):
                    rows = [
                        row
                        for row in own
                        if row["mechanism"] == mechanism
                        and (row["designed"] == KNOWN) == is_known
                        and row[quantity] is not None
                    ]
                    panel.errorbar(
                        [contexts.index(row["context"]) + 0.18 * (k - 1.5) + 0.06 * (not is_known) for row in rows],
                        [row[quantity] for row in rows],
                        yerr=[NORMAL * row[f"{quantity}_standard_error"] for row in rows],
                        fmt="o",
                        color=f"C{k}",
                        markerfacecolor=f"C{k}" if is_known else "white",
                        markersize=5,
                        elinewidth=0.8,
                        label=mechanism if is_known else f"{mechanism}, unseen",
                    )
            panel.axhline(float(quantity == "share"), color="grey", linewidth=0.5)
            panel.set_xticks(range(len(contexts)), contexts)
            panel.set(title=name, ylabel=title)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    saved(figure, path)
