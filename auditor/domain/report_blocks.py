"""Report blocks of checks: tables, charts and images as data without markup, with size limits."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from auditor.domain.evidence import Item
from auditor.domain.readings import Measurement, Unit
from auditor.domain.report_panels import BlockPanel
from auditor.errors import BrokenCheckError


class HeadlineKind(StrEnum):
    """What a headline figure says of a model on a target, in the order in which they are shown."""

    QUALITY = "quality"
    CERTAINTY = "certainty"
    GROUPS = "groups"
    SAMENESS = "sameness"
    PRICE = "price"
    TIME = "time"
    TAIL = "tail"


@dataclass(frozen=True, slots=True)
class Headline:
    """A metric by which targets are compared: what it says, its title, and what its unit is."""

    kind: HeadlineKind
    title: str
    place: str = ""


class ReportTopic(StrEnum):
    """What a check's figures document, where a report asks for it by name."""

    PERFORMANCE = "performance"
    GROUPS = "groups"
    CHANGES = "changes"
    PARENT = "parent"
    DRIFT = "drift"
    RESOURCES = "resources"


@dataclass(frozen=True, slots=True)
class CheckOrigin:
    """The distribution that brings a check, as the installed packages name it."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class BlockParagraph:
    """A few sentences."""

    text: str


@dataclass(frozen=True, slots=True)
class BlockNumber:
    """A number in a table; with ``low`` and ``high`` it has an interval."""

    value: float
    unit: Unit = Unit.NONE
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class BlockTable:
    """Rows of texts and numbers; the first cell of a row names it."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | BlockNumber, ...], ...]


@dataclass(frozen=True, slots=True)
class ChartBar:
    """One labelled value, with the ends of its interval where it has one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """Values with their intervals on one scale; ``name`` says what they are.

    A broken line marks the ``reference``, where there is one.
    """

    title: str
    name: str
    bars: tuple[ChartBar, ...]
    unit: Unit = Unit.NONE
    reference: float | None = None
    reference_name: str = ""


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """One place of a line, with the ends of its band where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """A line through points whose ``x`` rises, with names and units of both axes."""

    title: str
    x_name: str
    y_name: str
    points: tuple[ChartPoint, ...]
    x_unit: Unit = Unit.NONE
    y_unit: Unit = Unit.NONE


@dataclass(frozen=True, slots=True)
class BlockImage:
    """A PNG file and what it shows in words; it is shown with the owner's leave alone."""

    png: bytes
    alt: str
    caption: str = ""


Part: TypeAlias = "BlockParagraph | BlockTable | BarChart | LineChart | BlockImage | BlockPanel"


class ReportSection(StrEnum):
    """The question that figures answer, as it heads a section of the report, in their order."""

    DAILY = "In daily use"
    WORSE = "Where it is worse"
    TIME = "Over time"
    ATTACK = "Under attack"
    GIVEN_AWAY = "What it gives away"
    NOISE = "Under noise, faults and other views"
    POISONED = "If the training data were poisoned"
    DATA = "The data"
    OWN = "What checks show of their own"


@dataclass(frozen=True, slots=True)
class BlockPlace:
    """Where a check's block stands: ``order`` in its section.

    What is the same on every target is shown ``once``. Blocks of other packages stand in ``OWN``,
    wherever they want to be.
    """

    section: ReportSection = ReportSection.OWN
    order: int = 0
    once: bool = False


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a check has to show of one target: a title, a sentence that leads, and parts.

    In a section that others share there are panels alone, which have titles of their own.
    """

    title: str = ""
    lead: str = ""
    parts: tuple[Part, ...] = ()


Reads: TypeAlias = "Callable[[str], Item | None]"
"""Returns a copy of one item of evidence by its name, or ``None`` where it is not at hand."""


class BuildBlock(Protocol):
    """Makes a block of a check's measurements on one target and of its evidence there: pure."""

    def __call__(self, measurements: Sequence[Measurement], evidence: Reads, /) -> ReportBlock:
        """Return the block."""
        ...


MOST_PARTS, MOST_PICTURES = 12, 4
MOST_TITLE, MOST_LEAD, MOST_PARAGRAPH = 120, 400, 2000
MOST_COLUMNS, MOST_ROWS, MOST_CELL = 10, 60, 200
MOST_BARS, MOST_POINTS, MOST_NAME = 40, 200, 60
MOST_PICTURE_BYTES = 60_000
LARGEST = 1e12
"""The magnitude beyond which no number can be read in a plot."""
CONTROLS = frozenset({"Cc", "Cs"})
"""Control characters, line ends among them, and halves of characters."""


def validate_block(found: object) -> ReportBlock:
    """Return what a check gave as its block, if it is one and keeps every limit.

    Only the first mistake is looked for: what is of the wrong type is not looked into.

    Raises ``BrokenCheckError`` that names the part and what is wrong with it.
    """
    if not isinstance(found, ReportBlock):
        mistake = f"a {type(found).__name__} was given, and no ReportBlock"
    else:
        mistake = next(_block(found), "")
        if not mistake:
            return found
    raise BrokenCheckError(
        mistake,
        cure="Give what auditor.domain.report_blocks has, within its limits.",
    )


