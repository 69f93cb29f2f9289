"""One of two records to compare: its figures at any confidence, and what each row adds to them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.domain.clusters import read_clusters
from auditor.domain.observed import Result, Seen
from auditor.domain.policies import Policy
from auditor.domain.readings import Measurement
from auditor.domain.records import AuditRecord
from auditor.domain.rows import IDS, RowFigures, by_row
from auditor.measuring import readings
from auditor.moving.values import Place

Ids = NDArray[np.str_]
Clusters = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What each row ``[n]``, named by ``ids``, adds to one figure."""

    ids: Ids
    values: NDArray[np.bool_] | NDArray[np.float64]
    clusters: Clusters | None


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A record with its policy and whatever of its evidence can be read here.

    Figures whose evidence is not at hand (withheld rows, a check of another version) are taken as
    they are signed.
    """

    record: AuditRecord
    policy: Policy
    results: tuple[Result, ...]

    def signed(self) -> Mapping[Place, Measurement]:
        """Return the record's measurements by their places."""
        found = (item for item in self.record.readings if isinstance(item, Measurement))
        return {Place.of(item): item for item in found}

    def at(self, confidence: float) -> Mapping[Place, Measurement]:
        """Return the measurements at a confidence, by their places."""
        again = readings([item for item in self.results if isinstance(item, Seen)], confidence)
        fresh = {Place.of(item): item for item in again if isinstance(item, Measurement)}
        return {
            place: fresh.get(place) or widened(item, confidence)
            for place, item in self.signed().items()
        }

    def rows(self) -> Mapping[Place, Rows]:
        """Return what each row adds to those figures that are means over rows."""
        signed = self.signed()
        found: dict[Place, Rows] = {}
        for seen in (item for item in self.results if isinstance(item, Seen)):
            for added, rows in _added(seen):
                place = Place.of(_named(seen, added))
                if place in signed and _is_mean(signed[place], rows):
                    found[place] = rows
        return found


def widened(measurement: Measurement, confidence: float) -> Measurement:
    """Return a measurement at another confidence, as if its interval were a normal one.

    It is what is left where the evidence is not at hand.
    """
    low, high, value = measurement.low, measurement.high, measurement.value
    known = measurement.confidence
    if low is None or high is None or known is None or not isinstance(value, float | int):
        return measurement
    factor = float(ndtri((1 + confidence) / 2) / ndtri((1 + known) / 2))
    return replace(
        measurement,
        low=value - factor * (value - low),
        high=value + factor * (high - value),
        confidence=confidence,
        method=f"{measurement.method}, widened",
    )


def _added(seen: Seen) -> list[tuple[RowFigures, Rows]]:
    adds = by_row(seen.check).adds
    if adds is None or IDS not in seen.evidence:
        return []
    ids = np.asarray(cast("list[str]", seen.evidence[IDS]), dtype=np.str_)
    clusters = read_clusters(seen.evidence)
    return [(item, Rows(ids, item.values, clusters)) for item in adds(seen.evidence)]


def _named(seen: Seen, added: RowFigures) -> Measurement:
    origin = seen.observation
    return Measurement(
        metric=added.metric,
        value=None,
        method="",
        n=0,
        params=added.params,
        target=origin.target,
        check=origin.check,
    )


def _is_mean(measurement: Measurement, rows: Rows) -> bool:
    """Whether a figure is the mean of its rows: what a check says of rows is not taken on trust."""
    value = measurement.value
    if isinstance(value, bool | str) or value is None or not len(rows.values):
        return False
    return bool(np.isclose(float(rows.values.mean()), value, rtol=1e-9, atol=1e-12))
