"""Who wins where several bid the highest: the first, all of them in shares, or one that is drawn."""

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from auctionsim.mechanisms import AllPay, FirstPrice, SecondPrice, ThirdPrice, save_mechanism
from auctionsim.mechanisms.item_rule import ItemRule
from auctionsim.outcome import Outcome
from auctionsim.priors import Empirical, Uniform, product
from auctionsim.regret import BoundSettings, ex_interim_regret, ex_post_regret
from auctionsim.substrates import Items
from auctionsim.testing import check_mechanism

RULES = [FirstPrice, SecondPrice, ThirdPrice, AllPay]
F64 = torch.float64


def few_bids(bidders: int, items: int, rows: int = 200, seed: int = 0) -> Tensor:
    """Return bids of 0, 1/2 and 1: most rows tie."""
    return torch.randint(3, (rows, bidders, items), generator=torch.Generator().manual_seed(seed)).to(F64) / 2


def test_three_bidders_by_hand() -> None:
    bids = torch.tensor([[[0.5], [0.9], [0.9]], [[0.6], [0.6], [0.6]], [[0.9], [0.2], [0.1]], [[0.1], [0.1], [0.0]]])
    half, third = [0.0, 0.5, 0.5], [1 / 3] * 3
    for rule, payments in [
        (FirstPrice(0.2, ties="shared"), [[0, 0.45, 0.45], [0.2] * 3, [0.9, 0, 0], [0.0] * 3]),
        (SecondPrice(0.2, ties="shared"), [[0, 0.45, 0.45], [0.2] * 3, [0.2, 0, 0], [0.0] * 3]),
        (ThirdPrice(0.2, ties="shared"), [[0, 0.25, 0.25], [0.2] * 3, [0.2, 0, 0], [0.0] * 3]),
        (AllPay(0.2, ties="shared"), [[0.5, 0.9, 0.9], [0.6] * 3, [0.9, 0.2, 0], [0.0] * 3]),
    ]:
        outcome = rule(bids)
        torch.testing.assert_close(outcome.allocation[:, :, 0], torch.tensor([half, third, [1, 0, 0], [0, 0, 0]]))
        torch.testing.assert_close(outcome.payments, torch.tensor(payments)), rule


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("bidders", "items", "reserve"), [(2, 1, 0.0), (3, 2, 0.25), (4, 1, 0.5), (1, 2, 0.0)])
def test_shares_are_the_mean_of_draws(rule: type[ItemRule], bidders: int, items: int, reserve: float) -> None:
    bids = few_bids(bidders, items, rows=6)
    many = bids.repeat(4000, 1, 1)
    drawn = rule(reserve, ties="random", generator=torch.Generator().manual_seed(1))(many)
    shared = rule(reserve, ties="shared")(bids)
    mean = drawn.allocation.view(4000, *bids.shape).mean(0)
    assert float((mean - shared.allocation).abs().max()) < 0.04  # five standard errors
    paid = drawn.payments.view(4000, *bids.shape[:2]).mean(0)
    assert float((paid - shared.payments).abs().max()) < 0.04 * items
    assert set(drawn.allocation.unique().tolist()) <= {0.0, 1.0}
    sold = (bids.amax(1) >= reserve).to(F64)
    assert torch.equal(drawn.allocation.view(4000, *bids.shape).sum(2), sold.expand(4000, -1, -1))
    torch.testing.assert_close(shared.allocation.sum(1), sold)


@given(st.sampled_from(RULES), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0.0, 0.5]), st.integers(0, 99))
def test_without_a_tie_all_are_the_same(rule: type[ItemRule], n: int, m: int, reserve: float, seed: int) -> None:
    bids = torch.rand(5, n, m, generator=torch.Generator().manual_seed(seed), dtype=F64)
    plain = rule(reserve)(bids)
    for other in (
        rule(reserve, ties="shared")(bids),
        rule(reserve, ties="random", generator=torch.Generator().manual_seed(seed))(bids),
    ):
        assert torch.equal(plain.allocation, other.allocation)
        torch.testing.assert_close(plain.payments, other.payments, rtol=1e-15, atol=0)


def test_one_draw_a_row_and_item_whatever_is_bid() -> None:
    """So a later row's luck does not depend on whether an earlier one tied."""
    tie, plain = torch.full((1, 2, 1), 0.5, dtype=F64), torch.tensor([[[0.1], [0.7]]], dtype=F64)

    def luck(before: Tensor) -> Tensor:
        rule = FirstPrice(ties="random", generator=torch.Generator().manual_seed(5))
        rule(before.repeat(10, 1, 1))
        return rule(tie.repeat(64, 1, 1)).allocation

    assert torch.equal(luck(tie), luck(plain))
    assert 12 < float(luck(tie)[:, 0].sum()) < 52


