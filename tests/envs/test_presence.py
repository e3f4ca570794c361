"""Entry and exit: an absent bidder bids 0 whatever it says, gets, pays and earns nothing, and the others play on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from auctionsim.envs import AuctionGame, NeuronAuctionVectorEnv, build_game
from auctionsim.envs.presence import EntryExit, PresenceDraws, checked_schedule
from auctionsim.envs.row_seeds import RowStreams, seeded_rows
from auctionsim.envs.wrappers import RecordAuctions
from auctionsim.mechanisms import AllPay, FirstPrice, SecondPrice
from auctionsim.outcome import Outcome
from auctionsim.priors import Uniform
from auctionsim.substrates import Items
from auctionsim.tables import read_parquet
from tests.envs.five_faces import BID, FIVE_FACES

SCHEDULE = [[1, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 0]]
BIDS = torch.tensor([[[0.75], [0.5], [0.25]]])


def played(game: AuctionGame, bids: Tensor = BIDS) -> list[Any]:
    state = game.draw(1, torch.Generator().manual_seed(0))
    rounds = []
    for _ in range(game.rounds):
        state, happened = game.step(state, bids)
        rounds.append(happened)
    return rounds


def test_the_second_price_is_among_those_who_are_there() -> None:
    """Who is absent neither wins nor sets a price; with nobody there nothing is sold."""
    game = AuctionGame(SecondPrice(), Items(3), Uniform(0, 1), rounds=4, presence=SCHEDULE)
    rounds = played(game)
    assert [one.outcome.payments[0].tolist() for one in rounds] == [[0.25, 0, 0], [0, 0.25, 0], [0.5, 0, 0], [0, 0, 0]]
    assert [one.exposure[0, :, 0].tolist() for one in rounds] == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert [one.present[0].tolist() for one in rounds] == [[bool(one) for one in row] for row in SCHEDULE]
    assert all(torch.equal(one.asked, BIDS) for one in rounds)
    assert not any(bool(one.throttled.any()) for one in rounds)  # absent is not lowered by a limit


def fee(bids: Tensor, context: Tensor | None = None) -> Outcome:
    """Charge everybody an eighth beside the bid, also for a bid of 0, and give bidder 0 the item."""
    del context
    allocation = torch.zeros_like(bids)
    allocation[:, 0] = 1
    return Outcome(allocation, bids[:, :, 0] + 0.125)


def test_nothing_is_charged_and_nothing_earned_under_any_rule_and_utility() -> None:
    game = AuctionGame(fee, Items(3), Uniform(0, 1), rounds=4, presence=SCHEDULE, utility=lambda v, t: v - t + 5)
    rounds = played(game)
    for one, row in zip(rounds, SCHEDULE, strict=True):
        absent = torch.tensor(row) == 0
        assert bool((one.outcome.payments[0, absent] == 0).all())
        assert bool((one.rewards[0, absent] == 0).all())
        assert bool((one.exposure[0, absent] == 0).all())
        assert bool((one.bids[0, absent] == 0).all())
        assert bool((one.outcome.payments[0, ~absent] >= 0.125).all())
    assert float(rounds[0].outcome.payments.sum()) == 0.875 + 0.375


def test_budgets_are_spent_only_by_who_is_there() -> None:
    game = AuctionGame(AllPay(), Items(3), Uniform(0, 1), rounds=4, presence=SCHEDULE, budgets=[1.0, 0.5, 0.625])
    rounds = played(game)
    assert [one.budget_left[0].tolist() for one in rounds] == [
        [0.25, 0.5, 0.375],
        [0.25, 0.0, 0.125],
        [0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0],
    ]


def test_entry_and_exit_are_a_chain_with_the_probabilities_that_are_named() -> None:
    """Frequencies of moves within 5 standard errors, from counted rows; presence at first is the chain's own share."""
    chain = EntryExit(entry=[0.2, 0.5, 1.0], exit=[0.4, 0.5, 0.0])
    draws = PresenceDraws(chain, 40, 3)
    streams = RowStreams(600)
    streams.seed(range(600), seeded_rows(range(600)))
    there = draws.rows(streams.begin(range(600))).double()
    before, after = there[:, :-1], there[:, 1:]
    for bidder, (entry, leave) in enumerate(zip((0.2, 0.5), (0.4, 0.5), strict=True)):
        absent, present = before[..., bidder] == 0, before[..., bidder] == 1
        for rate, moved in (
            (entry, after[..., bidder][absent]),
            (leave, 1 - after[..., bidder][present]),
            (entry / (entry + leave), there[:, 0, bidder]),
        ):
            error = (rate * (1 - rate) / len(moved)) ** 0.5
            assert abs(float(moved.mean()) - rate) < 5 * error
    assert bool((there[..., 2] == 1).all())
    generated = draws.batch(600, torch.Generator().manual_seed(1)).double()
    assert abs(float(generated[..., 0].mean()) - 1 / 3) < 0.02
    assert bool((PresenceDraws(EntryExit(0.0, 1.0, start=1.0), 3, 2).rows(streams.begin([0]))[0, 1:] == 0).all())


