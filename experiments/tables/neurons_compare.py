"""What a comparison of identification methods says: tables a brand and a limit, sums over brands, one figure."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from auctionsim.experiments.running.frontier import FrontierCell, FrontierChoice
from auctionsim.experiments.running.run import Section, markdown_table
from auctionsim.readings.neutral_kl import UNIT as NEUTRAL_UNIT
from auctionsim.readings.registry import reading
from auctionsim.stems import KINDS

BASELINE = "attribution"
FIGURE = "frontier.png"
SOFTENER = 0.005  # added to both lifts before their ratio is taken: a brand that nothing moves counts as 1


class Replied(NamedTuple):
    """What sampled replies to test prompts are like under one setting.

    Attributes:
        user_loss: `kl`, nats a token.
        user_loss_error: Its standard error over replies.
        hits: Of the brand, a reply.
        hits_error: Its standard error.
        n: Replies.
    """

    user_loss: float
    user_loss_error: float
    hits: float
    hits_error: float
    n: int


class FrontierRow(NamedTuple):
    """One brand, method and limit.

    Attributes:
        category: What the brand sells.
        brand: Its name.
        method: Of identification.
        choice: The setting, and what it does on test prompts.
        reply: What replies are like; None where they were not sampled.
    """

    category: str
    brand: str
    method: str
    choice: FrontierChoice
    reply: Replied | None


class FrontierResult(NamedTuple):
    """Everything measured.

    Attributes:
        rows: One a brand, method and limit.
        cells: Validation cells by (brand, method).
    """

    rows: tuple[FrontierRow, ...]
    cells: Mapping[tuple[str, str], tuple[FrontierCell, ...]]


def frontier_tables(rows: Sequence[FrontierRow]) -> Iterator[Table]:
    """Yield a table a limit, brand by brand, then the methods' sums and ratios to plain attribution."""
    methods = list(dict.fromkeys(row.method for row in rows))
    brands = list(dict.fromkeys(row.brand for row in rows))
    limits = sorted({row.choice.limit for row in rows})
    for limit in limits:
        table = Table(title=f"slot probability on test prompts, neutral_kl ≤ {limit:g} {NEUTRAL_UNIT}", show_lines=True)
        table.add_column("brand (untouched)")
        for method in methods:
            table.add_column(method.replace("_", " "), justify="right")
        for brand in brands:
            own = [row for row in rows if (row.brand, row.choice.limit) == (brand, limit)]
            table.add_row(f"{brand} ({own[0].choice.untouched:.4f})", *(_cell(row) for row in own))
        yield table
    yield _summary_table(rows, methods, limits)


def frontier_section(rows: Sequence[FrontierRow]) -> Section:
    """Say what each method buys under each limit on harm, brand by brand and in sum."""
    methods = list(dict.fromkeys(row.method for row in rows))
    brands = list(dict.fromkeys(row.brand for row in rows))
    limits = sorted({row.choice.limit for row in rows})
    parts = [
        f"{', '.join(brands)}: for each method the levers that raise a brand's slot probability most on validation "
        "prompts while neutral_kl + 1 standard error stays under the limit; numbers are from test prompts and held-out "
        f"texts. Lift = max(P − P₀, 0). Per limit: Σ lift · ratio to {BASELINE} · median of "
        f"(lift + {SOFTENER:g})/(lift of {BASELINE} + {SOFTENER:g}) · worst brand's difference.",
        markdown_table(
            [
                {"method": method, **{f"kl ≤ {limit:g}": _compared(rows, method, limit) for limit in limits}}
                for method in methods
            ]
        ),
        *_by_kind(rows, methods, limits),
        f"Slot probability by brand, and `kl` of sampled replies, {reading('kl').unit}, as the user's loss:",
    ]
    for limit in limits:
        lines = []
        for brand in brands:
            own = [row for row in rows if (row.brand, row.choice.limit) == (brand, limit)]
            cells = {row.method: " · ".join(_cell(row).splitlines()) for row in own}
            lines.append({f"neutral_kl ≤ {limit:g}": f"{brand} (untouched {own[0].choice.untouched:.4f})", **cells})
        parts.append(markdown_table(lines))
    figures = {FIGURE: "Best probability over neutral_kl (above), and test points over the user's loss (below)."}
    return Section("Neurons: harm-aware against plain", "\n\n".join(parts), figures)


