"""Pacing controllers in a repeated auction with a budget: their average multiplier, when they have average."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from auctionsim.agents import Shading
from auctionsim.agents.pacing import controller
from auctionsim.envs import AuctionGame
from auctionsim.experiments.learners.registry import CorpusLearner, LearnedPlay, LearningTask, register
from auctionsim.market import CampaignTerms, Orders, TickNews, TickStart

TICKS, AUCTIONS = 480, 256
"""Of a repeated auction at full effort: times at which bids are set, and auctions between two of them."""
WINDOW = (0.5, 0.9)
"""Shares of the ticks between which multipliers are averaged: settled, and before anybody's money ends."""


class _TickOutcome(NamedTuple):
    """What a tick of auctions gave each bidder, in money and in the unit of what is sold.

    `ended` is the share of the tick after which its money had ended, NaN where it had not.
    """

    spend: np.ndarray
    value: np.ndarray
    exposure: np.ndarray
    ended: np.ndarray


def pace(task: LearningTask, name: str) -> LearnedPlay:
    """Let every bidder pace its truthful bid by a controller; the strategy is its mean multiplier once it has settled.

    One budget holds for all auctions together, a day of the controller. A bidder that would spend more than is left
    bids nothing from that auction on, and what is left by then, less than one payment, is lost.
    """
    assert task.budgets is not None
    bidders, ticks = controller(name), task.updates(TICKS)
    budget = np.array(task.budgets) * ticks * AUCTIONS
    left, present = budget.copy(), np.ones(len(budget), dtype=bool)
    terms = CampaignTerms(budget=budget, target=np.zeros_like(budget), ticks_per_day=ticks)
    generator, state = torch.Generator().manual_seed(task.seed), bidders.begin(terms)
    multipliers = []
    for tick in range(ticks):
        orders = bidders.orders(state, terms, TickStart(0, tick, left, present))
        taking = left > 0
        outcome = _play_tick(task, orders, left, generator)
        left = np.where(np.isnan(outcome.ended), left - outcome.spend, 0.0)
        news = TickNews(
            day=0,
            tick=tick,
            spend=outcome.spend,
            value=outcome.value,
            exposure=outcome.exposure,
            auctions=AUCTIONS * orders.participation,
            budget_left=left,
            present=present,
            taking=taking,
            ended=outcome.ended,
            multiplier=orders.multiplier,
            participation=orders.participation,
        )
        state = bidders.learn(state, terms, news)
        multipliers.append(orders.multiplier)
    first, last = (int(share * ticks) for share in WINDOW)
    average = np.mean(multipliers[first : max(last, first + 1)], axis=0)
    return LearnedPlay([Shading(float(one)) for one in average], ticks * AUCTIONS)


@torch.no_grad()
def _play_tick(task: LearningTask, orders: Orders, left: np.ndarray, generator: torch.Generator) -> _TickOutcome:
    """Clear a tick's auctions; whoever would spend more than is left is out from that auction on."""
    game = task.game
    valuations = game.prior.sample(AUCTIONS, generator, torch.float64)
    context = torch.randint(task.contexts, (AUCTIONS,), generator=generator) if task.contexts else None
    joins = torch.rand(AUCTIONS, game.num_bidders, generator=generator) < torch.from_numpy(orders.participation)
    bids = valuations * (torch.from_numpy(orders.multiplier) * joins).unsqueeze(2)
    ended = np.full(game.num_bidders, np.nan)
    while True:
        payments, exposure = _cleared(game, bids, context)
        over = (payments.cumsum(0) > torch.from_numpy(left)) & (payments > 0)
        if not bool(over.any()):
            break
        first = int(over.any(1).nonzero()[0])
        bids[first:, over[first]] = 0.0
        ended[over[first].numpy()] = first / AUCTIONS
    value = (valuations * exposure).sum((0, 2))
    return _TickOutcome(payments.sum(0).numpy(), value.numpy(), exposure.sum((0, 2)).numpy(), ended)


def _cleared(game: AuctionGame, bids: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    outcome = game.mechanism(bids, context)
    return outcome.payments, game.substrate.exposure(outcome.allocation, context)


def _learner(name: str, label: str, moves: str) -> CorpusLearner:
    learn: Callable[[LearningTask], LearnedPlay] = partial(pace, name=name)
    summary = f"bids a multiple of the valuation that {moves}; budget: half of what truth spends"
    return CorpusLearner(f"pacing-{name}", label, summary, learn, budgeted=True)


register(_learner("multiplicative", "multiplicative pacing", "is multiplied up below the budget and down above it"))
register(_learner("adaptive", "adaptive pacing", "follows the price of the budget by dual descent"))
