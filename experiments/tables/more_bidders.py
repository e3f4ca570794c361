"""What more bidders change: numbers over n, what rises or falls by a stated rule, and the menu against VCG."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from auctionsim.experiments.running.run import PaperClaim, Row, markdown_table, with_error
from auctionsim.experiments.tables.mechanisms import AFFINE, MENU, OPTIMUM, PAY_AS_BID, VCG
from auctionsim.scoring.records import titled
from auctionsim.substrates.measurements import REPLICATES

ITEMS = ("one item, Myerson", "one item, second price")
CLEAR = 2.0  # standard errors from which on a change over n has a direction
MECHANISMS = (OPTIMUM, AFFINE, MENU, VCG, PAY_AS_BID)
NUMBERS = ("revenue", "user_loss", "objective", "objective_share", "bidder_utility", "regret", "ir_violation")


def mean_of(means: Sequence[Row], key: Mapping[str, object]) -> Row | None:
    """Return one mean's row, None where there is none (a share of an optimum that is 0)."""
    return next((row for row in means if all(row[name] == value for name, value in key.items())), None)


def direction(first: Row, last: Row) -> str:
    """Say where a number goes from the fewest bidders to the most, if by `CLEAR` standard errors of the difference."""
    change = last["mean"] - first["mean"]
    error = math.hypot(first["standard_error"] or 0.0, last["standard_error"] or 0.0)
    if abs(change) <= CLEAR * error or change == 0:
        return "does not change clearly"
    return "rises" if change > 0 else "falls"


def menu_verdict(rows: Sequence[Row]) -> str:
    """Say whether the menu beats VCG at the same user weight, on A.

    "holds" where in every brand set its revenue at truthful bids and its objective under best responses are above
    VCG's revenue and objective; "does not hold" where not even its mean revenue is; "holds in part" else.
    """
    pairs = [(row, rival_of(rows, row)) for row in rows if (row["mechanism"], row["replicate"]) == (MENU, "A")]
    is_richer = all(menu["revenue"] > vcg["revenue"] for menu, vcg in pairs)
    is_better = all(played_best(menu) > vcg["objective"] for menu, vcg in pairs)
    if is_richer and is_better:
        return "holds"
    return "does not hold" if sum(menu["revenue"] - vcg["revenue"] for menu, vcg in pairs) <= 0 else "holds in part"


def rival_of(rows: Sequence[Row], menu: Row) -> Row:
    """Return VCG's row in the same brand set, on the same replicate, at the same weight."""
    same = ("n", "brand_set", "user_weight", "replicate")
    return next(row for row in rows if row["mechanism"] == VCG and all(row[name] == menu[name] for name in same))


def played_best(row: Row) -> float:
    """Return the objective when every bidder answers the truthful others best: the truthful one where nobody gains."""
    value = row["objective_best_response"]
    return float(row["objective"] if value is None else value)


def menu_claim(rows: Sequence[Row]) -> PaperClaim:
    """Judge the menu against VCG over all brand sets and weights."""
    pairs = [(row, rival_of(rows, row)) for row in rows if (row["mechanism"], row["replicate"]) == (MENU, "A")]
    richer = sum(menu["revenue"] > vcg["revenue"] for menu, vcg in pairs)
    better = sum(played_best(menu) > vcg["objective"] for menu, vcg in pairs)
    ratio = sum(menu["revenue"] for menu, _ in pairs) / sum(vcg["revenue"] for _, vcg in pairs)
    weights = ", ".join(f"{weight:g}" for weight in dict.fromkeys(row["user_weight"] for row in rows))
    sizes = [row["n"] for row in rows]
    evidence = (
        f"{len(pairs)} brand sets and user weights ({weights}), {min(sizes)} to {max(sizes)} "
        f"bidders, designed "
        f"and scored on A: the learned menu's revenue at truthful bids is above VCG's of the same user "
        f"weight in {richer} "
        f"({ratio:.2f} of it on average); its objective when every bidder answers the truthful others best is above "
        f"VCG's in {better}. Rule: holds where both are so in all, does not hold where mean truthful revenue "
        f"is not above, "
        f"else in part."
    )
    return PaperClaim("menu against VCG revenue", menu_verdict(rows), evidence)


