"""The laws every bidder is held to: a strategy from valuations, and what it declares to observe, to bids.

A law is a function (claim, case) that raises `BrokenClaimError`; its first line is what it claims.
"""

import copy
import pickle
from collections.abc import Callable
from typing import NamedTuple, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from auctionsim.errors import BrokenClaimError
from auctionsim.priors import Product
from auctionsim.strategies import AnyStrategy, Situation, Strategy, bids_of, declared_by, observed_by
from auctionsim.strategy_memory import begun, turn_of
from auctionsim.substrates.protocol import Substrate, contexts_of
from auctionsim.testing.kit import watched_generators
from auctionsim.testing.sentences import vector


@runtime_checkable
class BiddingGame(Protocol):
    """What a bidder bids in: an environment's game has both, and so has `BiddingRound`."""

    @property
    def substrate(self) -> Substrate:
        """What is sold: it has the features and the contexts."""
        ...

    @property
    def prior(self) -> Product:
        """What valuations are drawn from: it has their range."""
        ...


class BiddingRound(NamedTuple):
    """A game of one round, where no environment is at hand.

    Attributes:
        substrate: What is sold.
        prior: What valuations are drawn from.
    """

    substrate: Substrate
    prior: Product


class BidderClaim(NamedTuple):
    """What is checked, and how exactly.

    Attributes:
        bidder: A strategy.
        game: What it bids in.
        tolerance: Share of the largest valuation that counts as rounding.
        reload: Writes a bidder somewhere and reads it back; None: there is no such form.
    """

    bidder: AnyStrategy
    game: BiddingGame
    tolerance: float
    reload: Callable[[AnyStrategy], AnyStrategy] | None

    def bids(self, case: "BidderCase", bidder: AnyStrategy | None = None) -> Tensor:
        """Return what the bidder bids, told what it declares to observe; at first, if it remembers anything."""
        with torch.no_grad():
            return bids_of(opening(self.bidder if bidder is None else bidder), case.valuations, case.situation)

    @property
    def rounding(self) -> float:
        """What counts as rounding of a bid."""
        return self.tolerance * float(self.game.prior.high.max())

    @property
    def draws(self) -> bool:
        """Whether the bidder says that its bids depend on more than what it is given."""
        return declared_by(self.bidder).draws


class BidderCase(NamedTuple):
    """One drawn batch: valuations (batch, feature), and all that a bidder can know beside them."""

    valuations: Tensor
    situation: Situation


def opening(bidder: AnyStrategy) -> Strategy:
    """Return what a bidder does when an episode begins, as a strategy without a memory."""
    if not declared_by(bidder).remembers:
        return cast("Strategy", bidder)

    def first(valuations: Tensor, *known: Situation) -> Tensor:
        return turn_of(bidder, begun(bidder, len(valuations)), valuations, *known).bids

    first.observes = observed_by(bidder)  # type: ignore[attr-defined]
    return first


def row_of(case: BidderCase, row: int) -> BidderCase:
    """Return one row alone."""
    part = slice(row, row + 1)
    alone = (None if known is None else known[part] for known in case.situation)
    return BidderCase(case.valuations[part], Situation(*alone))


def declared(claim: BidderClaim, case: BidderCase) -> None:
    """What is observed is declared by names, once each; a context is observed only where the game has some."""
    del case
    try:
        names = declared_by(claim.bidder).observes
    except (ValueError, TypeError) as error:
        raise BrokenClaimError(str(error)) from None
    if "context" in names and not contexts_of(claim.game.substrate):
        raise BrokenClaimError("it observes the context, and the game has none")


def bids(claim: BidderClaim, case: BidderCase) -> None:
    """Bids are (batch, feature), finite, at least 0 and floating, in the valuations' dtype."""
    for dtype in (case.valuations.dtype, torch.float32):
        offered = claim.bids(case._replace(valuations=case.valuations.to(dtype)))
        if offered.dtype != dtype:
            raise BrokenClaimError(f"valuations in {dtype} are answered by bids in {offered.dtype}")
        bad = ~(offered.isfinite() & (offered >= 0))
        if bool(bad.any()):
            row = int(bad.any(1).nonzero()[0])
            raise BrokenClaimError(f"valuation {vector(case.valuations[row])} is answered by {vector(offered[row])}")


def empty_batch(claim: BidderClaim, case: BidderCase) -> None:
    """No rows give no bids."""
    none = BidderCase(
        case.valuations[:0], Situation(*(None if known is None else known[:0] for known in case.situation))
    )
    offered = claim.bids(none)
    if offered.shape != none.valuations.shape:
        raise BrokenClaimError(f"no valuations are answered by bids of shape {tuple(offered.shape)}")


