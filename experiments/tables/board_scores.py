"""Scores of the board's rows: what each cell brought as a tidy row, and a row of several categories as ready text."""

from collections.abc import Iterator, Mapping, Sequence

from auctionsim.experiments.running.board_cell import BoardCell, Price
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.board_ranks import Contender, block_of, contenders, interval
from auctionsim.experiments.tables.board_verdicts import LOWER_BOUND, gain
from auctionsim.experiments.tables.carrier_orders import TOGETHER
from auctionsim.experiments.tables.loss_matrix import rows_of
from auctionsim.readings.registry import reading
from auctionsim.report.wording import NOTHING, number, percent

LEAST_OPTIMUM = 0.002
"""Money: shares of a smaller optimum would be of noise."""
_ROUNDING = 1e-12
MEANINGS: Mapping[str, str] = {
    "rank, places": "as said above: the place that is told for sure, and the places that are open to the row",
    "objective": "revenue − λ · the charged loss of the user, per reply, with its 95 % interval",
    "behind": "by how much less the objective is than the first row's, with the 95 % interval of the difference",
    "of optimum": "the objective as a share of the best truthful objective on B of the row's own carrier; – where "
    f"that is below {LEAST_OPTIMUM:g}",
    "of best carrier": "the same as a share of the best such optimum among carriers, those after the reply apart",
    "revenue": "what bidders pay, per reply",
    "welfare": "what the bidders' names are worth to them",
    "reply_kl": f"by how much the reply's law has moved, {reading('reply_kl').unit}",
    "kl, quality, ad share": "the rest of the user's side: divergence at the next token, the rise of the probability "
    "that a reply is bad, the share of the page's words that are ads",
    "regret, largest": "what a bidder's best misreport brings it, on B and (A) where the rule was designed: mean over "
    "profiles of the largest among bidders, and the largest; “≥” a search found it, and there may be more; without "
    "“≥” it is exact or proved",
    "IR": "what a truthful bidder loses in expectation: mean over profiles, and the largest; “in the draw” what it "
    "loses in the worst page that can be drawn",
    "best responses": "the objective where each bidder plays its best misreport against the truth; – nobody gains",
    "deployed gap": "what A's design loses on B against the same mechanism designed on B",
    "rows": "rows of the model that are decoded per reply",
    "tried": "combinations of settings that design tried on A",
    "design": "the settings that it chose there, “;” between categories; strengths count from 0, the weakest",
}
"""Columns of the page, in a stranger's words."""


def cell_rows(cells: Sequence[BoardCell], best: Mapping[tuple[bool, str, Price], float]) -> Iterator[Row]:
    """Yield a tidy row of every cell: what it is, its interval, its scores and shares of optima.

    Args:
        cells: Some of the board's.
        best: Largest optima, of all its cells.
    """
    for cell in cells:
        ends = interval(Contender(cell.row, (cell,)))
        optimum, best_optimum = cell.scores["optimum"], best[cell.acts_after, cell.category, cell.price]
        objective, own = ends.mean, cell.scores["own_design"]
        yield {
            "category": cell.category,
            **cell.price._asdict(),
            "name": cell.row.name,
            "carrier": cell.row.carrier,
            "mechanism": cell.row.mechanism,
            "acts_after": cell.acts_after,
            **{**cell.scores, **ends.columns("objective")},
            "optimum_share": _share(objective, optimum),
            "best_optimum_share": _share(objective, best_optimum),
            "deployed_gap": None if own is None else own - objective,
            "regret_is": cell.regret_is,
            "regret_is_A": cell.regret_is_A,
            "settings_tried": cell.tried,
            "settings": settings_text(cell.settings),
        }


def best_optima(cells: Sequence[BoardCell]) -> dict[tuple[bool, str, Price], float]:
    """Return the largest optimum among carriers, by whether they act after the reply, by category and price."""
    best: dict[tuple[bool, str, Price], float] = {}
    for cell in cells:
        key = (cell.acts_after, cell.category, cell.price)
        best[key] = max(best.get(key, 0.0), cell.scores["optimum"] or 0.0)
    return best


def settings_text(settings: Mapping[str, float]) -> str:
    """Return the values of knobs as a table has them."""
    return ", ".join(f"{name} {value:g}" for name, value in settings.items())


