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


DOORS = (
    ("First steps", "docs/first-steps.md", "From the install to a result of your own, in ten minutes."),
    ("Tutorials", "docs/tutorials/index.md", "A path for your field: bidders, rules, neurons, logs, machines, labels."),
    ("Concepts", "docs/concepts/index.md", "The words, one picture each: the game, exposure, the user's loss, regret."),
    ("Findings", "docs/findings.md", "Five results on one page, each with the command that computes it."),
)
"""Where a reader goes from the first page: the name, the file in the repository, and what is there."""


def home_page(readme: str = "") -> str:
    """Write the first page: the README's first paragraph, its two pictures and its commands, and four doors.

    Its links are the README's: they start at the root of the repository.

    Raises:
        ValueError: The README lacks one of them.
    """
    text = readme or (ROOT / "README.md").read_text(encoding="utf-8")
    opening, auction, commands, playground = (first_of(text, *part) for part in PARTS)
    doors = "\n".join(f"-   **[{name}]({place})**\n\n    {about}\n" for name, place, about in DOORS)
    parts = [
        "---\nhide:\n  - navigation\n  - toc\n---", "# auctionsim", opening, auction, "## Two commands", commands,
        "Python 3.11 or later is needed, a GPU and a model hub are not. "
        "`make demo` tells one auction in sentences. `auctionsim play` opens the [playground](docs/playground.md).",
        f'## Where to go\n\n<div class="grid cards" markdown>\n\n{doors}\n</div>', playground,
        "The [README](README.md) says what else there is, and [citing](CITATION.cff) how to cite it.",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


PARTS = (
    ("a first paragraph", r"^# [^\n]*\n\n(.+?)\n\n"),
    ("the picture of one auction", r"^(!\[[^\]]*\]\(docs/images/one-auction\.svg\))$"),
    ("a block of commands", r"^(```[a-z]*\n.*?^```)$"),
    ("the playground's picture", r"^(!\[[^\]]*\]\(docs/images/playground\.png\))$"),
)
"""What the first page takes from the README: its name, and where it stands."""


def first_of(text: str, name: str, pattern: str) -> str:
    """Return the first place of a text that a pattern finds; ValueError names what is lacking."""
    found = re.search(pattern, text, flags=re.MULTILINE | re.DOTALL)
    if not found:
        raise ValueError(f"the site's first page shows {name} of README.md, which has none")
    return found[1]


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
