"""Conformance kits: named checks of one object, each drawn by Hypothesis, shrunk and reported as a sentence."""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import torch

from auctionsim.errors import BrokenClaimError, InputError

UNUSUAL_SEED = 2_078_917_053
Law = Callable[[Any, Any], None]  # (subject, case); raises BrokenClaimError


@dataclass(frozen=True)
class Check:
    """One named check of one object: calling it draws cases and raises with the smallest one that fails.

    Attributes:
        name: What is checked; also its text, hence its pytest id with `ids=str`.
        subject: What is checked, and how exactly.
        laws: Each looks at one case; a later one once the earlier ones hold, so that plain counterexamples come first.
        cases: What is drawn.
        examples: How many cases are drawn for each law.
    """

    name: str
    subject: Any
    laws: tuple[Law, ...]
    cases: st.SearchStrategy[Any]
    examples: int

    def __str__(self) -> str:
        return self.name

    @property
    def sentence(self) -> str:
        """What the check claims, in one sentence."""
        return (self.laws[0].__doc__ or "").strip().partition("\n")[0]

    def __call__(self) -> None:
        """Run the check.

        Raises:
            BrokenClaimError: With the counterexample as a sentence.
        """
        for law in self.laws:
            self._hold_to(law)

    def _hold_to(self, law: Law) -> None:
        @hypothesis.settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            derandomize=True,  # a check that fails must fail again
            report_multiple_bugs=False,
            phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),  # explanations are printed nowhere
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(self.cases)
        def holds(case: Any) -> None:
            law(self.subject, case)

        try:
            holds()
        except BrokenClaimError as failure:
            raise BrokenClaimError(f"{self.name}: {failure}") from None
        except hypothesis.errors.Flaky as error:  # it failed, and held when the same case was tried again
            parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
            seen = [one for one in parts if isinstance(one, BrokenClaimError)]
            sentence = str(seen[0]) if seen else "a case fails at one try and not at the next"
            raise BrokenClaimError(f"{self.name}: {sentence} (not at every try)") from None
        except Exception as error:  # what is checked may raise anything, and that is what is wrong with it
            raise BrokenClaimError(f"{self.name}: raises {type(error).__name__}: {error}") from error


def chosen(names: Sequence[str], skip: Collection[str]) -> list[str]:
    """Return the names of a kit's checks without those to leave out.

    Raises:
        ValueError: `skip` names no check.
    """
    unknown = set(skip) - set(names)
    if unknown:
        raise InputError(f"skip names no check: {sorted(unknown)}; there are {list(names)}")
    return [name for name in names if name not in skip]


def run_all(checks: Iterable[Check]) -> None:
    """Run checks and report every failure, one sentence each.

    Raises:
        BrokenClaimError: Naming each check that failed, with its smallest counterexample.
    """
    failures = []
    for check in checks:
        try:
            check()
        except BrokenClaimError as failure:
            failures.append(str(failure))
    if failures:
        raise BrokenClaimError("\n".join(failures))


def global_generators() -> tuple[object, ...]:
    """Return the states of torch's and numpy's global generators, which nothing of the library moves.

    Python's own is left out: checks of types at run time draw from it.
    """
    kind, keys, *rest = np.random.get_state(legacy=True)
    return torch.get_rng_state().numpy().tobytes(), kind, np.asarray(keys).tobytes(), *rest


@contextlib.contextmanager
def watched_generators() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether a global generator was moved, or set to a seed; all are put back at the end.

    They start from a seed that nobody sets, so that setting one back to the seed before is seen as well.
    """
    kept = torch.get_rng_state(), np.random.get_state()
    torch.default_generator.manual_seed(UNUSUAL_SEED)
    np.random.seed(UNUSUAL_SEED)
    start = global_generators()
    try:
        yield lambda: start != global_generators()
    finally:
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])
