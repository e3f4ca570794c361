"""What can be put around a single-learner environment: other bids, a record of every auction, regret."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, MultiDiscrete

from auctionsim.checks import checked_count
from auctionsim.envs.gymnasium_env import NeuronAuctionEnv
from auctionsim.files import replacing
from auctionsim.regret import ex_post_regret

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
    """Keep every auction, and write them to a parquet file when the environment is closed.

    One row a bidder and round: episode, round, context (a name, or null), bidder, reward, payment, user_loss (null if
    not asked for), and per feature valuation_…, bid_… (what was cleared), exposure_….

    Args:
        env: The environment.
        path: The file; an old one is replaced.
    """

    def __init__(self, env: Env, path: str | Path) -> None:
        super().__init__(env)
        self._inner = auction_of(env)
        self._path = Path(path)
        self._rows: list[dict[str, Any]] = []
        self._episode = -1

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Count a new episode."""
        self._episode += 1
        return self.env.reset(**options)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Step, and note what happened."""
        answer = self.env.step(action)
        self._note()
        return answer

    def close(self) -> None:
        """Write the file."""
        if self._rows:
            import pyarrow
            from pyarrow import parquet

            with replacing(self._path) as draft:
                parquet.write_table(pyarrow.Table.from_pylist(self._rows), draft)
            self._rows = []
        self.env.close()  # type: ignore[no-untyped-call]

    def _note(self) -> None:
        game, played = self._inner.game, self._inner.played
        assert played is not None
        happened, valuations = played.round, game.valuations(played.before)
        context = game.context(played.before)
        for bidder in range(game.num_bidders):
            row: dict[str, Any] = {
                "episode": self._episode,
                "round": int(played.before.round[0]),
                "context": None if context is None else game.contexts[int(context[0])],
                "bidder": bidder,
                "reward": float(happened.rewards[0, bidder]),
                "payment": float(happened.outcome.payments[0, bidder]),
                "user_loss": None if happened.user_loss is None else float(happened.user_loss[0]),
            }
            for feature, name in enumerate(game.substrate.features):
                row[f"valuation_{name}"] = float(valuations[0, bidder, feature])
                row[f"bid_{name}"] = float(happened.bids[0, bidder, feature])
                row[f"exposure_{name}"] = float(happened.exposure[0, bidder, feature])
            self._rows.append(row)
