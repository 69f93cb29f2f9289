import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacked_records import ATTACKED, DOUBTED
from rendering_records import EVERY_RECORD, inputs_of
from target_records import CHIPS, EVERYWHERE, inputs_of_chips
from webdriver import CHROMIUM, DRIVER, Browser, browser

from auditor.rendering.report import render_html

AXE = "axe-core@4.14.1"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDTHS = {"phone": 390, "wide": 1280}
LOOK = """
const [rules, done] = arguments;
axe.run(document, {resultTypes: ["violations"], runOnly: rules}).then(found => done(
  found.violations.map(item => item.id + ": " + item.nodes[0].html)));
"""
MEASURE = """
const done = arguments[arguments.length - 1], root = document.documentElement;
done([root.scrollWidth, root.clientWidth]);
"""
OPEN_ALL = """
document.querySelectorAll("details").forEach(item => item.open = true);
arguments[arguments.length - 1](document.querySelectorAll("details[open]").length);
"""
OVERLAPS = """
const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
  && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
const found = [];
for (const line of document.querySelectorAll("summary, .glance li, .facts div")) {
  const boxes = [...line.children].map(item => item.getBoundingClientRect());
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach(b => {
    if (over(a, b)) found.push(line.textContent);
  }));
}
arguments[arguments.length - 1](found);
"""
FETCHED = """
arguments[arguments.length - 1](performance.getEntriesByType("resource").map(item => item.name));
"""
NARROWEST = """
const done = arguments[arguments.length - 1];
requestAnimationFrame(() => requestAnimationFrame(() => done(Math.min(1000,
  ...[...document.querySelectorAll(".card h3")].map(item => item.clientWidth)))));
"""
PRINTED = """
const done = arguments[arguments.length - 1];
requestAnimationFrame(() => requestAnimationFrame(() => done(
  [...document.querySelectorAll(".card-body, details table")]
    .filter(item => item.getBoundingClientRect().height === 0).length)));
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.fetches,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="needs chromium and its driver (Debian: chromium, chromium-driver)",
    ),
]


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("axe")
    subprocess.run(["npm", "pack", AXE], cwd=folder, check=True, capture_output=True)
    with tarfile.open(next(folder.glob("*.tgz"))) as packed:
        found = packed.extractfile("package/axe.min.js")
        assert found is not None
        return found.read().decode()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


RECORDS = {**EVERY_RECORD, "attacked": ATTACKED, "doubted": DOUBTED}
SHOWN = ["failing", "passing", "open", "silent", "two-targets", "hostile", "attacked", "doubted"]
INPUTS = {
    **{name: inputs_of(RECORDS[name]) for name in SHOWN},
    "chips": inputs_of_chips(CHIPS),
    "everywhere": inputs_of_chips(EVERYWHERE),
}


@pytest.fixture(params=INPUTS)
def page(request: pytest.FixtureRequest, opened: Browser, tmp_path: Path) -> Browser:
    path = tmp_path / "report.html"
    path.write_text(render_html(INPUTS[request.param]), encoding="utf-8")
    opened.look(width=1280)
    opened.open(path)
    return opened


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_axe_finds_no_violation(page: Browser, axe: str, width: int, dark: bool) -> None:  # noqa: FBT001 -- a case
    page.look(width=width, dark=dark)
    assert page.run(OPEN_ALL)
    assert page.run(axe + LOOK, RULES) == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_in_a_title_lies_over_something_else(page: Browser, width: int) -> None:
    page.look(width=width)
    assert page.run(OVERLAPS) == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_no_name_is_too_long_for_the_page(page: Browser, width: int) -> None:
    page.look(width=width)
    page.run(OPEN_ALL)
    content, window = page.run(MEASURE)
    assert content <= window


def test_the_page_fetches_nothing(page: Browser) -> None:
    found = page.run(FETCHED)
    assert [name for name in found if not name.startswith("data:")] == []


def test_titles_have_room_on_paper(page: Browser) -> None:
    page.look(width=690, media="print")
    assert page.run(NARROWEST) > 300


def test_what_is_folded_on_screen_is_printed(page: Browser) -> None:
    page.look(width=800, media="print")
    assert page.run(PRINTED) == 0
