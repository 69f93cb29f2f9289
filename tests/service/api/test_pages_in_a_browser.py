"""Somebody at a browser: from the first page by a running audit to its report; and axe."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from page_looks import (
    LOOK,
    MEASURE,
    OPEN_ALL,
    OUTSIDE,
    RULES,
    TEXTS_OVER_TEXTS,
    WIDTHS,
    fetched_axe,
)
from small_audits import write_example
from test_the_serve_command import COMMAND, Started, start
from webdriver import CHROMIUM, DRIVER, Browser, Refused, browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.fetches,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="needs chromium and its driver (Debian: chromium, chromium-driver)",
    ),
]
FEW = ("quality.accuracy", "quality.calibration", "evasion.linf")
CLICK = """
const [words, done] = arguments;
const found = [...document.querySelectorAll("a, button")].find(
  item => item.textContent.trim() === words);
done(found !== undefined);
if (found) setTimeout(() => found.click(), 50);  // once it has answered
"""
TEXT = "arguments[arguments.length - 1](document.body.innerText);"
WHERE = "arguments[arguments.length - 1](location.pathname + location.search);"
MARKED = "window.marked = true; arguments[arguments.length - 1](true);"
STILL = "arguments[arguments.length - 1](window.marked === true);"
TYPED = """
const [name, value, done] = arguments;
document.getElementsByName(name)[0].value = value;
done(true);
"""
FOCUSED = """
const item = document.activeElement;
arguments[arguments.length - 1]([item.className, item.getBoundingClientRect().left >= 0]);
"""


@dataclass(frozen=True)
class Sitting:
    """A service in a process of its own, a browser, and a folder with a small audit."""

    served: Started
    browser: Browser
    example: Path
    key: str

    @property
    def base(self) -> str:
        return str(self.served.client.base_url)

    def go(self, path: str) -> str:
        self.browser.go(f"{self.base}{path}")
        return self.text()

    def text(self) -> str:
        return str(self.browser.run(TEXT))

    def click(self, words: str, until: str) -> str:
        """Click what says some words, and wait for others."""
        assert self.browser.run(CLICK, words), f"nothing says {words!r}: {self.text()}"
        return self.wait(until)

    def wait(self, words: str, seconds: float = 90) -> str:
        end = time.monotonic() + seconds
        while words not in (told := self._told()):
            assert time.monotonic() < end, f"{words!r} never came: {told}"
            time.sleep(0.2)
        return told

    def _told(self) -> str:
        """Return the page's words, or why there are none: it may just be going for the next one."""
        try:
            return self.text()
        except Refused as refused:
            return f"({refused})"

    def log_in(self, key: str) -> None:
        self.browser.run(TYPED, "key", key)
        self.click("Log in", "Log out")

    def audit(self, *more: str) -> subprocess.Popen[bytes]:
        """Hand an audit in by the command line."""
        given = {"AUDITOR_SERVER": self.base, "AUDITOR_API_KEY": self.key}
        return subprocess.Popen(
            [COMMAND, "audit", "audit.yaml", "--out", f"out-{time.monotonic_ns()}", *more],
            cwd=self.example,
            env={**os.environ, **given},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture
def sitting(home: Path, tmp_path: Path) -> Iterator[Sitting]:
    example = tmp_path / "example"
    example.mkdir()
    write_example(example)
    served = start(home, tmp_path)
    try:
        with browser(tmp_path / "profile") as opened:
            opened.look(width=1280)
            key = (home / "service" / "admin.key").read_text().strip()
            yield Sitting(served, opened, example, key)
    finally:
        served.client.close()
        assert served.stop() == 0


def test_an_audit_is_followed_from_the_first_page_to_its_report(
    sitting: Sitting, tmp_path: Path
) -> None:
    sitting.go("/models")
    assert sitting.browser.run(WHERE) == "/login?next=%2Fmodels"
    sitting.log_in(sitting.key)
    assert sitting.browser.run(WHERE) == "/models"
    assert f"export AUDITOR_SERVER={sitting.base}" in sitting.go("/")
    only = [word for check in FEW for word in ("--only", check)]
    done = _followed(sitting, only)
    assert "It is right often enough" in sitting.text()
    sitting.click("Open the report", "Verify it yourself")
    _followed(sitting, [*only, "--budget", "ci"])
    sitting.click("Compare with the previous audit", "got worse")
    _cancelled(sitting)
    _every_page_is_fit_to_read(sitting, done, fetched_axe(tmp_path))
    sitting.go("/")
    sitting.browser.press("Tab")
    assert sitting.browser.run(FOCUSED) == ["skip", True]
    sitting.click("Log out", "API key of this service")
    sitting.go("/keys")
    assert sitting.browser.run(WHERE).startswith("/login")


def _followed(sitting: Sitting, more: list[str]) -> str:
    """Hand an audit in, and see it come to its end on one page that is never loaded again."""
    handing = sitting.audit(*more)
    _open_what_runs(sitting, handing)
    sitting.browser.run(MARKED)
    sitting.wait("checks are complete")
    sitting.wait("All audits of this model")
    assert "Pass" in sitting.text().splitlines()
    assert sitting.browser.run(STILL)
    assert handing.wait(60) == 0
    return str(sitting.browser.run(WHERE))


def _open_what_runs(sitting: Sitting, handing: subprocess.Popen[bytes]) -> None:
    while "No audit matches the filter" in sitting.go("/audits?state=running"):
        assert handing.poll() is None, "it ended before anybody saw it run"
    sitting.click("line", "Cancel this audit")


def _cancelled(sitting: Sitting) -> None:
    handing = sitting.audit()
    _open_what_runs(sitting, handing)
    sitting.click("Cancel this audit", "stops before its next check")
    sitting.click("Cancel the audit", "It has no record.")
    assert handing.wait(60) != 0


def _every_page_is_fit_to_read(sitting: Sitting, done: str, axe: str) -> None:
    opened, first = sitting.browser, done.split("/")[2]
    paths = ("/", "/start", "/audits", done, f"{done}/files", "/models", "/models/line",
             f"/compare?left={first}&right={first}", "/targets", "/keys",
             "/audits/none")  # fmt: skip
    for path in paths:
        sitting.go(path)
        opened.run(OPEN_ALL)
        for name, width in WIDTHS.items():
            for dark in (False, True):
                opened.look(width=width, dark=dark)
                assert opened.run(axe + LOOK, RULES) == [], (path, name, dark)
            content, window = opened.run(MEASURE)
            assert content <= window, (path, name)
            assert opened.run(OUTSIDE) == [], (path, name)
            assert opened.run(TEXTS_OVER_TEXTS) == [], (path, name)
    opened.look(width=1280)
