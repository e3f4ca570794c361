"""Measured once, resumed without loss or repetition, gathered as a slow loop would; what is damaged is named."""

import itertools
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts, files, measuring, stored

from auctionsim.measurement import MeasurementSettings, Measuring, Progress, Unit, UnitResult
from auctionsim.stems import KINDS, STEMS
from auctionsim.substrates import ResponseSurface


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Measuring:
    """A finished measurement, to be read only."""
    work = measuring(tmp_path_factory.mktemp("done"))
    work.run()
    return work


class Counting(Measuring):
    """Counts the units that are measured, and stops before one of them."""

    stop_at = -1

    def measure_unit(self, unit: Unit) -> UnitResult:
        measured: list[Unit] = self.__dict__.setdefault("measured", [])
        if len(measured) == self.stop_at:
            raise KeyboardInterrupt
        measured.append(unit)
        return super().measure_unit(unit)


def counting(folder: Path) -> Counting:
    model = fake_model()
    return Counting(folder, model, fake_neurons(model), fake_prompts(), SETTINGS)


def test_every_intervention_is_measured_once(done: Measuring) -> None:
    """3 × 2 levers a brand are 3 distinct settings, 9 joint ones, where the grid has 36 cells."""
    assert done.interventions.distinct.shape == (9, 2, 2)
    assert torch.equal(done.interventions.distinct[0], torch.tensor([[0.0, 1.0]] * 2, dtype=torch.float64))
    assert done.interventions.distinct.flatten(1).unique(dim=0).shape[0] == 9
    seen = [
        (unit.replicate, unit.context, unit.prompt, intervention)
        for unit in done.units
        for intervention in range(unit.start, unit.stop)
    ]
    assert (
        len(set(seen)) == len(seen) == 2 * (2 + 2 + 1) * 9 - 9
    )  # replicates × prompts × interventions; B has one fewer
    for result in done.results():
        stems = sum(stem.split == result.unit.replicate for stem in STEMS)
        assert len(result.replies) == SETTINGS.samples * (result.unit.stop - result.unit.start) <= SETTINGS.rows
        assert np.shape(result.scored["slot_probability"]) == (result.unit.stop - result.unit.start, stems, 2)
    assert done.missing == []


def test_the_surface_is_a_slow_loop_over_the_stored_replies(done: Measuring) -> None:
    surface = done.surface({"category": "running shoes"})
    units = list(done.results())
    numbers = surface.replicates
    axes = [range(3), range(2)] * 2
    for name, context, cell in itertools.product("AB", range(2), itertools.product(*axes)):
        levers = []
        for k, a in zip(cell[::2], cell[1::2], strict=True):
            setting = [SETTINGS.num_neurons[k], SETTINGS.amplification[a]]
            levers.append([0.0, 1.0] if setting[0] == 0 or setting[1] == 1 else setting)
        which = done.interventions.distinct.tolist().index(levers)
        mine = [r for r in units if r.unit.replicate == name and r.unit.context == context]
        rows = [(r, k) for r in mine for k, reply in enumerate(r.replies) if reply.intervention == which]
        hits = [r.readings["hits"][k] for r, k in rows]
        slots = [
            np.mean(r.scored["slot_probability"][which - r.unit.start], axis=0)
            for r in mine
            if r.unit.start <= which < r.unit.stop
        ]
        columns: dict[tuple[int, str], list[float]] = {}
        for brand in range(2):
            columns[brand, "slot_probability"] = [float(slot[brand]) for slot in slots]
            columns[brand, "mention_probability"] = [float(count[brand] > 0) for count in hits]
            columns[brand, "hits"] = [count[brand] for count in hits]
        measured = numbers[name]
        for (brand, feature), values in columns.items():
            place = (context, *cell, brand, surface.features.index(feature))
            agrees(values, *(float(part[place]) for part in measured.features))
        place = (context, *cell)
        agrees([r.readings["kl"][k] for r, k in rows], *(float(part[place]) for part in measured.losses["kl"]))
        for kind in KINDS:
            some = [s for s, stem in enumerate(x for x in STEMS if x.split == name) if stem.kind == kind]
            for brand in range(2):
                means = [
                    np.mean([r.scored["slot_probability"][which - r.unit.start][s][brand] for s in some])
                    for r in mine
                    if r.unit.start <= which < r.unit.stop
                ]
                parts = measured.diagnostics[f"{kind}_slot_probability"]
                agrees([float(mean) for mean in means], *(float(part[(*place, brand)]) for part in parts))
        for key in ("surprise", "repetition_rate"):
            parts = measured.diagnostics[key]
            agrees([r.readings[key][k] for r, k in rows], *(float(part[place]) for part in parts))


