"""The rules of the house itself: arrows, no circles, one name a class, a light import, folders and their names."""

import ast
import itertools
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "auctionsim": ("auctionsim.agents", "auctionsim.envs", "auctionsim.experiments"),
    "agents": ("auctionsim.envs", "auctionsim.experiments"),
    "envs": ("auctionsim.agents", "auctionsim.experiments"),
}
FRONT_DOORS = ("auctionsim/cli/", "auctionsim/__init__.py")  # they name the other folders lazily, on purpose
FOLDERS = {"auctionsim": "auctionsim", **{name: f"auctionsim.{name}" for name in ("agents", "envs", "experiments")}}
"""Each folder, and the name that it is installed under."""

LAYERS = (
    "blocks caching checks claims console data errors files gymnasium_ids kept outcome plugins prompt_files "
    "ray_folders record_keywords records seeds sentence_ends signatures signed_json spelling storage tables "
    "text_checks threads wording",
    "brands common_words levers stems strategies strategy_memory observation_layout",
    "prompts priors",
    "language_models",
    "judges",
    "readings",
    "neurons",
    "carriers",
    "substrates",
    "audiences",
    "measurement metrics",
    "mechanisms",
    "regret",
    "scoring",
    "accounts",
    "logs",
    "market",
    "report",
    "panels",
    "trust",
    "gold",
    "play",
    "testing",
    "cli",
)
"""The library's files and packages, the lowest first: each imports of its own layer and of those before it."""

ROOMS = ("entries", "learners", "running", "tables", "figures", "studies")
"""The rooms of experiments, likewise: and no study imports another."""


