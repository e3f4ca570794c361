"""The conformance kit of substrates: what a mechanism, an evaluator and an environment rely on."""

from collections.abc import Collection

import torch
from torch import Tensor

from auctionsim.substrates.protocol import Substrate
from auctionsim.testing import substrate_claim_laws as claims
from auctionsim.testing import substrate_input_laws as inputs
from auctionsim.testing import substrate_laws as laws
from auctionsim.testing.kit import Check, Law, chosen, run_all
from auctionsim.testing.substrate_cases import SubstrateClaim, cases

LAWS: tuple[Law, ...] = (
    laws.declared,
    laws.null,
    laws.null_loss,
    laws.shapes,
    laws.amounts,
    laws.rows_independent,
    laws.deterministic,
    laws.own_memory,
    laws.no_global_randomness,
    laws.asked_before,
    inputs.contexts,
    inputs.context_mean,
    inputs.refuses_bad_input,
    inputs.feasible,
    inputs.empty_batch,
    laws.observe,
    claims.maximise,
    claims.ties,
    claims.finite_range,
    claims.separable,
    claims.anonymous,
    claims.gradients,
    claims.copies,
)


def substrate_checks(
    substrate: Substrate,
    *,
    allocations: Tensor | None = None,
    skip: Collection[str] = (),
    tolerance: float = 1e-9,
    examples: int = 40,
    dtype: torch.dtype = torch.float64,
) -> tuple[Check, ...]:
    """Return the checks of a substrate, to be run one by one.

    Allocations are drawn from its levers, from its finite range, from its maxima and from mixtures of these with the
    null, as far as it calls them feasible. What it does not claim (an exact maximum, a finite range, separability,
    bidders alike, gradients) is not asked for.

    Args:
        substrate: What is checked.
        allocations: (entry, …) feasible allocations to draw from as well, for levers that rarely fit together.
        skip: Names of checks to leave out.
        tolerance: What counts as rounding, as a share of the amounts; raise it for networks (1e-5).
        examples: Cases drawn for each check.
        dtype: Of the drawn allocations and weights.
    Returns:
        Checks, callable, whose text is their name.
    Raises:
        ValueError: `skip` names no check.
    Example:
        >>> from auctionsim.substrates import Items
        >>> [str(check) for check in substrate_checks(Items(2))][:3]
        ['declared', 'null', 'null_loss']
    """
    by_name = {law.__name__: law for law in LAWS}
    names, drawn = chosen(list(by_name), skip), cases(substrate, allocations, dtype)
    return tuple(Check(name, SubstrateClaim(substrate, tolerance), (by_name[name],), drawn, examples) for name in names)


def check_substrate(
    substrate: Substrate,
    *,
    allocations: Tensor | None = None,
    skip: Collection[str] = (),
    tolerance: float = 1e-9,
    examples: int = 40,
    dtype: torch.dtype = torch.float64,
) -> None:
    """Run all of `substrate_checks`, which has the same arguments, and report every failure, one sentence each.

    Raises:
        BrokenClaimError: Naming each check that failed, with its smallest counterexample.
    """
    run_all(
        substrate_checks(
            substrate, allocations=allocations, skip=skip, tolerance=tolerance, examples=examples, dtype=dtype
        )
    )
