"""A measurement's file is read whole and unharmed, or refused in one sentence that names it."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from measured_fakes import fake_list, fake_surface

from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.substrates import LeverGrid, MeasuredList, ResponseSurface

SMALL = fake_surface(1, (LeverGrid("amplification", (1.0, 2.0), 1.0),))


@pytest.mark.parametrize("measured", [fake_surface(), fake_list(), SMALL], ids=["surface", "list", "small"])
def test_round_trip_is_bit_for_bit(measured: ResponseSurface | MeasuredList, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "measured.safetensors"
    measured.sell("hits").replicate("B").save(path)
    again = type(measured).load(path)
    assert again == measured  # all that was measured, not the view
    assert again.provenance == measured.provenance
    assert again.levers == measured.levers
    assert again.table() == measured.table()
    for name, replicate in measured.replicates.items():
        other = again.replicates[name]
        pairs = [(replicate.features, other.features), (replicate.losses["kl"], other.losses["kl"])]
        pairs += [(item, other.diagnostics[key]) for key, item in replicate.diagnostics.items()]
        assert len(other.diagnostics) == 2
        for one, two in pairs:
            assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(one, two, strict=True))
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    SMALL.save(path)
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 97), 7, 8, 9, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut\.safetensors: (is|was)"):
            ResponseSurface.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match=r"cut\.safetensors: is damaged"):
        ResponseSurface.load(path)


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80])
def test_every_flipped_byte_is_refused(flip: int, tmp_path: Path) -> None:
    path = tmp_path / "flipped.safetensors"
    SMALL.save(path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for place in [
        *range(0, 700, 3),
        *range(700, header, 13),
        *range(header - 8, header),
        *range(header, len(whole), 31),
    ]:
        data = bytearray(whole)
        data[place] ^= flip
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"flipped\.safetensors: \w+ .*"):
            ResponseSurface.load(path)
    path.write_bytes(whole)
    assert ResponseSurface.load(path) == SMALL


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    for content in (b"", b"hello", b"PK\x03\x04" + bytes(100), safetensors.torch.save({"weight": torch.ones(3)})):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"foreign\.safetensors: (is truncated|was not written by auctionsim)"):
            ResponseSurface.load(path)
    fake_list().save(path)
    with pytest.raises(
        ValueError, match=r"foreign\.safetensors: holds 'auctionsim/measured-list', not 'auctionsim/resp"
    ):
        ResponseSurface.load(path)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.safetensors"):
        ResponseSurface.load(tmp_path / "nowhere.safetensors")


def test_a_later_version_and_a_whole_file_without_its_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "later.safetensors"
    write_stored(path, Stored({}, {}), ResponseSurface.file_format, ResponseSurface.file_version + 1)
    with pytest.raises(ValueError, match=r"later\.safetensors: is of version 4 .* up to 3: upgrade auctionsim"):
        ResponseSurface.load(path)
    written = SMALL._written[0]
    loss = {"A/user_loss/mean": written.arrays["A/user_loss/mean"][:, :1]}
    for contents, message in (
        (Stored({}, {}), "the record lacks 'grids'"),
        (Stored(written.record, {}), "lacks the tensor 'A/user_loss/mean'"),
        (Stored(written.record, written.arrays | loss), r"A/user_loss/mean must be of shape \(3, 2"),
    ):
        write_stored(path, contents, ResponseSurface.file_format, ResponseSurface.file_version)
        with pytest.raises(ValueError, match=r"later\.safetensors: " + message):
            ResponseSurface.load(path)


def test_sixty_four_zeros_elsewhere_do_not_confuse_the_checksum(tmp_path: Path) -> None:
    path = tmp_path / "zeros.safetensors"
    stored = Stored({"prompts": "0" * 64}, {"0" * 64: torch.arange(3)})
    write_stored(path, stored, "0" * 64, 1)
    again = read_stored(path, "0" * 64, 1)
    assert again.record == stored.record
    assert torch.equal(again.arrays["0" * 64], torch.arange(3))


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.safetensors"
    SMALL.save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON-serialisable"):
        write_stored(path, Stored({"seed": float("inf")}, {}), ResponseSurface.file_format, 1)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["kept.safetensors"]
