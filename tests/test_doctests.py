"""The examples in docstrings give what they show: all of them run in one fresh process, without the suite's checks.

The import hook that checks shapes in the suite wraps functions so that doctest no longer finds them; hence a process.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"auctionsim": "auctionsim", "agents": "auctionsim.agents", "envs": "auctionsim.envs"}
RUN = """
import doctest, importlib, json, sys
found = {}
for name in sys.argv[1:]:
    runner = doctest.DocTestRunner(verbose=False)
    lines = []
    for test in doctest.DocTestFinder().find(importlib.import_module(name)):
        runner.run(test, out=lines.append)
    found[name] = [runner.tries, runner.failures, "".join(lines)]
print(json.dumps(found))
"""


def modules() -> dict[str, int]:
    """How many examples the source of each module shows, by the module's installed name."""
    counts = {}
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
            count = sum(line.lstrip().startswith(">>> ") for line in path.read_text(encoding="utf-8").splitlines())
            if count:
                counts[".".join(part for part in parts if part != "__init__")] = count
    return counts


def run(names: list[str], cwd: Path) -> dict[str, tuple[int, int, str]]:
    done = subprocess.run([sys.executable, "-c", RUN, *names], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, tuple[int, int, str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_examples_give_what_they_show(tmp_path: Path) -> None:
    there = modules()
    assert {"auctionsim.metrics", "auctionsim.agents.strategies", "auctionsim.envs.gymnasium_env"} <= set(there)
    for name, (tried, failed, lines) in run(sorted(there), tmp_path).items():
        assert failed == 0, lines
        assert tried == there[name], f"{name}: {tried} of {there[name]} examples are found"


def test_an_example_that_is_wrong_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong.py").write_text('def one():\n    """Return 1.\n\n    >>> one()\n    2\n    """\n    return 1\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run(["wrong"], tmp_path)["wrong"][:2] == [1, 1]
