"""Means of outcomes by option, of a log or of an experiment, as they stand."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from auctionsim.errors import InputError
from auctionsim.logs.estimators.families import require
from auctionsim.logs.estimators.registry import register_estimator
from auctionsim.logs.protocol import EstimationSettings, Source
from auctionsim.logs.session_log import Sources
from auctionsim.logs.value_estimates import ValueEstimates


@dataclass(frozen=True)
class OutcomeMeans:
    """Mean outcome of the sessions that ran under each option.

    Attributes:
        source: "obs": what a dashboard shows; "exp": what an experiment without a simulator says.
    """

    source: Literal["obs", "exp"]

    family = ""

    @property
    def name(self) -> str:
        """By its source."""
        return "raw_means" if self.source == "obs" else "exp_means"

    @property
    def needs(self) -> tuple[Source, ...]:
        """One log."""
        return (self.source,)

    @property
    def summary(self) -> str:
        """One sentence."""
        return f"Mean outcome by option in the {'log' if self.source == 'obs' else 'experiment'}."

    def estimate(
        self, sources: Sources, settings: EstimationSettings, generator: np.random.Generator
    ) -> ValueEstimates:
        """Return the means; their errors are independent.

        Raises:
            ValueError: No such log, or an option with fewer than two sessions.
        """
        del settings, generator
        require(self.name, self.needs, sources)
        log = sources.obs if self.source == "obs" else sources.exp
        assert log is not None
        chosen = log.indicators
        counts = chosen.sum(-2)
        if counts.min() < 2:
            raise InputError(f"{self.name} needs two sessions under every option, got {int(counts.min())}")
        means = (chosen * log.outcome[..., None]).sum(-2) / counts
        squares = (chosen * (log.outcome[..., None] - means[..., None, :]) ** 2).sum(-2)
        variances = squares / (counts - 1) / counts
        covariance = variances[..., None] * np.eye(sources.options)
        randomised = log.sessions if self.source == "exp" else 0
        options = sources.columns.options
        associational = self.source == "obs"
        return ValueEstimates(
            self.name, options, means, covariance, randomised, counts - 1, associational=associational
        )


register_estimator(OutcomeMeans("obs"))
register_estimator(OutcomeMeans("exp"))
