import base64
import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from block_records import TOY, every_part, inputs_with, png, toy
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from pages import Page
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rendering_records import CHECKS

from auditor.domain.checks import Check
from auditor.domain.json import encode_canonical
from auditor.domain.readings import Measurement, Unit
from auditor.domain.report_blocks import (
    LARGEST,
    MOST_BARS,
    MOST_PARTS,
    MOST_PICTURE_BYTES,
    MOST_ROWS,
    BarChart,
    BlockImage,
    BlockNumber,
    BlockParagraph,
    BlockTable,
    ChartBar,
    ChartPoint,
    LineChart,
    Reads,
    ReportBlock,
)
from auditor.reports.formats.html import render_block, render_html
from auditor.reports.formats.markdown import render_markdown
from auditor.reports.html.check_sections import MOST_BYTES, MOST_BYTES_OF_ALL, render_blocks

WORDS = BlockParagraph("Words.")
FAILED = "This block could not be shown."


def said(*parts: object, title: Any = "A title", lead: Any = "A lead.") -> ReportBlock:  # noqa: ANN401 -- mistakes too
    return ReportBlock(title, lead, parts)  # type: ignore[arg-type]  # mistakes are what is tested


def page_with(block: object, **more: Any) -> Page:  # noqa: ANN401 -- what inputs take
    return Page(render_html(inputs_with(block, **more)))


def shown(*parts: object, **more: Any) -> Page:  # noqa: ANN401 -- what inputs take
    return page_with(lambda measurements, evidence: said(*parts), **more)


def test_a_block_of_every_part_is_drawn_in_a_section_that_says_whose_it_is() -> None:
    page = page_with(every_part)
    text = page.text()
    assert "From toychecks · Margins" in page.lines
    assert f"Made by toychecks 1.2.0, the package that brings the check {TOY} here" in text
    assert "The mean margin is 0.475." in page.lines
    assert FAILED not in text
    assert page.markup.count('aria-labelledby="block-') == 5
    assert page.lines.count("The same as a table") >= 5
    assert "The broken line: what the vendor promises, 50 %." in text
    assert "often taken for a small dog" in text
    assert 'alt="A slope from black to white"' in page.markup
    assert "- Margins on cpu, from toychecks 1.2.0" in render_markdown(inputs_with(every_part))


def test_the_same_inputs_give_the_same_bytes() -> None:
    assert render_html(inputs_with(every_part)) == render_html(inputs_with(every_part))


def test_a_check_of_ours_may_bring_a_block_too() -> None:
    checks = {TOY: toy(every_part, module="auditor.checks.toy.margins")}
    page = page_with(every_part, origins={}, checks=checks)
    assert f"Made by the check {TOY}, which comes with auditor." in page.text()
    unknown = page_with(every_part, origins={}, checks={TOY: toy(every_part)})
    assert "From a package that is not known here · Margins" in unknown.lines


def test_a_report_without_blocks_says_nothing_of_them() -> None:
    page = page_with(None)
    assert "blocks" not in page.ids()
    assert "of their own" not in render_markdown(inputs_with(None))


