"""The conformance kit of priors: what mechanisms, games and evaluators rely on."""

from collections.abc import Collection

import hypothesis.strategies as st
import torch

from auctionsim.priors import Prior
from auctionsim.testing import prior_laws as laws
from auctionsim.testing import prior_use_laws as uses
from auctionsim.testing.kit import Check, Law, chosen, run_all
from auctionsim.testing.prior_laws import PriorCase, PriorClaim
from auctionsim.testing.strategies import Draw

LAWS: tuple[Law, ...] = (
    laws.declared,
    laws.elementwise,
    laws.cdf,
    laws.density,
    laws.quantile,
    laws.samples,
    laws.samples_follow_cdf,
    laws.mean,
    uses.virtual_value,
    uses.curve,
    uses.monopoly_price,
    uses.likeness,
    uses.independent,
)


def prior_checks(
    prior: Prior,
    *,
    skip: Collection[str] = (),
    tolerance: float = 1e-9,
    examples: int = 20,
    dtype: torch.dtype = torch.float64,
) -> tuple[Check, ...]:
    """Return the checks of a prior, to be run one by one.

    Args:
        prior: What is checked.
        skip: Names of checks to leave out.
        tolerance: What counts as rounding, as a share of the range of valuations and of probability.
        examples: Cases drawn for each check.
        dtype: Of the valuations and samples that are asked for.
    Returns:
        Checks, callable, whose text is their name.
    Raises:
        ValueError: `skip` names no check.
    Example:
        >>> from auctionsim.priors import Beta
        >>> for check in prior_checks(Beta(2, 5), examples=3):
        ...     check()
    """
    by_name = {law.__name__: law for law in LAWS}
    names, cases = chosen(list(by_name), skip), _cases(dtype)
    return tuple(Check(name, PriorClaim(prior, tolerance), (by_name[name],), cases, examples) for name in names)


def check_prior(
    prior: Prior,
    *,
    skip: Collection[str] = (),
    tolerance: float = 1e-9,
    examples: int = 20,
    dtype: torch.dtype = torch.float64,
) -> None:
    """Run all of `prior_checks`, which has the same arguments, and report every failure, one sentence each.

    Raises:
        BrokenClaimError: Naming each check that failed, with its smallest counterexample.
    """
    run_all(prior_checks(prior, skip=skip, tolerance=tolerance, examples=examples, dtype=dtype))


@st.composite
def _cases(draw: Draw, dtype: torch.dtype) -> PriorCase:
    most = draw(st.sampled_from((8, 104_729)))  # eighths, or hardly any number twice
    levels = sorted(draw(st.lists(st.integers(0, most), min_size=1, max_size=12)))
    return PriorCase(
        torch.tensor(levels, dtype=torch.float64) / most, draw(st.integers(0, 4)) / 4, draw(st.integers(0, 99)), dtype
    )
