"""Contexts of rounds: weights are probabilities, streams go on from episode to episode, and every face plays them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from auctionsim.envs import AuctionGame, NeuronAuctionEnv, build_game
from auctionsim.envs.contexts import ContextDraws, recorded_contexts
from auctionsim.envs.row_seeds import RowStreams, seeded_rows
from auctionsim.envs.wrappers import RecordAuctions
from auctionsim.mechanisms import PayAsBid
from auctionsim.priors import Uniform
from tests.envs.five_faces import FIVE_FACES
from tests.two_contexts import TwoContexts

PLACE = TwoContexts()
GAME: dict[str, Any] = {"mechanism": PayAsBid(PLACE), "substrate": PLACE, "priors": Uniform(0, 1), "rounds": 3}
STREAM = ["both", "alone", "alone", "both", "alone"]


def contexts_of_rows(game: AuctionGame, rows: int, episodes: int = 1, seed: int = 0) -> torch.Tensor:
    streams = RowStreams(rows)
    streams.seed(range(rows), seeded_rows(range(seed, seed + rows)))
    return torch.cat([game.draw_rows(streams.begin(range(rows))).contexts for _ in range(episodes)], dim=1)


@pytest.mark.parametrize("weights", [[1.0, 3.0], {"both": 0.75, "alone": 0.25}])
def test_weights_are_probabilities(weights: Any) -> None:
    """A binomial test at 1e-6, on rows that are drawn by counting and on a generator's."""
    game = build_game(**GAME, context_weights=weights)
    for drawn in (
        contexts_of_rows(game, 4000),
        game.draw(4000, torch.Generator().manual_seed(0)).contexts,
    ):
        assert stats.binomtest(int(drawn.sum()), drawn.numel(), 0.75).pvalue > 1e-6


def test_a_context_of_weight_zero_is_never_met() -> None:
    """Also at the ends of the levels: 0 first and 0 last."""
    draws = ContextDraws(("a", "b", "c", "d"), 2, weights=[0, 1e-9, 1.0, 0])
    ends = draws._by_weight(np.array([[2.0**-54, 1 - 2.0**-53], [1e-10, 0.5]]))
    assert ends.tolist() == [[1, 2], [1, 2]]


def test_weights_leave_valuations_and_other_settings_as_they_are() -> None:
    """Equal weights are other draws than none (another use of the same words), and nothing else changes."""
    plain, weighted = build_game(**GAME), build_game(**GAME, context_weights=[1, 1])
    streams = [RowStreams(8), RowStreams(8)]
    for each in streams:
        each.seed(range(8), seeded_rows(range(8)))
    first, second = (
        game.draw_rows(each.begin(range(8))) for game, each in zip((plain, weighted), streams, strict=True)
    )
    assert torch.equal(first.valuations, second.valuations)
    assert not torch.equal(first.contexts, second.contexts)


def test_a_stream_goes_on_from_episode_to_episode_and_begins_again() -> None:
    game = build_game(**GAME, context_stream=STREAM)
    played = contexts_of_rows(game, 2, episodes=4)
    wanted = [int(STREAM[place % 5] == "both") for place in range(12)]
    assert played.tolist() == [wanted, wanted]  # public: the same in every row
    assert contexts_of_rows(game, 2, seed=9)[0].tolist() == wanted[:3]  # a seed begins it
    assert game.draw(4, torch.Generator()).contexts.flatten().tolist() == wanted
    by_index = build_game(**GAME, context_stream=[int(name == "both") for name in STREAM])
    assert torch.equal(contexts_of_rows(by_index, 1, 4), played[:1])


def test_a_stream_that_may_not_end_refuses_the_episode_that_needs_more() -> None:
    game = build_game(**GAME, context_stream=[0, 1, 0, 1, 1, 1, 0, 0], stream_end="refuse")
    streams = RowStreams(1)
    streams.seed([0], seeded_rows([0]))
    for wanted in ([0, 1, 0], [1, 1, 1]):
        assert game.draw_rows(streams.begin([0])).contexts[0].tolist() == wanted
    with pytest.raises(ValueError, match="has 8 contexts, and episode 2 of 3 rounds would need more: reset with a"):
        game.draw_rows(streams.begin([0]))
    with pytest.raises(ValueError, match="has 2 contexts, fewer than one episode's 3 rounds"):
        build_game(**GAME, context_stream=[0, 1], stream_end="refuse")


@pytest.mark.parametrize("options", [{"context_weights": [0.2, 0.8]}, {"context_stream": STREAM}])
def test_every_face_meets_the_same_contexts(options: dict[str, Any]) -> None:
    first, *others = (face(5, 3, **GAME, **options) for face in FIVE_FACES)
    assert len({tuple(row) for row in first.observations[:, 1:3].tolist()}) == 2
    if "context_stream" in options:
        assert first.observations[:, 2].tolist() == [float(STREAM[place % 5] == "both") for place in range(9)]
    for other in others:
        np.testing.assert_array_equal(other.observations, first.observations)
        np.testing.assert_allclose(other.rewards, first.rewards, rtol=1e-6)


def test_a_recording_is_a_stream(tmp_path: Path) -> None:
    with RecordAuctions(NeuronAuctionEnv(**GAME), tmp_path / "a.parquet") as env:
        env.reset(seed=4)
        for turn in range(6):
            if turn == 3:
                env.reset()
            env.step(np.zeros(1, np.float32))
    met = recorded_contexts(tmp_path / "a.parquet")
    drawn = contexts_of_rows(build_game(**GAME), 1, 2, seed=4)[0]
    assert met == [PLACE.contexts[index] for index in drawn.tolist()]
    assert torch.equal(contexts_of_rows(build_game(**GAME, context_stream=met), 1, 2, seed=77)[0], drawn)
    with pytest.raises(ValueError, match="has no row 3"):
        recorded_contexts(tmp_path / "a.parquet", row=3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"context_weights": [1.0]}, "must be one a context, 2 of"),
        ({"context_weights": [0, 0]}, "finite sum > 0"),
        ({"context_weights": [1, -1]}, "a weight of a context must be a number in"),
        ({"context_weights": [1e308, 1e308]}, "finite sum > 0"),
        ({"context_weights": {"elsewhere": 1}}, "got one of 'elsewhere'"),
        ({"context_stream": []}, "must be a sequence of contexts"),
        ({"context_stream": "both"}, "must be a sequence of contexts"),
        ({"context_stream": [0, 2]}, "or their indices, got 2"),
        ({"context_stream": ["both", "x"]}, "or their indices, got 'x'"),
        ({"context_stream": [0], "context_weights": [1, 1]}, "pass one of them"),
        ({"context_stream": [0], "stream_end": "stop"}, "stream_end must be one of"),
    ],
)
def test_what_is_no_traffic_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build_game(**GAME, **options)


def test_a_game_without_contexts_takes_none() -> None:
    for options in ({"context_weights": [1.0]}, {"context_stream": [0]}):
        with pytest.raises(ValueError, match="this substrate has no contexts"):
            build_game("first-price", **options)
