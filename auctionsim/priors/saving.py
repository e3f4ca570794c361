"""A prior as JSON: its kind and parameters."""

from collections.abc import Callable
from typing import Any

import torch

from auctionsim.errors import InputError, InputTypeError
from auctionsim.priors.composite import Empirical, Mixture
from auctionsim.priors.parametric import Beta, Exponential, TruncatedNormal, Uniform
from auctionsim.priors.protocol import Prior
from auctionsim.records import Record

_FORMULAS: dict[str, tuple[Callable[..., Prior], int, int]] = {
    "Uniform": (Uniform, 0, 2),
    "Exponential": (Exponential, 0, 1),
    "Beta": (Beta, 2, 4),
    "TruncatedNormal": (TruncatedNormal, 2, 4),
}
_KINDS = (Uniform, Exponential, Beta, TruncatedNormal, Empirical, Mixture)


def prior_record(prior: Prior) -> dict[str, Any]:
    """Return a prior's kind and parameters as JSON has them.

    Raises:
        TypeError: A prior of somebody's own, of which only its class knows what it was made with.
    """
    if type(prior) not in _KINDS:
        raise InputTypeError(f"a prior of the kind {type(prior).__name__} has no file form")
    if isinstance(prior, Mixture):
        return {"kind": "Mixture", "parameters": [[prior_record(part) for part in prior.components], [*prior.weights]]}
    finite = [None if value == torch.inf else value for value in prior.parameters]  # JSON has no infinity
    return {"kind": type(prior).__name__, "parameters": finite}


def prior_from(record: Record) -> Prior:
    """Return the prior that `prior_record` described.

    Raises:
        ValueError: An unknown kind, parameters of another kind or number, or ones that the prior refuses.
    """
    kind, parameters = record.text("kind"), record.items("parameters")
    named = Record({str(place): value for place, value in enumerate(parameters)}, f"{record.what}, parameters")
    if kind == "Mixture":
        return Mixture([prior_from(part) for part in named.records("0")], named.numbers("1", 0))
    if kind == "Empirical":
        return Empirical(*(named.numbers(place, 0) for place in ("0", "1")[: max(len(parameters), 1)]))
    if kind not in _FORMULAS:
        raise InputError(f"{record.what}: kind must be one of {', '.join(k.__name__ for k in _KINDS)}, got {kind!r}")
    make, fewest, most = _FORMULAS[kind]
    if not fewest <= len(parameters) <= most:
        raise InputError(f"{record.what}: {kind} has {fewest} to {most} parameters, got {len(parameters)}")
    given = (named.number_or_none(place) for place in named.content)
    return make(*(torch.inf if value is None else value for value in given))
