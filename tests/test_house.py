"""The rules of the house itself: arrows between folders, a light import, folders under their installed names."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "auctionsim": ("auctionsim.agents", "auctionsim.envs", "auctionsim.experiments"),
    "agents": ("auctionsim.envs", "auctionsim.experiments"),
    "envs": ("auctionsim.agents", "auctionsim.experiments"),
}
FRONT_DOORS = ("auctionsim/cli/", "auctionsim/__init__.py")  # they name the other folders lazily, on purpose


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