def imported_names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = {
        f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return plain | froms


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_one_way(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        if str(path.relative_to(ROOT)).startswith(FRONT_DOORS):
            continue
        backwards = [name for name in imported_names(path) if name.startswith(FORBIDDEN[folder])]
        assert not backwards, f"{path.relative_to(ROOT)} imports {backwards}"


@cache
def modules() -> Mapping[str, Path]:
    """Return every file of the package by its installed name."""
    found = {}
    for folder, installed in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((installed, *parts)).removesuffix(".__init__")] = path
    return found


@cache
def imported_modules(name: str) -> frozenset[str]:
    """Return the modules that one imports anywhere in its file, inside functions too."""
    known = modules()
    paths = imported_names(known[name])
    return frozenset(longest for path in paths if (longest := _module_in(path)) and longest != name)


def _module_in(path: str) -> str:
    """Return the module that a dotted name leads to: itself, or the one it is a name of; "" for another's package."""
    return path if path in modules() else path.rpartition(".")[0] if path.rpartition(".")[0] in modules() else ""


def circles(arrows: Mapping[str, frozenset[str]]) -> Iterator[list[str]]:
    """Yield circles: from each node back to itself, by the fewest arrows."""
    for start in arrows:
        ways = [[start]]
        seen: set[str] = set()
        while ways:
            way = ways.pop(0)
            for after in arrows[way[-1]]:
                if after == start:
                    yield way
                    ways = []
                    break
                if after not in seen:
                    seen.add(after)
                    ways.append([*way, after])


def test_a_circle_is_found() -> None:
    arrows = {"a": frozenset("b"), "b": frozenset("cd"), "c": frozenset("a"), "d": frozenset()}
    assert next(circles(arrows)) == ["a", "b", "c"]
    assert not list(circles({**arrows, "c": frozenset("d")}))


def test_no_files_import_each_other_in_a_circle() -> None:
    found = next(circles({name: imported_modules(name) for name in modules()}), None)
    assert found is None, " → ".join([*found, found[0]])


def layer_of(name: str) -> int | None:
    """Return the layer of a library's module; None for the front door itself and for the other folders."""
    unit = name.split(".")[1] if "." in name else ""
    if not unit or unit in FOLDERS:
        return None
    places = [place for place, units in enumerate(LAYERS) if unit in units.split()]
    assert places, f"{name} has no place in LAYERS"
    return places[0]


def test_the_library_imports_downwards() -> None:
    for name in modules():
        own = layer_of(name)
        for other in imported_modules(name) if own is not None else ():
            below = layer_of(other)
            assert below is None or below <= own, f"{name} imports {other}, which lies above it"


def test_every_layer_is_there() -> None:
    units = {name.split(".")[1] for name in modules() if "." in name}
    named = list(itertools.chain.from_iterable(units.split() for units in LAYERS))
    assert len(named) == len(set(named))
    assert set(named) <= units, f"LAYERS names what is not there: {set(named) - units}"


def test_rooms_of_experiments_import_downwards_and_nothing_imports_a_study() -> None:
    inside = "auctionsim.experiments."
    for name in modules():
        room = name.removeprefix(inside).partition(".")[0] if name.startswith(inside) else None
        assert room is None or room in ROOMS, f"{name} is in no room"
        for other in imported_modules(name):
            if not other.startswith(inside):
                continue
            where = other.removeprefix(inside).partition(".")[0]
            assert where != "studies" or name.startswith("auctionsim.cli"), f"{name} imports the study {other}"
            assert room is None or ROOMS.index(where) <= ROOMS.index(room), f"{name} imports {other}, which lies above"


def test_no_two_classes_share_a_name() -> None:
    """A leading underscore makes no other name of it: whoever reads "Row" asks which."""
    places: dict[str, list[str]] = {}
    for folder in (*FOLDERS, "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name.lstrip("_"), []).append(str(path.relative_to(ROOT)))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert not twice, twice


def test_no_relative_imports() -> None:
    for folder in (*FORBIDDEN, "experiments"):
        for path in (ROOT / folder).rglob("*.py"):
            levels = [node.level for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
            assert not any(levels), path


def run_python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


def test_import_is_light(tmp_path: Path) -> None:
    heavy = "ray transformers matplotlib plotly pandas pettingzoo jinja2"
    ours = "auctionsim, auctionsim.cli, auctionsim.envs, auctionsim.mechanisms, auctionsim.regret, auctionsim.report"
    code = f"import sys, {ours}; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = run_python(code, tmp_path)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def loaded_by(code: str, cwd: Path) -> set[str]:
    """Which packages a fresh process has loaded after some code."""
    done = run_python(f"{code}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))", cwd)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_package_alone_loads_no_torch(tmp_path: Path) -> None:
    """Its names come at their first use: `Outcome` brings torch, the ids are registered without an environment."""
    first = "import auctionsim, gymnasium\nassert 'auctionsim/FirstPrice-v0' in gymnasium.registry"
    assert not {"torch", "scipy", "rich", "jaxtyping"} & loaded_by(first, tmp_path)
    later = "import auctionsim\nassert 'Outcome' in dir(auctionsim)\nfrom auctionsim import *\nassert Outcome._fields"
    assert "torch" in loaded_by(later, tmp_path)
    assert "has no attribute 'Outcom'" in run_python("import auctionsim; auctionsim.Outcom", tmp_path).stderr


def test_an_environment_without_a_model_loads_neither_ray_nor_transformers(tmp_path: Path) -> None:
    code = """
import gymnasium as gym
env = gym.make("auctionsim:auctionsim/NeuronAuction-v0")
env.reset(seed=0)
env.step(env.action_space.sample())
"""
    found = loaded_by(code, tmp_path)
    assert "torch" in found
    assert not {"ray", "transformers", "pandas", "matplotlib", "pettingzoo", "jinja2"} & found


@pytest.mark.parametrize("folder", ["agents", "envs", "experiments"])
def test_bare_folder_names_are_refused(folder: str) -> None:
    done = run_python(f"import {folder}", ROOT)
    assert done.returncode != 0
    assert f"ImportError: import auctionsim.{folder}" in done.stderr


LONGEST = 10
PASSED_ON = {
    "auctionsim/record_keywords.py": "with_records",  # its explicit signature is the record's fields
    "auctionsim/cli/record_options.py": "with_options",  # likewise
}
"""Functions that take any keywords and hold them to a signature themselves."""
NOT_OURS = {
    "auctionsim/console.py",  # rich's methods, narrowed
    "auctionsim/language_models/attention.py",  # called by transformers
    "agents/ppo_config.py",  # by RLlib; so are those that follow
    "agents/ppo_rllib.py",
    "agents/sac_rllib.py",
    "envs/rllib_runner.py",
    "envs/sb3_env.py",  # Stable-Baselines3's `env_method`
    "envs/wrappers.py",  # Gymnasium's `close`, and `__new__` of a kind to be found out
    "experiments/running/tune_progress.py",  # Tune's callbacks
    "experiments/running/tune_state.py",
}
"""Files with functions whose signature another library sets."""


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function of auctionsim/cli is a command: its parameters are options, each with what it means."""
    own = [one.annotation for one in (*node.args.args, *node.args.kwonlyargs)]
    return any(one is not None and ast.unparse(one).startswith(("Annotated[", "SurfaceName", "Device")) for one in own)


@pytest.mark.parametrize("folder", [*FORBIDDEN, "experiments", "benchmarks"])
def test_parameter_lists_are_short_and_hide_nothing(folder: str) -> None:
    """At most ten parameters; more are a record of the field, and no `**options` hides them."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for node in functions(path):
            args = node.args
            every = [one.arg for one in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
            own = [one for one in every if one not in ("self", "cls")]
            where = f"{name}:{node.lineno} {node.name}"
            if not (name.startswith("auctionsim/cli/") and is_command(node)):
                assert len(own) <= LONGEST, f"{where} takes {len(own)} parameters: {', '.join(own)}"
            allowed = node.name == "__init_subclass__" or name in NOT_OURS or PASSED_ON.get(name) == node.name
            assert args.kwarg is None or allowed, f"{where} hides its parameters in **{args.kwarg and args.kwarg.arg}"


def test_every_package_is_installed() -> None:
    """A folder that pyproject.toml does not name is not in the wheel, and its types are not checked."""
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {
        path.parent.relative_to(ROOT)
        for top in ("auctionsim", "agents", "envs", "experiments")
        for path in (ROOT / top).rglob("__init__.py")
    }
    names = {".".join(folder.parts) for folder in folders}
    assert listed == {name if name.partition(".")[0] == "auctionsim" else f"auctionsim.{name}" for name in names}
