"""The block of the report that a check brings: values that say what to show, and no markup."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from auditor.domain.checks import Check
from auditor.domain.evidence import Item
from auditor.domain.readings import Measurement, Unit


@dataclass(frozen=True, slots=True)
class Origin:
    """The distribution that brings a check, as the installed packages name it."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences."""

    text: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a table; with ``low`` and ``high`` it has an interval."""

    value: float
    unit: Unit = Unit.NONE
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts and numbers; the first cell of a row names it."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Number, ...], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One labelled value, with the ends of its interval where it has one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Values with their intervals on one scale; ``name`` says what they are.

    A broken line marks the ``reference``, where there is one.
    """

    title: str
    name: str
    bars: tuple[Bar, ...]
    unit: Unit = Unit.NONE
    reference: float | None = None
    reference_name: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """One place of a line, with the ends of its band where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through points whose ``x`` rises, with names and units of both axes."""

    title: str
    x_name: str
    y_name: str
    points: tuple[Point, ...]
    x_unit: Unit = Unit.NONE
    y_unit: Unit = Unit.NONE


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG file and what it shows in words; it is shown with the owner's leave alone."""

    png: bytes
    alt: str
    caption: str = ""


Part: TypeAlias = "Paragraph | Table | Bars | Line | Picture"


@dataclass(frozen=True, slots=True)
class Block:
    """What a check has to show of one target: a title, a sentence that leads, and parts."""

    title: str
    lead: str
    parts: tuple[Part, ...]


Reads: TypeAlias = "Callable[[str], Item | None]"
"""Returns a copy of one item of evidence by its name, or ``None`` where it is not at hand."""
Draws: TypeAlias = Callable[[Sequence[Measurement], Reads], Block]
"""Makes a block of a check's measurements on one target and of its evidence there: pure."""


def block_of(check: Check | type[Check]) -> Draws | None:
    """Return how a check makes its block, a function of its class named ``block``; most have none.

    What it returns comes from the check's package, and is believed after ``examined`` alone.
    """
    found: Draws | None = getattr(check, "block", None)
    return found
