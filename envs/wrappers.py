"""Wrappers of environments: other bids, a record of every auction, regret."""

import weakref
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, MultiDiscrete
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorWrapper

from auctionsim.checks import checked_count
from auctionsim.envs.gymnasium_env import NeuronAuctionEnv
from auctionsim.envs.recording import BLOCK_ROWS, AuctionRecorder, recover_auctions
from auctionsim.envs.shares import bids_of_shares, share_box
from auctionsim.envs.vector_env import NeuronAuctionVectorEnv
from auctionsim.errors import InputError, InputTypeError
from auctionsim.regret import ex_post_regret
from auctionsim.regret.determinism import refuse_drawing

__all__ = [
    "DiscretisedBids",
    "NormalisedBids",
    "RecordAuctions",
    "RecordVectorAuctions",
    "RegretInInfo",
    "auction_of",
    "recover_auctions",
]

Env = gymnasium.Env[np.ndarray, np.ndarray]


def auction_of(env: Env) -> NeuronAuctionEnv:
    """Return the auction inside the wrappers.

    Raises:
        TypeError: There is none.
    """
    inner = env.unwrapped
    if not isinstance(inner, NeuronAuctionEnv):
        raise InputTypeError(f"this wrapper needs a NeuronAuctionEnv inside, got {type(inner).__name__}")
    return inner


def inner_box(env: Env) -> Box:
    """Return the box of actions that an environment with an auction inside takes.

    Where it is endless, as that of Gymnasium's `ClipAction` is, the next one inside: the auction's own is not.

    Raises:
        TypeError: No auction inside, or its actions are no box any more.
    """
    auction_of(env)
    inside: Any = env
    while isinstance(inside.action_space, Box) and not inside.action_space.is_bounded():
        inside = inside.env
    if not isinstance(inside.action_space, Box):
        raise InputTypeError(f"this wrapper needs bids in a box inside, got {inside.action_space}")
    return inside.action_space


class NormalisedBids(gymnasium.ActionWrapper[np.ndarray, np.ndarray, np.ndarray], RecordConstructorArgs):
    """Bid shares of the highest bid, whatever the priors; around a wrapper, shares of the box that it takes.

    Args:
        env: The environment.
        symmetric: Shares are −1 … 1 for bids 0 … the highest, as libraries want them whose policies begin around 0
            (Stable-Baselines3); False: 0 … 1.
    """

    def __init__(self, env: Env, symmetric: bool = False) -> None:
        RecordConstructorArgs.__init__(self, symmetric=symmetric)
        super().__init__(env)
        self._symmetric = symmetric
        self._box = inner_box(env)
        self.action_space = share_box(self._box.shape, symmetric=symmetric)

    def action(self, action: np.ndarray) -> np.ndarray:
        """Return the bid."""
        low, high = self._box.low, self._box.high
        bid: np.ndarray = low + bids_of_shares(action, high - low, symmetric=self._symmetric)
        return bid


class DiscretisedBids(gymnasium.ActionWrapper[np.ndarray, np.ndarray, np.ndarray], RecordConstructorArgs):
    """Choose one of `levels` evenly spaced bids from 0 to the highest, for each feature; around a wrapper, of its box.

    Args:
        env: The environment.
        levels: How many, ≥ 2.
    """

    def __init__(self, env: Env, levels: int = 21) -> None:
        RecordConstructorArgs.__init__(self, levels=levels)
        super().__init__(env)
        self._box = inner_box(env)
        self._steps = checked_count(levels, "levels", 2) - 1
        self.action_space = MultiDiscrete(np.full(self._box.shape, levels))

    def action(self, action: np.ndarray) -> np.ndarray:
        """Return the bid."""
        low, high = self._box.low, self._box.high
        bid: np.ndarray = (low + np.asarray(action) / self._steps * (high - low)).astype(np.float32)
        return bid


