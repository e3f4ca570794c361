"""Shell completion: scripts for the shells, commands, options and the names that ship."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from measured_fakes import fake_surface

from auctionsim.cli import completions
from auctionsim.data import packaged_names
from auctionsim.envs.settings import LIVE_SETTINGS, SETTINGS
from auctionsim.experiments.running.bidders import LEARNERS
from auctionsim.mechanisms.table import table
from auctionsim.readings.standard import FEATURES

COMMAND = Path(sys.executable).with_name("auctionsim")


def asked(instruction: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "_AUCTIONSIM_COMPLETE": instruction, **environment}
    return subprocess.run([COMMAND], capture_output=True, text=True, check=False, env=variables)


def completed(line: str) -> list[str]:
    """What bash is offered where the line ends."""
    done = asked("complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(line.split(" ")) - 1))
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_every_shell(shell: str) -> None:
    script = asked(f"source_{shell}").stdout
    assert "_AUCTIONSIM_COMPLETE" in script
    assert f"complete_{shell}" in script


def test_commands_options_and_names_are_completed() -> None:
    assert completed("auctionsim surface ma") == ["maps"]
    assert completed("auctionsim demo --sa") == ["--samples"]
    wanted = [name for name in packaged_names() if name.startswith("running-shoes-3")]
    assert completed("auctionsim surface show running-shoes-3") == wanted
    assert completed("auctionsim bidders train first") == ["first-price"]


def test_an_unfinished_line_is_no_mistake() -> None:
    """Neither brands that are not written out yet nor ones that deserve a note print anything."""
    for brands in ("Nike,,Adidas", "Apple,Shell"):
        assert completed(f"auctionsim demo --brands {brands} --se") == ["--seed"]


def test_what_is_completed_is_what_there_is() -> None:
    """The names are written out beside the command, which must not load torch; here they are held against the code."""
    view = fake_surface(2).sell("hits")
    assert set(completions.mechanisms("")) == {name for name, one in table().items() if one.refusal(view) is None}
    assert set(completions.learners("")) == set(LEARNERS)
    assert tuple(completions.features("")) == FEATURES
    assert set(completions.settings("")) == {*SETTINGS, *LIVE_SETTINGS}
    assert set(completions.surfaces("")) | set(completions.lists("")) == set(packaged_names())
    assert completions.surfaces("running-shoes-5") == []
