"""What a benchmark measured, in the one form that the table of all benchmarks is made of.

A script tells its figures beside what it prints; they reach the table where ``table.py`` runs the
script, and go nowhere where a person does.
"""

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

PLACE = "AUDITOR_BENCH_FIGURES"
"""The variable that names the file in which figures are put down, a line each."""
Better = Literal["more", "less"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure, which is best as a ratio of two things of one run.

    ``low`` and ``high`` are its range over ``n`` rounds, or an interval; ``against`` is the peer
    with its version, or the floor that physics sets. ``goal`` is kept by ``value`` on the side
    that is ``better``.
    """

    area: str
    name: str
    value: float
    low: float
    high: float
    n: int
    against: str
    better: Better
    unit: str = "x"
    goal: float | None = None

    @property
    def kept(self) -> bool | None:
        """Whether the goal is kept; nothing where there is none."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.better == "more" else self.value <= self.goal


def over(  # noqa: PLR0913 -- mirrors the fields of a figure
    area: str,
    name: str,
    rounds: Sequence[float],
    against: str,
    *,
    better: Better = "more",
    unit: str = "x",
    goal: float | None = None,
) -> Figure:
    """Return the median of some rounds with their range."""
    return Figure(
        area=area,
        name=name,
        value=float(statistics.median(rounds)),
        low=float(min(rounds)),
        high=float(max(rounds)),
        n=len(rounds),
        against=against,
        better=better,
        unit=unit,
        goal=goal,
    )


def tell(*figures: Figure) -> None:
    """Put figures down."""
    for figure in figures:
        _put({"figure": asdict(figure)})


def absent(what: str, why: str) -> None:
    """Put down what could not be measured: a missing figure is told like one that is there."""
    _put({"absent": {"what": what, "why": why}})


def read(path: Path) -> tuple[list[Figure], list[dict[str, str]]]:
    """Return what a script put down: its figures, and what is absent."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    figures = [Figure(**line["figure"]) for line in found if "figure" in line]
    return figures, [line["absent"] for line in found if "absent" in line]


def _put(line: dict[str, Any]) -> None:
    place = os.environ.get(PLACE)
    if place:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
