"""A PPO training that is stopped goes on: no kept update is made again, and a stranger's state is not unpickled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from auctionsim.agents import LearningStep
from auctionsim.agents.ppo import PPOSettings, Running, TrainedBidders, train_ppo
from auctionsim.agents.ppo_checkpoints import PPOCheckpoint
from auctionsim.agents.ray_session import ray_running
from auctionsim.envs import NeuronAuctionEnvRunner, register_envs
from auctionsim.errors import UntrustedError

pytestmark = [
    pytest.mark.slow,  # ray starts
    pytest.mark.filterwarnings("default"),  # ray's own
]
UPDATES = 5


@pytest.fixture(scope="module", autouse=True)
def _one_ray_for_all() -> Iterator[None]:
    with ray_running():
        yield


def trained(folder: Path, key: int = 0, stop_after: int | None = None) -> tuple[TrainedBidders, PPOCheckpoint]:
    going_on = PPOCheckpoint(folder, {"key": key}, 0.0)

    def stop(step: LearningStep) -> None:
        if step.iteration == stop_after:
            raise KeyboardInterrupt

    settings = PPOSettings(episodes=8, steps=32, minibatch=32)
    where = {"setting": "first-price", "rounds": 4, "with_user_loss": False}
    result = train_ppo(
        register_envs(),
        where,
        [[1.0], [1.0]],
        seed=0,
        iterations=UPDATES,
        settings=settings,
        progress=stop,
        running=Running(env_runner=NeuronAuctionEnvRunner, going_on=going_on),
    )
    return result, going_on


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    unbroken, nothing_kept = trained(tmp_path / "unbroken")
    assert nothing_kept.resumed_at == ()
    for moment in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "stopped", stop_after=moment)
        assert [path.name for path in (tmp_path / "stopped").iterdir()] == [f"{moment:08d}"]
    resumed, going_on = trained(tmp_path / "stopped")
    assert going_on.resumed_at == (2, 4)
    assert [step.iteration for step in resumed.curve] == [1, 2, 3, 4, 5]
    assert resumed.curve[:2] == unbroken.curve[:2], "kept updates are what an unbroken training made"
    assert resumed.curve[2].utility != unbroken.curve[2].utility, "it plays auctions of its own after a stop"
    assert abs(sum(resumed.curve[-1].bid_ratio) - sum(unbroken.curve[-1].bid_ratio)) < 0.1, "networks went on"
    going_on.remove()
    assert not (tmp_path / "stopped").exists()


def test_what_another_wrote_is_not_unpickled(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, stop_after=1)
    with pytest.raises(ValueError, match="another training \\(key 0, not 1\\)"):
        trained(tmp_path, key=1)
    changed = next((tmp_path / "00000001").rglob("*.pkl"))
    changed.write_bytes(changed.read_bytes() + b".")
    with pytest.raises(UntrustedError, match=changed.name):
        trained(tmp_path)
