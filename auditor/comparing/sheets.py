"""What confirmed clusters are made of: the rows nearest to each centre, and their labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.clustering import Clusters
from auditor.comparing.slices import Outcome
from auditor.domain.canonical import Json
from auditor.domain.datasets import TEXT
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Measurement, Reading
from auditor.domain.tasks import Array

MOST_SHEETS = 8
MOST_LETTERS = 160
"""Of a text that a sheet shows: its opening."""
TABLE = 2
"""Axes of inputs that are no pictures."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a sheet: the row's ``place`` in the sample, and how far from the centre it lies."""

    cluster: str
    place: int
    distance: float
    wrong: bool

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form."""
        return {
            "cluster": self.cluster,
            "place": self.place,
            "distance": self.distance,
            "wrong": self.wrong,
        }


def sheet(
    outcome: Outcome, found: Clusters, wrong: NDArray[np.bool_], most: int
) -> tuple[Entry, ...]:
    """Return, for each confirmed cluster, the ``most`` rows nearest to its centre."""
    entries = list[Entry]()
    for item in outcome.confirmed[:MOST_SHEETS]:
        ((column, level),) = item.conditions
        name, apart = outcome.names.levels[column][level], found.distances[column]
        entries += [
            Entry(name, int(at), float(apart[at]), bool(wrong[at]))
            for at in found.nearest(column, level, most)
        ]
    return tuple(entries)


def as_shown(rows: Array) -> Evidence:
    """Return pictures as they are and texts by their openings; a table's rows stay away."""
    if rows.dtype.kind == TEXT:
        return {"sheet_texts": [str(text)[:MOST_LETTERS] for text in rows.reshape(-1).tolist()]}
    return {"sheet_inputs": rows} if rows.ndim > TABLE else {}


def told(reading: Reading, evidence: Evidence, outcome: Outcome) -> Reading:
    """Say from where clusters come, and of a confirmed one how its held-out rows are labelled."""
    if not isinstance(reading, Measurement):
        return reading
    task = cast("Mapping[str, Json]", evidence["task"])
    more = dict(_contents(reading, evidence, outcome)) if reading.slice else {}
    return replace(reading, details={**reading.details, "view": task["view"], **more})


def _contents(
    reading: Measurement, evidence: Evidence, outcome: Outcome
) -> Iterator[tuple[str, Json]]:
    classes = cast("Mapping[str, Sequence[str]]", evidence["task"])["classes"]
    held_out = ~cast("NDArray[np.bool_]", evidence["searched"])
    codes = cast("NDArray[np.uint8]", evidence["codes"])
    inside = next(
        codes[column] == level
        for item in outcome.confirmed
        for column, level in item.conditions
        if outcome.names.of(item.conditions) == reading.slice
    )
    for name in ("labels", "decided"):
        if name in evidence:
            given = cast("NDArray[np.int16]", evidence[name])[inside & held_out]
            yield name, dict(tallies(classes, given))


def tallies(names: Sequence[str], codes: NDArray[np.integer]) -> Mapping[str, int]:
    """Count codes by their names, leaving out what does not occur."""
    counts = np.bincount(codes, minlength=len(names))
    return {names[at]: int(counts[at]) for at in np.flatnonzero(counts).tolist()}
