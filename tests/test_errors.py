"""Errors are one tree: everything that is raised on purpose is of it, and also the built-in exception that fits."""

import ast
import builtins
import inspect
import pickle
from pathlib import Path

import pytest

from auctionsim import errors
from auctionsim.errors import AuctionsimError, InputError, InterruptedCommandError

ROOT = Path(__file__).parent.parent
SOURCES = [path for f in ("auctionsim", "agents", "envs", "experiments") for path in sorted((ROOT / f).rglob("*.py"))]
PROTOCOLS = {"AttributeError", "StopIteration", "KeyboardInterrupt", "SystemExit"}  # what Python itself asks for
TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def raised_built_ins(source: str, *, is_package: bool = False) -> list[str]:
    """Which exceptions of Python's own a module raises, with their lines; those that a protocol asks for left out."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Raise) or node.exc is None:
            continue
        name = ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
        abstract = name == "NotImplementedError" and not isinstance(node.exc, ast.Call)
        bare_folder = name == "ImportError" and is_package
        kind = getattr(builtins, name, None)
        is_built_in = isinstance(kind, type) and issubclass(kind, BaseException)
        if is_built_in and name not in PROTOCOLS and not abstract and not bare_folder:
            found.append(f"line {node.lineno}: raise {name}")
    return found


def exception_classes(source: str) -> list[str]:
    """Which classes a module derives from an exception."""
    names = {*(kind.__name__ for kind in TREE), *dir(builtins)}
    classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    bases = {node.name: [ast.unparse(base) for base in node.bases] for node in classes}
    return [
        name
        for name, parents in bases.items()
        if any(parent.endswith(("Error", "Exception")) and parent in names for parent in parents)
    ]


def test_the_readers_of_sources_see_what_they_must() -> None:
    source = "def f():\n    raise ValueError('x')\nclass A(KeyError): ...\nclass B: ...\n"
    source += "def g():\n    raise NotImplementedError\n"
    assert raised_built_ins(source) == ["line 2: raise ValueError"]
    assert raised_built_ins("raise ImportError('x')", is_package=True) == []
    assert exception_classes(source) == ["A"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_raised_on_purpose_is_of_the_tree(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert raised_built_ins(source, is_package=path.name == "__init__.py") == [], "see auctionsim/errors.py"
    assert path == ROOT / "auctionsim" / "errors.py" or exception_classes(source) == [], "it belongs into errors.py"


@pytest.mark.parametrize("kind", TREE)
def test_every_branch_is_a_built_in_exception_too(kind: type[AuctionsimError]) -> None:
    """Callers' `except ValueError` keeps catching; and it is in the drawing at the top, below its parent."""
    assert issubclass(kind, AuctionsimError)
    kinds = [base for base in kind.__mro__ if getattr(builtins, base.__name__, None) is base]
    alone = (AuctionsimError, InterruptedCommandError)
    assert kind in alone or kinds[0] not in (Exception, BaseException), "it inherits no built-in that callers catch"
    drawing = str(errors.__doc__)
    assert f"{kind.__name__} " in drawing or f"{kind.__name__}\n" in drawing
    if kind not in alone:
        (line,) = [line for line in drawing.splitlines() if f" {kind.__name__} " in line]
        if "also a" in line:
            assert kinds[0].__name__ in line, line


@pytest.mark.parametrize("kind", [kind for kind in TREE if kind is not InterruptedCommandError])
def test_an_error_comes_back_from_another_process_as_it_was(kind: type[AuctionsimError]) -> None:
    """Ray's workers send theirs by pickle."""
    copy = pickle.loads(pickle.dumps(kind("reserve must be >= 0, got -1.0")))
    assert (type(copy), str(copy)) == (kind, "reserve must be >= 0, got -1.0")


def test_refusals_are_told_from_what_packages_raise() -> None:
    import torch

    from auctionsim.mechanisms import SecondPrice

    with pytest.raises(InputError, match=r"-1\.0") as caught:
        SecondPrice(reserve=-1.0)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(ValueError, match="learning rate") as theirs:
        torch.optim.SGD([torch.zeros(1)], lr=-1.0)
    assert not isinstance(theirs.value, AuctionsimError)
