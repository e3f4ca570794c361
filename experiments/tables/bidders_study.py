"""What learned bids do, read from the rows: intervals over seeds, a figure, tables, sentences and a verdict."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch

from auctionsim.experiments.running.run import PaperClaim, Row, markdown_table
from auctionsim.experiments.tables.mechanisms import MENU, PAY_AS_BID
from auctionsim.metrics import Interval, mean_interval
from auctionsim.scoring.records import titled

QUANTITIES = ("revenue", "user_loss", "objective", "bidder_utility", "welfare")
SMALL = 0.01  # of money: valuations reach 1


class Seeds(NamedTuple):
    """A mean over seeds with its 95 % interval; over one seed alone, the interval of its draws."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def over_seeds(values: Sequence[float], within: Interval) -> Seeds:
    """Return Student's interval over seeds; `within` is taken where there is only one."""
    if len(values) < 2:
        return Seeds(values[0], *within)
    return Seeds(sum(values) / len(values), *mean_interval(torch.tensor(values, dtype=torch.float64)))


def play_over_seeds(plays: Sequence[Row], play: str, quantity: str, key: Mapping[str, object] | None = None) -> Seeds:
    """Return one quantity of one play over seeds, on A unless told otherwise."""
    wanted = {"replicate": "A", "play": play, "quantity": quantity, **(key or {})}
    own = [row for row in plays if all(row[name] == value for name, value in wanted.items())]
    reach = 1.96 * own[0]["standard_error"]
    return over_seeds([row["mean"] for row in own], Interval(own[0]["mean"] - reach, own[0]["mean"] + reach))


def bidders_over_seeds(bidders: Sequence[Row], name: str, key: Mapping[str, object]) -> Seeds:
    """Return a bidders' number over seeds. A bid ratio has no interval of its own within a seed."""
    own = [row for row in bidders if all(row[part] == value for part, value in key.items())]
    first, middle = own[0], float(own[0][name])
    return over_seeds(
        [row[name] for row in own],
        Interval(float(first.get(f"{name}_low", middle)), float(first.get(f"{name}_high", middle))),
    )


def moved(change: Seeds) -> str:
    """Say where a change goes: it rises or falls if the interval leaves out 0."""
    return "rises" if change.low > 0 else "falls" if change.high < 0 else "does not move measurably"


def verdict(exploitable: Sequence[Seeds]) -> str:
    """Return what truth's exploitability, one a user weight, says of strategy-proofness.

    "does not hold" where every interval lies above 0, "holds" where every upper end is under `SMALL`, else "holds in
    part".
    """
    if all(one.low > 0 for one in exploitable):
        return "does not hold"
    return "holds" if all(one.high < SMALL for one in exploitable) else "holds in part"


def menu_claim(bidders: Sequence[Row]) -> PaperClaim:
    """Judge the menu's strategy-proofness by what the average bidder gains by its best reply to the truthful others."""
    own = [row for row in bidders if row["mechanism"] == MENU]
    weights, learners, seeds = (list(dict.fromkeys(row[c] for row in own)) for c in ("user_weight", "learner", "seed"))
    keys = [{"user_weight": w, "mechanism": MENU, "learner": learners[0]} for w in weights]
    gains = [bidders_over_seeds(bidders, "exploitability_truth", key) for key in keys]
    ratios = [bidders_over_seeds(bidders, "bid_ratio", key) for key in keys]
    shown = "; ".join(
        f"user weight {w:g}: {gain} in money, learned bids {ratio.mean:.2f} of valuations"
        for w, gain, ratio in zip(weights, gains, ratios, strict=True)
    )
    evidence = (
        f"What the average bidder expects to gain by its best reply to the truthful others under the learned menu, "
        f"95 % over {len(seeds)} seeds, {shown}. Rule: it does not hold where every interval lies above 0, holds "
        f"where every upper end is under {SMALL:g}, else in part."
    )
    return PaperClaim("strategy-proofness of the menu", verdict(gains), evidence)


def surface_names(plays: Sequence[Row]) -> list[str]:
    """Return the mechanisms that were scored on both replicates: those on the surface."""
    return list(dict.fromkeys(row["mechanism"] for row in plays if row["replicate"] == "B"))


