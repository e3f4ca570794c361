"""The page of findings quotes the results: every number on it stands in the sections that it names."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
NUMBER = re.compile(r"(?<![\w.])\d*\.\d+")


def anchor(title: str) -> str:
    """Return GitHub's anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def sections(text: str, level: str) -> dict[str, str]:
    """Return sections of a level by the anchor of their heading."""
    parts = re.split(rf"^{level} (.+)$", text, flags=re.MULTILINE)
    return {anchor(title): body for title, body in zip(parts[1::2], parts[2::2], strict=True)}


RESULTS = sections((DOCS / "results.md").read_text(encoding="utf-8"), "##")
FINDINGS = sections((DOCS / "findings.md").read_text(encoding="utf-8"), "##")


def quoted(body: str) -> str:
    """Return the results' sections that a finding names."""
    named = re.findall(r"results\.md#([\w-]+)\)", body)
    assert named
    return "\n".join(RESULTS[name] for name in named)


def numbers(text: str) -> set[float]:
    return {float(number) for number in NUMBER.findall(text)}


@pytest.mark.parametrize("finding", FINDINGS)
def test_numbers_are_those_of_the_results(finding: str) -> None:
    body = FINDINGS[finding]
    own = re.sub(r"!\[.*?\]\(.*?\)|`[^`]*`", "", body)
    missing = numbers(own) - numbers(quoted(body))
    assert not missing, f"{finding}: {sorted(missing)} are not in the results that it names"
    assert "Weak:" in body
    assert "auctionsim " in body
    figure = re.search(r"!\[.+?\]\((images/results/[^)]+)\)", body)
    assert figure is not None
    assert (DOCS / figure.group(1)).is_file()


def test_a_wrong_number_is_seen() -> None:
    finding, body = next(iter(FINDINGS.items()))
    wrong = body.replace("0.78", "0.79", 1)
    assert wrong != body, finding
    assert numbers(wrong) - numbers(quoted(body)) == {0.79} - numbers(quoted(body))


def test_the_count_of_claims_is_that_of_the_board() -> None:
    board = RESULTS["the-board-every-mechanism-and-system-on-one-exposure"]
    table = [line for line in board.splitlines() if line.startswith("| ") and line.count("|") == 6]
    claimed = [line for line in table if "| truthful" in line]
    assert len(claimed) == 16
    words = {4: "four", 7: "seven", 9: "nine"}
    text = " ".join(FINDINGS).replace("-", " ") + next(b for a, b in FINDINGS.items() if "sixteen" in a)
    for verdict in ("**held where it was designed**", "**broken**"):
        count = sum(verdict in line for line in claimed)
        assert re.search(words[count], text, re.IGNORECASE), (verdict, count)
    assert all(float(line.split("|")[5].replace("≥", "").split("(")[0]) > 0 for line in claimed)
