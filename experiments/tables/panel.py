"""Tables of panels of readings: each against the best member, what each member adds, and what the auction chooses."""

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from auctionsim.experiments.running.panel_choices import ChoiceRow
from auctionsim.readings.panel import RULES
from auctionsim.trust import GoldLabels, IntervalEstimate
from auctionsim.trust.panel_trial import PanelTrial


def panel_tables(title: str, trial: PanelTrial, labels: GoldLabels) -> Iterator[Table]:
    """Yield a trial's tables: panels, then members.

    Args:
        title: What is tried.
        trial: Its numbers.
        labels: That it was held against.
    """
    table = Table(
        title=f"{title}: {trial.num_replies} labelled replies, {trial.num_bad} bad",
        caption=f"{labels.labelled_by} Every category by a fit on the others: which readings are members, which is the "
        "best, thresholds and weights. Gains are over the first row, paired, 95 % intervals with prompts as draws; "
        "the best in hindsight is the member with the highest AUC on these very replies. "
        f"Members' votes: errors' mean correlation {trial.correlation:.2f}, so {len(trial.members)} members amount to "
        f"{trial.effective:.1f} independent ones; if they erred independently their majority would be right on "
        f"{trial.if_independent:.3f}.",
    )
    for name in ("panel", "AUC", "gain in AUC", "over hindsight", "right", "gain in right"):
        table.add_column(name, justify="left" if name == "panel" else "right")
    for row in trial.rows:
        table.add_row(
            row.panel,
            row.auc.text,
            _gain(row.gain),
            _gain(row.hindsight_gain),
            f"{row.right:.3f}",
            _gain(row.right_gain),
        )
    yield table
    best = {name: list(trial.best.values()).count(name) for name in sorted(set(trial.best.values()))}
    members = Table(
        title=f"{title}: members",
        caption="What each adds: AUC of the panel less that of the panel without it. Best on the other categories: "
        + ", ".join(f"{name} ({count})" for name, count in best.items()),
    )
    for name in ("reading", "in panels of", "right", *(f"adds to {rule}" for rule in RULES)):
        members.add_column(name, justify="left" if name == "reading" else "right")
    for member in trial.members:
        adds = (_gain(member.adds[rule]) for rule in RULES)
        members.add_row(member.reading, f"{member.folds} categories", f"{member.right:.3f}", *adds)
    yield members


def cost_table(costs: Mapping[str, IntervalEstimate], verdicts: Sequence[str]) -> Table:
    """Return what judges that fail the gate cost a panel."""
    table = Table(
        title="what verdict judges that fail the gate cost",
        caption=f"AUC of the panel with {', '.join(verdicts)} less that of the panel without, on the same replies, "
        "paired, 95 % intervals with prompts as draws.",
    )
    table.add_column("panel")
    table.add_column("change in AUC", justify="right")
    for name, cost in costs.items():
        table.add_row(name, _gain(cost))
    return table


def choice_table(surface: str, rows: Sequence[ChoiceRow]) -> Table:
    """Return how often two designs choose another allocation."""
    table = Table(
        title=f"{surface}: share of drawn profiles whose allocation differs",
        caption="The choice is the allocation with the largest virtual welfare less the loss. The dearest cell of each "
        "loss costs the same. A and B are two measurements: the last row is what replies drawn anew change.",
    )
    for name in ("designed on", "and on", "differ"):
        table.add_column(name, justify="right" if name == "differ" else "left")
    for row in rows:
        middle = (row.differ.low + row.differ.high) / 2
        table.add_row(row.first, row.second, f"{middle:.3f} [{row.differ.low:.3f}, {row.differ.high:.3f}]")
    return table


def _gain(estimate: IntervalEstimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"
