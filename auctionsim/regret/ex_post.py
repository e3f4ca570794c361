"""Ex-post regret: how much could one bidder have gained by another bid, knowing every other bid?

Estimand. With reports r (truth unless given), valuations v, and u_i(b; v_i) = utility(v_i · e_i(x(b)), t_i(b)),

    regret_i = sup over b_i in [0, high] of u_i(b_i, r_{-i}; v_i) − u_i(r_i, r_{-i}; v_i) ≥ 0.

Assumptions: the mechanism is a deterministic function of bids and context whose rows do not touch each other. The
others' reports stay put. The box ends at `high` (`bid_range.py` says where by default); a gain from bidding beyond it
is not looked for, and `bids_up_to` of the answer says where it ends. Every number scales with the currency: valuations
and the mechanism's own amounts times c give c times the regret.

What the numbers are. `lower` is a gain that the mechanism, called with the printed misreport, really pays: never more
than the regret, whatever the search misses. `upper` is given only where a theorem or an exhaustive list gives it:
a mechanism's own `dsic_proof` for this substrate (then both are 0 for a truthful bidder), the breakpoints of a
single-parameter rule (`breakpoints.py`; `item_by_item.py` for items sold one by one), every entry of fixed menus
(`fixed_menus.py`), or a promised Lipschitz constant (`lipschitz.py`, any number of features). On request
(`BoundSettings.certificate`) a rule of one feature that has none of these gets the bound of `certificates.py`, which is
a proof for a class of rules: `method` names the class.

The search is `search.py`'s: one fixed sequence of evaluations that `budget` cuts off, so a larger budget never lowers a
result.
"""

import torch
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.mechanisms.protocol import dsic_proof_of
from auctionsim.metrics import Interval
from auctionsim.regret.bid_range import checked_high
from auctionsim.regret.breakpoints import enumerate_stretches, own_bid_breakpoints
from auctionsim.regret.certificates import RegretCertificate, certified
from auctionsim.regret.determinism import check_again, check_rows_apart
from auctionsim.regret.estimate import (
    AnyMechanism,
    Game,
    RegretEstimate,
    UtilityRule,
    checked_game,
    misreport_utilities,
    quasi_linear,
    reported_utilities,
)
from auctionsim.regret.fixed_menus import fixed_menu_bound
from auctionsim.regret.item_by_item import items_apart
from auctionsim.regret.lipschitz import lipschitz_supremum, own_bid_rates
from auctionsim.regret.refinement import Best
from auctionsim.regret.search import search
from auctionsim.regret.settings import BoundSettings
from auctionsim.regret.summary import everywhere, summarised
from auctionsim.substrates.protocol import Substrate

DEFAULT_BUDGET = 448  # where the second round of the search ends
BOUNDS = BoundSettings()


def ex_post_regret(
    mechanism: AnyMechanism,
    substrate: Substrate,
    valuations: Tensor,
    *,
    context: Tensor | None = None,
    reports: Tensor | None = None,
    budget: int = DEFAULT_BUDGET,
    generator: torch.Generator | None = None,
    high: float | Tensor | None = None,
    utility: UtilityRule = quasi_linear,
    bounds: BoundSettings = BOUNDS,
) -> RegretEstimate:
    """Bound how much each bidder of each row could have gained by another bid.

    Args:
        mechanism: Any callable bids, context → outcome; scored exactly as deployed.
        substrate: What pays exposure; another than the mechanism was designed on gives its deployed regret.
        valuations: (batch, bidder, feature).
        context: (batch,) indices into the substrate's contexts. None on a substrate that has contexts: one auction for
            all of them, cleared and paid on the mean surface, as where nobody knows the context in time. It is not the
            mean of the regrets of the auctions that environments play: draw contexts for that.
        reports: (batch, bidder, feature), what everybody submits, i included, unless deviating; default the truth.
        budget: Misreports scored through the mechanism for each row and bidder.
        generator: Scrambles the even filling; None is deterministic.
        high: Largest misreport considered: a number or a tensor that broadcasts to (batch, bidder, feature). Default:
            what the mechanism's own `priors` can hold (or the row's own largest number where that is more); twice the
            largest of the row's valuations and reports for a mechanism without priors. Pass it for a learned mechanism:
            beyond the bids that it was trained on it may do anything.
        utility: From value and payment to utility; anything but quasi-linear switches proofs off.
        bounds: What is claimed beside the search: proofs, a promised Lipschitz constant, the interval's confidence.
    Returns:
        `lower` ≥ 0 with the misreports that reach it, and `upper` where one is proved.
    Raises:
        TypeError, ValueError: Bad valuations, reports or context, outcomes that do not fit the substrate, rows that
            touch each other, or a rule that draws: one that answers the same bids otherwise at another call.
    Example:
        >>> from auctionsim.mechanisms import PayAsBid, VCG
        >>> from auctionsim.substrates import Items
        >>> v = torch.tensor([[[0.5], [0.25]]])
        >>> ex_post_regret(VCG(Items(2)), Items(2), v).method
        'proof: Groves: exact argmax over a fixed range'
        >>> ex_post_regret(PayAsBid(Items(2)), Items(2), v).lower  # bidder 0 wins just above .25
        tensor([[0.2500, 0.0000]])
    """
    checked_count(budget, "budget")
    use_structure, confidence = bounds.use_structure, bounds.confidence
    game = checked_game(mechanism, substrate, valuations, reports, context=context, utility=utility)
    check_rows_apart(game)
    box = checked_high(game, high)
    proof = dsic_proof(game) if use_structure else None
    if proof is not None:
        return _by_proof(game, proof, box, confidence)
    enumerated = _enumerated(game, box) if use_structure else None
    if enumerated is not None:
        best, supremum, scored, method = enumerated
        check_again(game, best)
        now = reported_utilities(game)
        lower, upper = (best.utility - now).clamp_min(0), (supremum - now).clamp_min(0)
        return summarised(game, lower, upper, best.bids, method=method, budget=scored, confidence=confidence, high=box)
    best, method = search(game, box, budget, generator)
    rates = own_bid_rates(game, bounds.lipschitz) if use_structure or bounds.lipschitz is not None else None
    if rates is not None:
        return _by_cells(game, best, box, rates, bounds, budget=budget, method=method)
    check_again(game, best)
    lower = (best.utility - reported_utilities(game)).clamp_min(0)
    bound, reach = fixed_menu_bound(game) if use_structure else None, box
    if bound is not None:
        bound, method = torch.maximum(bound, lower), f"{method}; upper from every entry of the fixed menus"
        reach = everywhere(game)  # whatever is reported, one of the entries is had
    elif bounds.certificate:
        certificate = certified(game, box, budget=bounds.budget)
        bound, words = _certificate_bound(certificate, lower)
        method, budget = f"{method}; {words}", budget + certificate.evaluations
    return summarised(
        game,
        lower,
        bound,
        best.bids,
        method=method,
        budget=budget,
        confidence=confidence,
        high=box,
        bids_up_to=reach,
    )


