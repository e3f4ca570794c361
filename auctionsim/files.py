"""How files come into being: whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary file beside `path` to write, and put it in the place of `path` once the block has succeeded.

    Whoever opens `path`, at any moment, a power cut included, finds the old file or the new one. After an exception,
    an interrupt included, the old file stays and the temporary one is gone; after a kill -9 the latter is left behind
    under a name of its own that ends in ".partial" and nobody reads. Missing folders are made; a symbolic link is
    followed.

    Example:
        >>> with replacing(folder / "plan.json") as draft:
        ...     draft.write_text("{}")
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        yield draft
        _sync(draft)
        draft.replace(target)
        if os.name == "posix":
            _sync(target.parent)  # the new name, too, must survive a power cut
    finally:
        draft.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path) as draft:
        draft.write_bytes(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write `content` to `path` as UTF-8, line ends as they are, whole or not at all."""
    write_bytes(path, content.encode())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