def test_a_picture_needs_the_owners_leave_and_so_do_rows_that_are_examples() -> None:
    asked: list[object] = []

    def block(measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        asked.extend((evidence("example_rows"), evidence("classes"), evidence("nothing")))
        return said(BlockImage(png(), "A slope"))

    page = page_with(block, show_examples=False)
    assert asked == [None, ["cat", "dog"], None]
    assert "A picture that stands here is not shown" in page.text()
    assert "data:image/png" not in page.markup
    asked.clear()
    page_with(block)
    assert asked[0] == ["a row of a person"]


def test_nothing_but_its_pixels_comes_from_a_picture() -> None:
    note = PngInfo()
    note.add_text("Comment", "<script>alert(1)</script> and more" * 9)
    raw = png(pnginfo=note) + b"<script>a tail</script>"
    uri = re.search(r'base64,([^"]+)" alt="A slope"', shown(BlockImage(raw, "A slope")).markup)
    assert uri is not None
    clean = base64.b64decode(uri[1])
    assert b"script" in raw
    assert b"script" not in clean
    again = np.asarray(Image.open(io.BytesIO(clean)))
    assert np.array_equal(again, np.asarray(Image.open(io.BytesIO(png()))))


def test_a_block_gets_copies_and_changes_no_figure() -> None:
    def block(measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        measurements[0].params["part"] = "none"  # type: ignore[index]  # it tries
        measurements[0].details["listed"].append(3)  # type: ignore[union-attr, call-arg]
        evidence("classes").append("cow")  # type: ignore[union-attr]
        margins = evidence("margins")
        assert isinstance(margins, np.ndarray)
        assert not margins.flags.writeable
        return said(BlockParagraph(f"{evidence('classes')}, {len(measurements)} figure"))

    inputs = inputs_with(block)
    before = encode_canonical(inputs.record.to_json())
    assert "['cat', 'dog'], 1 figure" in Page(render_html(inputs)).text()
    assert (
        encode_canonical(inputs.record.to_json()) == before
    )  # what a record keeps of itself may be old


def test_committed_evidence_is_never_given_to_a_block() -> None:
    def block(measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        pytest.fail("it was asked")

    page = page_with(block, committed=True)
    assert (
        f"{TOY}, from toychecks 1.2.0, on cpu: its evidence is committed, so that rows of it can "
        "be withheld. A block that it may bring is not drawn." in page.lines
    )


@pytest.mark.parametrize(
    ("here", "why"),
    [
        ({}, "this check is not installed here"),
        (
            {TOY: toy(every_part, version=2)},
            "version 1 of this check measured, and version 2 is installed",
        ),
    ],
)
def test_a_check_that_is_not_here_as_it_measured_is_named_and_not_asked(
    here: dict[str, type[Check]], why: str
) -> None:
    page = page_with(None, checks={**CHECKS, **here})
    assert f"{why}. A block that it may bring is not drawn." in page.text()


def test_a_label_of_invisible_characters_does_not_run_out_of_the_drawing() -> None:
    bars = BarChart(title="T", name="N", bars=(ChartBar("\u202e" * 60, 1),))
    found = render_blocks(inputs_with(_giving(said(bars))), render_block)
    assert found is not None
    (label,) = re.findall(r'class="label" text-anchor="end">([^<]*)', str(found.drawn[0].markup))
    assert label.startswith(r"\u{202e}")
    assert len(label) <= 17


def _raise(measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
    raise KeyError(f"<script>{object()}</script>\n{'x' * 9999}")


def _leave(measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
    raise SystemExit(3)


class Panic(BaseException):
    """What compiled code raises where it is broken: no ordinary error."""


class Mute(Exception):  # noqa: N818 -- named for what it is
    """An error whose words fail as well."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def _panic(measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
    raise Panic("index out of bounds")


def _fall_silent(measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
    raise Mute


def _fill_the_stack(measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
    return _fill_the_stack(measurements, evidence)


BROKEN = {
    "it panics": (_panic, "Panic: index out of bounds$"),
    "its error fails": (_fall_silent, "Mute$"),
    "it fills the stack": (_fill_the_stack, "RecursionError$"),
    "it raises": (_raise, r"KeyError: '<script><object object at 0x…></script>\\nx+…$"),
    "it ends the program": (_leave, "SystemExit: 3$"),
    "it is not a function": (4, "BrokenCheckError: its `block` is not a function"),
    "it gives nothing": (
        lambda m, e: None,
        "BrokenCheckError: a NoneType was given, and no ReportBlock",
    ),
    "it takes less": (lambda: None, "TypeError: "),
}
WRONG = {
    "no tuple": (said(), "has 0 parts"),
    "a list": (ReportBlock("T", "L", [WORDS]), "tuple of parts is a list"),  # type: ignore[arg-type]
    "too many parts": (said(*[WORDS] * (MOST_PARTS + 1)), "has 13 parts, and there must be 1 to"),
    "no part": (said("text"), "part 1, a str: this is no part of a block"),
    "markup": (said(WORDS, title=Markup("<b>")), "the title is a Markup, not a str"),
    "empty": (said(WORDS, lead=" "), "the lead has 1 characters"),
    "a control": (said(BlockParagraph("a\x07b")), "the text holds a control character"),
    "a line end": (said(BlockParagraph("a\nb")), "the text holds a control character"),
    "half a character": (said(BlockParagraph("a\ud800b")), "the text holds a control character"),
    "long": (said(BlockParagraph("a" * 2001)), "the text has 2001 characters"),
    "a number of text": (said(BlockTable("C", ("A",), ((3,),))), "a cell of row 1 is a int"),  # type: ignore[arg-type]
    "uneven rows": (
        said(BlockTable("C", ("A", "B"), (("x",),))),
        "row 1 has 1 cells, and there are 2",
    ),
    "many rows": (said(BlockTable("C", ("A",), (("x",),) * (MOST_ROWS + 1))), "has 61 rows"),
    "not a number": (
        said(BlockTable("C", ("A",), ((BlockNumber(math.nan),),))),
        "of row 1 is not between",
    ),
    "no unit": (said(BlockTable("C", ("A",), ((BlockNumber(1, "s"),),))), "the unit is a str"),  # type: ignore[arg-type]
    "infinite": (
        said(BarChart(title="T", name="N", bars=(ChartBar("a", math.inf),))),
        "value of bar 1",
    ),
    "huge": (said(BarChart(title="T", name="N", bars=(ChartBar("a", 10**400),))), "value of bar 1"),
    "a yes": (said(BarChart(title="T", name="N", bars=(ChartBar("a", True),))), "is a bool"),  # noqa: FBT003
    "many bars": (
        said(BarChart(title="T", name="N", bars=(ChartBar("a", 1),) * (MOST_BARS + 1))),
        "41 bars",
    ),
    "one end": (said(BarChart(title="T", name="N", bars=(ChartBar("a", 1, 0),))), "one end alone"),
    "turned": (said(BarChart(title="T", name="N", bars=(ChartBar("a", 1, 2, 0),))), "ends below"),
    "back": (
        said(
            LineChart(
                title="T", x_name="x", y_name="y", points=(ChartPoint(1, 1), ChartPoint(1, 2))
            )
        ),
        "x of point 2 does not lie beyond",
    ),
    "half a band": (
        said(
            LineChart(
                title="T", x_name="x", y_name="y", points=(ChartPoint(1, 1), ChartPoint(2, 2, 1, 3))
            )
        ),
        "some points have a band",
    ),
    "no picture": (
        said(BlockImage(b"GIF89a", "a")),
        "a picture is not a PNG file that can be read",
    ),
    "a large picture": (said(BlockImage(png((1300, 4)), "a")), "1300 x 4 pixels"),
    "a heavy picture": (said(BlockImage(bytes(MOST_PICTURE_BYTES + 1), "a")), "of at most 60000"),
    "many pictures": (said(*[BlockImage(png(), "a")] * 5), "more than 4 pictures"),
    "too much": (
        said(*[BlockTable("C", ("A", "B") * 5, (("\u202e" * 200,) * 10,) * 20)] * 9),
        "it would take \\d+ bytes, and a block may take",
    ),
}


def _giving(found: ReportBlock) -> Callable[[Sequence[Measurement], Reads], ReportBlock]:
    return lambda measurements, evidence: found


MISTAKES = {**BROKEN, **{name: (_giving(block), text) for name, (block, text) in WRONG.items()}}


def troubles(block: object, **more: Any) -> list[str]:  # noqa: ANN401 -- what inputs take
    """Draw the section of blocks alone, which is what costs little, and return what failed."""
    found = render_blocks(inputs_with(block, **more), render_block)
    assert found is not None
    return [item.trouble for item in found.drawn]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_a_block_does_wrong_is_said_in_its_place(mistake: str) -> None:
    block, text = MISTAKES[mistake]
    (trouble,) = troubles(block)
    assert re.search(text, trouble)
    assert len(trouble) < 400


def test_the_report_is_written_and_escapes_what_went_wrong() -> None:
    page = page_with(_raise)
    (line,) = (line for line in page.lines if line.startswith(FAILED))
    assert f"The block of {TOY}, from toychecks 1.2.0, failed: KeyError: '<script>" in line
    assert "script" not in {tag for tag, _ in page.elements}


def test_blocks_that_the_page_has_no_room_for_are_named() -> None:
    wide = BlockTable("C", ("A", "B") * 5, (("x" * 200,) * 10,) * 20)
    found = troubles(_giving(said(wide, wide)), times=4)
    assert found[:2] == ["", ""]
    assert all(f"all blocks may take {MOST_BYTES_OF_ALL}" in trouble for trouble in found[2:])
    assert len(found) == 4


STRANGE = st.one_of(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60),
    st.sampled_from(
        ["</svg></title><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}"]
    ),
    st.just("\u202e<b>\u2066" * 8),
    st.just("W" * 60),
).filter(str.strip)
NUMBERS = st.floats(-LARGEST, LARGEST) | st.integers(-9, 9)
ENDS = st.lists(NUMBERS, min_size=2, max_size=2).map(sorted) | st.just([None, None])
UNITS = st.sampled_from(Unit)
ROWS = st.lists(st.tuples(STRANGE, st.builds(BlockNumber, NUMBERS, UNITS)), min_size=1, max_size=3)
XS = st.lists(NUMBERS, min_size=1, max_size=5, unique=True).map(sorted)
PARTS = st.one_of(
    st.builds(BlockParagraph, STRANGE),
    st.builds(BlockTable, STRANGE, st.tuples(STRANGE, STRANGE), ROWS.map(tuple)),
    st.builds(
        BarChart,
        title=STRANGE,
        name=STRANGE,
        bars=st.lists(
            st.builds(
                lambda label, value, ends: ChartBar(label, value, *ends), STRANGE, NUMBERS, ENDS
            ),
            min_size=1,
            max_size=4,
        ).map(tuple),
        unit=UNITS,
        reference=st.none() | NUMBERS,
        reference_name=STRANGE,
    ),
    st.builds(
        lambda xs, **more: LineChart(points=tuple(ChartPoint(x, -x) for x in xs), **more),
        XS,
        title=STRANGE,
        x_name=STRANGE,
        y_name=STRANGE,
        x_unit=UNITS,
        y_unit=UNITS,
    ),
    st.builds(BlockImage, st.just(png()), STRANGE, STRANGE),
)
OURS = {
    *("h4", "h5", "p", "div", "figure", "figcaption", "img", "details", "summary", "table"),
    *("thead", "tbody", "tr", "th", "td", "svg", "title", "desc", "line", "path", "rect", "text"),
    "circle",
}


@settings(max_examples=60)
@given(st.builds(ReportBlock, STRANGE, STRANGE, st.lists(PARTS, min_size=1, max_size=3).map(tuple)))
def test_no_text_of_a_block_becomes_markup(block: ReportBlock) -> None:
    found = render_blocks(inputs_with(_giving(block)), render_block)
    assert found is not None
    (drawn,) = found.drawn
    assert drawn.trouble == ""
    assert drawn.markup is not None
    assert len(drawn.markup.encode()) < MOST_BYTES
    page = Page(drawn.markup)
    assert {tag for tag, _ in page.elements} <= OURS
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in {"style", "href"}]
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", drawn.markup)
