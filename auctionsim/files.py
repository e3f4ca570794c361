"""How files come into being, whole or not at all, and how much of one is read."""

import hashlib
import logging
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from auctionsim.errors import InputError

_log = logging.getLogger(__name__)

_DRAFT = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})-(?P<process>[0-9]+)-[0-9a-f]{8}\.partial")
_ABANDONED = 86_400.0  # seconds after which another machine's draft has no writer: a write takes seconds


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary file beside `path` to write, and put it in the place of `path` once the block has succeeded.

    Whoever opens `path`, at any moment, a power cut included, finds the old file or the new one. After an exception,
    an interrupt included, the old file stays and the temporary one is gone; after a kill -9 the latter is left behind
    under a name of its own that says who wrote it, ends in ".partial" and nobody reads: `sweep` removes it. Missing
    folders are made; a symbolic link is followed.

    Raises:
        ValueError: A device, a pipe or a socket is there: putting a file in its place would end it for everybody.

    Example:
        >>> import tempfile
        >>> plan = Path(tempfile.mkdtemp()) / "plan.json"
        >>> with replacing(plan) as draft:
        ...     _ = draft.write_text("{}")
        >>> plan.read_text()
        '{}'
    """
    target = Path(os.path.realpath(path))
    _refuse_special(target, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_beside(target)
    try:
        yield draft
        _sync(draft)
        draft.replace(target)
        if os.name == "posix":
            _sync(target.parent)  # the new name, too, must survive a power cut
    finally:
        draft.unlink(missing_ok=True)


def _refuse_special(target: Path, path: str | os.PathLike[str]) -> None:
    if target.exists() and not target.is_file() and not target.is_dir():
        raise InputError(f"{os.fspath(path)}: cannot be written, as it is no regular file and is not replaced by one")


def draft_beside(target: Path) -> Path:
    """Return a new name beside a file or folder that is being written: whose draft it is, and who writes it."""
    return target.with_name(f".{target.name}.{host_digest()}-{os.getpid()}-{secrets.token_hex(4)}.partial")


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path) as draft:
        draft.write_bytes(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write `content` to `path` as UTF-8, line ends as they are, whole or not at all."""
    write_bytes(path, content.encode())


def sweep(folder: str | os.PathLike[str], *, below: bool = True) -> list[Path]:
    """Remove what killed writers left in a folder: drafts, files or folders, whose process has ended.

    A file of another name is no draft of ours and stays, and so does one whose process lives. Of another machine's
    processes nothing is known here: their drafts go when they are a day old.

    Args:
        folder: Need not be there.
        below: Look into the folders below it, too.
    Returns:
        What was removed.
    """
    removed = []
    for path in list((Path(folder).rglob if below else Path(folder).glob)(".*.partial")):
        draft = _DRAFT.fullmatch(path.name)
        if draft is None or path.is_symlink():
            continue
        with suppress(FileNotFoundError):  # its writer finished, or somebody else sweeps
            write_time = path.stat().st_mtime
            here = draft["host"] == host_digest()
            alive = lives(int(draft["process"]), write_time) if here else time.time() - write_time < _ABANDONED
            if not alive:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                removed.append(path)
    if removed:
        _log.info("removed what killed writers left in %s: %s", folder, ", ".join(path.name for path in removed))
    return removed


def host_digest() -> str:
    """Return 8 hex digits that name this machine (a container is one of its own)."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def lives(process: int, write_time: float) -> bool:
    """Tell whether the process that wrote something lives; one that began later has only inherited its number."""
    import psutil

    try:
        return bool(psutil.Process(process).create_time() <= write_time + 1)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # it is there, and somebody else's
        return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bounded(path: str | os.PathLike[str], most: int) -> bytes:
    """Return what lies in a file, if it is a regular file of at most `most` bytes.

    A pipe or a device is not waited for, and a file that grows while it is read is no longer than it may be.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is a folder, a pipe or a device, or longer; names it.
    """
    name = os.fspath(path)
    if "\0" in name:
        raise InputError(f"a file's name has no character 0, got {name!r}")
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise InputError(f"{name}: is no regular file")
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if status.st_size > most:
            raise InputError(f"{name}: has {status.st_size} bytes; at most {most} are read")
        content = bytearray()
        while len(content) <= most and (part := file.read(most + 1 - len(content))):
            content += part
    if len(content) > most:
        raise InputError(f"{name}: has more than {most} bytes")
    return bytes(content)


def read_text_bounded(path: str | os.PathLike[str], most: int) -> str:
    """Return the UTF-8 text of a regular file of at most `most` bytes.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no regular file, longer, or not UTF-8; names it.
    """
    try:
        return read_bounded(path, most).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{os.fspath(path)}: is not UTF-8 at byte {error.start}") from None


def require_folder(path: str | os.PathLike[str]) -> None:
    """Find out, before any work, whether files can be written into a folder; leave all as it was.

    Raises:
        ValueError: The path, or one above it, is no folder, or nothing may be written there; names it.
    """
    folder = Path(path)
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"{os.fspath(path)}: cannot be written, as {folder} is no folder")
    draft = folder / f".auctionsim.{secrets.token_hex(4)}.partial"
    try:
        draft.mkdir()
        draft.rmdir()
    except OSError as error:
        raise InputError(
            f"{os.fspath(path)}: cannot be written, as nothing can in {folder}: {error.strerror}"
        ) from None


def require_file(path: str | os.PathLike[str]) -> None:
    """Find out, before any work, whether a file can be written at a path; leave all as it was.

    Raises:
        ValueError: There is a folder, a device or a pipe of that name, or its own folder cannot be written; names it.
    """
    target = Path(os.path.realpath(path))
    _refuse_special(target, path)
    if target.is_dir():
        raise InputError(f"{os.fspath(path)}: cannot be written, as it is a folder; the name of a file is wanted")
    try:
        require_folder(target.parent)
    except ValueError as error:
        raise InputError(f"{os.fspath(path)}: {str(error).partition(': ')[2]}") from None