def test_revenue_of_two_bidders_on_two_values() -> None:
    """Values 1 and 2, each half the time, truthful bids: E min = 5/4 at second price, however ties are broken."""
    prior = product(Empirical([1.0, 2.0]), 2)
    v = prior.sample(40_000, torch.Generator().manual_seed(0), F64)
    first = SecondPrice()(v).payments
    shared = SecondPrice(ties="shared")(v)
    drawn = SecondPrice(ties="random", generator=torch.Generator().manual_seed(1))(v).payments
    assert torch.equal(first.sum(1), shared.payments.sum(1))
    assert torch.equal(first.sum(1), drawn.sum(1))
    assert float(first.sum(1).mean()) == pytest.approx(1.25, abs=0.01)
    assert float((first[:, 0] - first[:, 1]).mean()) == pytest.approx(0.75, abs=0.02)  # the first wins every tie
    assert float((shared.payments[:, 0] - shared.payments[:, 1]).mean()) == pytest.approx(0.0, abs=0.02)
    assert float((drawn[:, 0] - drawn[:, 1]).mean()) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("reserve", [0.0, 0.5])
def test_a_shared_second_price_is_honest(reserve: float) -> None:
    substrate = Items(3, 2)
    rule = SecondPrice(reserve, ties="shared")
    check_mechanism(rule, substrate, dsic=True, individually_rational=True, anonymous=True, examples=10)
    v = few_bids(3, 2, rows=20)
    assert ex_post_regret(rule, substrate, v).method.startswith("proof: Vickrey")
    assert ex_post_regret(rule, substrate, v, bounds=BoundSettings(use_structure=False), budget=64).max < 1e-12


def test_regret_of_a_shared_first_price_is_what_theory_says() -> None:
    """Both value 1 and bid b: just above b the item is won whole, so the gain is (1 − b) − (1 − b)/2."""
    v, reports = torch.ones(1, 2, 1, dtype=F64), torch.full((1, 2, 1), 0.25, dtype=F64)
    found = ex_post_regret(FirstPrice(ties="shared"), Items(2), v, reports=reports)
    assert found.upper is not None
    torch.testing.assert_close(found.upper, torch.full((1, 2), 0.375, dtype=F64))
    torch.testing.assert_close(found.lower, torch.full((1, 2), 0.375, dtype=F64), atol=1e-4, rtol=0)
    by_search = ex_post_regret(
        FirstPrice(ties="shared"), Items(2), v, reports=reports, bounds=BoundSettings(use_structure=False), high=1.0
    )
    torch.testing.assert_close(by_search.lower, found.upper, atol=1e-3, rtol=0)


@pytest.mark.parametrize("rule", RULES)
def test_rules_that_draw_are_refused(rule: type[ItemRule]) -> None:
    drawing = rule(ties="random", generator=torch.Generator().manual_seed(0))
    v = torch.rand(4, 2, 1, dtype=F64, generator=torch.Generator().manual_seed(2))  # no two bids tie
    with pytest.raises(ValueError, match="says that it draws; ties='shared'"):
        ex_post_regret(drawing, Items(2), v)
    with pytest.raises(ValueError, match="says that it draws; ties='shared'"):
        ex_interim_regret(drawing, Items(2), Uniform(0, 1), valuations=v, draws=256)
    assert drawing.dsic_proof(Items(2)) is None
    copy = pickle.loads(pickle.dumps(drawing))
    tie = torch.full((50, 2, 1), 0.5)
    assert torch.equal(copy(tie).allocation, drawing(tie).allocation)


def test_wrong_words_end_in_one_sentence(tmp_path: object) -> None:
    with pytest.raises(ValueError, match="ties must be one of"):
        FirstPrice(ties="coin")
    with pytest.raises(ValueError, match="drawn from a generator"):
        FirstPrice(ties="random")
    with pytest.raises(ValueError, match="drawn from a generator"):
        FirstPrice(ties="shared", generator=torch.Generator())
    with pytest.raises(TypeError, match="first bidder only"):
        save_mechanism(SecondPrice(ties="shared"), f"{tmp_path}/rule.safetensors")


def test_a_game_is_played_with_shares() -> None:
    from auctionsim.envs import NeuronAuctionEnv

    env = NeuronAuctionEnv(
        mechanism=FirstPrice(ties="shared"), substrate=Items(2), rounds=1, opponents=lambda v: torch.full_like(v, 0.5)
    )
    seen, _ = env.reset(seed=0)
    reward, info = env.step(torch.full((1,), 0.5).numpy())[1::3]
    assert info["exposure"].item() == 0.5
    assert reward == pytest.approx((float(seen[0]) - 0.5) / 2)
    assert isinstance(env.played.round.outcome, Outcome)  # type: ignore[union-attr]
