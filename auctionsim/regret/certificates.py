"""Certificates: an upper bound on the ex-post regret of a black-box single-parameter rule, for a class of rules.

Notation. One row, one bidder, the others' reports fixed. At the own bid b the rule gives exposure e(b) and charges
t(b), each a number; U(b) = b e(b) − t(b) is what type b gets by truth; the bidder is worth v a unit.

**The class.** (M) e is nondecreasing. (C) U is convex. Every truthful rule is of it: there U is the largest of the
lines v ↦ v e(b) − t(b), and e is its slope (Myerson 1981). So are many rules that are not truthful.

**The bound.** Let a < b be neighbours among the bids at which the rule was evaluated, and a < s < b.
Where v ≥ b, type v gets by bidding s

    v e(s) − t(s) = U(s) + (v − s) e(s) ≤ U(s) + (v − s) e(b)      by (M)
                  ≤ max{U(a) + (v − a) e(b), U(b) + (v − b) e(b)}    by (C): the line above it is largest at an end.

Where v ≤ a, likewise ≤ max{U(a) − (a − v) e(a), U(b) − (b − v) e(a)}. Under the payment identity U(b) − U(a) =
∫ e lies between (b − a) e(a) and (b − a) e(b), and no cell then holds more than the utility at its end next to v plus
(b − a) (e(b) − e(a)): nothing at all where exposure stands still. Cells that may hold more than the best evaluated bid
are halved, those that may hold most first. v, the reports and the rivals' reports are among the bids, so that v lies
in no cell.

**What is checked.** At every evaluated pair of neighbours: (M), and that the identity holds, which is that U's chord
has a slope between e(a) and e(b), so that chords are in order as (C) wants. A rule that fails anywhere is not truthful,
and there is no certificate, but the reason: its regret is for a search. So are rules that answer the same bid
differently at another call.

**What is not.** A black box is seen at the bids where it is evaluated and nowhere else. A needle, an offer made in an
interval of bids between two neighbours, breaks (M) or (C) there and is not seen. Hence the bound is a proof for rules
of the class, and for others it is none: whoever prints it prints `assumption`, which also says how wide the widest
interval without evaluation was. Answers may be off by δ = `tolerance` times the row's largest amounts, in utility at
any v in the box and in U: that adds 4δ to the bound.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.regret.bid_range import checked_high
from auctionsim.regret.determinism import check_again, check_rows_apart
from auctionsim.regret.estimate import (
    AnyMechanism,
    Game,
    checked_game,
    cleared_money,
    lone_deviations,
    quasi_linear,
    reported_utilities,
)
from auctionsim.regret.refinement import Best
from auctionsim.substrates.protocol import Substrate

BUDGET = 1024
EVEN_SHARE = 2  # one evaluation of so many covers the box evenly
HALVINGS_A_CALL = 16  # cells of each row and bidder
ROWS_A_CALL = 2**15
TOLERANCE = 1e-9  # relative; answers of less precision get `PRECISION` roundings
PRECISION = 8


class RegretCertificate(NamedTuple):
    """An upper bound on ex-post regret that is a proof under a named assumption, or the reason why there is none.

    Attributes:
        upper: (batch, bidder), no bid in [0, `bids_up_to`] gains more, if `assumption` holds; None without certificate.
        reason: Why there is none; None where there is one.
        assumption: What makes `upper` a proof, in words.
        widest_gap: The longest interval of own bids without an evaluation, in money, over rows and bidders.
        bids_up_to: (batch, bidder, 1), the largest misreport considered.
        evaluations: Bids at which the rule was evaluated, per row and bidder.
    """

    upper: Tensor | None
    reason: str | None
    assumption: str
    widest_gap: float
    bids_up_to: Tensor
    evaluations: int


class EvaluatedBids(NamedTuple):
    """Own bids in order, each (point, batch, bidder), and what the rule gives and charges there.

    Attributes:
        bids: Ascending along the first axis.
        exposure: e.
        payments: t.
    """

    bids: Tensor
    exposure: Tensor
    payments: Tensor

    @property
    def truthful(self) -> Tensor:
        """U, (point, batch, bidder)."""
        return self.bids * self.exposure - self.payments


def regret_certificate(
    mechanism: AnyMechanism,
    substrate: Substrate,
    valuations: Tensor,
    *,
    context: Tensor | None = None,
    reports: Tensor | None = None,
    high: float | Tensor | None = None,
    budget: int = BUDGET,
    tolerance: float = TOLERANCE,
    generator: torch.Generator | None = None,
) -> RegretCertificate:
    """Bound ex-post regret from monotone exposure and the payment identity, checked on intervals halved adaptively.

    Args:
        mechanism: Any callable bids, context → outcome. None of its claims is read.
        substrate: One feature; what pays exposure.
        valuations: (batch, bidder, 1). In float64 bounds of 1e-6 and less are met.
        context: As in `ex_post_regret`.
        reports: (batch, bidder, 1), default the truth.
        high: Largest misreport considered, as in `ex_post_regret`.
        budget: Own bids at which the rule is evaluated for each row and bidder; half of them cover the box evenly.
        tolerance: Relative to a row's amounts, what counts as rounding; answers in float32 get more.
        generator: Moves the even bids, each within its stretch, so that no rule can know them.
    Returns:
        The certificate: for all rows and bidders, or for none, with the reason.
    Raises:
        TypeError, ValueError: Bad valuations, reports or context, or outcomes that do not fit the substrate.
    Source:
        Myerson (1981), "Optimal auction design", lemma 2: monotone exposure and the payment identity are truth.
    Example:
        >>> from auctionsim.mechanisms import FirstPrice, SecondPrice
        >>> from auctionsim.substrates import Items
        >>> v = torch.tensor([[[0.5], [0.25]]], dtype=torch.float64)
        >>> bool((regret_certificate(SecondPrice(), Items(2), v).upper < 1e-6).all())
        True
        >>> regret_certificate(FirstPrice(), Items(2), v).upper is None
        True
    """
    checked_count(budget, "budget", 16)
    checked_number(tolerance, "tolerance")
    game = checked_game(mechanism, substrate, valuations, reports, context=context, utility=quasi_linear)
    return certified(game, checked_high(game, high), budget=budget, tolerance=tolerance, generator=generator)


def certified(
    game: Game,
    high: Float[Tensor, "batch bidder feature"],
    *,
    budget: int,
    tolerance: float = TOLERANCE,
    generator: torch.Generator | None = None,
) -> RegretCertificate:
    """Return the certificate of a game that was checked, over bids in [0, high]."""
    if high.shape[2] != 1:
        return _refused(f"it is for rules with one feature, got {high.shape[2]}", high)
    if game.utility is not quasi_linear:
        return _refused("it is for quasi-linear utility", high)
    now = reported_utilities(game)
    drawing = _drawing(game, None)
    if drawing is not None:
        return _refused(drawing, high)
    box = high.squeeze(2)
    known = _evaluated(game, _first_bids(game, box, budget // EVEN_SHARE, generator))
    slack = max(tolerance, PRECISION * torch.finfo(high.dtype).eps)
    while True:
        amount = (box * known.exposure.abs().amax(0)) + known.payments.abs().amax(0)
        broken = _broken(known, slack * amount)
        if broken is not None:
            return _refused(broken, high, known)
        reached, cells = _bounds(game, known)
        upper = torch.maximum(reached, cells.amax(0))
        count = min(HALVINGS_A_CALL, budget - len(known.bids), len(cells))
        if count < 1 or not bool((upper > reached + slack * amount).any()):
            break
        known = _halved(game, known, cells.topk(count, dim=0).indices)
    drawing = _drawing(game, known)
    if drawing is not None:
        return _refused(drawing, high, known)
    bound = (upper - now).clamp_min(0) + 4 * slack * amount
    gap = float(known.bids.diff(dim=0).max())
    return RegretCertificate(bound, None, _assumption(gap, slack), gap, high, len(known.bids))


def _first_bids(
    game: Game, box: Float[Tensor, "batch bidder"], count: int, generator: torch.Generator | None
) -> Float[Tensor, "point batch bidder"]:
    """Return bids that cover the box evenly, both its ends, the truth, the reports and the rivals' reports."""
    bids, values = game.reports.squeeze(2), game.valuations.squeeze(2)
    met = [values, *[bids.roll(shift, 1) for shift in range(bids.shape[1])]]
    even = torch.arange(1, max(count - len(met) - 2, 3) + 1, dtype=box.dtype, device=box.device)
    shares = even.view(-1, 1, 1).expand(-1, *box.shape)
    if generator is not None:
        shift = torch.rand(shares.shape, generator=generator, dtype=box.dtype, device=generator.device)
        shares = shares + shift.to(box.device) - 0.5
    inner = shares / (len(even) + 1) * box
    points = torch.stack([torch.zeros_like(box), box, *[torch.minimum(bid, box) for bid in met]])
    return torch.cat([inner, points]).sort(dim=0).values


