"""Counts adapt by what is stored, in any order and after any restart alike; what stopping does is known exactly."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts, files, stored

from auctionsim.measurement import MeasurementSettings, Measuring, Progress, Unit
from auctionsim.measurement.rounds import half_width, interval, is_enough, most_rounds, stopping_row

ADAPTIVE = replace(SETTINGS, num_neurons=(0.0, 24.0), half_width=0.17, max_replies=40)


def adaptive(folder: Path) -> Measuring:
    """Brands that the babble names: one often, one hardly ever."""
    model = fake_model()
    return Measuring(folder, model, fake_neurons(model, "b|most|are|kn,the|to"), fake_prompts(), ADAPTIVE)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Measuring:
    """A finished adaptive measurement, to be read only."""
    work = adaptive(tmp_path_factory.mktemp("adaptive"))
    work.run()
    return work


def test_wilson_and_jeffreys_are_those_of_the_books() -> None:
    """Brown, Cai, DasGupta (2001), Wilson's formula and the Beta(½, ½) posterior, against scipy's and against draws."""
    from scipy import stats

    for successes, trials in ((0, 16), (3, 16), (40, 64), (64, 64)):
        count = np.array([successes])
        low, high = (end.item() for end in interval(count, trials, kind="wilson", confidence=0.95))
        book = stats.binomtest(successes, trials).proportion_ci(0.95, "wilson")
        assert (low, high) == pytest.approx((book.low, book.high), abs=1e-12)
        low, high = (end.item() for end in interval(count, trials, kind="jeffreys", confidence=0.9))
        posterior = stats.beta(successes + 0.5, trials - successes + 0.5)
        ends = (posterior.ppf(0.05) if successes else 0.0, posterior.ppf(0.95) if successes < trials else 1.0)
        assert (low, high) == pytest.approx(ends, abs=1e-9)


def test_a_shard_stops_by_its_widest_interval_within_the_limits() -> None:
    settings = MeasurementSettings(samples=4, half_width=0.1, max_replies=64)
    narrow, wide = np.array([[0, 0]]), np.array([[0, 8]])
    assert is_enough(narrow, 1, 4, settings)  # 16 replies, none mentions: .097 to either side
    assert half_width(narrow, 16, settings).max() == pytest.approx(0.0969, abs=1e-4)
    assert not is_enough(wide, 1, 4, settings)
    assert not is_enough(narrow, 1, 2, settings)  # 8 replies: below 16 whatever they say
    assert is_enough(np.array([[0, 32]]), 4, 4, settings)  # a fifth round would go beyond 64
    assert is_enough(wide, 1, 1, MeasurementSettings(half_width=None))
    assert (most_rounds(4, settings), most_rounds(1, settings), most_rounds(100, settings)) == (4, 16, 1)


def test_rounds_go_on_until_every_shard_is_narrow_or_full(done: Measuring) -> None:
    replies: dict[tuple[str, int, int], list[list[int]]] = {}
    prompts = {name: [len(some) for some in done.prompts.split(name).prompts] for name in "AB"}
    for result in done.results():
        for reply, hits in zip(result.replies, result.readings["hits"], strict=True):
            key = (result.unit.replicate, result.unit.context, reply.intervention)
            replies.setdefault(key, []).append(hits)
    counts = {key: len(hits) for key, hits in replies.items()}
    assert len(set(counts.values())) > 1, "some shards need more rounds than others"
    shards = {(u.replicate, u.context, u.start, u.stop) for u in done.units}
    for replicate, context, start, stop in shards:
        mine = [np.array(replies[replicate, context, k]) > 0 for k in range(start, stop)]
        n = len(mine[0])
        assert all(len(some) == n for some in mine)
        assert n >= ADAPTIVE.min_replies
        a_round = prompts[replicate][context] * ADAPTIVE.samples
        for enough, count in ((False, n - a_round), (True, n)):  # not before, not later
            widest = max(half_width(some[:count].sum(0), count, ADAPTIVE).max() for some in mine) if count else 1.0
            narrow = count >= ADAPTIVE.min_replies and widest <= 0.17
            full = count + a_round > ADAPTIVE.max_replies
            assert (narrow or full) == enough or (not enough and count == 0)


def test_the_surface_counts_every_reply_and_scores_once(done: Measuring) -> None:
    surface = done.surface()
    features = surface.replicates["A"].features
    slot, hits = (surface.features.index(name) for name in ("slot_probability", "hits"))
    assert (features.n[..., slot] == torch.tensor([2, 3]).view(2, 1, 1, 1, 1, 1)).all()
    assert features.n[..., hits].unique().numel() > 1
    for result in done.results():
        assert set(result.scored) == (set() if result.unit.round else {"slot_probability", "intent"})
    samples = {(u.context, r.intervention, u.prompt, r.sample) for u, x in stored(done).items() for r in x.replies
               if u.replicate == "A"}  # fmt: skip
    assert len(samples) == sum(len(x.replies) for u, x in stored(done).items() if u.replicate == "A")


def test_any_order_and_any_restart_ends_in_the_same_files(done: Measuring, tmp_path: Path) -> None:
    work = adaptive(tmp_path)
    generator = np.random.default_rng(0)
    for stop in itertools.count():
        waiting = adaptive(tmp_path).missing
        if not waiting:
            break
        assert stop < 200
        for index in generator.permutation(len(waiting))[:7]:  # some units, in no order, then a restart
            work.store(work.measure_unit(waiting[index]))
    assert {path.name for path in files(tmp_path)} == {path.name for path in files(done.folder)}
    for path in files(done.folder):
        assert (tmp_path / "units" / path.name).read_bytes() == path.read_bytes()
    assert work.surface() == done.surface()


def test_a_lost_file_of_an_early_round_is_measured_again_and_nothing_else(done: Measuring, tmp_path: Path) -> None:
    work = adaptive(tmp_path)
    (tmp_path / "units").mkdir()
    for path in files(done.folder):
        (tmp_path / "units" / path.name).write_bytes(path.read_bytes())
    victim = next(unit for unit in done.units if unit.round == 1)
    (tmp_path / "units" / victim.file_name).unlink()
    assert work.missing == [victim]
    measured: list[Unit] = []
    plain = work.measure_unit
    work.measure_unit = lambda unit: (measured.append(unit), plain(unit))[1]  # type: ignore[method-assign,func-returns-value]
    told: list[Progress] = []
    work.run(told.append)
    assert measured == [victim]
    assert told[-1] == Progress(len(done.units), len(done.units))
    assert work.surface() == done.surface()


def test_a_damaged_file_is_told_before_anything_is_measured(done: Measuring, tmp_path: Path) -> None:
    work = adaptive(tmp_path)
    (tmp_path / "units").mkdir()
    first = next(files(done.folder))
    (tmp_path / "units" / first.name).write_bytes(first.read_bytes()[:-20])
    with pytest.raises(ValueError, match=rf"{first.name} is damaged"):
        work.run()
    assert len(list(files(tmp_path))) == 1
    foreign = json.loads(first.read_text())
    foreign["plan"] = "0" * 16
    (tmp_path / "units" / first.name).write_text(json.dumps(foreign))
    with pytest.raises(ValueError, match="it belongs to another measurement"):
        work.run()


@pytest.mark.parametrize("kind", ["wilson", "jeffreys"])
def test_what_stopping_does_is_computed_exactly(kind: str) -> None:
    """The round-by-round distribution against simulated shards; and the bounds that the module's docstring gives."""
    settings = MeasurementSettings(samples=4, half_width=0.1, max_replies=128, interval=kind)
    row = stopping_row(0.2, 4, settings)
    generator = np.random.default_rng(1)
    shares, counts = [], []
    for _ in range(4000):
        successes, rounds = 0, 0
        while rounds == 0 or not is_enough(np.array([[successes]]), rounds, 4, settings):
            successes, rounds = successes + int(generator.binomial(16, 0.2)), rounds + 1
        shares.append(successes / (16 * rounds))
        counts.append(16 * rounds)
    error = float(np.std(shares)) / 4000**0.5
    assert abs(np.mean(shares) - 0.2 - row.bias) < 4 * error
    assert row.bias < -2 * error, "stopping early pushes away from one half"
    assert abs(np.mean(counts) - row.replies) < 4 * float(np.std(counts)) / 4000**0.5
    assert row.standard_deviation == pytest.approx(float(np.std(shares)), rel=0.05)
    rows = [stopping_row(float(p), 4, settings) for p in np.linspace(0.02, 0.98, 25)]
    assert max(abs(r.bias) for r in rows) < 0.0185
    assert max(abs(r.bias) / r.standard_deviation for r in rows) < 0.42
    assert min(r.coverage for r in rows) > (0.91 if kind == "wilson" else 0.88)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"half_width": 0.0}, r"half_width must lie in \(0, 0.5\), got 0.0"),
        ({"half_width": 0.5}, "half_width must lie in"),
        ({"interval": "wald"}, "interval must be wilson or jeffreys, got 'wald'"),
        ({"confidence": 1.0}, "confidence must lie in"),
        ({"min_replies": 15}, "min_replies must be an integer >= 16, got 15"),
        ({"min_replies": 64, "max_replies": 63}, "max_replies must be an integer >= 64, got 63"),
    ],
)
def test_bad_counts_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MeasurementSettings(**change)  # type: ignore[arg-type]
