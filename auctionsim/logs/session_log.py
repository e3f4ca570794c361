"""A log of sessions: what was public, which option ran, what it did, what came of it, and what a simulator replays."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from auctionsim.errors import InputError, InputTypeError

LARGEST_NUMBER = 1e50
"""Of a log: squares of sums of squares still fit a double."""


class LogColumns(NamedTuple):
    """Names of the options and columns of a log.

    Attributes:
        options: What a session can run under, at least two: mechanisms, settings of a lever, entries of a menu.
        context: What is public before an option is chosen, one number a column.
        mediators: What the option did, one number a column: exposure, losses, revenue.
        labels: What else was noted of a session, such as clicks and dwell time; () for nothing.
    """

    options: tuple[str, ...]
    context: tuple[str, ...] = ()
    mediators: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class SessionLog:
    """Sessions of one source. A leading axis `draw`, where there is one, holds independent logs of one length.

    Attributes:
        columns: Names.
        context: Public before the option was chosen.
        option: Index into `columns.options`.
        mediators: What the option did.
        outcome: How good the session was, larger is better.
        labels: What else was noted.
        propensity: Probability that this option was chosen, given all that it was chosen by; None where not known.
        randomised: Whether options were drawn without regard to anything: an experiment (EXP), not a log (OBS).
    Raises:
        ValueError: Shapes that do not agree, numbers that are too large or none, an option or a propensity out of
            range, an experiment whose propensities are not known.
    """

    columns: LogColumns
    context: Float[np.ndarray, "*draw session context"]
    option: Int[np.ndarray, "*draw session"]
    mediators: Float[np.ndarray, "*draw session mediator"]
    outcome: Float[np.ndarray, "*draw session"]
    labels: Float[np.ndarray, "*draw session label"]
    propensity: Float[np.ndarray, "*draw session"] | None = None
    randomised: bool = False

    def __post_init__(self) -> None:
        sizes = {"context": self.columns.context, "mediators": self.columns.mediators, "labels": self.columns.labels}
        for name, columns in sizes.items():
            shape = (*self.option.shape, len(columns))
            if getattr(self, name).shape != shape:
                raise InputError(f"{name} must be of shape {shape}, got {getattr(self, name).shape}")
        if self.outcome.shape != self.option.shape or not self.outcome.shape or not self.outcome.shape[-1]:
            raise InputError(
                f"a log needs a session at least and an outcome for each, got {self.outcome.shape} outcomes and "
                f"{self.option.shape} options"
            )
        for name in ("context", "mediators", "labels", "outcome"):
            if not (np.abs(getattr(self, name)) <= LARGEST_NUMBER).all():
                raise InputError(
                    f"every number of a log must be within ±{LARGEST_NUMBER:g}; {name} has one that is not"
                )
        self._check_options()

    def _check_options(self) -> None:
        count = len(self.columns.options)
        if count < 2 or len(set(self.columns.options)) < count:
            raise InputError(f"a log needs two or more options of different names, got {self.columns.options}")
        if self.option.min() < 0 or self.option.max() >= count:
            raise InputError(f"an option must be a whole number from 0 to {count - 1}, got {self.option.max()}")
        if self.propensity is None:
            if self.randomised:
                raise InputError("an experiment must say with which probability each option was drawn")
            return
        if self.propensity.shape != self.option.shape:
            raise InputError(f"propensity must be of shape {self.option.shape}, got {self.propensity.shape}")
        if not ((self.propensity > 0) & (self.propensity <= 1)).all():
            raise InputError(f"a propensity must lie in (0, 1], got {np.min(self.propensity)}")

    @property
    def sessions(self) -> int:
        """How many sessions a log has."""
        return int(self.option.shape[-1])

    @property
    def indicators(self) -> Float[np.ndarray, "*draw session option"]:
        """1 at the option that ran, else 0."""
        return np.asarray(self.option[..., None] == np.arange(len(self.columns.options)), dtype=np.float64)

    def draw(self, number: int) -> "SessionLog":
        """Return one of several logs."""
        if self.option.ndim != 2:
            raise InputTypeError(f"only logs with one axis of draws have draws, got shape {self.option.shape}")
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return SessionLog(**{k: v[number] if isinstance(v, np.ndarray) else v for k, v in arrays.items()})


@dataclass(frozen=True)
class Replays:
    """The law of the mediators under every option that a simulator replays on the contexts of a log.

    Sessions with the same law share a kind, so that a law is held once. Where the law is known it is written exactly:
    its points and their weights, a quadrature rule for a normal law. A sample has equal weights.

    Attributes:
        mediators: (…, kind, option, point, mediator).
        weights: (…, kind, option, point), each ≥ 0, with sum 1 over points.
        context: (…, kind, context), the public context of a kind.
        kind: (…, session), which kind a session is of.
        exact: Whether points and weights are the simulator's law, and no sample of it.
    Raises:
        ValueError: Shapes that do not agree, or weights that are no distribution.
    """

    mediators: Float[np.ndarray, "*lead kind option point mediator"]
    weights: Float[np.ndarray, "*lead kind option point"]
    context: Float[np.ndarray, "*lead kind context"]
    kind: Int[np.ndarray, "*draw session"]
    exact: bool = True

    def __post_init__(self) -> None:
        if self.mediators.shape[:-1] != self.weights.shape or self.context.shape[:-1] != self.weights.shape[:-2]:
            raise InputError(
                f"replays must agree in their axes, got mediators {self.mediators.shape}, weights "
                f"{self.weights.shape} and context {self.context.shape}"
            )
        if (self.weights < 0).any() or not np.allclose(self.weights.sum(-1), 1, atol=1e-9):
            raise InputError("the weights of a replay must be a distribution over its points")
        if self.kind.min() < 0 or self.kind.max() >= self.context.shape[-2]:
            raise InputError(f"a session's kind must be from 0 to {self.context.shape[-2] - 1}, got {self.kind.max()}")

    def by_session(self, of_kind: Float[np.ndarray, "*lead kind option number"]) -> np.ndarray:
        """Return a kind's numbers for each session of that kind: (…, session, option, number)."""
        if of_kind.ndim == 3:
            return np.asarray(of_kind[self.kind])
        if self.kind.shape[-1] == of_kind.shape[-3] and (self.kind == np.arange(self.kind.shape[-1])).all():
            return of_kind  # each session has its own
        return np.take_along_axis(of_kind, self.kind[..., None, None], axis=-3)


