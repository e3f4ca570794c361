"""The pure game: what is seen, what is earned, what budgets and ROI targets promise, one call a step."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from auctionsim import Outcome
from auctionsim.envs.game import AuctionGame, GameState
from auctionsim.envs.observations import largest_exposure
from auctionsim.envs.settings import build_game
from auctionsim.mechanisms import VCG, Menu, MenuAuction, MenuNetwork, PayAsBid
from auctionsim.priors import Uniform
from auctionsim.substrates import BaseSubstrate, Items, Lever, Observation, QuadraticSubstrate


class TwoContexts:
    """Items whose exposure is halved in the second context; counts how often it is asked."""

    num_bidders = 2
    features = ("item_0",)
    levers = (Lever("item_0", 0.0, 1.0, 0.0),)
    contexts = ("direct", "loose")

    def __init__(self) -> None:
        self.items = Items(2)
        self.asked = 0

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        return self.items.null_allocation(batch, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        return self.items.feasible(allocation)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        self.asked += 1
        share = torch.tensor(0.75) if context is None else torch.tensor([1.0, 0.5])[context].view(-1, 1, 1)
        return allocation * share

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        return allocation.new_zeros(len(allocation))

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        return self.items.maximise(weights, user_weight)


def play(game: AuctionGame, state: GameState, share: float) -> tuple[GameState, Tensor]:
    total = torch.zeros(len(state.round), game.num_bidders)
    for _ in range(game.rounds):
        state, played = game.step(state, share * game.valuations(state))
        total = total + played.rewards
    return state, total


def test_rewards_are_the_closed_form_of_second_price(generator: torch.Generator) -> None:
    game = AuctionGame(VCG(Items(2)), Items(2), Uniform(0, 1), rounds=3)
    state = game.draw(64, generator)
    for played_rounds in range(3):
        v = game.valuations(state)
        state, played = game.step(state, v)
        won, lost = v.squeeze(2).max(1).values, v.squeeze(2).min(1).values
        torch.testing.assert_close(played.rewards.max(1).values, won - lost)
        torch.testing.assert_close(played.outcome.payments.sum(1), lost)
        assert bool((played.over == (played_rounds == 2)).all())


def test_one_call_of_the_substrate_a_step(generator: torch.Generator) -> None:
    substrate = TwoContexts()
    game = AuctionGame(VCG(Items(2)), substrate, Uniform(0, 1), rounds=2, with_user_loss=False)

    def mechanism(bids: Tensor, context: Tensor | None) -> Outcome:
        return VCG(Items(2))(bids)

    game.mechanism = mechanism
    state = game.draw(32, generator)
    substrate.asked = 0
    game.step(state, game.valuations(state))
    assert substrate.asked == 1


def test_a_model_that_answers_both_at_once_is_asked_once(generator: torch.Generator) -> None:
    class Live(TwoContexts, BaseSubstrate):
        def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
            return Observation(self.exposure(allocation, context), {"loss": torch.full((len(allocation),), 0.5)})

    substrate = Live()
    game = AuctionGame(lambda bids, _context: VCG(Items(2))(bids), substrate, Uniform(0, 1), rounds=2)
    state = game.draw(32, generator)
    substrate.asked = 0
    _, played = game.step(state, game.valuations(state))
    assert substrate.asked == 1
    assert played.user_loss is not None
    assert bool((played.user_loss == 0.5).all())


def test_contexts_are_drawn_seen_and_paid_by(generator: torch.Generator) -> None:
    substrate = TwoContexts()
    game = AuctionGame(VCG(substrate), substrate, Uniform(0, 1), rounds=8)
    state = game.draw(32, generator)
    assert set(state.contexts.unique().tolist()) == {0, 1}
    one_hot = game.observe(state)[:, 0, 1:3]
    assert torch.equal(one_hot.argmax(1), state.contexts[:, 0])
    _, played = game.step(state, game.valuations(state))
    top = played.exposure.sum((1, 2))
    assert torch.equal(top, torch.tensor([1.0, 0.5])[state.contexts[:, 0]])


def test_observations_are_this_round_and_the_last(generator: torch.Generator) -> None:
    game = AuctionGame(
        PayAsBid(Items(3)), Items(3), Uniform(0, 2), observe=("round", "last_payment", "last_exposure", "valuation")
    )
    state = game.draw(5, generator)
    assert torch.equal(game.observe(state)[..., :3], torch.zeros(5, 3, 3))
    assert torch.equal(game.observe(state)[..., 3:], state.valuations[:, 0])
    after, played = game.step(state, game.valuations(state) / 2)
    seen = game.observe(after)
    assert bool((seen[..., 0] == 1 / 16).all())
    assert torch.equal(seen[..., 1], played.outcome.payments)
    assert torch.equal(seen[..., 2:3], played.exposure)
    assert torch.equal(seen[..., 3:], state.valuations[:, 1])
    assert bool(((seen >= game.observation_low) & (seen <= game.observation_high)).all())


def test_a_fixed_menu_is_seen_entry_by_entry(generator: torch.Generator) -> None:
    offered = Menu(torch.tensor([[[0.5], [1.0]], [[0.25], [0.75]]]), torch.tensor([[0.5, 0.125], [0.0, 0.25]]))
    game = AuctionGame(
        MenuAuction(QuadraticSubstrate(2), offered), QuadraticSubstrate(2), Uniform(0, 1), observe=("menu", "valuation")
    )
    seen = game.observe(game.draw(3, generator))
    assert seen.shape == (3, 2, 7)
    mine = [1.0, 1.0, 0.125, 0.5, 0.5, 0.5]  # by price: lever, exposure at the others' null, price
    assert torch.equal(seen[:, 0, :6], torch.tensor(mine).expand(3, 6))
    assert torch.equal(seen[0, 1, :6], torch.tensor([0.25, 0.25, 0.0, 0.75, 0.75, 0.25]))
    assert bool(((seen >= game.observation_low) & (seen <= game.observation_high)).all())
    for mechanism in (
        VCG(QuadraticSubstrate(2)),
        MenuAuction(QuadraticSubstrate(2), MenuNetwork(QuadraticSubstrate(2), entries=2)),
    ):
        with pytest.raises(ValueError, match="fixed before the bids"):
            AuctionGame(mechanism, QuadraticSubstrate(2), Uniform(0, 1), observe=("menu",))


def test_a_menu_is_seen_in_the_rounds_context(generator: torch.Generator) -> None:
    game = build_game("neuron-menu", observe=("context", "menu"))
    state = game.draw(16, generator)
    seen = game.observe(state)
    for row in range(16):
        context = int(state.contexts[row, 0])
        assert int(seen[row, 0, :3].argmax()) == context
        alone = game.mechanism.priced_menus(torch.zeros(1, 2, 1, dtype=torch.float64), context)
        torch.testing.assert_close(seen[row, 1, 6::4], alone.prices[0, 1, 1:].float())
    assert len(state.contexts[:, 0].unique()) > 1
    assert bool(((seen >= game.observation_low) & (seen <= game.observation_high)).all())


def test_persistent_valuations_last_an_episode(generator: torch.Generator) -> None:
    game = AuctionGame(VCG(Items(2)), Items(2), Uniform(0, 1), rounds=4, persistent=True)
    state = game.draw(7, generator)
    assert torch.equal(state.valuations, state.valuations[:, :1].expand(7, 4, 2, 1))
    assert len(state.valuations.unique()) == 14


@settings(max_examples=12)
@given(budget=st.sampled_from([0.25, 0.5, 1.5]), share=st.sampled_from([0.5, 1.0, 2.0]), n=st.integers(1, 3))
def test_a_budget_is_never_overspent(budget: float, share: float, n: int) -> None:
    substrate = QuadraticSubstrate(n, crosstalk=0.25)
    game = AuctionGame(PayAsBid(substrate, 0.5), substrate, Uniform(0, 1), rounds=8, budgets=budget)
    end, _ = play(game, game.draw(8, torch.Generator().manual_seed(1)), share)
    assert bool((end.spent <= budget * (1 + 1e-5)).all())
    free = AuctionGame(PayAsBid(substrate, 0.5), substrate, Uniform(0, 1), rounds=8)
    unlimited, _ = play(free, free.draw(8, torch.Generator().manual_seed(1)), share)
    assert bool((end.spent <= unlimited.spent + 8 * 1e-5 + budget).all())
    if share == 2.0 and budget == 0.25 and n == 1:
        assert bool((end.spent < unlimited.spent).all())  # the limit binds


@settings(max_examples=25)
@given(target=st.sampled_from([1.0, 1.5, 3.0]), share=st.sampled_from([0.5, 1.0, 2.0]))
def test_an_roi_target_is_kept(target: float, share: float) -> None:
    game = AuctionGame(PayAsBid(Items(2)), Items(2), Uniform(0, 1), rounds=12, roi_targets=target)
    state = game.draw(16, torch.Generator().manual_seed(2))
    for _ in range(12):
        state, _ = game.step(state, share * game.valuations(state))
        assert bool((state.gained >= target * state.spent - 1e-4).all())
    assert bool((state.spent.sum(1) > 0).all())


def test_limits_far_away_change_nothing(generator: torch.Generator) -> None:
    plain = AuctionGame(PayAsBid(Items(2)), Items(2), Uniform(0, 1))
    limited = AuctionGame(PayAsBid(Items(2)), Items(2), Uniform(0, 1), budgets=[99.0, 99.0], roi_targets=1e-3)
    state = plain.draw(8, generator)
    bids = plain.valuations(state)
    assert torch.equal(plain.step(state, bids)[1].rewards, limited.step(state, bids)[1].rewards)
    assert limited.observed == (*plain.observed, "budget", "roi_slack", "round")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"observe": ("valuation", "weather")}, "observe must name"),
        ({"observe": ("budget",)}, "observe must name"),
        ({"observe": ()}, "observe must name"),
        ({"observe": ("context",)}, "no contexts"),
        ({"rounds": 0}, "rounds must be"),
        ({"budgets": 0.0}, "budgets must be > 0"),
        ({"budgets": [1.0, 1.0, 1.0]}, "one a bidder"),
        ({"roi_targets": -1.0}, "roi_targets must be > 0"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        AuctionGame(VCG(Items(2)), Items(2), Uniform(0, 1), **options)


def test_bad_bids_and_foreign_allocations_are_refused(generator: torch.Generator) -> None:
    game = AuctionGame(VCG(Items(2)), Items(2), Uniform(0, 1))
    state = game.draw(1, generator)
    for bad in (-1.0, torch.nan, torch.inf):
        with pytest.raises(ValueError, match="finite and >= 0"):
            game.step(state, torch.full((1, 2, 1), bad))
    game.mechanism = VCG(Items(2, 1))
    game.step(state, torch.ones(1, 2, 1))
    game.mechanism = lambda bids, _context: Outcome(torch.zeros(len(bids), 2, 3), torch.zeros(len(bids), 2))
    with pytest.raises(ValueError, match="another substrate"):
        game.step(state, torch.ones(1, 2, 1))


def test_largest_exposure_is_reached_and_never_passed(generator: torch.Generator) -> None:
    assert torch.allclose(largest_exposure(Items(3, 2)), torch.ones(3, 2))
    assert torch.allclose(largest_exposure(QuadraticSubstrate(2, 0.5)), torch.ones(2, 1))
    assert torch.allclose(largest_exposure(TwoContexts()), torch.ones(2, 1))
    assert bool(torch.isinf(largest_exposure(QuadraticSubstrate(9, 0.1))).all())  # too many faces: it cannot tell


def test_utility_is_an_argument(generator: torch.Generator) -> None:
    game = AuctionGame(
        PayAsBid(Items(2)), Items(2), Uniform(0, 1), utility=lambda value, payment: (value - payment).sqrt()
    )
    state = game.draw(8, generator)
    _, played = game.step(state, game.valuations(state) / 4)
    torch.testing.assert_close(played.rewards.amax(1), (game.valuations(state).amax((1, 2)) * 0.75).sqrt())


def test_what_is_no_outcome_is_refused() -> None:
    """A rule of one's own that answers wrongly ends in a sentence, with limits and without."""

    def nothing(bids: Tensor, context: Tensor | None) -> Tensor:
        return bids

    def summed(bids: Tensor, context: Tensor | None) -> Outcome:
        return Outcome(torch.zeros_like(bids), bids.sum((1, 2)))

    def endless(bids: Tensor, context: Tensor | None) -> Outcome:
        return Outcome(torch.zeros_like(bids), bids.sum(2) / 0)

    for budgets in (None, 0.5):
        for rule, error, sentence in (
            (nothing, TypeError, "a mechanism must return an auctionsim.Outcome"),
            (summed, ValueError, r"payments must be one a row and bidder, \(4, 2\), got \(4,\)"),
            (endless, ValueError, "payments must be finite"),
        ):
            game = AuctionGame(rule, Items(2), Uniform(0, 1), budgets=budgets)  # type: ignore[arg-type]
            state = game.draw(4, torch.Generator().manual_seed(0))
            with pytest.raises(error, match=sentence):
                game.step(state, game.valuations(state))
