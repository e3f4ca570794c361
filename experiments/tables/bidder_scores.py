"""What learned bids are worth: against truth, against the equilibrium where it is known, and to platform and user."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from rich.table import Table
from torch import Tensor

from auctionsim import metrics
from auctionsim.agents import Strategy, closed_form_equilibrium
from auctionsim.checks import checked_count
from auctionsim.envs import AuctionGame
from auctionsim.errors import InputError
from auctionsim.metrics import Interval
from auctionsim.regret import exploitability
from auctionsim.strategies import played
from auctionsim.substrates.protocol import contexts_of


class Mean(NamedTuple):
    """A mean over drawn auctions and its 95 % interval."""

    value: float
    interval: Interval


class BidderScore(NamedTuple):
    """One bidder's learned strategy.

    Attributes:
        bid_ratio: Mean bid over mean valuation.
        from_truth: Root mean squared distance of its bids from its valuations, money.
        from_equilibrium: The same from the closed-form equilibrium, None where none is known.
        utility: What it earns, all bidding as they learned.
        truthful_utility: What it would earn by telling the truth against the others' learned bids.
        lost_by_bids: The mean difference, paired: what its bids cost it against telling the truth.
    """

    bid_ratio: float
    from_truth: float
    from_equilibrium: float | None
    utility: Mean
    truthful_utility: Mean
    lost_by_bids: Mean


class Play(NamedTuple):
    """What the auction gives, everybody bidding in one way.

    Attributes:
        name: "learned", "truth", or "equilibrium".
        revenue: Σ payments.
        user_loss: In the substrate's unit.
        bidder_utility: Σ utilities.
        welfare: Σ v · e.
    """

    name: str
    revenue: Mean
    user_loss: Mean
    bidder_utility: Mean
    welfare: Mean


class Evaluation(NamedTuple):
    """All of it.

    Attributes:
        bidders: One score each.
        exploitability: What the average bidder gains by its best reply, and its interval: the estimate of what a found
            deviation gains, so slightly negative where there is none.
        plays: Learned and truthful play, and the equilibrium's where it is known.
        draws: Auctions drawn.
    """

    bidders: tuple[BidderScore, ...]
    exploitability: Mean
    plays: tuple[Play, ...]
    draws: int


def evaluate(game: AuctionGame, strategies: Sequence[Strategy], *, draws: int = 1 << 14, seed: int = 0) -> Evaluation:
    """Score learned strategies on common draws of valuations and contexts.

    Args:
        game: Its mechanism, substrate, priors and utility; single rounds, so without budgets or targets.
        strategies: One a bidder; they may observe the context.
        draws: Auctions for the means; the best replies are sought on as many draws in each context.
        seed: Of the draws.
    Raises:
        ValueError: Another number of strategies, one that observes more, or a game with budgets or targets.
    """
    valuations, context = _drawn(game, strategies, draws, seed)
    known = closed_form_equilibrium(game.mechanism, game.substrate, game.prior, game.utility)
    plays = [
        _play("learned", game, played(strategies, valuations, context), valuations, context),
        _play("truth", game, valuations, valuations, context),
    ]
    if known is not None:
        plays.append(_play("equilibrium", game, played(known, valuations, context), valuations, context))
    scores = score_bids(game, strategies, draws=draws, seed=seed)
    return Evaluation(scores, _exploitability(game, strategies, draws, seed), tuple(plays), draws)


def score_bids(
    game: AuctionGame, strategies: Sequence[Strategy], *, draws: int = 1 << 14, seed: int = 0
) -> tuple[BidderScore, ...]:
    """Score each bidder's bids as `evaluate` does, without its search for best replies: seconds instead of minutes."""
    valuations, context = _drawn(game, strategies, draws, seed)
    known = closed_form_equilibrium(game.mechanism, game.substrate, game.prior, game.utility)
    learned = played(strategies, valuations, context)
    equilibrium = None if known is None else played(known, valuations, context)
    return tuple(
        _score(game, i, learned, valuations, context, None if equilibrium is None else equilibrium[:, i])
        for i in range(game.num_bidders)
    )


