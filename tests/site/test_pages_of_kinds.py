"""A page per mechanism, carrier, reading and environment; the glossary; messages that the code still has."""

from collections.abc import Iterable

import gymnasium
import pytest
from code_blocks import blocks_of, wrong_block
from pages_carriers import carrier_pages, environment_pages, reading_pages
from pages_mechanisms import honesty_of, mechanism_page, mechanism_pages
from pages_words import errors_page, first_of_each, glossary_page, message_rows, raised_messages, tooltips
from prose import ROOT

from auctionsim import errors, readings
from auctionsim.accounts import terms
from auctionsim.carriers import carrier_names
from auctionsim.mechanisms.table import names, table

FEW = ("second-price", "vcg", "pay-as-bid", "affine", "regret-net")
"""Mechanisms whose pages every run of the tests writes: their designs take a second in all."""


@pytest.fixture(scope="module")
def light_pages() -> dict[str, str]:
    return {**carrier_pages(), **reading_pages(), **environment_pages()}


@pytest.fixture(scope="module")
def pages(light_pages: dict[str, str]) -> dict[str, str]:
    """Pages of the mechanisms too; their table designs nearly every one."""
    return {**mechanism_pages(), **light_pages}


def check_listed(pages: dict[str, str], kind: str, known: Iterable[str]) -> None:
    there = {path.split("/")[-1].removesuffix(".md") for path in pages if path.startswith(f"reference/{kind}/")}
    assert there == {"index", *known}
    index = pages[f"reference/{kind}/index.md"]
    assert all(f"| [`{name}`]({name}.md) |" in index for name in known)


def check_written(pages: dict[str, str]) -> None:
    """Every page has one title and its sections, and its blocks are written right."""
    for path, text in pages.items():
        assert text.count("\n# ") + text.startswith("# ") == 1, path
        assert "None" not in text, path
        for section in ("## Use it", "## Source") if path.count("/") == 2 and "index" not in path else ():
            assert section in text, path
        for block in blocks_of(text):
            assert not wrong_block(block), path


def check_design_runs(page: str) -> None:
    for block in blocks_of(page):
        if block.language == "python":
            made: dict[str, object] = {}
            exec(block.code, made)
            assert made["auction"], page


@pytest.mark.deep  # designs every mechanism that is not learned
def test_every_mechanism_has_its_page(pages: dict[str, str]) -> None:
    check_listed(pages, "mechanisms", names())
    check_written(pages)


def test_everything_else_that_is_registered_has_its_page(light_pages: dict[str, str]) -> None:
    pages = light_pages
    check_listed(pages, "carriers", carrier_names())
    check_listed(pages, "readings", readings.names())
    ids = [name for name in gymnasium.registry if name.startswith("auctionsim/")]
    for name in ids:
        (row,) = [line for line in pages["reference/environments.md"].splitlines() if line.startswith(f"| `{name}` |")]
        page = row.partition("](../")[2].partition(")")[0]
        assert (ROOT / "docs" / page).exists()
        assert name.removesuffix("-v0") in (ROOT / "docs" / page).read_text(encoding="utf-8")


def test_pages_say_what_there_is_to_say(light_pages: dict[str, str]) -> None:
    check_written(light_pages)
    check_written({f"reference/mechanisms/{name}.md": mechanism_page(table()[name]) for name in FEW})


@pytest.mark.parametrize(
    ("name", "word"),
    [("second-price", "proved"), ("vcg", "proved"), ("first-price", "no proof"), ("pay-as-bid", "no proof"),
     ("affine", "where proved"), ("bayesian-menu", "on average"), ("regret-net", "no proof")],
)  # fmt: skip
def test_honesty_is_said_as_it_is_proved(name: str, word: str) -> None:
    assert honesty_of(name)[0] == word


def test_the_lines_in_python_run(light_pages: dict[str, str]) -> None:
    for name in FEW:
        if not table()[name].is_learned:
            check_design_runs(mechanism_page(table()[name]))
    for name in readings.names():
        (block,) = [one for one in blocks_of(light_pages[f"reference/readings/{name}.md"]) if one.language == "python"]
        exec(block.code, {})


@pytest.mark.deep  # learned mechanisms take minutes, and one program a while; everything else is made here
def test_every_mechanisms_lines_run(pages: dict[str, str]) -> None:
    for name, entry in table().items():
        if not entry.is_learned and name != "linear-program" and "optimum-" not in name:
            check_design_runs(pages[f"reference/mechanisms/{name}.md"])


@pytest.mark.deep
@pytest.mark.parametrize("name", carrier_names())
def test_the_carriers_lines_run(name: str) -> None:
    (block,) = [one for one in blocks_of(carrier_pages()[f"reference/carriers/{name}.md"]) if one.language == "python"]
    exec(block.code, {})


def test_every_term_is_in_the_glossary() -> None:
    page = glossary_page()
    assert all(page.count(f"**{term.name}**</span>") == 1 for term in terms())


def test_a_tooltip_is_shown_once() -> None:
    line = '<p><abbr title="a">VCG</abbr> and <abbr title="a">VCG</abbr>, <abbr title="b">IR</abbr></p>'
    assert first_of_each(line) == '<p><abbr title="a">VCG</abbr> and VCG, <abbr title="b">IR</abbr></p>'
    assert all(line.startswith("*[") for line in tooltips().splitlines())


@pytest.mark.parametrize("row", message_rows(), ids=lambda row: row.message[:40])
def test_messages_are_those_of_the_code(row: object) -> None:
    assert row.message in raised_messages()  # type: ignore[attr-defined]


def test_the_errors_page_has_every_kind_and_message() -> None:
    page = errors_page()
    assert all(f"| `{name}` |" in page for name in errors.__all__)
    assert 40 <= len(message_rows()) == len({row.message for row in message_rows()})
    assert "no such message" not in raised_messages()
