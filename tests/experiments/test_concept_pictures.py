"""The pictures of docs/concepts: each page has one, small, and the script that drew it draws it again."""

import re
from pathlib import Path

import pytest

from auctionsim.experiments.figures.concepts import PICTURES, draw
from auctionsim.substrates import ResponseSurface

CONCEPTS = Path(__file__).parents[2] / "docs" / "concepts"
PAGES = sorted(page for page in CONCEPTS.glob("*.md") if page.name != "index.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_one_picture_of_its_name(page: Path) -> None:
    (name,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert name == f"../images/concepts/{page.stem}.svg"
    assert (page.parent / name).stat().st_size <= 100_000
    assert page.stem in PICTURES or page.stem == "game"  # that one is drawn by hand


@pytest.mark.parametrize("name", ["regret", "exposure"])
def test_a_picture_is_drawn_the_same_twice(name: str, tmp_path: Path) -> None:
    surface = ResponseSurface.packaged("running-shoes-2@3")
    first = draw(name, surface, tmp_path / "a").read_bytes()
    assert first == draw(name, surface, tmp_path / "b").read_bytes()
    assert first.startswith(b"<?xml")
