"""Protocols: a world that yields logs, an experiment, replays and the truth; an estimator that values its options."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from auctionsim.checks import checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.logs.session_log import LogColumns, Replays, SessionLog, Sources
from auctionsim.logs.value_estimates import ValueEstimates

Source = Literal["obs", "exp", "sim"]


@runtime_checkable
class World(Protocol):
    """Where logs come from, with known truth.

    A session has a public context X, a hidden U, an option M, mediators Y and an outcome R. In a log (OBS) M depends
    on U; in an experiment (EXP) it is drawn; a simulator (SIM) replays Y for every option on a session's context.
    """

    @property
    def name(self) -> str:
        """The name by which a command finds it."""
        ...

    @property
    def columns(self) -> LogColumns:
        """Names of options and of all columns."""
        ...

    def draw_obs(self, sessions: int, generator: np.random.Generator, draws: tuple[int, ...] = ()) -> SessionLog:
        """Draw logs in which options were chosen; `draws` is () for one, (n,) for n independent ones."""
        ...

    def draw_exp(self, sessions: int, generator: np.random.Generator, draws: tuple[int, ...] = ()) -> SessionLog:
        """Draw experiments, options with equal probabilities."""
        ...

    def replays(self, log: SessionLog) -> Replays:
        """Return what the simulator replays on the contexts of a log."""
        ...

    def values(self) -> Float[np.ndarray, " option"]:
        """Return the true value of each option."""
        ...


@dataclass(frozen=True)
class EstimationSettings:
    """Settings of estimators: the reward model, folds, replicates and propensities.

    Attributes:
        degree: Degree of the reward model's polynomial in context and mediators.
        omitted: Columns that the reward model does not see: a model that is wrong on purpose.
        folds: Folds of cross-validation and of cross-fitting.
        replicates: Bootstrap replicates, where an error has no formula.
        propensities: Of a log: "known", as it states them, or "fitted" to the context by logistic regression.
        confounding: Strength of a hidden confounder that sensitivity bounds allow, as a share of variance explained
            of the outcome and of the choice alike.
    """

    degree: int = 1
    omitted: tuple[str, ...] = ()
    folds: int = 5
    replicates: int = 200
    propensities: Literal["known", "fitted"] = "known"
    confounding: float = 0.1

    def __post_init__(self) -> None:
        if checked_count(self.degree, "degree", 1) > 3:
            raise InputError(f"degree must be at most 3, got {self.degree}")
        checked_count(self.folds, "folds", 2)
        checked_count(self.replicates, "replicates", 2)
        if self.propensities not in ("known", "fitted"):
            raise InputError(f"propensities must be 'known' or 'fitted', got {self.propensities!r}")
        checked_number(self.confounding, "confounding", 0.0, 0.99)


STANDARD_ESTIMATION = EstimationSettings()
"""Settings of estimators where none are given: a linear reward model and five folds."""


@runtime_checkable
class Estimator(Protocol):
    """A way to value options.

    Attributes:
        name: By which it is found: words with underscores.
        family: Which reward model, or "" for an estimator without one.
        needs: Which sources it uses.
        summary: What it is, one sentence.
    """

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def needs(self) -> tuple[Source, ...]: ...
    @property
    def summary(self) -> str: ...

    def estimate(
        self, sources: Sources, settings: EstimationSettings, generator: np.random.Generator
    ) -> ValueEstimates:
        """Return the values of all options.

        Raises:
            ValueError: A source that it needs is missing.
        """
        ...
