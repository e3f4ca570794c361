"""What named losses of the user change: stated from the tables of cells, designs, outcomes and the trade-off."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from auctionsim.experiments.running.priced_losses import LossPrices, PricedLoss
from auctionsim.experiments.running.run import Row, Section, markdown_table, quoted, with_error
from auctionsim.experiments.tables.expectations import expectations_table
from auctionsim.experiments.tables.loss_cells import HITS, MENTIONS
from auctionsim.experiments.tables.loss_expectations import expectations, revenue_at_half
from auctionsim.experiments.tables.loss_matrix import rows_of, total_error
from auctionsim.experiments.tables.loss_menus import ChosenReplies
from auctionsim.experiments.tables.mechanisms import OPTIMUM, recipe_sentence
from auctionsim.report.wording import NOTHING, number, percent, setting
from auctionsim.scoring.records import titled


class LossesFound(NamedTuple):
    """The losses of one surface: by cell, as what auctions charge for, and in replies.

    Attributes:
        prices: The losses with their rates, and those that are missing.
        brands: The bidders.
        contexts: Of the surface.
        unfit: Mechanisms that cannot be designed on it, with the reason.
        cells: Means of losses and mentions by cell.
        correlations: How closely losses follow mentions.
        matrix: Mechanisms designed on one loss and scored on another.
        entries: What menus offer.
        outcomes: What is sold and charged at a few valuations.
        curve: The trade-off.
        replies: Stored replies at the outcomes; None where no replies were kept.
    """

    prices: LossPrices
    brands: tuple[str, ...]
    contexts: tuple[str, ...]
    unfit: Mapping[str, str]
    cells: Sequence[Row]
    correlations: Sequence[Row]
    matrix: Sequence[Row]
    entries: Sequence[Row]
    outcomes: Sequence[Row]
    curve: Sequence[Row]
    replies: ChosenReplies | None


def losses_section(
    feature: str, prior: str, price: float, found: Mapping[str, LossesFound], figures: Mapping[str, str]
) -> Section:
    """Return the section: what was expected, then surface by surface cells, designs, outcomes, replies, trade-off.

    Args:
        feature: What is sold.
        prior: Valuations, as text.
        price: Money that the dearest cell of a loss costs.
        found: By surface.
        figures: File names, with captions.
    """
    first = next(iter(found.values()))
    quick = any(row["recipe"] for row in first.matrix)
    parts = [
        f"`{feature}` is sold, valuations {prior}, truthful bids; mechanisms are designed on replicate A to charge for "
        "one loss of the user, and scored by every loss on A and on B. Losses have different units, so each is charged "
        "at the rate at which its dearest cell on A (the intervention with the largest loss, a mean over contexts) "
        f"costs {price:g} of money, if that cell is above 0 by two standard errors; losses that are charged together "
        "split that price evenly. ± is one standard error "
        "from two kinds of chance, valuations with contexts (paired) and the measured losses of the cells that are "
        "chosen (with the covariances of losses that are charged together, where they are known; the untouched "
        "reply's mean, which losses by difference share, counts at its worst). Exposures are taken as measured. On A "
        "the cells were chosen by the same noise that scores them, so A flatters. "
        f"{recipe_sentence(quick=quick)} {_unfit(first.unfit)}",
        "What was expected, each by a stated rule, and what came out:",
        expectations_table(expectations({name: one._asdict() for name, one in found.items()})),
    ]
    for name, one in found.items():
        parts += [f"### {name}", *_of_surface(one, price)]
    return Section("Auctions that charge for different losses", "\n\n".join(parts), figures)


def _unfit(unfit: Mapping[str, str]) -> str:
    """Say which mechanisms of the table are not designed, by reason."""
    by_reason: dict[str, list[str]] = {}
    for name, refusal in unfit.items():
        needed = refusal.removeprefix(f"{name} needs ").partition(", got ")[0]
        by_reason.setdefault(needed, []).append(name)
    if not by_reason:
        return ""
    listed = "; ".join(f"{', '.join(names)} (for {needed})" for needed, names in by_reason.items())
    return f"Not designed on a surface, of the table of mechanisms: {listed}."


def _of_surface(one: LossesFound, price: float) -> Iterator[str]:
    losses = [loss.name for loss in one.prices.priced]
    yield markdown_table([_rate(loss, price) for loss in one.prices.priced])
    if one.prices.missing:
        yield (
            "Not charged for here: " + "; ".join(f"`{name}` ({why})" for name, why in one.prices.missing.items()) + "."
        )
    yield (
        f"Correlation over the {one.correlations[0]['n'] if one.correlations else 0} amplified cells of each loss's "
        "mean with mentions of all brands per word of a reply, and with hits per reply. Intervals (95 %) draw the "
        "cells anew: they are about interventions like these, measured as noisily as these. Reliability is the share "
        "of a loss's variance over cells that its standard errors do not explain; corrected is B's correlation over "
        "the root of both sides' reliability, taking the noise of the two as independent. For a loss by difference to "
        "the untouched reply (`length`, `quality`; not `kl`) reliability is a lower bound and corrected an upper one: "
        "the untouched reply's noise is in every cell's error, and moves none against another. Left given mentions: "
        "the correlation of A's and B's residuals from a parabola in mentions a word, 0 where mentions say all that "
        "can be measured:"
    )
    yield markdown_table([*_correlation_lines(one.correlations)])
    yield (
        "Share of the optimum that knows the scoring loss and the replicate: each column is the loss that scores, B "
        "first and A in brackets; each line is the loss that was designed on. Regret and IR violation are B's; a rule "
        "with regret does not get the truthful bids that its share is of."
    )
    yield markdown_table([*_matrix_lines(one.matrix, losses)])
    yield f"The optimum's revenue and losses on B, in the losses' own units ({_units(one)}):"
    yield markdown_table([*_level_lines(one.matrix, losses)])
    if one.entries:
        yield "What the menus offer (entries that some valuation takes; rivals at null, the average context of A):"
        yield markdown_table([_entry(row) for row in one.entries])
    yield from _outcomes(one)
    yield (
        "The trade-off, optimum on B: revenue that is left when half of a loss is gone, as a share of the revenue at "
        "price 0, between the prices of the curve by drawing lots (each line the loss that was designed on):"
    )
    yield markdown_table([*_half_lines(one, losses)])


def _rate(loss: PricedLoss, price: float) -> dict[str, str]:
    name, charge, unit, dearest, error = loss
    return {
        "loss": name,
        "unit": unit,
        "dearest cell on A": NOTHING if dearest is None else with_error(dearest, error),
        f"user weight at {price:g}": " + ".join(f"{price * rate:.4g} {part}" for part, rate in charge.items()),
    }


def _correlation_lines(rows: Sequence[Row]) -> Iterator[dict[str, str]]:
    for loss in dict.fromkeys(row["loss"] for row in rows):
        for context in dict.fromkeys(row["context"] for row in rows):
            own = rows_of(rows, {"loss": loss, "context": context})
            line = {"loss": loss, "context": context}
            for against in (MENTIONS, HITS):
                for replicate in ("A", "B"):
                    row = next(iter(rows_of(own, {"against": against, "replicate": replicate})), None)
                    line[f"{against}, {replicate}"] = _interval(row, "pearson")
            row = next(iter(rows_of(own, {"against": MENTIONS, "replicate": "B"}) or rows_of(own, {"replicate": "B"})))
            line["by rank, B"] = _interval(row, "spearman")
            line["reliability, B"] = number(row["reliability"], 2)
            line["corrected"] = number(row["corrected"], 2)
            line["left given mentions"] = _interval(row, "left")
            yield line


def _interval(row: Row | None, kind: str) -> str:
    if row is None or row[kind] is None:
        return NOTHING
    ends = [f"{row[kind + end]:.2f}" for end in ("_low", "_high")]
    return f"{row[kind]:.2f} ({' to '.join(ends)})".replace("-", "−")


def _matrix_lines(matrix: Sequence[Row], losses: Sequence[str]) -> Iterator[dict[str, str]]:
    for mechanism in dict.fromkeys(row["mechanism"] for row in matrix):
        own = rows_of(matrix, {"mechanism": mechanism})
        for designed in dict.fromkeys(row["designed_on"] for row in own):
            line = {"mechanism": titled(mechanism, own[0]["recipe"]), "designed on": designed}
            for loss in losses:
                b, a = (
                    rows_of(own, {"designed_on": designed, "scored_on": loss, "replicate": replicate})[0]
                    for replicate in "BA"
                )
                line[loss] = NOTHING if b["share"] is None else f"{_share(b)} ({percent(a['share'])})"
            left = rows_of(own, {"designed_on": designed, "replicate": "B"})[0]
            line["regret"] = f"{with_error(left['regret'], left['regret_standard_error'], 4)} ({left['regret_is']})"
            line["IR violation"] = with_error(left["ir_violation"], left["ir_violation_standard_error"], 4)
            yield line


def _share(row: Row) -> str:
    return f"{percent(row['share'])} ± {100 * total_error(row, 'share'):.1f}"


def _units(one: LossesFound) -> str:
    return "; ".join(f"{loss.name}: {loss.unit}" for loss in one.prices.priced if loss.is_single)


def _level_lines(matrix: Sequence[Row], losses: Sequence[str]) -> Iterator[dict[str, str]]:
    own = rows_of(matrix, {"mechanism": OPTIMUM, "replicate": "B"})
    for designed in dict.fromkeys(row["designed_on"] for row in own):
        rows = {row["scored_on"]: row for row in rows_of(own, {"designed_on": designed})}
        some = next(iter(rows.values()))
        line = {"designed on": designed, "revenue": with_error(some["revenue"], some["revenue_standard_error"], 4)}
        shown = [loss for loss in losses if "+" not in loss]
        yield line | {loss: with_error(rows[loss]["loss"], total_error(rows[loss], "loss"), 4) for loss in shown}


def _entry(row: Row) -> dict[str, str]:
    levers = setting(float(f"{row['num_neurons']:.3g}"), float(f"{row['amplification']:.3g}"))
    numbers = {name: _fixed(row[name], 4) for name in ("price", "exposure", "loss")}
    return {"designed on": row["designed_on"], "brand": row["brand"], "levers": levers, **numbers}


def _outcomes(one: LossesFound) -> Iterator[str]:
    """Yield what is sold at the highest of the valuations, and the replies there."""
    if not one.outcomes:
        return
    profile = max(row["profile"] for row in one.outcomes)
    shown = rows_of(one.outcomes, {"profile": profile})
    worth = ", ".join(f"{row['brand']} {row['valuation']:g}" for row in shown[: len(one.brands)])
    yield (
        f"What is sold and charged where bidders value the feature at {worth} (others are in the table `outcomes`); "
        "payments and the loss on B of the loss that was designed on, in its unit; the number is that of the reply "
        "below:"
    )
    yield markdown_table([*_outcome_lines(shown, one)])
    if one.replies is None:
        yield "The replies behind this surface were not kept."
        return
    wanted = {(row["context"], row["entry"]) for row in shown} | {(context, 0) for context in one.contexts}
    rows = [row for row in one.replies.rows if (row["context"], row["entry"]) in wanted]
    unread = "".join(
        f" `{name}` is not read of a single reply here: {why}." for name, why in one.replies.unread.items()
    )
    yield (
        "The replies there, picked by rule: the first that was sampled on B to the first prompt of the context, under "
        "the measured intervention that counts most in what is sold; the untouched one is number 0. The last columns "
        f"are the reply's own readings, not differences to the untouched reply.{unread}"
    )
    yield markdown_table([_reply(row) for row in rows])


def _outcome_lines(rows: Sequence[Row], one: LossesFound) -> Iterator[dict[str, str]]:
    for designed in dict.fromkeys(row["designed_on"] for row in rows):
        for mechanism in dict.fromkeys(row["mechanism"] for row in rows):
            for context in one.contexts:
                own = rows_of(rows, {"designed_on": designed, "mechanism": mechanism, "context": context})
                if not own:
                    continue
                line = {"designed on": designed, "mechanism": mechanism, "context": context}
                line["sold"] = ", ".join(f"{row['brand']} {_levers(row)}" for row in own)
                line["payments"] = ", ".join(_fixed(row["payment"]) for row in own)
                line["exposure on B"] = ", ".join(_fixed(row["exposure"]) for row in own)
                yield line | {"loss on B": _fixed(own[0]["loss"]), "reply": str(own[0]["entry"])}


def _fixed(value: float, digits: int = 3) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def _levers(row: Row) -> str:
    if "num_neurons" in row and "amplification" in row:
        return setting(float(f"{row['num_neurons']:.3g}"), float(f"{row['amplification']:.3g}"))
    name = "amplification" if "amplification" in row else "num_neurons"
    return f"{row[name]:.3g}"


def _reply(row: Row) -> dict[str, str]:
    line = {"context": row["context"], "number": str(row["entry"]), "levers": row["levers"]}
    line["reply"] = quoted(row["reply"])
    scores = {k: v for k, v in row.items() if k not in ("context", "entry", "levers", "prompt", "reply")}
    return line | {name: quoted(v) if isinstance(v, str) else number(v) for name, v in scores.items()}


def _half_lines(one: LossesFound, losses: Sequence[str]) -> Iterator[dict[str, str]]:
    singles = [loss.name for loss in one.prices.priced if loss.is_single]
    for designed in losses:
        shares = {loss: revenue_at_half(one.curve, OPTIMUM, designed, loss) for loss in singles}
        yield {"designed on": designed, **{loss: percent(share) for loss, share in shares.items()}}
