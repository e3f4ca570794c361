"""A headless Chromium spoken to over a pipe: enough of its protocol to open a page, ask it things and photograph it."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # root in a container has none to offer; it opens the project's own page only
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
)


class Page:
    """One tab. `complaints` collects errors, warnings, dialogs and requests that leave the file."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._buffer, self._last = b"", 0
        self._session: str | None = None
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        number = self._send(method, **parameters)
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, awaited."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def open(self, path: Path, width: int, height: int = 900, theme: str = "light") -> None:
        """Open a file at a width of the window and wait until its figures are drawn."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        media = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", features=media)
        self.call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + 60
        while self.evaluate("document.documentElement?.dataset.drawn") != "yes":
            assert time.monotonic() < deadline, f"the figures were never drawn: {self.complaints}"
            time.sleep(0.1)

    def photograph(self, path: Path) -> None:
        """Write a picture of the whole page."""
        done = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(done["data"]))

    def _send(self, method: str, **parameters: Any) -> int:
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        return self._last

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._answers], [], [], 60)[0], "the browser has not answered for a minute"
            piece = os.read(self._answers, 1 << 20)
            assert piece, "the browser has gone"
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer = json.loads(message)
        self._note(answer.get("method", ""), answer.get("params", {}))
        return answer

    def _note(self, event: str, detail: dict[str, Any]) -> None:
        loud = event == "Runtime.consoleAPICalled" and detail["type"] in {"error", "warning", "assert"}
        if loud or event in {"Runtime.exceptionThrown", "Page.javascriptDialogOpening"}:
            self.complaints.append(f"{event}: {detail}")
            if event == "Page.javascriptDialogOpening":
                self._send("Page.handleJavaScriptDialog", accept=False)  # or the page would wait for ever
        elif event == "Log.entryAdded" and detail["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(f"{event}: {detail['entry']['text']}")
        elif event == "Network.requestWillBeSent":
            address = detail["request"]["url"]
            if not address.startswith(("file:", "data:", "blob:", "about:")):
                self.complaints.append(f"asked the network for {address}")


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """Start Chromium with a profile of its own, give a tab, end it."""
    assert BINARY
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    command = " ".join(["exec", BINARY, *_FLAGS, f"--user-data-dir='{profile}'", f"3<&{theirs_in} 4>&{theirs_out}"])
    process = subprocess.Popen(
        ["bash", "-c", command],
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        page = Page(ours_out, ours_in)
        yield page
        page._session = None
        page.call("Browser.close")
        process.wait(10)
    finally:
        process.kill()
        process.wait()
        os.close(ours_out)
        os.close(ours_in)
