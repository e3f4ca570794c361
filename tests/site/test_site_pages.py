"""The generated pages: every public name, every registered thing; the navigation; what is checked of the built site."""

import zlib
from pathlib import Path

import pytest
from built_site import fetched_elsewhere, missing_names
from docstring_sections import shown
from navigation import SECTIONS, LostPageError, navigation
from pages_reference import by_package, public_names, reference_pages, sources
from pages_repository import DOORS, citing_page, decisions_page, home_page, repository_pages
from prose import ROOT

import auctionsim


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    return reference_pages()


def test_every_public_name_has_its_entry(reference: dict[str, str]) -> None:
    entries = [line.removeprefix("::: ") for text in reference.values() for line in text.splitlines() if "::: " in line]
    assert sorted(entries) == public_names()
    for package, shorts in by_package(public_names()).items():
        page = reference[f"reference/{package}.md"]
        for short in shorts:
            (row,) = [line for line in page.splitlines() if line.startswith(f"| [`{short}`](#{package}.{short}) |")]
            assert len(row.rpartition(") |")[2]) > 5, f"{row} says nothing"


def test_sources_lie_as_they_are_installed() -> None:
    with sources() as folder:
        package = Path(folder) / "auctionsim"
        for name, place in (("agents", ROOT / "agents"), ("mechanisms", ROOT / "auctionsim" / "mechanisms")):
            assert (package / name / "__init__.py").read_bytes() == (place / "__init__.py").read_bytes()


def test_docstrings_are_given_the_form_that_is_read() -> None:
    args = "Args:\n    a, b: Both\n        of them.\n    c: One.\n"
    text = f"Do [a][b].\n\n{args}Source:\n    He.\nExample:\n    >>> x[0][1]\n"
    assert shown(text) == (
        "Do [a]\\[b].\n\n\nArgs:\n    a: Both\n        of them.\n    b: Both\n        of them.\n    c: One.\n\n"
        "Source:\n    He.\n\nExamples:\n    >>> x[0][1]\n"
    )
    assert shown("Words, such as these: not shared.\n") == "Words, such as these: not shared.\n"


def test_every_page_has_one_place_in_the_navigation() -> None:
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]

    def leaves(entries: object) -> list[str]:
        if isinstance(entries, str):
            return [entries]
        inner = entries.values() if isinstance(entries, dict) else entries
        return [leaf for one in inner for leaf in leaves(one)]  # type: ignore[attr-defined]

    assert sorted(leaves(navigation([*pages, *repository_pages()]))) == sorted({*pages, *repository_pages()})
    assert SECTIONS[0][0] == "Home"


def test_a_page_in_no_section_is_an_error() -> None:
    with pytest.raises(LostPageError, match=r"nosuch\.md"):
        navigation(["index.md", "nosuch.md"])
    assert navigation(["index.md"]) == [{"Home": ["index.md"]}]


def test_pages_of_other_files_say_what_those_say() -> None:
    assert auctionsim.__version__ in citing_page()
    assert "Liu, Jiayuan" in citing_page()
    listed = decisions_page()
    assert all(f"({path.name})" in listed for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert repository_pages()["repository/security.md"] == (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_the_first_page_shows_what_the_readme_shows() -> None:
    page, readme = home_page(), (ROOT / "README.md").read_text(encoding="utf-8")
    assert "one-auction.svg" in page
    assert "playground.png" in page
    assert "make demo" in page
    assert page.split("\n\n")[2] == readme.split("\n\n")[1]
    assert all((ROOT / place).is_file() and f"[{name}]({place})" in page for name, place, _ in DOORS)
    with pytest.raises(ValueError, match="the picture of one auction"):
        home_page(readme.replace("one-auction.svg", "nosuch.svg"))


def test_what_a_site_lacks_and_loads_is_named(tmp_path: Path) -> None:
    names = zlib.compress(b"auctionsim.errors.InputError py:class 1 a.html#$ -\nbid std:label 1 b.html -\n")
    (tmp_path / "objects.inv").write_bytes(b"# Sphinx\n# Project: a\n# Version: 0\n# zlib\n" + names)
    assert missing_names(tmp_path, ["auctionsim.errors.InputError", "bid", "x"]) == ["bid", "x"]
    page = tmp_path / "a.html"
    page.write_text('<a href="https://a.b">x</a><link rel="canonical" href="https://a.b"><script src="x.js"></script>')
    assert fetched_elsewhere(tmp_path) == []
    for loads in (
        '<script src="https://a.b/c.js"></script>',
        '<link rel="stylesheet" href="//a.b/c.css">',
        '<img src="http://a.b/c.png">',
        '<p style="background: url(https://a.b/c)">',
    ):
        page.write_text(loads)
        assert len(fetched_elsewhere(tmp_path)) == 1, loads
    page.write_text("")
    (tmp_path / "a.css").write_text("@import 'https://fonts.a/b.css'; a { background: url(data:image/svg+xml,x) }")
    assert fetched_elsewhere(tmp_path) == ["a.css: https://fonts.a/b.css"]