def rows_independent(claim: BidderClaim, case: BidderCase) -> None:
    """A row's bid does not depend on which other rows are bid for beside it."""
    if claim.draws:
        return
    together = claim.bids(case)
    for row in range(len(together)):
        alone = claim.bids(row_of(case, row))[0]
        if not float((alone - together[row]).abs().max()) <= claim.rounding:
            raise BrokenClaimError(
                f"valuation {vector(case.valuations[row])} alone and beside {len(together) - 1} others is answered by "
                f"{vector(alone)} and {vector(together[row])}"
            )


def deterministic(claim: BidderClaim, case: BidderCase) -> None:
    """The same call gives the same bids, bit for bit, unless the bidder declares that it draws."""
    once, twice = claim.bids(case), claim.bids(case)
    if not claim.draws and not torch.equal(once, twice):
        raise BrokenClaimError(
            f"valuations {vector(case.valuations)} are answered by {vector(once)} and then by {vector(twice)}; "
            f"one that draws says so: draws = True"
        )


def no_global_randomness(claim: BidderClaim, case: BidderCase) -> None:
    """Bidding moves no global generator: who draws has a generator."""
    with watched_generators() as moved:
        claim.bids(case)
        if moved():
            raise BrokenClaimError("bidding draws from a global generator, or sets its seed")


def observes(claim: BidderClaim, case: BidderCase) -> None:
    """It bids by what it declares to observe alone: the rest may be hidden, or be anything."""
    names = observed_by(claim.bidder)
    told = claim.bids(case)
    if not names:
        return  # it is called with valuations alone
    others = Situation(*(None if known is None else known.roll(1, 0) for known in case.situation))
    changed = {name: part for name, part in others._asdict().items() if name not in names and part is not None}
    with torch.no_grad():
        loud = opening(claim.bidder)(case.valuations.clone(), case.situation._replace(**changed))
    if not claim.draws and not float((loud - told).abs().max()) <= claim.rounding:
        raise BrokenClaimError(
            f"it observes {', '.join(names)}; yet its bids {vector(told)} become {vector(loud)} when it is also told "
            f"{', '.join(changed)}"
        )


def own_arguments(claim: BidderClaim, case: BidderCase) -> None:
    """Its arguments are left as they were, and writing into its bids changes none that follow."""
    names = observed_by(claim.bidder)
    v, told = case.valuations.clone(), case.situation.only(names)
    kept = [None if part is None else part.clone() for part in (v, *told)]
    with torch.no_grad():
        first = opening(claim.bidder)
        offered = first(v, told) if names else first(v)
    for what, was, part in zip(("valuations", *Situation._fields), kept, (v, *told), strict=True):
        if was is not None and part is not None and not torch.equal(was, part):
            raise BrokenClaimError(f"the {what} {vector(was.double())} are overwritten by {vector(part.double())}")
    if claim.draws:
        return
    before = offered.detach().clone()
    offered.detach().add_(1)
    after = claim.bids(case).clone()
    offered.detach().copy_(before)  # what is shared is put back
    if not torch.equal(before, after):
        raise BrokenClaimError(f"writing into the bids {vector(before)} changes the next ones to {vector(after)}")


def copies(claim: BidderClaim, case: BidderCase) -> None:
    """A deep copy, a pickled copy where there is one, and what is read back from a file bid the same."""
    twins: dict[str, AnyStrategy | None] = {"deep copy": copy.deepcopy(claim.bidder), "pickled copy": _pickled(claim)}
    offered = [] if claim.draws else [claim.bids(case)]
    if claim.reload is not None:
        twins["copy by way of a file"] = claim.reload(claim.bidder)
    for what, twin in twins.items():
        if twin is None:
            continue
        if observed_by(twin) != observed_by(claim.bidder) or declared_by(twin).draws != claim.draws:
            raise BrokenClaimError(f"a {what} declares something else")
        again = claim.bids(case, twin)
        if offered and not float((again - offered[0]).abs().max()) <= claim.rounding:
            raise BrokenClaimError(
                f"valuations {vector(case.valuations)} are answered by {vector(offered[0])}, and by {vector(again)} "
                f"from a {what}"
            )


def _pickled(claim: BidderClaim) -> AnyStrategy | None:
    try:
        data = pickle.dumps(claim.bidder)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    twin: AnyStrategy = pickle.loads(data)
    return twin
