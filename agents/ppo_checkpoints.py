"""Checkpoints of PPO trainings: RLlib's state in signed folders, and the learning curve.

RLlib keeps networks, optimizers and counts, but neither its runners' episodes nor its generators. So a training that
goes on plays other auctions than an unbroken one, fixed by the seed and the updates made, and ends with other numbers:
`resumed_at` says where, and belongs beside them.
"""

import json
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auctionsim.agents.networks import LearningStep
from auctionsim.errors import InputError
from auctionsim.files import write_text
from auctionsim.kept import difference, plain
from auctionsim.records import read_record
from auctionsim.signatures import replacing_folder, verified_folder

PURPOSE = "state of a ppo training"
_STATE, _RECORD = "rllib", "training.json"


class PPOCheckpoint:
    """The folder of one training, with its last state in a folder named by the updates made.

    A new state gets its name once it is whole and signed, and the one before goes after that.

    Args:
        folder: The folder.
        key: All that the training depends on, as JSON.
        often: Seconds between two writes; 0 writes at every offer.
    Attributes:
        curve: What was reported so far, earlier runs included.
        resumed_at: The updates that had been made whenever a run went on.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any], often: float) -> None:
        self.folder, self.key, self.often = folder, plain(key), often
        self.curve: list[LearningStep] = []
        self.resumed_at: tuple[int, ...] = ()
        self._before, self._began = 0.0, time.perf_counter()
        self._written = self._began

    @property
    def seconds(self) -> float:
        """How long the training has taken so far, earlier runs included."""
        return self._before + time.perf_counter() - self._began

    def restore(self, algorithm: Any) -> int:
        """Give a new algorithm of the same settings the last state, if one was kept; return the updates made.

        Raises:
            UntrustedError: It was not written by this user on this machine, or was changed since: it is unpickled.
            ValueError: It is damaged, or of another training; names what differs.
        """
        kept = self._kept()
        if not kept:
            return 0
        with verified_folder(kept[-1], PURPOSE) as private:
            record = read_record(private / _RECORD)
            key = record.plain("key")
            if key != self.key:
                raise InputError(f"{kept[-1]}: is of another training ({difference(key, self.key)})")
            steps = record.records("curve")
            self.curve[:] = [
                LearningStep(s.whole("iteration"), s.numbers("utility"), s.numbers("ratio")) for s in steps
            ]
            self._before = record.number("seconds", 0)
            self.resumed_at = (*record.wholes("resumed_at"), len(self.curve))
            algorithm.restore_from_path(str(private / _STATE))
        return len(self.curve)

    def offer(self, algorithm: Any) -> None:
        """Write the state if it is time to."""
        now = time.perf_counter()
        if now - self._written < self.often:
            return
        before = self._kept()
        record = {
            "key": self.key,
            "curve": [{"iteration": k, "utility": list(u), "ratio": list(r)} for k, u, r in self.curve],
            "seconds": self.seconds,
            "resumed_at": list(self.resumed_at),
        }
        with replacing_folder(self.folder / f"{len(self.curve):08d}", PURPOSE) as draft:
            algorithm.save_to_path(str(draft / _STATE))
            write_text(draft / _RECORD, json.dumps(record))
        for path in before:
            shutil.rmtree(path, ignore_errors=True)
        self._written = now

    def remove(self) -> None:
        """Remove what was kept: the training is over."""
        for path in self._kept():
            shutil.rmtree(path, ignore_errors=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _kept(self) -> list[Path]:
        """Return the folders of states, the last one last; others that may lie here are left alone."""
        entries = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(path for path in entries if re.fullmatch(r"\d{8}", path.name) and not path.is_symlink())
