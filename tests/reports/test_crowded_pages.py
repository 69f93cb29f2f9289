"""Pages of records that hold more than any page can: short enough, whole, and plain about it."""

import re
from dataclasses import replace

import pytest
from crowded_records import crowded, long
from pages import Page
from rendering_records import FAILING, inputs_of

from auditor.reports.formats.ci import (
    MARKS,
    CommentContext,
    build_comment_marker,
    render_comment,
)
from auditor.reports.formats.html import KEPT, LEFT_OUT, ROOMS, PageLimits, fit_page, render_html
from auditor.reports.formats.markdown import render_markdown
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import LONGEST_NAME

MOST_OF_A_PAGE, MOST_OF_A_SUMMARY, MOST_OF_A_COMMENT = 2_000_000, 2**20, 65_536


@pytest.fixture(scope="module")
def inputs() -> ReportInputs:
    return crowded()


@pytest.fixture(scope="module")
def page(inputs: ReportInputs) -> Page:
    return Page(render_html(inputs))


def test_the_report_of_a_crowded_record_is_below_two_megabytes_and_says_what_it_lacks(
    page: Page,
) -> None:
    assert len(page.markup.encode()) < MOST_OF_A_PAGE
    assert ROOMS[-1].said in page.text()
    assert "770 more findings, none worse than these, are in record.json" in page.text()


def test_every_link_of_a_crowded_page_leads_somewhere(page: Page) -> None:
    ids = set(page.ids())
    assert len(ids) == len(page.ids())
    led = {attributes["href"][1:] for _, attributes in page.elements if "href" in attributes}
    assert led <= ids


def test_a_long_title_stands_once_in_its_card_and_short_elsewhere() -> None:
    told = long("title", 1)
    first, *others = FAILING.findings
    record = replace(FAILING, findings=(*others, replace(first, title=told)))
    text = Page(render_html(inputs_of(record))).text()
    assert text.count(told.strip()) == 1
    assert text.count(told[: LONGEST_NAME - 1]) > 1


def test_the_summary_of_a_crowded_record_is_below_githubs_limit_and_ends_as_ever(
    inputs: ReportInputs,
) -> None:
    written = render_markdown(inputs)
    assert len(written.encode()) < MOST_OF_A_SUMMARY
    assert re.search(r"Lines are cut here, and \d+ left out: `record.json` has all\.", written)
    assert written.endswith("The report with plots is `report.html`.\n")


def test_the_comment_on_a_crowded_record_is_below_githubs_limit_and_begins_and_ends_as_ever(
    inputs: ReportInputs,
) -> None:
    hard = tuple(f"mistake {number} {'[<' * 200}" for number in range(60))
    written = render_comment(inputs, CommentContext(mistakes=hard, base=FAILING))
    assert len(written.encode()) < MOST_OF_A_COMMENT
    assert written.startswith(f"{build_comment_marker(inputs.record)}\n## ")
    assert any(mark in written for mark in MARKS.values())
    assert "the whole report is `report.html`." in written
    assert written.count("<details>") == written.count("</details>") == 2


def test_a_page_that_fits_in_no_room_leaves_out_its_largest_parts_and_says_so() -> None:
    sizes = {"findings": 900, "figures": 800, "run": 600, "verify": 10}

    def made(room: PageLimits) -> str:
        parts = ((name, str(place) * size) for place, (name, size) in enumerate(sizes.items()))
        return "\n".join(
            f'<section id="{name}">\n<h2>{name}</h2>\n{text}\n</section>' for name, text in parts
        )

    page = fit_page(made, 2_000)
    assert "0" * 900 in page
    assert "1" * 800 not in page
    assert "2" * 600 in page
    assert LEFT_OUT.format(size=0) in page
    assert re.findall(r'id="([a-z]+)"', page) == [*sizes]
    assert "2" * 600 not in fit_page(made, 1_200)
    assert all(f'id="{name}"' in fit_page(made, 10) for name in KEPT)
