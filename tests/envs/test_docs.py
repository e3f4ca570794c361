"""The code in the documentation of the environments runs as it stands."""

import re
from pathlib import Path

import gymnasium
import pytest

from auctionsim.envs import SETTINGS
from auctionsim.envs.observations import OBSERVABLES
from auctionsim.gymnasium_ids import SETTING_OF_ID

PAGE = (Path(__file__).parents[2] / "docs" / "environments.md").read_text()
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
    assert set(SETTING_OF_ID.values()) == set(SETTINGS)
    assert all(f"| `{part}` |" in PAGE for part in OBSERVABLES)
    assert len(BLOCKS) == 3


def test_the_learner_finds_half(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0.4 < float(run("make_vec")["best"]) < 0.6  # type: ignore[arg-type]
    assert "best share is" in capsys.readouterr().out


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
