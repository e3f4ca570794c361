"""What can be put around an environment: other bids, a record of every auction, regret."""

import weakref
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, MultiDiscrete
from gymnasium.vector import VectorEnv, VectorWrapper

from auctionsim.checks import checked_count
from auctionsim.envs.gymnasium_env import NeuronAuctionEnv
from auctionsim.envs.recording import BLOCK_ROWS, AuctionRecorder, recover_auctions
from auctionsim.envs.vector_env import NeuronAuctionVectorEnv
from auctionsim.regret import ex_post_regret

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
        raise TypeError(f"this wrapper needs a NeuronAuctionEnv inside, got {type(inner).__name__}")
    return inner


def share_box(shape: tuple[int, ...], *, symmetric: bool) -> Box:
    """Return the box of shares: [0, 1] for each feature, or [−1, 1]."""
    return Box(-1.0 if symmetric else 0.0, 1.0, shape, np.float32)


def bids_of_shares(shares: np.ndarray, high: np.ndarray, *, symmetric: bool) -> np.ndarray:
    """Return bids: 0 … high of shares 0 … 1, or of −1 … 1."""
    given = np.asarray(shares, dtype=np.float32)
    bids: np.ndarray = ((given + 1) / 2 if symmetric else given) * high
    return bids


class NormalisedBids(gymnasium.ActionWrapper[np.ndarray, np.ndarray, np.ndarray]):
    """Bid shares of the highest bid, whatever the priors.

    Args:
        env: The environment.
        symmetric: Shares are −1 … 1 for bids 0 … the highest, as libraries want them whose policies begin around 0
            (Stable-Baselines3); False: 0 … 1.
    """

    def __init__(self, env: Env, symmetric: bool = False) -> None:
        super().__init__(env)
        self._symmetric = symmetric
        self._high: np.ndarray = auction_of(env).game.bid_high[auction_of(env).seat.learner].float().numpy()
        self.action_space = share_box(self._high.shape, symmetric=symmetric)

    def action(self, action: np.ndarray) -> np.ndarray:
        """Return the bid."""
        return bids_of_shares(action, self._high, symmetric=self._symmetric)


class DiscretisedBids(gymnasium.ActionWrapper[np.ndarray, np.ndarray, np.ndarray]):
    """Choose one of `levels` evenly spaced bids from 0 to the highest, for each feature.

    Args:
        env: The environment.
        levels: How many, ≥ 2.
    """

    def __init__(self, env: Env, levels: int = 21) -> None:
        super().__init__(env)
        self._high: np.ndarray = auction_of(env).game.bid_high[auction_of(env).seat.learner].float().numpy()
        self._steps = checked_count(levels, "levels", 2) - 1
        self.action_space = MultiDiscrete(np.full(self._high.shape, levels))

    def action(self, action: np.ndarray) -> np.ndarray:
        """Return the bid."""
        bid: np.ndarray = (np.asarray(action) / self._steps * self._high).astype(np.float32)
        return bid


class RegretInInfo(gymnasium.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """Put info["regret"] beside each reward: what the learner's best other bid would have earned more, ex post.

    The others' bids are held, and the search is the library's `ex_post_regret`, a lower bound. It asks the mechanism
    again for every misreport.

    Args:
        env: The environment.
        budget: Misreports tried a round.
    Raises:
        ValueError: A game with budgets or ROI targets: regret is about one quasi-linear round.
    """

    def __init__(self, env: Env, budget: int = 64) -> None:
        super().__init__(env)
        game = auction_of(env).game
        if game.budgets is not None or game.roi_targets is not None:
            raise ValueError("regret is defined for one round without budgets or ROI targets: this game has them")
        self._budget = checked_count(budget, "budget")

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Step, and look for a better bid."""
        observation, reward, over, cut, info = self.env.step(action)
        inner = auction_of(self.env)
        assert inner.played is not None
        before, game = inner.played.before, inner.game
        found = ex_post_regret(
            game.mechanism,
            game.substrate,
            game.valuations(before),
            context=game.context(before),
            reports=inner.played.round.bids,
            budget=self._budget,
            utility=game.utility,
            high=game.bid_high,  # what the environment lets a bidder bid
        )
        return observation, reward, over, cut, {**info, "regret": float(found.lower[0, inner.seat.learner])}


class RecordAuctions(gymnasium.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """Keep every auction in a parquet file, one row a bidder and round: see `AuctionRecorder` for its columns.

    The file is there, whole, once the environment is closed, its `with` block is left, it is thrown away or the
    process ends, by an exception too; a second close adds what was played since. A process that is killed leaves its
    rows, all but the last `block_rows`, in `PATH.rows`: `recover_auctions(path)` makes the file from them.

    Around a vector environment this is a `RecordVectorAuctions`, around a PettingZoo one a `RecordParallelAuctions`.
    RLlib's workers are processes of their own, and are not recorded.

    Args:
        env: The environment: single, vector or parallel.
        path: The file; an old one is replaced.
        block_rows: Rows that are held back until they go to disk.
    Raises:
        FileExistsError: At the first round: another recording is at this path, or one was broken off there.
    """

    def __new__(cls, env: Any, *given: Any, **more: Any) -> Any:
        """Return the recorder of this kind of environment."""
        if isinstance(env, VectorEnv):
            return RecordVectorAuctions(env, *given, **more)
        if hasattr(env, "possible_agents"):
            from auctionsim.envs.pettingzoo_recording import RecordParallelAuctions

            return RecordParallelAuctions(env, *given, **more)
        return super().__new__(cls)

    def __init__(self, env: Env, path: str | Path, block_rows: int = BLOCK_ROWS) -> None:
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
            raise TypeError(f"this wrapper needs a NeuronAuctionVectorEnv inside, got {type(inner).__name__}")
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
