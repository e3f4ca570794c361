"""The navigation of the site: which page stands in which section. A page in none of them is an error."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from typing import Any

Section = tuple[str, Sequence[Any]]
"""A title, and patterns of pages or sections below it."""

SECTIONS: Sequence[Section] = (
    ("Home", ("index.md",)),
    ("First steps", ("first-steps.md", "repository/readme.md", "faq.md")),
    ("Tutorials", ("tutorials/index.md", "tutorials/*.md")),
    ("Concepts", ("concepts/index.md", "concepts/*.md", "glossary.md")),
    (
        "How-to",
        (
            ("Run it", ("command-line.md", "playground.md", "models.md", "serving-engines.md")),
            ("Measure", ("neurons.md", "measuring.md", "carriers.md")),
            ("Judge", ("judging.md", "gold-labels.md", "panels.md", "statistics-of-trust.md")),
            ("Sell and bid", ("environments.md", "audiences.md", "market.md", "pacing.md", "board.md", "corpus.md")),
            ("Learn from logs", ("logs.md", "logged-auctions.md")),
            ("Extend and test", ("bring-your-own.md", "testing.md", "repository/contributing.md")),
            ("Studies", ("repository/experiments.md",)),
        ),
    ),
    (
        "Reference",
        (
            ("Environments", ("reference/environments.md", "environments/*.md")),
            ("Mechanisms", ("reference/mechanisms/index.md", "reference/mechanisms/*.md")),
            ("Carriers", ("reference/carriers/index.md", "reference/carriers/*.md")),
            ("Readings", ("reference/readings/index.md", "reference/readings/*.md")),
            ("Python", ("reference/index.md", "reference/*.md")),
            ("Errors", ("errors.md",)),
            ("Security", ("repository/security.md",)),
        ),
    ),
    ("Findings", ("findings.md", "results.md")),
    ("Log", ("log.md", "changelog.md", "citing.md")),
    ("Decisions", ("decisions/index.md", "decisions/*.md")),
)


class LostPageError(Exception):
    """A page that no section of the navigation has."""


def navigation(pages: Iterable[str], sections: Sequence[Section] = SECTIONS) -> list[dict[str, Any]]:
    """Return the navigation as MkDocs reads it: sections with the pages that there are, each page once.

    Raises:
        LostPageError: A page is in no section.
    """
    left = sorted(pages)
    found = [{title: entries} for title, patterns in sections if (entries := _entries(patterns, left))]
    if left:
        raise LostPageError(f"no section of tools/site/navigation.py has {', '.join(left)}")
    return found


def _entries(patterns: Sequence[Any], left: list[str]) -> list[Any]:
    found: list[Any] = []
    for pattern in patterns:
        if isinstance(pattern, str):
            taken = [page for page in left if fnmatch(page, pattern)]
            found.extend(taken)
            left[:] = [page for page in left if page not in taken]
        elif inner := _entries(pattern[1], left):
            found.append({pattern[0]: inner})
    return found
