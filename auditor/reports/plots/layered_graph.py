"""Draws a layered graph as SVG: boxes in columns, joined by arrows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.reports.plots.svg import (
    SvgDrawing,
    draw_path,
    draw_rect,
    draw_text,
    shorten_label,
    write_element,
)

WIDTH, EDGE = 948, 2
BOX, TALL, GAP, HEAD = 188.0, 42.0, 10.0, 24.0
BEND, POINT = 30.0, 5.0
LONGEST_NAME, LONGEST_WORDS = 30, 31


@dataclass(frozen=True, slots=True)
class GraphBox:
    """A node: its column, a name, what stands below it, and ``whole``, what a pointer shows.

    ``tone`` is the class that colours its edge.
    """

    key: str
    column: int
    name: str
    words: str
    whole: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class GraphArrow:
    """What came of a box, by their keys."""

    source: str
    destination: str


def draw_layered_graph(
    key: str,
    title: str,
    heads: Sequence[str],
    boxes: Sequence[GraphBox],
    arrows: Iterable[GraphArrow],
) -> SvgDrawing:
    """Draw boxes in the columns ``heads``, in the order given, and arrows that lead rightwards.

    Columns are centred on the tallest, so that few lines cross.
    """
    columns = [[box for box in boxes if box.column == at] for at in range(len(heads))]
    most = max(map(len, columns))
    whole = most * (TALL + GAP) - GAP
    step = (WIDTH - EDGE - BOX) / (len(heads) - 1)
    corners: dict[str, tuple[float, float]] = {}
    for at, column in enumerate(columns):
        top = HEAD + (whole - (len(column) * (TALL + GAP) - GAP)) / 2
        for place, box in enumerate(column):
            corners[box.key] = (at * step, top + place * (TALL + GAP))
    shapes = [
        *(draw_text(at * step, 12, head, "strip-title") for at, head in enumerate(heads)),
        *(_arrow(corners[item.source], corners[item.destination]) for item in arrows),
        *(_box(box, *corners[box.key]) for box in boxes),
    ]
    told = "; ".join(f"{box.name}: {box.words}" for box in boxes)
    described = f"{told}. The table below lists every edge."
    height = round(HEAD + whole) + 2
    return SvgDrawing(
        key=key,
        title=title,
        description=described,
        width=WIDTH,
        height=height,
        shapes=tuple(shapes),
    )


def _box(box: GraphBox, x: float, y: float) -> Markup:
    return write_element(
        "g",
        write_element("title", box.whole),
        draw_rect(x + 0.5, y + 0.5, BOX - 1, TALL - 1, "node"),
        draw_rect(x, y, 4, TALL, f"node-edge {box.tone}".rstrip()),
        draw_text(x + 12, y + 17, shorten_label(box.name, LONGEST_NAME), "label"),
        draw_text(x + 12, y + 33, shorten_label(box.words, LONGEST_WORDS), "node-words"),
    )


def _arrow(source: tuple[float, float], destination: tuple[float, float]) -> Markup:
    x, y = source[0] + BOX, source[1] + TALL / 2
    end, level = destination[0], destination[1] + TALL / 2
    curve = f"M{x:.1f} {y:.1f} C{x + BEND:.1f} {y:.1f} {end - BEND:.1f} {level:.1f} "
    return write_element(
        "g",
        write_element("path", d=f"{curve}{end - POINT:.1f} {level:.1f}", class_="flow"),
        draw_path(list(_head(end, level)), "flow-head", closed=True),
    )


def _head(x: float, y: float) -> Iterator[tuple[float, float]]:
    yield from ((x, y), (x - POINT - 1, y - POINT + 1), (x - POINT - 1, y + POINT - 1))
