"""What a selftest found: a row a specimen, and a table a defect."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.canonical import Json
from auditor.domain.intervals import Interval
from auditor.stats.proportions import clopper_pearson
from auditor.zoo.specimens import Specimen

CONFIDENCE = 0.95


class Seen(StrEnum):
    """What became of one specimen; a broken one is neither found nor quiet.

    An undecided clean twin was not alarmed, and could not have been: nothing was measured of it.
    """

    FOUND = "found"
    MISSED = "missed"
    QUIET = "quiet"
    FALSE_ALARM = "false_alarm"
    UNDECIDED = "undecided"
    BROKEN = "broken"


GOOD = frozenset({Seen.FOUND, Seen.QUIET})


@dataclass(frozen=True, slots=True)
class Row:
    """One specimen: what was seen, ``by`` which rules or steps, and ``why`` where it went wrong.

    ``outcomes`` hold what became of each rule. ``seconds`` are those of making and auditing it.
    """

    specimen: Specimen
    seen: Seen
    seconds: float
    by: tuple[str, ...] = ()
    why: str = ""
    outcomes: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Return the row of the report."""
        of = self.specimen
        return {
            "name": of.name,
            "family": of.family,
            "defect": of.defect,
            "strength": of.strength,
            "architecture": of.architecture,
            "seed": of.seed,
            "planted": of.planted,
            "seen": self.seen.value,
            "by": list(self.by),
            "why": self.why,
            "outcomes": dict(self.outcomes),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Tally:
    """The specimens of one defect at one strength, counted."""

    family: str
    defect: str
    strength: float | None
    rows: tuple[Row, ...]

    def count(self, seen: Seen) -> int:
        """Return how many specimens became that."""
        return sum(row.seen is seen for row in self.rows)

    @property
    def planted(self) -> int:
        """How many have the defect, the broken ones among them."""
        return sum(row.specimen.planted for row in self.rows)

    @property
    def clean(self) -> int:
        """How many are clean twins, the broken ones among them."""
        return len(self.rows) - self.planted

    @property
    def found(self) -> Interval | None:
        """The share of planted ones that were found."""
        return _share(self.count(Seen.FOUND), self.planted)

    @property
    def alarmed(self) -> Interval | None:
        """The share of clean twins that were falsely alarmed."""
        return _share(self.count(Seen.FALSE_ALARM), self.clean)

    @property
    def seconds(self) -> float:
        """How long they took together."""
        return sum(row.seconds for row in self.rows)

    def to_json(self) -> dict[str, Json]:
        """Return the line of the report."""
        return {
            "family": self.family,
            "defect": self.defect,
            "strength": self.strength,
            "planted": self.planted,
            "found": self.count(Seen.FOUND),
            "found_interval": _ends(self.found),
            "clean": self.clean,
            "false_alarms": self.count(Seen.FALSE_ALARM),
            "false_alarms_interval": _ends(self.alarmed),
            "undecided": self.count(Seen.UNDECIDED),
            "broken": self.count(Seen.BROKEN),
            "seconds": round(self.seconds, 3),
        }


def tallies(rows: Iterable[Row]) -> tuple[Tally, ...]:
    """Return one tally a defect and strength, in the order in which they came."""
    sorted_out: dict[tuple[str, str, float | None], list[Row]] = {}
    for row in rows:
        of = row.specimen
        sorted_out.setdefault((of.family, of.defect, of.strength), []).append(row)
    return tuple(Tally(*key, tuple(found)) for key, found in sorted_out.items())


@dataclass(frozen=True, slots=True)
class Report:
    """All that a selftest found; ``not_run`` are families by the modules that they lack."""

    scale: str
    rows: tuple[Row, ...]
    not_run: Mapping[str, Sequence[str]]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether every planted defect that was tried was found, and every clean twin quiet."""
        return all(row.seen in GOOD for row in self.rows)

    def to_json(self) -> dict[str, Json]:
        """Return the report as JSON."""
        seen = [row.seen for row in self.rows]
        planted = sum(row.specimen.planted for row in self.rows)
        return {
            "planted": planted,
            "found": seen.count(Seen.FOUND),
            "clean": len(self.rows) - planted,
            "false_alarms": seen.count(Seen.FALSE_ALARM),
            "undecided": seen.count(Seen.UNDECIDED),
            "broken": seen.count(Seen.BROKEN),
            "scale": self.scale,
            "seconds": round(self.seconds, 3),
            "not_run": {name: list(modules) for name, modules in self.not_run.items()},
            "defects": [item.to_json() for item in tallies(self.rows)],
            "rows": [row.to_json() for row in self.rows],
        }


def _share(count: int, of: int) -> Interval | None:
    return clopper_pearson(count, of, CONFIDENCE) if of else None


def _ends(interval: Interval | None) -> Json:
    return None if interval is None else [interval.low, interval.high]
