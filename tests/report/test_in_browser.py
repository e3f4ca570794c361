"""The page in a real browser: it complains of nothing, fits a phone and a desk, switches and sorts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import BINARY, Page, browser
from report_fakes import bare_findings, full_findings

from auctionsim.report import write_report

pytestmark = pytest.mark.skipif(BINARY is None, reason="there is no Chromium here (apt-get install chromium)")

FITS = "[document.documentElement.scrollWidth, document.body.scrollWidth]"
UNDRAWN = """[...document.querySelectorAll(".plot")]
  .filter((plot) => !plot.querySelector(".main-svg") || JSON.stringify([plot.data, plot.layout]).includes('"@'))
  .map((plot) => plot.dataset.figure)"""
SWITCH_ALL = """(async () => {
  const before = document.querySelector("[data-figure=exposure-0]").data[0].z[4][4];
  const inputs = [...document.querySelectorAll(".switch input")].reverse();
  for (const input of inputs) { input.click(); await new Promise((done) => setTimeout(done, 20)); }
  document.querySelector('input[name="maps-replicate"][value="B"]').click();
  await new Promise((done) => setTimeout(done, 100));
  return [before, document.querySelector("[data-figure=exposure-0]").data[0].z[4][4], inputs.length];
})()"""
SORTED = """(() => {
  const table = document.querySelector("table.sortable");
  const head = [...table.querySelectorAll("th button")].find((one) => one.textContent === "%s");
  const column = head.parentElement.cellIndex;
  const valueOf = (cell) => cell.dataset.value ?? cell.textContent;
  const read = () => [...table.tBodies[0].rows].map((row) => valueOf(row.cells[column]));
  head.click();
  const down = read();
  head.click();
  return [down, read()];
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    found = {"full": full_findings(), "bare": bare_findings()}
    return {name: write_report(findings, folder / name) for name, findings in found.items()}


@pytest.mark.parametrize("name", ["full", "bare"])
@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (1280, "dark")])
def test_it_fits_and_complains_of_nothing(
    page: Page, reports: dict[str, Path], name: str, width: int, theme: str
) -> None:
    page.complaints.clear()
    page.open(reports[name], width, theme=theme)
    assert max(page.evaluate(FITS)) <= width
    assert page.evaluate(UNDRAWN) == []
    assert page.complaints == []


def test_switches_turn_the_figures(page: Page, reports: dict[str, Path]) -> None:
    page.complaints.clear()
    page.open(reports["full"], 1280)
    before, after, inputs = page.evaluate(SWITCH_ALL)
    assert before != after
    assert inputs == 2 + 3 + 4 + 2 + 2
    assert page.complaints == []


def test_the_mechanisms_are_sorted_both_ways(page: Page, reports: dict[str, Path]) -> None:
    page.open(reports["full"], 1280)
    down, up = page.evaluate(SORTED % "Objective")
    assert [float(value) for value in down] == sorted(map(float, down), reverse=True)
    assert up == sorted(up, key=float)
    down, up = page.evaluate(SORTED % "Mechanism")
    assert down == sorted(down, reverse=True)
    assert up == sorted(up)
    assert len(set(up)) == 3


def test_the_browser_would_tell_of_an_error(page: Page, tmp_path: Path) -> None:
    page.complaints.clear()
    broken = tmp_path / "broken.html"
    broken.write_text(
        "<!doctype html><html><body><script>console.error('a'); alert('b');</script>"
        "<img src='http://127.0.0.1:9/x.png'><script>missing();</script>"
        "<script>document.documentElement.dataset.drawn = 'yes';</script></body></html>"
    )
    page.open(broken, 390)
    told = " ".join(page.complaints)
    for expected in ("console", "Dialog", "127.0.0.1:9", "missing"):
        assert expected in told
