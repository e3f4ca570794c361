"""Who wrote a file: what this user signed is read, and nothing else, whatever was changed in between."""

import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from auctionsim import signatures
from auctionsim.caching import cache_folder
from auctionsim.errors import UntrustedError
from auctionsim.signatures import (
    SIGNATURE,
    TRUST,
    read_signed,
    replacing_folder,
    sign_folder,
    verified_folder,
    write_signed,
)


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUCTIONSIM_CACHE", str(tmp_path / "cache"))


def another_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUCTIONSIM_CACHE", str(tmp_path / "stranger"))


def folder_of(root: Path, **files: bytes) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_the_key_is_made_once_and_is_the_users_alone(tmp_path: Path) -> None:
    write_signed(tmp_path / "a", b"1", "tests")
    key = cache_folder() / "signing-key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.stat().st_size == 32
    first = key.read_bytes()
    write_signed(tmp_path / "b", b"2", "tests")
    assert key.read_bytes() == first
    assert os.listdir(cache_folder()) == ["signing-key"]


def test_processes_that_make_the_key_at_once_use_the_same(tmp_path: Path) -> None:
    code = "import sys; from auctionsim.signatures import write_signed; write_signed(sys.argv[1], b'x', 'tests')"
    paths = [tmp_path / f"file{k}" for k in range(4)]
    running = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for path in paths]
    assert [one.wait(60) for one in running] == [0] * 4
    assert len({path.read_bytes() for path in paths}) == 1
    assert read_signed(paths[0], "tests") == b"x"


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    write_signed(tmp_path / "a", b"1", "tests")
    (cache_folder() / "signing-key").chmod(0o644)
    with pytest.raises(PermissionError, match="readable by nobody else"):
        read_signed(tmp_path / "a", "tests")


def test_a_key_of_another_length_is_refused(tmp_path: Path) -> None:
    write_signed(tmp_path / "a", b"1", "tests")
    (cache_folder() / "signing-key").write_bytes(b"")
    with pytest.raises(ValueError, match="is no key of 32 bytes"):
        read_signed(tmp_path / "a", "tests")


@pytest.mark.parametrize("content", [b"", b"\n\n\n", b"plain", pickle.dumps([1.5, "two"]), bytes(range(256))])
def test_what_was_signed_is_read(content: bytes, tmp_path: Path) -> None:
    write_signed(tmp_path / "a", content, "tests")
    assert read_signed(tmp_path / "a", "tests") == content


def test_any_changed_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_signed(path, b"payload of some length", "tests")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="a:"):
            read_signed(path, "tests")
        path.write_bytes(whole[:place])
        with pytest.raises(ValueError, match="a:"):
            read_signed(path, "tests")
    path.write_bytes(whole + b" ")
    with pytest.raises(UntrustedError):
        read_signed(path, "tests")


def test_a_stranger_and_another_purpose_are_refused_unless_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    write_signed(path, b"1", "tune state")
    with pytest.raises(UntrustedError):
        read_signed(path, "checkpoint")
    another_key(monkeypatch, tmp_path)
    with pytest.raises(UntrustedError, match=TRUST):
        read_signed(path, "tune state")
    assert read_signed(path, "tune state", trust=True) == b"1"


def test_a_purpose_is_one_line(tmp_path: Path) -> None:
    for purpose in ("", "two\nlines", "x" * 81):
        with pytest.raises(ValueError, match="a purpose is one line"):
            write_signed(tmp_path / "a", b"", purpose)


def test_a_signed_folder_is_copied_and_gone_after_the_block(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "run", a=b"1", inner__deep__b=b"2")
    sign_folder(root, "tests")
    with verified_folder(root, "tests") as copy:
        assert (copy / "a").read_bytes() == b"1"
        assert (copy / "inner" / "deep" / "b").read_bytes() == b"2"
        assert not (copy / SIGNATURE).exists()
        (root / "a").write_bytes(b"changed meanwhile")
        assert (copy / "a").read_bytes() == b"1"
    assert not copy.exists()


def changed(root: Path) -> None:
    (root / "a").write_bytes(b"3")


def added(root: Path) -> None:
    (root / "extra.pkl").write_bytes(b"")


def taken_away(root: Path) -> None:
    (root / "a").unlink()


def swapped(root: Path) -> None:
    (root / "a").rename(root / "c")
    (root / "inner" / "b").rename(root / "a")
    (root / "c").rename(root / "inner" / "b")


def unsigned(root: Path) -> None:
    (root / SIGNATURE).unlink()


def listed_anew(root: Path) -> None:
    (root / "a").write_bytes(b"3")
    text = (root / SIGNATURE).read_text()
    old, new = (signatures.hashlib.sha256(content).hexdigest() for content in (b"1", b"3"))
    assert old in text
    (root / SIGNATURE).write_text(text.replace(old, new))


@pytest.mark.parametrize("bend", [changed, added, taken_away, swapped, unsigned, listed_anew])
def test_a_folder_that_was_changed_is_refused_unless_trusted(bend: object, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "run", a=b"1", inner__b=b"2")
    sign_folder(root, "tests")
    bend(root)  # type: ignore[operator]
    with pytest.raises(UntrustedError, match="run"), verified_folder(root, "tests"):
        pass
    with verified_folder(root, "tests", trust=True) as copy:
        assert copy.is_dir()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"hmac": 1}', '{"hmac": "ö", "files": []}', "[" * 100_000, "\0"])
def test_a_list_that_is_none_is_one_sentence(text: str, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "run", a=b"1")
    (root / SIGNATURE).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="run"), verified_folder(root, "tests"):
        pass


def test_links_and_pipes_are_refused_and_nothing_waits(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "run", a=b"1")
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="link: is no regular file"):
        sign_folder(root, "tests")
    (root / "link").unlink()
    sign_folder(root, "tests")
    os.mkfifo(root / "pipe")
    for trust in (False, True):
        with pytest.raises(ValueError, match="pipe: is no regular file"), verified_folder(root, "tests", trust=trust):
            pass


def test_a_folder_has_bounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "run", a=b"12345", b=b"67890")
    monkeypatch.setattr(signatures, "MOST_BYTES", 9)
    with pytest.raises(ValueError, match="at most 4 are read"):
        sign_folder(root, "tests")
    monkeypatch.setattr(signatures, "MOST_BYTES", 10)
    monkeypatch.setattr(signatures, "MOST_FILES", 1)
    with pytest.raises(ValueError, match="more than 1 files"):
        sign_folder(root, "tests")


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    for number in (b"1", b"2"):
        with replacing_folder(target, "tests") as draft:
            assert not os.listdir(draft)
            (draft / "a").write_bytes(number)
        with verified_folder(target, "tests") as copy:
            assert (copy / "a").read_bytes() == number
    with pytest.raises(ZeroDivisionError), replacing_folder(target, "tests") as draft:
        (draft / "a").write_bytes(b"3" * (1 // 0))
    with verified_folder(target, "tests") as copy:
        assert (copy / "a").read_bytes() == b"2"
    assert sorted(os.listdir(tmp_path)) == ["cache", "checkpoint"]
