"""What goes is announced: by `typing_extensions.deprecated`, with what to use, since when, and when it goes."""

import ast
import re
from pathlib import Path

import pytest

import auctionsim

ROOT = Path(__file__).parent.parent
RULE = re.compile(r"^use .+; deprecated since (?P<since>\d+\.\d+)\.\d+, gone in (?P<gone>\d+\.\d+)\.0$")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def breaches(source: str, version: str) -> list[str]:
    """What in a module's deprecations breaks the rule of CONTRIBUTING.md, at a version of the package."""
    found = []
    for node in ast.walk(ast.parse(source)):
        called = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "deprecated"
        if not called or not isinstance(node, ast.Call):
            continue
        words = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
        promise = RULE.match(str(words))
        if promise is None:
            found.append(f"line {node.lineno}: say 'use …; deprecated since X.Y.Z, gone in X.Y.0', not {words!r}")
        elif numbers(promise["gone"]) <= numbers(promise["since"]):
            found.append(f"line {node.lineno}: one minor version announces it, a later one removes it")
        elif numbers(version) >= numbers(promise["gone"]):
            found.append(f"line {node.lineno}: {version} is there: remove it")
    return found


@pytest.mark.parametrize(
    ("words", "version", "count"),
    [
        ("use `observe`; deprecated since 0.2.0, gone in 0.3.0", "0.2.5", 0),
        ("use `observe`; deprecated since 0.2.0, gone in 0.3.0", "0.3.0", 1),
        ("use `observe`; deprecated since 0.2.0, gone in 0.2.0", "0.2.0", 1),
        ("do not use this", "0.2.0", 1),
        ("use `observe`; deprecated since 0.9.0, gone in 0.10.0", "0.9.1", 0),
    ],
)
def test_the_rule_is_checked(words: str, version: str, count: int) -> None:
    source = f"from typing_extensions import deprecated\n@deprecated({words!r})\ndef f() -> None: ...\n"
    assert len(breaches(source, version)) == count


@pytest.mark.parametrize("folder", ["auctionsim", "agents", "envs", "experiments"])
def test_every_deprecation_keeps_the_rule(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert not breaches(path.read_text(encoding="utf-8"), auctionsim.__version__), path


def test_the_package_that_marks_them_is_required_once_it_is_used() -> None:
    sources = [
        path.read_text(encoding="utf-8") for f in ("auctionsim", "agents", "envs") for path in (ROOT / f).rglob("*.py")
    ]
    used = any("typing_extensions" in source for source in sources)
    assert used == ('"typing-extensions>=' in (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
