"""Links of the repository's pages lead to pages of the site; lists get the room that its Markdown wants."""

from pathlib import Path

import markdown
import pytest
from links import CODE, PAGES, page_of, site_links, with_room_for_lists
from prose import ROOT, hand_written

THERE = {
    "market.md",
    "environments/market.md",
    "images/a.png",
    "decisions/0001-x.md",
    "repository/contributing.md",
    "reference/auctionsim.md",
    "reference/auctionsim.mechanisms.md",
    "reference/auctionsim.agents.pacing.md",
}


@pytest.mark.parametrize(
    ("text", "place", "page", "expected"),
    [
        ("[a](market.md#b)", "docs/x.md", "x.md", "[a](market.md#b)"),
        ("[a](../market.md)", "docs/environments/x.md", "environments/x.md", "[a](../market.md)"),
        ("[a](docs/market.md)", "README.md", "repository/readme.md", "[a](../market.md)"),
        ("![a](docs/images/a.png)", "README.md", "repository/readme.md", "![a](../images/a.png)"),
        ("[a](../CONTRIBUTING.md#b)", "docs/x.md", "x.md", "[a](repository/contributing.md#b)"),
        ("[`a`](../auctionsim/mechanisms/vcg.py)", "docs/x.md", "x.md", "[`a`](reference/auctionsim.mechanisms.md)"),
        ("[a](agents/pacing/pid.py)", "README.md", "repository/readme.md",
         "[a](../reference/auctionsim.agents.pacing.md)"),
        ("[`a`](../Makefile)", "docs/x.md", "x.md", "`a`"),
        ("[a](https://b.c/d_(e)) [f](#g)", "docs/x.md", "x.md", "[a](https://b.c/d_(e)) [f](#g)"),
        ("`[a](../Makefile)` [a](../Makefile)", "docs/x.md", "x.md", "`[a](../Makefile)` a"),
        ("```\n[a](../Makefile)\n```\n", "docs/x.md", "x.md", "```\n[a](../Makefile)\n```\n"),
    ],
)  # fmt: skip
def test_links_are_led_to_pages(text: str, place: str, page: str, expected: str) -> None:
    assert site_links(text, place, page, THERE) == expected


def test_files_without_a_page_are_linked_where_the_repository_has_an_address() -> None:
    assert site_links("[a](../Makefile)", "docs/x.md", "x.md", THERE, "https://b/blob/main") == (
        "[a](https://b/blob/main/Makefile)"
    )


def test_what_has_a_page_is_there() -> None:
    assert all((ROOT / place).exists() for place in PAGES)
    assert page_of("docs/nosuch.md", THERE) is None


def test_lists_get_their_room() -> None:
    assert with_room_for_lists("Text:\n- a\n- b\n") == "Text:\n\n- a\n- b\n"
    assert with_room_for_lists("- a\n  more\n- b\n") == "- a\n  more\n- b\n"
    assert with_room_for_lists("```\nx\n- a\n```\n") == "```\nx\n- a\n```\n"
    assert with_room_for_lists("```sh\nx\n```\n- a\n") == "```sh\nx\n```\n\n- a\n"


@pytest.mark.parametrize("page", hand_written(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_both_kinds_of_markdown_see_the_same_lists_and_tables(page: Path) -> None:
    """The site's Markdown wants room before lists and four spaces below them; the repository's is laxer."""
    from markdown_it import MarkdownIt

    text = CODE.sub("code", page.read_text(encoding="utf-8"))
    theirs = MarkdownIt("commonmark").enable("table").render(text)
    ours = markdown.markdown(with_room_for_lists(text), extensions=["tables", "sane_lists"])
    for tag in ("<li>", "<td", "<h2", "<blockquote>", "<img"):
        assert ours.count(tag) == theirs.count(tag), tag
