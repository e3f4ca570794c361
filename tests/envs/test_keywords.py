"""Every face has one list of options, the fields of two records, and refuses what is none of them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import gymnasium
import pytest

from auctionsim.envs import AuctionGame, NeuronAuctionEnv, NeuronAuctionVectorEnv, build_game, parallel_env
from auctionsim.envs.game_settings import AuctionParts, GameSettings
from auctionsim.mechanisms import AllPay
from auctionsim.record_keywords import fields_as_keywords, keywords_of
from auctionsim.substrates import Items

FACES: list[Callable[..., Any]] = [NeuronAuctionEnv, NeuronAuctionVectorEnv, parallel_env, build_game]


def names(face: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(face).parameters)


@pytest.mark.parametrize("face", FACES)
def test_every_face_takes_every_field(face: Callable[..., Any]) -> None:
    for record in (AuctionParts, GameSettings):
        for field in fields(record):
            assert inspect.signature(face).parameters[field.name].default == field.default
    with pytest.raises(TypeError, match=r"no option round of \w+: it takes \w+, "):
        face(round=3)
    with pytest.raises(TypeError, match="no option settings of"):
        face(settings=GameSettings())


def test_a_game_takes_the_settings_alone() -> None:
    assert names(AuctionGame) == {"mechanism", "substrate", "priors", *(field.name for field in fields(GameSettings))}
    settings = GameSettings(rounds=3, budgets=0.5)
    game = AuctionGame(AllPay(), Items(2), build_game("first-price").prior, **keywords_of(settings))
    assert game.rounds == 3
    with pytest.raises(ValueError, match="rounds must be an integer >= 1, got 0"):
        GameSettings(rounds=0)


def test_made_by_gymnasium_they_take_the_documented_keywords() -> None:
    options: dict[str, Any] = {"mechanism": AllPay(), "substrate": Items(3), "rounds": 2, "budgets": 0.5, "learner": 1}
    single = gymnasium.make("auctionsim/FirstPrice-v0", **options).unwrapped
    several = gymnasium.make_vec("auctionsim/FirstPrice-v0", num_envs=2, **options)
    for env in (single, several):
        assert env.game.num_bidders == 3  # type: ignore[attr-defined]
        assert env.game.rounds == 2  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="no option budget of NeuronAuctionEnv"):
        gymnasium.make("auctionsim/FirstPrice-v0", budget=0.5)


def test_only_records_are_given_by_their_fields() -> None:
    @dataclass(frozen=True)
    class Length:
        rounds: int = 16

    def short(rounds: int, length: Length) -> int:
        return rounds + length.rounds

    with pytest.raises(TypeError, match="'rounds' stands for two things"):
        fields_as_keywords("length")(short)
    with pytest.raises(TypeError, match="must be annotated with a dataclass, got <class 'int'>"):
        fields_as_keywords("rounds")(short)
