"""Ex-interim regret: how much could a bidder expect to gain by another bid, knowing its valuation but not the others'?

Estimand. Valuations are independent draws from `priors`, every bidder plays its strategy s_j (truth unless given), and

    regret_i(v_i) = sup over b of E[u_i(b, s_{-i}(v_{-i}); v_i)] − E[u_i(s_i(v_i), s_{-i}(v_{-i}); v_i)] ≥ 0.

Its average over v_i is the ex-ante regret. Assumptions: independent private values; a deterministic mechanism.

Contexts. Where the substrate has public contexts, as environments draw them, each is a game of its own: bidders see
the context before they bid, and the auction clears in it. Without a `context` the estimand is the mean over contexts
of regret_i(v_i; c), every deviation chosen in its context, whether or not s_i observes it. It is not the regret of the
game on the mean surface, which nobody plays. Draws are stratified: as many in each context, independent between them;
one interval holds for the mean (see `interim_scores.py`).

Estimate. The others' draws are split in two. On the first half a best bid is chosen among a few hundred (a lattice,
smaller ones, rivals' bids), the same draws for all of them. On the second half that bid is scored against the
strategy's own, again on common draws. So the score is an unbiased estimate of what *this deviation* gains, and a lower
bound on regret in expectation: it falls short by what the lattice and the choice on a sample miss (about .0005 at 2¹²
draws in a first-price equilibrium). It is not clipped at 0: a negative number says that the chosen deviation does worse
than the strategy. Scoring on the draws that chose it, or fresh draws for each bid, would bias regret up.

Intervals reach from below the score on the second half to above the best score on the first, which is biased up as the
other is biased down, each end by an empirical Bernstein bound (see `confidence.py`) in which utilities range over what
was seen and 0; regret being ≥ 0, so is the upper end. They leave out what lies between the bids tried and what a rival
that was not drawn would do, and are *estimated*. `upper` is *certified* with the stated confidence, and given in four
cases: a `dsic_proof` for truthful bidders (0); a `bic_proof` for these priors where everybody is truthful (2 v r, r its
residual; for sure, and nothing is drawn); a `dsic_proof` for others (truth is the best response, so nothing is
searched) on a substrate that states its exposures; one item at first price, by a uniform band around the distribution
of the highest rival bid. It is never below `lower`, an estimate that may lie above the truth by chance.

Under a proof the gain of the truth v over a report s is in every draw

    0 ≤ u(v) − u(s) ≤ Σ_f (v_f − s_f) (e_f(v) − e_f(s)) ≤ Σ_f |v_f − s_f| Δ_f,      Δ_f the range of the exposure,

for a bidder of valuation s would not rather report v. So its range is known from the substrate alone, whatever rivals
were drawn, and a rival that matters once in 5,000 is allowed for.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_amounts, checked_count, checked_positive
from auctionsim.errors import InputError
from auctionsim.mechanisms.protocol import bic_proof_of, dsic_proof_of
from auctionsim.metrics import Interval
from auctionsim.priors import Priors, Product, product
from auctionsim.regret.confidence import checked_miss
from auctionsim.regret.determinism import check_rows_apart
from auctionsim.regret.estimate import AnyMechanism, Game, RegretEstimate, quasi_linear
from auctionsim.regret.first_price import first_price_bound, sells_one_item_at_first_price
from auctionsim.regret.interim_game import InterimGame, expected_utilities, games_in_contexts, trial_bids
from auctionsim.regret.interim_scores import Scored, Trial, scored_gains
from auctionsim.regret.payoff_range import exposure_range
from auctionsim.regret.proved_in_expectation import proved_in_expectation
from auctionsim.regret.settings import InterimSettings
from auctionsim.strategies import Strategies, played, strategy_list
from auctionsim.substrates.protocol import Substrate

DEFAULT_DRAWS = 2**12
SETTINGS = InterimSettings()
CHECKED = 256  # drawn profiles on which the rule is held to answer alike at every call


def ex_interim_regret(
    mechanism: AnyMechanism,
    substrate: Substrate,
    priors: Priors,
    *,
    valuations: Tensor | None = None,
    strategies: Strategies = None,
    draws: int = DEFAULT_DRAWS,
    confidence: float = 0.95,
    generator: torch.Generator | None = None,
    context: int | None = None,
    settings: InterimSettings = SETTINGS,
) -> RegretEstimate:
    """Estimate what each bidder could expect to gain by deviating from its strategy.

    Args:
        mechanism: Any callable bids, context → outcome; scored exactly as deployed.
        substrate: What pays exposure.
        priors: What valuations are drawn from: one, one a bidder, one a bidder and feature, or a product.
        valuations: (batch, bidder, feature) at which to estimate, each bidder's by itself. None draws `settings.types`
            of each bidder's, one from each of as many equally likely strata; the mean is then the ex-ante regret.
        strategies: Callable(s) from (batch, feature) valuations to bids, which may observe the context
            (`auctionsim.strategies`); None is truth.
        draws: Of the others' valuations, in each context, half to choose and half to score.
        confidence: Of every interval, by itself.
        generator: Draws everything; None takes seed 0.
        context: Index of the public context; None: the mean over all of the game played in each.
        settings: Which deviations are tried and from what: `InterimSettings` says which there are.
    Returns:
        `lower` the estimates, `pointwise` their intervals, `interval` that of the mean (over draws; over the types
        too where these were drawn), `upper` as said above. Over several contexts also `context_gains` and
        `context_misreports`.
    Raises:
        TypeError, ValueError: Bad valuations, priors, strategies or numbers, a strategy that observes more than the
            context (a single round has no budget and no round before it), or a rule that draws.
    Example:
        >>> from auctionsim.mechanisms import FirstPrice
        >>> from auctionsim.priors import Uniform
        >>> from auctionsim.substrates import Items
        >>> v = torch.full((1, 2, 1), 0.8)  # against truth the best bid is .4, worth .16
        >>> estimate = ex_interim_regret(FirstPrice(), Items(2), Uniform(0, 1), valuations=v, draws=2**14)
        >>> estimate.interval.low < 0.16 < estimate.interval.high
        True
    """
    n, m = substrate.num_bidders, len(substrate.features)
    checked_count(draws, "draws", 8)
    checked_miss(confidence)
    prior = product(priors, n, m)
    games = games_in_contexts(mechanism, substrate, context, settings.utility)
    budget, reports = settings.budget, settings.reports
    source = torch.Generator().manual_seed(0) if generator is None else generator
    plays = strategy_list(strategies, n)
    given = valuations is not None
    v = (
        _stratified_types(prior, settings.types, source)
        if valuations is None
        else checked_amounts(valuations, n, m, "valuations")
    )
    if not len(v):
        raise InputError("valuations must have at least one row")
    if reports is not None and checked_amounts(reports, n, m, "reports").shape != v.shape:
        raise InputError(f"reports must match valuations: {tuple(reports.shape)} against {tuple(v.shape)}")
    fields = []
    for game in games:
        own = played(plays, v, game.contexts(v)) if reports is None else reports
        drawn = prior.sample(draws, source, dtype=v.dtype)
        fields.append(Trial(game, own, v, played(plays, drawn, game.contexts(drawn))))  # truth, until the best is known
        _check_rule(game, fields[-1].profiles[:CHECKED])
    proof = _proof(games[0]) if settings.use_structure else None
    if proof is not None:
        return _with_proof(fields, v, proof=proof, confidence=confidence, given=given)
    honest = strategies is None and all(torch.equal(v, field.own) for field in fields)
    if settings.use_structure and honest and games[0].utility is quasi_linear:
        expected = bic_proof_of(mechanism, substrate, prior)
        if expected is not None:
            return proved_in_expectation(expected, v, len(games))
    box = _boxes(prior, v, torch.stack([field.own for field in fields]).amax(0), settings.high)
    halves: tuple[list[Trial], list[Trial]] = ([], [])
    for field in fields:
        choosing, scoring = field.profiles[: draws // 2], field.profiles[draws // 2 :]
        best = _best_replies(field._replace(profiles=choosing), v, box, budget, source)
        for half, profiles in zip(halves, (choosing, scoring), strict=True):
            half.append(field._replace(best=best, profiles=profiles))
    chosen, scored = (scored_gains(half, v, confidence=confidence) for half in halves)
    upper = _uniform_band(fields, v, confidence) if settings.use_structure else None
    method = f"estimated: best of {budget} bids on {draws // 2} draws, scored on {draws - draws // 2} others" + (
        "; upper by a uniform band" if upper is not None else ""
    )
    best = torch.stack([trial.best for trial in halves[1]])
    estimate = _summary(scored, chosen, upper, best, method=method, budget=budget, confidence=confidence, given=given)
    reach = box if upper is None else torch.full_like(box, torch.inf)  # the band is about every bid
    return _consistent(estimate._replace(bids_up_to=reach))


def _uniform_band(fields: Sequence[Trial], valuations: Tensor, confidence: float) -> Tensor | None:
    """Return the certified upper ends of one item at first price; None for any other auction."""
    game = fields[0].game
    if game.utility is not quasi_linear or not sells_one_item_at_first_price(game.mechanism, game.substrate):
        return None
    (field,) = fields  # items have no contexts
    return first_price_bound(game.mechanism, valuations, field.own, field.profiles, confidence)


def _best_replies(
    trial: Trial, valuations: Tensor, box: Tensor, budget: int, generator: torch.Generator
) -> Float[Tensor, "type bidder feature"]:
    """Return every type's best bid against the trial's profiles, each bidder's trial bids from a seed of its own."""
    best = torch.empty_like(valuations)
    for i in range(valuations.shape[1]):
        seed = int(torch.randint(2**31 - 1, (1,), generator=generator, device=generator.device))
        for rows in _alike(box[:, i]):
            trials = trial_bids(trial.profiles, i, box[rows[0], i], budget, torch.Generator().manual_seed(seed))
            worth = expected_utilities(trial.game, i, valuations[rows, i], trials, trial.profiles)
            best[rows, i] = trials[worth.argmax(1)]
    return best