@dataclass(frozen=True)
class Sources:
    """A log, an experiment and replays that options are valued with.

    Attributes:
        obs: A log in which options were chosen, by whoever chose them and for reasons of their own; None for none.
        exp: An experiment; None for none.
        replays: Of the sessions of `exp`, or of `obs` where there is no experiment; None where nothing is simulated.
    Raises:
        ValueError: Neither log, columns that differ, or replays of other sessions.
    """

    obs: SessionLog | None
    exp: SessionLog | None
    replays: Replays | None = None

    def __post_init__(self) -> None:
        if self.obs is None and self.exp is None:
            raise InputError("an evaluation needs a log or an experiment, got neither")
        if self.obs is not None and self.exp is not None and self.obs.columns != self.exp.columns:
            raise InputError(f"both logs must have the same columns, got {self.obs.columns} and {self.exp.columns}")
        if self.exp is not None and not self.exp.randomised:
            raise InputError("`exp` must be an experiment, whose options were drawn at random")
        if self.replays is not None and self.replays.kind.shape != self.population.option.shape:
            raise InputError(
                f"replays must be of the {self.population.sessions} sessions of the "
                f"{'log' if self.exp is None else 'experiment'}, got {self.replays.kind.shape[-1]}"
            )

    @property
    def population(self) -> SessionLog:
        """The sessions whose contexts options are compared on: the experiment's, or the log's without one."""
        found = self.obs if self.exp is None else self.exp
        assert found is not None
        return found

    @property
    def columns(self) -> LogColumns:
        """Names of all columns."""
        return self.population.columns

    @property
    def options(self) -> int:
        """How many options there are."""
        return len(self.columns.options)
