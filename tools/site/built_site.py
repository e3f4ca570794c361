"""What is checked of the built site: every public name has its entry, and no page loads anything from elsewhere."""

import re
import zlib
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
}
"""Elements that load what an attribute names; a link element does so by its relation."""
LOADING = ("stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "manifest", "modulepreload")
ELSEWHERE = re.compile(r"^\s*(?:https?:)?//", flags=re.IGNORECASE)
STYLE = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)", flags=re.IGNORECASE)


def inventory_names(path: Path) -> set[str]:
    """Return the Python names of a site's inventory, `objects.inv`."""
    packed = path.read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(packed).decode().splitlines()
    return {line.split(" ")[0] for line in lines if line.split(" ")[1].startswith("py:")}


def missing_names(site: Path, names: Iterable[str]) -> list[str]:
    """Return which names the reference lacks."""
    there = inventory_names(site / "objects.inv")
    return sorted(name for name in names if name not in there)


def fetched_elsewhere(site: Path) -> list[str]:
    """Return what pages and styles would load from other hosts, each with its file."""
    found = []
    for path in sorted(site.rglob("*")):
        if path.suffix == ".html":
            found += [f"{path.relative_to(site)}: {one}" for one in page_fetches(path.read_text(encoding="utf-8"))]
        elif path.suffix == ".css":
            found += [f"{path.relative_to(site)}: {one}" for one in STYLE.findall(path.read_text(encoding="utf-8"))]
    return found


def page_fetches(html: str) -> Iterator[str]:
    """Yield the addresses on other hosts that a page loads by itself, not those of links that a reader follows."""
    reader = _Loads()
    reader.feed(html)
    yield from reader.found


class _Loads(HTMLParser):
    """Collects what a page loads from other hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        address = values.get(FETCHED.get(tag, ""), "")
        if tag == "link" and any(word in LOADING for word in values.get("rel", "").split()):
            address = values.get("href", "")
        if ELSEWHERE.match(address):
            self.found.append(address)
        self.found += STYLE.findall(values.get("style", ""))
