import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from attacked_records import ATTACKED, DOUBTED, MOVED_BLOBS, ROWS, shown_by
from block_records import every_part, inputs_with
from compared_records import SAME_BESIDE, SINCE, WORSE_BESIDE
from dossier_records import DECLARED
from page_looks import (
    BROKEN_FIGURES,
    BROKEN_WORDS,
    LOOK,
    MEASURE,
    OPEN_ALL,
    OUTSIDE,
    RULES,
    TEXTS_OVER_TEXTS,
    WIDTHS,
    fetched_axe,
)
from rendering_records import BLOBS, EVERY_RECORD, FAILING, OPEN, PASSING, inputs_of
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
for (const line of document.querySelectorAll("summary, .facts div")) {
  const boxes = [...line.children].map(item => item.getBoundingClientRect());
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach(b => {
    if (over(a, b)) found.push(line.textContent);
  }));
}
arguments[arguments.length - 1](found);
"""
FOR_POINTERS = "target-size"
"""A rule of axe about what a finger can hit, which paper does not have."""
HIDDEN_WORDS = """
const found = [...document.querySelectorAll(".plot text")].filter(
  item => getComputedStyle(item).display === "none");
arguments[arguments.length - 1](found.map(item => item.textContent));
"""
CUT = """
const found = [...document.querySelectorAll(".panel > details .scroll")].filter(
  item => item.scrollWidth > item.clientWidth + 1);
arguments[arguments.length - 1](found.map(item => item.getAttribute("aria-label")));
"""
RISK_NUMBERS = """
const found = [...document.querySelectorAll(".risks th[scope=row] > .small")];
arguments[arguments.length - 1](found.map(item => getComputedStyle(item).display));
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
MOVED = replace(ATTACKED, observations=(shown_by("evasion.l2", ROWS),))
INPUTS = {
    "rows": inputs_of(MOVED, blob={**BLOBS, **MOVED_BLOBS}.__getitem__),
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


def test_axe_finds_no_violation_on_paper(page: Browser, axe: str) -> None:
    page.look(width=690, media="print")
    for script in ("arguments[0](0);", OPEN_ALL):
        page.run(script)
        found = page.run(axe + LOOK, RULES)
        assert [item for item in found if not item.startswith(FOR_POINTERS)] == []


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


def test_no_opened_table_of_a_drawing_is_cut_on_a_wide_window(page: Browser) -> None:
    page.look(width=1280)
    page.run(OPEN_ALL)
    assert page.run(CUT) == []


def test_a_risk_stands_below_its_number_without_a_gap(opened: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(PAGES["declared"](), encoding="utf-8")
    opened.open(path)
    assert set(opened.run(RISK_NUMBERS)) == {"inline"}


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_no_text_lies_over_another(page: Browser, width: int) -> None:
    page.look(width=width)
    assert page.run(OPEN_ALL)
    assert page.run(TEXTS_OVER_TEXTS) == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_no_word_is_broken(page: Browser, width: int) -> None:
    page.look(width=width)
    assert page.run(OPEN_ALL)
    assert page.run(BROKEN_WORDS) == []
    assert page.run(BROKEN_FIGURES) == []


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
    bottom = opened.run(LOWEST, ".verdict h1, .because p:first-child, .opening > .facts > div")
    assert bottom <= size[1]


SCREEN, MOST_SCREENS = 800, 8
TYPICAL = replace(ATTACKED, findings=(PASSING.findings * 4)[:16])
"""A pass with as many rules as a policy of ours has, and with figures of many attacks."""
TALL = """
arguments[arguments.length - 1](document.documentElement.scrollHeight);
"""


@pytest.fixture
def typical(opened: Browser, tmp_path: Path) -> Browser:
    path = tmp_path / "report.html"
    path.write_text(render_html(inputs_of(TYPICAL)), encoding="utf-8")
    opened.look(width=1280, height=SCREEN)
    opened.open(path)
    return opened


def test_a_typical_pass_is_at_most_eight_screens_long(typical: Browser) -> None:
    assert typical.run(TALL) <= MOST_SCREENS * SCREEN
    typical.run(OPEN_ALL)
    assert typical.run(TALL) > MOST_SCREENS * SCREEN  # so much is closed at first


RAIL = """
window.scrollTo(0, 2000);
const done = arguments[arguments.length - 1], nav = document.querySelector("body > nav");
requestAnimationFrame(() => requestAnimationFrame(() => {
  const box = nav.getBoundingClientRect(), main = document.querySelector("main");
  done([box.top, box.right <= main.getBoundingClientRect().left + 1]);
}));
"""
FOCUSED = """
arguments[arguments.length - 1](document.activeElement.getAttribute("href"));
"""
FOLLOWED = """
const done = arguments[arguments.length - 1], card = document.querySelector("#finding-1");
if (card.closest("details").open) done(false);
document.querySelector("a[href='#finding-1']").click();
requestAnimationFrame(() => requestAnimationFrame(() => done(card.closest("details").open)));
"""


def test_on_a_wide_window_the_contents_stay_beside_the_page(typical: Browser) -> None:
    assert typical.run(RAIL) == [0, True]
    typical.look(width=1000)
    top, beside = typical.run(RAIL)
    assert top < 0
    assert not beside


def test_keys_reach_every_part_of_the_contents(typical: Browser) -> None:
    reached = []
    while "#verify" not in reached and len(reached) < 30:
        typical.press("Tab")
        reached.append(typical.run(FOCUSED))
    parts = ["#verdict", "#findings", "#figures", "#not-shown", "#frameworks", "#run", "#verify"]
    assert [item for item in reached if item in parts][-len(parts) :] == parts


def test_a_link_opens_the_card_that_it_leads_to(typical: Browser) -> None:
    assert typical.run(FOLLOWED)


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
