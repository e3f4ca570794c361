"""The code in the documentation of the environments runs as it stands."""

import re
from pathlib import Path

import gymnasium
import pytest

from auctionsim.envs import SETTINGS
from auctionsim.envs.observations import OBSERVABLES
from auctionsim.envs.settings import LIVE_SETTINGS
from auctionsim.gymnasium_ids import SETTING_OF_ID

FOLDER = Path(__file__).parents[2] / "docs" / "environments"
PAGE = FOLDER.with_suffix(".md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def run(marker: str) -> dict[str, object]:
    (block,) = [block for block in BLOCKS if marker in block]
    names: dict[str, object] = {}
    exec(compile(block, "docs/environments.md", "exec"), names)
    return names


def test_the_page_names_what_there_is() -> None:
    for name, setting in SETTING_OF_ID.items():
        assert f"| `{name}` | `{setting}` |" in PAGE
        assert gymnasium.spec(name).kwargs == {"setting": setting}
    assert set(SETTING_OF_ID.values()) == {*SETTINGS, *LIVE_SETTINGS}
    assert all(f"| `{part}` |" in PAGE for part in OBSERVABLES)
    assert len(BLOCKS) == 6


SECTIONS = ("Creation", "Spaces", "Reward", "End", "Options", "Version history")


def test_every_environment_has_a_page_that_tells_its_spaces() -> None:
    pages = {path.name: path.read_text() for path in FOLDER.glob("*.md")}
    for text in pages.values():
        places = [text.index(f"\n## {section}\n") for section in SECTIONS]
        assert places == sorted(places)
    for name, setting in SETTING_OF_ID.items():
        (text,) = [
            text
            for text in pages.values()
            if f'make("{name}")' in text or (setting.endswith("-live") and f"`{name}`" in text and "`live`:" in text)
        ]
        if setting.endswith("-live"):
            continue
        env = gymnasium.make(name)
        assert f"Box({env.observation_space.shape[0]},)" in text
        assert "`Box(0, 1, (1,), float32)`" in text
        assert env.action_space == gymnasium.spaces.Box(0, 1, (1,))
        assert f'parallel_env("{setting}")' in text
        (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
        exec(compile(block, name, "exec"), {})


def test_stable_baselines3_learns_the_equilibriums_bids() -> None:
    """Half the valuation is the equilibrium's bid and the best one against truth: E[v²/4] = 1/12 a round."""
    pytest.importorskip("stable_baselines3", reason="a library of its own, for this page only")
    assert float(run("stable_baselines3")["earned"]) >= 0.95 / 12  # type: ignore[arg-type]


def test_the_learner_finds_half(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0.4 < float(run("make_vec")["best"]) < 0.6  # type: ignore[arg-type]
    assert "best share is" in capsys.readouterr().out


def test_a_strategy_that_observes_its_budget_plays() -> None:
    env = run("pacing.observes")["env"].unwrapped  # type: ignore[attr-defined]
    assert env.played.round.bids[0, 1] > 0
    assert float(env.played.round.bids[0, 1]) == float(env.game.valuations(env.played.before)[0, 1])  # 2 is left: all


def test_a_strategy_with_a_memory_plays() -> None:
    """Alone it always wins and pays its bid: v / (1 + what it paid before)."""
    names = run("Patient")
    game, state = names["env"].unwrapped.game, names["env"].unwrapped._state  # type: ignore[attr-defined]
    so_far = 0.0
    for valuation, paid in zip(state.valuations[0, :, 1, 0].tolist(), names["paid"], strict=True):  # type: ignore[call-overload]
        assert paid == pytest.approx(valuation / (1 + so_far), rel=1e-5)
        so_far += paid
    assert game.rounds == 16


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # ray's own
def test_the_sweep_and_the_bidders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.chdir(tmp_path)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        results = run("tune.Tuner")["results"]
        assert [result.error for result in results] == [None, None]  # type: ignore[attr-defined]
        assert {result.config["env_config"]["setting"] for result in results} == {"first-price", "second-price"}  # type: ignore[attr-defined]
        assert len(run("train_ppo")["bids"]) == 2  # type: ignore[arg-type]
    finally:
        ray.shutdown()
