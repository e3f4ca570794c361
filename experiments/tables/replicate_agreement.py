"""How well a surface's replicate A predicts B, which has other prompts and seeds: order, slope, and error."""

import math
from collections.abc import Iterator

import numpy as np
from scipy import stats
from torch import Tensor

from auctionsim.experiments.running.run import Row
from auctionsim.experiments.running.sub_surfaces import cells_of
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.measurements import Measurement


def agreement(surface: ResponseSurface) -> Iterator[Row]:
    """Yield a row a context and quantity: every feature (cells × brands) and the user's loss (cells).

    Over the distinct interventions,

        rank_correlation  Spearman's, of A and B,
        slope             of B on A by least squares: below 1 where A's extremes are partly noise,
        rms               √mean (B − A)²,
        rms_allowed       √mean (s_A² + s_B²), s the standard errors: what noise alone would give,
        ratio             mean (B − A)² / mean (s_A² + s_B²): about 1 where the standard errors say all.

    The ratio is of sums, not the mean of ratios, which the cells whose standard error is 0 would make infinite. Noise
    is shared by cells (the same prompts in all of them), so the ratio spreads more than χ²/n; no interval is claimed.
    A number is None where it is not defined: a constant side, or no standard error above 0.
    """
    cells = cells_of(surface)
    axes = len(cells.shape)

    def distinct(array: Tensor, context: int) -> np.ndarray:
        return array.flatten(1, axes)[context, cells.distinct].flatten().numpy()

    for context, name in enumerate(surface.contexts):
        for quantity in (*surface.measured_features, "user_loss"):
            pair = []
            for replicate in ("A", "B"):
                item = _quantity(surface, replicate, quantity)
                pair.append((distinct(item.mean, context), distinct(item.standard_error, context)))
            yield {"context": name, "quantity": quantity, **_agreement(*pair[0], *pair[1])}


def _quantity(surface: ResponseSurface, replicate: str, quantity: str) -> Measurement:
    one = surface.replicates[replicate]
    if quantity == "user_loss":
        return surface.charged_measurement(replicate)
    place = surface.measured_features.index(quantity)
    return Measurement(*(part[..., place] for part in one.features))


def _agreement(a: np.ndarray, a_error: np.ndarray, b: np.ndarray, b_error: np.ndarray) -> Row:
    ordered = None
    if np.ptp(a) > 0 and np.ptp(b) > 0:
        ordered = float(np.asarray(np.corrcoef(stats.rankdata(a), stats.rankdata(b)))[0, 1])
    spread = float(((a - a.mean()) ** 2).sum())
    squared, allowed = float(((b - a) ** 2).mean()), float((a_error**2 + b_error**2).mean())
    return {
        "rank_correlation": ordered,
        "slope": float(((a - a.mean()) * (b - b.mean())).sum()) / spread if spread > 0 else None,
        "rms": math.sqrt(squared),
        "rms_allowed": math.sqrt(allowed),
        "ratio": squared / allowed if allowed > 0 else None,
        "n": len(a),
    }
