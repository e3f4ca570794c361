"""The conformance kit of mechanisms: which laws a mechanism is held to, by what it claims."""

from collections.abc import Collection

import hypothesis.strategies as st
import torch

from auctionsim.regret.estimate import AnyMechanism
from auctionsim.substrates.protocol import Substrate, contexts_of
from auctionsim.testing import mechanism_laws as laws
from auctionsim.testing.kit import Check, Law, chosen, run_all
from auctionsim.testing.mechanism_laws import MechanismCase, MechanismClaim
from auctionsim.testing.strategies import Draw, bids, loose_bids

GRIDS = (4, 32)  # quarters tie, 32nds lie between them; others lie on no grid. A case shrinks to the first


def mechanism_checks(
    mechanism: AnyMechanism,
    substrate: Substrate,
    *,
    dsic: bool,
    individually_rational: bool,
    anonymous: bool = False,
    skip: Collection[str] = (),
    tolerance: float = 1e-9,
    high: float = 1.0,
    examples: int = 40,
    dtype: torch.dtype = torch.float64,
) -> tuple[Check, ...]:
    """Return the checks that a mechanism's claims call for, to be run one by one.

    Always: feasible, payments_nonnegative, rows_independent, deterministic, own_memory, refuses_bad_input. With `dsic`:
    dsic, opt_out and monotone_exposure, which truthfulness implies. The rest as claimed.

    Args:
        mechanism: Any callable bids, context → outcome.
        substrate: What its allocations are carried out on.
        dsic: Claim that truth is dominant.
        individually_rational: Claim that a truthful bidder never loses.
        anonymous: Claim that names do not matter, up to ties.
        skip: Names of checks to leave out: "payments_nonnegative" where a rule pays bidders.
        tolerance: What counts as rounding, as a share of the amounts at stake (`high` times exposure); raise it for
            networks (1e-5) and approximate rules.
        high: Scale of the money drawn: valuations go up to 1.5 times it, misreports to twice it.
        examples: Cases drawn for each check.
        dtype: Of the drawn bids.
    Returns:
        Checks, callable, whose text is their name.
    Raises:
        ValueError: `skip` names no check.
    Example:
        >>> from auctionsim.mechanisms import VCG
        >>> from auctionsim.substrates import Items
        >>> for check in mechanism_checks(VCG(Items(2)), Items(2), dsic=True, individually_rational=True):
        ...     check()
    """
    wanted: list[tuple[tuple[Law, ...], bool]] = [
        ((laws.feasible,), True),
        ((laws.dsic, laws.dsic_of_every_type), dsic),
        ((laws.individually_rational,), individually_rational),
        ((laws.opt_out,), dsic),
        ((laws.monotone_exposure,), dsic),
        ((laws.payments_nonnegative,), True),
        ((laws.anonymous,), anonymous),
        ((laws.rows_independent,), True),
        ((laws.deterministic,), True),
        ((laws.own_memory,), True),
        ((laws.refuses_bad_input,), True),
    ]
    by_name = {held[0].__name__: (held, claimed) for held, claimed in wanted}
    names = [name for name in chosen(list(by_name), skip) if by_name[name][1]]
    claim, cases = MechanismClaim(mechanism, substrate, tolerance, high), _cases(substrate, high, dtype)
    return tuple(Check(name, claim, by_name[name][0], cases, examples) for name in names)


def check_mechanism(
    mechanism: AnyMechanism,
    substrate: Substrate,
    *,
    dsic: bool,
    individually_rational: bool,
    anonymous: bool = False,
    skip: Collection[str] = (),
    tolerance: float = 1e-9,
    high: float = 1.0,
    examples: int = 40,
    dtype: torch.dtype = torch.float64,
) -> None:
    """Run all of `mechanism_checks`, which has the same arguments, and report every failure, one sentence each.

    Raises:
        BrokenClaimError: Naming each check that failed, with its smallest counterexample.
    """
    checks = mechanism_checks(
        mechanism,
        substrate,
        dsic=dsic,
        individually_rational=individually_rational,
        anonymous=anonymous,
        skip=skip,
        tolerance=tolerance,
        high=high,
        examples=examples,
        dtype=dtype,
    )
    run_all(checks)


@st.composite
def _cases(draw: Draw, substrate: Substrate, high: float, dtype: torch.dtype) -> MechanismCase:
    sizes = (substrate.num_bidders, len(substrate.features))
    grid = draw(st.sampled_from((*GRIDS, None)))
    if grid is None:
        drawn = draw(loose_bids(*sizes, high=high, dtype=dtype))
    else:
        drawn = draw(bids(*sizes, high=high, grid=grid, dtype=dtype))
    count = len(contexts_of(substrate))
    if not count or draw(st.booleans()):
        return MechanismCase(drawn, None)
    indices = st.lists(st.integers(0, count - 1), min_size=len(drawn), max_size=len(drawn))
    return MechanismCase(drawn, torch.tensor(draw(indices)))
