"""The deployed regret that a measurement's errors promise: before a rule is used, and for more samples than were taken.

Estimand. A rule was designed on a measured view and will be paid by what the view estimates, or by another measurement
of it. With truthful bids, D = mean over profiles of the largest gain among bidders by another bid, where that pays.

The promise. Given the measured means y with standard errors s over n samples, what pays is taken as y + s ε √(r + 1/m):
ε of Student's t with n − 1 degrees, apart in every cell, cut to what exposures may be; m times as many samples as were
taken, and r times the squared error in what pays, where that is measured, too. D is computed in every draw, exactly for
step rules, and the promise is its quantile at the stated confidence. It rests on: normal errors, no knowledge of cells
beside y (so that a design on y is not partial to them), and errors apart between cells, which makes choices differ as
much as they can: what all cells share moves no choice. Of a probability whose samples all agree, such as no mention in
n replies, the error is not 0: there it is that of Jeffreys's estimate. A bound in that model, not in every one: tests
count how often it holds.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count, checked_number
from auctionsim.claims import behaves_as
from auctionsim.errors import UnsupportedError
from auctionsim.mechanisms.per_mention import PerMention
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.priors import product
from auctionsim.regret.breakpoints import own_bid_breakpoints
from auctionsim.regret.estimate import checked_game, quasi_linear
from auctionsim.substrates.measured_substrate import MeasuredSubstrate
from auctionsim.substrates.protocol import finite_range_of


class RegretPromise(NamedTuple):
    """A deployed regret that is promised.

    Attributes:
        mean: Of the draws, in money.
        bound: Their quantile at `confidence`.
        confidence: How often the deployed regret is at most the bound.
        draws: How many there were.
    """

    mean: float
    bound: float
    confidence: float
    draws: int


class _Options(NamedTuple):
    """What one bidder can reach by its own bid, the truth's outcome last.

    Attributes:
        entry: (row, option), number in the finite range.
        payment: (row, option).
        price: (row, option), a unit of exposure; None where payments are charged whatever is delivered.
    """

    entry: Tensor
    payment: Tensor
    price: Tensor | None


def promised_regret(
    mechanism: Mechanism,
    view: MeasuredSubstrate,
    valuations: Float[Tensor, "row bidder 1"],
    context: Tensor,
    *,
    confidence: float = 0.95,
    samples: float = 1.0,
    paid_by: float = 0.0,
    draws: int = 400,
    generator: torch.Generator | None = None,
) -> RegretPromise:
    """Return the deployed regret that the errors of a view promise a rule that was designed on it.

    Args:
        mechanism: A step rule, or `PerMention` of one.
        view: What it was designed on: the replicate that it reports.
        valuations: (row, bidder, 1), truthful profiles.
        context: (row,).
        confidence: Of the bound, in (0, 1).
        samples: How many times the samples that were taken a measurement has, > 0: where the bound is small enough, so
            many are enough.
        paid_by: The squared error of what pays, as a share of the view's: 0 for the truth, 1 for a second measurement
            of the same size.
        draws: Of what pays.
        generator: For the draws.
    Raises:
        NotImplementedError: A rule whose breakpoints are not known.
    """
    level = checked_number(confidence, "confidence", 1e-6, 1 - 1e-6)
    more, less = checked_number(samples, "samples", 1e-6), checked_number(paid_by, "paid_by")
    checked_count(draws, "draws")
    every = [_options(mechanism, view, valuations, context, i) for i in range(view.num_bidders)]
    means, errors, counts = _cells(view)
    total = torch.zeros(draws, dtype=torch.float64)
    bounds = view.quantities[view.features[0]]
    for k in range(draws):
        noise = _student(counts, generator) * errors * (less + 1 / more) ** 0.5
        paying = (means + noise).clamp(bounds.low, bounds.high)
        gains = []
        for i, options in enumerate(every):
            exposure = paying[context.unsqueeze(1), options.entry, i]
            charged = options.payment if options.price is None else options.price * exposure
            utility = valuations[:, i] * exposure - charged
            gains.append(utility.amax(1) - utility[:, -1])
        total[k] = torch.stack(gains).amax(0).mean()
    return RegretPromise(float(total.mean()), float(total.quantile(level)), level, draws)


def _options(mechanism: Mechanism, view: MeasuredSubstrate, valuations: Tensor, context: Tensor, i: int) -> _Options:
    """Return what a bidder reaches, one bid inside each stretch between breakpoints, and then the truth."""
    game = checked_game(mechanism, view, valuations, None, context=context, utility=quasi_linear)
    breakpoints = own_bid_breakpoints(game)
    if breakpoints is None:
        raise UnsupportedError(f"a promise needs the breakpoints of a rule, and {type(mechanism).__name__} has none")
    most = float(valuations.amax())
    if mechanism.priors is not None:
        most = max(most, float(product(mechanism.priors, view.num_bidders, 1).high.max()))
    inner = breakpoints[:, i].clamp(0, most)
    ends = torch.cat([torch.zeros_like(inner[:, :1]), inner, torch.full_like(inner[:, :1], most)], 1)
    ends = ends.sort(1).values
    own = torch.cat([(ends[:, 1:] + ends[:, :-1]) / 2, valuations[:, i]], 1)
    rows, count = own.shape
    bids = valuations.repeat_interleave(count, 0)
    bids[:, i, 0] = own.flatten()
    places = context.repeat_interleave(count)
    rule: Any = mechanism
    outcome = rule(bids, places)
    price = rule.prices(bids, places)[:, i, 0].view(rows, count) if behaves_as(rule, PerMention) else None
    return _Options(_numbers(outcome.allocation, view).view(rows, count), outcome.payments[:, i].view(rows, -1), price)


def _numbers(allocations: Tensor, view: MeasuredSubstrate) -> Tensor:
    """Return which entries of the finite range allocations are."""
    distinct, back = torch.unique(allocations.flatten(1).double(), dim=0, return_inverse=True)
    listed = finite_range_of(view).allocations.flatten(1)
    same = (distinct.unsqueeze(1) == listed).all(2)
    if not bool(same.any(1).all()):
        raise UnsupportedError("a promise is of rules that choose measured allocations")
    number: Tensor = same.double().argmax(1)[back]
    return number


def _cells(view: MeasuredSubstrate) -> tuple[Tensor, Tensor, Tensor]:
    """Return means, standard errors and counts (context, entry, bidder) of the sold feature, in the range's order."""
    listed = finite_range_of(view).allocations
    every = torch.arange(len(view.contexts)).repeat_interleave(len(listed))
    repeated = listed.repeat(len(view.contexts), 1, 1)
    shape = (len(view.contexts), len(listed), view.num_bidders)
    means = view.exposure(repeated, every).view(shape)
    errors = view.standard_error(repeated, every).exposure.view(shape)
    place = view.measured_features.index(view.features[0])
    cells = view._cells
    counts = view.replicates[view.scored_replicate].features.n[..., place].flatten(1, len(cells.shape))
    counts = counts[:, cells.distinct].double()
    if view.quantities[view.features[0]].high == 1:
        guess = (means * counts + 0.5) / (counts + 1)
        errors = torch.where(errors > 0, errors, (guess * (1 - guess) / (counts + 1)).sqrt())
    return means, errors, counts


def _student(counts: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return one draw of Student's t a cell, of n − 1 degrees and one at least."""
    normal = torch.randn(counts.shape, generator=generator, dtype=torch.float64)
    degrees = (counts - 1).clamp(1, 200)
    most = int(degrees.max())
    parts = torch.randn(*counts.shape, most, generator=generator, dtype=torch.float64).square()
    within = torch.arange(most) < degrees.unsqueeze(-1)
    return normal / ((parts * within).sum(-1) / degrees).sqrt()
