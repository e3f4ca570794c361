"""Money that is counted: every gap counts, one that is no number, too."""

import math

import pytest

from auctionsim.market.conservation import Conservation

NOTHING = Conservation(days=1, ticks=1, revenue=1.0, payments_gap=0, revenue_gap=0, left_gap=0, overspent=0, absent=0)


@pytest.mark.parametrize("gap", NOTHING._fields[3:])
@pytest.mark.parametrize("size", [1e-3, math.nan, math.inf])
def test_any_gap_breaks_conservation(gap: str, size: float) -> None:
    assert NOTHING.holds
    broken = NOTHING._replace(**{gap: size})
    assert not broken.holds
    assert "money is conserved" not in broken.sentence