def _enumerated(game: Game, box: Tensor) -> tuple[Best, Tensor, int, str] | None:
    """Return the best misreport, the supremum, how many were scored and how, where a list leaves nothing to miss."""
    breakpoints = own_bid_breakpoints(game)
    if breakpoints is not None:
        return *enumerate_stretches(game, breakpoints, box), "exact: every breakpoint of the own bid"
    apart = items_apart(game, box)
    return None if apart is None else (*apart, "exact: every breakpoint of the own bid, item by item")


def _certificate_bound(certificate: RegretCertificate, lower: Tensor) -> tuple[Tensor | None, str]:
    """Return a certificate's bound, None without one, and the words that say what it is worth."""
    if certificate.upper is None:
        return None, f"no certificate: {certificate.reason}"
    if bool((lower > certificate.upper).any()):
        return None, "no certificate: the search found more than a rule of the class can bring"
    return certificate.upper, f"upper by certificate, {certificate.assumption}"


def _by_cells(
    game: Game,
    best: Best,
    box: Tensor,
    rates: Tensor,
    bounds: BoundSettings,
    *,
    budget: int,
    method: str,
) -> RegretEstimate:
    """Add to a search's best misreports the bound of Lipschitz cells."""
    best, supremum, scored = lipschitz_supremum(game, best, box, rates, bounds.budget)
    check_again(game, best)
    now = reported_utilities(game)
    return summarised(
        game,
        (best.utility - now).clamp_min(0),
        (supremum - now).clamp_min(0),
        best.bids,
        method=f"{method}; upper from Lipschitz cells",
        budget=budget + scored,
        confidence=bounds.confidence,
        high=box,
    )


def dsic_proof(game: Game) -> str | None:
    """Return the mechanism's reason why truth is dominant here, if it has one and utility is quasi-linear."""
    return dsic_proof_of(game.mechanism, game.substrate) if game.utility is quasi_linear else None


def _by_proof(game: Game, proof: str, box: Tensor, confidence: float) -> RegretEstimate:
    """Truth is a best response to anything, so regret is what truth would bring over the report: one evaluation."""
    zero = torch.zeros_like(game.valuations[..., 0])
    method, everything = f"proof: {proof}", everywhere(game)
    if torch.equal(game.reports, game.valuations):  # 0 in every row that could be drawn
        nothing = Interval(0.0, 0.0)
        return RegretEstimate(
            zero, zero, game.valuations, 0.0, 0.0, nothing, method, 1, bids_up_to=everything, largest_gain=0.0
        )
    with torch.no_grad():
        truth = misreport_utilities(game, game.valuations.unsqueeze(0))[0]
    own = (game.reports == game.valuations).all(2)
    gain = torch.where(own, zero, (truth - reported_utilities(game)).clamp_min(0))
    return summarised(
        game,
        gain,
        gain,
        game.valuations,
        method=method,
        budget=1,
        confidence=confidence,
        high=box,
        bids_up_to=everything,
    )