def prose(opening: str, plays: Sequence[Row], bidders: Sequence[Row]) -> str:
    """Say what learning does to the bids, the platform and the user."""
    paragraphs = [opening]
    weights = list(dict.fromkeys(row["user_weight"] for row in plays if row["replicate"] == "B"))
    for learner in dict.fromkeys(row["learner"] for row in plays):
        for weight in weights:
            names = list(dict.fromkeys(row["mechanism"] for row in plays if row["user_weight"] == weight))
            keys = [{"user_weight": weight, "mechanism": name, "learner": learner} for name in names]
            paragraphs += [
                f"**User weight {weight:g}, {learner}: bids.**",
                markdown_table([bid_line(bidders, key) for key in keys]),
                "**What the auction gives, truth → learned, and the paired change (A).**",
                markdown_table([play_line(plays, key) for key in keys]),
                markdown_table([change_line(plays, key) for key in keys if key["mechanism"] in surface_names(plays)]),
                *findings(plays, bidders, learner, weight),
            ]
    return "\n\n".join(paragraphs)


def named(rows: Sequence[Row], key: Row) -> str:
    """Return a mechanism as tables show it, with its recipe."""
    row = next(row for row in rows if row["mechanism"] == key["mechanism"])
    return titled(row["mechanism"], row["recipe"])


def bid_line(bidders: Sequence[Row], key: Row) -> dict[str, str]:
    names = {
        "bid / valuation": "bid_ratio",
        "exploitability of truth": "exploitability_truth",
        "of learned play": "exploitability_learned",
    }
    return {
        "mechanism": named(bidders, key),
        **{title: str(bidders_over_seeds(bidders, name, key)) for title, name in names.items()},
    }


def play_line(plays: Sequence[Row], key: Row) -> dict[str, str]:
    line = {"mechanism": named(plays, key)}
    for quantity in QUANTITIES:
        truth, bid = (play_over_seeds(plays, play, quantity, key) for play in ("truth", "learned"))
        line[quantity.replace("_", " ")] = f"{truth.mean:.4f} → {bid.mean:.4f}"
    return line


def change_line(plays: Sequence[Row], key: Row) -> dict[str, str]:
    changes = {f"change of {q.replace('_', ' ')}": play_over_seeds(plays, "change", q, key) for q in QUANTITIES}
    truth, bid = (play_over_seeds(plays, play, "user_loss", {**key, "replicate": "B"}) for play in ("truth", "learned"))
    return {
        "mechanism": named(plays, key),
        **{name: str(change) for name, change in changes.items()},
        "user loss on B": f"{truth.mean:.4f} → {bid.mean:.4f}",
    }


def findings(plays: Sequence[Row], bidders: Sequence[Row], learner: str, weight: float) -> Iterator[str]:
    """Yield sentences on the untruthful mechanisms, then on the truthful ones together."""
    honest = []
    for name in surface_names(plays):
        key = {"user_weight": weight, "mechanism": name, "learner": learner}
        changes = {q: play_over_seeds(plays, "change", q, key) for q in ("revenue", "user_loss", "bidder_utility")}
        if name not in (MENU, PAY_AS_BID):
            honest.append((name, bidders_over_seeds(bidders, "bid_ratio", key), changes["revenue"]))
            continue
        truth = {q: play_over_seeds(plays, "truth", q, key).mean for q in ("revenue", "user_loss")}
        gain = bidders_over_seeds(bidders, "exploitability_truth", key)
        is_open = "leaves a gain to lies" if gain.low > 0 else "leaves no gain to lies that is measurable"
        shares = ", ".join(
            f"{q.replace('_', ' ')} {moved(changes[q])}"
            + (f" ({100 * changes[q].mean / base:+.0f} %)" if base > 0 else "")
            for q, base in truth.items()
        )
        yield (
            f"- **{name}**: truth {is_open} ({gain}); once bidders have learned, {shares}, and what bidders earn "
            f"{moved(changes['bidder_utility'])}."
        )
    furthest = max(honest, key=lambda one: abs(one[1].mean - 1))
    most = max(honest, key=lambda one: abs(one[2].mean))
    yield (
        f"- **Truthful mechanisms**: the learned bid / valuation furthest from 1 is {furthest[1].mean:.3f} "
        f"({furthest[0]}); the largest change of revenue is {most[2]} ({most[0]})."
    )
