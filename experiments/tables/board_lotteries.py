"""Revenue at equal reply_kl: how far each row may be led toward revenue before its replies cost the user a cap.

A row of the board was designed at several user weights; the smaller the weight, the more it earns and the more its
replies move. Between two neighbouring designs a public lottery sells either: what is expected of it lies on the line
between them, and each bidder faces a truthful rule wherever both are. The lottery at a cap is the furthest point on the
way from showing nobody, through the designs by falling user weight, whose expected reply_kl on B is at most the cap. So
it looks at B's costs, never at what B brings.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from auctionsim.experiments.running.board_cell import MECHANISMS, SYSTEMS, BoardCell, Price
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.board_ranks import Contender, block_of, contenders, ranked
from auctionsim.experiments.tables.carrier_orders import TOGETHER

LOTTERY = "lottery"
"""The loss of a lottery's cell: designs at several user weights have no one price."""


def capped_cell(designs: Sequence[BoardCell], cap: float) -> BoardCell | None:
    """Return the lottery over a row's designs in a category that spends at most `cap`, as a cell.

    Args:
        designs: Of one row and category, charged for reply_kl alone at different user weights.
        cap: On B's expected reply_kl, nats per reply, >= 0.
    Returns:
        A cell whose scores are revenue and reply_kl, and whose settings are the share of each design by its user
        weight; None where reply_kl was not read.
    """
    way = sorted(designs, key=lambda cell: -cell.price.user_weight)
    costs = [cell.scores["reply_kl"] for cell in way]
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    shares = _furthest([0.0, *known], cap)[1:]
    revenues = [cell.scores["revenue"] or 0.0 for cell in way]
    scores = {"revenue": float(np.dot(shares, revenues)), "reply_kl": float(np.dot(shares, known))}
    draws = np.dot(shares, np.array([cell.revenue_draws for cell in way]))
    contexts = zip(*(cell.revenue_influences for cell in way), strict=True)
    influences = tuple(tuple(np.dot(shares, np.array(one)).tolist()) for one in contexts)
    settings = {f"{cell.price.user_weight:g}": share for cell, share in zip(way, shares, strict=True) if share > 0}
    return way[0]._replace(
        price=Price(LOTTERY, cap),
        settings=settings,
        scores=scores,
        draws=(),
        revenue_draws=tuple(draws.tolist()),
        revenue_influences=influences,
    )


def _furthest(costs: Sequence[float], cap: float) -> list[float]:
    """Return shares of points on a way that begins at cost 0: of one, or of two neighbours whose mean is the cap."""
    shares = [0.0] * len(costs)
    last = max(k for k, cost in enumerate(costs) if cost <= cap)
    shares[last] = 1.0
    if last + 1 < len(costs):
        shares[last + 1] = (cap - costs[last]) / (costs[last + 1] - costs[last])
        shares[last] -= shares[last + 1]
    return shares


def capped_ranks(cells: Sequence[BoardCell], caps: Sequence[float]) -> Iterator[Row]:
    """Yield the ranks of lotteries by revenue, of systems and of mechanisms, all categories together first.

    Args:
        cells: All of them; those after the reply, and those charged for another loss or for words, are left out.
        caps: On reply_kl, nats per reply.
    """
    for block in (SYSTEMS, MECHANISMS):
        own = [cell for cell in cells if block_of(cell) == block and not cell.acts_after and _is_charged(cell.price)]
        categories = dict.fromkeys(cell.category for cell in own)
        rows = dict.fromkeys(cell.row for cell in own)
        designs = {
            (row, name): [c for c in own if c.row == row and c.category == name] for row in rows for name in categories
        }
        for cap in caps:
            held = [capped_cell(some, cap) for some in designs.values() if some]
            known = [cell for cell in held if cell is not None]
            for category in (TOGETHER, *categories):
                drawn = contenders(known, Price(LOTTERY, cap), category)
                by_name = {(one.row.name, one.row.mechanism): one for one in drawn}
                for row in ranked(drawn, category, "revenue"):
                    yield {"block": block, "cap": cap, **_plain(row), **_spent(by_name[row["name"], row["mechanism"]])}


def _is_charged(price: Price) -> bool:
    return price.loss == "reply_kl" and not price.words


def _plain(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in Price._fields}


def _spent(one: Contender) -> Mapping[str, object]:
    lotteries = [", ".join(f"{share:.2f} at {weight}" for weight, share in cell.settings.items()) for cell in one.cells]
    return {"reply_kl": one.mean("reply_kl"), "lottery": "; ".join(text or "nobody is shown" for text in lotteries)}