def prose(opening: str, sizes: Sequence[int], means: Sequence[Row], seconds: Sequence[Row]) -> str:
    """Say what more bidders bring the platform, cost the user, and do to each mechanism.

    Args:
        opening: Which auctions there were.
        sizes: How many bidders, ascending.
        means: One a size, user weight, mechanism, replicate and number.
        seconds: What designs took.
    """
    parts = [opening]
    for weight in dict.fromkeys(row["user_weight"] for row in seconds):
        parts += [f"**User weight {weight:g}, scored on A (share of the optimum on B, too).**"]
        parts += [markdown_table(list(mean_lines(sizes, means, weight))), *findings(sizes, means, weight)]
    parts += ["**CPU seconds a design takes on this machine, mean over brand sets and weights.**"]
    parts += [markdown_table(list(second_lines(sizes, seconds)))]
    return "\n\n".join(parts)


def mean_lines(sizes: Sequence[int], means: Sequence[Row], weight: float) -> Iterator[dict[str, str]]:
    for n in sizes:
        for name in MECHANISMS:
            shown = next((row for row in means if row["mechanism"] == name), {"recipe": ""})
            line = {"mechanism": titled(name, shown["recipe"]), "bidders": str(n)}
            for number in NUMBERS:
                for replicate in REPLICATES if number == "objective_share" else ("A",):
                    key = {"user_weight": weight, "mechanism": name, "replicate": replicate, "number": number}
                    mean = mean_of(means, {"n": n, **key})
                    title = (
                        f"share of optimum, {replicate}" if number == "objective_share" else number.replace("_", " ")
                    )
                    line[title] = "–" if mean is None else with_error(mean["mean"], mean["standard_error"])
            yield line


def findings(sizes: Sequence[int], means: Sequence[Row], weight: float) -> Iterator[str]:
    """Yield what happens from the fewest bidders to the most: the optimum against one item, then each mechanism."""
    few, many = sizes[0], sizes[-1]

    def ends(name: str, number: str) -> tuple[Row, Row] | None:
        key = {"user_weight": weight, "mechanism": name, "replicate": "A", "number": number}
        first, last = (mean_of(means, {"n": n, **key}) for n in (few, many))
        return None if first is None or last is None else (first, last)

    grown = ends(OPTIMUM, "revenue")
    items = [[row["mean"] for row in means if row["mechanism"] == name and row["n"] in (few, many)] for name in ITEMS]
    if grown is not None and grown[0]["mean"] > 0:
        yield (
            f"- From {few} to {many} bidders the optimum's revenue {direction(*grown)}: {grown[0]['mean']:.3f} to "
            f"{grown[1]['mean']:.3f}, × {grown[1]['mean'] / grown[0]['mean']:.2f}; one item's optimum grows × "
            f"{items[0][1] / items[0][0]:.2f}, its second price × {items[1][1] / items[1][0]:.2f}."
        )
    for name in MECHANISMS:
        changes = []
        for number in ("user_loss", "objective_share", "regret", "ir_violation"):
            pair = ends(name, number)
            if (
                pair is None
                or (name == OPTIMUM and number == "objective_share")
                or not any(row["high"] for row in pair)
            ):
                continue
            words = number.replace("_", " ").replace("objective share", "share of the optimum")
            changes.append(f"{words} {direction(*pair)} ({pair[0]['mean']:.3f} to {pair[1]['mean']:.3f})")
        yield f"- {name}: {'; '.join(changes)}."


def second_lines(sizes: Sequence[int], seconds: Sequence[Row]) -> Iterator[dict[str, str]]:
    for name in (AFFINE, MENU):
        made = [row for row in seconds if row["mechanism"] == name]
        line = {"mechanism": titled(name, made[0]["recipe"])}
        for n in sizes:
            line[f"{n} bidders"] = f"{statistics.fmean(row['seconds'] for row in made if row['n'] == n):.1f}"
        yield line
