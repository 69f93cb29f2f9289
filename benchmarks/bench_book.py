"""The book of figures: what is known of each, how a run adds to it, and what has moved since."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from figures import Figure

ALONE, AROUND = 0.25, 0.05
"""How far a figure of a single round, and one with a range, may go before it has moved."""
Occasion = Mapping[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one script: its figures, what is absent, and why it failed, if it did."""

    script: str
    occasion: Occasion
    figures: Sequence[Figure] = ()
    absent: Sequence[Mapping[str, str]] = ()
    problem: str = ""

    @classmethod
    def parse(cls, raw: str) -> "Result":
        """Read a result that was kept."""
        said = json.loads(raw)
        return cls(**{**said, "figures": [Figure(**item) for item in said["figures"]]})

    def emit(self) -> str:
        """Return the form in which it is kept."""
        return json.dumps({**asdict(self)}, indent=1, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Book:
    """All figures by script and name, each with the occasion on which it was measured.

    ``run`` is when the latest run began: a figure of an earlier one was not measured again.
    """

    run: str = ""
    figures: Mapping[Key, tuple[Figure, Occasion]] = field(default_factory=dict)
    absent: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Book":
        """Read a book; where there is none yet, it is empty."""
        if not path.exists():
            return cls()
        said = json.loads(path.read_text(encoding="utf-8"))
        figures = {
            (item["script"], item["figure"]["name"]): (
                Figure(**item["figure"]),
                said["occasions"][item["occasion"]],
            )
            for item in said["figures"]
        }
        return cls(said["run"], figures, said["absent"])

    def save(self, path: Path) -> None:
        """Write the book; each occasion stands once."""
        occasions: dict[str, Occasion] = {}
        figures = []
        for (script, _), (figure, occasion) in self.figures.items():
            name = f"{script} {occasion['at']}"
            occasions[name] = occasion
            figures.append({"script": script, "occasion": name, "figure": asdict(figure)})
        said = {
            "run": self.run,
            "occasions": occasions,
            "figures": figures,
            "absent": dict(self.absent),
        }
        path.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def with_result(self, result: Result) -> "Book":
        """Return the book after a script has run.

        Figures that it could not measure this time stay, with their older date; what is absent, and
        that the script failed, is said until a later run brings it. Where neither is so, a figure
        that it told no more is one that no command prints, and goes.
        """
        measured = {
            (result.script, figure.name): (figure, result.occasion) for figure in result.figures
        }
        gone = [dict(item) for item in result.absent]
        if result.problem:
            gone.append({"what": "the script fails", "why": result.problem})
        kept = {key: it for key, it in self.figures.items() if gone or key[0] != result.script}
        return replace(
            self,
            run=max(self.run, str(result.occasion["run"])),
            figures={**kept, **measured},
            absent={**self.absent, result.script: gone},
        )


@dataclass(frozen=True, slots=True)
class Move:
    """A figure that has left its range, or is missing now."""

    script: str
    before: Figure
    now: Figure | None
    differs: Sequence[str] = ()

    @property
    def worse(self) -> bool:
        """Whether it moved to the bad side; a figure that is missing did."""
        if self.now is None:
            return True
        return (self.now.value < self.before.value) == (self.before.better == "more")

    def __str__(self) -> str:
        """Return a line that says what moved and what differs."""
        before = self.before
        head = f"{'worse ' if self.worse else 'better'}  {before.area}: {before.name}: "
        tail = "; ".join(self.differs) or "nothing that is known differs"
        if self.now is None:
            return f"{head}{shown(before)} before, missing now; {tail}"
        by = f"{self.now.value / before.value - 1:+.0%}" if before.value else "from nothing"
        return f"{head}{shown(before)} before, {shown(self.now)} now ({by}); {tail}"


def moves(book: Book, results: Sequence[Result]) -> Iterator[Move]:
    """Yield what a fresh run measured otherwise than the book says, beyond both ranges."""
    for result in results:
        fresh = {figure.name: figure for figure in result.figures}
        for (script, name), (before, occasion) in book.figures.items():
            if script != result.script:
                continue
            now = fresh.get(name)
            if now is None or not overlap(before, now):
                yield Move(script, before, now, differences(occasion, result))


def overlap(before: Figure, now: Figure) -> bool:
    """Whether the ranges of two figures meet, each as wide as its rounds are worth."""
    (low, high), (least, most) = _range(before), _range(now)
    return low <= most and least <= high


def _range(figure: Figure) -> tuple[float, float]:
    room = (ALONE if figure.n == 1 else AROUND) * abs(figure.value)
    return min(figure.low, figure.value - room), max(figure.high, figure.value + room)


def differences(before: Occasion, result: Result) -> list[str]:
    """Return what may explain a move: all that the two occasions do not share."""
    now = result.occasion
    plain = ("commit", "machine", "cores", "memory_gb", "load", "python", "command")
    found = [
        f"{name} {before.get(name)} → {now.get(name)}"
        for name in plain
        if before.get(name) != now.get(name)
    ]
    old, new = before.get("versions", {}), now.get("versions", {})
    found += [
        f"{name} {old.get(name)} → {new.get(name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    if result.problem:
        found.append(f"the script fails: {result.problem}")
    return found + [f"{item['what']}: {item['why']}" for item in result.absent]


def number(value: float) -> str:
    """Return a number with three digits that count."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def shown(figure: Figure) -> str:
    """Return a figure with its unit and, where it has one, its range."""
    unit = "" if figure.unit == "x" else f" {figure.unit}"
    span = f" ({number(figure.low)} to {number(figure.high)})" if figure.low < figure.high else ""
    return f"{number(figure.value)}{unit}{span}"
