"""What was expected of auctions that charge for different losses, each by a stated rule, and what came out."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.expectations import UNKNOWN, Expectation, verdict_of
from auctionsim.experiments.tables.loss_cells import MENTIONS
from auctionsim.experiments.tables.loss_matrix import NOBODY, rows_of, total_error
from auctionsim.experiments.tables.mechanisms import OPTIMUM
from auctionsim.report.wording import percent
from auctionsim.scoring.pooling import NORMAL

KL, QUALITY = "kl", "quality"
POINT = 0.01
CLOSE = 0.9
"""A correlation from which a loss is said to follow mentions."""


def expectations(found: Mapping[str, Mapping[str, Any]]) -> list[Expectation]:
    """Return every expectation with its verdict.

    Args:
        found: Tables by surface and name: `correlations`, `matrix`, `curve`.
    """
    matrices = [row | {"surface": name} for name, one in found.items() for row in one["matrix"]]
    return [
        _follows(found),
        _follows_less(found),
        _own_design(matrices),
        _no_charge(matrices),
        _other_charge(matrices),
        _half(found),
    ]


def _mentioned(found: Mapping[str, Mapping[str, Any]], loss: str) -> dict[tuple[str, str, str], Row]:
    """Return a loss's correlations with mentions by surface, replicate and context."""
    return {
        (name, row["replicate"], row["context"]): row
        for name, one in found.items()
        for row in rows_of(one["correlations"], {"loss": loss, "against": MENTIONS})
        if row["pearson"] is not None
    }


def _follows(found: Mapping[str, Mapping[str, Any]]) -> Expectation:
    rows = _mentioned(found, KL)
    values = [row["pearson"] for row in rows.values()]
    met = sum(value >= CLOSE for value in values)
    outcome = (
        f"{met} of {len(values)}, from {min(values):.2f} to {max(values):.2f}" if values else "nothing to judge by"
    )
    expected = (
        f"`kl` follows mentions: its cell means correlate {CLOSE:g} or more with mentions a word, in every context and "
        "in their mean, on both replicates"
    )
    return Expectation(expected, outcome, verdict_of(met, len(values)))


def _follows_less(found: Mapping[str, Mapping[str, Any]]) -> Expectation:
    expected = "`quality` is less a matter of mentions: the interval of its correlation lies below that of `kl`"
    base, own = _mentioned(found, KL), _mentioned(found, QUALITY)
    both = [place for place in own if place in base]
    met = sum(own[place]["pearson_high"] < base[place]["pearson_low"] for place in both)
    if not both:
        return Expectation(expected, "no surface has both losses", UNKNOWN)
    values = [own[place]["pearson"] for place in both]
    outcome = f"{met} of {len(both)}; `quality` correlates from {min(values):.2f} to {max(values):.2f}"
    return Expectation(expected, outcome, verdict_of(met, len(both)))


def _own_design(matrix: Sequence[Row]) -> Expectation:
    expected = (
        "A mechanism that is designed on a loss is its best design for that loss on B, too: none on another loss is "
        "better by more than its interval"
    )
    rows = [row for row in rows_of(matrix, {"replicate": "B"}) if row["designed_on"] != row["scored_on"]]
    rows = [row for row in rows if row["lost"] is not None and row["designed_on"] != NOBODY]
    better = [row for row in rows if row["lost"] + NORMAL * total_error(row, "lost") < 0]
    if not rows:
        return Expectation(expected, "one loss alone was charged for", UNKNOWN)
    worst = "".join(f"; {text}" for text in _named(sorted(better, key=lambda row: row["lost"])[:2], -1))
    outcome = f"{len(rows) - len(better)} of {len(rows)} are not better{worst}"
    return Expectation(expected, outcome, verdict_of(len(rows) - len(better), len(rows)))


def _no_charge(matrix: Sequence[Row]) -> Expectation:
    expected = "Charging for nothing gives up objective on every loss, by more than the interval, on B"
    rows = [row for row in rows_of(matrix, {"replicate": "B", "designed_on": NOBODY}) if row["lost"] is not None]
    return _lost(expected, rows)


def _other_charge(matrix: Sequence[Row]) -> Expectation:
    expected = (
        "Charging for `kl` is not charging for `quality`: scored by `quality` on B, every mechanism that is designed "
        "on `kl` gives up objective against its design on `quality`, by more than the interval"
    )
    rows = rows_of(matrix, {"replicate": "B", "designed_on": KL, "scored_on": QUALITY})
    return _lost(expected, [row for row in rows if row["lost"] is not None])


def _lost(expected: str, rows: Sequence[Row]) -> Expectation:
    if not rows:
        return Expectation(expected, "no surface has what is compared", UNKNOWN)
    met = [row for row in rows if row["lost"] - NORMAL * total_error(row, "lost") > 0]
    values = [row["lost"] for row in rows]
    outcome = f"{len(met)} of {len(rows)}; lost of the optimum: {percent(min(values))} to {percent(max(values))}"
    return Expectation(expected, outcome, verdict_of(len(met), len(rows)))


def _named(rows: Sequence[Row], sign: int) -> Iterator[str]:
    for row in rows:
        size = f"{percent(sign * row['lost'])} ± {100 * total_error(row, 'lost'):.1f}"
        yield (
            f"{row['mechanism']} on {row['surface']}, designed on {row['designed_on']}, scored on {row['scored_on']}: "
            f"better by {size} of the optimum"
        )


def _half(found: Mapping[str, Mapping[str, Any]]) -> Expectation:
    expected = (
        "The cheapest way to halve a loss is to charge for it: of the optimum's revenue on B, more is left where the "
        "loss itself was charged for than where `kl` was, by a point or more"
    )
    compared = []
    for name, one in found.items():
        for loss in dict.fromkeys(row["scored_on"] for row in one["curve"]):
            own, other = (revenue_at_half(one["curve"], OPTIMUM, designed, loss) for designed in (loss, KL))
            if loss != KL and own is not None and other is not None:
                compared.append((name, loss, own, other))
    if not compared:
        return Expectation(expected, "no surface has a loss beside `kl` that can be halved", UNKNOWN)
    listed = "; ".join(
        f"{loss} on {name}: {percent(own)} against {percent(other)}" for name, loss, own, other in compared
    )
    return Expectation(
        expected, listed, verdict_of(sum(own - other >= POINT for *_, own, other in compared), len(compared))
    )


def revenue_at_half(curve: Sequence[Row], mechanism: str, designed: str, loss: str) -> float | None:
    """Return the revenue on B that is left when half of a loss is gone, as a share of the revenue at price 0.

    Between neighbouring prices, and between the last and selling nothing, the platform draws lots: revenue and loss are
    then linear. The most revenue counts among all points with half of the loss or less.

    Args:
        curve: Points of the trade-off.
        mechanism: Which.
        designed: The loss that was charged for.
        loss: The loss that is to be halved.
    Returns:
        None where there is no point at price 0, no loss above 0 there, or no revenue.
    """
    rows = rows_of(curve, {"replicate": "B", "mechanism": mechanism, "designed_on": designed, "scored_on": loss})
    points = [(row["loss"], row["revenue"]) for row in sorted(rows, key=lambda row: row["price"])]
    if not points or min(row["price"] for row in rows) > 0 or min(points[0]) <= 0:
        return None
    target = points[0][0] / 2
    points.append((0.0, 0.0))
    best = max(revenue for lost, revenue in points if lost <= target)
    for (lost, revenue), (after, left) in pairwise(points):
        if min(lost, after) < target < max(lost, after):
            best = max(best, revenue + (left - revenue) * (target - lost) / (after - lost))
    return float(best / points[0][1])
