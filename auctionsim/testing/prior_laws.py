"""The laws of a distribution of valuations: bounds, cdf, density, quantiles, samples and mean, and how they answer.

A law is a function (claim, case) that raises `BrokenClaimError`; its first line is what it claims.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.errors import BrokenClaimError
from auctionsim.priors import Prior
from auctionsim.testing.kit import watched_generators
from auctionsim.testing.sentences import money, vector

SAMPLES = 20_000
UNLIKELY = 1e-9  # how seldom honest samples may be taken for wrong ones
CELLS = 1 << 13  # of the unit interval, for integrals
BESIDE = 1e-6  # of the range: how far beside a value a density is looked at


class PriorClaim(NamedTuple):
    """What is checked, and how exactly.

    Attributes:
        prior: What is checked.
        tolerance: Share of the range of valuations, or of probability, that counts as rounding.
    """

    prior: Prior
    tolerance: float

    @property
    def rounding(self) -> float:
        """What counts as rounding of a valuation."""
        return self.tolerance * max(self.prior.finite_high, 1e-300)


class PriorCase(NamedTuple):
    """What is drawn.

    Attributes:
        levels: (point,) increasing, in [0, 1], float64.
        outside: ≥ 0, in ranges of the support: how far below and above it is looked.
        seed: Of the generators.
        dtype: Of the valuations that are asked for.
    """

    levels: Tensor
    outside: float
    seed: int
    dtype: torch.dtype


def points(claim: PriorClaim, case: PriorCase) -> Tensor:
    """Return valuations (point,) on the support and on both sides of it, increasing, ≥ 0, float64."""
    low, high = claim.prior.low, claim.prior.finite_high
    even = low + (high - low) * case.levels
    beyond = even.new_tensor([low - case.outside * (high - low), low, high, high + case.outside * (high - low)])
    likely = claim.prior.quantile(case.levels)
    return torch.cat([even, likely, beyond]).clamp_min(0).sort().values


def declared(claim: PriorClaim, case: PriorCase) -> None:
    """Bounds are declared: 0 ≤ low ≤ support_low ≤ mean ≤ high, and finite_high is finite, and high where that is."""
    del case
    prior = claim.prior
    low, start, mean, high, end = prior.low, prior.support_low, prior.mean, prior.high, prior.finite_high
    if not (0 <= low <= start + claim.rounding and math.isfinite(low) and low < math.inf):
        raise BrokenClaimError(f"the support starts at {money(start)}, below low = {money(low)}, or low is no bound")
    if not (start - claim.rounding <= mean <= high and math.isfinite(mean)):
        raise BrokenClaimError(f"the mean {money(mean)} does not lie in [{money(start)}, {high}]")
    if not (math.isfinite(end) and start <= end + claim.rounding and end <= high):
        raise BrokenClaimError(f"finite_high is {end}, with a support from {money(start)} to {high}")
    if math.isfinite(high) and end != high:
        raise BrokenClaimError(f"finite_high is {end}, high {high}: where high is finite they are one")


def elementwise(claim: PriorClaim, case: PriorCase) -> None:
    """Functions answer in the argument's shape and dtype, a number with float64, and leave their argument alone."""
    prior, v = claim.prior, points(claim, case).to(case.dtype).view(1, -1)
    calls: dict[str, tuple[Callable[..., Tensor], Tensor]] = {
        "cdf": (prior.cdf, v),
        "virtual_value": (prior.virtual_value, v),
        "quantile": (prior.quantile, case.levels.to(case.dtype).view(1, -1)),
    }
    if prior.atoms is None:
        calls["pdf"] = (prior.pdf, v)
    for what, (call, argument) in calls.items():
        kept = argument.clone()
        answer = call(argument)
        if answer.shape != argument.shape or answer.dtype != argument.dtype:
            raise BrokenClaimError(f"{what} of {case.dtype} (1, {v.shape[1]}) is {answer.dtype} {tuple(answer.shape)}")
        single = call(float(argument.flatten()[-1]))
        if single.shape != () or single.dtype != torch.float64:
            raise BrokenClaimError(f"{what} of a number is {single.dtype} {tuple(single.shape)}, not one float64")
        if not torch.equal(kept, argument):
            raise BrokenClaimError(f"{what} overwrites its argument {vector(kept)}")
        again = call(argument)
        answer.add_(1)
        if not torch.equal(again, call(kept)):
            raise BrokenClaimError(f"overwriting what {what} answered changes its next answer: memory is shared")