class RegretInInfo(gymnasium.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray], RecordConstructorArgs):
    """Put info["regret"] beside each reward: what the learner's best other bid would have earned more, ex post.

    The others' bids are held, and the search is the library's `ex_post_regret`, a lower bound. It asks the mechanism
    again for every misreport.

    Args:
        env: The environment.
        budget: Misreports tried a round.
    Raises:
        ValueError: A game with budgets or ROI targets: regret is about one quasi-linear round. A rule that draws.
    """

    def __init__(self, env: Env, budget: int = 64) -> None:
        RecordConstructorArgs.__init__(self, budget=budget)
        super().__init__(env)
        game = auction_of(env).game
        refuse_drawing(game.mechanism)
        if game.budgets is not None or game.roi_targets is not None:
            raise InputError("regret is defined for one round without budgets or ROI targets: this game has them")
        self._budget = checked_count(budget, "budget")

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Step, and look for a better bid."""
        observation, reward, over, cut, info = self.env.step(action)
        inner = auction_of(self.env)
        assert inner.played is not None
        before, game = inner.played.before, inner.game
        estimate = ex_post_regret(
            game.mechanism,
            game.substrate,
            game.valuations(before),
            context=game.context(before),
            reports=inner.played.round.bids,
            budget=self._budget,
            utility=game.utility,
            high=game.bid_high,  # what the environment lets a bidder bid
        )
        return observation, reward, over, cut, {**info, "regret": float(estimate.lower[0, inner.seat.learner])}


class RecordAuctions(gymnasium.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """Keep every auction in a parquet file, one row a bidder and round: see `AuctionRecorder` for its columns.

    The file is there, whole, once the environment is closed, its `with` block is left, it is thrown away or the
    process ends, by an exception too; a second close adds what was played since. A process that is killed leaves its
    rows, all but the last `block_rows`, in `PATH.rows`: `recover_auctions(path)` makes the file from them.

    Around a vector environment this is a `RecordVectorAuctions`, around a PettingZoo one a `RecordParallelAuctions`,
    around one of Stable-Baselines3 a `RecordVecEnvAuctions`.
    RLlib's workers are processes of their own, and are not recorded.

    Args:
        env: The environment: single, vector, parallel, or Stable-Baselines3's.
        path: The file; an old one is replaced.
        block_rows: Rows that are held back until they go to disk.
    Raises:
        FileExistsError: At the first round: another recording is at this path, or one was broken off there.
    """

    def __new__(cls, env: Any = None, *given: Any, **more: Any) -> Any:
        """Return the recorder of this kind of environment; a copy in the making has none yet, and is refused later."""
        if isinstance(env, VectorEnv):
            return RecordVectorAuctions(env, *given, **more)
        if hasattr(env, "env_method"):
            from auctionsim.envs.sb3_recording import RecordVecEnvAuctions

            return RecordVecEnvAuctions(env, *given, **more)
        if hasattr(env, "possible_agents"):
            from auctionsim.envs.pettingzoo_recording import RecordParallelAuctions

            return RecordParallelAuctions(env, *given, **more)
        return super().__new__(cls)

    def __init__(self, env: Env, path: str | Path, block_rows: int = BLOCK_ROWS) -> None:
        if not isinstance(env, gymnasium.Env):
            raise InputTypeError(
                f"this wrapper needs one of the NeuronAuction environments inside, got {type(env).__name__}"
            )
        super().__init__(env)
        self._inner = auction_of(env)
        self._recorder = AuctionRecorder(path, block_rows)
        weakref.finalize(self, self._recorder.finish)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Step, and note what happened."""
        answer = self.env.step(action)
        assert self._inner.played is not None
        self._recorder.note(self._inner.game, self._inner.played)
        return answer

    def close(self) -> None:
        """Write the file."""
        self._recorder.finish()
        self.env.close()  # type: ignore[no-untyped-call]


class RecordVectorAuctions(VectorWrapper):
    """`RecordAuctions` around a vector environment; the column `env` is the row.

    Args:
        env: The environment.
        path: The file; an old one is replaced.
        block_rows: Rows that are held back until they go to disk.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], path: str | Path, block_rows: int = BLOCK_ROWS) -> None:
        super().__init__(env)
        inner = env.unwrapped
        if not isinstance(inner, NeuronAuctionVectorEnv):
            raise InputTypeError(
                f"this wrapper needs a NeuronAuctionVectorEnv inside, got {type(inner).__name__}; around single "
                "environments in a vector, record each before it is put there, at a path of its own"
            )
        self._inner = inner
        self._recorder = AuctionRecorder(path, block_rows)
        weakref.finalize(self, self._recorder.finish)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step, and note what happened in the rows that played."""
        answer = self.env.step(actions)
        if self._inner.played is not None:
            self._recorder.note(self._inner.game, self._inner.played)
        return answer

    def close(self, **options: Any) -> None:
        """Write the file."""
        self._recorder.finish()
        self.env.close(**options)

    def __del__(self) -> None:
        """Do nothing: the recorder has a finaliser of its own, and so has the environment."""

    def __enter__(self) -> "RecordVectorAuctions":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
