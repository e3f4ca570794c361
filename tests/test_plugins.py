"""Plugins: a user's own file runs once, its errors name file and line, a stranger's package breaks nobody else's."""

import hashlib
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from auctionsim import cli, mechanisms, plugins
from auctionsim.cli.failures import MISTAKE, failure
from auctionsim.cli.options import arranged, command_line
from auctionsim.errors import PluginError
from auctionsim.neurons.brand_neurons import package_versions


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins as a process without plugins."""
    monkeypatch.setattr(plugins, "_files", {})
    monkeypatch.setattr(plugins, "_installed", None)


def written(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_runs_once_whatever_it_is_called(tmp_path: Path) -> None:
    log = tmp_path / "log"
    path = written(tmp_path, f"with open({str(log)!r}, 'a') as log:\n    log.write('ran')\nclass Mine: pass\n")
    (tmp_path / "link.py").symlink_to(path)
    modules = [plugins.load(path), plugins.load(tmp_path / "." / "mine.py"), plugins.load(tmp_path / "link.py")]
    assert log.read_text() == "ran"
    assert modules[0] is modules[1] is modules[2] is sys.modules[plugins.module_name(path)]
    assert modules[0].Mine.__module__ == plugins.module_name(path)
    assert plugins.loaded() == ((str(path.resolve()), hashlib.sha256(path.read_bytes()).hexdigest()),)
    path.write_text("other = 1")
    with pytest.raises(PluginError, match=r"mine\.py: has changed since it was loaded"):
        plugins.load(path)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a = 1\nb = (\n", 2, "SyntaxError"),
        ("a = 1\n\n1 / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("def f():\n    raise KeyError('x')\nf()\n", 2, "KeyError: 'x'"),
        ("from auctionsim.checks import checked_count\nchecked_count(0, 'bidders')\n", 2, "bidders"),
        ("import sys\nsys.exit(0)\n", 2, "SystemExit: 0"),
        ("import nosuchpackage\n", 1, "nosuchpackage"),
    ],
)
def test_what_does_not_run_is_named_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(PluginError, match=rf"mine\.py, line {line}: ") as caught:
        plugins.load(path)
    assert words in str(caught.value)
    assert plugins.module_name(path) not in sys.modules
    assert plugins.loaded() == ()
    assert failure(caught.value) == (str(caught.value), MISTAKE)


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        plugins.load(tmp_path / "none.py")
    with pytest.raises(ValueError, match="no regular file"):
        plugins.load(tmp_path)
    with pytest.raises(PluginError, match=r"null bytes|SyntaxError"):
        plugins.load(written(tmp_path, "a = '\0'"))
    with pytest.raises(ValueError, match="at most 1048576"):
        plugins.load(written(tmp_path, "#" * (plugins.MOST_BYTES + 1)))


def test_a_mistake_in_a_plugin_is_its_authors_and_names_the_line(tmp_path: Path) -> None:
    module = plugins.load(written(tmp_path, "def value(x):\n    return {}[x]\n"))
    with pytest.raises(KeyError) as caught:
        module.value("slot")
    ending = failure(caught.value)
    assert (ending.exit_code, "mine.py, line 2: KeyError: 'slot'" in ending.sentence) == (MISTAKE, True)


def test_what_a_run_depends_on_names_its_plugins(tmp_path: Path) -> None:
    before = package_versions()
    assert not [name for name in before if name.startswith("plugin")]
    path = written(tmp_path, "a = 1")
    plugins.load(path)
    digest = hashlib.sha256(b"a = 1").hexdigest()
    assert package_versions() == {**before, "plugin mine.py": digest[:16]}


def test_readings_that_ship_are_no_plugins_even_if_it_imports_them_first(tmp_path: Path) -> None:
    text = (
        "from auctionsim.readings import TextReading, register\n"
        "register(TextReading('mine', 'letters', per='reply', read=lambda replies, brands: [0.0] * len(replies)))\n"
    )
    lines = "from auctionsim import plugins; import sys; plugins.load(sys.argv[1])"
    lines += "; from auctionsim.readings.registry import made_by; print([made_by(n) for n in ('length', 'mine')])"
    command = [sys.executable, "-c", lines, str(written(tmp_path, text))]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert found == str(["", hashlib.sha256(text.encode()).hexdigest()[:16]])


def test_another_process_loads_the_same_bytes_or_none(tmp_path: Path) -> None:
    path = written(tmp_path, "a = 1")
    there = plugins.PluginFile(str(path), hashlib.sha256(b"a = 2").hexdigest())
    with pytest.raises(PluginError, match="where it was named"):
        plugins.load_files([there])
    assert plugins.ray_options()["runtime_env"]["worker_process_setup_hook"].__name__ == "load_plugins"


def installed(folder: Path, name: str, source: str, target: str) -> None:
    """A package with one plugin, as pip leaves it in a folder."""
    (folder / f"{name}.py").write_text(source)
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[auctionsim.plugins]\nof_{name} = {target}\n")


def test_a_broken_package_is_named_and_breaks_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    installed(tmp_path, "apkg", "raise ImportError('no\\nmodule')", "apkg")
    installed(tmp_path, "bpkg", "ran = []\ndef register(): ran.append(1)", "bpkg:register")
    installed(tmp_path, "cpkg", "", "cpkg")
    monkeypatch.syspath_prepend(tmp_path)
    with caplog.at_level(logging.INFO, "auctionsim"):
        mechanisms.table.names()  # whoever looks a name up has them loaded
        assert "bpkg" in sys.modules
        found = plugins.load_installed()
    assert [entry.name for entry in found] == ["of_apkg", "of_bpkg", "of_cpkg"]
    assert found[0].failure == "the plugin 'of_apkg' of apkg 1.0 does not load: ImportError: no module"
    assert [entry.failure for entry in found[1:]] == ["", ""]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [found[0].failure]
    assert plugins.load_installed() == found
    assert sys.modules["bpkg"].ran == [1]
    assert plugins.versions() == {f"plugin of_{name}": f"{name} 1.0" for name in ("apkg", "bpkg", "cpkg")}


@pytest.mark.parametrize(
    "words",
    [
        ["surface", "show", "X", "--plugin", "a.py", "--plugin=b.py"],
        ["--plugin", "a.py", "surface", "--plugin=b.py", "show", "X"],
        ["surface", "--debug", "--plugin", "a.py", "show", "--verbose", "X", "--plugin=b.py"],
    ],
)
def test_it_may_stand_anywhere(words: list[str]) -> None:
    assert arranged(words).arguments == ["--plugin", "a.py", "--plugin=b.py", "surface", "show", "X"]
    assert arranged([*words, "--", "--plugin"]).arguments[-2:] == ["--", "--plugin"]
    assert arranged(words).debug == ("--debug" in words)


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["auctionsim", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_command_runs_it_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = written(tmp_path, "a = 1", "good.py"), written(tmp_path, "1 / 0", "bad.py")
    named = ("surface", "show", "running-shoes-2@1", "--plugin", str(good))
    assert run(*named, monkeypatch=monkeypatch) == 0
    assert [file.path for file in plugins.loaded()] == [str(good.resolve())]
    assert command_line() == f"auctionsim --plugin {good} surface show running-shoes-2@1"
    assert run(*named, "--plugin", str(bad), monkeypatch=monkeypatch) == MISTAKE
    assert "bad.py, line 1: ZeroDivisionError" in capsys.readouterr().err
    assert run("surface", "show", "running-shoes-2@1", "--plugin", monkeypatch=monkeypatch) == MISTAKE
    assert "--plugin" in capsys.readouterr().err
    assert run(*named, "--plugin", "", monkeypatch=monkeypatch) == MISTAKE
    assert "--plugin: the name of a Python file is wanted, got an empty one" in capsys.readouterr().err


def test_an_exit_in_a_plugin_ends_no_command_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reading that calls sys.exit(0) would else look like a command that has done its work."""
    path = written(tmp_path, "def leave(*_):\n    raise SystemExit(0)\n")
    monkeypatch.setattr(cli, "app", lambda *_, **__: plugins.load(path).leave())
    assert run("surface", "show", "running-shoes-2@1", monkeypatch=monkeypatch) == MISTAKE
    assert "mine.py, line 2: SystemExit: 0" in capsys.readouterr().err


