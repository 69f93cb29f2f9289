"""Selftest results: one row per specimen, totals by defect, and a file that lets a run resume."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from auditor import __version__
from auditor.domain.json import Json, JsonPart, read_fields, read_json, write_fields
from auditor.domain.readings import ConfidenceInterval
from auditor.errors import RecordError, UsageError
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.selftest.specimens import Specimen

CONFIDENCE = 0.95


class SpecimenOutcome(StrEnum):
    """What became of one specimen; a broken one is neither found nor quiet.

    An undecided clean twin was not alarmed, and could not have been: nothing was measured of it.
    """

    FOUND = "found"
    MISSED = "missed"
    QUIET = "quiet"
    FALSE_ALARM = "false_alarm"
    UNDECIDED = "undecided"
    BROKEN = "broken"


GOOD = frozenset({SpecimenOutcome.FOUND, SpecimenOutcome.QUIET})


@dataclass(frozen=True, slots=True)
class SpecimenResult:
    """One specimen: what was seen, ``by`` which rules or steps, and ``why`` where it went wrong.

    ``outcomes`` hold what became of each rule. ``seconds`` are those of making and auditing it.
    """

    specimen: Specimen
    seen: SpecimenOutcome
    seconds: float
    by: tuple[str, ...] = ()
    why: str = ""
    outcomes: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Return the row of the report."""
        said = write_fields(replace(self, seconds=round(self.seconds, 3)))
        del said["specimen"]
        return {"name": self.specimen.name, **write_fields(self.specimen), **said}


@dataclass(frozen=True, slots=True)
class DefectTally:
    """The specimens of one defect at one strength, counted."""

    family: str
    defect: str
    strength: float | None
    rows: tuple[SpecimenResult, ...]

    def count(self, seen: SpecimenOutcome) -> int:
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
    def found(self) -> ConfidenceInterval | None:
        """The share of planted ones that were found."""
        return _share(self.count(SpecimenOutcome.FOUND), self.planted)

    @property
    def alarmed(self) -> ConfidenceInterval | None:
        """The share of clean twins that were falsely alarmed."""
        return _share(self.count(SpecimenOutcome.FALSE_ALARM), self.clean)

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
            "found": self.count(SpecimenOutcome.FOUND),
            "found_interval": _ends(self.found),
            "clean": self.clean,
            "false_alarms": self.count(SpecimenOutcome.FALSE_ALARM),
            "false_alarms_interval": _ends(self.alarmed),
            "undecided": self.count(SpecimenOutcome.UNDECIDED),
            "broken": self.count(SpecimenOutcome.BROKEN),
            "seconds": round(self.seconds, 3),
        }


def tally_defects(rows: Iterable[SpecimenResult]) -> tuple[DefectTally, ...]:
    """Return one tally a defect and strength, in the order in which they came."""
    sorted_out: dict[tuple[str, str, float | None], list[SpecimenResult]] = {}
    for row in rows:
        of = row.specimen
        sorted_out.setdefault((of.family, of.defect, of.strength), []).append(row)
    return tuple(DefectTally(*key, tuple(found)) for key, found in sorted_out.items())


@dataclass(frozen=True, slots=True)
class SelftestReport:
    """All that a selftest found; ``not_run`` are families by the modules that they lack."""

    scale: str
    rows: tuple[SpecimenResult, ...]
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
            "found": seen.count(SpecimenOutcome.FOUND),
            "clean": len(self.rows) - planted,
            "false_alarms": seen.count(SpecimenOutcome.FALSE_ALARM),
            "undecided": seen.count(SpecimenOutcome.UNDECIDED),
            "broken": seen.count(SpecimenOutcome.BROKEN),
            "scale": self.scale,
            "seconds": round(self.seconds, 3),
            "not_run": {name: list(modules) for name, modules in self.not_run.items()},
            "defects": [item.to_json() for item in tally_defects(self.rows)],
            "rows": [row.to_json() for row in self.rows],
        }


def _share(count: int, of: int) -> ConfidenceInterval | None:
    return clopper_pearson(count, of, CONFIDENCE) if of else None


def _ends(interval: ConfidenceInterval | None) -> Json:
    return None if interval is None else [interval.low, interval.high]


BY = "auditor"


def read_result_rows(path: Path) -> Mapping[str, SpecimenResult]:
    """Return the rows of a file by the names of their specimens; none where there is no file.

    A last line that was torn off is taken away, so that others can be written behind. Raises
    ``UsageError`` where the file holds something else, or what another version of auditor found.
    """
    if not path.exists():
        return {}
    text = path.read_text("utf-8")
    whole = text[: text.rfind("\n") + 1]
    rows = [_row(path, number, line) for number, line in enumerate(whole.splitlines(), 1)]
    if whole != text:
        path.write_text(whole, "utf-8")
    return {row.specimen.name: row for row in rows}


def append_result_row(path: Path, row: SpecimenResult) -> None:
    """Add a row to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({BY: __version__, **row.to_json()}, sort_keys=True) + "\n")


def _row(path: Path, number: int, line: str) -> SpecimenResult:
    try:
        told: dict[str, Any] = json.loads(line)
        by: Json = told[BY]
        specimen = read_json(Specimen, told, "row")
        found = read_fields(SpecimenResult, JsonPart(told, "row"), specimen=specimen)
    except (ValueError, TypeError, KeyError, RecordError) as error:
        raise UsageError(
            f"line {number} of {path} is not a row of a selftest: {type(error).__name__}: {error}",
            cure="Name a new file, or one that a selftest wrote.",
        ) from error
    if by != __version__:
        raise UsageError(
            f"line {number} of {path} was written by auditor {by}, and this is {__version__}",
            cure="Name a new file: what one version finds says nothing of another.",
        )
    return found
