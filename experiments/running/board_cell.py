"""One cell of the board: what a carrier and a mechanism bring in a category at a price of the user's loss."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from auctionsim.errors import InputError
from auctionsim.records import Record

MECHANISMS, SYSTEMS, CARRIERS = "mechanisms", "systems", "carriers"
"""The tables: every mechanism on one carrier; published systems, each on its own; the optimum on every carrier."""


class RowName(NamedTuple):
    """What a row of the board is.

    Attributes:
        table: `MECHANISMS`, `SYSTEMS` or `CARRIERS`.
        name: Of the mechanism, of the system or of the carrier.
        carrier: Name in the table of carriers.
        mechanism: Name in the table of mechanisms.
        settings: Knobs that are fixed, as sorted (name, value) pairs.
    """

    table: str
    name: str
    carrier: str
    mechanism: str
    settings: tuple[tuple[str, float], ...] = ()


class Price(NamedTuple):
    """What a user's loss costs in the objective.

    Attributes:
        loss: "reply_kl" or "quality".
        user_weight: λ, money per unit of it and reply.
        words: ρ, units of the loss per word of an ad on the page: loss + ρ · ad words is charged.
    """

    loss: str
    user_weight: float
    words: float = 0.0


class BoardCell(NamedTuple):
    """What a row brings in a category at a price. Designed on replicate A; every number is B's unless it says A.

    Money is in units of the largest valuation, 1. Means over truthful profiles; contexts are pooled.

    Attributes:
        row: Which.
        category: What the brands sell.
        price: Of the user's loss.
        acts_after: Whether the carrier acts on the page alone, the reply's law staying the untouched one.
        settings: What design chose on A, knob by knob, the fixed ones too.
        tried: How many combinations of settings were tried on A.
        scores: revenue, welfare, objective, user_loss (the charged one), and reply_kl, quality, kl, ad_share, ad_words
            (None where they were not read); rows (of the model, decoded for a reply; None where unknown);
            objective_A (where it was designed); optimum (the best truthful objective on B by one who knows B);
            own_design (the same mechanism designed on B); objective_best_response (None where nobody gains);
            regret, regret_max (mean over profiles of the largest among bidders; the largest), regret_A, regret_max_A;
            ir, ir_max (mean and largest loss max(−u, 0) of a bidder in expectation), ir_draw, ir_draw_max (the same in
            the worst entry that is drawn with probability above 0).
        regret_is: "proved 0", "exact" or "lower bound", on B.
        regret_is_A: The same on A.
        draws: (draw,) the objective under bootstrap draws of B's prompts and of profiles: draw r of any two cells of a
            category took the same prompts and the same profiles.
        revenue_draws: (draw,) the revenue likewise.
        influences: By context, what each of its prompts counts as in the objective, but for a number that all prompts
            of the context share: how far contexts differ in noise says how many degrees of freedom an interval has.
        revenue_influences: The same of the revenue.
        cost_draws: (draw,) the reply_kl likewise.
        cost_influences: The same of reply_kl.
        spread: √(m/(m − 1)), m the fewest prompts of a context: what a bootstrap's deviations are too small by.
    """

    row: RowName
    category: str
    price: Price
    acts_after: bool
    settings: Mapping[str, float]
    tried: int
    scores: Mapping[str, float | None]
    regret_is: str
    regret_is_A: str  # noqa: N815  # replicate A
    draws: tuple[float, ...]
    revenue_draws: tuple[float, ...]
    influences: tuple[tuple[float, ...], ...]
    revenue_influences: tuple[tuple[float, ...], ...]
    cost_draws: tuple[float, ...]
    cost_influences: tuple[tuple[float, ...], ...]
    spread: float


NATURES = ("proved 0", "exact", "lower bound")
_INFLUENCES = ("influences", "revenue_influences", "cost_influences")


def board_cell_document(cell: BoardCell) -> dict[str, Any]:
    """Return a cell as JSON has it."""
    row = cell.row._asdict() | {"settings": dict(cell.row.settings)}
    return cell._asdict() | {
        "row": row,
        "price": cell.price._asdict(),
        "settings": dict(cell.settings),
        "scores": dict(cell.scores),
        "draws": list(cell.draws),
        "revenue_draws": list(cell.revenue_draws),
        "cost_draws": list(cell.cost_draws),
        **{name: [{"prompts": list(one)} for one in getattr(cell, name)] for name in _INFLUENCES},
    }


def board_cell_from(record: Record) -> BoardCell:
    """Return the cell of a document that `board_cell_document` made.

    Raises:
        ValueError: Something else.
    """
    row, price, scores = record.record("row"), record.record("price"), record.record("scores")
    natures = [record.text(name) for name in ("regret_is", "regret_is_A")]
    if not set(natures) <= set(NATURES):
        raise InputError(f"regret must be one of {', '.join(NATURES)}, got {sorted(natures)}")
    draws, *more = (record.numbers(name) for name in ("draws", "revenue_draws", "cost_draws"))
    if len(draws) < 2 or {len(draws)} != {len(one) for one in more}:
        counts = [len(one) for one in (draws, *more)]
        raise InputError(f"a cell has two or more draws, and as many of revenue and of cost, got {counts}")
    return BoardCell(
        row=RowName(
            table=row.text("table"),
            name=row.text("name"),
            carrier=row.text("carrier"),
            mechanism=row.text("mechanism"),
            settings=tuple(_numbers(row, "settings")),
        ),
        category=record.text("category"),
        price=Price(price.text("loss"), price.number("user_weight", 0), price.number("words", 0)),
        acts_after=record.flag("acts_after"),
        settings=dict(_numbers(record, "settings")),
        tried=record.whole("tried", 1),
        scores={name: None if scores.value(name) is None else scores.number(name) for name in scores.content},
        regret_is=natures[0],
        regret_is_A=natures[1],
        draws=tuple(draws),
        revenue_draws=tuple(more[0]),
        cost_draws=tuple(more[1]),
        influences=_influences(record, "influences"),
        revenue_influences=_influences(record, "revenue_influences"),
        cost_influences=_influences(record, "cost_influences"),
        spread=record.number("spread", 1),
    )


def _influences(record: Record, name: str) -> tuple[tuple[float, ...], ...]:
    found = tuple(tuple(one.numbers("prompts")) for one in record.records(name))
    if not found or min(map(len, found)) < 2:
        raise InputError(f"{name} must be of two prompts or more in each of one or more contexts")
    return found


def _numbers(record: Record, name: str) -> list[tuple[str, float]]:
    inside = record.record(name)
    return sorted((key, inside.number(key)) for key in inside.content)
