"""The folder of a Ray that is started here: it names its driver, so that what a killed driver leaves is swept.

When a driver is killed, Ray's own processes end with it, its workers some seconds and its agents a minute later; the
folder stays. The next Ray that is started here ends what is left of a dead driver's, and removes its folder.
"""

import contextlib
import logging
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from auctionsim.files import host_digest, lives

_log = logging.getLogger(__name__)

_NAME = re.compile(r"asim-(?P<host>[0-9a-f]{8})-(?P<process>[0-9]+)-[0-9a-f]{4}")
_SERVERS = ("gcs_server", "raylet")


@contextlib.contextmanager
def ray_folder() -> Iterator[str]:
    """Give a new folder for `ray.init(_temp_dir=…)`, gone after the block; sweep those of dead drivers before."""
    sweep_rays()
    folder = _base() / f"asim-{host_digest()}-{os.getpid()}-{secrets.token_hex(2)}"
    folder.mkdir(mode=0o700)
    try:
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_rays() -> list[Path]:
    """End the processes of Rays whose drivers were killed on this machine, and remove their folders.

    Only what `ray_folder` made, for this user, on this machine, by a process that has ended.

    Returns:
        The folders that were removed.
    """
    left = [folder for folder in _base().glob("asim-*") if _is_left(folder)]
    if not left:
        return []
    _log.info("Rays whose drivers were killed are ended and removed: %s", ", ".join(map(str, left)))
    ended = [process for process in psutil.process_iter() if any(_belongs(process, folder) for folder in left)]
    for process in ended:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(ended, timeout=5)
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return left


def _base() -> Path:
    """Return where the folders lie: short, for paths of sockets end at 107 bytes."""
    return Path("/tmp") if os.name == "posix" else Path(tempfile.gettempdir())


def _is_left(folder: Path) -> bool:
    found = _NAME.fullmatch(folder.name)
    if found is None or found["host"] != host_digest() or folder.is_symlink():
        return False
    try:
        state = folder.stat()
    except OSError:  # somebody else sweeps
        return False
    ours = not hasattr(os, "getuid") or state.st_uid == os.getuid()
    return ours and folder.is_dir() and not lives(int(found["process"]), state.st_mtime)


def _belongs(process: psutil.Process, folder: Path) -> bool:
    """Tell whether a process is one of the Ray in this folder, not of whoever looks into it."""
    place = f"{folder}/"
    try:
        if process.uids().real != os.getuid():
            return False
        words, name = process.cmdline(), process.name()
        if name.startswith("ray::"):  # workers and agents hide their command line
            return any(file.path.startswith(place) for file in process.open_files())
        is_rays = name in _SERVERS or any(f"{os.sep}ray{os.sep}" in word and word.endswith(".py") for word in words)
        return is_rays and any(place in word for word in words)
    except psutil.Error:  # it has ended
        return False
