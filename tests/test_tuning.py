"""Studies on Ray Tune: every trial once whatever happens on the way, what does not fit refused before ray starts."""

import io
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from measured_fakes import fake_surface

from auctionsim import cli
from auctionsim.experiments.running.tuning import FINISHED, claim
from auctionsim.experiments.studies.tune_grid import AXES, GridSettings, in_order, score
from auctionsim.experiments.studies.tune_hyperparameters import REPORTS, TuningSettings, bidder_score, menu_score
from auctionsim.mechanisms.menu_training import EVALUATIONS

SMALL = ("--user-weights", "1", "--draws", "64", "--regret-draws", "4", "--cpus", "1")
GRID = ("tune", "grid", "--mechanisms", "affine,vcg", "--seeds", "0,1,2,3", *SMALL)


def grid_settings(folder: Path, **changes: object) -> GridSettings:
    chosen = {"mechanisms": ("vcg",), "priors": ("uniform:0,1",), "user_weights": (1.0,), "seeds": (3,), **changes}
    return GridSettings("fake", "slot_probability", folder=folder, draws=32, regret_draws=4, **chosen)  # type: ignore[arg-type]


def test_a_cell_is_scored_on_both_replicates_and_says_what_computed_it(tmp_path: Path) -> None:
    surface = fake_surface(2).sell("slot_probability")
    config = {"mechanism": "vcg", "prior": "uniform:0,1", "user_weight": 1.0, "seed": 3}
    found = score(config, surface, grid_settings(tmp_path))
    assert found["regret_A"] == 0
    assert found["objective_A"] == pytest.approx(found["revenue_A"] - found["user_loss_A"])
    assert found["welfare_A"] != found["welfare_B"]
    assert {"revenue_A_standard_error", "revenue_B_draws", "commit", "version_torch"} <= set(found)
    again = score(config, surface, grid_settings(tmp_path))
    assert repr(again) == repr(found)  # NaN, where nobody loses, equals nothing
    assert repr(found) != repr(score({**config, "seed": 4}, surface, grid_settings(tmp_path)))


def test_a_gap_and_a_duplicate_are_refused(tmp_path: Path) -> None:
    settings = grid_settings(tmp_path, seeds=(0, 1, 2))
    whole = [dict(zip(AXES, cell, strict=True)) for cell in settings.cells]
    assert in_order(whole[::-1], settings) == whole
    with pytest.raises(ValueError, match="lacks"):
        in_order(whole[:2], settings)
    with pytest.raises(ValueError, match="twice"):
        in_order([*whole, whole[1]], settings)


def test_a_folder_holds_one_study(tmp_path: Path) -> None:
    claim(tmp_path, {"seeds": (0, 1), "draws": 64}, {})
    claim(tmp_path, {"seeds": (0, 1), "draws": 64}, {})
    with pytest.raises(ValueError, match=r"draws 64, not 65"):
        claim(tmp_path, {"seeds": (0, 1), "draws": 65}, {})


def test_a_menu_trial_reports_on_its_way_and_never_more_than_announced(tmp_path: Path) -> None:
    settings = TuningSettings("menu", tmp_path, steps=60, draws=32, regret_draws=4)
    told: list[dict[str, object]] = []
    config = {"entries": 3, "learning_rate": 0.02, "batch": 64, "first_inverse_temperature": 20.0}
    surface = fake_surface(2).sell("slot_probability")
    last = menu_score({**config, "inverse_temperature_growth": 15.0}, surface, settings, told.append)
    assert len(told) + 1 == EVALUATIONS + 2 == settings.reports
    assert [one[FINISHED] for one in told] == [False] * len(told)
    assert last[FINISHED]
    assert last["objective"] == told[-1]["objective"]


