"""Pages of the site whose text lies outside docs/: the README and its like, the changelog, how to cite, decisions."""

import re
from pathlib import Path

import yaml
from links import PAGES

ROOT = Path(__file__).resolve().parents[2]


def repository_pages() -> dict[str, str]:
    """Return each page by its path."""
    pages = {page: (ROOT / place).read_text(encoding="utf-8") for place, page in PAGES.items() if place.endswith(".md")}
    return {**pages, "index.md": home_page(), "citing.md": citing_page(), "decisions/index.md": decisions_page()}


def home_page() -> str:
    """Write the first page: the README's opening, and where to go."""
    return "# auctionsim\n\nA laboratory for auctions of influence over a language model.\n"


def citing_page() -> str:
    """Write how to cite, from CITATION.cff."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    authors = " and ".join(author_of(one) for one in cited["authors"])
    lines = [
        "# How to cite", str(cited["message"]),
        f"- {authors} ({str(cited['date-released'])[:4]}). *{cited['title']}*, version {cited['version']}. "
        f"Software, {cited['license']}.",
    ]  # fmt: skip
    for reference in cited.get("references", ()):
        names = ", ".join(author_of(one) for one in reference["authors"])
        lines.append(f"- {names} ({reference['year']}). *{reference['title']}*. {reference.get('notes', '')}.")
    lines.append("As BibTeX:")
    year = str(cited["date-released"])[:4]
    entry = [
        "@software{auctionsim,", f"  author = {{{{{authors}}}}},", f"  title = {{{cited['title']}}},",
        f"  version = {{{cited['version']}}},", f"  year = {{{year}}},", "}",
    ]  # fmt: skip
    lines.append("\n".join(["```text", *entry, "```"]))
    return "\n\n".join(lines) + "\n"


def author_of(author: dict[str, str]) -> str:
    """Return an author's name as it is cited."""
    return author.get("name") or f"{author['family-names']}, {author['given-names']}"


def decisions_page() -> str:
    """Write the list of decisions."""
    rows = []
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title = re.search(r"^# (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        rows.append(f"- [{title[1] if title else path.stem}]({path.name})")
    return (
        "# Decisions\n\nWhy it is built as it is, half a page each, in the order of time.\n\n" + "\n".join(rows) + "\n"
    )
