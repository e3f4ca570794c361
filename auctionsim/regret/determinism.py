"""Checks that a rule answers the same bids alike: at every call, at every place in the batch and in any company.

Every evaluator clears many auctions at once, most of them misreports. A row that reads another has no regret of its
own, and of outcomes drawn anew at each call a search would pick the luckiest. Two checks, a few evaluations each:

- before a search every row's reports are cleared twice, the second time in another order and company;
- after it the best misreports are cleared again, twice. A rule that draws rarely can hide from the first check, but not
  from this one: where luck made a number, the draw does not come again.

A deterministic rule may jump where two options tie, and then rounding, which may depend on the size of the batch,
decides. Such a row is no offender: the same call gives the same outcome, and moving the bids by as little as rounding
gives the other one.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.mechanisms.protocol import draws
from auctionsim.regret.estimate import Game, cleared_money, lone_deviations
from auctionsim.regret.refinement import Best

SAME = 1e-3  # relative; networks round otherwise in batches of other sizes
FLOOR = 1e-6  # of the largest amount in the batch: below it nothing counts as a difference
REPEATS = 3  # of the very same call, where a row differs
SHOWN = 8  # offenders that are looked at
NUDGES = (4, 64, 1024)  # roundings by which bids are moved
PATTERNS = 8  # of signs, for each nudge


class _DrawnAuctions(NamedTuple):
    """Auctions to be cleared.

    Attributes:
        bids: (row, bidder, feature).
        valuations: (row, bidder, feature).
        context: (row,) or None.
    """

    bids: Tensor
    valuations: Tensor
    context: Tensor | None

    def at(self, index: Tensor) -> "_DrawnAuctions":
        """Return some of them, in the order of `index`."""
        return _DrawnAuctions(
            self.bids[index], self.valuations[index], None if self.context is None else self.context[index]
        )


def refuse_drawing(mechanism: object) -> None:
    """Refuse a rule that says that it draws.

    Raises:
        ValueError: It does.
    """
    if draws(mechanism):
        raise InputError(
            f"an auction must come out the same at every call: {type(mechanism).__name__} says that it draws; "
            "ties='shared' has the expectation of random ties"
        )


def check_rows_apart(game: Game) -> None:
    """Refuse a mechanism by which some row comes out otherwise in other company, or at another call.

    Raises:
        ValueError: Some row's values or payments differ by more than rounding, or the rule says that it draws.
    """
    refuse_drawing(game.mechanism)
    rows = _DrawnAuctions(game.reports, game.valuations, game.context)
    order = torch.arange(len(rows.bids), device=rows.bids.device)
    whole = _money(game, rows)
    company = rows.at(torch.cat([order.flip(0), order.flip(0)]))
    shaded = torch.cat([rows.bids.flip(0) / 2, rows.bids.flip(0)])
    again = _money(game, company._replace(bids=shaded))[len(order) :].flip(0)
    _refuse(game, rows, whole, again)


def check_again(game: Game, best: Best) -> None:
    """Refuse a mechanism by which a best misreport does not bring again what the search saw it bring.

    Raises:
        ValueError: Some misreport's value or payment, or its utility, differs by more than rounding.
    """
    bids, context = lone_deviations(game.reports, best.bids.unsqueeze(0), game.context)
    batch, n, m = best.bids.shape
    valuations = game.valuations.unsqueeze(1).expand(batch, n, n, m).reshape(-1, n, m)
    rows = _DrawnAuctions(bids, valuations, context)
    order = torch.arange(len(bids), device=bids.device)
    once = _money(game, rows)
    twice = _money(game, rows.at(torch.cat([order.flip(0), order])))
    for part in (twice[: len(order)].flip(0), twice[len(order) :]):
        _refuse(game, rows, once, part)
    _refuse_other_utility(game, rows, once, best)


def _money(game: Game, rows: _DrawnAuctions) -> Float[Tensor, "row bidder two"]:
    """Return everybody's value and payment."""
    with torch.no_grad():
        return torch.stack(cleared_money(game, rows.bids, rows.valuations, rows.context), 2)


