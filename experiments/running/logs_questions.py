"""Questions of the study of logs, each a list of regimes."""

from collections.abc import Sequence

from auctionsim.experiments.running.logs_regimes import (
    BASELINES,
    CONTENDERS,
    DIRECT,
    KL,
    LINEAR,
    PRICES,
    PROGRAMMES,
    QUALITY,
    ROBUST,
    LogRegime,
    all_pairs,
)

CONFOUNDED = (LINEAR, KL, QUALITY, PROGRAMMES)
"""Setups in which κ says how strongly the hidden U chooses."""
DRIFTED = ("exp_means", "exp_only_direct", "exp_only_doubly_robust", "exp_only_augmented")
"""Estimators of the table of drift."""
HIDDEN_FROM_MODEL = {LINEAR: ("y",), KL: ("kl", "reply_kl"), QUALITY: ("quality",), PROGRAMMES: ("revenue",)}
"""Mediators that a deliberately wrong reward model does not see."""
VIOLATIONS = {
    LINEAR: (("past_mediator", 0.3), ("hidden_in_mediator", 0.5), ("drift", 0.3)),
    KL: (("past_mediator", 0.1), ("hidden_in_mediator", 0.5), ("real", "B")),
    PROGRAMMES: (("past_mediator", 0.05), ("hidden_in_mediator", 0.3), ("real", "B")),
}
"""The switch of each violated assumption, by setup: direct effect, U in Y, drifted simulator."""
BROKEN = ("a direct effect of M on R", "U reaches Y", "the simulator has drifted")


def raw_regimes(logged: int, randomised: int) -> list[LogRegime]:
    """Return every setup as it stands: do raw logs mislead?"""
    names = ("raw_means", "ips_obs", "obs_only_direct", "exp_means", "exp_only_direct")
    pairs = (("raw_means", "exp_only_direct"),)
    return [LogRegime("raw", setup, randomised, logged, names=names, pairs=pairs) for setup in (*CONFOUNDED, PRICES)]


def sweep_regimes(logged: int, sizes: Sequence[int], kappas: Sequence[float]) -> list[LogRegime]:
    """Return experiments of several sizes under several strengths of confounding."""
    names = (*BASELINES, *DIRECT, *ROBUST)
    return [
        LogRegime("sweep", setup, n, logged, (("kappa", float(kappa)),), names=names, pairs=all_pairs(CONTENDERS))
        for setup in CONFOUNDED
        for kappa in kappas
        for n in sizes
    ]


def grid_regimes(logged: int, randomised: int, levels: Sequence[float]) -> list[LogRegime]:
    """Return the grid of the reward's nonlinearity and the labels' alignment, on measured replies."""
    return [
        LogRegime(
            "grid",
            setup,
            randomised,
            logged,
            (("nonlinearity", float(bent)), ("alignment", float(aligned))),
            pairs=all_pairs(CONTENDERS),
        )
        for setup in (KL, QUALITY)
        for bent in levels
        for aligned in levels
    ]


def wrong_model_regimes(logged: int, sizes: Sequence[int]) -> list[LogRegime]:
    """Return strong selection with a reward model that does not see what matters: direct against doubly robust."""
    return [
        LogRegime(
            "wrong-model",
            setup,
            n,
            logged,
            (("kappa", 2.0),),
            omitted=omitted,
            names=(*DIRECT, *ROBUST),
            pairs=tuple(zip(ROBUST, DIRECT, strict=True)),
        )
        for setup, omitted in HIDDEN_FROM_MODEL.items()
        for n in sizes
    ]


def violation_regimes(logged: int, randomised: int) -> list[LogRegime]:
    """Return a case in which all holds, and one for each violated assumption."""
    names = (*BASELINES, *CONTENDERS, "exp_only_augmented")
    return [
        LogRegime("violations", setup, randomised, logged, changes, names=names, tests=True, label=label)
        for setup, switches in VIOLATIONS.items()
        for label, changes in (("none", ()), *((word, (one,)) for word, one in zip(BROKEN, switches, strict=True)))
    ]


def drift_regimes(logged: int, randomised: int, drifts: Sequence[float]) -> list[LogRegime]:
    """Return simulators that drifted: by a number in the linear world, by replicate elsewhere."""
    cases = [(LINEAR, (("drift", float(size)),), f"Δ + {size:g}") for size in drifts]
    for setup in (KL, QUALITY, PROGRAMMES):
        cases += [(setup, (("real", real),), f"A simulates, {real} is real") for real in ("A", "B")]  # type: ignore[misc]
    return [
        LogRegime("drift", setup, randomised, logged, changes, names=DRIFTED, tests=True, label=label)
        for setup, changes, label in cases
    ]