def _evaluated(game: Game, bids: Float[Tensor, "point batch bidder"]) -> EvaluatedBids:
    """Return exposure and payment of a bidder that alone bids `bids`, all rows and bidders."""
    _, batch, n = bids.shape
    parts = []
    for part in torch.split(bids, max(1, ROWS_A_CALL // (batch * n))):
        alone, context = lone_deviations(game.reports, part.unsqueeze(3), game.context)
        with torch.no_grad():
            money = torch.stack(cleared_money(game, alone, torch.ones_like(alone), context))
        parts.append(money.view(2, len(part), batch, n, n).diagonal(dim1=3, dim2=4))
    exposure, payments = torch.cat(parts, 1).to(bids.dtype)
    return EvaluatedBids(bids, exposure, payments)


def _halved(game: Game, known: EvaluatedBids, chosen: Tensor) -> EvaluatedBids:
    """Return what is known with the middles of the chosen (cell, batch, bidder) intervals added."""
    middles = (known.bids.gather(0, chosen) + known.bids.gather(0, chosen + 1)) / 2
    both = [torch.cat(pair) for pair in zip(known, _evaluated(game, middles), strict=True)]
    order = both[0].argsort(dim=0, stable=True)
    return EvaluatedBids(*(part.gather(0, order) for part in both))


def _bounds(
    game: Game, known: EvaluatedBids
) -> tuple[Float[Tensor, "batch bidder"], Float[Tensor, "cell batch bidder"]]:
    """Return the best evaluated utility, and what no bid within each interval exceeds if (M) and (C) hold."""
    value = game.valuations.squeeze(2).to(known.bids.dtype)
    reached = (value * known.exposure - known.payments).amax(0)
    (left, right), (under, over) = _ends(known.bids), _ends(known.exposure)
    low, high = _ends(known.truthful)
    above = torch.maximum(low + (value - left) * over, high + (value - right) * over)
    below = torch.maximum(low + (value - left) * under, high + (value - right) * under)
    return reached, torch.where(value >= right, above, below)


def _broken(known: EvaluatedBids, slack: Float[Tensor, "batch bidder"]) -> str | None:
    """Return how the rule breaks (M) or the payment identity at evaluated bids by more than rounding, or None."""
    (left, right), (under, over) = _ends(known.bids), _ends(known.exposure)
    width, rise = right - left, known.truthful.diff(dim=0)
    fall = (under - over) * right.amax(0)  # in money, as what counts as rounding
    missed = torch.maximum(width * under - rise, rise - width * over)
    for excess, words in (
        (fall, "exposure falls in the own bid, from {under:.6g} at {left:.6g} to {over:.6g} at {right:.6g}"),
        (missed, "the payment identity is missed by {missed:.6g} between the own bids {left:.6g} and {right:.6g}"),
    ):
        if bool((excess > 2 * slack).any()):
            worst = int((excess - 2 * slack).argmax())
            named = {"left": left, "right": right, "under": under, "over": over, "missed": missed}
            where = f" (row {worst % left[0].numel() // left.shape[2]}, bidder {worst % left.shape[2]})"
            return words.format(**{name: float(part.flatten()[worst]) for name, part in named.items()}) + where
    return None


def _drawing(game: Game, known: EvaluatedBids | None) -> str | None:
    """Return how the rule answers the same bids differently at another call, or None: of reports, or all bids known."""
    try:
        if known is None:
            check_rows_apart(game)
            return None
        points, (batch, n) = len(known.bids), known.bids.shape[1:]
        repeated = Game(
            game.mechanism,
            game.substrate,
            game.valuations.repeat(points, 1, 1),
            game.reports.repeat(points, 1, 1),
            None if game.context is None else game.context.repeat(points),
            game.utility,
        )
        value = game.valuations.squeeze(2)
        utility = (value * known.exposure - known.payments).view(points * batch, n)
        check_again(repeated, Best(utility, known.bids.reshape(points * batch, n, 1)))
    except InputError as error:  # outcomes fit the substrate: what is left to refuse is another answer
        return str(error)
    return None


def _ends(points: Float[Tensor, "point batch bidder"]) -> tuple[Tensor, Tensor]:
    """Return what stands at the left and at the right end of every interval."""
    return points[:-1], points[1:]


def _assumption(gap: float, slack: float) -> str:
    return (
        "for rules whose exposure is nondecreasing and whose utility under truth is convex in the own bid, to a "
        f"relative {slack:.1g}; a needle between evaluated bids, up to {gap:.2g} apart, is not of the class and not "
        "seen"
    )


def _refused(reason: str, high: Tensor, known: EvaluatedBids | None = None) -> RegretCertificate:
    gap = float(high.max()) if known is None else float(known.bids.diff(dim=0).max())
    return RegretCertificate(None, reason, "", gap, high, 0 if known is None else len(known.bids))
