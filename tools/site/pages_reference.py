"""The reference's pages: one per package, each public name of it with its signature and docstring."""

import inspect
import shutil
import tempfile
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).resolve().parents[2]
NAMES = ROOT / "tests" / "public_names.txt"
OUTSIDE = ("agents", "envs", "experiments")
"""Folders of the checkout that are installed inside the package."""


def by_package(names: list[str]) -> dict[str, list[str]]:
    """Group the public names by the package that offers them; packages are sorted."""
    found: dict[str, list[str]] = {}
    for name in names:
        package, _, short = name.rpartition(".")
        found.setdefault(package, []).append(short)
    return dict(sorted(found.items()))


def public_names() -> list[str]:
    """Return the list that tests hold the packages to."""
    return NAMES.read_text(encoding="utf-8").split()


def page_of(package: str) -> str:
    """Return the path of a package's page below docs/."""
    return f"reference/{package}.md"


def reference_pages() -> dict[str, str]:
    """Return each page of the reference by its path."""
    with sources() as folder:
        library: Any = griffe.load("auctionsim", search_paths=[folder], try_relative_path=False, resolve_aliases=True)
    packages = by_package(public_names())
    pages, rows = {}, []
    for name, shorts in packages.items():
        package = library[name.removeprefix("auctionsim.")] if "." in name else library
        pages[page_of(name)] = package_page(package, shorts)
        rows.append(f"| [`{name}`]({name}.md) | {len(shorts)} | {first_line(package)} |")
    table = "\n".join(["| package | names | is |", "|---|---|---|", *rows])
    pages["reference/index.md"] = (
        "# Reference of the Python names\n\nEvery public name, by the package that it is imported from. "
        f"What is not listed here may change without notice.\n\n{table}\n"
    )
    return pages


def package_page(package: griffe.Object, shorts: list[str]) -> str:
    """Write a package's page: its docstring, a table of its names, then name after name."""
    rows = [f"| [`{short}`](#{package.path}.{short}) | {first_line(package[short])} |" for short in shorts]
    text = inspect.cleandoc(package.docstring.value) if package.docstring else ""
    table = "\n".join(["| name | is |", "|---|---|", *rows])
    return "\n\n".join([f"# {package.path}", text, table, *(f"::: {package.path}.{short}" for short in shorts)]) + "\n"


def first_line(named: griffe.Object | griffe.Alias) -> str:
    """Return the first line of a name's docstring, for a cell of a table."""
    text = named.docstring.value if named.docstring else ""
    return text.strip().partition("\n")[0].replace("|", "\\|")


def sources() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder with the packages' files as they are installed: what the reference is read from."""
    folder = tempfile.TemporaryDirectory(prefix="auctionsim-site-")
    package = Path(folder.name) / "auctionsim"
    for name in ("auctionsim", *OUTSIDE):
        for path in (ROOT / name).rglob("*.py"):
            place = path.relative_to(ROOT / "auctionsim" if name == "auctionsim" else ROOT)
            (package / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, package / place)
    return folder
