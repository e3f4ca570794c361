"""Which files may be unpickled: those that this user wrote on this machine, as a key in the user's cache folder shows.

Ray keeps its state in pickles, and unpickling runs whatever a pickle says. So what will be unpickled is signed when it
is written, by HMAC-SHA256 under a key that never leaves the cache folder, and checked before a byte of it is believed.
What is checked is what is used: `read_signed` returns the bytes that it checked, `verified_folder` gives a private copy
of them. A signature says who wrote a file, and for what `purpose`; not when, nor in which folder: an older file of
one's own in the place of a newer one is not noticed. It protects nobody from who reads the user's files or runs
programs as the user.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from auctionsim.caching import cache_folder
from auctionsim.errors import FilePermissionError, InputError, MissingFileError, UntrustedError
from auctionsim.files import draft_beside, read_bounded, write_bytes, write_text
from auctionsim.records import Record, read_json

TRUST = "--trust-pickles"
"""What the command line calls `trust=True`."""
SIGNATURE = "signature.json"
"""The file of a signed folder that lists its other files."""
MOST_FILES = 4096
"""Of a signed folder."""
MOST_BYTES = 1 << 30
"""Of a signed file, and of all files of a signed folder together: 1 GiB."""
_KEY, _KEY_BYTES = "signing-key", 32
_FORMAT = "auctionsim signed 1"
_HEAD = 64 + 2 * 80  # bytes that the first lines of a signed file may have


def write_signed(path: str | os.PathLike[str], content: bytes, purpose: str) -> None:
    """Write `content` and its signature to one file, whole or not at all: no stop leaves one without the other.

    Args:
        path: The file.
        content: At most `MOST_BYTES`.
        purpose: What the file is for, one line; who reads it must name the same.
    """
    head = f"{_FORMAT}\n{_checked_purpose(purpose)}\n{_signature(content, purpose)}\n"
    write_bytes(path, head.encode() + content)


def read_signed(path: str | os.PathLike[str], purpose: str, *, trust: bool = False) -> bytes:
    """Return the content of a file that `write_signed` wrote.

    Args:
        path: The file.
        purpose: What it must have been written for.
        trust: Return the content whoever wrote it.
    Raises:
        FileNotFoundError: There is none.
        UntrustedError: It was not signed with this user's key for this purpose; names the file.
        ValueError: It is no signed file, or has more than `MOST_BYTES`; names it.
    """
    data = read_bounded(path, MOST_BYTES + _HEAD)
    parts = data.split(b"\n", 3)
    if len(parts) < 4 or parts[0] != _FORMAT.encode() or len(data) - len(parts[3]) > _HEAD:
        raise InputError(f"{os.fspath(path)}: is no signed file of auctionsim's")
    if not trust and not (parts[1] == purpose.encode() and _is_signature(parts[2], parts[3], purpose)):
        raise UntrustedError(_refusal(path))
    return parts[3]


def sign_folder(folder: str | os.PathLike[str], purpose: str) -> None:
    """Sign every file in a folder, at any depth: a list of their SHA-256 digests, `signature.json`, written last.

    Files that are changed or added later are no longer covered: sign once all is written, best before the folder gets
    the name under which it is looked for.

    Raises:
        ValueError: A link or a special file is in it; too many files or bytes.
    """
    root = Path(folder)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in _files_in(root) if name != SIGNATURE}
    content: dict[str, object] = {"format": _FORMAT, "purpose": _checked_purpose(purpose), "files": digests}
    signed = {**content, "hmac": _signature(_canonical(content), purpose)}
    write_text(root / SIGNATURE, json.dumps(signed, indent=1))


@contextlib.contextmanager
def verified_folder(folder: str | os.PathLike[str], purpose: str, *, trust: bool = False) -> Iterator[Path]:
    """Give a private copy of a folder that `sign_folder` signed, gone after the block.

    Each file is read once, and what was checked is what is copied: who writes into `folder` meanwhile changes nothing.

    Args:
        folder: What was signed.
        purpose: What it must have been signed for.
        trust: Copy whatever is there, signed or not.
    Raises:
        FileNotFoundError: There is no such folder.
        UntrustedError: It was not signed with this user's key, or a file was changed, added or taken away; names it.
        ValueError: A link or a special file is in it; too many files or bytes.
    """
    root = Path(folder)
    if not root.is_dir():
        raise MissingFileError(f"{root}: there is no such folder")
    expected = None if trust else _verified_list(root, purpose)
    with tempfile.TemporaryDirectory(prefix="auctionsim-") as private:
        found = set()
        for name, data in _files_in(root):
            if name == SIGNATURE:
                continue
            if expected is not None and expected.get(name) != hashlib.sha256(data).hexdigest():
                raise UntrustedError(_refusal(root / name))
            found.add(name)
            target = Path(private, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        if expected is not None and found != set(expected):
            raise UntrustedError(_refusal(root / min(set(expected) - found)))
        yield Path(private)


@contextlib.contextmanager
def replacing_folder(folder: str | os.PathLike[str], purpose: str) -> Iterator[Path]:
    """Give an empty folder beside `folder` to fill; after the block it is signed and takes the place of `folder`.

    After an exception the old folder stays. A kill leaves the old folder, the new one, or, between two renamings, the
    old one under a name that ends in ".partial", as an unfinished one has.
    """
    target = Path(os.path.realpath(folder))
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_beside(target)
    old = draft_beside(target)
    draft.mkdir()
    try:
        yield draft
        sign_folder(draft, purpose)
        if target.is_dir():
            target.rename(old)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _verified_list(root: Path, purpose: str) -> dict[str, str]:
    """Return the digests by file, if the list itself is signed."""
    path = root / SIGNATURE
    if not path.is_file():
        raise UntrustedError(_refusal(root))
    record = Record(read_json(path), f"{path}:")
    content = {name: value for name, value in record.content.items() if name != "hmac"}
    signature = record.text("hmac").encode(errors="replace")
    if content.get("purpose") != purpose or not _is_signature(signature, _canonical(content), purpose):
        raise UntrustedError(_refusal(root))
    files = record.record("files")
    return {name: files.text(name) for name in files.content}


def _files_in(root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each file's name, with / between folders, and its bytes; a link or a special file is refused."""
    count, left = 0, MOST_BYTES
    for place, folders, names in os.walk(root):
        for name in sorted([*folders, *names]):
            path = Path(place, name)
            kind = path.lstat().st_mode
            if stat.S_ISDIR(kind):
                continue
            if not stat.S_ISREG(kind):
                raise InputError(f"{path}: is no regular file; a signed folder has no links and no special files")
            count += 1
            if count > MOST_FILES:
                raise InputError(f"{root}: has more than {MOST_FILES} files")
            data = read_bounded(path, left)
            left -= len(data)
            yield path.relative_to(root).as_posix(), data


