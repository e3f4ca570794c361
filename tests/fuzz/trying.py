"""How the fuzz tries an input: in a process with limits on memory and time; and what it counts.

An input may be answered, or refused by a ValueError, a TypeError or an error that the entry documents, with a message.
Anything else (another exception, a wait, a gigabyte) is a finding.
"""

import random
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # run by hand, the folder of this file alone is there
from peak_memory import peak_bytes

SECONDS = 20  # of one input
GIGABYTE = 1 << 30


class TooSlowError(Exception):
    """An input took longer than it may."""


@dataclass
class Tally:
    """What became of the inputs.

    Attributes:
        answered: How many were answered, by target.
        refused: How many were refused, by target.
        findings: What should not have happened: target, number, error.
    """

    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def line(self, what: str, seconds: float) -> str:
        """Return the counts in one line."""
        total = self.answered.total() + self.refused.total() + len(self.findings)
        targets = len({*self.answered, *self.refused})
        return (
            f"fuzz of {what}: {total:,} inputs over {targets} targets: {self.answered.total():,} answered, "
            f"{self.refused.total():,} refused, {len(self.findings)} findings; {peak_bytes() >> 20} MiB, "
            f"{seconds:.0f} s"
        )


Target = tuple[Callable[[random.Random], Any], tuple[type[Exception], ...]]
"""What draws an input and tries it, and which errors are documented besides."""


def tried(targets: dict[str, Target], count: int, seed: int, refusals: tuple[type[Exception], ...]) -> Tally:
    """Try every target `count` times, in turns.

    Args:
        targets: By name.
        count: Inputs of each.
        seed: Every input has a generator of its own, keyed by seed, target and number.
        refusals: Which errors are a refusal, whatever the target.
    """
    tally, before = Tally(), peak_bytes()
    signal.signal(signal.SIGALRM, _stop)
    for name, (target, documented) in targets.items():
        for number in range(count):
            draw = random.Random(f"{seed} {name} {number}")
            signal.alarm(SECONDS)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    target(draw)
                tally.answered[name] += 1
            except (*refusals, *documented) as error:
                if isinstance(error, UnicodeError) or not str(error).strip() or _is_ours(error):
                    tally.findings.append(_told(name, number, error))
                else:
                    tally.refused[name] += 1
            except Exception as error:  # noqa: BLE001  # that is what is looked for
                tally.findings.append(_told(name, number, error))
            finally:
                signal.alarm(0)
            if peak_bytes() - before > GIGABYTE:
                tally.findings.append(f"{name} {number}: {(peak_bytes() - before) >> 20} MiB")
                return tally
    return tally


def run(what: str, targets: dict[str, Target], refusals: tuple[type[Exception], ...]) -> None:
    """Try the targets in this process, print the counts and the findings, and exit.

    The command's words are how many inputs each target has, and a seed.
    """
    count, seed = int(sys.argv[1]) if len(sys.argv) > 1 else 20, int(sys.argv[2]) if len(sys.argv) > 2 else 0
    size = 24 * GIGABYTE  # of addresses, which torch takes many of: what no input may come near
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    began = time.perf_counter()
    tally = tried(targets, count, seed, refusals)
    for finding in tally.findings:
        print(finding)
    print(tally.line(what, time.perf_counter() - began))
    sys.exit(bool(tally.findings))


def _stop(*_: Any) -> None:
    raise TooSlowError(f"took more than {SECONDS} s")


def _is_ours(error: Exception) -> bool:
    """Tell whether the fuzz itself failed."""
    return "/tests/fuzz/" in traceback.extract_tb(error.__traceback__)[-1].filename


def _told(name: str, number: int, error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    message = " ".join(str(error).split())[:160]
    own = [f for f in traceback.extract_tb(error.__traceback__) if "/site-packages/" not in f.filename][-1]
    return (
        f"{name} {number}: {type(error).__name__}: {message} "
        f"({frame.filename.rpartition('/')[2]}:{frame.lineno}, from {own.filename.rpartition('/')[2]}:{own.lineno})"
    )
