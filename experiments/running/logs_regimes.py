"""Regimes of the study of logs: a world, how much was logged and randomised, and what every estimator makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auctionsim.errors import InputError
from auctionsim.experiments.running.run import Row
from auctionsim.logs import EstimationSettings, Sources, World, agreement, recommendation_regret, replay_agreement
from auctionsim.logs.estimators import estimator
from auctionsim.logs.worlds import (
    LinearGaussian,
    MeasuredParameters,
    MeasuredReplies,
    PostedPrices,
    Programmes,
)

LINEAR, KL, QUALITY, PROGRAMMES, PRICES = (
    "linear-Gaussian",
    "replies, loss kl",
    "replies, loss quality",
    "programmes",
    "posted prices",
)
SETUPS: Mapping[str, Any] = {
    LINEAR: LinearGaussian(),
    KL: MeasuredReplies(),
    QUALITY: MeasuredReplies(MeasuredParameters(measured="running-shoes-2-slots@1", loss="quality", loss_weight=4.0)),
    PROGRAMMES: Programmes(),
    PRICES: PostedPrices(),
}
"""Worlds by the names that tables show."""

FAMILIES = ("obs_only", "exp_only", "cvci", "grounded", "rosenman", "representation_exp")
"""Reward models; the unshrunk grounding is EXP-Only in another guise and left out."""
DIRECT = tuple(f"{name}_direct" for name in FAMILIES)
ROBUST = tuple(f"{name}_doubly_robust" for name in FAMILIES)
CONTENDERS = (*DIRECT, "exp_only_doubly_robust")
"""Estimators that are held against each other in every regime."""
BASELINES = ("raw_means", "exp_means")
_ATTEMPT = 50  # draws that are estimated in one call: bounds memory


@dataclass(frozen=True)
class LogRegime:
    """One case of the study.

    Attributes:
        question: Of which it is a part.
        setup: Name in `SETUPS`.
        randomised: Sessions of the experiment.
        logged: Sessions of the log.
        changes: Parameters of the world that differ from the setup's.
        omitted: Columns that the reward model does not see.
        names: Estimators.
        pairs: Of them, those whose difference is taken draw by draw.
        tests: Whether the tests of assumptions are made.
        label: What tables call the case.
    """

    question: str
    setup: str
    randomised: int
    logged: int
    changes: tuple[tuple[str, Any], ...] = ()
    omitted: tuple[str, ...] = ()
    names: tuple[str, ...] = CONTENDERS
    pairs: tuple[tuple[str, str], ...] = ()
    tests: bool = False
    label: str = ""

    @property
    def world(self) -> World:
        """The setup's world with its changes."""
        one = SETUPS[self.setup]
        if not self.changes:
            return one  # type: ignore[no-any-return]
        return replace(one, parameters=replace(one.parameters, **dict(self.changes)))  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        """All that tells it from other regimes."""
        changes = " ".join(f"{name}={value}" for name, value in self.changes)
        return f"{self.question} {self.setup} n={self.randomised} {changes} {' '.join(self.omitted)}".strip()


def all_pairs(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return every pair once."""
    return tuple((first, second) for k, first in enumerate(names) for second in names[k + 1 :])


def regime_rows(regime: LogRegime, draws: int, seed: int) -> list[Row]:
    """Return a row per estimator, per pair and per test, of independent draws of a regime.

    All estimators see the same draws and the same folds, so that differences are paired. An estimator that refuses
    a draw, such as means of an option without sessions, has no row.
    """
    one = regime.world
    truth = one.values()
    found: dict[str, list[np.ndarray]] = {name: [] for name in regime.names}
    refused: set[str] = set()
    verdicts: dict[str, list[np.ndarray]] = {"agreement": [], "drift": []}
    for batch, start in enumerate(range(0, draws, _ATTEMPT)):
        sources = _drawn(regime, one, min(_ATTEMPT, draws - start), (seed, batch))
        settings = EstimationSettings(replicates=2, omitted=regime.omitted)  # errors are those over draws
        for name in regime.names:
            try:
                generator = np.random.default_rng((seed, batch, 1))
                found[name].append(estimator(name).estimate(sources, settings, generator).values)
            except InputError:
                refused.add(name)
        if regime.tests:
            verdicts["agreement"].append(agreement(sources, settings).rejects())
            verdicts["drift"].append(replay_agreement(sources).rejects())
    values = {name: np.concatenate(parts) for name, parts in found.items() if name not in refused}
    base: Row = {
        "question": regime.question,
        "setup": regime.setup,
        "case": regime.label,
        "randomised": regime.randomised,
        "draws": draws,
        **{name: value for name, value in regime.changes if isinstance(value, float)},
    }
    rows = [{**base, "kind": "estimator", **_scores(name, truth, each)} for name, each in values.items()]
    there = [(a, b) for a, b in regime.pairs if a in values and b in values]
    rows += [{**base, "kind": "pair", **_difference(truth, (a, b), values[a], values[b])} for a, b in there]
    if regime.tests:
        rows += [
            {**base, "kind": "test", "test": name, "rejections": float(np.concatenate(parts).mean())}
            for name, parts in verdicts.items()
        ]
    return rows


def _drawn(regime: LogRegime, one: World, draws: int, seed: tuple[int, int]) -> Sources:
    generator = np.random.default_rng(seed)
    exp = one.draw_exp(regime.randomised, generator, (draws,))
    return Sources(one.draw_obs(regime.logged, generator, (draws,)), exp, one.replays(exp))


def _squares(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean square error of each draw: of values less their mean over options, as a choice needs them."""
    error = values - truth
    return np.asarray(((error - error.mean(-1, keepdims=True)) ** 2).mean(-1))


def _scores(name: str, truth: np.ndarray, values: np.ndarray) -> Row:
    regret, square = recommendation_regret(truth, values), _squares(truth, values)
    bias = (values[:, -1] - values[:, 0]) - (truth[-1] - truth[0])
    return {
        "estimator": name,
        "regret": float(regret.mean()),
        "regret_error": _error(regret),
        "best_share": float((regret == 0).mean()),
        "rmse": float(np.sqrt(square.mean())),
        "bias": float(bias.mean()),
        "bias_error": _error(bias),
    }


def _difference(truth: np.ndarray, names: tuple[str, str], first: np.ndarray, second: np.ndarray) -> Row:
    """Return the first's regret and square error less the second's, over the same draws."""
    regret = recommendation_regret(truth, first) - recommendation_regret(truth, second)
    square = _squares(truth, first) - _squares(truth, second)
    return {
        "first": names[0],
        "second": names[1],
        "regret": float(regret.mean()),
        "regret_error": _error(regret),
        "square": float(square.mean()),
        "square_error": _error(square),
    }


def _error(samples: np.ndarray) -> float:
    return float(samples.std(ddof=1) / np.sqrt(len(samples)))