def _boxes(prior: Product, valuations: Tensor, own: Tensor, high: float | None) -> Float[Tensor, "type bidder feature"]:
    """Return how far up each type's deviations are searched: a matter of the priors and that type alone."""
    if high is not None:
        return torch.full_like(valuations, checked_positive(high, "high"))
    base = prior.high.amax(0).to(valuations).expand_as(valuations)
    largest = torch.maximum(valuations, own)
    doublings = torch.log2((largest / base).clamp_min(1.0)).ceil()
    return torch.where(base > 0, base * torch.exp2(doublings), largest)


def _alike(boxes: Float[Tensor, "type feature"]) -> list[Tensor]:
    """Return the rows of each distinct box."""
    _, which = torch.unique(boxes, dim=0, return_inverse=True)
    return [(which == k).nonzero().squeeze(1) for k in range(int(which.max()) + 1)]


def _check_rule(game: InterimGame, profiles: Float[Tensor, "draw bidder feature"]) -> None:
    """Refuse a rule that answers the same bids otherwise at another call or in other company."""
    context = game.contexts(profiles)
    check_rows_apart(Game(game.mechanism, game.substrate, profiles, profiles, context, game.utility))


def _consistent(estimate: RegretEstimate) -> RegretEstimate:
    """Return the estimate with `upper` at least `lower`, or without it where the search itself refutes it."""
    assert estimate.pointwise is not None
    if estimate.upper is None:
        return estimate
    if bool((estimate.pointwise[0] > estimate.upper).any()):
        return estimate._replace(upper=None, method=f"{estimate.method}; upper withdrawn: a deviation gains more")
    return estimate._replace(upper=torch.maximum(estimate.upper, estimate.lower))


