"""The conformance kit of pacing controllers: what the simulation of a market, and a run that goes on, rely on."""

from collections.abc import Collection

from auctionsim.market import Controller
from auctionsim.testing import controller_laws as laws
from auctionsim.testing.controller_cases import controller_cases
from auctionsim.testing.controller_laws import ControllerClaim
from auctionsim.testing.kit import Check, Law, chosen, run_all

LAWS: tuple[Law, ...] = (
    laws.name,
    laws.orders,
    laws.closed,
    laws.memory,
    laws.saved_memory,
    laws.rows_independent,
    laws.no_campaigns,
    laws.pure,
    laws.no_global_randomness,
    laws.own_arguments,
    laws.copies,
)


def controller_checks(
    controller: Controller, *, skip: Collection[str] = (), tolerance: float = 1e-12, examples: int = 25
) -> tuple[Check, ...]:
    """Return the checks of a pacing controller, to be run one by one.

    Args:
        controller: It bids for the campaigns of drawn terms through some ticks.
        skip: Names of checks to leave out.
        tolerance: What counts as rounding between campaigns alone and together, as a share of a multiplier.
        examples: Cases drawn for each check.
    Returns:
        Checks, callable, whose text is their name.
    Raises:
        ValueError: `skip` names no check.
    Example:
        >>> import numpy as np
        >>> from auctionsim.market import Controller, Orders
        >>> class Half(Controller):
        ...     name = "half"
        ...     def orders(self, state, terms, start):
        ...         bidding = start.present & (start.budget_left > 0)
        ...         return Orders(0.5 * bidding, 1.0 * bidding)
        >>> for check in controller_checks(Half(), examples=3):
        ...     check()
    """
    by_name = {law.__name__: law for law in LAWS}
    claim, cases = ControllerClaim(controller, tolerance), controller_cases()
    return tuple(Check(name, claim, (by_name[name],), cases, examples) for name in chosen(list(by_name), skip))


def check_controller(
    controller: Controller, *, skip: Collection[str] = (), tolerance: float = 1e-12, examples: int = 25
) -> None:
    """Run all of `controller_checks`, which has the same arguments, and report every failure, one sentence each.

    Raises:
        BrokenClaimError: Naming each check that failed, with its smallest counterexample.
    """
    run_all(controller_checks(controller, skip=skip, tolerance=tolerance, examples=examples))
