"""What two surfaces' frontiers say: figures, tables, sentences and a verdict, all from the rows."""

from collections.abc import Iterator, Mapping, Sequence

from auctionsim.experiments.running.run import PaperClaim, Row, markdown_table, with_error
from auctionsim.experiments.tables.mechanisms import OPTIMUM
from auctionsim.scoring.records import titled

KINDS = ("revenue at equal user loss", "user loss at equal revenue")


def trade_off_verdict(steps: Sequence[Row]) -> str:
    """Say whether the user weight trades revenue against the user's loss.

    "holds" where every rise of the weight lowers both, each interval below 0; "does not hold" where over the whole
    sweep of some surface and replicate either does not fall; "holds in part" else.
    """
    both = ("revenue_change", "user_loss_change")
    if all(row[f"{name}_high"] < 0 for row in steps for name in both):
        return "holds"
    sweeps = {(row["surface"], row["replicate"]) for row in steps}
    whole = [
        sum(row[name] for row in steps if (row["surface"], row["replicate"]) == sweep)
        for sweep in sweeps
        for name in both
    ]
    return "does not hold" if max(whole) >= 0 else "holds in part"


def trade_off_claim(user_weights: Sequence[float], steps: Sequence[Row]) -> PaperClaim:
    """Judge the paper's trade-off by the optimum's steps, on both surfaces and replicates."""
    own = [row for row in steps if row["mechanism"] == OPTIMUM]
    clear = {name: sum(row[f"{name}_change_high"] < 0 for row in own) for name in ("user_loss", "revenue")}
    rising = {name: sum(row[f"{name}_change_low"] > 0 for row in own) for name in ("user_loss", "revenue")}
    evidence = (
        f"From each user weight to the next ({', '.join(f'{w:g}' for w in user_weights)}; the virtual-welfare "
        f"optimum designed on A, both surfaces, scored on A and B: {len(own)} steps) the user's loss falls "
        f"with its 95 % "
        f"interval below 0 in {clear['user_loss']}, revenue in {clear['revenue']}; with an interval above 0 "
        f"the loss rises "
        f"in {rising['user_loss']}, revenue in {rising['revenue']}. Rule: it holds where all steps fall so, "
        f"does not hold "
        f"where over a whole sweep either does not fall, else in part."
    )
    return PaperClaim("user-utility trade-off", trade_off_verdict(own), evidence)


def prose(opening: str, tables: Mapping[str, Sequence[Row]], limits: Sequence[float]) -> str:
    """Say which neurons give the better auction."""
    parts = [opening, "**The optimum over user weights.**", markdown_table(point_lines(tables["points"], OPTIMUM))]
    for kind in KINDS:
        parts += [
            f"**{kind.capitalize()}**, linear between user weights.",
            markdown_table(equal_lines(tables["equal"], kind)),
        ]
    parts += list(findings(tables["equal"]))
    parts += ["**One brand alone: most lift under a limit on the user's loss (loss + 1 se).**"]
    parts += [markdown_table(single_lines(tables["singles"], limits))]
    return "\n\n".join(parts)


def point_lines(points: Sequence[Row], mechanism: str) -> list[dict[str, str]]:
    lines = []
    for a in points:
        if (a["mechanism"], a["replicate"]) != (mechanism, "A"):
            continue
        same = ("mechanism", "surface", "user_weight")
        b = next(row for row in points if row["replicate"] == "B" and all(row[name] == a[name] for name in same))
        lines.append(
            {
                "surface": a["surface"],
                "user weight": f"{a['user_weight']:g}",
                "revenue": with_error(a["revenue"], a["revenue_standard_error"]),
                "user loss, A": with_error(a["user_loss"], a["user_loss_standard_error"]),
                "user loss, B": with_error(b["user_loss"], b["user_loss_standard_error"]),
                "objective, A": with_error(a["objective"], a["objective_standard_error"]),
                "objective, B": with_error(b["objective"], b["objective_standard_error"]),
                "bidders' value, A": with_error(a["welfare"], a["welfare_standard_error"]),
                "bidders' value, B": with_error(b["welfare"], b["welfare_standard_error"]),
            }
        )
    return lines


def equal_lines(equal: Sequence[Row], kind: str) -> list[dict[str, str]]:
    return [
        {
            "mechanism": titled(row["mechanism"], row["recipe"]),
            "replicate": row["replicate"],
            kind.split(" at equal ")[1]: f"{row['level']:.3f}",
            "harm-aware": with_error(row["harm_aware"], row["harm_aware_standard_error"]),
            "plain": with_error(row["plain"], row["plain_standard_error"]),
            "difference": f"{row['difference']:+.3f} [{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]",
        }
        for row in equal
        if row["kind"] == kind
    ]


def standing(rows: Sequence[Row]) -> str:
    """Count levels at which harm-aware neurons have more, less, or are not told apart: where the interval lies."""
    more = sum(row["difference_low"] > 0 for row in rows)
    less = sum(row["difference_high"] < 0 for row in rows)
    return f"higher at {more}, lower at {less}, not told apart at {len(rows) - more - less} of {len(rows)} levels"


def findings(equal: Sequence[Row]) -> Iterator[str]:
    """Yield one sentence a mechanism and replicate."""
    for mechanism, replicate in dict.fromkeys((row["mechanism"], row["replicate"]) for row in equal):
        own = [row for row in equal if (row["mechanism"], row["replicate"]) == (mechanism, replicate)]
        revenue, loss = (standing([row for row in own if row["kind"] == kind]) for kind in KINDS)
        yield (
            f"- {mechanism}, scored on {replicate}: with harm-aware neurons revenue at equal user loss is {revenue}; "
            f"user loss at equal revenue is {loss}."
        )


def single_lines(singles: Sequence[Row], limits: Sequence[float]) -> list[dict[str, str]]:
    """Return each surface's and brand's best setting under each limit."""
    lines = []
    for surface, brand in dict.fromkeys((row["surface"], row["brand"]) for row in singles):
        own = [row for row in singles if (row["surface"], row["brand"]) == (surface, brand)]
        line = {"surface": surface, "brand": brand}
        for limit in limits:
            fitting = [row for row in own if row["user_loss"] + row["user_loss_standard_error"] <= limit]
            best = max(fitting, key=lambda row: row["lift"], default=None)
            text = (
                "none fits"
                if best is None
                else f"{with_error(best['lift'], best['lift_standard_error'])} ({best['setting']})"
            )
            line[f"loss ≤ {limit:g}"] = text
        lines.append(line)
    return lines
