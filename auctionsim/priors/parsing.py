"""How a person writes a prior on one line: `beta:2,5`; `;` between bidders, weights and `+` for a mixture."""

import re
from collections.abc import Callable

from auctionsim.errors import InputError
from auctionsim.priors.composite import Empirical, Mixture
from auctionsim.priors.parametric import Beta, Exponential, TruncatedNormal, Uniform
from auctionsim.priors.protocol import Prior
from auctionsim.text_checks import checked_text

_KINDS: dict[str, tuple[Callable[..., Prior], int, int, str]] = {
    "uniform": (Uniform, 0, 2, "uniform:LOW,HIGH"),
    "exponential": (Exponential, 0, 1, "exponential:MEAN"),
    "beta": (Beta, 2, 4, "beta:A,B[,LOW,HIGH]"),
    "normal": (TruncatedNormal, 2, 4, "normal:LOCATION,SCALE[,LOW,HIGH]"),
    "empirical": (lambda *samples: Empirical(samples), 1, 10**6, "empirical:SAMPLE,SAMPLE,…"),
}
FORMS = ", ".join(form for *_, form in _KINDS.values())


def parse_priors(text: str) -> Prior | list[Prior]:
    """Read a prior for all bidders, or one a bidder.

    Args:
        text: `KIND:NUMBER,NUMBER,…`; a mixture is `WEIGHT*PRIOR+WEIGHT*PRIOR`; `;` between bidders. `normal` is
            truncated to [LOW, HIGH], by default [0, ∞).
    Returns:
        One prior, or a list where the text holds `;`.
    Raises:
        ValueError: Another form, or numbers that the prior refuses; quotes the part that was not understood.
    Example:
        >>> parse_priors("0.6*beta:2,8+0.4*beta:8,2; exponential:1")[1]
        Exponential(1.0)
    """
    parts = [_mixed(part) for part in checked_text(text, "a prior").split(";")]
    return parts if ";" in text else parts[0]


def _mixed(text: str) -> Prior:
    terms = re.split(r"\+(?=[^,:;]*\*)", text)  # a + inside a number, as in 1e+3, is followed by no weight
    if len(terms) == 1 and "*" not in text:
        return _one(text)
    weights, components = [], []
    for term in terms:
        weight, star, prior = term.partition("*")
        if not star:
            raise InputError(f"a mixture is written WEIGHT*PRIOR+WEIGHT*PRIOR, got {text.strip()!r}")
        weights.append(_number(weight, text))
        components.append(_one(prior))
    return Mixture(components, weights)


def _one(text: str) -> Prior:
    name, colon, rest = text.strip().partition(":")
    if name.strip().lower() not in _KINDS:
        raise InputError(f"a prior is written as one of {FORMS}, got {text.strip()!r}")
    kind, fewest, most, form = _KINDS[name.strip().lower()]
    numbers = [_number(part, text) for part in rest.split(",")] if rest.strip() or colon else []
    if not fewest <= len(numbers) <= most:
        raise InputError(f"a prior of this kind is written {form}, got {text.strip()!r}")
    return kind(*numbers)


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"a prior is written as one of {FORMS}, with numbers; {text.strip()!r} in {whole.strip()!r} is none"
        ) from None
