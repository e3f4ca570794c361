"""Kill a command at every write, run it again, and compare with a run that nobody stopped.

    python tests/killing.py FOLDER CASE … [--whole]

The process imports everything once and forks a child a run, so that a kill costs what the run costs. A child's n-th
write, through `auctionsim.files.replacing`, ends it by SIGKILL when the draft is written and not yet in its place:
before that write nothing of it is there, and after it comes the next one. Prints a line of JSON a case.
"""

import json
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # or a fork would inherit a pool of threads without its threads
from auctionsim import files

_replacing = files.replacing


class Fault:
    """At which write the process ends, by which signal, and where finished writes are noted."""

    at: int | None = None
    how = signal.SIGKILL
    seen = 0
    log: Path | None = None


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write as the library does; end the process at the chosen write, note the finished ones."""
    with _replacing(path) as draft:
        yield draft
        Fault.seen += 1
        if Fault.seen == Fault.at:
            os.kill(os.getpid(), Fault.how)
    if Fault.log is not None:
        with Fault.log.open("a") as log:
            log.write(f"{path}\n")


files.replacing = replacing  # before any module takes it from there


def in_a_child(work: Callable[[], object], at: int | None, log: Path, how: signal.Signals = signal.SIGKILL) -> int:
    """Return how a forked child ended that did the work: its exit code, or minus the signal."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        Fault.at, Fault.log, Fault.how, Fault.seen = at, log, how, 0
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = 1
        try:
            work()
            code = 0
        except KeyboardInterrupt:
            code = 130
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def contents(folder: Path) -> dict[str, object]:
    """Return what a folder holds, times left out."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or path.name in ("seconds.json", "index.html", "report.html"):
            continue
        if path.suffix == ".json":
            found[name] = _timeless(json.loads(path.read_text()))
        elif path.suffix == ".md":
            found[name] = "\n".join(line for line in path.read_text().splitlines() if "seconds" not in line)
        else:
            found[name] = path.read_bytes()
    return found


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        timed = ("seconds", "stage_seconds", "stage_seconds_before", "peak_memory_gib", "sha256")
        return {name: _timeless(one) for name, one in value.items() if name not in timed}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def kept_names(log: Path, folder: Path) -> Counter[str]:
    """Count the finished writes of what is kept: units, parts, neurons, states of a training, days of a market."""
    names = [Path(line) for line in log.read_text().splitlines()] if log.exists() else []
    parts = [
        p
        for p in names
        if p.suffix == ".json" and (p.parent.name == "units" or any(part.startswith("parts") for part in p.parts))
    ]
    others = [p for p in names if p.name == "neurons.json" or p.parent.name in ("training", "days")]
    return Counter(str(p.relative_to(folder)) for p in [*parts, *others])


def kill_at_every_write(case: Callable[[Path], object], place: Path, after: str = "") -> dict[str, int]:
    """Kill the case at its first write, its second …, each time in a new folder; return what was seen.

    Args:
        case: Given the run folder.
        place: An empty folder.
        after: Begin behind the write of a file of this name, in copies of a folder that was killed there: what is
            written before is another case's.
    Raises:
        AssertionError: A run that went on ended otherwise than the unbroken one, or made a finished part again.
    """
    folder, log = place / "run", place / "log"
    assert in_a_child(lambda: case(folder), None, log) == 0, "the unbroken run failed"
    unbroken, parts = contents(folder), kept_names(log, folder)
    names = [Path(line).name for line in log.read_text().splitlines()]
    assert parts, "nothing is kept"
    first = 1 + (names.index(after) + 1 if after else 0)
    base = _killed_at(first, case, folder, log, place / "base")
    for n in range(first, len(names) + 1):
        shutil.rmtree(folder)
        shutil.copytree(base / "run", folder)
        shutil.copyfile(base / "log", log)
        begun = len(log.read_text().splitlines())
        ended = in_a_child(lambda: case(folder), n - begun, log)
        assert ended == -signal.SIGKILL, f"write {n}: the run ended with {ended}"
        assert len(log.read_text().splitlines()) == n - 1
        assert in_a_child(lambda: case(folder), None, log) == 0, f"after a kill at write {n} the same command fails"
        again = contents(folder)
        assert set(again) == set(unbroken), (n, set(again) ^ set(unbroken))
        different = [name for name in unbroken if again[name] != unbroken[name]]
        assert not different, f"after a kill at write {n} {different[0]} is another"
        repeated = kept_names(log, folder) - parts
        assert not repeated, f"after a kill at write {n} finished parts were made again: {repeated}"
        assert not list(folder.rglob("*.partial")), f"after a kill at write {n} a draft is left"
    return {"writes": len(names), "kills": len(names) + 1 - first, "kept": parts.total()}


def _killed_at(n: int, case: Callable[[Path], object], folder: Path, log: Path, base: Path) -> Path:
    """Return a place with a copy of the folder, and of its log, as a kill at the n-th write leaves it; empty for 1."""
    shutil.rmtree(folder)
    log.unlink()
    (base / "run").mkdir(parents=True)
    (base / "log").touch()
    if n > 1:
        assert in_a_child(lambda: case(folder), n, log) == -signal.SIGKILL
        shutil.copytree(folder, base / "run", dirs_exist_ok=True)
        shutil.copyfile(log, base / "log")
    folder.mkdir(exist_ok=True)
    return base


def interrupt_in_the_middle(case: Callable[[Path], object], place: Path) -> int:
    """Stop the case by Ctrl-C's signal at its fourth write, and run it again; return the child's exit code."""
    folder, log = place / "run", place / "log"
    unbroken = contents(folder)
    shutil.rmtree(folder)
    ended = in_a_child(lambda: case(folder), 4, log, signal.SIGINT)
    assert not list(folder.rglob("*.partial")), "Ctrl-C leaves no draft"
    assert in_a_child(lambda: case(folder), None, log) == 0
    assert contents(folder) == unbroken
    return ended


def main() -> None:
    """Run cases and print what was seen, a line each."""
    import killing_cases

    for name in (word for word in sys.argv[2:] if word != "--whole"):
        place = Path(sys.argv[1]) / name
        place.mkdir()
        case = killing_cases.CASES[name]()
        after = "surface.safetensors" if name == "demo" and "--whole" not in sys.argv else ""
        found: dict[str, object] = {"case": name, **kill_at_every_write(case, place, after)}
        print(json.dumps({**found, "interrupted": interrupt_in_the_middle(case, place)}), flush=True)


if __name__ == "__main__":
    sys.modules["killing"] = sys.modules["__main__"]
    main()
