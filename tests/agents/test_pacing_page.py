"""The table of controllers, one's own files, and docs/pacing.md: its controller is one file, tested by its one line."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from market_fakes import campaigns, item_market

from auctionsim import plugins
from auctionsim.agents.pacing import controller, controllers, load_controllers, register, withdraw
from auctionsim.errors import InputError, PluginError
from auctionsim.experiments.running.market_config import ActorConfig, MarketConfig
from auctionsim.experiments.running.market_setup import actors_from
from auctionsim.market import CampaignTerms, Controller, Orders, Simulation, State, TickStart

PAGE = (Path(__file__).parents[2] / "docs" / "pacing.md").read_text(encoding="utf-8")
NAMED, FILE, TEST, OUTSIDE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
KINDS = {
    "none", "throttling", "multiplicative", "adaptive", "pid", "target-return", "both-constraints", "shading",
    "language-model",
}  # fmt: skip


class Plain(Controller):
    """No dataclass, no settings."""

    name = "plain"

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        return Orders(np.full(len(start.present), 0.5), np.ones(len(start.present)))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's file, in a process that has loaded no plugin."""
    monkeypatch.setattr(plugins, "_files", {})
    path = tmp_path / "tenth.py"
    path.write_text(FILE, encoding="utf-8")
    yield path
    for name in ("tenth", "plain"):
        if name in controllers():
            withdraw(name)
    sys.modules.pop(plugins.module_name(path), None)


def test_every_kind_is_on_the_page_and_has_its_name() -> None:
    assert set(controllers()) == KINDS
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, flags=re.MULTILINE)) == KINDS
    for name in KINDS:
        assert controller(name).name == name


def test_the_pages_file_and_its_one_line(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own.parent)
    exec(compile(TEST, "docs/pacing.md", "exec"), {})
    assert load_controllers(own) == ("tenth",), "run once, and the same again"


def test_a_file_made_controller_acts_in_a_run(own: Path) -> None:
    """By its kind with its defaults, by a name of the run with settings; it paces."""
    load_controllers(own)
    register(Plain)
    config = MarketConfig(controllers={"quick": ActorConfig("tenth", {"factor": 1.5})})
    actors = actors_from(config, ("tenth", "quick", "plain"))
    made = actors.controllers["quick"]
    assert (made.name, made.factor) == ("quick", 1.5)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="Plain takes no settings, got 'step'"):
        actors_from(MarketConfig(controllers={"plain": ActorConfig("plain", {"step": 1.0})}), ("plain",))
    bidders = campaigns(("a", "b", "a"), budget=[1.0, np.inf, 1.0], controller=("tenth", "plain", "quick"))
    day = next(Simulation(item_market(bidders=bidders), actors).days())
    first, last = day.ticks[0].orders.multiplier, day.ticks[-1].orders.multiplier
    assert first.tolist() == [1.0, 0.5, 1.0]
    assert last[0] < 1
    assert last[1] == 0.5


def test_the_pages_other_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(NAMED, "docs/pacing.md", "exec"), names)
    assert names["actors"].controllers["careful"].step == 0.05
    exec(compile(OUTSIDE, "docs/pacing.md", "exec"), names)
    text = re.search(r"```text\n(.*?)\n```", PAGE, flags=re.DOTALL)
    assert text is not None
    assert names["policy"](text[1]) == 0.6
    assert (tmp_path / "answers.jsonl").exists()


@pytest.mark.parametrize(
    ("bend", "kind", "message"),
    [
        (
            lambda text: text.replace('"tenth"', '"multiplicative"'),
            PluginError,
            "a controller 'multiplicative' already",
        ),
        (lambda text: text.replace('"tenth"', '"Tenth One"'), PluginError, "lower-case words with hyphens"),
        (lambda text: text.replace("factor: float = 1.1", "factor: float"), PluginError, "non-default|factor has none"),
        (lambda text: text.replace("def orders", "def order"), PluginError, "class of controllers with `orders`"),
        (
            lambda text: text.replace("register(Tenth)", "register(Tenth())"),
            PluginError,
            "class of controllers|parameters of",
        ),
        (lambda text: text.replace("np.ones(", "np.ones("), None, ""),
    ],
)
def test_other_files_are_refused(own: Path, bend: object, kind: type | None, message: str) -> None:
    own.write_text(bend(FILE), encoding="utf-8")  # type: ignore[operator]
    if kind is None:
        assert load_controllers(own) == ("tenth",)
        return
    with pytest.raises(kind, match=message):
        load_controllers(own)
    assert set(controllers()) == KINDS


def test_names_that_there_are_not() -> None:
    for look in (controller, withdraw):
        with pytest.raises(InputError, match=r"controller must be one of .*adaptive.*, got 'greedy'"):
            look("greedy")
