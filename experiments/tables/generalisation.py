"""What carries over to other prompts: stated from the tables of replicates and deployed designs."""

from collections.abc import Mapping, Sequence
from statistics import median

from auctionsim.experiments.running.run import Row, Section, markdown_table, with_error
from auctionsim.experiments.tables.mechanisms import AFFINE, MENU, OPTIMUM, VCG
from auctionsim.report.wording import NOTHING, number, percent
from auctionsim.scoring.pooling import NORMAL
from auctionsim.scoring.records import titled

EVERY = "all contexts"
KNOWN, UNSEEN = "on A, this context among them", "on A's other contexts"
NOISE = 2.0  # ratio of squared differences to squared errors up to which the errors are said to explain them
MECHANISMS = (OPTIMUM, AFFINE, MENU, VCG)


def section(opening: str, agree: Sequence[Row], deployed: Sequence[Row], figures: Mapping[str, str]) -> Section:
    """Return the section: the replicates' agreement, what designs keep on B, and in an unseen context.

    Args:
        opening: What is sold, and how mechanisms are designed and paid.
        agree: How well A predicts B, one row a surface, context and quantity.
        deployed: What mechanisms bring on B.
        figures: File names, with captions.
    """
    surfaces = list(dict.fromkeys(row["surface"] for row in deployed))
    parts = [
        f"Replicate B of {', '.join(f'`{name}`' for name in surfaces)} has other prompts and seeds than A. How well A "
        "predicts B over the distinct interventions (and brands), contexts apart; the last column is the mean squared "
        "difference over what the standard errors allow, about 1 where they say all:",
        markdown_table([_agreement_line(row) for row in agree]),
        explained(agree),
        opening,
    ]
    for name in surfaces:
        parts += [f"`{name}`:", markdown_table([_deployed_line(row) for row in deployed if row["surface"] == name])]
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
        rows = [row for row in deployed if row["mechanism"] == mechanism and row["objective_share"] is not None]
        seen, unseen = _by_context(rows, known=True), _by_context(rows, known=False)
        both = [context for context in unseen if context in seen]
        if not both:
            sentences.append(f"{mechanism}: nothing can be sold in any single context.")
            continue
        worse = [context for context in both if _difference(unseen[context], seen[context])[1] < 0]
        better = [context for context in both if _difference(unseen[context], seen[context])[0] > 0]
        kept, own = (median(rows[context]["objective_share"] for context in both) for rows in (unseen, seen))
        sentences.append(
            f"{mechanism}: in a context that it never saw it keeps a median {percent(kept)} of that context's optimum "
            f"on B (with it: {percent(own)}); the unseen design is "
            f"worse by more than its interval in {len(worse)} of {len(both)} contexts, better in {len(better)}."
        )
    return sentences


def above_optimum(deployed: Sequence[Row]) -> str:
    """Say where a truthful objective is above the honest optimum, and whether participation is broken there."""
    known = [row for row in deployed if row["objective_share"] is not None]
    over = [row for row in known if row["objective_share_low"] > 1]
    broken = [row for row in over if row["ir_violation_low"] > 0]
    return (
        f"The share is above 1 by its interval in {len(over)} of {len(known)} rows, and in {len(broken)} of these the "
        "IR violation is above 0 by its interval: a design that charges for exposure which B does not give has a "
        "truthful objective that no bidder would go on paying, and is no better for it."
    )


def _by_context(rows: Sequence[Row], *, known: bool) -> dict[str, Row]:
    return {row["context"]: row for row in rows if (row["designed"] == KNOWN) == known and row["context"] != EVERY}


def _difference(unseen: Row, seen: Row) -> tuple[float, float]:
    """Return the interval of the difference of two shares, their errors taken as independent."""
    error = float((unseen["objective_share_standard_error"] ** 2 + seen["objective_share_standard_error"] ** 2) ** 0.5)
    middle = float(unseen["objective_share"] - seen["objective_share"])
    return middle - NORMAL * error, middle + NORMAL * error


def _agreement_line(row: Row) -> dict[str, str]:
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


def _deployed_line(row: Row) -> dict[str, str]:
    share = (
        NOTHING
        if row["objective_share"] is None
        else with_error(row["objective_share"], row["objective_share_standard_error"], 2)
    )
    return {
        "paid in": row["context"],
        "designed": row["designed"],
        "mechanism": titled(row["mechanism"], row["recipe"]),
        "objective": with_error(row["objective"], row["objective_standard_error"], 4),
        "of B's optimum": share,
        "regret": f"{with_error(row['regret'], row['regret_standard_error'], 4)} ({row['regret_is']})",
        "IR violation": with_error(row["ir_violation"], row["ir_violation_standard_error"], 4),
    }
