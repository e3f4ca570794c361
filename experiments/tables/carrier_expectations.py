"""What was expected of the table of carriers, each by a stated rule, and what came out."""

from collections.abc import Sequence

from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.carrier_orders import TOGETHER
from auctionsim.experiments.tables.expectations import UNKNOWN, Expectation, verdict_of
from auctionsim.experiments.tables.loss_matrix import rows_of

NEURONS, BIAS = "neurons", "logit-bias"


def carrier_expectations(
    orders: Sequence[Row], capped: Sequence[Row], efficiency: Sequence[Row], cap: float
) -> list[Expectation]:
    """Return every expectation with its verdict.

    Args:
        orders: Ranks at caps, of carriers that act before or inside the reply.
        capped: Lotteries at caps, on A and on B.
        efficiency: η, pooled and prompt by prompt.
        cap: At which carriers are ordered first.
    """
    return [
        _at_most_one(efficiency),
        _never_below(orders, BIAS, "what moves the next token's law alone spends little beside the name", cap),
        _never_below(orders, NEURONS, "neurons, which this library began with, keep up", cap),
        _caps_hold(capped),
    ]


def nearest_to(rows: Sequence[Row], cap: float) -> list[Row]:
    """Return, of each brand and carrier, the row whose reply_kl on A is nearest to `cap` in absolute value."""
    found: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        if row["reply_kl_A"] is None:
            continue
        key = (row["category"], row["brand"], row["carrier"])
        if key not in found or abs(row["reply_kl_A"] - cap) < abs(found[key]["reply_kl_A"] - cap):
            found[key] = row
    return list(found.values())


def _at_most_one(efficiency: Sequence[Row]) -> Expectation:
    expected = (
        "η is at most 1 (data processing): no interval, of any carrier, brand, setting or prompt, lies wholly above 1"
    )
    above = [row for row in efficiency if row["efficiency_low"] is None or row["efficiency_low"] > 1]
    outcome = f"{len(above)} of {len(efficiency)} lie above 1"
    if above:
        worst = max(above, key=lambda row: row["efficiency_low"] or 0.0)
        outcome += f", the furthest of {worst['carrier']}, {worst['brand']}, at least {worst['efficiency_low']:.2f}"
    return Expectation(expected, outcome, verdict_of(len(efficiency) - len(above), len(efficiency)))


def _never_below(orders: Sequence[Row], carrier: str, why: str, cap: float) -> Expectation:
    expected = f"`{carrier}` is not told to be below the first row at reply_kl ≤ {cap:g}, brand by brand ({why})"
    rows = [row for row in rows_of(orders, {"carrier": carrier, "cap": cap}) if row["category"] != TOGETHER]
    if not rows:
        return Expectation(expected, "it was not measured", UNKNOWN)
    met = [row for row in rows if row["behind_low"] <= 0]
    widest = max(rows, key=lambda row: row["behind"])
    outcome = f"{len(met)} of {len(rows)} brands; furthest behind for {widest['brand']}, by {widest['behind']:.3f}"
    return Expectation(expected, outcome, verdict_of(len(met), len(rows)))


def _caps_hold(capped: Sequence[Row]) -> Expectation:
    expected = (
        "Lotteries keep the caps of A on B: no interval of a lottery's reply_kl there, as it was designed, lies above "
        "its cap"
    )
    rows = [row for row in rows_of(capped, {"replicate": "B", "held": False}) if row["reply_kl_low"] is not None]
    over = [row for row in rows if row["reply_kl_low"] > row["cap"]]
    outcome = f"{len(over)} of {len(rows)} lie above; {sum(row['reply_kl'] > row['cap'] for row in rows)} means do"
    if over:
        outcome += f": {', '.join(sorted({row['carrier'] for row in over}))}"
    return Expectation(expected, outcome, verdict_of(len(rows) - len(over), len(rows)))
