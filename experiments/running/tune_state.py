"""How what Tune knows of its trials survives a kill, and a stranger: one signed file. Importing this loads ray.

Tune writes its state into a folder of its own and copies it, over the last copy, into the study's. A kill in the middle
of that leaves a copy that is empty or cut off, and the one before is gone. And Tune unpickles what it finds there. So
the state is kept once more, in one file that is whole at any moment and signed (`auctionsim.signatures`); a study goes
on from that file alone, and Tune's own copies are put in its place before Tune looks at them.
"""

import io
import json
import logging
import pickletools
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray.tune import Callback

from auctionsim.errors import DamagedFileError, InputError, UntrustedError
from auctionsim.signatures import TRUST, read_signed, write_signed

_log = logging.getLogger(__name__)

KEPT = "state.signed"
PURPOSE = "state of a tune study"
_TUNERS = "tuner.pkl"  # written once, before the first trial
_STATES = (
    "experiment_state-*.json",
    "basic-variant-state-*.json",
    "search_gen_state-*.json",
    "searcher-state-*.pkl",
    "callback-states-*.pkl",
)
_ERRORS = "*/error.pkl"  # a failed trial's; Tune unpickles it, too


class StateKept(Callback):  # type: ignore[misc]
    """Keeps Tune's state in one signed file of the study's folder each time that Tune has written it."""

    def __init__(self) -> None:
        self.last: tuple[int, ...] = ()

    def on_step_end(self, iteration: int, trials: Sequence[Any], **_: Any) -> None:
        """Keep what is new: here it is whole, as Tune writes between steps, first before any trial has reported."""
        del iteration
        self._keep(trials)

    def on_experiment_end(self, trials: Sequence[Any], **_: Any) -> None:
        """Keep the last state, which Tune writes after the last step."""
        self._keep(trials)

    def _keep(self, trials: Sequence[Any]) -> None:
        if not trials:
            return
        storage = trials[0].storage
        folder = Path(storage.experiment_fs_path)
        files = _states_in(Path(storage.experiment_driver_staging_path))
        written = tuple(path.stat().st_mtime_ns for path in files)
        if not files or written == self.last:
            return
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in (*files, folder / _TUNERS):
                archive.write(path, path.name)
        write_signed(folder / KEPT, content.getvalue(), PURPOSE)
        self.last = written


def prepare(folder: Path, *, trust: bool = False) -> bool:
    """Make a study's folder one that Tune may read: what it would unpickle is what this user's runs have kept.

    Args:
        folder: Tune's own, inside the run folder; it need not exist.
        trust: Believe what is there, whoever wrote it.
    Returns:
        Whether there is a study to go on with; else one may begin, and the folder says so, signed.
    Raises:
        UntrustedError: What Tune would unpickle was not kept by this user on this machine; names it.
        ValueError: What was kept is no state; or it is trusted, but damaged.
    """
    kept = folder / KEPT
    if not kept.exists():
        strangers = [*_unpickled_in(folder), *(path for path in folder.glob("*/result.json") if path.stat().st_size)]
        if strangers and not trust:
            raise UntrustedError(
                f"{strangers[0]}: Tune unpickles what lies beside it, and no {KEPT} shows that this user wrote it on "
                f"this machine: name another folder by --out, or pass {TRUST} if you trust whoever wrote it as yourself"
            )
        if strangers:
            return _goes_on(folder)
        write_signed(kept, b"", PURPOSE)
        return False
    content = read_signed(kept, PURPOSE, trust=trust)
    states = _unpacked(content, kept) if content else {}
    unsigned = _unpickled_in(folder)
    _log.info("%d files that Tune would unpickle in %s give way to the signed state", len(unsigned), folder)
    for path in unsigned:
        path.unlink()
    for name, state in states.items():
        (folder / name).write_bytes(state)  # a kill in the middle: this is done again
    return bool(states)


def _unpacked(content: bytes, kept: Path) -> dict[str, bytes]:
    """Return the kept files by name.

    Raises:
        ValueError: Something else was kept.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            states = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        raise InputError(f"{kept}: holds no state of a study: {error}") from error
    if _TUNERS not in states or not all(_is_state(name) for name in states):
        raise InputError(f"{kept}: holds no state of a study")
    return states


def _goes_on(folder: Path) -> bool:
    """Tell whether Tune's own state, trusted, is there and whole."""
    damaged = [path for path in (*_states_in(folder), *folder.glob(_TUNERS)) if not _is_whole(path)]
    if damaged:
        raise DamagedFileError(f"{damaged[0]} is damaged, and no state was kept: name another folder by --out")
    return (folder / _TUNERS).is_file() and any(folder.glob(_STATES[0]))


def _states_in(folder: Path) -> list[Path]:
    return sorted(path for pattern in _STATES for path in folder.glob(pattern))


def _unpickled_in(folder: Path) -> list[Path]:
    return [*_states_in(folder), *folder.glob(_TUNERS), *folder.glob(_ERRORS)]


def _is_state(name: str) -> bool:
    return Path(name).name == name and any(Path(name).match(pattern) for pattern in (*_STATES, _TUNERS))


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
