"""A headless Chromium, driven over the W3C WebDriver protocol with the standard library."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Refused(Exception):  # noqa: N818 -- what the driver did, not what went wrong with it
    """The driver could not do what it was told, and said why."""


@dataclass(frozen=True, slots=True)
class Browser:
    """One open page. ``session`` is the address that commands go to.

    Each command raises Refused where the driver cannot do it; so does a script whose page goes, for
    another one, before it has answered.
    """

    session: str

    def open(self, page: Path) -> None:
        _ask(f"{self.session}/url", {"url": page.as_uri()})

    def go(self, address: str) -> None:
        _ask(f"{self.session}/url", {"url": address})

    def press(self, key: str) -> None:
        """Press a key that has a name, such as Tab, and let it go."""
        for kind in ("rawKeyDown", "keyUp"):
            self.devtools("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                          windowsVirtualKeyCode={"Tab": 9, "Enter": 13}[key])  # fmt: skip

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 -- what the script answers
        """Run a script; what its last argument is called with is the answer."""
        body = {"script": script, "args": list(arguments)}
        return _ask(f"{self.session}/execute/async", body)

    def devtools(self, command: str, **params: object) -> Any:  # noqa: ANN401 -- what the browser answers
        return _ask(f"{self.session}/goog/cdp/execute", {"cmd": command, "params": params})

    def look(self, *, width: int, height: int = 900, dark: bool = False, media: str = "") -> None:
        """Set the size of the window, the colour scheme and the medium."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def picture(self, path: Path, *, top: int = 0, height: int = 1600, width: int = 1280) -> None:
        clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start a driver and a browser with a profile of their own, and end both."""
    port = _free_port()
    quiet = subprocess.DEVNULL
    command = [str(DRIVER), f"--port={port}", "--log-level=OFF"]
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as driver:
        try:
            opened = _start(f"http://127.0.0.1:{port}", profile)
            try:
                yield opened
            finally:
                _ask(opened.session, verb="DELETE")  # ends the browser, which outlives its driver
        finally:
            driver.terminate()


def _start(address: str, profile: Path) -> Browser:
    _wait(f"{address}/status")
    options = {"binary": CHROMIUM, "args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
    wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
    session = _ask(f"{address}/session", {"capabilities": wanted})["sessionId"]
    return Browser(f"{address}/session/{session}")


def _ask(address: str, body: dict[str, Any] | None = None, verb: str | None = None) -> Any:  # noqa: ANN401 -- JSON
    raw = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, raw, headers, method=verb)  # noqa: S310 -- our own driver
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 -- our own driver
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        told = json.load(error)["value"]
        raise Refused(f"{told['error']}: {told['message']}") from error


def _wait(address: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            _ask(address)
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
