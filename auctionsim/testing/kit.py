"""Which laws a mechanism is held to, each drawn, shrunk and reported by name."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import hypothesis
import hypothesis.strategies as st
import torch

from auctionsim.errors import BrokenClaimError
from auctionsim.regret.estimate import AnyMechanism
from auctionsim.substrates.protocol import Substrate, contexts_of
from auctionsim.testing import laws
from auctionsim.testing.laws import Case, Claim
from auctionsim.testing.strategies import Draw, bids, loose_bids

GRIDS = (4, 32)  # quarters tie, 32nds lie between them; others lie on no grid. A case shrinks to the first
Law = Callable[[Claim, Case], None]


@dataclass(frozen=True)
class Check:
    """One named check of one mechanism: calling it draws cases and raises with the smallest one that fails.

    Attributes:
        name: What is checked; also its text, hence its pytest id with `ids=str`.
        law: Looks at one case.
        claim: What is checked, and how exactly.
        examples: How many cases are drawn.
        dtype: Of the drawn bids.
        deeper: What looks at cases of its own once the law holds, so that plain counterexamples come first.
    """

    name: str
    law: Law
    claim: Claim
    examples: int
    dtype: torch.dtype
    deeper: Law | None = None

    def __str__(self) -> str:
        return self.name

    def __call__(self) -> None:
        """Run the check.

        Raises:
            BrokenClaimError: With the counterexample as a sentence.
        """
        for law in (self.law, self.deeper):
            if law is not None:
                self._hold_to(law)

    def _hold_to(self, law: Law) -> None:
        place = self.claim.substrate

        @hypothesis.settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            derandomize=True,  # a check that fails must fail again
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(_cases(place, self.claim.high, self.dtype))
        def holds(case: Case) -> None:
            law(self.claim, case)

        try:
            holds()
        except BrokenClaimError as failure:
            raise BrokenClaimError(f"{self.name}: {failure}") from None


def mechanism_checks(
    mechanism: AnyMechanism,
    substrate: Substrate,
    *,
    dsic: bool,
    individually_rational: bool,
    anonymous: bool = False,
    nonnegative_payments: bool = True,
    skip: Collection[str] = (),
    tolerance: float = 1e-9,
    high: float = 1.0,
    examples: int = 40,
    dtype: torch.dtype = torch.float64,
) -> tuple[Check, ...]:
    """Return the checks that a mechanism's claims call for, to be run one by one.

    Always: feasible, rows_independent, deterministic, own_memory, refuses_bad_input. With `dsic`: dsic, opt_out and
    monotone_exposure, which truthfulness implies. The rest as claimed.

    Args:
        mechanism: Any callable bids, context → outcome.
        substrate: What its allocations are carried out on.
        dsic: Claim that truth is dominant.
        individually_rational: Claim that a truthful bidder never loses.
        anonymous: Claim that names do not matter, up to ties.
        nonnegative_payments: Claim that nobody is paid.
        skip: Names of checks to leave out.
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
    wanted: dict[str, bool] = {
        "feasible": True,
        "dsic": dsic,
        "individually_rational": individually_rational,
        "opt_out": dsic,
        "monotone_exposure": dsic,
        "payments_nonnegative": nonnegative_payments,
        "anonymous": anonymous,
        "rows_independent": True,
        "deterministic": True,
        "own_memory": True,
        "refuses_bad_input": True,
    }
    unknown = set(skip) - set(wanted)
    if unknown:
        raise ValueError(f"skip names no check: {sorted(unknown)}; there are {list(wanted)}")
    claim = Claim(mechanism, substrate, tolerance, high)
    chosen = [name for name, claimed in wanted.items() if claimed and name not in skip]
    deeper = {"dsic": laws.dsic_of_every_type}
    return tuple(Check(name, getattr(laws, name), claim, examples, dtype, deeper.get(name)) for name in chosen)


def check_mechanism(
    mechanism: AnyMechanism,
    substrate: Substrate,
    *,
    dsic: bool,
    individually_rational: bool,
    anonymous: bool = False,
    nonnegative_payments: bool = True,
    skip: Collection[str] = (),
    tolerance: float = 1e-9,
    high: float = 1.0,
    examples: int = 40,
    dtype: torch.dtype = torch.float64,
) -> None:
    """Run all of `mechanism_checks` and report every failure, one sentence each.

    Raises:
        BrokenClaimError: Naming each check that failed, with its smallest counterexample.
    """
    failures = []
    for check in mechanism_checks(
        mechanism,
        substrate,
        dsic=dsic,
        individually_rational=individually_rational,
        anonymous=anonymous,
        nonnegative_payments=nonnegative_payments,
        skip=skip,
        tolerance=tolerance,
        high=high,
        examples=examples,
        dtype=dtype,
    ):
        try:
            check()
        except BrokenClaimError as failure:
            failures.append(str(failure))
    if failures:
        raise BrokenClaimError("\n".join(failures))


@st.composite
def _cases(draw: Draw, substrate: Substrate, high: float, dtype: torch.dtype) -> Case:
    sizes = (substrate.num_bidders, len(substrate.features))
    grid = draw(st.sampled_from((*GRIDS, None)))
    if grid is None:
        drawn = draw(loose_bids(*sizes, high=high, dtype=dtype))
    else:
        drawn = draw(bids(*sizes, high=high, grid=grid, dtype=dtype))
    count = len(contexts_of(substrate))
    if not count or draw(st.booleans()):
        return Case(drawn, None)
    indices = st.lists(st.integers(0, count - 1), min_size=len(drawn), max_size=len(drawn))
    return Case(drawn, torch.tensor(draw(indices)))
