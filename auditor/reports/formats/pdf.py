"""Print a page as PDF with a browser that is installed here."""

import os
import shutil
import subprocess
from pathlib import Path

from auditor._resources import scratch_folder
from auditor.errors import BrowserMissingError

BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome", "microsoft-edge"),
)
QUIET = (
    *("--headless=new", "--no-pdf-header-footer", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
MOST_SECONDS = 180
CURE = (
    "Install Chromium (Debian: apt-get install chromium), or open report.html in any browser and "
    "print it."
)


def print_pdf(page: str) -> bytes:
    """Return ``page``, one HTML document that needs nothing else, as PDF.

    Our pages run no script and fetch nothing: their own content policy forbids it. Raises
    ``BrowserMissingError`` where no browser of the Chromium family is found, or it does not print.
    """
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise BrowserMissingError("no browser is installed that prints PDF", cure=CURE)
    with scratch_folder() as place:
        (place / "page.html").write_text(page, encoding="utf-8", errors="replace")
        try:
            ended = _run(found, place)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BrowserMissingError(f"{found} does not print: {error}", cure=CURE) from None
        made = place / "page.pdf"
        if ended.returncode != 0 or not made.is_file():
            said = ended.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
            raise BrowserMissingError(f"{found} does not print, and says: {said[-1]}", cure=CURE)
        return made.read_bytes()


def _run(browser: str, place: Path) -> subprocess.CompletedProcess[bytes]:
    # Root has no sandbox of Chromium's to run in, and without this flag it does not start at all.
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [
        *(browser, *QUIET, *alone, f"--user-data-dir={place / 'profile'}"),
        *(f"--print-to-pdf={place / 'page.pdf'}", (place / "page.html").as_uri()),
    ]
    return subprocess.run(  # noqa: S603 -- a browser found by name, our page, no shell
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=MOST_SECONDS, check=False
    )
