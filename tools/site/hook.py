"""The hook of MkDocs: generated pages, the navigation, links that lead to pages of the site."""

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from built_site import fetched_elsewhere, missing_names
from links import PAGES, site_links, with_room_for_lists
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from navigation import LostPageError, navigation
from pages_carriers import carrier_pages, environment_pages, reading_pages
from pages_mechanisms import mechanism_pages
from pages_reference import ROOT, public_names, reference_pages, sources
from pages_repository import repository_pages
from pages_words import errors_page, first_of_each, glossary_page, tooltips

_SOURCES: list["tempfile.TemporaryDirectory[str]"] = []
_PLACES = {page: place for place, page in PAGES.items() if (ROOT / place).is_file()} | {"index.md": "README.md"}
"""Where a generated page's text lies in the repository."""
WITHOUT_TOOLTIPS = ("log.md", "results.md", "changelog.md", "decisions/")
_GENERATED: dict[str, str] = {}


@event_priority(100)
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let the reference read the packages in the places where they are installed."""
    if not _SOURCES:
        _SOURCES.append(sources())
    handlers: Any = config.plugins["mkdocstrings"].config
    handlers.handlers["python"]["paths"] = [_SOURCES[0].name]
    if not _GENERATED:
        _GENERATED.update(generated_pages())
    there = {path.relative_to(config.docs_dir).as_posix() for path in Path(config.docs_dir).rglob("*.md")}
    try:
        config.nav = navigation(there | set(_GENERATED))
    except LostPageError as error:
        raise PluginError(str(error)) from error
    return config


def generated_pages() -> dict[str, str]:
    """Return every page that is written from the code or from files outside docs/, by its path on the site."""
    words = {"glossary.md": glossary_page(), "errors.md": errors_page()}
    kinds = {**mechanism_pages(), **carrier_pages(), **reading_pages(), **environment_pages()}
    return {**reference_pages(), **repository_pages(), **words, **kinds}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated pages and the style sheet."""
    for path, text in _GENERATED.items():
        files.append(File.generated(config, path, content=text))
    style = (Path(__file__).parent / "site.css").read_text(encoding="utf-8")
    files.append(File.generated(config, "stylesheets/site.css", content=style))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to pages of the site, and give lists the room that this Markdown wants."""
    path = page.file.src_uri
    if path in _GENERATED and path not in _PLACES:
        return markdown
    place = _PLACES.get(path, f"docs/{path}")
    address = f"{config.repo_url.rstrip('/')}/blob/main" if config.repo_url else ""
    text = with_room_for_lists(site_links(markdown, place, path, files.src_uris.keys(), address))
    return text if path.startswith(WITHOUT_TOOLTIPS) else f"{text}\n\n{tooltips()}\n"


def on_page_content(html: str, **_: Any) -> str:
    """Show each term's tooltip once per page."""
    return first_of_each(html)


def on_post_build(*, config: MkDocsConfig) -> None:
    """Refuse a site whose reference lacks a public name, or whose pages load something from elsewhere."""
    site = Path(config.site_dir)
    lost = missing_names(site, public_names())
    if lost:
        raise PluginError(f"the reference lacks {len(lost)} public names: {', '.join(lost[:20])}")
    loads = fetched_elsewhere(site)
    if loads:
        raise PluginError(f"pages load from elsewhere: {', '.join(loads[:5])}")


def on_shutdown() -> None:
    """Take the links to the packages away."""
    while _SOURCES:
        _SOURCES.pop().cleanup()