def _differ(one: Tensor, other: Tensor) -> Bool[Tensor, " row"]:
    """Tell which rows hold different amounts; amounts that are not finite are somebody else's to refuse."""
    apart = (one - other).abs().flatten(1).amax(1)
    sizes = torch.maximum(one.abs(), other.abs()).flatten(1).amax(1)
    return apart > SAME * torch.maximum(sizes, FLOOR * sizes.nan_to_num(0, 0, 0).max())


def _refuse(game: Game, rows: _DrawnAuctions, one: Tensor, other: Tensor) -> None:
    """Raise if some row has other money in `other` than in `one`, which is what clearing `rows` gave."""
    for row in _differ(one, other).nonzero().flatten().tolist()[:SHOWN]:
        if not _is_knife_edge(game, rows, one, other[row], row):
            raise InputError(
                "an auction must come out the same whatever else is in the batch, and at every call: "
                f"bids {rows.bids[row].tolist()} are charged {one[row, :, 1].tolist()} for {one[row, :, 0].tolist()} "
                f"in one call and {other[row, :, 1].tolist()} for {other[row, :, 0].tolist()} in another"
            )


def _refuse_other_utility(game: Game, rows: _DrawnAuctions, once: Tensor, best: Best) -> None:
    """Raise if the deviators' utilities are not those that the search saw."""
    batch, n, _ = best.bids.shape
    own = torch.arange(n, device=once.device).repeat(batch)
    place = torch.arange(len(once), device=once.device)
    money = once[place, own]  # (row, two) the deviator's
    utility, seen = game.utility(money[:, 0], money[:, 1]), best.utility.flatten()
    size = torch.maximum(money.abs().amax(1), torch.maximum(seen.abs(), utility.abs()))
    apart = (utility - seen).abs() > SAME * torch.maximum(size, FLOOR * size.max())
    for row in apart.nonzero().flatten().tolist()[:SHOWN]:
        if not _explains(game, rows, once, row, own=int(own[row]), seen=seen[row], size=size[row]):
            raise InputError(
                "an auction must come out the same whatever else is in the batch, and at every call: "
                f"bids {rows.bids[row].tolist()} brought bidder {int(own[row])} {float(seen[row])} in one call and "
                f"{float(utility[row])} in another"
            )


def _is_knife_edge(game: Game, rows: _DrawnAuctions, one: Tensor, other: Tensor, row: int) -> bool:
    """Tell whether only rounding parts two outcomes: calls repeat, and nudged bids give the other one."""
    if not _repeats(game, rows, one):
        return False
    return any(not bool(_differ(nudged[row : row + 1], other[None]).any()) for nudged in _nudged(game, rows))


def _explains(
    game: Game, rows: _DrawnAuctions, once: Tensor, row: int, *, own: int, seen: Tensor, size: Tensor
) -> bool:
    if not _repeats(game, rows, once):
        return False
    for nudged in _nudged(game, rows):
        value, payment = nudged[row, own]
        if bool((game.utility(value, payment) - seen).abs() <= SAME * size):
            return True
    return False


def _repeats(game: Game, rows: _DrawnAuctions, one: Tensor) -> bool:
    """Tell whether the very same call gives the very same rows, several times over."""
    return not any(bool(_differ(one, _money(game, rows)).any()) for _ in range(REPEATS))


def _nudged(game: Game, rows: _DrawnAuctions) -> list[Tensor]:
    """Return everybody's money when bids move up or down by a few roundings, in the same company."""
    source = torch.Generator().manual_seed(0)
    eps = torch.finfo(rows.bids.dtype).eps
    amounts = []
    for roundings in NUDGES:
        for _ in range(PATTERNS):
            signs = torch.randint(3, rows.bids.shape[1:], generator=source).to(rows.bids) - 1
            amounts.append(_money(game, rows._replace(bids=rows.bids * (1 + roundings * eps * signs))))
    return amounts
