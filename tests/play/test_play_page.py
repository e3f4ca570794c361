"""The page in a real browser: no complaint, reachable by keyboard, no overflow, readable contrast, links that hold."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from browser_checks import CHROMIUM, CONTRAST, FLAGS, WIDEST
from play_fakes import toy_surface, toy_writer

from auctionsim.play import Catalogue, play_app
from auctionsim.play.serving import bound

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here (apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of playwright's own pipes
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SETTLED = """async () => { for (let k = 0; k < 3; k++) {
  const before = document.body.innerText;
  await new Promise((done) => setTimeout(done, 150));
  if (before === document.body.innerText) return; } }"""
REACHABLE = """() => [...document.querySelectorAll("button, input, select, summary, a[href], [tabindex='0']")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled)
  .filter((one) => one.type !== "radio" || one.checked)
  .map((one, k) => { one.dataset.reach = k; return k; })"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import uvicorn

    with bound(0) as listening:
        port = int(listening.getsockname()[1])
        app: Any = play_app(Catalogue([toy_surface(tmp_path_factory.mktemp("toy"))]), toy_writer(), port)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", http="h11"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{port}/"
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


def opened(chromium: Any, address: str, width: int = 1400, theme: str = "light") -> tuple[Any, list[str]]:
    """Open the page; return it, and a list that fills with its complaints."""
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    page.wait_for_selector("#plots svg", timeout=60_000)
    return page, complaints


@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (1400, "dark"), (1400, "light")])
def test_it_fits_is_readable_and_complains_of_nothing(chromium: Any, address: str, width: int, theme: str) -> None:
    page, complaints = opened(chromium, address, width, theme)
    for block in page.query_selector_all("details"):
        block.evaluate("(one) => { one.open = true; }")
    page.wait_for_timeout(300)  # colours and bars have come to rest
    assert page.evaluate(WIDEST) <= width
    assert page.evaluate(CONTRAST) == []
    assert complaints == []
    page.close()


def test_every_part_is_reached_by_keyboard(chromium: Any, address: str) -> None:
    page, complaints = opened(chromium, address)
    wanted = set(page.evaluate(REACHABLE))
    assert len(wanted) > 20
    reached = set()
    for _ in range(2 * len(wanted)):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.reach ?? ''"))
    assert wanted <= {int(one) for one in reached if one}
    page.focus("#value-0")
    before = page.inner_text("#value-0-said")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#value-0-said") == f"{float(before) - 0.01:.3f}"
    page.focus("[data-term='utility'] .term")
    assert page.is_visible("#tip")
    page.keyboard.press("Escape")
    assert not page.is_visible("#tip")
    assert complaints == []
    page.close()


def test_a_link_shows_the_same_auction(chromium: Any, address: str) -> None:
    page, complaints = opened(chromium, address)
    page.select_option("#rule", "pay-as-bid")
    page.select_option("#context", "related")
    page.uncheck("#bid-0-box-tick")
    page.focus("#bid-0")
    for _ in range(7):
        page.keyboard.press("ArrowLeft")
    page.check("#budget-1-box-tick")
    page.focus("#weight")
    page.keyboard.press("ArrowLeft")
    page.evaluate(SETTLED)
    link, shown, bid = page.url, page.inner_text("#bidders"), page.inner_text("#bid-0-said")
    assert bid == "0.730"
    other, more = opened(chromium, link)
    other.evaluate(SETTLED)
    assert other.inner_text("#bidders") == shown
    assert other.inner_text("#bid-0-said") == bid
    assert other.url == link
    wrong, last = opened(chromium, f"{address}#values=9,9")
    assert wrong.inner_text("#problem").startswith("The link does not fit: values must be numbers from 0 to 1, got '9'")
    assert complaints == more == []
    assert [line for line in last if "400" not in line] == []  # the browser notes the refused request itself
    for one in (page, other, wrong):
        one.close()


def test_replies_are_written_as_text(chromium: Any, address: str) -> None:
    page, complaints = opened(chromium, f"{address}#values=1,.1&user_weight=0")
    page.click("#write")
    page.wait_for_selector("#stage:empty", state="attached", timeout=60_000)
    page.wait_for_selector(".reply:not(.writing)", timeout=60_000)
    assert page.inner_text("#untouched").strip()
    assert page.inner_text("#boosted").strip()
    page.evaluate("""async () => {
      const { pieces } = await import("/replies.js");
      document.getElementById("boosted").replaceChildren(...pieces("<img src=x onerror=alert(1)> or", [[29, 31, 0]]));
    }""")
    assert page.inner_text("#boosted") == "<img src=x onerror=alert(1)> or"
    assert page.evaluate("document.querySelectorAll('#boosted img').length") == 0
    assert page.inner_text("#boosted mark") == "or"
    assert complaints == []
    page.close()
