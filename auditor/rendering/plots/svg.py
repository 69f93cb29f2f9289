"""A small typed way to write SVG: every value is escaped, every drawing has a name."""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

from auditor.rendering.visible import visible

Attribute = str | int | float


def element(name: str, *children: Markup | str, **attributes: Attribute) -> Markup:
    """Write one element; ``class_`` becomes ``class``, ``_`` in a name becomes ``-``."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
    )
    inside = "".join(
        child if isinstance(child, Markup) else escape(visible(child)) for child in children
    )
    # Names of elements and attributes are ours, never the record's; all else was escaped.
    return Markup(f"<{name}{written}>{inside}</{name}>")  # noqa: S704


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A picture with a name and a description that screen readers read instead of it."""

    key: str
    title: str
    description: str
    width: int
    height: int
    shapes: tuple[Markup, ...]

    def svg(self) -> Markup:
        """Write the whole drawing, named by ``<title>`` and ``<desc>``; ``key`` keeps ids apart."""
        title, description = f"{self.key}-title", f"{self.key}-desc"
        return element(
            "svg",
            element("title", self.title, id=title),
            element("desc", self.description, id=description),
            *self.shapes,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {self.width} {self.height}",
            role="img",
            aria_labelledby=f"{title} {description}",
            class_="plot",
        )


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Draw a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    """Draw a rectangle; negative sizes are drawn as nothing."""
    return element("rect", x=x, y=y, width=max(0.0, width), height=max(0.0, height), class_=class_)


def path(points: Iterable[tuple[float, float]], class_: str, *, closed: bool = False) -> Markup:
    """Draw a line through points."""
    steps = " L".join(f"{_value(x)} {_value(y)}" for x, y in points)
    return element("path", d=f"M{steps}{' Z' if closed else ''}", class_=class_)


def text(x: float, y: float, words: str, class_: str = "label", anchor: str = "start") -> Markup:
    """Write words; ``anchor`` is ``start``, ``middle`` or ``end``."""
    return element("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def dot(x: float, y: float, class_: str, radius: float = 4) -> Markup:
    """Draw a round mark."""
    return element("circle", cx=x, cy=y, r=radius, class_=class_)


def square(x: float, y: float, class_: str, half: float = 5.5) -> Markup:
    """Draw a square mark."""
    return rect(x - half, y - half, 2 * half, 2 * half, class_)


def shortened(words: str, most: int) -> str:
    """Cut words that would run out of the drawing; the table beside it has them whole."""
    return words if len(words) <= most else words[: most - 1] + "…"


def _value(value: Attribute) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
