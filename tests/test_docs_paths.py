"""What pages and docstrings call by a path is there: modules and their names, and files of the repository."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INSTALLED = ("agents", "envs", "experiments")  # folders that are packages below auctionsim
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "experiments/README.md")),
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name != "log.md"),  # the log tells of its day
]
CODE = [
    *sorted(path for room in ("auctionsim", *INSTALLED, "benchmarks", "tools") for path in (ROOT / room).rglob("*.py")),
    ROOT / "Makefile",
    ROOT / "pyproject.toml",
]
DOTTED = re.compile(r"(?<![\w./])auctionsim(?:\.[A-Za-z]\w*)+")
TOPS = (ROOT, ROOT / "auctionsim", ROOT / "experiments")
ROOMS = {path.name for top in TOPS for path in top.iterdir() if path.is_dir() and path.name[0].isalpha()}
FILE = re.compile(rf"(?<![\w./-])((?:{'|'.join(sorted(ROOMS))})/[\w./-]*\w\.(?:py|md|toml|csv))\b")


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def names_something(dotted: str) -> bool:
    """Tell whether a dotted path ends at a folder, a file, or a word of the file that it reaches."""
    place, parts = ROOT / "auctionsim", dotted.split(".")[1:]
    if parts[0] in INSTALLED:
        place, parts = ROOT / parts[0], parts[1:]
    while parts and (place / parts[0]).is_dir():
        place, parts = place / parts[0], parts[1:]
    if parts and (place / f"{parts[0]}.py").exists():
        place, parts = place / f"{parts[0]}.py", parts[1:]
    if not parts:
        return True
    file = place if place.is_file() else place / "__init__.py"
    return bool(re.search(rf"\b{parts[0]}\b", text_of(file)))


@pytest.mark.parametrize("path", [*PAGES, *CODE], ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_lead_somewhere(path: Path) -> None:
    text = text_of(path)
    lost = [dotted for dotted in DOTTED.findall(text) if not names_something(dotted)]
    for name in FILE.findall(text):
        if not any((top / name).exists() for top in TOPS):
            lost.append(name)
    assert not lost, f"{path.relative_to(ROOT)} names what is not there: {', '.join(lost)}"


def test_what_is_not_there_is_noticed() -> None:
    assert names_something("auctionsim.readings.registry.register")
    assert names_something("auctionsim.experiments.studies")
    assert not names_something("auctionsim.experiments.support")
    assert not names_something("auctionsim.readings.registry.nosuch")
    assert FILE.findall("`experiments/support.py` and studies/demo.py") == ["experiments/support.py", "studies/demo.py"]
