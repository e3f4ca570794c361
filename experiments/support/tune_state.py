"""How what Tune knows of its trials survives a kill: one file that is whole at any moment. Importing this loads ray.

Tune writes its state into a folder of its own and copies it, over the last copy, into the study's. A kill in the middle
of that leaves a copy that is empty or cut off, and the one before is gone. So the state is kept once more.
"""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray.cloudpickle
from ray.tune import Callback

from auctionsim.files import replacing

KEPT = "state.zip"
_TUNERS = "tuner.pkl"  # written once, before the first trial
_STATES = (
    "experiment_state-*.json",
    "basic-variant-state-*.json",
    "search_gen_state-*.json",
    "searcher-state-*.pkl",
    "callback-states-*.pkl",
)


class StateKept(Callback):  # type: ignore[misc]
    """Keeps Tune's state in one file of the study's folder each time that Tune has written it."""

    def __init__(self) -> None:
        self.last: tuple[int, ...] = ()

    def on_step_end(self, iteration: int, trials: Sequence[Any], **_: Any) -> None:
        """Copy what is new; Tune writes between steps, so that here it is whole."""
        del iteration
        if not trials:
            return
        storage = trials[0].storage
        folder = Path(storage.experiment_fs_path)
        files = _states_in(Path(storage.experiment_driver_staging_path))
        written = tuple(path.stat().st_mtime_ns for path in files)
        if not files or written == self.last:
            return
        with replacing(folder / KEPT) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in (*files, folder / _TUNERS):
                archive.write(path, path.name)
        self.last = written


def mend(folder: Path) -> list[str]:
    """Put back the state that was kept where a kill has damaged Tune's own.

    Where none was kept nothing was finished either: then the damaged state is removed, and the study begins anew.

    Args:
        folder: Tune's own.
    Returns:
        Names of the files that were damaged.
    """
    files = [*_states_in(folder), *folder.glob(_TUNERS)]
    damaged = [path.name for path in files if not _is_whole(path)]
    if not damaged:
        return []
    for path in files:
        path.unlink()
    if (folder / KEPT).is_file():
        with zipfile.ZipFile(folder / KEPT) as archive:
            archive.extractall(folder)
    return damaged


def _states_in(folder: Path) -> list[Path]:
    return sorted(path for pattern in _STATES for path in folder.glob(pattern))


def _is_whole(path: Path) -> bool:
    """Tell whether it can be read: Tune's pickles are called .json, too."""
    content = path.read_bytes()
    try:
        if path.match(_STATES[0]):
            json.loads(content)
        else:
            ray.cloudpickle.loads(content)
    except Exception:  # noqa: BLE001 - unpickling raises whatever it likes
        return False
    return True
