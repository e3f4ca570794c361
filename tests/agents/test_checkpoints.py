"""A training that was stopped goes on to the same bits, and never from another training's state."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from measured_fakes import fake_surface

from auctionsim.agents import EquilibriumLearner, ExponentialWeights, HedgeSettings, LearningStep
from auctionsim.agents.checkpoints import FORMAT, VERSION, Checkpoint
from auctionsim.agents.exponential_weights import learn_by_context
from auctionsim.mechanisms import FirstPrice, PayAsBid
from auctionsim.priors import Uniform
from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.substrates import Items, QuadraticSubstrate

UNIT, GRID = Uniform(0, 1), HedgeSettings(batch=16, bids=7, bins=5)
V = torch.rand(50, 1, generator=torch.Generator().manual_seed(0))
LEARNERS: dict[str, Callable[[], EquilibriumLearner | ExponentialWeights]] = {
    "one network": lambda: EquilibriumLearner(FirstPrice(), Items(2), Uniform(0, 1), seed=3, batch=32),
    "a network each": lambda: EquilibriumLearner(
        PayAsBid(QuadraticSubstrate(3), 1.0), QuadraticSubstrate(3), [Uniform(0, 1), Uniform(0, 2), Uniform(1, 2)],
        seed=1, batch=16, groups=(0, 1, 2),
    ),
    "weights": lambda: ExponentialWeights(FirstPrice(), Items(2), UNIT, seed=3, settings=GRID),
}  # fmt: skip


class StoppedError(Exception):
    """The training is stopped here."""


def stopped_at(update: int) -> Callable[[LearningStep], None]:
    def progress(step: LearningStep) -> None:
        if step.iteration == update:
            raise StoppedError

    return progress


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("stops", [(1,), (2,), (9, 11), (3, 4, 12)])  # averaging begins at the tenth
def test_a_stopped_training_ends_with_the_same_bits(name: str, stops: tuple[int, ...], tmp_path: Path) -> None:
    whole = LEARNERS[name]().train(12)
    path = tmp_path / "state.safetensors"
    for stop in stops:
        with pytest.raises(StoppedError):
            LEARNERS[name]().train(12, stopped_at(stop), report_every=1, checkpoint=Checkpoint(path, {"n": 12}, 0.0))
    made: list[int] = []
    last = Checkpoint(path, {"n": 12}, 0.0)
    strategies = LEARNERS[name]().train(12, lambda s: made.append(s.iteration), report_every=1, checkpoint=last)
    assert made == list(range(stops[-1], 13)), "what was kept is not made again"
    for one, other in zip(whole, strategies, strict=True):
        assert torch.equal(one(V), other(V))


def test_a_state_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    LEARNERS["weights"]().train(3, checkpoint=Checkpoint(path, {"seed": 3, "updates": 3}, 0.0))
    with pytest.raises(ValueError, match=r"is of another training \(seed 3, not 4\)"):
        LEARNERS["weights"]().train(3, checkpoint=Checkpoint(path, {"seed": 4, "updates": 3}, 0.0))
    with pytest.raises(ValueError, match="holds no parameter"):
        LEARNERS["one network"]().train(3, checkpoint=Checkpoint(path, {"seed": 3, "updates": 3}, 0.0))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"state\.safetensors"):
        LEARNERS["weights"]().train(3, checkpoint=Checkpoint(path, {"seed": 3, "updates": 3}, 0.0))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("iteration", 10**9, r"iteration must be a whole number in \[0, 3\]"),
        ("iteration", "1", "iteration must be a whole number"),
        ("seconds", -1, "seconds must be a finite number"),
        ("curve", [[1, [1.0], [1.0, 2.0]]], "must report on 2 bidders, got 1"),
        ("curve", [[1, ["a", "b"], [0.0, 0.0]]], r"utility\[0\] must be a number, got 'a'"),
        ("curve", [[4, [0.0, 0.0], [0.0, 0.0]]], "iteration must be a whole number"),
        ("curve", "abc", "curve must be a list"),
        ("curve", [[1, 2]], "reports are lists of 3"),
        ("optimizer.1.step", torch.tensor(-5.0), "no step"),
        ("optimizer.0.step", torch.ones(3), "holds no optimizer.0.step of the shape"),
        ("optimizer.2.exp_avg_sq", None, "holds no optimizer.2.exp_avg_sq"),
        ("averaged.0", torch.nan, "averaged.0 has numbers that are not finite"),
        ("generator", torch.zeros(5056, dtype=torch.uint8), "no state of a generator"),
        ("generator", torch.zeros(7, dtype=torch.uint8), "holds no generator of the shape"),
    ],
)
def test_a_right_checksum_and_a_wrong_state_is_one_sentence(
    name: str, value: object, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "state.safetensors"
    with pytest.raises(StoppedError):
        LEARNERS["one network"]().train(3, stopped_at(2), report_every=1, checkpoint=Checkpoint(path, {"n": 3}, 0.0))
    stored = read_stored(path, FORMAT, VERSION)
    record, arrays = dict(stored.record), dict(stored.arrays)
    if name in record:
        record[name] = value
    else:
        whole = arrays.pop(name)
        if value is not None:
            arrays[name] = value if isinstance(value, torch.Tensor) else torch.full_like(whole, value)
    write_stored(path, Stored(record, arrays), FORMAT, VERSION)
    with pytest.raises(ValueError, match=rf"state\.safetensors: .*{message}"):
        LEARNERS["one network"]().train(3, checkpoint=Checkpoint(path, {"n": 3}, 0.0))


def test_the_curve_and_the_time_go_on(tmp_path: Path) -> None:
    step = LearningStep(1, (0.1, 0.2), (0.5, 1 / 3))
    first = Checkpoint(tmp_path / "state", {}, 0.0)
    first.curve.append(step)
    first.offer(1, lambda: {"x": torch.ones(2)})
    again = Checkpoint(tmp_path / "state", {}, 0.0)
    reached = again.read(1, 2)
    assert reached is not None
    assert reached.curve == (step,) == tuple(again.curve)
    assert again.seconds >= reached.seconds > 0
    again.part("context 0").offer(1, lambda: {"x": torch.ones(2)})
    assert len(list(tmp_path.iterdir())) == 2
    again.remove()
    assert not list(tmp_path.iterdir())


def test_a_training_by_context_goes_on_in_the_context_where_it_was_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    surface = fake_surface(2).sell("slot_probability")
    rule = PayAsBid(surface, 1.0)
    how = HedgeSettings(batch=8, bids=5, bins=4)

    def learned(checkpoint: Callable[[int], Checkpoint] | None) -> list[torch.Tensor]:
        strategies = learn_by_context(rule, surface, Uniform(0, 1), 4, seed=2, checkpoint=checkpoint, settings=how)
        return [table.bids for one in strategies for table in one.strategies]

    whole = learned(None)
    kept = Checkpoint(tmp_path / "state.safetensors", {"seed": 2}, 0.0)
    draw, calls = ExponentialWeights._draw, []

    def stopping(self: ExponentialWeights) -> object:
        calls.append(self.context)
        if len(calls) == 7:
            raise StoppedError
        return draw(self)

    monkeypatch.setattr(ExponentialWeights, "_draw", stopping)
    with pytest.raises(StoppedError):
        learned(lambda k: kept.part(f"context {k}"))
    again = learned(lambda k: kept.part(f"context {k}"))
    assert calls[7:] == [1, 1, *[k for k in range(2, len(surface.contexts)) for _ in range(4)]]
    assert all(torch.equal(one, other) for one, other in zip(whole, again, strict=True))
