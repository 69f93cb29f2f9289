"""Report blocks that checks contribute: requests, error handling, and conversion for templates.

A check receives only copies, and any exception is caught. Pictures are decoded and encoded again,
so that only their pixels enter the page.
"""

import base64
import io
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image

from auditor.domain.checks import Check
from auditor.domain.evidence import Item
from auditor.domain.number_text import format_measurement, format_number
from auditor.domain.readings import Measurement, Unit
from auditor.domain.records import CheckObservation
from auditor.domain.report_blocks import (
    BarChart,
    BlockImage,
    BlockNumber,
    BlockParagraph,
    BlockTable,
    BuildBlock,
    ChartBar,
    ChartPoint,
    CheckOrigin,
    LineChart,
    ReportBlock,
    ReportSection,
    validate_block,
)
from auditor.domain.report_panels import BlockPanel, IntervalRow
from auditor.errors import AuditorError, BrokenCheckError
from auditor.policy.check_parameters import make_check
from auditor.reports.figures.panel import FigurePanel, to_figure_panel
from auditor.reports.plots.intervals import draw_interval_rows
from auditor.reports.plots.line_plots import LineAxes, LinePoint, draw_line_plot
from auditor.reports.rendering_inputs import ReportInputs, is_ours
from auditor.reports.wording import check_title, escape_invisible

BLOCKS = frozenset({"report.html", "summary.md"})
"""Files that show blocks, or name them."""
NOBODY = CheckOrigin("a package that is not known here", "")


@dataclass(frozen=True, slots=True)
class BlockSource:
    """One observation whose check brings a block, or may bring one and is not installed here.

    ``origin`` is ``None`` for a check that comes with auditor; ``absent`` says why the check here
    cannot be asked, and is empty where it can.
    """

    seen: CheckObservation
    title: str
    origin: CheckOrigin | None
    absent: str = ""

    @property
    def head(self) -> str:
        """The check's title, and the package that brings it where that is another one."""
        return self.title if self.origin is None else f"From {self.origin.name} · {self.title}"

    @property
    def source(self) -> str:
        """The package with its version."""
        return "auditor" if self.origin is None else " ".join(_named(self.origin))


def list_block_sources(inputs: ReportInputs) -> Iterator[BlockSource]:
    """Yield what has a block of its own, in the record's order."""
    for seen in inputs.record.observations:
        check = inputs.checks.get(seen.check)
        title, origin = check_title(inputs, seen.check), inputs.origins.get(seen.check)
        if check is None:
            yield BlockSource(seen, title, None, "this check is not installed here")
        elif check.block is not None and _section(inputs, check) is ReportSection.OWN:
            named = None if is_ours(inputs, check) else origin or NOBODY
            yield BlockSource(seen, title, named, _absent(inputs, seen))


def list_placed_checks(inputs: ReportInputs, section: ReportSection) -> list[type[Check]]:
    """Return the checks of ours whose blocks stand in a section, in their order."""
    placed = [check for check in inputs.checks.values() if _section(inputs, check) is section]
    return sorted(placed, key=lambda check: (check.place.order, check.id))


def _section(inputs: ReportInputs, check: type[Check]) -> ReportSection:
    """Return where a check's block stands: of what others show nothing else may depend."""
    return check.place.section if is_ours(inputs, check) else ReportSection.OWN


def bind_block(inputs: ReportInputs, check: type[Check], of: Measurement) -> BuildBlock | None:
    """Return the block of a check of ours that measured, with the parameters that it had.

    Those of another version that do not fit give way to the check's defaults.
    """
    seen = (s for s in inputs.record.observations if (s.target, s.check) == (of.target, of.check))
    params = next((item.params for item in seen), {})
    try:
        return make_check(check, params).block
    except AuditorError:
        return check().block


def no_evidence(_: str) -> None:
    """Give no evidence: what stands between the figures of others is made of readings alone."""


def list_third_party_packages(inputs: ReportInputs) -> tuple[str, ...]:
    """Return the packages whose blocks the report shows, with their versions."""
    sources = {item.source for item in list_block_sources(inputs) if item.origin is not None}
    return tuple(sorted(sources))


