"""Strengths from comparisons in pairs: Bradley–Terry, with ties and with what standing first is worth.

With strengths θ, a position term β and a tie term ν the three results of a comparison, i standing first and j second,
have probabilities in the proportions

    first  e^(θ_i + β)        second  e^(θ_j)        tie  ν e^((θ_i + β + θ_j) / 2).

Without ties log P(first)/P(second) = θ_i − θ_j + β: Bradley and Terry's model, where β = 0. The likelihood is concave,
and its largest value is reached where no set of options has only beaten the rest.

Source:
    Bradley and Terry (1952), "Rank analysis of incomplete block designs: I"; Davidson (1970), "On extending the
    Bradley–Terry model to accommodate ties in paired comparison experiments"; Davidson and Beaver (1977), "On extending
    the Bradley–Terry model to incorporate within-pair order effects". Plain strengths are evalica's.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from auctionsim.errors import FailedRunError, InputError, MissingPackageError

FIRST = 0
"""Result of a comparison: the option that stands first is put before the other."""
SECOND = 1
"""Result of a comparison: the option that stands second is put before the other."""
TIE = 2
"""Result of a comparison: neither option is put before the other."""
ROUNDS = 100


class Strengths(NamedTuple):
    """Fitted strengths of options.

    Attributes:
        strengths: (option,) θ, log odds, with mean 0.
        position: β, log odds of standing first; 0 where it was not fitted.
        tie: ν; 0 where no comparison was tied.
        position_error: Standard error of β; NaN where it was not fitted.
        log_likelihood: Of the comparisons.
    """

    strengths: Float[np.ndarray, " option"]
    position: float
    tie: float
    position_error: float
    log_likelihood: float


def bradley_terry(wins: Float[np.ndarray, "option option"]) -> Float[np.ndarray, " option"]:
    """Return plain strengths, with mean 0, by evalica.

    Args:
        wins: `wins[i, j]` is how often i was put before j; a tie is half a win of either.
    Raises:
        ValueError: Counts that are none, or options of which some have only beaten the rest.
        ImportError: evalica is not installed.
    Example:
        >>> strengths = bradley_terry(np.array([[0.0, 3.0], [1.0, 0.0]]))
        >>> round(float(strengths[0] - strengths[1]), 4), round(float(np.log(3)), 4)
        (1.0986, 1.0986)
    """
    count = len(wins)
    if wins.shape != (count, count) or count < 2 or not np.isfinite(wins).all() or wins.min() < 0:
        raise InputError(f"wins must be counts of at least two options against each other, got shape {wins.shape}")
    if np.diagonal(wins).any():
        raise InputError("an option is not compared with itself: the diagonal of wins must be 0")
    _require_connected(wins > 0)
    try:
        import evalica
    except ImportError:
        raise MissingPackageError("Bradley–Terry needs evalica: pip install 'auctionsim[panels]'") from None
    rows, columns = np.nonzero(wins)
    found = evalica.bradley_terry(
        rows.tolist(),
        columns.tolist(),
        [evalica.Winner.X] * len(rows),
        weights=wins[rows, columns].tolist(),
        tolerance=1e-12,
        limit=100_000,
    )
    strengths = np.log(found.scores.reindex(range(count)).to_numpy(dtype=np.float64))
    return np.asarray(strengths - strengths.mean())


def fit_comparisons(
    first: Int[np.ndarray, " comparison"],
    second: Int[np.ndarray, " comparison"],
    results: Int[np.ndarray, " comparison"],
    *,
    position: bool = True,
) -> Strengths:
    """Fit strengths with ties and a position term, by Newton's method.

    Args:
        first: The option that stands first, from 0.
        second: The other one.
        results: `FIRST`, `SECOND` or `TIE`.
        position: Fit β; else it is 0. It needs results that do not all favour one place.
    Raises:
        ValueError: An option compared with itself or with nothing, another result, options of which some have only
            beaten the rest, or a place that always wins.
        RuntimeError: The likelihood has no largest value, such as where a place wins whatever the options.
    """
    counts, pairs, options = _counted(first, second, results)
    won = np.zeros((options, options), dtype=bool)
    for (i, j), (wins, losses, ties) in zip(pairs, counts, strict=True):
        won[i, j] |= bool(wins or ties)
        won[j, i] |= bool(losses or ties)
    _require_connected(won)
    decided, ties = counts[:, :2].sum(0), bool(counts[:, TIE].any())
    if not decided.any() or (position and not decided.all()):
        raise InputError(
            f"both places must win at least once, got {int(decided[0])} wins first, {int(decided[1])} second"
        )
    design = _design(pairs, options, position, ties)
    start = np.zeros(design.shape[2])
    value = _newton(design, counts, start)
    _, probabilities = _log_likelihood(design, counts, value)
    errors = np.sqrt(np.diagonal(np.linalg.pinv(_information(design, counts, probabilities))))
    place = options - 1
    strengths = np.concatenate([value[:place], [0.0]])
    return Strengths(
        strengths - strengths.mean(),
        float(value[place]) if position else 0.0,
        float(np.exp(value[-1])) if ties else 0.0,
        float(errors[place]) if position else float("nan"),
        _log_likelihood(design, counts, value)[0],
    )


def _counted(
    first: Int[np.ndarray, " comparison"],
    second: Int[np.ndarray, " comparison"],
    results: Int[np.ndarray, " comparison"],
) -> tuple[Float[np.ndarray, "pair 3"], Int[np.ndarray, "pair 2"], int]:
    """Return how often each ordered pair had each result, the pairs, and the number of options."""
    if not len(first) or not len(first) == len(second) == len(results):
        raise InputError(
            f"comparisons need two options and a result each, got {len(first)}, {len(second)}, {len(results)}"
        )
    if (first == second).any() or min(int(first.min()), int(second.min())) < 0:
        raise InputError("a comparison is of two different options, numbered from 0")
    if not np.isin(results, (FIRST, SECOND, TIE)).all():
        raise InputError(
            f"a result is {FIRST} (first), {SECOND} (second) or {TIE} (tie), got {sorted(set(results.tolist()))}"
        )
    options = int(max(first.max(), second.max())) + 1
    code = (first.astype(np.int64) * options + second) * 3 + results
    table = np.bincount(code, minlength=options * options * 3).reshape(options * options, 3).astype(np.float64)
    there = np.flatnonzero(table.any(1))
    return table[there], np.stack([there // options, there % options], 1), options


def _design(
    pairs: Int[np.ndarray, "pair 2"], options: int, position: bool, ties: bool
) -> Float[np.ndarray, "pair result parameter"]:
    """Return what each result's logit is made of: strengths but the last one's, then β and log ν where fitted."""
    rows = np.arange(len(pairs))
    design = np.zeros((len(pairs), 3, options + 2))
    design[rows, FIRST, pairs[:, 0]] = 1.0
    design[rows, SECOND, pairs[:, 1]] = 1.0
    design[:, FIRST, options] = 1.0
    design[:, TIE, : options + 1] = (design[:, FIRST, : options + 1] + design[:, SECOND, : options + 1]) / 2
    design[:, TIE, options + 1] = 1.0
    kept = [*range(options - 1), *([options] if position else []), *([options + 1] if ties else [])]
    return design[:, :, kept] if ties else design[:, :2, :][:, :, kept]


def _log_likelihood(
    design: Float[np.ndarray, "pair result parameter"], counts: Float[np.ndarray, "pair 3"], value: np.ndarray
) -> tuple[float, np.ndarray]:
    logits = design @ value
    logits = logits - logits.max(1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return float((counts[:, : design.shape[1]] * logs).sum()), np.exp(logs)


def _information(design: np.ndarray, counts: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    centred = design - np.einsum("pr,prk->pk", probabilities, design)[:, None]
    return np.asarray(np.einsum("p,pr,prk,prl->kl", counts.sum(1), probabilities, centred, centred))


def _newton(design: np.ndarray, counts: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return where the concave log likelihood is largest: Newton's steps, halved while they do not raise it."""
    reached, probabilities = _log_likelihood(design, counts, value)
    some = counts[:, : design.shape[1]]
    for _ in range(ROUNDS):
        slope = np.einsum("pr,prk->k", some - some.sum(1, keepdims=True) * probabilities, design)
        if np.abs(slope).max() < 1e-8 * max(1.0, counts.sum()):
            return value
        step = np.linalg.lstsq(_information(design, counts, probabilities), slope, rcond=None)[0]
        for _halving in range(50):
            found, probabilities = _log_likelihood(design, counts, value + step)
            if found >= reached:
                break
            step = step / 2
        value, reached = value + step, found
        if np.abs(value).max() > 1e3:
            break
    raise FailedRunError("the comparisons have no likeliest strengths: some place or option wins whatever is beside it")


def _require_connected(won: np.ndarray) -> None:
    """Refuse options of which some have only beaten the rest, or were never compared with it."""
    from scipy.sparse.csgraph import connected_components

    parts = int(connected_components(won, directed=True, connection="strong")[0])
    if parts > 1:
        raise InputError(
            f"every option must be reached from every other by wins, and these fall into {parts} groups: some have "
            "only beaten the rest, or were never compared with it, so the distance has no end"
        )
