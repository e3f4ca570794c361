"""More than ten thousand bent inputs to public entries and files: each is answered or refused in a sentence.

The fuzz runs in processes of its own, without the run-time checker of types that tests have: what a user meets is what
is tried. `tests/fuzz/entries.py COUNT` and `files.py COUNT` run it by hand, with more inputs.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def fuzz(what: str, count: int, cache: Path) -> str:
    """Run a fuzz in a process; return its last line."""
    environment = {**os.environ, "AUCTIONSIM_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(HERE / f"{what}.py"), str(count)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=290,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("what", "count", "least"), [("entries", 40, 7000), ("files", 130, 7000)])
def test_bent_inputs_are_answered_or_refused_in_a_sentence(
    what: str, count: int, least: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    line = fuzz(what, count, tmp_path)
    record_property("counted", line)
    words = line.replace(",", "").split()
    inputs, answered, refused = (int(words[words.index(word) - 1]) for word in ("inputs", "answered", "refused"))
    assert inputs >= least
    assert answered > inputs // 10  # or nothing gets past the first check
    assert refused > inputs // 10
    assert " 0 findings" in line


def test_the_fuzz_finds_what_it_looks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    import time

    import trying

    monkeypatch.setattr(trying, "SECONDS", 1)

    def refuses(_: object) -> None:
        raise ValueError("a rule, and a value")

    def says_nothing(_: object) -> None:
        raise ValueError

    def breaks(_: object) -> None:
        raise KeyError("x")

    def waits(_: object) -> None:
        while True:
            time.sleep(0.01)

    def warns(_: object) -> None:
        import warnings

        warnings.warn("look", RuntimeWarning, stacklevel=1)

    named = {f.__name__: (f, ()) for f in (refuses, says_nothing, breaks, waits, warns)}
    monkeypatch.setattr(trying, "_is_ours", lambda error: False)
    tally = trying.tried(named, 1, 0, (ValueError,))
    assert tally.refused == {"refuses": 1}
    assert [line.split()[0] for line in tally.findings] == ["says_nothing", "breaks", "waits", "warns"]