def _absent(inputs: ReportInputs, seen: CheckObservation) -> str:
    here = inputs.checks[seen.check].version
    if here != seen.version:
        return f"version {seen.version} of this check measured, and version {here} is installed"
    if seen.committed:
        return "its evidence is committed, so that rows of it can be withheld"
    return ""


def _named(origin: CheckOrigin) -> tuple[str, ...]:
    return (origin.name, origin.version) if origin.version else (origin.name,)


SHOWN_WITH_LEAVE = ("example", "sheet", "shown")
"""How items begin that hold rows to be shown: they are not given without the owner's leave."""
LONGEST = 300
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
"""What differs from run to run in the text of an error."""


def request_block(inputs: ReportInputs, seen: CheckObservation) -> ReportBlock:
    """Return the block of the check that observed, examined.

    Raises ``BrokenCheckError`` where it is none, and whatever the check raises.
    """
    draw = inputs.checks[seen.check].block
    if not callable(draw):
        raise BrokenCheckError("its `block` is not a function", cure="Make it a static method.")

    def read(name: str) -> "Item | None":
        if name.startswith(SHOWN_WITH_LEAVE) and not inputs.show_examples:
            return None
        item = inputs.evidence(seen, name)
        if isinstance(item, np.ndarray):
            item.flags.writeable = False
        return item

    return validate_block(draw(tuple(_measured(inputs, seen)), read))


def describe_block_error(error: BaseException) -> str:
    """Say the class and the text of an error, in the same words at every rendering.

    That of a stack that is full depends on who called; that of an error that fails is none.
    """
    try:
        said = error.problem if isinstance(error, AuditorError) else str(error)
    except Exception:  # noqa: BLE001 -- an error of others
        said = ""
    if isinstance(error, RecursionError):
        said = ""
    text = ADDRESS.sub("at 0x…", " ".join(said.split()))
    short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return f"{type(error).__name__}: {short}" if short else type(error).__name__


def _measured(inputs: ReportInputs, seen: CheckObservation) -> Iterator[Measurement]:
    for item in inputs.record.readings:
        mine = (item.target, item.check) == (seen.target, seen.check)
        if mine and isinstance(item, Measurement):
            yield deepcopy(item)


MOST_SIDE = 1200
KINDS = ("L", "RGB", "RGBA")


def build_png_uri(raw: bytes) -> str:
    """Return a PNG file's first picture as a data URI.

    Raises ``BrokenCheckError`` where the bytes are no such file, or it is too wide or too high.
    """
    try:
        with Image.open(io.BytesIO(raw), formats=["PNG"]) as found:
            if max(found.size) > MOST_SIDE:
                raise BrokenCheckError(
                    f"a picture has {found.size[0]} x {found.size[1]} pixels",
                    cure=f"Give at most {MOST_SIDE} a side.",
                )
            bare = _pixels(found)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise BrokenCheckError(
            f"a picture is not a PNG file that can be read: {error}", cure="Give a PNG file."
        ) from None
    buffer = io.BytesIO()
    bare.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _pixels(found: Image.Image) -> Image.Image:
    if "transparency" in found.info:
        found = found.convert("RGBA")
    elif found.mode not in KINDS:
        found = found.convert("RGBA" if "A" in found.mode else "RGB")
    return Image.frombytes(found.mode, found.size, found.tobytes())


WITHOUT_LEAVE = (
    "A picture that stands here is not shown: the audit file does not permit it "
    "(show_examples: true)."
)
WIDE_FROM = 4
"""Columns of a table that takes the whole width."""
Cells: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class InlinePicture:
    """A picture of a block, as a data URI, with its alternative text and what stands below it."""

    uri: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class BlockSegment:
    """Neighbours of one kind: a paragraph, panels that stand beside each other, or a picture."""

    text: str = ""
    panels: tuple[FigurePanel, ...] = ()
    picture: InlinePicture | None = None


