"""How numbers and lists are written in sentences: significant digits, a real minus sign, percentages."""

import math
from collections.abc import Sequence

NOTHING = "–"
"""Where there is no number."""
ROUNDING = 1e-9
"""Of a share: what float64 leaves of 0."""


def number(value: float | None, digits: int = 3) -> str:
    """Write `value` with so many significant digits and a real minus sign; a dash where there is none.

    Example:
        >>> number(-0.01234)
        '−0.0123'
    """
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-4 or size >= 1e6:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    decimals = max(digits - 1 - math.floor(math.log10(size)), 0)
    return f"{value:,.{decimals}f}".replace("-", "−")


def amount(value: float) -> str:
    """Write an amount of money, of exposure or of loss with three decimals, as amounts that are added up are.

    Example:
        >>> amount(0.5), amount(-0.0004), amount(1e-12)
        ('0.500', '−0.0004', '0')
    """
    if abs(value) < ROUNDING:
        return "0"
    if abs(value) < 0.001:
        return number(value, 1)
    return f"{value:,.3f}".replace("-", "−")


def equals(computed: float, total: float) -> str:
    """Return the sign between a sum of written amounts and its total: "≈" where rounding shows, else "=".

    Args:
        computed: The sum or product of the amounts as they are written.
        total: What it stands for.
    Example:
        >>> equals(0.167, 0.1665), equals(0.230 - 0.063, 0.1664)
        ('=', '≈')
    """
    return "=" if f"{computed:.3f}" == f"{total:.3f}" else "≈"


def percent(value: float | None) -> str:
    """Write a share as a percentage, whole where it is large; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if abs(value) < ROUNDING:
        return "0 %"
    return f"{number(100 * value) if abs(value) < 0.1 else f'{100 * value:.1f}'.replace('-', '−')} %"


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