@pytest.mark.parametrize("steps", [1, 19, 50])
def test_a_bidder_trial_reports_on_its_way_and_never_more_than_announced(steps: int, tmp_path: Path) -> None:
    settings = TuningSettings("bidders", tmp_path, steps=steps, draws=512)
    told: list[dict[str, object]] = []
    last = bidder_score({"learning_rate": 0.03, "smoothing": 0.05, "hidden": 8, "batch": 64}, settings, told.append)
    assert 1 <= len(told) <= REPORTS
    assert told[-1]["step"] == last["step"] == steps
    assert last["exploitability_low"] <= last["exploitability"] <= last["exploitability_high"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("grid", "--mechanisms", "vcg,vcg"), "mechanisms must be one or more different values"),
        (("grid", "--mechanisms", "lottery"), "mechanism must be one of"),
        (("grid", "--seeds", "0,x"), "whole numbers"),
        (("grid", "--prior", "cauchy:1"), "a prior is written as one of"),
        (("grid", "--user-weights", "-1"), ">= 0"),
        (("hyperparameters", "reserve"), "target must be one of"),
        (("hyperparameters", "bidders", "--setting", "third-price"), "setting must be one of"),
    ],
)
def test_mistakes_end_in_one_line_and_write_nothing(
    words: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["auctionsim", "tune", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err.strip()
    assert says in told
    assert len(told.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from auctionsim.cli import main; main()", *words, "--out", str(folder)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=dict(os.environ),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - background jobs ignore it
    )


def finished_trials(folder: Path) -> int:
    return sum(path.stat().st_size > 0 for path in folder.glob("trials/*/result.json"))


@pytest.mark.slow  # ray starts twice or three times
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", [pytest.param(signal.SIGKILL, marks=pytest.mark.deep), signal.SIGINT])
def test_a_stopped_grid_goes_on_and_ends_with_every_trial_once(how: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "grid"
    running = start(folder, *GRID)
    deadline = time.monotonic() + 240
    while finished_trials(folder) < 4:
        assert running.poll() is None, running.stdout and running.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if how == signal.SIGKILL:
        os.killpg(running.pid, how)
    else:
        running.send_signal(how)
    told, _ = running.communicate(timeout=120)
    if how == signal.SIGINT:
        assert running.returncode == 130, told
        assert "the same command goes on" in told
    before = finished_trials(folder)
    assert 4 <= before < 8
    assert not (folder / "trials.parquet").exists()
    begun = {path.parent.name for path in folder.glob("trials/*/params.json")}
    if how == signal.SIGKILL:  # as it may be in the middle of Tune's copying
        (state,) = folder.glob("trials/basic-variant-state-*.json")
        state.write_bytes(b"")

    again = start(folder, *GRID)
    told, _ = again.communicate(timeout=300)
    assert again.returncode == 0, told
    assert {path.parent.name for path in folder.glob("trials/*/params.json")} >= begun
    assert finished_trials(folder) == 8
    table = pd.read_parquet(folder / "trials.parquet")
    assert len(table) == 8
    assert not table.duplicated(list(AXES)).any()
    assert set(zip(table["mechanism"], table["seed"], strict=True)) == {
        (m, s) for m in ("affine", "vcg") for s in range(4)
    }
    assert table["finished"].all()
    assert not table["objective_A"].isna().any()
    assert len(pd.read_csv(folder / "trials.csv")) == 8
    first = table[(table["mechanism"] == "vcg") & (table["seed"] == 0)].iloc[0]
    assert first["regret_A"] == 0

    if how == signal.SIGINT:
        return
    written = (folder / "trials.parquet").stat().st_mtime_ns
    third = start(folder, *GRID)
    told, _ = third.communicate(timeout=300)
    assert third.returncode == 0, told
    assert (folder / "trials.parquet").stat().st_mtime_ns == written  # a finished study is not run again


@pytest.mark.slow  # ray starts
@pytest.mark.timeout(600)
def test_too_few_cpus_are_said_and_asha_keeps_every_trial(tmp_path: Path) -> None:
    refused = start(tmp_path / "wide", *GRID, "--cpus-per-trial", "2")
    told, _ = refused.communicate(timeout=200)
    assert refused.returncode == 2
    assert "2 CPUs are needed, Ray has 1" in told

    folder = tmp_path / "tuned"
    words = ("tune", "hyperparameters", "bidders", "--trials", "5", "--steps", "40", "--draws", "512", "--cpus", "1")
    tuning = start(folder, *words)
    told, _ = tuning.communicate(timeout=400)
    assert tuning.returncode == 0, told
    table = pd.read_parquet(folder / "trials.parquet")
    assert len(table) == table["trial"].nunique() == 5
    assert table["learning_rate"].nunique() == 5
    assert table["finished"].any()
    assert table.loc[table["finished"], "exploitability_high"].notna().all()


def tune_folder(folder: Path, **states: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in states.items():
        (folder / name.replace("__", "-").replace("_pkl", ".pkl").replace("_json", ".json")).write_bytes(content)
    return folder


STATES = {"experiment_state__1_json": b"{}", "tuner_pkl": pickle.dumps([1.0, "two"])}


def keep(folder: Path) -> None:
    """What the callback does between two steps."""
    from types import SimpleNamespace

    from auctionsim.experiments.running.tune_state import StateKept

    storage = SimpleNamespace(experiment_fs_path=str(folder), experiment_driver_staging_path=str(folder))
    StateKept().on_step_end(0, [SimpleNamespace(storage=storage)])


def test_a_new_study_begins_and_one_that_kept_nothing_begins_anew(tmp_path: Path) -> None:
    from auctionsim.experiments.running.tune_state import prepare

    folder = tmp_path / "trials"
    assert not prepare(folder)
    tune_folder(folder, tuner_pkl=b"cut o", searcher__state__2_pkl=b"")  # killed before the first step had ended
    assert not prepare(folder)
    assert not list(folder.glob("*.pkl"))


def test_damaged_or_swapped_state_is_put_back(tmp_path: Path) -> None:
    from auctionsim.experiments.running.tune_state import KEPT, prepare

    folder = tmp_path / "trials"
    assert not prepare(folder)
    keep(tune_folder(folder, **STATES))
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (folder / "tuner.pkl").unlink()
    (folder / "tuner.pkl").symlink_to(victim)
    tune_folder(folder, searcher__state__2_pkl=BOMB, experiment_state__9_json=BOMB)
    (folder / "trial").mkdir()
    (folder / "trial" / "error.pkl").write_bytes(BOMB)
    assert prepare(folder)
    assert pickle.loads((folder / "tuner.pkl").read_bytes()) == [1.0, "two"]
    assert victim.read_text() == "untouched"
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "experiment_state-1.json",
        KEPT,
        "tuner.pkl",
    ]


def _explode() -> None:
    raise AssertionError("code of a stranger's pickle ran")


class _Bomb:
    def __reduce__(self) -> object:
        return _explode, ()


BOMB = pickle.dumps(_Bomb())


def test_a_strangers_study_is_refused_unless_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from auctionsim.errors import UntrustedError
    from auctionsim.experiments.running.tune_state import KEPT, prepare

    unsigned = tune_folder(tmp_path / "unsigned", **STATES)
    with pytest.raises(UntrustedError, match="--trust-pickles"):
        prepare(unsigned)
    assert prepare(unsigned, trust=True)
    tune_folder(unsigned, tuner_pkl=STATES["tuner_pkl"][:9])
    with pytest.raises(ValueError, match=r"tuner\.pkl is damaged, and no state was kept"):
        prepare(unsigned, trust=True)
    reported = tmp_path / "reported"
    (reported / "trial").mkdir(parents=True)
    (reported / "trial" / "result.json").write_text("{}")
    with pytest.raises(UntrustedError, match=r"result\.json"):
        prepare(reported)

    folder = tmp_path / "signed"
    prepare(folder)
    keep(tune_folder(folder, **STATES))
    monkeypatch.setenv("AUCTIONSIM_CACHE", str(tmp_path / "another user"))
    with pytest.raises(UntrustedError, match=rf"{KEPT}: would be unpickled"):
        prepare(folder)
    assert prepare(folder, trust=True)


@pytest.mark.parametrize("content", [b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_was_kept_must_be_state(content: bytes, tmp_path: Path) -> None:
    from auctionsim.experiments.running.tune_state import KEPT, PURPOSE, prepare
    from auctionsim.signatures import write_signed

    write_signed(tmp_path / KEPT, content, PURPOSE)
    with pytest.raises(ValueError, match="holds no state of a study"):
        prepare(tmp_path)


def test_kept_names_stay_in_the_folder(tmp_path: Path) -> None:
    from auctionsim.experiments.running.tune_state import KEPT, PURPOSE, prepare
    from auctionsim.signatures import write_signed

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("tuner.pkl", b"")
        archive.writestr("../experiment_state-1.json", b"{}")
    write_signed(tmp_path / "trials" / KEPT, packed.getvalue(), PURPOSE)
    with pytest.raises(ValueError, match="holds no state of a study"):
        prepare(tmp_path / "trials")
    assert not (tmp_path / "experiment_state-1.json").exists()
