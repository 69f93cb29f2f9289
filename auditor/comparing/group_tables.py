"""One grouping's rows counted by what is true of them and what they were given."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.clusters import write_clusters
from auditor.domain.datasets import UNKNOWN, Dataset
from auditor.domain.evidence import Evidence, Item
from auditor.domain.intervals import Interval
from auditor.stats.cells import Counts, rates, tabulate
from auditor.stats.clusters import PROPORTION, clustered_shares
from auditor.stats.group_rates import (
    TWO,
    GroupRates,
    clustered_rates,
    independent_rates,
    renumbered,
    rows_in_clusters,
)
from auditor.stats.proportions import clopper_pearson

WANTED, GIVEN, RIGHT, SELECTED = 1, 2, 4, 8
"""Flags of a row: its label is the favourable class; it was given it; its decision is right; it
counts as selected, which is to be given the favourable class, or to score above the median."""
KINDS = 16
BASE = "base_rate"
EVERYONE = "rows"
AMONG = {
    "selection_rate": EVERYONE,
    "tpr": "rows whose label is the favourable class",
    "fpr": "rows whose label is another class",
    "ppv": "rows that were given the favourable class",
    "npv": "rows that were given another class",
    "accuracy": EVERYONE,
    BASE: EVERYONE,
}
"""Among what each rate is counted."""
Flags = NDArray[np.uint8]
Codes = NDArray[np.integer]
Chosen = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of one grouping: flags ``[n]``, groups ``[n]`` and, if any, clusters ``[n]``."""

    flags: Flags
    codes: Codes
    clusters: Codes | None

    def of(self, rate: str) -> tuple[Chosen, Chosen]:
        """Return which rows a rate is counted among, and which of all rows are its hits."""
        wanted, given = self.flags & WANTED > 0, self.flags & GIVEN > 0
        everyone = np.ones_like(wanted)
        table = {
            "selection_rate": (everyone, self.flags & SELECTED > 0),
            "tpr": (wanted, given),
            "fpr": (~wanted, given),
            "ppv": (given, wanted),
            "npv": (~given, ~wanted),
            "accuracy": (everyone, self.flags & RIGHT > 0),
            BASE: (everyone, wanted),
        }
        return table[rate]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One grouping: its groups, which of them are ``compared``, and how often each rate is met.

    ``counts`` maps a rate to ``[groups, 2]``: how often, out of how many.
    """

    column: str
    groups: tuple[str, ...]
    compared: tuple[int, ...]
    rows: Rows
    counts: Mapping[str, Counts]

    @classmethod
    def of(cls, column: str, groups: Sequence[str], chosen: Sequence[str], rows: Rows) -> "Table":
        """Count the rows of a grouping; ``chosen`` are the groups that are compared."""
        cells = tabulate((rows.codes, rows.flags), (len(groups), KINDS))
        compared = tuple(at for at, name in enumerate(groups) if name in chosen)
        return cls(column, tuple(groups), compared, rows, counts_of(cells))

    @property
    def clustered(self) -> bool:
        """Whether rows come in clusters of several."""
        return self.rows.clusters is not None

    @property
    def names(self) -> tuple[str, ...]:
        """The groups that are compared."""
        return tuple(self.groups[at] for at in self.compared)

    def counted(self, rate: str) -> Counts:
        """Return ``[compared, 2]``: how often, out of how many."""
        return self.counts[rate][list(self.compared)]

    def known(self, rate: str) -> Chosen:
        """Return which groups have a rate with an interval: by rows, or rows of two clusters."""
        some: Chosen = self.counts[rate][:, 1] > 0
        if self.rows.clusters is None:
            return some
        among, _ = self.rows.of(rate)
        codes = self.rows.codes[among]
        return rows_in_clusters(codes, len(self.groups), self.rows.clusters[among]) >= TWO

    def alone(self, rate: str, confidence: float) -> tuple[Interval | None, ...]:
        """Return each group's rate with an interval for that group alone."""
        known = self.known(rate)
        if self.rows.clusters is None:
            return tuple(
                clopper_pearson(int(hits), int(rows), confidence) if there else None
                for (hits, rows), there in zip(self.counts[rate], known, strict=True)
            )
        found: list[Interval | None] = [None] * len(self.groups)
        if not known.any():
            return tuple(found)
        hits, clusters, kinds = self.among(rate, self.rows.clusters, known)
        shares = clustered_shares(hits, kinds, clusters, confidence)
        for at, value, low, high in zip(np.flatnonzero(known), *shares[:3], strict=True):
            rows = int(self.counts[rate][at, 1])
            limits = float(value), float(low), float(high)
            found[at] = Interval(*limits, confidence, PROPORTION, rows)
        return tuple(found)

    def together(self, rate: str, confidence: float, family: int) -> GroupRates:
        """Return the rates of the compared groups with limits for all pairs of them at once.

        Raises ``ValueError`` where fewer than two have one.
        """
        if self.rows.clusters is None:
            counts = self.counted(rate)
            return independent_rates(counts[:, 0], counts[:, 1], confidence, family)
        chosen = np.isin(np.arange(len(self.groups)), self.compared)
        hits, clusters, kinds = self.among(rate, self.rows.clusters, chosen)
        return clustered_rates(hits, (kinds, len(self.compared)), clusters, confidence, family)

    def among(self, rate: str, clusters: Codes, chosen: Chosen) -> tuple[Chosen, Codes, Codes]:
        """Return hits, clusters, and groups from 0 of the rows of a rate and of chosen groups."""
        counted, hits = self.rows.of(rate)
        inside, kinds = renumbered(self.rows.codes[counted], chosen)
        return hits[counted][inside], clusters[counted][inside], kinds


