"""The trust table: every score against gold labels, what attacks and other names do to it, and whether it may feed a
loss.
"""

from collections.abc import Iterator, Sequence

from rich.table import Table

from auctionsim.trust import GateReport, GoldLabels, IntervalEstimate, LeftOut, QualityFit
from auctionsim.trust.gate import ALL, GATE_KINDS
from auctionsim.trust.table_rows import TrustRow


def trust_table(rows: Sequence[TrustRow], labels: GoldLabels) -> Table:
    """Return the table: one score a row."""
    counts = {kind: sum(label.kind == kind for label in labels.labels) for kind in ("good", *GATE_KINDS)}
    counts[ALL] = sum(label.bad for label in labels.labels)
    table = Table(
        title=f"{len(labels.labels)} labelled replies of {', '.join(labels.categories)}; {counts['good']} good",
        caption=f"{labels.labelled_by} AUC with 95 % intervals, prompts as draws. Movement: towards the good mean, a "
        "share of the distance from the bad to the good mean, mean over bad replies with its upper 95 % end; the share "
        "of single replies that move half of it. Brand: largest mean change as a name gives way to a rival's. Length: "
        "how often a good reply is put before a bad one, of equal length and raw. Untouched: liking for the untouched "
        "model's replies given the label, in standard deviations.",
        show_lines=True,
    )
    for title in ("score", *(f"AUC {kind} ({counts[kind]})" for kind in GATE_KINDS)):
        table.add_column(title, justify="left" if title == "score" else "right")
    for title in ("given mentions", "worst attack", "brand", "length", "untouched", "may feed a loss on"):
        table.add_column(title)
    for row in rows:
        table.add_row(
            row.reading,
            *(_interval(row.reports[kind].auc) for kind in GATE_KINDS),
            _interval(row.partial),
            _worst(row),
            "-" if row.brand is None else f"{row.brand.brand} {row.brand.change.text}",
            "-" if row.length is None else f"{row.length.equal_length.value:.2f} / {row.length.raw:.2f}",
            _interval(row.untouched),
            ", ".join(row.passes_on) or "nothing",
        )
    return table


def _interval(estimate: IntervalEstimate | None) -> str:
    return "-" if estimate is None else estimate.text


def _worst(row: TrustRow) -> str:
    """Name the attack that moves bad replies most, on the kind on which the score tells most."""
    tried = [report for report in row.reports.values() if report.worst_attack and report.auc]
    if not tried:
        return "none tried"
    best = max(tried, key=lambda report: 0.0 if report.auc is None else report.auc.low)
    worst = best.worst_attack
    assert worst is not None
    return f"{worst.attack} {worst.movement.value:.2f} ≤ {worst.movement.high:.2f}, {worst.far_share:.0%} ({best.kind})"


def gate_table(reports: Sequence[GateReport]) -> Table:
    """Return one score's rules, kind by kind."""
    table = Table(title=f"{reports[0].reading}: {reports[0].better}", show_lines=True)
    for title in ("kind", "replies good/bad/unscored", "rule", "measured", "bound", "holds"):
        table.add_column(title)
    for report in reports:
        rules = report.rules
        table.add_row(
            report.kind,
            f"{report.num_good}/{report.num_bad}/{report.num_unscored}",
            "\n".join(rule.rule for rule in rules),
            "\n".join("nothing" if rule.value is None else f"{rule.value:.3g}" for rule in rules),
            "\n".join(f"{rule.bound:.3g}" for rule in rules),
            "\n".join("yes" if rule.passed else "no" for rule in rules),
        )
    return table


def quality_tables(fitted: QualityFit, beside: Sequence[LeftOut] = ()) -> Iterator[Table]:
    """Yield what `quality` is made of, and its numbers on categories that were kept out of the fit.

    Args:
        fitted: The fit.
        beside: Its numbers on labels that no fit has seen.
    """
    parts = Table(title=f"quality = σ({fitted.weights.intercept:.3f} + Σ coefficient · (x − mean)/scale)")
    for title in ("reading", "better", "mean", "scale", "coefficient"):
        parts.add_column(title)
    for one in fitted.weights.components:
        parts.add_row(one.reading, one.better, *(f"{x:.3f}" for x in (one.mean, one.scale, one.coefficient)))
    yield parts
    table = Table(title="each category kept out of the fit", show_lines=True)
    for title in ("category", "replies", "bad", "AUC", "Brier", "calibration error", "given mentions", "fitted from"):
        table.add_column(title)
    for left in (*fitted.left_out, *beside):
        table.add_row(
            left.category + " (never fitted)" * (left in beside),
            str(left.num_replies),
            f"{left.calibration.base_rate:.2f}",
            left.auc.text,
            f"{left.calibration.brier:.3f}",
            f"{left.calibration.expected_error:.3f}",
            left.partial.text,
            ", ".join(left.readings),
        )
    yield table