def split_block(
    block: ReportBlock, target: str, key: str, *, leave: bool
) -> tuple[BlockSegment, ...]:
    """Return the parts in order; pictures only with the owner's ``leave``.

    Raises ``BrokenCheckError`` for a picture that cannot be read.
    """
    found: list[BlockSegment] = []
    panels: list[FigurePanel] = []
    for at, part in enumerate(block.parts):
        if isinstance(part, BlockTable | BarChart | LineChart):
            panels.append(_panel(part, target, f"{key}-{at}"))
            continue
        found += _beside(panels)
        panels = []
        match part:
            case BlockParagraph():
                found.append(BlockSegment(part.text))
            case BlockImage():
                found.append(_picture(part, leave))
            case BlockPanel():
                found.append(BlockSegment(panels=(to_figure_panel(part, target, f"{key}-{at}"),)))
    return (*found, *_beside(panels))


def _beside(panels: list[FigurePanel]) -> list[BlockSegment]:
    return [BlockSegment(panels=tuple(panels))] if panels else []


def _picture(part: BlockImage, leave: bool) -> BlockSegment:  # noqa: FBT001 -- the owner's word, handed on
    if not leave:
        return BlockSegment(WITHOUT_LEAVE)
    return BlockSegment(picture=InlinePicture(build_png_uri(part.png), part.alt, part.caption))


def _panel(part: BlockTable | BarChart | LineChart, target: str, key: str) -> FigurePanel:
    match part:
        case BlockTable():
            return FigurePanel(
                title=part.caption,
                target=target,
                caption="",
                header=part.columns,
                rows=tuple(tuple(map(_cell, row)) for row in part.rows),
                wide=len(part.columns) >= WIDE_FROM,
            )
        case BarChart():
            drawn = [
                IntervalRow(escape_invisible(bar.label), bar.value, *_reach(bar, bar.value))
                for bar in part.bars
            ]
            # "per second" at each tick would leave room for one of them; the caption says it once.
            unit = Unit.NONE if part.unit is Unit.PER_SECOND else part.unit
            rows = [(bar.label, *_words(bar, bar.value, part.unit)) for bar in part.bars]
            return FigurePanel(
                title=part.title,
                target=target,
                caption="".join(_reference(part)),
                drawing=draw_interval_rows(key, part.title, drawn, unit, ideal=part.reference),
                header=_known(("", part.name, "Interval"), rows),
                rows=tuple(_known(row, rows) for row in rows),
            )
        case LineChart():
            spots = [LinePoint(point.x, point.y, *_reach(point, point.y)) for point in part.points]
            scales = LineAxes(
                escape_invisible(part.x_name),
                part.x_unit,
                escape_invisible(part.y_name),
                part.y_unit,
            )
            banded = any(point.low is not None for point in part.points)
            line_rows = [
                (format_number(point.x, part.x_unit), *_words(point, point.y, part.y_unit))
                for point in part.points
            ]
            return FigurePanel(
                title=part.title,
                target=target,
                caption="The band is the interval of each point." if banded else "",
                drawing=draw_line_plot(key, part.title, scales, spots),
                header=_known((part.x_name, part.y_name, "Interval"), line_rows),
                rows=tuple(_known(row, line_rows) for row in line_rows),
            )


def _cell(cell: str | BlockNumber) -> str:
    if isinstance(cell, str):
        return cell
    value, interval = _words(cell, cell.value, cell.unit)
    return f"{value} ({interval})" if interval else value


def _reference(bars: BarChart) -> Iterator[str]:
    yield f"{bars.name}{', per second' if bars.unit is Unit.PER_SECOND else ''}."
    if bars.reference is not None:
        at = format_number(bars.reference, bars.unit)
        yield f" The broken line: {bars.reference_name or 'reference'}, {at}."


def _known(row: Cells, rows: Sequence[Cells]) -> tuple[str, ...]:
    """Leave out the column of intervals where nothing has one."""
    return row if any(interval for *_, interval in rows) else row[:-1]


def _reach(of: ChartBar | ChartPoint, value: float) -> tuple[float, float]:
    return (value if of.low is None else of.low, value if of.high is None else of.high)


def _words(of: BlockNumber | ChartBar | ChartPoint, value: float, unit: Unit) -> tuple[str, str]:
    """Write a number and its interval as every figure is written."""
    said = format_measurement(
        Measurement(metric="", value=value, low=of.low, high=of.high, method="", n=0, unit=unit)
    )
    return said.value, said.interval
