"""The public names: every one that vanishes or comes is seen here, and every one says in its first line what it is."""

import ast
import importlib
import inspect
import itertools
import pkgutil
from pathlib import Path

import pytest

import auctionsim

LIST = Path(__file__).parent / "public_names.txt"
"""One public name a line, sorted. Who adds a name adds a line; a line goes by the rule of CONTRIBUTING.md alone."""
PRIVATE = ("auctionsim.cli", "auctionsim.data", "auctionsim.experiments")
OUTSIDE = ("auctionsim.agents", "auctionsim.agents.pacing", "auctionsim.envs")  # folders of their own in a checkout
RIDDLES = ("What", "Who", "How", "Everything", "Whatever")
MODULES = ("auctionsim.errors", "auctionsim.metrics", "auctionsim.plugins")


def packages() -> list[str]:
    """Every package that is imported by its users, and the modules beside them that are."""
    inside = [module.name for module in pkgutil.walk_packages(auctionsim.__path__, "auctionsim.") if module.ispkg]
    return sorted({"auctionsim", *OUTSIDE, *MODULES, *(name for name in inside if not name.startswith(PRIVATE))})


def public_names() -> list[str]:
    return sorted(f"{package}.{name}" for package in packages() for name in importlib.import_module(package).__all__)


def test_the_names_are_those_of_the_list() -> None:
    listed = LIST.read_text(encoding="utf-8").split()
    there = public_names()
    assert not sorted(set(listed) - set(there)), "a public name has vanished: see CONTRIBUTING.md on deprecation"
    assert not sorted(set(there) - set(listed)), "a public name is new: add it to tests/public_names.txt"
    assert listed == sorted(set(listed))


@pytest.mark.parametrize("package", packages())
def test_all_is_sorted_and_whole(package: str) -> None:
    """What a package imports from its own modules to offer it stands in __all__, and nothing twice."""
    module = importlib.import_module(package)
    assert len(set(module.__all__)) == len(module.__all__)
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    offered = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{package}.")
        for alias in node.names
    }
    assert package == "auctionsim" or offered <= set(module.__all__), sorted(offered - set(module.__all__))


def first_line(name: str) -> str:
    """The first line of what a public name's docstring says; a constant's stands below it in its module."""
    package, _, short = name.rpartition(".")
    value = getattr(importlib.import_module(package), short)
    if inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value):
        text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    else:
        text = constant_text(Path(str(importlib.import_module(package).__file__)).parent, short)
    return str(text or "").strip().partition("\n")[0]


def constant_text(folder: Path, name: str) -> str:
    """The text that stands right below the assignment of a constant, or of a type's name."""
    library = Path(str(auctionsim.__file__)).parent  # what a package offers may be written elsewhere
    for path in [*sorted(folder.glob("*.py")), *sorted(library.rglob("*.py"))]:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in itertools.pairwise(body):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            is_it = any(isinstance(target, ast.Name) and target.id == name for target in targets)
            if is_it and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                return str(after.value.value)
    return ""


@pytest.mark.parametrize("name", public_names())
def test_every_public_name_says_what_it_is(name: str) -> None:
    line = first_line(name)
    assert line, f"{name} has no docstring"
    assert line.endswith((".", "…")), f"{name}: {line!r} ends without a stop"
    assert line.split()[0] not in RIDDLES, f"{name}: say what it is in the field's words, not {line!r}"
