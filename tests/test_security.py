"""SECURITY.md says what holds: every line of its tables names a test that is there, and nothing unpickles besides."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("|") and not re.match(r"\|[-| ]+\|$|\| what", line)]
UNPICKLES = re.compile(
    r"pickle\.loads?\(|(?<!safetensors\.)torch\.load\(|\.from_checkpoint\(|Tuner\.restore\(|allow_pickle|joblib\.load|marshal\.|shelve\."
)


def test_every_claim_names_a_test() -> None:
    assert len(ROWS) >= 30
    for row in ROWS:
        assert re.search(r"`tests/[\w/]+\.py(::\w+)?` \|$", row), row


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", TEXT))))
def test_the_test_is_there(name: str) -> None:
    path, _, function = name.partition("::")
    assert (ROOT / path).is_file()
    assert not function or f"def {function}(" in (ROOT / path).read_text(encoding="utf-8")


def test_nothing_else_is_unpickled() -> None:
    """Where bytes become objects by a pickle, they were verified in the lines before."""
    found = {}
    for folder in ("auctionsim", "agents", "envs", "experiments"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = [line for line in path.read_text(encoding="utf-8").splitlines() if UNPICKLES.search(line)]
            if lines:
                found[path.relative_to(ROOT).as_posix()] = lines
    kits = {name for name in found if name.startswith("auctionsim/testing/")}
    for name in kits:  # the kits copy an object of the caller's through bytes that they made themselves
        assert [line.strip().split("=")[1].strip() for line in found[name]] == ["pickle.loads(data)"], name
        assert "data = pickle.dumps(" in (ROOT / name).read_text(encoding="utf-8")
    assert set(found) - kits == {"agents/ppo.py", "experiments/running/tuning.py"}
    assert ["from_checkpoint" in line for line in found["agents/ppo.py"]] == [True]
    assert ["Tuner.restore" in line for line in found["experiments/running/tuning.py"]] == [True]


def test_the_bounds_are_those_of_the_code() -> None:
    from auctionsim import blocks, records, signatures, storage, tables
    from auctionsim.measurement import kept_replies
    from auctionsim.report import runs
    from auctionsim.substrates import measured_arrays, surface

    mib = 1 << 20
    assert (256 * mib, 16 * mib) == (storage.MOST_STORED_BYTES, storage.MOST_HEADER_BYTES)
    assert (surface.MOST_CELLS, measured_arrays.MOST_NUMBERS) == (2**20, 2**25)
    assert (32 * mib, 64) == (records.MOST_JSON_BYTES, records.MOST_DEPTH)
    assert (16 * mib, 128 * mib) == (kept_replies._LONGEST_LINE, kept_replies.MOST_UNPACKED_BYTES)
    assert (16 * mib, 2**22) == (tables.MOST_TABLE_BYTES, tables.MOST_CELLS)
    assert (tables.MOST_COLUMNS, tables.MOST_TEXT) == (1024, 2**20)
    assert (500, 64 * mib, mib // 4) == (runs.MOST_ROWS, runs.MOST_PICTURE_BYTES, runs.MOST_SECTION_BYTES)
    assert (4096, 1024 * mib) == (signatures.MOST_FILES, signatures.MOST_BYTES)
    assert 32 * mib == blocks.MOST_NUMBERS * 8
