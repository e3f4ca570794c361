"""What the library says: through its loggers, nothing on its own accord; what it recovers from, it says."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for folder in ("auctionsim", "agents", "envs") for path in (ROOT / folder).rglob("*.py"))


def calls(tree: ast.AST, name: str) -> list[int]:
    """The lines on which a function is called by its plain name."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def test_the_library_prints_nothing() -> None:
    assert calls(ast.parse("x = 1\nprint(x)"), "print") == [2]
    printing = {str(path.relative_to(ROOT)): calls(ast.parse(path.read_text()), "print") for path in SOURCES}
    assert not {name: lines for name, lines in printing.items() if lines}


def test_loggers_carry_the_names_of_their_modules() -> None:
    """So that `logging.getLogger("auctionsim")` has them all; a name of one's own would be missed."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "logging.getLogger":
                argument = ast.unparse(node.args[0]) if node.args else ""
                known = ("__name__", "'auctionsim'", "LOGGER", "'ray.rllib'")  # the last is quietened, not written to
                assert argument in known, f"{path.relative_to(ROOT)}: getLogger({argument})"


@pytest.mark.parametrize(("listening", "shown"), [(False, ""), (True, "WARNING:auctionsim.files:said")])
def test_a_program_without_handlers_hears_nothing(listening: bool, shown: str, tmp_path: Path) -> None:
    """Python would print warnings of a logger without a handler on stderr: the top one has a handler that is silent."""
    setup = "logging.basicConfig()" if listening else "pass"
    code = f"import logging, auctionsim; {setup}; logging.getLogger('auctionsim.files').warning('said')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stderr.strip(), done.stdout) == (shown, "")
