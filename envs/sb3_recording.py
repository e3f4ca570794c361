"""A record of every auction of a Stable-Baselines3 environment."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnvWrapper

from auctionsim.envs.recording import BLOCK_ROWS, AuctionRecorder
from auctionsim.envs.sb3_env import NeuronAuctionVecEnv
from auctionsim.errors import InputTypeError


class RecordVecEnvAuctions(VecEnvWrapper):  # type: ignore[misc]
    """`RecordAuctions` around a `NeuronAuctionVecEnv`; the column `env` is the row.

    Args:
        venv: The environment.
        path: The file; an old one is replaced.
        block_rows: Rows that are held back until they go to disk.
    Raises:
        TypeError: No `NeuronAuctionVecEnv` inside.
    """

    def __init__(self, venv: Any, path: str | Path, block_rows: int = BLOCK_ROWS) -> None:
        inner = venv.unwrapped
        if not isinstance(inner, NeuronAuctionVecEnv):
            raise InputTypeError(
                f"this wrapper needs a NeuronAuctionVecEnv inside, got {type(inner).__name__}; around single "
                "environments in a vector, record each before it is put there, at a path of its own"
            )
        super().__init__(venv)
        self._inner = inner
        self._recorder = AuctionRecorder(path, block_rows)
        weakref.finalize(self, self._recorder.finish)

    def reset(self) -> np.ndarray:
        """Reset."""
        observations: np.ndarray = self.venv.reset()
        return observations

    def step_wait(self) -> Any:
        """Step, and note what happened."""
        answer = self.venv.step_wait()
        if self._inner.env.played is not None:
            self._recorder.note(self._inner.env.game, self._inner.env.played)
        return answer

    def close(self) -> None:
        """Write the file."""
        self._recorder.finish()
        self.venv.close()
