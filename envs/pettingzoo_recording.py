"""A record of every auction of a PettingZoo environment."""

import weakref
from pathlib import Path
from typing import Any

from pettingzoo.utils.wrappers import BaseParallelWrapper

from auctionsim.envs.pettingzoo_env import NeuronAuctionParallelEnv
from auctionsim.envs.recording import BLOCK_ROWS, AuctionRecorder
from auctionsim.errors import InputTypeError


class RecordParallelAuctions(BaseParallelWrapper):  # type: ignore[misc]
    """`RecordAuctions` around a PettingZoo parallel environment.

    Args:
        env: The environment.
        path: The file; an old one is replaced.
        block_rows: Rows that are held back until they go to disk.
    """

    def __init__(self, env: Any, path: str | Path, block_rows: int = BLOCK_ROWS) -> None:
        super().__init__(env)
        inner = env.unwrapped
        if not isinstance(inner, NeuronAuctionParallelEnv):
            raise InputTypeError(f"this wrapper needs a NeuronAuctionParallelEnv inside, got {type(inner).__name__}")
        self._inner = inner
        self._recorder = AuctionRecorder(path, block_rows)
        weakref.finalize(self, self._recorder.finish)

    def step(self, actions: dict[str, Any]) -> Any:
        """Step, and note what happened."""
        answer = self.env.step(actions)
        assert self._inner.played is not None
        self._recorder.note(self._inner.game, self._inner.played)
        return answer

    def close(self) -> None:
        """Write the file."""
        self._recorder.finish()
        self.env.close()

    def __enter__(self) -> "RecordParallelAuctions":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
