"""What a learner's bids are worth: one cell of the reference corpus, made."""

import time
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.agents import Strategy, closed_form_equilibrium
from auctionsim.envs import AuctionGame, build_game
from auctionsim.errors import InputError
from auctionsim.experiments.learners import CorpusLearner, LearnedPlay, LearningTask
from auctionsim.experiments.running.corpus_budget import budget_equilibrium, budgets_of, constrained_regret
from auctionsim.regret import ex_interim_regret
from auctionsim.regret.settings import InterimSettings
from auctionsim.scoring import draw_profiles
from auctionsim.strategies import played

EVALUATED = 20_000  # added to a seed where learned bids are scored: other auctions than those learned on


class CorpusScoring(NamedTuple):
    """How much is computed for a cell.

    Attributes:
        draws: Auctions that means are taken over.
        regret_draws: Of the others' valuations, in each context, half to choose deviations and half to score them.
        types: Valuations of each bidder at which regret is estimated.
        bids: Deviations that are tried.
    """

    draws: int = 1 << 13
    regret_draws: int = 1 << 10
    types: int = 32
    bids: int = 128


class _PlayMeans(NamedTuple):
    """What one way to bid gives in every drawn auction."""

    utility: Tensor  # (draw, bidder)
    worth: Tensor  # (draw, bidder)
    payments: Tensor  # (draw, bidder)
    user_loss: Tensor  # (draw,)


class _BidRegret(NamedTuple):
    """Regret of learned bids, a number a bidder, and of the average bidder with its interval."""

    estimate: tuple[float, ...]
    upper: tuple[float, ...] | None
    method: str
    low: float | None
    high: float | None


def single_round_game(setting: str) -> AuctionGame:
    """Return a named auction in single rounds, in float64."""
    return build_game(setting=setting, rounds=1, dtype=torch.float64)


def score_learner(
    environment: str, setting: str, learner: CorpusLearner, seed: int, effort: float, scoring: CorpusScoring
) -> list[dict[str, Any]]:
    """Let a learner learn in an environment, and return the cell's rows, one a bidder.

    Args:
        environment: Gymnasium id.
        setting: Its named auction.
        learner: Of the corpus.
        seed: Of learning; auctions are scored on others.
        effort: Share of the learner's own number of updates that is made.
        scoring: How much is computed.
    Raises:
        ValueError: Strategies of another number than there are bidders, or that observe more than the context.
    """
    game = single_round_game(setting)
    budgets = budgets_of(game) if learner.budgeted else None
    task = LearningTask(environment, setting, game, seed, effort, budgets)
    began = time.process_time()
    learned = learner.learn(task)
    seconds = time.process_time() - began
    if len(learned.strategies) != game.num_bidders:
        raise InputError(f"{learner.name} learned {len(learned.strategies)} strategies for {game.num_bidders} bidders")
    return _rows(task, learner, learned, seconds, scoring)


@torch.no_grad()
def _rows(
    task: LearningTask, learner: CorpusLearner, learned: LearnedPlay, seconds: float, scoring: CorpusScoring
) -> list[dict[str, Any]]:
    game, strategies = task.game, list(learned.strategies)
    valuations, context = draw_profiles(game.substrate, game.prior, scoring.draws, EVALUATED + task.seed)
    bids = played(strategies, valuations, context)
    known = _equilibrium(task)
    known_bids = None if known is None else played(known, valuations, context)
    truth, play = (_means(game, some, valuations, context) for some in (valuations, bids))
    regret = _regret(task, strategies, scoring)
    rows = []
    for i in range(game.num_bidders):
        honest = bids.clone()
        honest[:, i] = valuations[:, i]
        gain = play.utility[:, i] - _means(game, honest, valuations, context).utility[:, i]
        rows.append(
            {
                "environment": task.environment,
                "learner": learner.name,
                "constraint": "none" if task.budgets is None else "budget",
                "seed": task.seed,
                "bidder": i,
                "bidders": game.num_bidders,
                "utility": float(play.utility[:, i].mean()),
                "utility_error": _error(play.utility[:, i]),
                "regret": regret.estimate[i],
                "regret_upper": None if regret.upper is None else regret.upper[i],
                "regret_method": regret.method,
                "exploitability": sum(regret.estimate) / game.num_bidders,
                "exploitability_low": regret.low,
                "exploitability_high": regret.high,
                "over_truth": float(gain.mean()),
                "over_truth_error": _error(gain),
                "truthful_play_utility": float(truth.utility[:, i].mean()),
                "worth": float(truth.worth[:, i].mean()),
                "bid_ratio": float(bids[:, i].sum() / valuations[:, i].sum()),
                "distance_to_truth": _distance(bids[:, i], valuations[:, i]),
                "distance_to_equilibrium": None if known_bids is None else _distance(bids[:, i], known_bids[:, i]),
                "budget": None if task.budgets is None else task.budgets[i],
                "spend": float(play.payments[:, i].mean()),
                "revenue": float(play.payments.sum(1).mean()),
                "truthful_play_revenue": float(truth.payments.sum(1).mean()),
                "user_loss": float(play.user_loss.mean()),
                "truthful_play_user_loss": float(truth.user_loss.mean()),
                "seconds": seconds,
                "steps": learned.auctions,
            }
        )
    return rows


def _equilibrium(task: LearningTask) -> list[Strategy] | None:
    game = task.game
    if task.budgets is not None:
        return budget_equilibrium(game, task.budgets)
    return closed_form_equilibrium(game.mechanism, game.substrate, game.prior)


def _means(game: AuctionGame, bids: Tensor, valuations: Tensor, context: Tensor | None) -> _PlayMeans:
    outcome = game.mechanism(bids, context)
    worth = (valuations * game.substrate.exposure(outcome.allocation, context)).sum(2)
    loss = game.substrate.user_loss(outcome.allocation, context)
    return _PlayMeans(worth - outcome.payments, worth, outcome.payments, loss)


def _regret(task: LearningTask, strategies: list[Strategy], scoring: CorpusScoring) -> _BidRegret:
    game, seed = task.game, EVALUATED + task.seed
    if task.budgets is not None:
        gains = constrained_regret(
            game, strategies, task.budgets, seed, draws=scoring.regret_draws, types=scoring.types, bids=scoring.bids
        )
        return _BidRegret(gains, None, "estimated: best of bids at a shadow price of the budget", None, None)
    estimate = ex_interim_regret(
        game.mechanism,
        game.substrate,
        game.prior,
        strategies=strategies,
        draws=scoring.regret_draws,
        generator=torch.Generator().manual_seed(seed),
        settings=InterimSettings(budget=scoring.bids, types=scoring.types),
    )
    upper = None if estimate.upper is None else tuple(estimate.upper.mean(0).tolist())
    low, high = (None, None) if estimate.interval is None else estimate.interval
    return _BidRegret(tuple(estimate.lower.mean(0).tolist()), upper, estimate.method, low, high)


def _distance(bids: Tensor, others: Tensor) -> float:
    return float((bids - others).square().mean().sqrt())


def _error(samples: Tensor) -> float:
    return float(samples.std() / len(samples) ** 0.5)
