"""The table of carriers as a section: who names brands most often at equal reply_kl, stated by rules from tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from auctionsim.experiments.running.carrier_cell import AD_WORDS, CarrierCell
from auctionsim.experiments.running.run import Row, Section, markdown_table
from auctionsim.experiments.tables.carrier_expectations import carrier_expectations, nearest_to
from auctionsim.experiments.tables.carrier_orders import TOGETHER
from auctionsim.experiments.tables.expectations import expectations_table
from auctionsim.experiments.tables.loss_matrix import rows_of
from auctionsim.report.wording import NOTHING, number

_ROUNDING = 1e-12  # what sums of float64 leave of 0


class CarrierTables(NamedTuple):
    """The tables of carriers.

    Attributes:
        settings: Every brand alone at each of its settings.
        frontier: Corners of frontiers.
        capped: Lotteries at caps on reply_kl.
        orders: Ranks at caps on reply_kl, of carriers that act before or inside the reply.
        after: The same of carriers that act after it.
        user_loss: Ranks of all at caps on reply_kl + ρ · ad words.
        efficiency: η, pooled and prompt by prompt.
    """

    settings: list[Row]
    frontier: list[Row]
    capped: list[Row]
    orders: list[Row]
    after: list[Row]
    user_loss: list[Row]
    efficiency: list[Row]


def carriers_section(
    cells: Sequence[CarrierCell],
    found: CarrierTables,
    cap: float,
    unmeasured: Sequence[str],
    figures: Mapping[str, str],
) -> Section:
    """Return the section.

    Args:
        cells: Carriers by category.
        found: The tables.
        cap: On reply_kl, nats a reply, at which carriers are ordered first.
        unmeasured: Carriers of the table of carriers that no list was measured of.
        figures: File names, with captions.
    """
    labels = {one.carrier: one.label for one in cells}
    after = {one.carrier for one in cells if one.acts_after}
    parts = [
        _manner(cells),
        f"**{headline(found.orders, labels, cap)}**",
        "What was expected, each by a stated rule, and what came out:",
        expectations_table(carrier_expectations(found.orders, found.capped, found.efficiency, cap)),
        f"All categories and brands together at reply_kl ≤ {cap:g}, every number on B: the mean over categories of the "
        "mean over brands, each brand alone in its own lottery. `named` and `behind` (how far the first row is ahead, "
        "prompt by prompt) have 95 % intervals. `others` is what the other brands' probabilities gain together; "
        "`quality` is the rise of the probability that a reply is bad; the four columns of the user's side are never "
        f"one number. {_resolved(found.orders, cap)}",
        markdown_table([*main_lines(found.orders, found.capped, labels, cap)]),
        *_part_time(found.capped, labels, cap),
        "`named` on B brand by brand at each cap, ranks in brackets:",
        markdown_table([*_cap_lines(found.orders, labels)]),
    ]
    if found.after:
        parts += [
            "Carriers that act after the reply leave its law as it is: their reply_kl is 0, so a cap on it caps "
            "nothing, and they stand apart. What they cost the user is words:",
            markdown_table([*main_lines(found.after, found.capped, labels, cap)]),
            f"One order of all, under the user loss reply_kl + ρ · ad words ≤ {cap:g}, all categories and brands "
            "together, lotteries designed anew on A for each ρ a word; `named` on B, ranks in brackets:",
            markdown_table([*_user_loss_lines(found.user_loss, labels, cap)]),
        ]
    parts += [
        "Efficiency η = d(p_x‖p_0) / reply_kl, d the binary divergence of “the reply's text names the brand”, pooled "
        f"over B's prompts, at the measured setting whose reply_kl on A is nearest {cap:g}; intervals hold in 95 % at "
        "least (exact ones of both probabilities and Student's of the mean), so few replies make them wide. Prompt by "
        "prompt it is in the table `efficiency`. By the chain rule η ≤ 1"
        + (f"; of {', '.join(sorted(labels[name] for name in after))} it is undefined:" if after else ":"),
        markdown_table([*_efficiency_lines(found.efficiency, labels, cap)]),
        *_gaps(cells, unmeasured),
    ]
    return Section("Carriers at equal reply_kl", "\n\n".join(parts), figures)


def headline(orders: Sequence[Row], labels: Mapping[str, str], cap: float) -> str:
    """Return the sentence that says which carrier names the brand most often at a cap, whatever it is.

    The first in the order is named; those that share its rank range with it, because no paired interval sets them
    below it, are named beside it.
    """
    rows = rows_of(orders, {"category": TOGETHER, "brand": TOGETHER, "cap": cap})
    if not rows:
        return f"No carrier was measured in every category, so none is said to be first at reply_kl ≤ {cap:g}."
    first, rest = rows[0], rows[1:]
    level = [row for row in rest if row["behind_low"] <= 0]
    words = (
        f"At reply_kl ≤ {cap:g}, on prompts of B, {labels[first['carrier']]} names the brand most often: in "
        f"{_interval(first, 'named')} of replies"
    )
    if level:
        names = ", ".join(f"{labels[row['carrier']]} ({row['named']:.3f})" for row in level)
        return f"{words}; not told apart from it: {names}."
    return f"{words}; every other of the {len(rows)} is told to be below it." if rest else f"{words}; it is alone."


def _manner(cells: Sequence[CarrierCell]) -> str:
    categories = list(dict.fromkeys(one.category for one in cells))
    counts = sorted({len(one.replicates["B"].context) for one in cells})
    samples = sorted({one.replicates["B"].replies for one in cells})
    return (
        f"{len({one.carrier for one in cells})} carriers in {', '.join(categories)}, each measured on a list of joint "
        f"settings; {_range(counts)} prompts a replicate, {_range(samples)} replies to each under each setting. "
        "`named` is the probability that the page names the brand at least once. Carriers are compared at equal "
        "`reply_kl`, never at equal strength: what is sold to a brand is the lottery over its own settings, nobody "
        "else moved, that names it most often on A at an expected reply_kl of at most the cap there. On B, whose "
        "prompts and stems nothing was designed on, a lottery that costs more than the cap is drawn back along the "
        "frontier of A until it keeps the cap there, too; `as designed` is what it names, and its reply_kl, without"
        " that. Intervals are Student's over prompts within contexts. Two carriers have different ranks only where "
        "paired intervals set all above apart from all below; `places` are those that single pairs, at 95 % each, "
        "leave a row. `slots` is the probability of the name after B's stems, which nothing was fitted on: neurons "
        "were fitted on stems of their own that call for a name, wordings ordered or chosen by stems of A, other "
        "carriers fitted on no stems. `settings` counts the list; a pilot on A tried every rung of a carrier's ladder "
        "before, each brand alone, to find its levels."
    )


def _range(counts: Sequence[int]) -> str:
    return str(counts[0]) if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"


def _resolved(orders: Sequence[Row], cap: float) -> str:
    rows = rows_of(orders, {"category": TOGETHER, "brand": TOGETHER, "cap": cap})
    if not rows or rows[0]["resolved"] is None:
        return ""
    return f"The smallest difference that this table can tell for sure between neighbours is {rows[0]['resolved']:.3f}."


def main_lines(
    orders: Sequence[Row], capped: Sequence[Row], labels: Mapping[str, str], cap: float
) -> Iterator[dict[str, str]]:
    """Yield the lines of carriers at one cap, all categories and brands together, best first.

    Args:
        orders: Ranks.
        capped: Lotteries at caps.
        labels: Of the carriers.
        cap: Which.
    """
    for row in rows_of(orders, {"category": TOGETHER, "brand": TOGETHER, "cap": cap}):
        every = rows_of(capped, {"carrier": row["carrier"], "cap": cap, "replicate": "B"})
        own, designed = (rows_of(every, {"held": held}) for held in (True, False))
        line = {
            "carrier": labels[row["carrier"]],
            "rank": str(row["rank"]),
            "places": f"{row['best_rank']}–{row['worst_rank']}",
            "named": _interval(row, "named"),
            "behind": NOTHING
            if row is rows_of(orders, {"category": TOGETHER, "cap": cap})[0]
            else _interval(row, "behind"),
            "untouched": _mean(own, "untouched"),
        }
        line |= {name: _mean(own, name) for name in ("reply_kl", "quality", "kl", "ad_share", AD_WORDS)}
        line["as designed"] = f"{_mean(designed, 'named')} at {_mean(designed, 'reply_kl')}"
        tried = {one["settings_tried"] for one in own}
        yield line | {
            "others": _mean(own, "others"),
            "slots": _mean(own, "slot_probability"),
            "rows a reply": _mean(own, "rows_per_reply"),
            "settings": "/".join(map(str, sorted(tried))),
        }


def _part_time(capped: Sequence[Row], labels: Mapping[str, str], cap: float) -> Iterator[str]:
    """Yield which carriers are sold part of the time only at a cap: their first setting worth its cost costs more."""
    found: dict[str, list[str]] = {}
    for row in rows_of(capped, {"cap": cap, "replicate": "B", "held": True}):
        shares = dict(part.split(" ") for part in row["held_lottery"].split(", "))
        if 0 < float(shares.get("0", 0)) < 1:
            found.setdefault(row["carrier"], []).append(f"{row['brand']} {1 - float(shares['0']):.0%}")
    if found:
        listed = "; ".join(f"{labels[carrier]} ({', '.join(brands)})" for carrier, brands in found.items())
        yield (
            "In force a part of the time only, the untouched reply the rest, since the first corner of the frontier "
            f"costs more than {cap:g}: {listed}. A weaker setting that was not measured may name the brand more often "
            "at the same expected cost, so these rows are lower bounds of what such carriers can do."
        )


def _cap_lines(orders: Sequence[Row], labels: Mapping[str, str]) -> Iterator[dict[str, str]]:
    scopes = dict.fromkeys((row["category"], row["brand"]) for row in orders if row["category"] != TOGETHER)
    caps = list(dict.fromkeys(row["cap"] for row in orders))
    for category, brand in scopes:
        own = rows_of(orders, {"category": category, "brand": brand})
        for carrier in dict.fromkeys(row["carrier"] for row in own):
            line = {"brand": brand, "carrier": labels[carrier]}
            for cap in caps:
                row = rows_of(own, {"carrier": carrier, "cap": cap})[0]
                line[f"≤ {cap:g}"] = f"{_interval(row, 'named', 2)} ({row['rank']})"
            yield line


def _user_loss_lines(rows: Sequence[Row], labels: Mapping[str, str], cap: float) -> Iterator[dict[str, str]]:
    own = rows_of(rows, {"category": TOGETHER, "brand": TOGETHER, "cap": cap})
    for carrier in dict.fromkeys(row["carrier"] for row in own):
        line = {"carrier": labels[carrier]}
        for price in dict.fromkeys(row["price"] for row in own):
            row = rows_of(own, {"carrier": carrier, "price": price})[0]
            line[f"ρ = {price:g}"] = f"{row['named']:.3f} ({row['rank']})"
        yield line


def _efficiency_lines(rows: Sequence[Row], labels: Mapping[str, str], cap: float) -> Iterator[dict[str, str]]:
    for row in nearest_to(rows_of(rows, {"prompt": TOGETHER}), cap):
        yield {
            "brand": row["brand"],
            "carrier": labels[row["carrier"]],
            "reply_kl on A": number(row["reply_kl_A"]),
            "η": number(float("inf") if row["efficiency"] is None else row["efficiency"]),
            "at least": number(row["efficiency_low"]),
            "at most": number(float("inf") if row["efficiency_high"] is None else row["efficiency_high"]),
        }


def _gaps(cells: Sequence[CarrierCell], unmeasured: Sequence[str]) -> Iterator[str]:
    """Yield what is not there: columns that were not read, and carriers that were not measured."""
    categories = {one.category for one in cells}
    for one in cells:
        if one.unread:
            yield f"{one.measured}: " + "; ".join(f"`{name}`: {why}" for name, why in one.unread.items()) + "."
    missing = {
        one.label: sorted(categories - {other.category for other in cells if other.carrier == one.carrier})
        for one in cells
    }
    lacking = [f"{label} in {', '.join(some)}" for label, some in missing.items() if some]
    if lacking:
        yield f"Not measured, and so not in the rows of all together: {'; '.join(lacking)}."
    if unmeasured:
        yield f"Carriers of the library that no list was measured of: {'; '.join(unmeasured)}."


def _interval(row: Row, name: str, digits: int = 3) -> str:
    ends = (f"{row[f'{name}{end}']:.{digits}f}" for end in ("_low", "_high"))
    return f"{row[name]:.{digits}f} ({' to '.join(ends)})".replace("-", "−")


def _mean(rows: Sequence[Row], name: str) -> str:
    """Return the mean over categories of means over brands; a dash where some have none."""
    by_category: dict[str, list[float | None]] = {}
    for row in rows:
        by_category.setdefault(row["category"], []).append(row[name])
    known = [some for some in by_category.values() if all(value is not None for value in some)]
    if not known or len(known) < len(by_category):
        return NOTHING
    mean = sum(sum(v for v in some if v is not None) / len(some) for some in known) / len(known)
    return number(0.0 if abs(mean) < _ROUNDING else mean)