def of_groups(dataset: Dataset) -> dict[str, Item]:
    """Return the evidence of who is in which group, and in which cluster where any has several."""
    columns = dataset.groups.items()
    return {
        "codes": np.stack([_narrow(members.codes) for _, members in columns]),
        "columns": [{"name": name, "groups": list(members.names)} for name, members in columns],
        **write_clusters(dataset),
    }


def read_groups(evidence: Evidence) -> Iterator[tuple[str, tuple[str, ...], Codes]]:
    """Yield each column's name, its groups, and the group ``[n]`` of each row."""
    columns = cast("Sequence[Mapping[str, Json]]", evidence["columns"])
    for column, codes in zip(columns, cast("Sequence[Codes]", evidence["codes"]), strict=True):
        yield str(column["name"]), tuple(cast("Sequence[str]", column["groups"])), codes


def compared(
    groups: Sequence[str], rows: Sequence[int], least_share: float, *, unknown: bool
) -> tuple[str, ...]:
    """Return the groups that are compared: large enough, and known unless ``unknown`` are too.

    ``rows`` says how many each has.
    """
    least = least_share * sum(rows)
    return tuple(
        name
        for name, count in zip(groups, rows, strict=True)
        if count >= least and (unknown or name != UNKNOWN)
    )


def flags_of(wanted: Chosen, given: Chosen, right: Chosen, selected: Chosen) -> Flags:
    """Return the flags of rows ``[n]``."""
    found: Flags = wanted.astype(np.uint8)
    for flag, rows in ((GIVEN, given), (RIGHT, right), (SELECTED, selected)):
        found |= rows.view(np.uint8) * np.uint8(flag)
    return found


def counts_of(cells: Counts) -> Mapping[str, Counts]:
    """Return each rate's ``[groups, 2]`` from rows ``[groups, KINDS]`` by their flags."""
    by_flag = cells.reshape(len(cells), 2, 2, 2, 2)  # selected, right, given, wanted
    confusion = by_flag.sum(axis=(1, 2)).swapaxes(1, 2)
    everyone = cells.sum(axis=1)
    hits = {
        "selection_rate": by_flag[:, 1].sum(axis=(1, 2, 3)),
        "accuracy": by_flag[:, :, 1].sum(axis=(1, 2, 3)),
        BASE: confusion[:, 1].sum(axis=1),
    }
    counted = {name: np.stack((found, everyone), axis=-1) for name, found in hits.items()}
    return {**rates(confusion), **counted}


def _narrow(codes: Codes) -> Codes:
    return codes.astype(np.min_scalar_type(int(codes.max(initial=0))))
