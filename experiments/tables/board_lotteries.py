"""Revenue at equal reply_kl: how much each row earns if its replies may cost the user no more than a cap on B.

A row of the board was designed at several user weights. A public lottery sells one of these designs or shows nobody; a
bidder faces a truthful rule wherever all of them are. The lottery at a cap is the one that earns most at an expected
reply_kl on B of at most the cap. What a design charges was fixed on A, so nothing is picked by what B brings; rules
that charge by what is delivered are the exception. The cap is kept on B's prompts, by chance as well: the interval
counts what they move along the line on which the lottery lies, as decision 61 does.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from auctionsim.experiments.running.board_cell import MECHANISMS, SYSTEMS, BoardCell, Price
from auctionsim.experiments.running.prompt_intervals import Array
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.board_ranks import Contender, block_of, contenders, ranked
from auctionsim.experiments.tables.carrier_orders import TOGETHER
from auctionsim.substrates import best_mixture

LOTTERY = "lottery"
"""The loss of a lottery's cell: designs at several user weights have no one price."""


def capped_cell(designs: Sequence[BoardCell], cap: float) -> BoardCell | None:
    """Return the lottery over a row's designs, or nobody shown, that earns most at a cap in a category, as a cell.

    Args:
        designs: Of one row and category, charged for reply_kl alone at different user weights.
        cap: On B's expected reply_kl, nats per reply, >= 0.
    Returns:
        A cell whose scores are revenue and reply_kl, and whose settings are the share of each design by its user
        weight; None where reply_kl was not read.
    """
    costs = [cell.scores["reply_kl"] for cell in designs]
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    revenues = [cell.scores["revenue"] or 0.0 for cell in designs]
    earned, spent = np.array([0.0, *revenues]), np.array([0.0, *known])
    held = best_mixture(torch.from_numpy(earned), torch.from_numpy(spent), cap)
    shares = held.shares.numpy()
    slope = _slope(shares, earned, spent)

    def mixed(revenue: Sequence[Sequence[float]], cost: Sequence[Sequence[float]]) -> Array:
        return np.asarray(shares[1:] @ np.array(revenue) - slope * (shares[1:] @ np.array(cost)))

    influences = [
        mixed(some, costs)
        for some, costs in zip(
            zip(*(cell.revenue_influences for cell in designs), strict=True),
            zip(*(cell.cost_influences for cell in designs), strict=True),
            strict=True,
        )
    ]
    draws = mixed([cell.revenue_draws for cell in designs], [cell.cost_draws for cell in designs])
    return designs[0]._replace(
        price=Price(LOTTERY, cap),
        settings={f"{c.price.user_weight:g}": float(q) for c, q in zip(designs, shares[1:], strict=True) if q > 0},
        scores={"revenue": float(shares @ earned), "reply_kl": float(shares @ spent)},
        revenue_draws=tuple(draws.tolist()),
        revenue_influences=tuple(tuple(one.tolist()) for one in influences),
    )


def _slope(shares: Array, earned: Array, spent: Array) -> float:
    """Return what a nat is worth where a lottery is held to its cap between two designs, 0 where one is taken whole."""
    used = np.flatnonzero(shares > 0)
    if len(used) < 2:
        return 0.0
    one, other = used[np.argsort(spent[used])]
    return float((earned[other] - earned[one]) / (spent[other] - spent[one]))


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
