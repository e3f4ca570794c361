"""One page about any runs: their tables, figures and replies as they are, links that lead somewhere, a real browser."""

import csv
import json
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from browser import BINARY, Page, browser

from auctionsim import cli
from auctionsim.report import write_runs_report
from auctionsim.report.runs import MOST_ROWS

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f80f00010501012718e3660000000049454e44ae426082"
)
NASTY = "Buy Nike</p><script>alert('x')</script><img src=x onerror=alert(1)> or Puma & co"


def comparison(folder: Path) -> Path:
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for weight in (0.0, 1.0):
        for replicate in ("A", "B"):
            for mechanism, share in (("optimum", 1.0), ("<b>menu</b>", 0.8), ("VCG", 0.4)):
                numbers = {
                    "revenue": share,
                    "user_loss": 0.1 * share,
                    "objective": share * 0.5,
                    "objective_share": share,
                }
                rows.append({"mechanism": mechanism, "replicate": replicate, "user_weight": weight, **numbers})
    rows.append({**rows[0], "mechanism": "nothing known", "objective": None, "objective_share": None})
    pd.DataFrame(rows).to_parquet(folder / "comparison.parquet")
    with (folder / "menu.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file, ["user_weight", "brand", "num_neurons", "amplification", "price", "prompt", "reply"]
        )
        writer.writeheader()
        writer.writerow(
            dict(zip(writer.fieldnames, (1.0, "Nike", 64.0, 1.5, 0.25, "Which <shoes>?", NASTY), strict=True))
        )
    (folder / "menu.png").write_bytes(PNG)
    record = {
        "command": "auctionsim auction compare --out '<x>'",
        "commit": "abc",
        "settings": {"seed": 0, "x": [1, 2]},
        "title": "Mechanisms & menus",
        "claims": [{"name": "orthogonality", "verdict": "holds in part", "evidence": f"9 of 10 pairs. {NASTY}"}],
    }
    wide = " | ".join(f"a_long_column_name_{k}" for k in range(20))
    rule = "|".join(["--:"] * 20)
    (folder / "section.md").write_text(f"Found: {NASTY} [x](http://example.org)\n\n| {wide} |\n|{rule}|\n| {wide} |\n")
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def trials(folder: Path, rows: int = 12) -> Path:
    folder.mkdir(parents=True)
    table = pd.DataFrame(
        {"mechanism": ["vcg"] * rows, "seed": range(rows), "objective_A": [-(k**2) / 7 for k in range(rows)]}
    )
    table.to_parquet(folder / "trials.parquet")
    (folder / "run.json").write_text(json.dumps({"command": "auctionsim tune grid", "settings": {}}))
    return folder


class Tags(HTMLParser):
    """Collects tags, links and text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href" and tag == "a" and value]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def page_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    return write_runs_report([comparison(folder / "compare 1"), trials(folder / "tune")], folder / "out" / "page.html")


def test_text_stays_text_and_mentions_are_marked(page_of_two: Path) -> None:
    tags = Tags(page_of_two)
    assert "onerror" not in page_of_two.read_text(encoding="utf-8").split("<script")[0].replace(
        "onerror=alert(1)&gt;", ""
    )
    assert tags.tags.count("img") == 1  # the figure, nothing from the reply
    assert tags.tags.count("mark") == 1
    whole = "".join(tags.text)
    assert NASTY in whole
    assert "<b>menu</b>" in whole
    assert "Which <shoes>?" in whole


def test_links_lead_to_the_data(page_of_two: Path) -> None:
    links = [link for link in Tags(page_of_two).links if not link.startswith("#")]
    assert len(set(links)) == 6  # comparison.parquet, menu.csv, menu.png, trials.parquet and two run.json
    for link in links:
        assert (page_of_two.parent / unquote(link)).is_file(), link


def test_a_long_table_says_that_it_is_cut(tmp_path: Path) -> None:
    page = write_runs_report([trials(tmp_path / "long", MOST_ROWS + 3)], tmp_path / "page.html")
    assert f"{MOST_ROWS} of {MOST_ROWS + 3} rows" in "".join(Tags(page).text)
    assert "Plotly" not in page.read_text(encoding="utf-8").split("<script")[1]


def test_a_table_that_is_too_large_is_linked_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = trials(tmp_path / "large", 3)
    size = (folder / "trials.parquet").stat().st_size
    for most, shown in ((size, True), (size - 1, False)):
        monkeypatch.setattr("auctionsim.report.runs.MOST_TABLE_BYTES", most)
        page = Tags(write_runs_report([folder], tmp_path / "page.html"))
        assert ("3 of 3 rows" in "".join(page.text)) is shown
        assert "large/trials.parquet" in page.links


@pytest.mark.parametrize(
    ("content", "says"), [(None, "has no run.json"), ("{", "is not JSON"), ("[]", "must be an object")]
)
def test_what_is_no_run_is_refused_in_one_line(
    content: str | None,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    monkeypatch.setattr(sys, "argv", ["auctionsim", "report", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err.strip()
    assert says in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "report.html").exists()


def test_the_command_writes_beside_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = comparison(tmp_path / "run")
    monkeypatch.setattr(sys, "argv", ["auctionsim", "report", str(folder)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert "report.html" in capsys.readouterr().out
    assert (folder / "report.html").is_file()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.mark.skipif(BINARY is None, reason="there is no Chromium here (apt-get install chromium)")
@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (1280, "dark")])
def test_in_a_browser(tab: Page, page_of_two: Path, width: int, theme: str) -> None:
    tab.complaints.clear()
    tab.open(page_of_two, width, theme=theme)
    assert tab.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)") <= width
    assert tab.evaluate("[...document.querySelectorAll('.plot')].every((p) => p.querySelector('.main-svg'))")
    assert tab.evaluate("document.querySelectorAll('.plot').length") == 2
    column = """(() => { const table = [...document.querySelectorAll('table.sortable')].at(-1);
      table.querySelectorAll('th button')[2].click();
      return [...table.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.value)); })()"""
    down, up = tab.evaluate(column), tab.evaluate(column)
    assert down == sorted(down, reverse=True)
    assert up == sorted(up)
    assert len(set(up)) == 12
    assert tab.complaints == []
