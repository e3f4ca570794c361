"""Ray workers: any number gives the same file, bit for bit; a dead one loses nothing; Ctrl-C is gone on from."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts, files

from auctionsim import plugins
from auctionsim.language_models import LanguageModel
from auctionsim.measurement import Measuring, Progress, Workers, measure
from auctionsim.measurement.workers import run_on_workers
from auctionsim.testing import fake_language_model

ray = pytest.importorskip("ray", reason="workers are Ray's")
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # ray's tips about accelerators that are not there
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> object:
    """One Ray for the whole file: `run_on_workers` uses what is there."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def here(folder: Path) -> Measuring:
    model = fake_model()
    return Measuring(folder, model, fake_neurons(model), fake_prompts(), SETTINGS)


def crew(count: int) -> Workers:
    return Workers(count, partial(fake_language_model, end_gain=2.5))


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a measurement made without workers, on one thread as a worker's."""
    import torch

    folder, threads = tmp_path_factory.mktemp("serial"), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        work = here(folder)
        work.run()
        work.surface().save(folder / "surface.safetensors")
    finally:
        torch.set_num_threads(threads)
    return folder


def same_files(one: Path, other: Path) -> bool:
    names = [path.name for path in files(one)]
    return names == [path.name for path in files(other)] and all(
        (one / "units" / name).read_bytes() == (other / "units" / name).read_bytes() for name in names
    )


@pytest.mark.parametrize("count", [1, 2])
def test_any_number_of_workers_gives_the_same_file(count: int, serial: Path, tmp_path: Path) -> None:
    model = fake_model()
    told: list[Progress] = []
    surface = measure(
        tmp_path, model, fake_neurons(model), fake_prompts(), SETTINGS, workers=crew(count), report=told.append
    )
    surface.save(tmp_path / "surface.safetensors")
    assert (tmp_path / "surface.safetensors").read_bytes() == (serial / "surface.safetensors").read_bytes()
    assert same_files(tmp_path, serial)
    assert [told_at.done for told_at in told] == list(range(told[-1].known + 1))


class _Dying:
    """Loads a model, unless no worker has died yet: then the process dies."""

    def __init__(self, mark: Path, deaths: int) -> None:
        self.mark, self.deaths = mark, deaths

    def __call__(self) -> LanguageModel:
        self.mark.mkdir(exist_ok=True)
        if len(list(self.mark.iterdir())) < self.deaths:
            (self.mark / str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return fake_language_model(end_gain=2.5)


def test_a_dead_workers_unit_is_given_to_another(
    serial: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    run_on_workers(here(tmp_path), Workers(2, _Dying(tmp_path / "deaths", 2)))
    assert len(list((tmp_path / "deaths").iterdir())) == 2
    assert same_files(tmp_path, serial)
    deaths = [record for record in caplog.records if record.name == "auctionsim.measurement.crew"]
    assert [record.levelname for record in deaths] == ["WARNING", "WARNING"]
    assert all("a worker died over" in record.getMessage() for record in deaths)


def test_a_unit_that_kills_every_worker_is_given_up_by_name(tmp_path: Path) -> None:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.raises(RuntimeError, match=r"3 workers died over A-0-0-.*\.json .*what was finished is kept"):
        run_on_workers(here(tmp_path), Workers(1, _Dying(tmp_path / "deaths", 99)))


def test_another_model_in_a_worker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a worker loaded the model \w+ in torch.float32, the plan is for"):
        run_on_workers(here(tmp_path), Workers(1, partial(fake_language_model, 1)))
    assert not (tmp_path / "units").exists()


CHILD = """
import sys
from functools import partial
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_measurement_workers import crew, here
from auctionsim.measurement.workers import run_on_workers
run_on_workers(here(Path(sys.argv[1])), crew(2), lambda told: print(told.done, flush=True))
"""


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_driver_is_gone_on_from(sign: signal.Signals, serial: Path, tmp_path: Path) -> None:
    child = [sys.executable, "-c", CHILD, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(child, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 4:
            pass
        process.send_signal(sign)
    assert process.returncode not in (0, None)
    finished = {path.name: path.stat().st_ino for path in files(tmp_path)}
    assert len(finished) >= 4
    run_on_workers(here(tmp_path), crew(2))
    assert same_files(tmp_path, serial)
    assert all((tmp_path / "units" / name).stat().st_ino == inode for name, inode in finished.items())


def test_a_worker_runs_the_plugins_that_this_process_has_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a Ray that was there before they were loaded, as this file's."""
    monkeypatch.setattr(plugins, "_files", {})
    file, runs = tmp_path / "mine.py", tmp_path / "runs"
    file.write_text(f"import os\nwith open({str(runs)!r}, 'a') as log:\n    log.write(f'{{os.getpid()}}\\n')\n")
    plugins.load(file)
    run_on_workers(here(tmp_path), crew(1))
    ours, theirs = runs.read_text().split()
    assert (ours, theirs != ours) == (str(os.getpid()), True)
