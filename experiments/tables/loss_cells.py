"""Losses by cell beside how much brands are mentioned there: means, and how closely the one follows the other."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from auctionsim.brands import Brand
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.running.sub_surfaces import cells_of
from auctionsim.measurement.side_files import matching
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.measurements import REPLICATES

MENTIONS, HITS = "mentions a word", "hits a reply"
"""What losses are held against: mentions of all brands over words, and sentences that mention a brand."""
MEAN = "mean of contexts"
RESAMPLES = 2000
NOTHING_LEFT = 1e-9
"""Of residuals, in the loss's unit: rounding."""
LEVEL = 0.95


class CellMeans(NamedTuple):
    """One quantity in every distinct intervention but the null.

    Attributes:
        mean: (context, entry).
        error: Standard errors, the same shape.
    """

    mean: np.ndarray
    error: np.ndarray

    def of_context(self, place: int | None) -> "CellMeans":
        """Return one context's (entry,), or with None the mean over contexts."""
        if place is not None:
            return CellMeans(self.mean[place], self.error[place])
        return CellMeans(self.mean.mean(0), np.sqrt((self.error**2).sum(0)) / len(self.error))


ByReplicate = dict[str, dict[str, CellMeans]]
"""Quantities by replicate and name."""


def cell_means(surface: ResponseSurface, stored: StoredReplies | None, names: Sequence[str]) -> ByReplicate:
    """Return losses and mentions by replicate and name.

    Args:
        surface: Any features, any losses.
        stored: Its replies; without them mentions a word are left out.
        names: Of losses.
    """
    cells = cells_of(surface)
    found: ByReplicate = {}
    for replicate in REPLICATES:
        one = surface.replicates[replicate]
        parts = {}
        for name in names:
            flat = (part.flatten(1, len(cells.shape))[:, cells.distinct[1:]].numpy() for part in one.losses[name][:2])
            parts[name] = CellMeans(*flat)
        if "hits" in surface.measured_features:
            place = surface.measured_features.index("hits")
            mean, error = (
                part[..., place].flatten(1, len(cells.shape))[:, cells.distinct[1:]].numpy()
                for part in one.features[:2]
            )
            parts[HITS] = CellMeans(mean.sum(2), np.sqrt((error**2).sum(2)))  # brands' hits taken as independent
        found[replicate] = parts
    if stored is not None:
        order = matching(surface, stored)[1:].numpy()
        for replicate, item in _mentions(stored).items():
            found[replicate][MENTIONS] = CellMeans(*(part[:, order] for part in item))
    return found


def _mentions(stored: StoredReplies) -> dict[str, CellMeans]:
    """Return mentions a word by replicate, each (context, intervention) in the replies' order."""
    values = mentions_per_word([reply.text for reply in stored.kept.replies], stored.brands)
    drawn: dict[tuple[str, int, int], list[float]] = {}
    for reply, value in zip(stored.kept.replies, values, strict=True):
        drawn.setdefault((reply.replicate, reply.context, reply.intervention), []).append(value)
    found = {}
    for replicate in REPLICATES:
        contexts = 1 + max(context for name, context, _ in drawn if name == replicate)
        mean, error = np.zeros((2, contexts, len(stored.interventions)))
        for (name, context, intervention), own in drawn.items():
            if name == replicate:
                mean[context, intervention] = np.mean(own)
                error[context, intervention] = np.std(own, ddof=1) / len(own) ** 0.5 if len(own) > 1 else 0.0
        found[replicate] = CellMeans(mean, error)
    return found


def mentions_per_word(texts: Sequence[str], brands: tuple[Brand, ...]) -> list[float]:
    """Return mentions of all brands over a text's words, 0 for a text without words."""
    words = [max(len(text.split()), 1) for text in texts]
    counts = [sum(brand.mentions(text) for brand in brands) for text in texts]
    return [count / size for count, size in zip(counts, words, strict=True)]