def test_verbose_shows_what_is_logged_and_warnings_are_shown_always(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    noisy = "import logging\nlogging.getLogger('auctionsim.mine').warning('a worker [bold] died')\n"
    words = ("surface", "show", "running-shoes-2@1", "--plugin", str(written(tmp_path, noisy)))
    assert run(*words, monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().err == "warning: a worker [bold] died\n"
    monkeypatch.setattr(plugins, "_files", {})
    assert run(*words, "--verbose", monkeypatch=monkeypatch) == 0
    assert "note: the plugin" in capsys.readouterr().err


def test_a_file_that_is_read_runs_nothing_however_it_names_one(tmp_path: Path) -> None:
    """run.json names plugins for whoever reads it: `report` shows them, and runs none."""
    from auctionsim.report import write_runs_report

    mark = tmp_path / "ran"
    path = written(tmp_path, f"open({str(mark)!r}, 'w')")
    (tmp_path / "run").mkdir()
    record = {"finished": True, "command": f"auctionsim --plugin {path} demo", "plugins": [{"path": str(path)}]}
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    (tmp_path / "run" / "section.md").write_text("# A run\n")
    write_runs_report([tmp_path / "run"], tmp_path / "page.html")
    assert not mark.exists()
    assert plugins.loaded() == ()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_ray_workers_load_the_same_files(tmp_path: Path) -> None:
    """What a plugin defines is unpickled by name in a worker, where the file has been run before anything else."""
    ray = pytest.importorskip("ray", reason="workers are Ray's")
    source = "class Mine:\n    value = 7\n\ndef doubled(mine):\n    return 2 * mine.value, __name__\n"
    module = plugins.load(written(tmp_path, source))
    from auctionsim.agents.ray_session import ray_running

    with ray_running(cpus=1):
        answer = ray.remote(module.doubled).remote(module.Mine())
        assert ray.get(answer) == (14, plugins.module_name(tmp_path / "mine.py"))
