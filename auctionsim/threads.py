"""The rule for how many threads compute: the cores that a process may use, less one; fixed before the work begins.

Threads of one product wait for the slowest of them. Where one of them shares its core with another process, all wait
for that process's time slices: `benchmarks/threads.py` prints by how much. So one core is left to everything else. The
rule does not look at the load: how sums are split changes their last bits, and a seed must give the same numbers at
every hour.

A library leaves its caller's threads alone: only the command and the worker processes apply a rule.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from auctionsim.errors import InputError

VARIABLES = ("AUCTIONSIM_THREADS", "OMP_NUM_THREADS")
"""What the environment may ask for; the first that is set counts."""


MOST_THREADS = 1024
"""That may be asked for: more are a slip of the hand, and torch would try to make them."""


class Cores(NamedTuple):
    """What a process may use of a machine.

    Attributes:
        allowed: Physical cores that it may run on, >= 1; two hardware threads of a core are one.
        quota: Cores' worth of time that its control groups grant, > 0; None for no limit.
    """

    allowed: int
    quota: float | None = None


def thread_count(cores: Cores, asked: int | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Return how many threads compute: what was asked for, else what the environment asks for, else the rule.

    The rule: min(allowed, ⌊quota⌋) − 1, at least 1.

    Args:
        cores: What this process may use, see `usable_cores`.
        asked: By the caller, 1 to `MOST_THREADS`.
        environment: Variables of the process, `VARIABLES` among them; `OMP_NUM_THREADS` may list numbers a level, of
            which the first counts.
    Raises:
        ValueError: A number of threads that is not whole, below 1 or above `MOST_THREADS`.
    """
    if asked is not None:
        return _checked("threads", str(asked))
    for name in VARIABLES:
        text = (environment or {}).get(name, "").strip()
        if text:
            return _checked(name, text.partition(",")[0] if name == "OMP_NUM_THREADS" else text)
    usable = cores.allowed if cores.quota is None else min(cores.allowed, math.floor(cores.quota))
    return max(1, usable - 1)


def usable_cores(root: Path = Path("/")) -> Cores:
    """Read what this process may use: its affinity, the cores' hardware threads, and its control groups' quotas.

    Args:
        root: Of the file system that the kernel's files are read from.
    """
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    return Cores(_physical(processors, root), _quota(root))


def use_threads(asked: int | None = None) -> int:
    """Make torch compute on as many threads as the rule says; return how many.

    Raises:
        ValueError: As `thread_count`.
    """
    count = thread_count(usable_cores(), asked, os.environ)
    import torch

    torch.set_num_threads(count)
    return count


def _checked(name: str, text: str) -> int:
    if not text.strip().isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise InputError(f"{name} must be a whole number from 1 to {MOST_THREADS}, got {text!r}")
    return int(text)


def _physical(processors: set[int], root: Path) -> int:
    """Count cores; a processor whose siblings the kernel does not name is a core by itself."""
    cores = set()
    for processor in processors:
        siblings = _read(root / f"sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
        cores.add(siblings or str(processor))
    return max(1, len(cores))


def _quota(root: Path) -> float | None:
    """Return the smallest quota of the groups that this process is in, up to the root group; version 2, then 1."""
    groups = root / "sys/fs/cgroup"
    quotas: list[float] = []
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            quotas += _along(groups, path, _limit_of_version_2)
        elif "cpu" in controllers.split(","):
            quotas += _along(groups / controllers, path, _limit_of_version_1)
            quotas += _along(groups / "cpu", path, _limit_of_version_1)
    return min(quotas, default=None)


def _along(top: Path, path: str, limit: Callable[[Path], float | None]) -> Iterator[float]:
    """Yield the limits from a group up to the top; a container sees its own group as the top."""
    group = top / path.strip("/")
    for folder in (group, *group.parents):
        if folder.is_relative_to(top) and (found := limit(folder)) is not None:
            yield found


def _limit_of_version_2(group: Path) -> float | None:
    quota, _, period = (_read(group / "cpu.max") or "max").partition(" ")
    return None if quota == "max" else int(quota) / int(period or 100_000)


def _limit_of_version_1(group: Path) -> float | None:
    quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def _read(path: Path) -> str | None:
    """Return what a file of the kernel's says, None where there is none."""
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