def _canonical(content: dict[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _checked_purpose(purpose: str) -> str:
    if not purpose or len(purpose.encode()) > 80 or "\n" in purpose:
        raise InputError(f"a purpose is one line of 1 to 80 bytes, got {purpose!r}")
    return purpose


def _signature(content: bytes, purpose: str) -> str:
    signer = hmac.new(_key(), f"{_FORMAT}\n{purpose}\n".encode(), hashlib.sha256)
    signer.update(content)
    return signer.hexdigest()


def _is_signature(claimed: bytes, content: bytes, purpose: str) -> bool:
    return hmac.compare_digest(claimed, _signature(content, purpose).encode())


def _refusal(path: str | os.PathLike[str]) -> str:
    return (
        f"{os.fspath(path)}: would be unpickled, which runs what it says, and was not written by this user on this "
        f"machine (the key in {cache_folder()} did not sign it): name another folder, or pass {TRUST} if you trust "
        "whoever wrote it as yourself"
    )


def _key() -> bytes:
    """Return this user's key, made on first use; readable by nobody else.

    Raises:
        PermissionError: Others may read it, or it is another user's.
        ValueError: It is damaged.
    """
    path = cache_folder() / _KEY
    if not path.exists():
        _make_key(path)
    there = path.lstat()
    if os.name == "posix" and (there.st_uid != os.getuid() or stat.S_IMODE(there.st_mode) & 0o077):
        raise FilePermissionError(
            f"{path}: must belong to this user and be readable by nobody else (chmod 600, or remove)"
        )
    key = read_bounded(path, _KEY_BYTES)
    if not stat.S_ISREG(there.st_mode) or len(key) != _KEY_BYTES:
        raise InputError(f"{path}: is no key of {_KEY_BYTES} bytes: remove it, and what it signed is no longer trusted")
    return key


def _make_key(path: Path) -> None:
    """Write a new key; of two processes that do so at once, one wins and both use its key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_beside(path)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # unlike a renaming, this never takes the place of another's key
    finally:
        draft.unlink(missing_ok=True)