def cdf(claim: PriorClaim, case: PriorCase) -> None:
    """The cdf is nondecreasing, 0 below low and 1 from high on."""
    v = points(claim, case)
    reached = claim.prior.cdf(v)
    if not bool(((reached >= 0) & (reached <= 1)).all()):
        raise BrokenClaimError(f"the cdf at {vector(v)} is {vector(reached)}, not in [0, 1]")
    falls = reached.diff() < -claim.tolerance
    if bool(falls.any()):
        k = int(falls.nonzero()[0])
        raise BrokenClaimError(f"the cdf falls from {vector(reached[k])} to {vector(reached[k + 1])} at {vector(v[k])}")
    below, above = v < claim.prior.low, v >= claim.prior.high
    if bool((reached[below] != 0).any()) or bool((reached[above] != 1).any()):
        raise BrokenClaimError(f"the cdf is not 0 below {claim.prior.low} or not 1 from {claim.prior.high} on")


def density(claim: PriorClaim, case: PriorCase) -> None:
    """The pdf is the cdf's slope, ≥ 0; at values with a probability of their own the cdf steps by it."""
    if claim.prior.atoms is not None:
        _steps(claim)
        return
    low, high = claim.prior.low, claim.prior.finite_high
    step = BESIDE * (high - low)
    v = claim.prior.quantile(case.levels * (1 - 1e-6)).clamp(low + step, max(low + step, high - step))
    fine = v.unsqueeze(1) + step * torch.linspace(-1, 1, 17, dtype=torch.float64)
    around = claim.prior.pdf(fine)
    if not bool((around >= 0).all()):
        raise BrokenClaimError(
            f"the pdf at {vector(fine.flatten()[around.flatten().argmin()])} is {money(around.min())}"
        )
    slope = (claim.prior.cdf(fine[:, -1]) - claim.prior.cdf(fine[:, 0])) / (fine[:, -1] - fine[:, 0])
    lost = 16 * torch.finfo(torch.float64).eps / step
    room = 1e-3 * around.amax(1) + lost + claim.tolerance / max(high - low, 1e-300)
    wrong = (slope < around.amin(1) - room) | (slope > around.amax(1) + room)
    if bool(wrong.any()):
        k = int(wrong.nonzero()[0])
        raise BrokenClaimError(
            f"the pdf at {vector(v[k])} is {vector(around[k, 8])}, the slope of the cdf {vector(slope[k])}"
        )


def quantile(claim: PriorClaim, case: PriorCase) -> None:
    """The quantile is the smallest v with P(V ≤ v) ≥ q, and nondecreasing; levels outside [0, 1] are refused."""
    q = case.levels
    v = claim.prior.quantile(q)
    if bool((v.diff() < 0).any()):
        raise BrokenClaimError(f"the quantiles of {vector(q)} are {vector(v)}: they fall")
    if not bool(((v >= claim.prior.low) & (v <= claim.prior.high)).all()):
        raise BrokenClaimError(f"the quantiles {vector(v)} leave [{claim.prior.low}, {claim.prior.high}]")
    room = max(claim.tolerance, 1e-12)
    inner = v.isfinite()
    reached = claim.prior.cdf(v[inner] + claim.rounding)
    before = claim.prior.cdf((v[inner] - claim.rounding).clamp_min(-1.0))
    early, late = reached < q[inner] - room, (before > q[inner] + room) & (v[inner] > claim.prior.low + claim.rounding)
    for what, wrong in (("too small", early), ("too large", late)):
        if bool(wrong.any()):
            k = int(wrong.nonzero()[0])
            level, value = q[inner][k], v[inner][k]
            raise BrokenClaimError(
                f"the quantile at {vector(level)} is {vector(value)}, {what}: the cdf there is "
                f"{vector(claim.prior.cdf(value))}"
            )
    for wrong_level in (-0.1, 1.1):
        try:
            claim.prior.quantile(wrong_level)
        except ValueError:
            continue
        raise BrokenClaimError(f"a quantile at {wrong_level} is answered instead of refused with a ValueError")


