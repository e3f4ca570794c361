"""The interim game: what a bidder expects from a bid when it knows its own valuation and the others' distribution.

Independent private values: the others' draws do not depend on the bidder's valuation, so one table "my bid → my
exposure and payment, in each draw" serves every valuation, and every bid is tried against the same draws (common random
numbers).
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.quasirandom import SobolEngine

from auctionsim.checks import checked_allocation, checked_finite
from auctionsim.errors import InputError
from auctionsim.regret.estimate import AnyMechanism, UtilityRule, cleared, quasi_linear
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of

ROWS_A_CALL = 2**15


class InterimGame(NamedTuple):
    """One mechanism in one context, against bidders who play fixed strategies.

    Attributes:
        mechanism: Clears bids.
        substrate: Pays out exposure.
        context: The public context of every auction; None where the substrate has none.
        utility: From value and payment to utility.
    """

    mechanism: AnyMechanism
    substrate: Substrate
    context: int | None
    utility: UtilityRule

    def contexts(self, like: Tensor) -> Tensor | None:
        """Return the context once for each row of a tensor, as mechanisms and strategies take it."""
        return None if self.context is None else torch.full((len(like),), self.context, device=like.device)


def games_in_contexts(
    mechanism: AnyMechanism, substrate: Substrate, context: int | None, utility: UtilityRule
) -> tuple[InterimGame, ...]:
    """Return the game in one context; with None that of each context in turn, or the only one where there are none.

    Raises:
        ValueError: A context that the substrate does not have.
    """
    count = len(contexts_of(substrate))
    if context is not None and not 0 <= context < count:
        raise InputError(f"context must index {count} contexts, got {context!r}")
    places: list[int | None] = [context] if context is not None or not count else list(range(count))
    return tuple(InterimGame(mechanism, substrate, place, utility) for place in places)


class Received(NamedTuple):
    """Exposure and payments of one bidder for some own bids in each draw of the others.

    Attributes:
        exposure: (bid, draw, feature).
        payment: (bid, draw).
    """

    exposure: Tensor
    payment: Tensor


def received(
    game: InterimGame, bidder: int, own: Float[Tensor, "bid feature"], profiles: Float[Tensor, "draw bidder feature"]
) -> Iterator[tuple[slice, Received]]:
    """Yield what `bidder` gets for each own bid against each draw, a few bids at a time."""
    draws, n, m = profiles.shape
    step = max(1, ROWS_A_CALL // draws)
    for start in range(0, len(own), step):
        part = slice(start, start + step)
        count = len(own[part])
        bids = profiles.expand(count, draws, n, m).clone()
        bids[:, :, bidder] = own[part].unsqueeze(1)
        rows = bids.view(-1, n, m)
        context = game.contexts(rows)
        with torch.no_grad():
            outcome = cleared(game.mechanism, rows, context)
            checked_allocation(outcome.allocation, allocation_shape(game.substrate))
            exposure = checked_finite(game.substrate.exposure(outcome.allocation, context), "exposure")[:, bidder]
        yield part, Received(exposure.view(count, draws, m), outcome.payments[:, bidder].view(count, draws))


def expected_utilities(
    game: InterimGame,
    bidder: int,
    types: Float[Tensor, "type feature"],
    own: Float[Tensor, "bid feature"],
    profiles: Float[Tensor, "draw bidder feature"],
) -> Float[Tensor, "type bid"]:
    """Return the average utility of every type from every bid: the same draws for all."""
    columns = []
    for _, got in received(game, bidder, own, profiles):
        if game.utility is quasi_linear:
            columns.append(types @ got.exposure.mean(1).T - got.payment.mean(1))
        else:
            columns.append(
                torch.stack([game.utility(got.exposure @ valuation, got.payment).mean(1) for valuation in types])
            )
    return torch.cat(columns, 1)


def trial_bids(
    profiles: Float[Tensor, "draw bidder feature"],
    bidder: int,
    high: Float[Tensor, " feature"],
    count: int,
    generator: torch.Generator,
) -> Float[Tensor, "bid feature"]:
    """Return the bids among which a best response is chosen: a lattice, the same shrunk towards 0, and rivals' bids.

    Half fill [0, high] evenly. A quarter fill ever smaller boxes, so that small valuations find a bid of their size. A
    quarter lie just above what some rival bids, in each feature the highest, since there an outcome jumps.
    """
    m = len(high)
    even, small = count - count // 2, count // 4
    seed = int(torch.randint(2**31 - 1, (1,), generator=generator, device=generator.device))
    engine = SobolEngine(m, scramble=m > 1, seed=seed)  # type: ignore[no-untyped-call]
    unit = engine.draw(even + small, dtype=torch.float64).to(high)
    if m == 1:
        unit[:even, 0] = torch.linspace(0, 1, even).to(high)
        unit[even:] = 1.0
    shrink = torch.exp2(-12 * torch.arange(1, small + 1).to(high) / max(small, 1)).unsqueeze(1)
    spread = torch.cat([unit[:even], unit[even:] * shrink]) * high
    rivals = torch.cat([profiles[:, :bidder], profiles[:, bidder + 1 :]], dim=1)
    if rivals.shape[1] == 0 or count - even - small < 1:
        return spread
    best = rivals.amax(1)
    if m == 1:
        best = best.sort(0).values
    picked = torch.linspace(0, len(best) - 1, count - even - small, dtype=torch.float64).round().long()
    return torch.cat([spread, best[picked] * (1 + 16 * torch.finfo(best.dtype).eps)])
