"""What property tests are drawn from: money on a coarse grid, so that ties are common and float arithmetic is exact.

What happens off every grid, beside a tie or where amounts differ by orders of magnitude is drawn by `loose_bids`.

Hypothesis strategies. Every size that is not given is drawn from 1 to 4, so that axes differ in size; everything
shrinks to fewer rows and to zeros.
"""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import torch
from torch import Tensor

from auctionsim.mechanisms.menu import Menu
from auctionsim.priors import Beta, Empirical, Exponential, Mixture, Prior, TruncatedNormal, Uniform
from auctionsim.substrates import Items, QuadraticSubstrate, Substrate

GRID = 4  # steps in one unit of money: quarters
OFF_GRID = 104_729  # a prime: hardly any of its multiples lies on a grid that a mechanism could round to
SMALLEST = 7  # decimal places of what sets near-ties apart, and of the smallest bids
Size = int | None
Draw = Callable[..., Any]  # Hypothesis draws from a strategy


@st.composite
def valuations(
    draw: Draw,
    num_bidders: Size = None,
    num_features: Size = None,
    batch: Size = None,
    *,
    high: float = 1.0,
    grid: int = GRID,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Draw (batch, bidder, feature) valuations among 0, 1/grid … 1 times `high`."""
    shape = tuple(draw(st.integers(1, 4)) if size is None else size for size in (batch, num_bidders, num_features))
    drawn: Tensor = draw(_steps(shape, grid, grid, dtype))
    return drawn * high


@st.composite
def bids(
    draw: Draw,
    num_bidders: Size = None,
    num_features: Size = None,
    batch: Size = None,
    *,
    high: float = 1.0,
    grid: int = GRID,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Draw (batch, bidder, feature) bids among 0, 1/grid … 3/2 times `high`: beyond every valuation too."""
    shape = tuple(draw(st.integers(1, 4)) if size is None else size for size in (batch, num_bidders, num_features))
    drawn: Tensor = draw(_steps(shape, grid + grid // 2, grid, dtype))
    return drawn * high


@st.composite
def loose_bids(
    draw: Draw,
    num_bidders: Size = None,
    num_features: Size = None,
    batch: Size = None,
    *,
    high: float = 1.0,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Draw (batch, bidder, feature) bids up to 3/2 times `high` that lie on no grid: anywhere, nearly tied, or tiny.

    Nearly tied are quarters, each moved by 0 or by some 10⁻² … 10⁻⁷ of `high`; tiny are quarters divided by powers of
    ten, another one for each bidder.
    """
    shape = tuple(draw(st.integers(1, 4)) if size is None else size for size in (batch, num_bidders, num_features))
    kind = draw(st.sampled_from(("anywhere", "nearly tied", "tiny")))
    if kind == "anywhere":
        anywhere: Tensor = draw(_steps(shape, OFF_GRID + OFF_GRID // 2, OFF_GRID, dtype))
        return anywhere * high
    quarters: Tensor = draw(_steps(shape, GRID + GRID // 2, GRID, dtype))
    places: Tensor = draw(_steps(shape, SMALLEST, 1, dtype))
    if kind == "tiny":
        return quarters * 10**-places * high
    moved = (quarters + torch.where(places < 2, torch.zeros_like(places), 10**-places)).clamp_max(1.5)
    return moved * high


@st.composite
def menus(
    draw: Draw, substrate: Substrate | None = None, *, most_entries: int = 4, dtype: torch.dtype = torch.float64
) -> Menu:
    """Draw a menu of 1 to `most_entries` entries for every bidder of `substrate` (a quadratic one where None).

    Levers lie on quarters of their ranges and prices among 0, 1/4 … 1. The null entry is not listed: `MenuAuction`
    always offers it.
    """
    place = QuadraticSubstrate(draw(st.integers(1, 4))) if substrate is None else substrate
    n, entries, kinds = place.num_bidders, draw(st.integers(1, most_entries)), place.levers
    low = torch.tensor([lever.low for lever in kinds], dtype=dtype)
    high = torch.tensor([lever.high for lever in kinds], dtype=dtype)
    levers: Tensor = low + (high - low) * draw(_steps((n, entries, len(kinds)), GRID, GRID, dtype))
    prices: Tensor = draw(_steps((n, entries), GRID, GRID, dtype))
    return Menu(levers, prices)


def substrates(crosstalk: bool | None = None) -> st.SearchStrategy[Substrate]:
    """Draw a small substrate, from 1 to 4 bidders: with crosstalk (at least 2), without, or either.

    The loss of a quadratic one has coefficients of its own; it may be below 0.

    Items count as crosstalk where two bidders compete for them: one's gain is the other's loss.
    """
    curves = st.sampled_from((1.0, 1.0, 0.5, 0.0)), st.sampled_from((0.0, 0.0, 0.25, -0.25))
    quiet = st.one_of(
        st.builds(QuadraticSubstrate, st.integers(1, 4), st.just(0.0), *curves),
        st.builds(Items, st.just(1), st.integers(1, 4)),
    )
    loud = st.one_of(
        st.integers(2, 4).flatmap(
            lambda n: st.builds(
                QuadraticSubstrate, st.just(n), st.integers(1, GRID).map(lambda k: k / (GRID * (n - 1))), *curves
            )
        ),
        st.builds(Items, st.integers(2, 4), st.integers(1, 4)),
    )
    if crosstalk is None:
        return st.one_of(quiet, loud)
    return loud if crosstalk else quiet


def priors() -> st.SearchStrategy[Prior]:
    """Draw a prior of any kind, its parameters on quarters; supports start at 0 or above."""
    low = st.integers(0, GRID).map(lambda k: k / GRID)
    positive = st.integers(1, 2 * GRID).map(lambda k: k / GRID)
    smooth: st.SearchStrategy[Prior] = st.one_of(
        st.builds(lambda start, length: Uniform(start, start + length), low, positive),
        st.builds(Exponential, positive),
        st.builds(Beta, positive, positive),
        st.builds(TruncatedNormal, low, positive),
    )
    mixed = st.lists(smooth, min_size=1, max_size=3).map(Mixture)
    return st.one_of(smooth, mixed, st.lists(low, min_size=1, max_size=4).map(Empirical))


def _steps(shape: tuple[int, ...], most: int, grid: int, dtype: torch.dtype) -> st.SearchStrategy[Tensor]:
    count = int(torch.Size(shape).numel())
    steps = st.lists(st.integers(0, most), min_size=count, max_size=count)
    return steps.map(lambda k: (torch.tensor(k, dtype=dtype) / grid).view(shape))
