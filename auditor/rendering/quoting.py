"""A text as a page shows it: what it quotes as code, and no longer than there is room for."""

import re

from markupsafe import Markup, escape

from auditor.rendering.numbers import count
from auditor.rendering.visible import visible

LONGEST_NAME = 200
"""Of a title where it only points at what has it whole; lint warns of longer ones."""
QUOTED = re.compile(r"`([^`]+)`")


def coded(text: str) -> Markup:
    """Return escaped text in which each part between two backticks is code."""
    said = QUOTED.split(visible(text))
    parts = (
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(said)
    )
    return Markup("").join(parts)


def shortened(text: str, longest: int | None = None) -> str:
    """Return text with what cannot be seen written out, cut after ``longest`` characters if any.

    What is cut says how much is missing.
    """
    more = 0 if longest is None else len(text) - longest
    return visible(text) if more <= 0 else f"{visible(text[:longest])}… [{count(more)} more]"


def unbroken(text: str) -> str:
    """Return figures as they stand in narrow cells: no line ends between a number and its unit."""
    return re.sub(r"(?<=\d) (?=[^\d\s(])", "\N{NO-BREAK SPACE}", text)


def brief(text: str) -> str:
    """Return a title as it stands where it only points at the place that has it whole."""
    shown = visible(text[: LONGEST_NAME + 1])
    return shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"
