"""Marks that tell series apart without colour; later ones are larger, to be seen behind others."""

from markupsafe import Markup

from auditor.rendering.plots.svg import dot, path, square

SERIES = 5
"""How many series a plot can tell apart."""


def mark(series: int, x: float, y: float, class_: str) -> Markup:
    """Draw the mark of a series: dot, square, triangle, diamond or cross."""
    if series == 0:
        return dot(x, y, class_)
    if series == 1:
        return square(x, y, class_)
    return path([(x + a, y + b) for a, b in _OUTLINES[series]], class_, closed=True)


_OUTLINES = {
    2: ((0, -8), (7.5, 6), (-7.5, 6)),
    3: ((0, -9), (9, 0), (0, 9), (-9, 0)),
    4: ((-3, -9), (3, -9), (3, -3), (9, -3), (9, 3), (3, 3), (3, 9), (-3, 9), (-3, 3), (-9, 3),
        (-9, -3), (-3, -3)),
}  # fmt: skip
