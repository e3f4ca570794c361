"""The conformance kit of bidders: what environments, learners and evaluators of regret rely on."""

from collections.abc import Callable, Collection

import hypothesis.strategies as st
import torch

from auctionsim.strategies import AnyStrategy, Situation
from auctionsim.substrates.protocol import contexts_of
from auctionsim.testing import bidder_laws as laws
from auctionsim.testing import memory_laws
from auctionsim.testing.bidder_laws import BidderCase, BidderClaim, BiddingGame
from auctionsim.testing.kit import Check, Law, chosen, run_all
from auctionsim.testing.strategies import Draw, bids

LAWS: tuple[Law, ...] = (
    laws.declared,
    laws.bids,
    laws.empty_batch,
    laws.rows_independent,
    laws.deterministic,
    laws.no_global_randomness,
    laws.observes,
    laws.own_arguments,
    laws.copies,
    memory_laws.memory_rows,
    memory_laws.memory_pure,
)


def bidder_checks(
    bidder: AnyStrategy,
    game: BiddingGame,
    *,
    reload: Callable[[AnyStrategy], AnyStrategy] | None = None,
    skip: Collection[str] = (),
    tolerance: float = 1e-6,
    examples: int = 40,
    dtype: torch.dtype = torch.float64,
) -> tuple[Check, ...]:
    """Return the checks of a bidder, to be run one by one.

    Args:
        bidder: A strategy: valuations (batch, feature), and what it declares to observe, to bids of that shape; or one
            with a memory.
        game: What it bids in: an environment's game, or a `BiddingRound` of a substrate and a product of priors.
        reload: Writes a bidder to a file and reads it back, for bidders that have a file form.
        skip: Names of checks to leave out.
        tolerance: What counts as rounding, as a share of the largest valuation.
        examples: Cases drawn for each check.
        dtype: Of the valuations.
    Returns:
        Checks, callable, whose text is their name.
    Raises:
        ValueError: `skip` names no check.
    Example:
        >>> from auctionsim.priors import Uniform, product
        >>> from auctionsim.substrates import Items
        >>> from auctionsim.testing import BiddingRound
        >>> def half(valuations):
        ...     return valuations / 2
        >>> for check in bidder_checks(half, BiddingRound(Items(2), product(Uniform(), 2)), examples=3):
        ...     check()
    """
    by_name = {law.__name__: law for law in LAWS}
    names, claim, cases = chosen(list(by_name), skip), BidderClaim(bidder, game, tolerance, reload), _cases(game, dtype)
    return tuple(Check(name, claim, (by_name[name],), cases, examples) for name in names)


def check_bidder(
    bidder: AnyStrategy,
    game: BiddingGame,
    *,
    reload: Callable[[AnyStrategy], AnyStrategy] | None = None,
    skip: Collection[str] = (),
    tolerance: float = 1e-6,
    examples: int = 40,
    dtype: torch.dtype = torch.float64,
) -> None:
    """Run all of `bidder_checks`, which has the same arguments, and report every failure, one sentence each.

    Raises:
        BrokenClaimError: Naming each check that failed, with its smallest counterexample.
    """
    run_all(bidder_checks(bidder, game, reload=reload, skip=skip, tolerance=tolerance, examples=examples, dtype=dtype))


@st.composite
def _cases(draw: Draw, game: BiddingGame, dtype: torch.dtype) -> BidderCase:
    features, high = len(game.substrate.features), float(game.prior.high.max())
    drawn = draw(bids(1, features, high=high, dtype=dtype))[:, 0]
    batch, count = len(drawn), len(contexts_of(game.substrate))

    def amounts(most: float, size: int = 1) -> torch.Tensor:
        steps = draw(st.lists(st.integers(0, 8), min_size=batch * size, max_size=batch * size))
        return torch.tensor(steps, dtype=dtype).view(batch, size) * most / 8

    context = draw(st.lists(st.integers(0, max(count - 1, 0)), min_size=batch, max_size=batch))
    budget = amounts(4 * high)[:, 0]
    return BidderCase(
        drawn,
        Situation(
            context=torch.tensor(context) if count else None,
            budget_left=torch.full_like(budget, torch.inf) if draw(st.booleans()) else budget,
            round=amounts(8)[:, 0].long(),
            last_exposure=amounts(1.0, features),
            last_payment=amounts(high)[:, 0],
        ),
    )