def score_lines(cells: Sequence[BoardCell], ranks: Sequence[Row], price: Price) -> Iterator[dict[str, str]]:
    """Yield the rows of a block at a price, all categories together, best first, with every column.

    Args:
        cells: All of them.
        ranks: Of the block.
        price: Of the user's loss.
    """
    best = best_optima(cells)
    for rank in rows_of(ranks, {**price._asdict(), "category": TOGETHER}):
        own = [cell for cell in cells if block_of(cell) == rank["block"] and cell.row.name == rank["name"]]
        (one,) = contenders(own, price, TOGETHER)
        rows = one.mean("rows")
        tops = [best[cell.acts_after, cell.category, cell.price] for cell in one.cells]
        yield {
            "row": rank["label"],
            "rank": str(rank["rank"]),
            "places": f"{rank['best_rank']}–{rank['worst_rank']}",
            "objective": interval_text(rank, "objective"),
            "behind": NOTHING if not rank["behind"] and rank["rank"] == 1 else interval_text(rank, "behind"),
            "of optimum": percent(_share(rank["objective"], one.mean("optimum"))),
            "of best carrier": percent(_share(rank["objective"], sum(tops) / len(tops))),
            **{name: small(one.mean(name)) for name in ("revenue", "welfare", "reply_kl", "kl", "quality")},
            "ad share": small(one.mean("ad_share")),
            **regret_columns(one.cells),
            "IR": f"{small(one.mean('ir'))}, {small(_largest(one, 'ir_max'))}",
            "IR in the draw": f"{small(one.mean('ir_draw'))}, {small(_largest(one, 'ir_draw_max'))}",
            "best responses": small(_answered(one)),
            "deployed gap": small(_difference(one.mean("own_design"), rank["objective"])),
            "rows": NOTHING if rows is None else f"{rows:.2f}",
            "tried": "/".join(dict.fromkeys(str(cell.tried) for cell in one.cells)),
            "design": "; ".join(
                dict.fromkeys(settings_text(cell.settings).replace("-", "−") or NOTHING for cell in one.cells)
            ),
        }


def regret_columns(cells: Sequence[BoardCell]) -> dict[str, str]:
    """Return mean and largest regret of some cells on B and on A, as text that says what is only a lower bound."""
    columns = {}
    for replicate, name in (("B", "regret, largest"), ("A", "regret, largest (A)")):
        found = gain(cells, replicate)
        least = "≥ " if found.kind == LOWER_BOUND else ""
        columns[name] = f"{least}{small(found.mean)}, {least}{small(found.largest)}"
    return columns


def weight_lines(ranks: Sequence[Row], loss: str) -> Iterator[dict[str, str]]:
    """Yield a block's objectives by user weight, ranks in brackets, all categories together.

    Args:
        ranks: Of one block.
        loss: Which is charged.
    """
    own = rows_of(ranks, {"category": TOGETHER, "loss": loss})
    weights = list(dict.fromkeys(row["user_weight"] for row in own))
    for label in dict.fromkeys(row["label"] for row in own):
        line = {"row": label}
        for weight in weights:
            there = rows_of(own, {"label": label, "user_weight": weight})
            line[f"λ = {weight:g}"] = placed(there[0], "objective") if there else NOTHING
        yield line


def placed(row: Row, name: str, digits: int = 4) -> str:
    """Return a mean with its rank in brackets."""
    return f"{signed(row[name], digits)} ({row['rank']})"


def interval_text(row: Row, name: str, digits: int = 4) -> str:
    """Return a mean with the ends of its interval."""
    ends = (f"{row[f'{name}{end}']:.{digits}f}" for end in ("_low", "_high"))
    return f"{row[name]:.{digits}f} ({' to '.join(ends)})".replace("-", "−")


def signed(value: float, digits: int = 4) -> str:
    """Return a number with a real minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def small(value: float | None) -> str:
    """Return a number as a column has it: four decimals below 1, "0" only for what is 0 but for rounding.

    Example:
        >>> small(0.0), small(2e-7), small(-0.25), small(12.34)
        ('0', '0.0000', '−0.2500', '12.3')
    """
    if value is None or abs(value) >= 1:
        return number(value)
    return "0" if abs(value) < _ROUNDING else signed(value).replace("−0.0000", "0.0000")


def _share(value: float, whole: float | None) -> float | None:
    """Return a share of an optimum, None where there is next to nothing to share."""
    return value / whole if whole is not None and whole >= LEAST_OPTIMUM else None


def _difference(one: float | None, other: float) -> float | None:
    return None if one is None else one - other


def _answered(one: Contender) -> float | None:
    """Return the objective under best responses; None where nobody gains in any category."""
    if all(cell.scores["objective_best_response"] is None for cell in one.cells):
        return None
    answers = [cell.scores["objective_best_response"] for cell in one.cells]
    plain = [cell.scores["objective"] or 0.0 for cell in one.cells]
    return sum(b if a is None else a for a, b in zip(answers, plain, strict=True)) / len(answers)


def _largest(one: Contender, name: str) -> float | None:
    values = [cell.scores[name] for cell in one.cells]
    return max((value for value in values if value is not None), default=None)