def _stratified_types(prior: Product, count: int, generator: torch.Generator) -> Float[Tensor, "type bidder feature"]:
    """Return one valuation from each of `count` equally likely strata, shuffled apart for each bidder and feature."""
    shape = (count, prior.num_bidders, prior.num_features)
    inside = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
    order = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device).argsort(0)
    if prior.num_features == 1:  # a bidder's own type is all that matters, so keep them sorted
        order = torch.arange(count, device=generator.device).view(-1, 1, 1).expand(shape)
    return prior.quantile((order + inside) / count).to(torch.get_default_dtype())


def _summary(
    scored: Scored,
    chosen: Scored,
    upper: Tensor | None,
    best: Float[Tensor, "context type bidder feature"],
    *,
    method: str,
    budget: int,
    confidence: float,
    given: bool,
) -> RegretEstimate:
    mean = scored.mean
    low, high = scored.average
    optimism = float(chosen.floored.mean() - chosen.mean.mean())  # the own bid is one of those chosen from
    high = max(high, chosen.average.high + optimism)
    if not given:  # the drawn types are a sample too
        reach = _type_reach(mean, best.shape[3], confidence)
        low, high = low - reach, high + reach
    several = len(best) > 1
    most = scored.by_context.argmax(0)[None, :, :, None].expand(1, *best.shape[1:])
    return RegretEstimate(
        lower=mean,
        upper=upper,
        best_misreports=best.gather(0, most)[0],
        mean=float(mean.mean()),
        max=float(mean.max()),
        interval=Interval(low, high),
        method=method,
        budget=budget,
        pointwise=torch.stack(
            [
                mean - scored.reach,
                torch.maximum(mean + scored.reach, chosen.floored + chosen.reach),
            ]
        ),
        context_gains=scored.by_context if several else None,
        context_misreports=best if several else None,
    )


