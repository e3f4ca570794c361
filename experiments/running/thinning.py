"""What a surface would have said had fewer samples been taken of every cell of replicate A."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.experiments.running.sub_surfaces import cells_of, on_distinct, with_replicates
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.measurements import Measurement

SUBSAMPLED = "mention_probability"
WHOLE = 1e-6  # how far a count may be from whole


def measured_counts(surface: ResponseSurface, feature: str, counts: Sequence[int]) -> tuple[int, ...]:
    """Return the counts below the feature's measured n, ascending, and n itself.

    Raises:
        ValueError: The feature was not measured, or its n is not the same in every cell of replicate A.
    """
    surface.sell(feature)
    place = surface.measured_features.index(feature)
    counts_there = sorted(set(surface.replicates["A"].features.n[..., place].flatten().tolist()))
    if len(counts_there) > 1:
        raise InputError(f"cells must have the same n to be thinned out alike, {feature} has {counts_there}")
    most = int(counts_there[0])
    return (*sorted({count for count in counts if count < most}), most)


def thinned(surface: ResponseSurface, feature: str, count: int, generator: np.random.Generator) -> ResponseSurface:
    """Return the surface as if `count` samples of every cell of replicate A had been taken, of one feature.

    `mention_probability`: a cell's n replies hold k = mean · n mentions; `count` of them without replacement hold a
    hypergeometric number. Real replies, only fewer; which of them mention two brands at once is not kept, so brands are
    drawn apart. Other features, whose noise is that of prompts: a parametric bootstrap, normal noise of standard error
    s·√(n/count − 1) around the measured mean, cut to what the feature may be. That is the spread of a part of the
    sample around the whole, as the hypergeometric's: with A's own error s around the truth it adds up to s·√(n/count).
    Prompts are the same in all cells, which independent noise leaves out: it is rougher between cells than real
    prompts would be. Both are A itself at count = n.

    Replicate B, the user's loss, diagnostics and other features stay as measured. Cells of one intervention share
    their draw.

    Args:
        surface: The whole.
        feature: Which is thinned out.
        count: Samples a cell, from 1 to the measured n.
        generator: Draws them.
    Raises:
        ValueError: A count outside that, or mentions that are not whole numbers.
    """
    most = measured_counts(surface, feature, ())[-1]
    if not 1 <= count <= most:
        raise InputError(f"so many samples can be taken of {feature}: 1 to {most}, got {count}")
    place, cells, one = surface.measured_features.index(feature), cells_of(surface), surface.replicates["A"]
    mean, error = one.features.mean[..., place], one.features.standard_error[..., place]
    if feature == SUBSAMPLED:
        hits = _whole_counts(mean * most, feature)
        fewer = on_distinct(cells, lambda k: _hypergeometric(k, most, count, generator), hits) / count
    else:
        ceiling = 1.0 if feature.endswith("_probability") else torch.inf
        noise = on_distinct(cells, lambda s: _normal(s, generator), error) * (most / count - 1) ** 0.5
        fewer = (mean + noise).clamp(0, ceiling)
    features = Measurement(*(part.clone() for part in one.features))
    features.mean[..., place] = fewer
    features.standard_error[..., place] = error * (most / count) ** 0.5
    features.n[..., place] = count
    return with_replicates(surface, {**surface.replicates, "A": one._replace(features=features)})


def _whole_counts(hits: Tensor, feature: str) -> Tensor:
    worst = float((hits - hits.round()).abs().max())
    if worst > WHOLE:
        raise InputError(f"a cell's mentions, mean · n, must be whole to be subsampled: {feature} is off by {worst:g}")
    return hits.round()


def _hypergeometric(hits: Tensor, most: int, count: int, generator: np.random.Generator) -> Tensor:
    good = hits.to(torch.int64).numpy()
    return torch.from_numpy(generator.hypergeometric(good, most - good, count)).to(torch.float64)


def _normal(scale: Tensor, generator: np.random.Generator) -> Tensor:
    return torch.from_numpy(generator.standard_normal(tuple(scale.shape))).to(scale) * scale
