"""Bootstrap over prompts within strata: one set of resamples for all quantities, so that differences are paired.

A prompt is drawn with all its replies, since replies to one prompt are alike; strata (categories, contexts) are fixed.
The mean weighs every prompt alike. Percentile intervals at 95 %; with a dozen prompts they are somewhat too narrow.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auctionsim.errors import InputError

TAILS = (2.5, 97.5)


class BootstrapMean(NamedTuple):
    """A mean over prompts with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    def columns(self, name: str) -> dict[str, float]:
        """Return it as a table has it."""
        return {name: self.mean, f"{name}_low": self.low, f"{name}_high": self.high}


class PromptBootstrap:
    """Resamples of prompts, drawn once.

    Args:
        strata: Of each prompt.
        resamples: How many.
        seed: Of the draws.
    Raises:
        ValueError: Fewer than two prompts, or no resample.
    """

    def __init__(self, strata: Sequence[str], resamples: int, seed: int) -> None:
        if len(strata) < 2 or resamples < 1:
            raise InputError(f"two prompts and a resample are needed, got {len(strata)} and {resamples}")
        generator = np.random.default_rng(seed)
        names = np.array(strata)
        self._weights = np.zeros((resamples, len(strata)))
        for name in dict.fromkeys(strata):
            places = np.flatnonzero(names == name)
            counts = generator.multinomial(len(places), np.full(len(places), 1 / len(places)), size=resamples)
            self._weights[:, places] = counts / len(strata)

    def mean(self, values: NDArray[np.float64]) -> BootstrapMean:
        """Return the mean of a value a prompt, (prompt,), with its interval."""
        return summary(self.resampled(values))

    def resampled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of a value a prompt, and of each resample: (1 + resample,)."""
        return np.concatenate([[values.mean()], self._weights @ values])

    def at(self, x: NDArray[np.float64], y: NDArray[np.float64], target: float) -> NDArray[np.float64] | None:
        """Return where the curve of mean y over mean x is at a value of x: (1 + resample,), the whole sample's first.

        Args:
            x: (prompt, setting).
            y: (prompt, setting).
            target: Of x, linear between settings.
        Returns:
            None where the whole sample's curve does not reach the target; a resample's is held at its end.
        """
        weights = np.vstack([np.full(len(x), 1 / len(x)), self._weights])
        means, heights = weights @ x, weights @ y
        if not means[0].min() <= target <= means[0].max():
            return None
        order = means.argsort(1)
        pairs = zip(np.take_along_axis(means, order, 1), np.take_along_axis(heights, order, 1), strict=True)
        return np.array([np.interp(target, *pair) for pair in pairs])


def summary(resampled: NDArray[np.float64]) -> BootstrapMean:
    """Return the whole sample's value and its interval, of what `resampled` and `at` of a bootstrap return."""
    low, high = np.percentile(resampled[1:], TAILS)
    return BootstrapMean(float(resampled[0]), float(low), float(high))