def _type_reach(mean: Float[Tensor, "type bidder"], num_features: int, confidence: float) -> float:
    """Return what drawing the types adds to the interval: normal, from neighbours where one feature sorts them.

    Strata leave only the spread inside each; two neighbours' difference, squared and halved, overestimates it.
    """
    count = len(mean)
    variance = mean.var(0) if num_features > 1 else mean.diff(dim=0).square().sum(0) / (2 * (count - 1))
    z = float(torch.special.ndtri(torch.tensor(1 - (1 - confidence) / 2, dtype=torch.float64)))
    return z * float((variance.mean() / (count * mean.shape[1])).sqrt())


def _proof(game: InterimGame) -> str | None:
    return dsic_proof_of(game.mechanism, game.substrate) if game.utility is quasi_linear else None


def _with_proof(
    fields: Sequence[Trial], valuations: Tensor, *, proof: str, confidence: float, given: bool
) -> RegretEstimate:
    """Truth is the best response, so all draws score it; where the range of its gain is known, so is a certain end."""
    ranges = [_proved_spans(field.game.substrate, valuations, field.own) for field in fields]
    stated = [one for one in ranges if one is not None]
    spans = torch.stack(stated).mean(0) if stated else None
    honest = all(torch.equal(valuations, field.own) for field in fields)
    scored = scored_gains(fields, valuations, confidence=confidence, spans=spans)
    upper, method = scored.mean + scored.reach, f"proof: {proof}"
    if spans is None and not honest:
        method += "; intervals estimated: the substrate states no range of exposure, so no upper end is certified"
    estimate = _summary(
        scored,
        scored,
        upper if spans is not None else torch.zeros_like(scored.mean) if honest else None,
        valuations.expand(len(fields), *valuations.shape),
        method=method,
        budget=1,
        confidence=confidence,
        given=given,
    )
    return _consistent(estimate._replace(bids_up_to=torch.full_like(valuations, torch.inf)))


def _proved_spans(substrate: Substrate, valuations: Tensor, own: Tensor) -> Float[Tensor, "type bidder"] | None:
    """Return Σ_f |v_f − s_f| Δ_f, the most that truth gains over a report where truth is dominant; None if unstated."""
    stated = exposure_range(substrate)
    if stated is None:
        return None
    ranges = (stated[1] - stated[0]).to(valuations.device)
    return ((valuations - own).abs().double() * ranges).sum(2)
