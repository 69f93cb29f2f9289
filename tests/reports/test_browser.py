import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from attacked_records import ATTACKED, DOUBTED
from block_records import every_part, inputs_with
from compared_records import SAME_BESIDE, SINCE, WORSE_BESIDE
from dossier_records import DECLARED
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
from rendering_records import EVERY_RECORD, FAILING, OPEN, PASSING, inputs_of
from target_records import CHIPS, EVERYWHERE, inputs_of_chips
from webdriver import CHROMIUM, DRIVER, Browser, browser

from auditor.reports.formats.comparison_html import render_comparison_html
from auditor.reports.formats.html import render_html

VALIDATOR = "vnu-jar@26.9.27"
UNKNOWN_TO_IT = ".*paint-order.*"
"""A property of CSS that every browser knows and the validator does not."""
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
HIDDEN_WORDS = """
const found = [...document.querySelectorAll(".plot text")].filter(
  item => getComputedStyle(item).display === "none");
arguments[arguments.length - 1](found.map(item => item.textContent));
"""
LOWEST = """
const found = [...document.querySelectorAll(arguments[0])].slice(0, 9);
const ends = found.map(item => item.getBoundingClientRect().bottom);
arguments[arguments.length - 1](Math.max(...ends));
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
    return fetched_axe(tmp_path_factory.mktemp("axe"))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


THIRTY = replace(FAILING, findings=(FAILING.findings * 5)[:30])
RECORDS = {**EVERY_RECORD, "attacked": ATTACKED, "doubted": DOUBTED, "thirty": THIRTY}
SHOWN = [
    "predictions-only",
    "thirty",
    "failing",
    "passing",
    "open",
    "silent",
    "two-targets",
    "hostile",
    "attacked",
    "doubted",
]
INPUTS = {
    **{name: inputs_of(RECORDS[name]) for name in SHOWN},
    "declared": DECLARED,
    "blocks": inputs_with(every_part),
    "chips": inputs_of_chips(CHIPS),
    "everywhere": inputs_of_chips(EVERYWHERE),
    **{name: SINCE[name] for name in ("since-worse", "since-hostile")},
}
PAGES = {
    **{name: partial(render_html, inputs) for name, inputs in INPUTS.items()},
    "worse": partial(render_comparison_html, WORSE_BESIDE),
    "same": partial(render_comparison_html, SAME_BESIDE),
}


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, opened: Browser, tmp_path: Path) -> Browser:
    path = tmp_path / "report.html"
    path.write_text(PAGES[request.param](), encoding="utf-8")
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
    assert page.run(OUTSIDE) == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_no_text_lies_over_another(page: Browser, width: int) -> None:
    page.look(width=width)
    assert page.run(OPEN_ALL)
    assert page.run(TEXTS_OVER_TEXTS) == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_every_word_of_a_plot_is_seen(page: Browser, width: int) -> None:
    page.look(width=width)
    assert page.run(OPEN_ALL)
    assert page.run(HIDDEN_WORDS) == []


FIRST_SCREEN = {"passing": PASSING, "failing": FAILING, "open": OPEN}


@pytest.mark.parametrize("size", [(1280, 720), (390, 844)], ids=["wide", "phone"])
@pytest.mark.parametrize("name", FIRST_SCREEN)
def test_the_first_screen_says_what_where_under_what_who_and_until_when(
    opened: Browser, tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_html(inputs_of(FIRST_SCREEN[name])), encoding="utf-8")
    opened.look(width=size[0], height=size[1])
    opened.open(path)
    bottom = opened.run(LOWEST, ".verdict h1, .because p:first-child, .facts > div")
    assert bottom <= size[1]


def test_the_page_fetches_nothing(page: Browser) -> None:
    found = page.run(FETCHED)
    assert [name for name in found if not name.startswith("data:")] == []


def test_titles_have_room_on_paper(page: Browser) -> None:
    page.look(width=690, media="print")
    assert page.run(NARROWEST) > 300


def test_what_is_folded_on_screen_is_printed(page: Browser) -> None:
    page.look(width=800, media="print")
    assert page.run(PRINTED) == 0


@pytest.mark.skipif(shutil.which("java") is None, reason="the validator of the W3C needs java")
def test_the_validator_finds_no_error(tmp_path: Path) -> None:
    subprocess.run(["npm", "pack", VALIDATOR], cwd=tmp_path, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as packed:
        packed.extract("package/build/dist/vnu.jar", tmp_path, filter="data")
    for name, render in PAGES.items():
        (tmp_path / f"{name}.html").write_text(render(), encoding="utf-8")
    command = ["java", "-jar", tmp_path / "package/build/dist/vnu.jar", "--errors-only"]
    pages = sorted(tmp_path.glob("*.html"))
    command += ["--filterpattern", UNKNOWN_TO_IT, *pages]
    found = subprocess.run(command, capture_output=True, check=False)
    assert found.returncode == 0, found.stderr.decode()[:4000]