def _drawn(game: AuctionGame, strategies: Sequence[Strategy], draws: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """Draw valuations and contexts, once it is clear that the game can be scored."""
    if len(strategies) != game.num_bidders:
        raise InputError(f"{len(strategies)} strategies were given for {game.num_bidders} bidders")
    if game.budgets is not None or game.roi_targets is not None:
        raise InputError("an evaluation is about single rounds: this game has budgets or ROI targets")
    generator = torch.Generator().manual_seed(seed)
    valuations = game.prior.sample(checked_count(draws, "draws", 8), generator, torch.float64)
    names = contexts_of(game.substrate)
    return valuations, torch.randint(len(names), (draws,), generator=generator) if names else None


def _utilities(game: AuctionGame, bids: Tensor, valuations: Tensor, context: Tensor | None) -> Tensor:
    outcome = game.mechanism(bids, context)
    value = (valuations * game.substrate.exposure(outcome.allocation, context)).sum(2)
    return game.utility(value, outcome.payments)


def _score(
    game: AuctionGame, bidder: int, bids: Tensor, valuations: Tensor, context: Tensor | None, known: Tensor | None
) -> BidderScore:
    honest = bids.clone()
    honest[:, bidder] = valuations[:, bidder]
    utility = _utilities(game, bids, valuations, context)[:, bidder]
    truthful = _utilities(game, honest, valuations, context)[:, bidder]
    own, v = bids[:, bidder], valuations[:, bidder]
    return BidderScore(
        bid_ratio=float(own.sum() / v.sum()),
        from_truth=_distance(own, v),
        from_equilibrium=None if known is None else _distance(own, known),
        utility=_mean(utility),
        truthful_utility=_mean(truthful),
        lost_by_bids=_mean(truthful - utility),
    )


def _play(name: str, game: AuctionGame, bids: Tensor, valuations: Tensor, context: Tensor | None) -> Play:
    outcome = game.mechanism(bids, context)
    value = (valuations * game.substrate.exposure(outcome.allocation, context)).sum(2)
    return Play(
        name,
        revenue=_mean(outcome.payments.sum(1)),
        user_loss=_mean(game.substrate.user_loss(outcome.allocation, context)),
        bidder_utility=_mean(game.utility(value, outcome.payments).sum(1)),
        welfare=_mean(value.sum(1)),
    )


def _exploitability(game: AuctionGame, strategies: Sequence[Strategy], draws: int, seed: int) -> Mean:
    """Return the mean over contexts, in each of which a deviator may reply otherwise."""
    estimate = exploitability(
        game.mechanism,
        game.substrate,
        game.prior,
        strategies=list(strategies),
        draws=draws,
        generator=torch.Generator().manual_seed(seed),
        utility=game.utility,
    )
    return Mean(estimate.value, estimate.interval)


def _distance(bids: Tensor, others: Tensor) -> float:
    return float((bids - others).square().mean().sqrt())


def _mean(samples: Tensor) -> Mean:
    return Mean(float(samples.mean()), metrics.mean_interval(samples))


def tables(evaluation: Evaluation, title: str) -> list[Table]:
    """Return the evaluation to read in a terminal."""
    bidders = Table(title=f"{title}: bids, {evaluation.draws} auctions")
    for name in (
        "bidder",
        "bid / valuation",
        "L2 from truth",
        "L2 from equilibrium",
        "utility",
        "if it told the truth",
        "lost by its bids",
        "share lost, %",
    ):
        bidders.add_column(name, justify="right")
    for i, score in enumerate(evaluation.bidders):
        share = score.lost_by_bids.value / score.truthful_utility.value if score.truthful_utility.value > 0 else None
        bidders.add_row(
            str(i),
            f"{score.bid_ratio:.3f}",
            f"{score.from_truth:.4f}",
            "–" if score.from_equilibrium is None else f"{score.from_equilibrium:.4f}",
            *map(_shown, (score.utility, score.truthful_utility, score.lost_by_bids)),
            "–" if share is None else f"{100 * share:.2f}",
        )
    plays = Table(title=f"exploitability {_shown(evaluation.exploitability)} (best reply found, average bidder)")
    for name in ("everybody bids", "revenue", "user loss", "bidders' utility", "welfare"):
        plays.add_column(name, justify="right")
    for play in evaluation.plays:
        plays.add_row(play.name, *map(_shown, (play.revenue, play.user_loss, play.bidder_utility, play.welfare)))
    return [bidders, plays]


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as nested dicts, for a file."""
    plain = _plain(evaluation)
    assert isinstance(plain, dict)
    return plain


def _plain(part: Any) -> Any:
    if hasattr(part, "_asdict"):
        return {name: _plain(value) for name, value in part._asdict().items()}
    return [_plain(one) for one in part] if isinstance(part, tuple) else part


def _shown(mean: Mean) -> str:
    return f"{mean.value:.4f} [{mean.interval.low:.4f}, {mean.interval.high:.4f}]"