def _by_kind(rows: Sequence[FrontierRow], methods: Sequence[str], limits: Sequence[float]) -> Iterator[str]:
    """Yield a sentence and the sums of lifts after each kind of stem, where rows have both."""
    kinds = [kind for kind in KINDS if all(kind in row.choice.kinds for row in rows)]
    if len(kinds) < 2:
        return
    yield (
        "Names are scored after stems that neurons were not identified on and levers not chosen on. Σ lift after "
        f"{' · '.join(kinds)} stems (a calling stem asks for a name, a passing one may go on in many ways):"
    )

    def sums(method: str, limit: float) -> str:
        own = [row.choice for row in rows if (row.method, row.choice.limit) == (method, limit)]
        return " · ".join(f"{sum(choice.lift_after(kind) for choice in own):.3f}" for kind in kinds)

    yield markdown_table(
        [{"method": method, **{f"kl ≤ {limit:g}": sums(method, limit) for limit in limits}} for method in methods]
    )


def _cell(row: FrontierRow) -> str:
    choice = row.choice
    if choice.chosen is None:
        return "none fits"
    lines = [
        f"{choice.probability:.3f}",
        f"{choice.chosen.num_neurons} × {choice.chosen.amplification:g}",
        f"kl {choice.neutral_kl:.3f}",
    ]
    if row.reply is not None:
        lines.append(f"loss {row.reply.user_loss:.3f}")
    return "\n".join(lines)


def _summary_table(rows: Sequence[FrontierRow], methods: Sequence[str], limits: Sequence[float]) -> Table:
    """Return sums over brands: their lift, ratios to attribution, the worst brand, and what a lift of 1 would give."""
    table = Table(title="over brands: Σ lift · ratio to attribution · median ratio · worst difference")
    table.add_column("method")
    for limit in limits:
        table.add_column(f"kl ≤ {limit:g}", justify="right")
    for method in methods:
        table.add_row(method, *(_compared(rows, method, limit) for limit in limits))
    table.add_section()
    table.add_row("lift of 1 − P₀", *(_ceiling(rows, limit) for limit in limits))
    return table


def _compared(rows: Sequence[FrontierRow], method: str, limit: float) -> str:
    own, base = lifts(rows, method, limit), lifts(rows, BASELINE, limit)
    if not base:
        return f"{sum(own):.3f}"
    ratio = f"{sum(own) / sum(base):.1f}" if sum(base) else "–"
    median = statistics.median((a + SOFTENER) / (b + SOFTENER) for a, b in zip(own, base, strict=True))
    worst = min(a - b for a, b in zip(own, base, strict=True))
    return f"{sum(own):.3f} · {ratio} · {median:.1f} · {worst:+.3f}"


def _ceiling(rows: Sequence[FrontierRow], limit: float) -> str:
    base = [row for row in rows if (row.method, row.choice.limit) == (BASELINE, limit)]
    if not base:
        return "–"
    own = [1 - row.choice.untouched for row in base]
    ratio = sum(own) / max(sum(row.choice.lift for row in base), 1e-12)
    median = statistics.median((a + SOFTENER) / (r.choice.lift + SOFTENER) for a, r in zip(own, base, strict=True))
    return f"{sum(own):.3f} · {ratio:.1f} · {median:.1f}"


def lifts(rows: Sequence[FrontierRow], method: str, limit: float) -> list[float]:
    """Return max(P − P₀, 0) of every brand under one method and limit."""
    return [row.choice.lift for row in rows if (row.method, row.choice.limit) == (method, limit)]


def tidy(rows: Sequence[FrontierRow]) -> list[dict[str, Any]]:
    """Return one flat record a row."""
    records = []
    for row in rows:
        choice = row.choice._asdict() | {"lift": row.choice.lift}
        cell, kinds = choice.pop("chosen"), choice.pop("kinds")
        for kind, (untouched, probability) in kinds.items():
            choice |= {f"{kind}_untouched": untouched, f"{kind}_probability": probability}
        levers = {"num_neurons": cell and cell.num_neurons, "amplification": cell and cell.amplification}
        replies = row.reply._asdict() if row.reply else {}
        records.append(
            {"category": row.category, "brand": row.brand, "method": row.method, **choice, **levers, **replies}
        )
    return records