def samples(claim: PriorClaim, case: PriorCase) -> None:
    """Samples have the shape and dtype that are asked for, lie within the bounds, and are the generator's alone."""
    prior, shape = claim.prior, (3, 1, 2)
    one, other = (torch.Generator().manual_seed(case.seed) for _ in range(2))
    with watched_generators() as moved:
        drawn, again = prior.sample(shape, one, case.dtype), prior.sample(shape, other, case.dtype)
        is_moved = moved()
    if drawn.shape != shape or drawn.dtype != case.dtype:
        raise BrokenClaimError(f"samples of shape {shape} in {case.dtype} are {drawn.dtype} {tuple(drawn.shape)}")
    if not bool(((drawn.double() >= prior.low) & (drawn.double() <= prior.high)).all()) and not _is_narrow(claim, case):
        raise BrokenClaimError(f"samples {vector(drawn)} leave [{prior.low}, {prior.high}]")
    if not torch.equal(drawn, again):
        raise BrokenClaimError(f"one seed gives {vector(drawn)} and then {vector(again)}")
    if torch.equal(one.get_state(), torch.Generator().manual_seed(case.seed).get_state()):
        raise BrokenClaimError("drawing does not move the generator on")
    if is_moved:
        raise BrokenClaimError("drawing moves a global generator: it has to come from the one that is given")


def samples_follow_cdf(claim: PriorClaim, case: PriorCase) -> None:
    """Samples follow the cdf: sup |F̂ − F| of 20 000 is below what honest ones exceed once in 10⁹ times."""
    drawn = claim.prior.sample((SAMPLES,), torch.Generator().manual_seed(case.seed), torch.float64).sort().values
    most = math.sqrt(math.log(2 / UNLIKELY) / (2 * SAMPLES))  # Dvoretzky, Kiefer, Wolfowitz; Massart (1990)
    at_most = torch.searchsorted(drawn, drawn, right=True) / SAMPLES
    below = torch.searchsorted(drawn, drawn) / SAMPLES
    just_below = torch.nextafter(drawn, torch.full_like(drawn, -math.inf))
    for reached, share in ((claim.prior.cdf(drawn), at_most), (claim.prior.cdf(just_below), below)):
        gap, k = (reached - share).abs().max(0)
        if float(gap) > most:
            raise BrokenClaimError(
                f"of {SAMPLES} samples a share of {vector(share[k])} lies up to {vector(drawn[k])}, where the cdf is "
                f"{vector(reached[k])}"
            )


def mean(claim: PriorClaim, case: PriorCase) -> None:
    """The mean is the integral of the quantiles, between its lower and its upper sums."""
    del case
    tail = 1 - 0.5 ** torch.arange(14, 50, dtype=torch.float64)  # for a support without an end
    levels = torch.cat([torch.linspace(0, 1 - 1 / CELLS, CELLS, dtype=torch.float64), tail])
    v, width = claim.prior.quantile(levels), torch.cat([levels, levels.new_ones(1)]).diff()
    ends = torch.cat([v[1:], v[-1:] if math.isinf(claim.prior.high) else v.new_tensor([claim.prior.high])])
    low, high = float((v * width).sum()), float((ends * width).sum())
    room = max(1e-9, claim.tolerance) * claim.prior.finite_high
    if not low - room <= claim.prior.mean <= high + room:
        raise BrokenClaimError(f"the mean is said to be {money(claim.prior.mean)}; it lies in [{low:.9g}, {high:.9g}]")


def _steps(claim: PriorClaim) -> None:
    atoms = claim.prior.atoms
    assert atoms is not None
    values, chances = atoms
    if not bool((values.diff() > 0).all()) or not bool((chances > 0).all()) or abs(float(chances.sum()) - 1) > 1e-9:
        raise BrokenClaimError(f"atoms {vector(values)} with {vector(chances)} do not increase, or do not sum to 1")
    if not bool(((values >= claim.prior.low) & (values <= claim.prior.high)).all()):
        raise BrokenClaimError(f"atoms {vector(values)} leave [{claim.prior.low}, {claim.prior.high}]")
    below = claim.prior.cdf(torch.nextafter(values, torch.full_like(values, -math.inf)))
    steps = claim.prior.cdf(values) - below
    if not bool(((steps - chances).abs() <= max(claim.tolerance, 1e-12)).all()):
        raise BrokenClaimError(
            f"the cdf steps by {vector(steps)} at {vector(values)}, whose chances are {vector(chances)}"
        )


def _is_narrow(claim: PriorClaim, case: PriorCase) -> bool:
    """Tell whether no number of the dtype lies within the bounds."""
    ends = torch.tensor([claim.prior.low, claim.prior.high], dtype=torch.float64)
    near = ends.to(case.dtype).double()
    return bool(near[0] == near[1])
