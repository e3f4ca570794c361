"""How what Tune knows of its trials survives a kill: one file, whole at any moment. Importing this loads ray.

Tune writes its state into a folder of its own and copies it, over the last copy, into the study's. A kill in the middle
of that leaves a copy that is empty or cut off, and the one before is gone. So the state is kept once more.
"""

import json
import pickletools
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    """Put back the state that was kept where a kill has damaged Tune's own; whole state is left as it is.

    Where none was kept and no trial has reported anything, the damaged state is removed: the study begins anew.

    Args:
        folder: Tune's own.
    Returns:
        Names of the files that were damaged.
    Raises:
        ValueError: State is damaged, none was kept, but trials have reported: what they found must not be lost.
    """
    files = [*_states_in(folder), *folder.glob(_TUNERS)]
    damaged = [path.name for path in files if not _is_whole(path)]
    if not damaged:
        return []
    kept: list[str] = []
    if (folder / KEPT).is_file():
        with zipfile.ZipFile(folder / KEPT) as archive:
            archive.extractall(folder)  # first: a kill in the middle leaves something damaged, and this is done again
            kept = archive.namelist()
    elif any(path.stat().st_size for path in folder.glob("*/result.json")):
        raise ValueError(f"{folder / damaged[0]} is damaged, and no state was kept: name another folder by --out")
    for path in files:
        if path.name not in kept:
            path.unlink()
    return damaged


def _states_in(folder: Path) -> list[Path]:
    return sorted(path for pattern in _STATES for path in folder.glob(pattern))


def _is_whole(path: Path) -> bool:
    """Tell whether it was written to its end: Tune's pickles (some are called .json) end with a mark."""
    content = path.read_bytes()
    try:
        if path.match(_STATES[0]):
            json.loads(content)
        else:
            for _ in pickletools.genops(content):  # nothing is imported or built
                pass
    except ValueError:
        return False
    return True
