"""Learned bids under a budget: how much may be spent, what the equilibrium is, and what bids of equal spend would gain.

A budget here holds on average: so much money per auction. A bidder's constrained best reply maximises its utility less
its spend at a shadow price, b(v) = argmax v e(b) − (1 + μ) t(b), at the least μ ≥ 0 at which it spends no more than it
may. Multipliers of valuations are of that form under second price, and not in general: what is gained above them is
what pacing by a multiplier loses.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.agents import Shading, Strategy
from auctionsim.agents.best_response import mean_outcomes
from auctionsim.claims import behaves_as
from auctionsim.envs import AuctionGame
from auctionsim.errors import InputError
from auctionsim.market.equilibria import first_price_multiplier, second_price_multiplier
from auctionsim.mechanisms import FirstPrice, SecondPrice
from auctionsim.priors import Uniform
from auctionsim.scoring import draw_profiles
from auctionsim.strategies import Situation, bids_of, played
from auctionsim.substrates import Items
from auctionsim.substrates.protocol import contexts_of

SHARE = 0.5
"""Of what a bidder spends where all tell the truth: its budget."""
DRAWS = 1 << 16  # that this spend is taken over
HALVINGS = 40  # of the shadow price's interval
MOST = 1e3  # largest shadow price: nothing is bought


class _Payoffs(NamedTuple):
    """What bids bring against the others' play.

    Attributes:
        exposure: (context, bid).
        payment: (context, bid).
    """

    exposure: Tensor
    payment: Tensor


def budgets_of(game: AuctionGame) -> tuple[float, ...]:
    """Return each bidder's budget, money per auction: `SHARE` of what it spends where all tell the truth.

    Raises:
        ValueError: Somebody spends nothing.
    """
    valuations, context = draw_profiles(game.substrate, game.prior, DRAWS, 0)
    spend = game.mechanism(valuations, context).payments.mean(0)
    if not bool((spend > 0).all()):
        raise InputError(f"a budget is a share of what truthful bidders spend, and somebody spends nothing: {spend}")
    return tuple((SHARE * spend).tolist())


def budget_equilibrium(game: AuctionGame, budgets: Sequence[float]) -> list[Strategy] | None:
    """Return the equilibrium of bidders who all pace by a multiplier, where it is known; else None.

    One item, n bidders U[0, 1] of one budget per auction, first or second price (`auctionsim.market.equilibria`).
    """
    rule: Any = game.mechanism
    one_item = behaves_as(game.substrate, Items) and game.num_features == 1
    alike = all(game.prior.marginal(i) == Uniform(0.0, 1.0) for i in range(game.num_bidders))
    if not one_item or not alike or not behaves_as(rule, FirstPrice, SecondPrice) or rule.reserve != 0:
        return None
    closed = first_price_multiplier if behaves_as(rule, FirstPrice) else second_price_multiplier
    budget = sum(budgets) / len(budgets)  # equal but for the draws that they are taken over
    return [Shading(closed(game.num_bidders, budget))] * game.num_bidders


@torch.no_grad()
def constrained_regret(
    game: AuctionGame,
    strategies: Sequence[Strategy],
    budgets: Sequence[float],
    seed: int,
    *,
    draws: int,
    types: int,
    bids: int,
) -> tuple[float, ...]:
    """Estimate what each bidder would gain by the best bids that spend no more than its own or its budget.

    Deviations are chosen, shadow price included, on one half of the draws of the others and scored on the other half,
    so the estimate is unbiased for what was chosen and can be negative; bids are a lattice and the bidder's own. On
    the other half a deviation may spend a little more or less than it may.

    Args:
        game: One feature; single rounds.
        strategies: One a bidder.
        budgets: (bidder,) money per auction.
        seed: Of the draws.
        draws: Of the others, in each context, half to choose and half to score.
        types: Valuations of the bidder, one from the middle of each of as many equally likely strata.
        bids: Of the lattice.
    Raises:
        ValueError: Several features.
    """
    if game.num_features != 1:
        raise InputError(f"bids under a budget are for one feature, got {game.num_features}")
    generator = torch.Generator().manual_seed(seed)
    levels = (torch.arange(types, dtype=torch.float64) + 0.5) / types
    contexts: list[int | None] = [*range(len(contexts_of(game.substrate)))] or [None]
    valuations = game.prior.quantile(levels.view(-1, 1, 1).expand(types, game.num_bidders, 1))
    gains = []
    for i in range(game.num_bidders):
        v = valuations[:, i]
        own = torch.stack([bids_of(strategies[i], v, _situation(c, types)) for c in contexts])
        lattice = torch.linspace(0, float(game.prior.high[i, 0]), bids, dtype=torch.float64).view(1, -1, 1)
        tried = torch.cat([own, lattice.expand(len(contexts), bids, 1)], dim=1)  # (context, bid, 1)
        fields = [_fields(game, strategies, contexts, draws // 2, generator) for _ in range(2)]
        best = _constrained_replies(_payoffs(game, i, tried, fields[0], contexts), v.squeeze(1), budgets[i])
        pair = torch.cat([own, tried.gather(1, best.unsqueeze(2))], dim=1)
        scored = _payoffs(game, i, pair, fields[1], contexts)
        utility = v.squeeze(1).repeat(2) * scored.exposure - scored.payment
        gains.append(float((utility[:, types:] - utility[:, :types]).mean()))
    return tuple(gains)


def _situation(context: int | None, rows: int) -> Situation:
    return Situation(context=None if context is None else torch.full((rows,), context))


def _fields(
    game: AuctionGame,
    strategies: Sequence[Strategy],
    contexts: Sequence[int | None],
    draws: int,
    generator: torch.Generator,
) -> list[Tensor]:
    """Return drawn profiles of bids (draw, bidder, 1) in each context."""
    return [
        played(strategies, game.prior.sample(draws, generator, torch.float64), _situation(c, draws).context)
        for c in contexts
    ]


def _payoffs(
    game: AuctionGame, bidder: int, bids: Tensor, fields: Sequence[Tensor], contexts: Sequence[int | None]
) -> _Payoffs:
    """Return what (context, bid, 1) bids bring, each against the profiles of its context."""
    parts = [
        mean_outcomes(game.mechanism, game.substrate, field, _situation(c, len(field)).context, bidder=bidder, bids=own)
        for own, field, c in zip(bids, fields, contexts, strict=True)
    ]
    return _Payoffs(torch.stack([e.squeeze(1) for e, _ in parts]), torch.stack([t for _, t in parts]))


def _constrained_replies(payoffs: _Payoffs, valuations: Tensor, budget: float) -> Tensor:
    """Return the places (context, type) of the best bids that spend no more than the own ones, or than the budget.

    The own bids are the first, one a type.
    """
    types = len(valuations)
    allowed = max(budget, float(payoffs.payment[:, :types].mean()))

    def reply(price: float) -> Tensor:
        worth = valuations.view(1, -1, 1) * payoffs.exposure.unsqueeze(1) - (1 + price) * payoffs.payment.unsqueeze(1)
        return worth.argmax(2)

    def spend(places: Tensor) -> float:
        return float(payoffs.payment.gather(1, places).mean())

    if spend(reply(0.0)) <= allowed:
        return reply(0.0)
    low, high = 0.0, MOST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if spend(reply(middle)) > allowed else (low, middle)
    return reply(high)