def test_a_row_is_the_same_alone_and_valuations_do_not_move() -> None:
    game = build_game("first-price", rounds=5, presence={"entry": 0.5, "exit": 0.25})
    plain = build_game("first-price", rounds=5)
    streams = [RowStreams(4) for _ in range(3)]
    for each in streams:
        each.seed(range(4), seeded_rows(range(4)))
    together, without = game.draw_rows(streams[0].begin(range(4))), plain.draw_rows(streams[1].begin(range(4)))
    assert torch.equal(together.valuations, without.valuations)
    assert bool(without.present.all())
    for row in range(4):
        alone = game.draw_rows(streams[2].begin([row]))
        assert torch.equal(alone.present[0], together.present[row])
    assert not bool(together.present.all())


def test_every_face_shows_who_is_there() -> None:
    options: dict[str, Any] = {"setting": "first-price", "rounds": 4, "presence": [[1, 0], [0, 1], [1, 1], [0, 0]]}
    first, *others = (face(2, 2, **options) for face in FIVE_FACES)
    assert first.observations.shape[1] == 4
    assert first.observations[:, 3].tolist() == [1, 0, 1, 0] * 2
    assert [bool(info["present"]) for info in first.infos] == [True, False, True, False] * 2
    assert [float(info["payment"]) for info in first.infos] == [BID, 0.0, BID, 0.0] * 2
    for other in others:
        np.testing.assert_array_equal(other.observations, first.observations)
        np.testing.assert_allclose(other.rewards, first.rewards, rtol=1e-6)
        assert [bool(info["present"]) for info in other.infos] == [bool(info["present"]) for info in first.infos]


def test_a_recording_says_who_was_there(tmp_path: Path) -> None:
    env = NeuronAuctionVectorEnv(2, "first-price", rounds=2, presence=[[1, 0], [1, 1]])
    with RecordAuctions(env, tmp_path / "a.parquet") as recorded:
        recorded.reset(seed=0)
        for _ in range(2):
            recorded.step(np.full((2, 1), 0.5, np.float32))
    rows = read_parquet(tmp_path / "a.parquet").records()
    assert [(row["round"], row["bidder"]) for row in rows if not row["present"]] == [(0, 1), (0, 1)]


@pytest.mark.parametrize(
    ("presence", "sentence"),
    [
        ([[1, 1]], r"2 rows of 2 truth values, one a round and bidder, got shape \(1, 2\)"),
        ([[1, 1], [1]], "got rows of different lengths"),
        ([[1, 1], [1, 2]], r"got \[\[1, 1\], \[1, 2\]\]"),
        ({"entry": 1.5, "exit": 0.5}, "a probability of entry must be a number in"),
        ({"entry": [0.5] * 3, "exit": 0.5}, "entry must be one probability or one a bidder"),
    ],
)
def test_what_is_no_presence_is_refused(presence: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build_game("first-price", rounds=2, presence=presence)


def test_what_is_no_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="2 rows of 2 truth values"):
        checked_schedule([["yes", "no"], ["yes", "no"]], 2, 2)
    with pytest.raises(TypeError, match="must be an EntryExit or a schedule of rounds, got str"):
        checked_schedule("always", 2, 2)


def test_presence_is_seen_where_bidders_may_be_absent_only() -> None:
    with pytest.raises(ValueError, match="observe must name some of"):
        build_game("first-price", observe=("valuation", "present"))
    assert "present" in AuctionGame(FirstPrice(), Items(2), Uniform(0, 1), rounds=1, presence=[[0, 1]]).observed
