"""Budgets and return targets: what fits is never touched, what does not is lowered as little as it must be, and the
promises hold under every rule that charges nothing for a bid of 0."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from auctionsim import Outcome
from auctionsim.envs import build_game
from auctionsim.envs.constraints import Constraints, Standing, TrialRound, checked_constraint
from auctionsim.envs.game import AuctionGame, GameState
from auctionsim.envs.lone_bid import highest_that_fits
from auctionsim.envs.observations import largest_exposures
from auctionsim.mechanisms import (
    VCG,
    AffineMaximizer,
    AllPay,
    FirstPrice,
    KLTilt,
    Menu,
    MenuAuction,
    PayAsBid,
    PostedPrice,
    SecondPrice,
    ThirdPrice,
    VirtualWelfareMaximizer,
)
from auctionsim.mechanisms.generalized_prices import GeneralizedSecondPrice
from auctionsim.mechanisms.unit_auctions import UniformPrice
from auctionsim.priors import Uniform
from auctionsim.substrates import Items, Lottery, Positions, QuadraticSubstrate, Substrate, Units

F64 = torch.float64


class Grid(QuadraticSubstrate):
    """Crosstalk whose exposure depends on the context: all of it, a half, a tenth."""

    contexts = ("all", "half", "tenth")

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        whole = super().exposure(allocation)
        return whole if context is None else whole * torch.tensor([1.0, 0.5, 0.1])[context].view(-1, 1, 1)

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        share = 1.0 if context is None else torch.tensor([1.0, 0.5, 0.1])[context].view(-1, 1, 1)
        return super().maximise(weights * share, user_weight)


def menu() -> MenuAuction:
    levers = torch.tensor([0.25, 0.5, 1.0]).view(1, 3, 1).expand(2, 3, 1)
    return MenuAuction(QuadraticSubstrate(2, 0.5), Menu(levers, torch.tensor([[0.05, 0.2, 0.6], [0.1, 0.15, 0.5]])))


def affine() -> AffineMaximizer:
    steps = torch.tensor([0.0, 0.5, 1.0])
    listed = torch.cartesian_prod(steps, steps).unsqueeze(2)
    return AffineMaximizer(QuadraticSubstrate(2, 0.5), listed, -0.3 * listed.sum((1, 2)), torch.tensor([1.0, 1.5]))


def lottery() -> Lottery:
    exposures = torch.rand(5, 2, 2, generator=torch.Generator().manual_seed(3), dtype=F64)
    return Lottery(exposures, torch.zeros(5, dtype=F64))


def rules() -> dict[str, tuple[Callable[..., Outcome], Substrate]]:
    """Rules that charge the bid, less than the bid, for losing, for a place, by a list, by a tilt."""
    surface = build_game("neuron-pay-as-bid").substrate
    grid, positions, units, drawn = Grid(2, 0.25), Positions(3, (1.0, 0.5)), Units(3, 2), lottery()
    return {
        "first price": (FirstPrice(), Items(3)),
        "second price, two items": (SecondPrice(), Items(3, 2)),
        "third price, reserve": (ThirdPrice(0.25), Items(4)),
        "all-pay": (AllPay(), Items(3)),
        "all-pay, two items": (AllPay(), Items(2, 2)),
        "posted price": (PostedPrice(0.4), Items(3)),
        "generalised second price": (GeneralizedSecondPrice(positions), positions),
        "uniform price": (UniformPrice(units), units),
        "pay as bid, contexts": (PayAsBid(grid, 0.5), grid),
        "VCG, crosstalk": (VCG(QuadraticSubstrate(2, 0.25), 0.5), QuadraticSubstrate(2, 0.25)),
        "menu": (menu(), QuadraticSubstrate(2, 0.5)),
        "affine": (affine(), QuadraticSubstrate(2, 0.5)),
        "KL tilt": (KLTilt(drawn, 0.2), drawn),
        "pay as bid, surface": (PayAsBid(surface, 0.2), surface),
        "virtual welfare": (VirtualWelfareMaximizer(Items(3), Uniform(0, 1)), Items(3)),
    }


RULES = rules()


def game_of(name: str, rounds: int = 3, **options: Any) -> AuctionGame:
    mechanism, substrate = RULES[name]
    return AuctionGame(mechanism, substrate, Uniform(0, 1), rounds=rounds, with_user_loss=False, **options)


def begin(game: AuctionGame, rows: int, seed: int = 0) -> GameState:
    return game.draw(rows, torch.Generator().manual_seed(seed))


def only_first(limit: float, others: float, num_bidders: int) -> list[float]:
    return [limit] + [others] * (num_bidders - 1)


@pytest.mark.parametrize("budget", [0.1, 0.7])
@pytest.mark.parametrize("name", RULES)
def test_a_budget_takes_nothing_that_it_can_pay(name: str, budget: float) -> None:
    """The same round without a budget is the reference: where its price fits, bid and exposure are the same."""
    free = game_of(name)
    game = game_of(name, budgets=only_first(budget, 1e6, free.num_bidders))
    state = begin(game, 48)
    for _ in range(game.rounds):
        bids = 1.5 * game.valuations(state)
        _, wanted = free.step(state, bids)
        fits = (state.spent + wanted.outcome.payments)[:, 0] <= budget  # nobody else is limited
        state, played = game.step(state, bids)
        for mine, theirs in ((played.bids, bids), (played.exposure, wanted.exposure)):
            assert torch.equal(mine[fits], theirs[fits])
        assert torch.equal(played.outcome.payments[fits], wanted.outcome.payments[fits])
        assert torch.equal(played.throttled.any(1), ~fits)
        assert torch.equal(played.asked, bids)
        assert bool((state.spent[:, 0] <= budget).all())


@pytest.mark.parametrize("budget", [0.5, 0.75])
def test_the_default_auctions_wins_are_paid_for(budget: float) -> None:
    """On the packaged surface the price is far below the bid: every win that costs at most the budget is kept."""
    free, game = build_game("neuron-auction"), build_game("neuron-auction", budgets=[budget, 1e6])
    state = begin(game, 300)
    bids = torch.stack([torch.ones(300, 1), game.valuations(state)[:, 1]], 1)
    _, wanted = free.step(state, bids)
    _, played = game.step(state, bids)
    paid = wanted.outcome.payments[:, 0]
    affordable = (paid > 0) & (paid <= budget)
    assert int(affordable.sum()) > 50
    assert torch.equal(played.exposure[affordable], wanted.exposure[affordable])
    assert bool((played.outcome.payments[:, 0] <= budget).all())


@pytest.mark.parametrize("name", RULES)
def test_a_lowered_bid_is_charged_as_much_as_can_be(name: str) -> None:
    """Of a hundred factors none is charged more and still fits."""
    game = game_of(name, rounds=1, budgets=only_first(0.3, 1e6, RULES[name][1].num_bidders))
    state = begin(game, 24, seed=1)
    state = state._replace(spent=torch.linspace(0.0, 0.25, 24).unsqueeze(1).expand_as(state.spent))
    budget = 0.3 - state.spent[:, 0]
    bids = 1.5 * game.valuations(state)
    _, played = game.step(state, bids)
    factors = torch.linspace(0, 1, 101)
    tried = bids.repeat(101, 1, 1, 1)
    tried[:, :, 0] *= factors.view(-1, 1, 1)
    context = game.context(state)
    mechanism = RULES[name][0]
    paid = mechanism(tried.flatten(0, 1), None if context is None else context.repeat(101)).payments[:, 0].view(101, 24)
    best = torch.where(paid <= budget, paid, 0.0).amax(0)
    assert bool(played.throttled[:, 0].any())
    assert bool((played.outcome.payments[:, 0] <= budget + 1e-7).all())
    assert bool((played.outcome.payments[:, 0] >= best - 1e-4).all())


@pytest.mark.parametrize("name", RULES)
def test_promises_hold_for_everybody_at_once(name: str) -> None:
    """All bidders have budgets and targets, of several sizes; the sums that the episode carries keep them exactly."""
    n = game_of(name).num_bidders
    budgets, targets = [0.2, 0.6, 0.4, 2.0][:n], [1.0, 1.7, 0.5, 1.25][:n]
    both = {"budgets": budgets, "roi_targets": targets}
    slow = name in ("virtual welfare", "VCG, crosstalk")
    for options in (both,) if slow else (both, {"budgets": budgets}, {"roi_targets": targets}):
        game = game_of(name, **options)
        state, throttled = begin(game, 24, seed=2), 0
        for share in (1.0, 3.0, 2.0):
            state, played = game.step(state, share * game.valuations(state))
            throttled += int(played.throttled.sum())
            assert bool((played.bids <= played.asked).all())
            if "budgets" in options:
                assert bool((state.spent <= torch.tensor(budgets)).all())
                assert torch.equal(played.budget_left, torch.tensor(budgets) - state.spent)  # never below 0
            if "roi_targets" in options:
                assert bool((state.gained >= torch.tensor(targets) * state.spent).all())
                assert torch.equal(played.roi_slack, state.gained - torch.tensor(targets) * state.spent)
        assert throttled > 0 or name == "KL tilt"
        assert bool((state.spent.sum(1) > 0).any())


@pytest.mark.parametrize("name", RULES)
def test_a_target_takes_nothing_that_keeps_it(name: str) -> None:
    free = game_of(name)
    game = game_of(name, roi_targets=only_first(1.4, 1e-3, free.num_bidders))
    state = begin(game, 48, seed=3)
    for _ in range(game.rounds):
        v = game.valuations(state)
        _, wanted = free.step(state, 1.2 * v)
        gained = state.gained + (v * wanted.exposure).sum(2)
        keeps = (gained >= game.roi_targets * (state.spent + wanted.outcome.payments)).all(1)
        state, played = game.step(state, 1.2 * v)
        assert torch.equal(played.bids[keeps], 1.2 * v[keeps])
        assert torch.equal(played.throttled.any(1), ~keeps)


def amounts(*rows: tuple[float, ...]) -> Tensor:
    return torch.tensor(rows).unsqueeze(2)


@pytest.mark.parametrize(
    ("rule", "bids", "budgets", "cleared", "payments"),
    [
        (FirstPrice(), (1.0, 0.4), (0.5, 9.0), (0.5, 0.4), (0.5, 0.0)),  # lowered to what it has, and still wins
        (FirstPrice(), (1.0, 0.9), (0.5, 0.8), (0.5, 0.8), (0.0, 0.8)),  # the next has less than it bids, too
        (FirstPrice(), (0.4, 0.9), (0.1, 9.0), (0.4, 0.9), (0.0, 0.9)),  # who loses pays nothing, and keeps its bid
        (SecondPrice(), (1.0, 0.5), (0.5, 0.1), (1.0, 0.5), (0.5, 0.0)),  # a price that just fits
        (SecondPrice(), (1.0, 0.9), (0.5, 0.6), (0.5, 0.9), (0.0, 0.5)),  # the loser's bid is what it could pay
        (ThirdPrice(), (1.0, 0.9, 0.5), (0.5, 0.1, 0.1), (1.0, 0.9, 0.5), (0.5, 0.0, 0.0)),
        (AllPay(), (1.0, 0.9), (0.75, 0.25), (0.75, 0.25), (0.75, 0.25)),
        (PostedPrice(0.5), (1.0, 0.9), (0.25, 9.0), (0.25, 0.9), (0.0, 0.5)),
    ],
)
def test_budgets_by_hand(rule: Any, bids: Any, budgets: Any, cleared: Any, payments: Any) -> None:
    n = len(bids)
    game = AuctionGame(rule, Items(n), Uniform(0, 1), budgets=list(budgets))
    _, played = game.step(begin(game, 1), amounts(bids))
    torch.testing.assert_close(played.bids, amounts(cleared), atol=1e-5, rtol=0)
    torch.testing.assert_close(played.outcome.payments, torch.tensor([payments]), atol=1e-5, rtol=0)
    lowered = torch.tensor([cleared]) < torch.tensor([bids])
    assert torch.equal(played.throttled, lowered)


@pytest.mark.parametrize(
    ("rule", "bids", "valuations", "gained", "target", "cleared"),
    [
        (FirstPrice(), (0.9, 0.2), (0.6, 0.2), 0.0, 2.0, (0.3, 0.2)),  # v / target
        (FirstPrice(), (0.9, 0.2), (0.6, 0.2), 0.4, 2.0, (0.5, 0.2)),  # and the slack: (.6 + .4) / 2
        (SecondPrice(), (0.9, 0.8), (0.6, 0.2), 0.0, 1.5, (0.4, 0.8)),  # loses at any bid it may make: v / target
        (SecondPrice(), (0.9, 0.8), (0.6, 0.2), 0.3, 1.5, (0.6, 0.8)),  # and an even share of the slack
        (SecondPrice(), (0.9, 0.4), (0.6, 0.2), 0.0, 1.5, (0.9, 0.4)),  # the price keeps the target
        (AllPay(), (0.5, 0.8), (0.9, 0.8), 0.0, 1.0, (0.0, 0.8)),  # would lose and pay
        (AllPay(), (0.5, 0.8), (0.9, 0.8), 0.25, 1.0, (0.25, 0.8)),  # may lose what it has gained
        (AllPay(), (0.8, 0.5), (0.6, 0.5), 0.0, 1.0, (0.6, 0.5)),  # wins by less, and that keeps the target
    ],
)
def test_return_targets_by_hand(
    rule: Any, bids: Any, valuations: Any, gained: float, target: float, cleared: Any
) -> None:
    game = AuctionGame(rule, Items(2), Uniform(0, 1), roi_targets=[target, 1e-6])
    state = begin(game, 1)
    state = state._replace(
        valuations=amounts(valuations).unsqueeze(1).expand_as(state.valuations),
        gained=torch.tensor([[gained, 9.0]]),
    )
    _, played = game.step(state, amounts(bids))
    torch.testing.assert_close(played.bids, amounts(cleared), atol=1e-4, rtol=0)


def test_safe_bids_are_the_contexts_own_and_a_feature_at_a_time() -> None:
    ceilings = torch.tensor([[[1.0, 0.5]], [[0.5, 0.25]]])
    standing = Standing(
        torch.tensor([[[0.6, 0.2]]]), torch.tensor([1]), spent=torch.tensor([[0.25]]), gained=torch.tensor([[0.5]])
    )
    bids = torch.tensor([[[2.0, 1.0]]])  # at most 2 · ½ + 1 · ¼ = 1.25
    by_budget = Constraints(torch.tensor([0.5]), None, ceilings).safe_bids(standing, bids)
    torch.testing.assert_close(by_budget, 0.2 * bids)  # .25 of 1.25
    by_target = Constraints(None, torch.tensor([2.0]), ceilings).safe_bids(
        standing._replace(spent=torch.tensor([[0.0]])), bids
    )
    torch.testing.assert_close(by_target, torch.tensor([[[0.3 + 0.5 / (4 * 0.5), 0.1 + 0.5 / (4 * 0.25)]]]))
    plenty = Constraints(torch.tensor([9.0]), None, ceilings).safe_bids(standing, bids)
    assert torch.equal(plenty, bids)  # never higher
    overspent = Constraints(torch.tensor([0.125]), None, ceilings).safe_bids(standing, bids)
    assert torch.equal(overspent, torch.zeros_like(bids))
    behind = Constraints(None, torch.tensor([4.0]), ceilings).safe_bids(standing, bids)  # .5 − 4 · .25 < 0
    torch.testing.assert_close(behind, standing.valuations / 4)
    unknown = Constraints(torch.tensor([0.5]), None, torch.full_like(ceilings, torch.inf))
    assert torch.equal(unknown.safe_bids(standing, bids * torch.tensor([1.0, 0.0])), torch.zeros_like(bids))


def test_largest_exposures_are_told_by_context() -> None:
    found = largest_exposures(Grid(2, 0.25))
    torch.testing.assert_close(found, torch.tensor([1.0, 0.5, 0.1]).view(3, 1, 1).expand(3, 2, 1))
    assert largest_exposures(Items(2, 3)).shape == (1, 2, 3)


def test_a_budget_overspent_by_another_rule_leaves_nothing() -> None:
    """A fee of a quarter whatever is bid: nothing can be done, and what is left is 0, not less."""

    def fee(bids: Tensor, context: Tensor | None) -> Outcome:
        won = SecondPrice()(bids)
        return Outcome(won.allocation, won.payments + 0.25)

    game = AuctionGame(fee, Items(2), Uniform(0, 1), budgets=0.375, roi_targets=1e-3, rounds=3)
    state = begin(game, 4)
    for spent in (0.25, 0.5, 0.75):
        state, played = game.step(state, torch.full((4, 2, 1), 0.5))
        assert bool((played.outcome.payments >= 0.25).all())
        assert bool((state.spent[:, 1] == spent).all())
        assert torch.equal(played.budget_left[:, 1], torch.full((4,), max(0.375 - spent, 0.0)))
    assert bool((played.bids[:, 0] == 0).all())
    assert bool((game.observe(state) <= game.observation_high).all())


def test_whoever_has_nothing_left_may_win_what_costs_nothing() -> None:
    game = AuctionGame(SecondPrice(), Items(2), Uniform(0, 1), budgets=[0.25, 1.0])
    for spent in (0.25, 0.375):  # all of it; more, by a rule that charged for nothing
        state = begin(game, 1)._replace(spent=torch.tensor([[spent, 0.0]]))
        _, played = game.step(state, amounts((0.5, 0.0)))
        assert float(played.exposure[0, 0, 0]) == 1.0
        assert not bool(played.throttled.any())
        _, played = game.step(state, amounts((0.5, 0.125)))
        assert torch.equal(played.bids, amounts((0.0, 0.125)))


def test_a_race_of_many_ends() -> None:
    """Everybody bids far above its budget, and each lowered winner hands the item to the next: that is bounded."""
    asked: list[int] = []

    def counted(bids: Tensor, context: Tensor | None) -> Outcome:
        asked.append(len(bids))
        return FirstPrice()(bids)

    n = 8
    game = AuctionGame(counted, Items(n), Uniform(0, 1), budgets=torch.linspace(0.1, 0.45, n).tolist())
    state = begin(game, 16)
    state, _ = game.step(state, torch.linspace(1.0, 0.6, n).view(1, n, 1).expand(16, n, 1))
    assert bool((state.spent <= game.budgets).all())
    assert bool((state.spent[:, -1] > 0.449).all())  # who can pay most wins
    assert len(asked) <= 3 * 13 + 2 * n + 1


def test_in_the_usual_case_nothing_is_asked_twice() -> None:
    asked: list[int] = []

    class Counted(Grid):
        measured = 0

        def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
            type(self).measured += 1
            return super().exposure(allocation, context)

    rule = PayAsBid(Grid(2, 0.25), 0.5)

    def counted(bids: Tensor, context: Tensor | None) -> Outcome:
        asked.append(len(bids))
        return rule(bids, context)

    game = AuctionGame(counted, Counted(2, 0.25), Uniform(0, 1), budgets=50.0, roi_targets=0.5, with_user_loss=True)
    state = begin(game, 8)
    Counted.measured = 0
    _, played = game.step(state, game.valuations(state))
    assert asked == [8]
    assert Counted.measured == 1
    assert not bool(played.throttled.any())
    asked.clear()
    tight = AuctionGame(counted, Grid(2, 0.25), Uniform(0, 1), budgets=0.2, with_user_loss=False)
    _, played = tight.step(state, tight.valuations(state))
    bound = int(played.throttled.any(1).sum())
    assert 0 < bound < 8
    assert asked[0] == 8
    assert max(asked[1:]) <= 8 * 2 * bound  # only rows that are over ask again: eight bids for each bidder


def test_charges_that_are_the_bid_are_found_at_once() -> None:
    """As bid, the safe bid, eight points of which one is exact, and the round again: four calls."""
    for rule in (FirstPrice(), AllPay(), PayAsBid(Items(2))):
        asked: list[int] = []

        def counted(bids: Tensor, context: Tensor | None, rule: Any = rule, asked: list[int] = asked) -> Outcome:
            asked.append(len(bids))
            return rule(bids, context)

        game = AuctionGame(counted, Items(2), Uniform(0, 1), budgets=[0.3, 9.0])
        _, played = game.step(begin(game, 5), amounts((0.9, 0.2)).expand(5, 2, 1))
        torch.testing.assert_close(played.outcome.payments[:, 0], torch.full((5,), 0.3), atol=1e-7, rtol=0)
        assert asked == [5, 5, 40, 5]


def test_a_rule_that_is_never_satisfied_ends_at_nothing() -> None:
    """A fee that is drawn, nine times of ten, for any bid: three searches, the safe bid, 0, and no more."""
    draws, asked = torch.Generator().manual_seed(1), []

    def moody(bids: Tensor, context: Tensor | None) -> Outcome:
        asked.append(len(bids))
        fee = 0.5 * (torch.rand(len(bids), 2, generator=draws) < 0.9) * (bids.squeeze(2) > 0)
        return Outcome(torch.zeros_like(bids), fee)

    game = AuctionGame(moody, Items(2), Uniform(0, 1), budgets=[0.25, 9.0])
    state, played = game.step(begin(game, 64), torch.ones(64, 2, 1))
    assert bool((state.spent[:, 0] == 0).all())
    assert int((played.bids[:, 0] == 0).sum()) > 16
    assert len(asked) <= 3 * 13 + 2 * 2 + 1


def test_what_was_checked_is_what_happens() -> None:
    """A rule that draws: the outcome in hand is kept, so its charge fits, whatever the next draw would say."""
    draws = torch.Generator().manual_seed(0)

    def lots(bids: Tensor, context: Tensor | None) -> Outcome:
        price = torch.rand(len(bids), 2, generator=draws) * bids.squeeze(2)
        return Outcome(torch.full_like(bids, 0.5), price)

    game = AuctionGame(lots, Items(2), Uniform(0, 1), budgets=[0.75, 0.25], roi_targets=0.4, rounds=8)
    state = begin(game, 64)
    for _ in range(8):
        state, _ = game.step(state, torch.ones(64, 2, 1))
        assert bool((state.spent <= game.budgets).all())
        assert bool((state.gained >= 0.4 * state.spent).all())
    assert bool((state.spent > 0).all())


class Live(QuadraticSubstrate):
    """A "model" that shows a tenth of what its surface says, and counts how often it is asked."""

    measured = 0

    @property
    def speaks(self) -> bool:
        """What tells a live model from a table."""
        return True

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        self.__dict__["measured"] = self.measured + 1
        return super().exposure(allocation, context) / 10


def test_a_live_model_is_asked_once_and_value_is_foreseen_by_the_rules_surface() -> None:
    surface, live = QuadraticSubstrate(2, 0.5), Live(2, 0.5)
    rule = PayAsBid(surface, 0.1)
    game = AuctionGame(rule, live, Uniform(0, 1), roi_targets=1.25, budgets=0.6, rounds=4, with_user_loss=False)
    state = begin(game, 32)
    live.__dict__["measured"] = 0
    for played_rounds in range(1, 5):
        before = state
        state, played = game.step(state, game.valuations(state))
        assert live.measured == played_rounds
        foreseen = (game.valuations(before) * surface.exposure(played.outcome.allocation)).sum(2)
        assert bool((foreseen >= 1.25 * played.outcome.payments - 1e-6).all())  # each round pays its way, as foreseen
        assert bool((state.spent <= 0.6).all())
    assert bool((played.roi_slack < 0).any())  # the model showed less: the promise is about what is foreseen
    assert bool((state.spent > 0).any(1).all())  # and who is behind is not shut out
    with pytest.raises(ValueError, match="substrate of its own"):
        AuctionGame(rule.clear, live, Uniform(0, 1), roi_targets=1.0)
    for other in (FirstPrice(), PayAsBid(Items(2))):  # none; one with other features
        with pytest.raises(ValueError, match="substrate of its own"):
            AuctionGame(other, live, Uniform(0, 1), roi_targets=1.0)


def test_limits_work_where_the_largest_exposure_is_unknown() -> None:
    class Unknown(QuadraticSubstrate):
        def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
            raise NotImplementedError

    inner = QuadraticSubstrate(2, 0.25)
    game = AuctionGame(PayAsBid(inner, 0.5), Unknown(2, 0.25), Uniform(0, 1), budgets=0.3, roi_targets=1.2, rounds=6)
    state = begin(game, 32)
    for _ in range(6):
        state, _ = game.step(state, game.valuations(state))
    assert bool((state.spent <= 0.3).all())
    assert bool((state.gained >= 1.2 * state.spent).all())
    assert bool((state.spent > 0.29).any())


def test_the_search_finds_the_edge_of_each_pair() -> None:
    """Charges that rise with the bid, evenly, by a square, by a step: the highest bid with a margin ≥ 0."""
    charge = [lambda b: b, lambda b: b**2, lambda b: torch.where(b > 0.7, 2.0, 0.5 * b)]

    def fit(own: Tensor, some: Tensor) -> tuple[Tensor, Tensor]:
        paid = torch.stack([charge[int(pair)](own[:, k, 0]) for k, pair in enumerate(some)], 1)
        return 0.36 - paid, paid

    head, safe = torch.ones(3, 1), torch.full((3, 1), 0.3)
    over = fit(head.unsqueeze(0), torch.arange(3))[0][0]
    found = highest_that_fits(fit, head, safe, over, torch.full((3,), 0.36)).squeeze(1)
    torch.testing.assert_close(found, torch.tensor([0.36, 0.6, 0.7]), atol=2e-4, rtol=0)
    assert bool((fit(found.view(1, 3, 1), torch.arange(3))[0] >= 0).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shading_to_the_target_is_not_lowered_by_more_than_rounding(dtype: torch.dtype) -> None:
    """Bids of v / target under first price keep the target exactly, up to a rounding of the sums."""
    game = AuctionGame(FirstPrice(), Items(2), Uniform(0, 1), roi_targets=1.3, rounds=16, dtype=dtype)
    state = begin(game, 64)
    for _ in range(16):
        asked = game.valuations(state) / 1.3
        state, played = game.step(state, asked)
        assert bool((played.bids >= asked * (1 - 1e-3) - 1e-5).all())
        assert bool((state.gained >= 1.3 * state.spent).all())


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf"), [1.0, float("inf")], 1e39])
@pytest.mark.parametrize("what", ["budgets", "roi_targets"])
def test_limits_that_are_none_are_refused(what: str, limit: Any) -> None:
    with pytest.raises(ValueError, match=f"{what} must be > 0 and finite"):
        AuctionGame(FirstPrice(), Items(2), Uniform(0, 1), **{what: limit})


@pytest.mark.parametrize("what", ["budgets", "roi_targets"])
def test_truth_values_are_no_limits(what: str) -> None:
    limits_of = inspect.unwrap(checked_constraint)  # without the tests' own check of types
    for limit in (True, np.True_, [True, 2.0], np.array([True, False])):
        with pytest.raises(ValueError, match=f"{what} must be one number or one a bidder"):
            limits_of(limit, 2, what, torch.float32)
    for good in ((1, 2), np.array([1.0, 2.0]), torch.tensor([1.0, 2.0]), [np.float32(1), 2]):
        assert limits_of(good, 2, what, torch.float32).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("limit", [[1.0], [1.0, 2.0, 3.0], []])
@pytest.mark.parametrize("what", ["budgets", "roi_targets"])
def test_limits_of_another_shape_are_refused(what: str, limit: Any) -> None:
    with pytest.raises(ValueError, match=f"{what} must be one number or one a bidder"):
        AuctionGame(FirstPrice(), Items(2), Uniform(0, 1), **{what: limit})


def test_margins_are_what_a_round_leaves() -> None:
    constraints = Constraints(torch.tensor([1.0, 1.0]), torch.tensor([2.0, 2.0]), torch.ones(1, 2, 1))
    standing = Standing(
        torch.tensor([[[0.5], [1.0]]]), None, spent=torch.tensor([[0.25, 0.5]]), gained=torch.tensor([[1.0, 0.5]])
    )
    trial = TrialRound(Outcome(torch.ones(1, 2, 1), torch.tensor([[0.5, 0.375]])), torch.ones(1, 2, 1))
    # .75 − .5 left, 1.5 − 2 · .75 of slack; .5 − .375 left, and behind by .5, but the round alone brings 1 − .75
    torch.testing.assert_close(constraints.margins(standing, trial), torch.tensor([[0.0, 0.125]]))
