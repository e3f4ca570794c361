"""Links of the repository's pages, rewritten to where the site has what they lead to."""

import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

PAGES = {
    "README.md": "repository/readme.md",
    "CONTRIBUTING.md": "repository/contributing.md",
    "SECURITY.md": "repository/security.md",
    "experiments/README.md": "repository/experiments.md",
    "experiments": "repository/experiments.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "citing.md",
    "docs/decisions": "decisions/index.md",
    "docs/environments": "reference/environments.md",
}
"""Files and folders of the repository that have a page, and the page."""
LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)\)")
CODE = re.compile(r"^( *)(```+|~~~+).*?^\1\2[`~]*$|(`+)(?!`).*?(?<!`)\3(?!`)", flags=re.MULTILINE | re.DOTALL)


def site_links(markdown: str, place: str, page: str, pages: Collection[str], repository: str = "") -> str:
    """Return a page's text with its links led to pages of the site.

    Args:
        markdown: The text.
        place: Where it lies in the repository, such as "docs/market.md".
        page: Where it lies on the site, such as "market.md".
        pages: Every page and file of the site.
        repository: Address of the repository's files, such as "https://…/blob/main"; "" while there is none, and then a
            link to a file that no page shows is left as its text.
    """

    def led(link: re.Match[str]) -> str:
        target, _, anchor = link["target"].partition("#")
        if re.match(r"[a-z]+:", link["target"]) or not target:
            return link[0]
        there = os.path.normpath(os.path.join(os.path.dirname(place), target))
        found = page_of(there, pages)
        if found is None:
            return f"[{link['text']}]({repository}/{there})" if repository else link["text"]
        relative = os.path.relpath(found, os.path.dirname(page) or ".")
        return f"{link['image']}[{link['text']}]({relative}{'#' * bool(anchor)}{anchor})"

    return outside_code(markdown, lambda text: LINK.sub(led, text))


def page_of(there: str, pages: Collection[str]) -> str | None:
    """Return the site's page or file for a path of the repository; None where it has none."""
    if there in PAGES:
        return PAGES[there]
    if there.startswith("docs/") and there.removeprefix("docs/") in pages:
        return there.removeprefix("docs/")
    path = Path(there)
    if path.parts and path.parts[0] in ("auctionsim", "agents", "envs"):
        inside = path if path.parts[0] == "auctionsim" else Path("auctionsim") / path
        for folder in (inside.with_suffix(""), *inside.parents):
            page = f"reference/{'.'.join(folder.parts)}.md"
            if page in pages:
                return page
    return None


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Apply a change to all that is no code; whole links around code are seen, since a link's text may be code."""
    kept: list[str] = []

    def keep(code: re.Match[str]) -> str:
        kept.append(code[0])
        return f"\x00{len(kept) - 1}\x00"

    return re.sub("\x00(\\d+)\x00", lambda key: kept[int(key[1])], change(CODE.sub(keep, markdown)))


def with_room_for_lists(markdown: str) -> str:
    """Put an empty line before a list that follows a paragraph, as the site's Markdown asks."""
    found: list[str] = []
    fence = ""
    for line in markdown.splitlines():
        opened = re.match(r" *(```+|~~~+)", line)
        if opened and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else opened[1]
        item = not fence and re.match(r"(?:[-*+]|\d+\.) ", line)
        before = found[-1] if found else ""
        if item and before.strip() and not re.match(r"\s|[-*+] |\d+\. ", before):
            found.append("")
        found.append(line)
    return "\n".join(found) + "\n"