def agrees(values: list[float], mean: float, error: float, n: float) -> None:
    assert n == len(values) >= 2
    assert mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-12)
    assert error == pytest.approx(np.std(values, ddof=1) / len(values) ** 0.5, rel=1e-6, abs=1e-9)


def test_the_surface_says_where_it_comes_from(done: Measuring) -> None:
    surface = done.surface({"category": "running shoes"})
    told = surface.provenance
    assert told["brands"] == [["or"], ["the", "to"]]
    assert told["model"] == fake_model().identity
    assert told["category"] == "running shoes"
    assert set(told) >= {"settings", "dtype", "neurons", "prompts", "stems", "method", "versions"}
    assert surface.contexts == ("request", "comparison")
    assert torch.equal(surface.exposure(surface.null_allocation(1)), surface.exposure(surface.null_allocation(1)))
    assert surface.user_loss(surface.null_allocation(1, dtype=torch.float64)).item() == 0  # exactly: same passes
    assert surface.user_loss(torch.tensor([[[24.0, 3.0]] * 2], dtype=torch.float64)).item() > 0.01


def test_an_interrupted_measurement_repeats_nothing(done: Measuring, tmp_path: Path) -> None:
    work = counting(tmp_path)
    work.stop_at = 5
    with pytest.raises(KeyboardInterrupt):
        work.run()
    assert len(list(files(tmp_path))) == 5
    with pytest.raises(ValueError, match=r"A-.*\.json is missing: the measurement is not complete"):
        work.surface()
    again = counting(tmp_path)
    assert len(again.missing) == len(again.units) - 5
    ticks: list[Progress] = []
    again.run(ticks.append)
    assert len(ticks) - 1 == len(again.__dict__["measured"]) == len(again.units) - 5
    assert not set(again.__dict__["measured"]) & set(work.__dict__["measured"])
    assert stored(again) == stored(done)  # to the last bit: floats are stored exactly
    assert same(again.surface(), done.surface())
    third = counting(tmp_path)
    third.run()
    assert "measured" not in third.__dict__