def correlation_rows(surface: ResponseSurface, means: ByReplicate, names: Sequence[str], seed: int) -> Iterator[Row]:
    """Yield how closely each loss follows each count of mentions over the distinct interventions, contexts apart.

    Pearson's and Spearman's correlation, with an interval that draws the interventions anew with replacement: it is
    about interventions like these, each measured as noisily as these. Noise pulls a correlation towards 0, and drawing
    interventions does not say by how much; so each side's reliability is given, the share of its variance over cells
    that its standard errors do not explain, and Pearson's divided by the root of both (Spearman 1904, "The proof and
    measurement of association between two things"), which takes the two sides' noise as independent.
    A loss by difference shares its untouched mean's noise with all cells of a context, so that part of its errors moves
    no cell against another: its reliability is a lower bound, and the corrected correlation an upper one.

    `left` is what is left of a loss once mentions are known: the correlation over interventions of A's and B's
    residuals from a parabola in that replicate's mentions. Noise of A and B is independent, so what they share is of
    the interventions; 0 where mentions say all that can be measured.
    """
    for replicate, parts in means.items():
        for against in (MENTIONS, HITS):
            if against not in parts:
                continue
            for name in names:
                for place, context in [*enumerate(surface.contexts), (None, MEAN)]:
                    x, y = parts[name].of_context(place), parts[against].of_context(place)
                    row = {"replicate": replicate, "loss": name, "against": against, "context": context}
                    sides = [[own[k].of_context(place).mean for k in (name, against)] for own in means.values()]
                    left = _left([_residuals(*side) for side in sides], np.random.default_rng(seed))
                    yield row | _correlation(x, y, np.random.default_rng(seed)) | left


def _correlation(x: CellMeans, y: CellMeans, generator: np.random.Generator) -> Row:
    names = [f"{kind}{end}" for kind in ("pearson", "spearman") for end in ("", "_low", "_high")]
    row: Row = dict.fromkeys((*names, "reliability", "reliability_mentions", "corrected"))
    row["n"] = len(x.mean)
    if np.ptp(x.mean) == 0 or np.ptp(y.mean) == 0:
        return row
    drawn = generator.integers(len(x.mean), size=(RESAMPLES, len(x.mean)))
    sides = {"pearson": (x.mean, y.mean), "spearman": (stats.rankdata(x.mean), stats.rankdata(y.mean))}
    for kind, (one, other) in sides.items():
        row[kind] = float(np.corrcoef(one, other)[0, 1])
        low, high = _interval(x.mean[drawn], y.mean[drawn], ranked=kind == "spearman")
        row |= {f"{kind}_low": low, f"{kind}_high": high}
    row["reliability"], row["reliability_mentions"] = _reliability(x), _reliability(y)
    product = row["reliability"] * row["reliability_mentions"]
    row["corrected"] = row["pearson"] / product**0.5 if product > 0 else None
    return row


def _residuals(loss: np.ndarray, mentions: np.ndarray) -> np.ndarray:
    """Return what a parabola in mentions leaves of a loss, (entry,)."""
    columns = np.stack([np.ones_like(mentions), mentions, mentions**2], 1)
    residuals: np.ndarray = loss - columns @ np.linalg.lstsq(columns, loss, rcond=None)[0]
    return residuals


def _left(residuals: Sequence[np.ndarray], generator: np.random.Generator) -> Row:
    """Return the correlation of both replicates' residuals with its interval; None where only rounding is left."""
    names = ("left", "left_low", "left_high")
    if len(residuals) < 2 or min(map(np.ptp, residuals)) < NOTHING_LEFT:
        return dict.fromkeys(names)
    a, b = residuals
    drawn = generator.integers(len(a), size=(RESAMPLES, len(a)))
    low, high = _interval(a[drawn], b[drawn], ranked=False)
    return dict(zip(names, (float(np.corrcoef(a, b)[0, 1]), low, high), strict=True))


def _interval(x: np.ndarray, y: np.ndarray, *, ranked: bool) -> tuple[float | None, float | None]:
    """Return the interval of a correlation over resamples (resample, entry), constant ones left out."""
    if ranked:
        x, y = stats.rankdata(x, axis=1), stats.rankdata(y, axis=1)
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    scale = np.sqrt((x**2).sum(1) * (y**2).sum(1))
    varied = scale > 0
    if not varied.any():
        return None, None
    found = (x * y).sum(1)[varied] / scale[varied]
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _reliability(item: CellMeans) -> float:
    """Return the share of the variance over cells that is not the measurement's noise, 0 where noise explains all."""
    return max(0.0, 1 - float((item.error**2).mean()) / float(item.mean.var(ddof=1)))


def cell_rows(surface: ResponseSurface, means: ByReplicate) -> Iterator[Row]:
    """Yield every cell's mean and standard error of every loss and count of mentions."""
    cells = cells_of(surface)
    settings = cells.allocations[cells.distinct[1:]].flatten(1).tolist()
    columns = [f"{lever.name}_{bidder}" for bidder in range(surface.num_bidders) for lever in surface.levers]
    for replicate, parts in means.items():
        for name, item in parts.items():
            for place, context in enumerate(surface.contexts):
                numbers = zip(settings, item.mean[place].tolist(), item.error[place].tolist(), strict=True)
                for levels, mean, error in numbers:
                    levers = dict(zip(columns, levels, strict=True))
                    row = {"replicate": replicate, "context": context, **levers, "quantity": name}
                    yield row | {"mean": mean, "standard_error": error}
