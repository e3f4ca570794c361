"""The laws of bidders with a memory: it has a row an episode, rows keep apart, and nothing else is remembered.

A law is a function (claim, case) that raises `BrokenClaimError`; its first line is what it claims. Bidders without a
memory hold to them by having none.
"""

from typing import cast

import torch
from torch import Tensor

from auctionsim.errors import BrokenClaimError
from auctionsim.strategies import MemoryStrategy, Situation, declared_by
from auctionsim.strategy_memory import begun, renewed, turn_of
from auctionsim.testing.bidder_laws import BidderCase, BidderClaim, row_of
from auctionsim.testing.sentences import vector

TURNS = 3


def memory_rows(claim: BidderClaim, case: BidderCase) -> None:
    """Over the rounds of an episode bids are valid, the memory keeps its parts, and rows keep apart."""
    if not declared_by(claim.bidder).remembers:
        return
    together = _episode(claim, case)
    for bids in together:
        bad = ~(bids.isfinite() & (bids >= 0))
        if bool(bad.any()):
            raise BrokenClaimError(f"in a later round it bids {vector(bids[int(bad.any(1).nonzero()[0])])}")
    if claim.draws:
        return
    for row in range(len(case.valuations)):
        for turn, alone in enumerate(_episode(claim, case, row)):
            if not float((alone[0] - together[turn][row]).abs().max()) <= claim.rounding:
                raise BrokenClaimError(
                    f"in round {turn} a row alone bids {vector(alone[0])}, and {vector(together[turn][row])} beside "
                    f"{len(case.valuations) - 1} others"
                )


def memory_pure(claim: BidderClaim, case: BidderCase) -> None:
    """What it remembers is in its memory alone, which it gives anew and does not write into."""
    if not declared_by(claim.bidder).remembers:
        return
    first, again = _episode(claim, case), _episode(claim, case)
    if not claim.draws and not all(torch.equal(one, other) for one, other in zip(first, again, strict=True)):
        raise BrokenClaimError("an episode that is played again has other bids: it remembers beside its memory")
    memory = dict(begun(claim.bidder, len(case.valuations)))
    kept = {name: part.clone() for name, part in memory.items()}
    known = () if not declared_by(claim.bidder).observes else (case.situation.only(declared_by(claim.bidder).observes),)
    with torch.no_grad():
        cast("MemoryStrategy", claim.bidder).next(memory, case.valuations.clone(), *known)
    if set(memory) != set(kept) or not all(torch.equal(part, memory[name]) for name, part in kept.items()):
        raise BrokenClaimError("it writes into the memory that it is given")


def _episode(claim: BidderClaim, case: BidderCase, row: int | None = None) -> list[Tensor]:
    """Return the bids of some rounds, the valuations and situations of each those of the case, in another order."""
    size = len(case.valuations)
    memory = begun(claim.bidder, size if row is None else 1)
    offered = []
    for turn in range(TURNS):
        now = BidderCase(
            case.valuations.roll(turn, 0), Situation(*(None if k is None else k.roll(turn, 0) for k in case.situation))
        )
        here = now if row is None else row_of(now, row)
        bids, memory = turn_of(claim.bidder, memory, here.valuations, here.situation)
        renewed(claim.bidder, memory, torch.arange(len(here.valuations)) == 0)  # refuses parts that change shape
        offered.append(bids)
    return offered