def _block(block: ReportBlock) -> Iterator[str]:
    yield from _text("the title", block.title, MOST_TITLE)
    yield from _text("the lead", block.lead, MOST_LEAD)
    yield from _several("the block", "parts", block.parts, MOST_PARTS)
    for at, part in enumerate(block.parts, 1):
        for said in _part(part):
            yield f"part {at}, a {type(part).__name__}: {said}"
    if sum(isinstance(part, BlockImage) for part in block.parts) > MOST_PICTURES:
        yield f"the block has more than {MOST_PICTURES} pictures"


def _part(part: object) -> Iterator[str]:
    match part:
        case BlockParagraph():
            yield from _text("the text", part.text, MOST_PARAGRAPH)
        case BlockTable():
            yield from _table(part)
        case BarChart():
            yield from _text("the title", part.title, MOST_TITLE)
            yield from _text("the name", part.name, MOST_NAME)
            yield from _kind("the unit", part.unit, Unit)
            yield from _text("the reference's name", part.reference_name, MOST_NAME, least=0)
            if part.reference is not None:
                yield from _number("the reference", part.reference)
            yield from _several("it", "bars", part.bars, MOST_BARS)
            for at, bar in enumerate(part.bars, 1):
                yield from _kind(f"bar {at}", bar, ChartBar)
                yield from _text(f"the label of bar {at}", bar.label, MOST_NAME)
                yield from _number(f"the value of bar {at}", bar.value)
                yield from _ends(f"bar {at}", bar)
        case LineChart():
            yield from _line(part)
        case BlockImage():
            yield from _text("the alternative text", part.alt, MOST_CELL)
            yield from _text("the caption", part.caption, MOST_CELL, least=0)
            yield from _kind("the file", part.png, bytes)
            if len(part.png) > MOST_PICTURE_BYTES:
                yield f"the file has {len(part.png)} bytes, of at most {MOST_PICTURE_BYTES}"
        case _:
            yield "this is no part of a block"


def _table(table: BlockTable) -> Iterator[str]:
    yield from _text("the caption", table.caption, MOST_TITLE)
    yield from _several("it", "columns", table.columns, MOST_COLUMNS)
    for name in table.columns:
        yield from _text("a column's name", name, MOST_NAME)
    yield from _several("it", "rows", table.rows, MOST_ROWS)
    for at, row in enumerate(table.rows, 1):
        yield from _kind(f"row {at}", row, tuple)
        if len(row) != len(table.columns):
            yield f"row {at} has {len(row)} cells, and there are {len(table.columns)} columns"
        for cell in row:
            if isinstance(cell, BlockNumber):
                yield from _number(f"a number of row {at}", cell.value)
                yield from _ends(f"row {at}", cell)
                yield from _kind("the unit", cell.unit, Unit)
            else:
                yield from _text(f"a cell of row {at}", cell, MOST_CELL, least=0)


def _line(line: LineChart) -> Iterator[str]:
    yield from _text("the title", line.title, MOST_TITLE)
    yield from _text("the name of x", line.x_name, MOST_NAME)
    yield from _text("the name of y", line.y_name, MOST_NAME)
    yield from _kind("the unit of x", line.x_unit, Unit)
    yield from _kind("the unit of y", line.y_unit, Unit)
    yield from _several("it", "points", line.points, MOST_POINTS)
    for at, point in enumerate(line.points, 1):
        yield from _kind(f"point {at}", point, ChartPoint)
        yield from _number(f"x of point {at}", point.x)
        yield from _number(f"y of point {at}", point.y)
        yield from _ends(f"point {at}", point)
        if at > 1 and point.x <= line.points[at - 2].x:
            yield f"x of point {at} does not lie beyond the one before it"
    if len({point.low is None for point in line.points}) > 1:
        yield "some points have a band and others have none"


def _several(what: str, names: str, found: Sequence[object], most: int) -> Iterator[str]:
    yield from _kind(f"the tuple of {names}", found, tuple)
    if not 1 <= len(found) <= most:
        yield f"{what} has {len(found)} {names}, and there must be 1 to {most}"


def _text(what: str, found: object, most: int, least: int = 1) -> Iterator[str]:
    # Text of another type could be markup that calls itself safe.
    if type(found) is not str:
        yield f"{what} is a {type(found).__name__}, not a str"
    elif not least <= len(found.strip()) or len(found) > most:
        yield f"{what} has {len(found)} characters, and there must be {least} to {most}"
    elif any(unicodedata.category(character) in CONTROLS for character in found):
        yield f"{what} holds a control character"


def _number(what: str, found: object) -> Iterator[str]:
    if isinstance(found, bool) or not isinstance(found, int | float):
        yield f"{what} is a {type(found).__name__}, not an int or float"
    elif not abs(found) <= LARGEST:
        yield f"{what} is not between {-LARGEST:g} and {LARGEST:g}"


def _ends(what: str, found: BlockNumber | ChartBar | ChartPoint) -> Iterator[str]:
    if (found.low is None) != (found.high is None):
        yield f"the interval of {what} has one end alone"
    elif found.low is not None and found.high is not None:
        yield from _number(f"the lower end of {what}", found.low)
        yield from _number(f"the upper end of {what}", found.high)
        if found.low > found.high:
            yield f"the interval of {what} ends below its beginning"


def _kind(what: str, found: object, kind: type) -> Iterator[str]:
    if not isinstance(found, kind):
        yield f"{what} is a {type(found).__name__}, not a {kind.__name__}"
