"""The rules that input must obey, and the one sentence that names the value and the rule when it does not."""

import math
from numbers import Integral

import torch
from torch import Tensor

from auctionsim.errors import InputError, InputTypeError

MOST_MONEY = 3e38
"""What float32 holds."""
LARGEST_COUNT = 2**63 - 1
"""What a 64-bit integer holds."""


def checked_amounts(amounts: Tensor, num_bidders: int, num_features: int, what: str = "bids") -> Tensor:
    """Return `amounts` unchanged if they are valid bids or valuations.

    Args:
        amounts: Expected (batch, bidder, feature), floating point, finite, ≥ 0.
        num_bidders: Required size of the bidder axis.
        num_features: Required size of the feature axis.
        what: How the message calls them.
    Raises:
        TypeError: Not a floating-point tensor.
        ValueError: Wrong shape, or an entry is NaN, infinite or negative.
    """
    if not isinstance(amounts, Tensor) or not amounts.is_floating_point():
        kind = amounts.dtype if isinstance(amounts, Tensor) else type(amounts).__name__
        raise InputTypeError(f"{what} must be a floating-point torch tensor, got {kind}")
    if amounts.ndim != 3 or amounts.shape[1:] != (num_bidders, num_features):
        raise InputError(
            f"{what} must have shape (batch, bidder={num_bidders}, feature={num_features}), got {tuple(amounts.shape)}"
        )
    if amounts.numel():
        low, high = torch.aminmax(amounts.detach())  # one pass; NaN spreads to both
        if not (low >= 0 and high < math.inf):
            raise InputError(f"{what} must be finite and >= 0, got {_first_offender(amounts)}")
    return amounts


def _first_offender(amounts: Tensor) -> str:
    bad = ~(torch.isfinite(amounts) & (amounts >= 0))
    place = tuple(int(k) for k in bad.nonzero()[0])
    return f"{amounts[place].item()} at (batch, bidder, feature) = {place}"


def checked_context(context: Tensor | None, batch: int, contexts: tuple[str, ...]) -> Tensor | None:
    """Return `context` unchanged if it indexes `contexts`, one entry a row.

    Raises:
        ValueError: Wrong shape, no integers, or an index out of range.
    """
    if context is None:
        return None
    if not contexts:
        raise InputError("this substrate has no contexts: pass context=None")
    if checked_tensor(context, "context").dtype not in (torch.int32, torch.int64) or context.shape != (batch,):
        raise InputError(
            f"context must be an integer tensor of shape (batch={batch},), got {context.dtype} {tuple(context.shape)}"
        )
    if context.numel() and not (int(context.min()) >= 0 and int(context.max()) < len(contexts)):
        raise InputError(
            f"context must index the contexts 0 … {len(contexts) - 1} {contexts}, "
            f"got {int(context.min())} … {int(context.max())}"
        )
    return context


def checked_allocation(allocation: Tensor, shape: tuple[int, ...], *, finite: bool = True) -> Tensor:
    """Return `allocation` unchanged if it is a finite floating-point tensor of shape (batch, *shape).

    Args:
        allocation: What is to be carried out.
        shape: Of one row.
        finite: Refuse NaN and infinity; else the caller tells what they mean.
    Raises:
        TypeError: No tensor.
        ValueError: Another shape or no floats: this allocation was made for another substrate; or a lever that is NaN
            or infinite.
    """
    checked_tensor(allocation, "allocation")
    if not allocation.is_floating_point() or allocation.ndim != 1 + len(shape) or allocation.shape[1:] != shape:
        raise InputError(
            f"allocation must be a floating-point tensor of shape (batch, {', '.join(map(str, shape))}), "
            f"got {allocation.dtype} {tuple(allocation.shape)}: was it made for another substrate?"
        )
    return checked_finite(allocation, "allocation") if finite else allocation


def checked_weights(weights: Tensor, num_bidders: int, num_features: int) -> Tensor:
    """Return `weights` unchanged if `maximise` can weigh exposure by them: (batch, bidder, feature), finite.

    Raises:
        TypeError: No floating-point tensor.
        ValueError: Another shape, NaN or infinity.
    """
    shape = (num_bidders, num_features)
    if not checked_tensor(weights, "weights").is_floating_point():
        raise InputTypeError(f"weights must be a floating-point torch tensor, got {weights.dtype}")
    if weights.ndim != 3 or weights.shape[1:] != shape:
        raise InputError(
            f"weights must be finite and of shape (batch, {shape[0]}, {shape[1]}), got {tuple(weights.shape)}"
        )
    return checked_finite(weights, "weights")


def checked_tensor(value: Tensor, what: str) -> Tensor:
    """Return `value` if it is a tensor.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, Tensor):
        raise InputTypeError(f"{what} must be a torch tensor, got {type(value).__name__}")
    return value


def checked_finite(numbers: Tensor, what: str) -> Tensor:
    """Return `numbers` unchanged if none is NaN or infinite.

    Raises:
        ValueError: One is; names it and its place.
    """
    if not math.isfinite(float(numbers.detach().sum())):  # one fast pass; a sum may overflow, so look again
        places = (~torch.isfinite(numbers)).nonzero()
        if len(places):
            place = tuple(int(k) for k in places[0])
            raise InputError(f"{what} must be finite, got {numbers[place].item()} at {place}")
    return numbers


def checked_count(value: int, what: str, low: int = 1) -> int:
    """Return `value` if it is an integer ≥ low.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= value <= LARGEST_COUNT:
        raise InputError(f"{what} must be an integer >= {low}, got {value!r:.60}")
    return int(value)


def checked_number(
    value: float, what: str, low: float = 0.0, high: float = math.inf, *, infinite: bool = False
) -> float:
    """Return `value` as a float if low ≤ value ≤ high (and it is finite, unless `infinite`).

    Raises:
        TypeError: It is no number.
        ValueError: It is another one.
    """
    number = _number(value, what)
    if math.isnan(number) or not low <= number <= high or (math.isinf(number) and not infinite):
        raise InputError(f"{what} must be a number in [{low}, {high}], got {value!r}")
    return number


def checked_money(value: float, what: str) -> float:
    """Return `value` as a float if it is ≥ 0 and no more than float32 holds: bids may come in it.

    Raises:
        TypeError: It is no number.
        ValueError: It is another one.
    """
    return checked_number(value, what, 0.0, MOST_MONEY)


def checked_positive(value: float, what: str) -> float:
    """Return `value` as a float if it is finite and > 0.

    Raises:
        TypeError: It is no number.
        ValueError: It is another one.
    """
    number = _number(value, what)
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{what} must be finite and > 0, got {value!r}")
    return number


def _number(value: float, what: str) -> float:
    if isinstance(value, (str, bytes)) or (not hasattr(value, "__float__") and not hasattr(value, "__index__")):
        raise InputTypeError(f"{what} must be a number, got {type(value).__name__} {value!r:.60}")
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{what} must be a number that a double holds, got one of {len(str(value))} digits") from None
