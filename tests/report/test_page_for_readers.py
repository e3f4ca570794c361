"""The page for its readers: no overflow, no complaint, contrast, and every word's meaning by key, by tap, by the eye.

Drives the system's Chromium with playwright's synchronous API.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_fakes import bare_findings, full_findings
from story_fakes import fake_story

from auctionsim.report import write_report

CHROMIUM = Path("/usr/bin/chromium")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no Chromium here (apt-get install chromium)")

CONTRAST = """() => {
  const channel = (c) => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(rgba(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((under, [r, g, b, a]) =>
      [r, g, b].map((value, k) => value * a / 255 + under[k] * (1 - a / 255)), [255, 255, 255]);
  };
  const faint = [];
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  for (const element of document.querySelectorAll("main *, header *, footer *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest(".plot") || !element.offsetParent) continue;
    const style = getComputedStyle(element), paper = light(behind(element)), ink = light(rgba(style.color));
    const ratio = (Math.max(paper, ink) + .05) / (Math.min(paper, ink) + .05);
    if (ratio < 4.5) faint.push([element.tagName, element.className, element.textContent.trim().slice(0, 40), ratio]);
  }
  return faint;
}"""
WIDEST = "() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
PAGE_OF_TABLE = """() => { const box = document.querySelector("#mechanism-table").parentElement;
  return [box.scrollWidth, box.clientWidth]; }"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    found = {"told": replace(full_findings(), story=fake_story()), "bare": bare_findings()}
    return {name: write_report(findings, folder / name) for name, findings in found.items()}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
        flags += ["--disable-component-update", "--disable-sync"]
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield browser
        browser.close()


def opened(chromium: Any, path: Path, width: int, theme: str = "light") -> tuple[Any, list[str]]:
    """A page that has drawn its figures, and what it complains of."""
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else 0)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_function("document.documentElement.dataset.drawn === 'yes'", timeout=60_000)
    return page, complaints


@pytest.mark.parametrize(("width", "theme"), [(1400, "light"), (390, "dark")])
def test_it_fits_reads_and_complains_of_nothing(
    chromium: Any, reports: dict[str, Path], width: int, theme: str
) -> None:
    page, complaints = opened(chromium, reports["told"], width, theme)
    assert page.evaluate(WIDEST) <= width
    inside, room = page.evaluate(PAGE_OF_TABLE)
    assert inside <= room  # the table of mechanisms needs no scrolling
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(WIDEST) <= width  # unfolded, too
    assert complaints == []
    page.close()


def test_a_word_says_its_meaning_by_key_and_by_tap(chromium: Any, reports: dict[str, Path]) -> None:
    page, complaints = opened(chromium, reports["told"], 390)
    word = page.locator("#mechanism-table caption a.term").first
    meaning = word.get_attribute("data-meaning")
    assert meaning
    assert word.locator("abbr").get_attribute("title") == meaning
    word.focus()
    assert page.locator("#tip").inner_text() == meaning
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    word.click()
    assert page.locator("#tip").inner_text() == meaning
    assert "#" not in page.url
    word.focus()
    page.keyboard.press("Enter")
    assert page.url.endswith("#term-objective")
    assert complaints == []
    page.close()


def test_every_link_on_the_page_leads_somewhere(chromium: Any, reports: dict[str, Path]) -> None:
    for path in reports.values():
        page, _ = opened(chromium, path, 1400)
        lost = page.evaluate(
            """() => [...document.querySelectorAll('a[href^="#"]')].map((a) => a.getAttribute("href").slice(1))
            .filter((id) => !document.getElementById(id))"""
        )
        assert lost == []
        page.close()
