"""A market of divisible items: what each is worth to each bidder, and how much money each bidder has."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError, InputTypeError


@dataclass(frozen=True, eq=False)
class ItemMarket:
    """Bidders with budgets and the items that are sold to them, all at once.

    An item may be one auction, or all auctions of a query type in a day: then a value counts all of its arrivals.

    Attributes:
        values: (bidder, item) money that the whole item is worth, finite, ≥ 0; a row or a column may be all 0.
        budgets: (bidder,) money, ≥ 0; inf: none.

    Raises:
        TypeError: No floating-point arrays.
        ValueError: Other shapes, no bidder, no item, or a number that breaks its rule.
    """

    values: Float[np.ndarray, "bidder item"]
    budgets: Float[np.ndarray, " bidder"]

    def __post_init__(self) -> None:
        values, budgets = _floats(self.values, "values"), _floats(self.budgets, "budgets")
        if values.ndim != 2 or not values.size:
            raise InputError(f"values must have shape (bidder, item), one of each at least, got {values.shape}")
        if budgets.shape != values.shape[:1]:
            raise InputError(f"budgets must have shape (bidder={len(values)},), got {budgets.shape}")
        if not (np.isfinite(values) & (values >= 0)).all():
            place = tuple(int(k) for k in np.argwhere(~(np.isfinite(values) & (values >= 0)))[0])
            raise InputError(f"values must be finite and >= 0, got {values[place]} at (bidder, item) = {place}")
        if not (budgets >= 0).all():
            bidder = int(np.argmin(budgets >= 0))
            raise InputError(f"budgets must be >= 0 (inf: none), got {budgets[bidder]} of bidder {bidder}")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "budgets", budgets)

    @property
    def num_bidders(self) -> int:
        """Number of bidders."""
        return int(self.values.shape[0])

    @property
    def num_items(self) -> int:
        """Number of items."""
        return int(self.values.shape[1])


def checked_shares(market: ItemMarket, shares: Float[np.ndarray, "bidder item"]) -> Float[np.ndarray, "bidder item"]:
    """Return shares of items as doubles, if they are finite and of the market's shape; that they fit is not asked.

    Raises:
        TypeError: No floating-point array.
        ValueError: Another shape, NaN or infinity.
    """
    return _finite(_floats(shares, "shares"), market.values.shape, "shares")


def checked_multipliers(
    market: ItemMarket, multipliers: Float[np.ndarray, " bidder"], what: str = "multipliers"
) -> Float[np.ndarray, " bidder"]:
    """Return multipliers (or what the message calls `what`) as doubles, if they are finite, ≥ 0 and one a bidder.

    Raises:
        TypeError: No floating-point array.
        ValueError: Another shape, or a number that breaks its rule.
    """
    numbers = _finite(_floats(multipliers, what), market.budgets.shape, what)
    if (numbers < 0).any():
        raise InputError(f"{what} must be >= 0, got {numbers.min()} of bidder {int(numbers.argmin())}")
    return numbers


def checked_prices(market: ItemMarket, prices: Float[np.ndarray, " item"]) -> Float[np.ndarray, " item"]:
    """Return prices as doubles, if they are finite and one an item.

    Raises:
        TypeError: No floating-point array.
        ValueError: Another shape, NaN or infinity.
    """
    return _finite(_floats(prices, "prices"), market.values.shape[1:], "prices")


def _finite(numbers: np.ndarray, shape: tuple[int, ...], what: str) -> np.ndarray:
    if numbers.shape != shape:
        raise InputError(f"{what} must have shape {shape}, got {numbers.shape}")
    if not np.isfinite(numbers).all():
        place = tuple(int(k) for k in np.argwhere(~np.isfinite(numbers))[0])
        raise InputError(f"{what} must be finite, got {numbers[place]} at {place}")
    return numbers


def _floats(numbers: np.ndarray, what: str) -> np.ndarray:
    if not isinstance(numbers, np.ndarray) or not np.issubdtype(numbers.dtype, np.floating):
        kind = numbers.dtype if isinstance(numbers, np.ndarray) else type(numbers).__name__
        raise InputTypeError(f"{what} must be a floating-point numpy array, got {kind}")
    return numbers.astype(np.float64)
