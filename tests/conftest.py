"""What every test gets: shapes checked at run time, Hypothesis profiles, a generator."""

import os
import sys
from pathlib import Path
from types import ModuleType

OURS = ModuleType("tests")  # a package of the lock installs a folder of this name, which would come before ours
OURS.__path__ = [str(Path(__file__).parent)]
sys.modules["tests"] = OURS

os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from jaxtyping import install_import_hook

# Before anything of auctionsim is imported. With the numeric tower: where a float is annotated, an int will do.
install_import_hook("auctionsim", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("default", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


@pytest.fixture
def generator() -> torch.Generator:
    """A generator of its own for each test."""
    return torch.Generator().manual_seed(0)


@contextmanager
def forward_passes(network: torch.nn.Module) -> Iterator[list[tuple[int, int]]]:
    """Note the (rows, positions) of every forward pass made inside."""
    seen: list[tuple[int, int]] = []

    def note(_: torch.nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        ids = inputs[0] if inputs else named["input_ids"]
        seen.append(tuple(ids.shape))

    handle = network.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


@pytest.fixture(name="forward_passes")
def _forward_passes() -> Any:
    """`with forward_passes(network) as seen:` notes the (rows, positions) of every forward pass."""
    return forward_passes


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what tests counted (`record_property("counted", line)`), such as the fuzz its inputs."""
    reports = terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", [])
    for report in reports:
        for name, line in getattr(report, "user_properties", ()):
            if name == "counted":
                terminalreporter.write_line(str(line))