def same(one: ResponseSurface, other: ResponseSurface) -> bool:
    pairs = [(one.replicates[name], other.replicates[name]) for name in "AB"]
    return all(
        torch.equal(a, b)
        for left, right in pairs
        for a, b in zip(
            (*left.features, *left.losses["kl"], *itertools.chain(*left.diagnostics.values())),
            (*right.features, *right.losses["kl"], *itertools.chain(*right.diagnostics.values())),
            strict=True,
        )
    )


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import torch
torch.set_num_threads(1)
from measurement_fakes import measuring
work = measuring(Path(sys.argv[1]))
print(len(work.missing), flush=True)
before = len(work.units) - len(work.missing)
work.run(lambda told: told.done > before and (print(".", flush=True), time.sleep(float(sys.argv[3]))))
"""


def child(folder: Path, pause: float) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(Path(__file__).parent), str(pause)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_kill_9_loses_and_repeats_nothing_and_another_process_finds_the_same(done: Measuring, tmp_path: Path) -> None:
    with child(tmp_path, 0.02) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == len(done.units)
        for _ in range(6):
            assert process.stdout.readline().strip() == "."
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    finished = {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files(tmp_path)}
    assert 6 <= len(finished) < len(done.units)
    with child(tmp_path, 0.0) as again:
        out, _ = again.communicate(timeout=120)
    assert again.returncode == 0
    assert int(out.split()[0]) == out.count(".") == len(done.units) - len(finished)
    for path in files(tmp_path):
        if path.name in finished:
            assert (path.stat().st_mtime_ns, path.stat().st_ino) == finished[path.name]
    threads = torch.get_num_threads()
    mine = stored(done)
    theirs = stored(measuring(tmp_path))
    if threads == 1:
        assert theirs == mine
    for unit, result in theirs.items():
        assert [reply.text for reply in result.replies] == [reply.text for reply in mine[unit].replies]
        for name, values in result.scored.items():
            np.testing.assert_allclose(values, mine[unit].scored[name], rtol=1e-4)


def test_units_may_be_measured_in_any_order(done: Measuring, tmp_path: Path) -> None:
    work = measuring(tmp_path)
    for unit in (work.units[-1], work.units[3], work.units[0]):
        result = json.loads(json.dumps(work.measure_unit(unit)))
        expected = json.loads(json.dumps(stored(done)[unit]))
        assert result == expected


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1}, {"samples": 4}, {"temperature": 0.5}, {"amplification": (1.0, 2.0)}, {"max_new_tokens": 5},
        {"rows": 6}, {"num_neurons": (0.0, 8.0)},
    ],
    ids=str,
)  # fmt: skip
def test_another_plan_in_the_folder_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    measuring(tmp_path)
    before = (tmp_path / "plan.json").read_bytes()
    with pytest.raises(
        ValueError, match=rf"holds another measurement \(settings\.{next(iter(change))} .*, not .*\): choose"
    ):
        measuring(tmp_path, replace(SETTINGS, **change))  # type: ignore[arg-type]
    assert (tmp_path / "plan.json").read_bytes() == before


def test_other_neurons_prompts_or_models_are_refused(tmp_path: Path) -> None:
    model = fake_model()
    measuring(tmp_path)
    with pytest.raises(ValueError, match=r"\(prompts \"\w+\", not \"\w+\"\)"):
        measuring(tmp_path, contexts=3)
    with pytest.raises(ValueError, match=r"\(neurons \"\w+\", not \"\w+\"\)"):
        Measuring(tmp_path, model, fake_neurons(model, "or,the"), fake_prompts(), SETTINGS)
    with pytest.raises(ValueError, match=r"the neurons were identified on fake:\w+, not on fake:"):
        Measuring(tmp_path / "b", model, replace(fake_neurons(model), model="fake:0"), fake_prompts(), SETTINGS)
    assert not (tmp_path / "b").exists()


def test_whole_numbers_and_floats_are_one_plan(tmp_path: Path) -> None:
    work = measuring(tmp_path)
    whole = replace(SETTINGS, num_neurons=(0, 8, 24), amplification=(1, 3))
    assert measuring(tmp_path, whole).digest == work.digest


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"settings": '])
def test_a_damaged_plan_is_refused(text: str, tmp_path: Path) -> None:
    measuring(tmp_path)
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ValueError, match=r"(plan\.json is damaged|holds another measurement)"):
        measuring(tmp_path)


def test_a_corrupt_unit_is_reported_by_name(done: Measuring, tmp_path: Path) -> None:
    work = measuring(tmp_path)
    (tmp_path / "units").mkdir()
    for path in files(done.folder):
        (tmp_path / "units" / path.name).write_bytes(path.read_bytes())
    assert stored(work) == stored(done)
    victim = list(files(tmp_path))[4]
    whole = victim.read_bytes()
    other = list(files(tmp_path))[5].read_bytes()
    digit = next(k for k in range(len(whole) // 2, len(whole)) if 49 <= whole[k] <= 56)
    flipped = whole[:digit] + bytes([whole[digit] + 1]) + whole[digit + 1 :]  # still JSON, another number
    fewer = json.loads(whole)
    fewer["replies"].pop()
    variants = [b"", whole[:-1], whole[: len(whole) // 2], other, flipped, b"[]", b"null", b"\xff", b"{}"]
    for damaged in [*variants, json.dumps(fewer).encode()]:
        victim.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{victim.name} is damaged \(.*\): remove it and run again"):
            work.surface()
    victim.unlink()
    work.run()
    assert victim.read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_neurons": (8.0, 24.0)}, "num_neurons must be two or more ascending values >= 0 with 0 among them"),
        ({"num_neurons": (0.0,)}, "num_neurons must be two or more"),
        ({"amplification": (1.0, 1.0, 2.0)}, "amplification must be two or more ascending"),
        ({"amplification": (2.0, 1.0)}, "amplification must be two or more ascending"),
        ({"amplification": (1.0, float("nan"))}, "amplification must be two or more ascending"),
        ({"amplification": (1.0, float("inf"))}, "amplification must be two or more ascending"),
        ({"samples": 0}, "samples must be an integer >= 1"),
        ({"temperature": -1.0}, "temperature must be a number in"),
        ({"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_bad_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MeasurementSettings(**change)  # type: ignore[arg-type]


def test_replicates_share_neither_prompts_nor_random_numbers(done: Measuring) -> None:
    a, b = (done.measurer.substrates[name].prompts for name in "AB")
    assert not set(a.everything) & set(b.everything)
    results = stored(done)
    nulls = {
        unit: [reply.text for reply in result.replies if reply.intervention == 0]
        for unit, result in results.items()
        if unit.start == 0
    }
    assert len({tuple(texts) for texts in nulls.values()}) == len(nulls)
