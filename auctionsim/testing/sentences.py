"""How a counterexample is put into words."""

import torch
from torch import Tensor


def money(amount: float | Tensor) -> str:
    """Return two decimals where they are exact, nine digits at most where not: 0.40, 0.1235, 1.2e-05."""
    value = float(amount)
    is_plain = value == 0 or abs(value) >= 0.01
    return f"{value:.2f}" if is_plain and abs(value - round(value, 2)) < 1e-9 else f"{value:.9g}"


def vector(amounts: Tensor) -> str:
    """Return one bidder's numbers: plain for one feature, in brackets for several."""
    parts = [money(amount) for amount in amounts.flatten().tolist()]
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def others(bids: Tensor, bidder: int, context: Tensor | None, row: int) -> str:
    """Return what else the row holds: the other bidders' bids and the context."""
    rest = [f"bidder {j} bids {vector(bids[row, j])}" for j in range(bids.shape[1]) if j != bidder]
    where = [] if context is None else [f"context {int(context[row])}"]
    told = ", ".join(rest + where)
    return f" when {told}" if told else ""


def everybody(bids: Tensor, row: int, context: Tensor | None) -> str:
    """Return all bids of a row and its context."""
    told = f"bids {', '.join(vector(bid) for bid in bids[row])}"
    return told if context is None else f"{told} in context {int(context[row])}"


def worst(amounts: Tensor) -> tuple[int, ...]:
    """Return where the largest entry is, NaN counting as largest, the first of equals."""
    flat = int(torch.nan_to_num(amounts, nan=torch.inf).argmax())
    return tuple(int(k) for k in torch.unravel_index(torch.tensor(flat), amounts.shape))
