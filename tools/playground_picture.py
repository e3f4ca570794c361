"""The playground's picture for the README, drawn by a headless Chromium: docs/images/playground.png.

    python tools/playground_picture.py [--out FILE] [--chromium /usr/bin/chromium]

It shows two running-shoe brands under VCG, as the page begins, without a model.
"""

import argparse
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
WIDTH, HEIGHT = 1400, 1560
COLOURS = 128
LARGEST = 200_000  # bytes
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


def draw(address: str, out: Path, chromium: str) -> None:
    """Photograph the page at an address.

    Raises:
        SystemExit: The picture is larger than it may be.
    """
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=FLAGS.split())
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(address)
        page.wait_for_selector("#plots svg", timeout=120_000)
        page.wait_for_timeout(400)  # bars have come to rest
        page.screenshot(path=str(out))
        browser.close()
    with Image.open(out) as drawn:
        drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)
    if out.stat().st_size > LARGEST:
        raise SystemExit(f"{out} has {out.stat().st_size} bytes, more than {LARGEST}")


def main() -> None:
    """Serve the page in a thread, photograph it, and end."""
    import uvicorn

    from auctionsim.play import play_app, whole_catalogue
    from auctionsim.play.serving import bound

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "playground.png")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    words = parser.parse_args()
    with bound(0) as listening:
        port = int(listening.getsockname()[1])
        app: Any = play_app(whole_catalogue("running-shoes-2@3"), None, port)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", http="h11"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            draw(f"http://127.0.0.1:{port}/", words.out, words.chromium)
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main()
