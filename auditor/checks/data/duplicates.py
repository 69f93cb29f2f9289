"""Whether rows of the data stand twice, and whether their copies bear other labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import missing_labels_gap, read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Measurement, Reading, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.domain.tasks import ClassificationTask
from auditor.metrics.data.near_duplicates import (
    NEARLY,
    ComparableRows,
    NearDuplicateRule,
    build_comparable_rows,
    conflicting_groups,
    count_extra_rows,
    count_near_rows,
    find_duplicates,
    largest_groups,
    shuffle_columns,
)

SECONDS_A_ROW = 3e-5
EQUAL = "every row compared with every other one by its digest"


@dataclass(frozen=True, slots=True)
class DuplicateCheck:
    """Rows that repeat an earlier row, exactly or nearly, and copies whose labels contradict.

    Rows of a table are near where all but ``columns`` of their columns are equal, or where
    measured numbers lie within ``tolerance`` of the column's spread and all else is equal;
    pictures where their grey values, centred and scaled to length one, lie within ``distance``;
    texts where they share ``shingles`` of their runs of five letters. What is exact is counted over
    the whole file and has no interval. What is near is looked for among candidates, so that there
    is at least as much of it. Tables of few columns repeat themselves: ``by_chance`` in the
    details is the same share after each column was shuffled.
    """

    columns: int = 1
    tolerance: float = 1e-3
    distance: float = 0.1
    shingles: float = 0.8
    listed: int = 20

    id: ClassVar[str] = "data.duplicates"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Duplicates in the data"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.TRAINING})
    uses: ClassVar[tuple[str, ...]] = ()
    coordinates: ClassVar[frozenset[str]] = frozenset({"data"})
    emits: ClassVar[Mapping[str, Metric]] = {
        "exact_share": Metric(
            "Rows that repeat an earlier one", Unit.SHARE, higher_is_better=False, exact=True
        ),
        "conflicting_share": Metric(
            "Rows that have an equal row with another label",
            Unit.SHARE,
            higher_is_better=False,
            exact=True,
        ),
        "near_share": Metric(
            "Rows that nearly repeat another one",
            Unit.SHARE,
            BoundKind.AT_LEAST,
            higher_is_better=False,
            exact=True,
        ),
        "near_conflicting_share": Metric(
            "Rows that have a nearly equal row with another label",
            Unit.SHARE,
            BoundKind.AT_LEAST,
            higher_is_better=False,
            exact=True,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.1"),
        FrameworkControl("iso-42001", "A.7.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: AuditSize) -> CheckCost:
        """Ask the model nothing."""
        rows = size.rows + size.beside.get(DatasetRole.TRAINING.value, 0)
        return CheckCost(seconds=SECONDS_A_ROW * rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Promise none: counts of a whole file are exact."""
        return {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Compare rows; keep the ids, labels and groups of those that stand twice."""
        seen: dict[str, NDArray[np.generic] | Json] = {"samples": []}
        for role in (DatasetRole.EVALUATION, DatasetRole.TRAINING):
            dataset = subject.datasets.get(role)
            if dataset is None:
                continue
            cast("list[Json]", seen["samples"]).append(role.value)
            rows = build_comparable_rows(dataset, subject.space)
            if isinstance(rows, Gap):
                seen[role.value] = {"gap": write_gap(rows)}
            else:
                seen |= self._survey(subject, dataset, rows)
        return seen

    def _survey(self, subject: Subject, dataset: Dataset, rows: ComparableRows) -> Evidence:
        role, likeness = dataset.role.value, self._likeness()
        found = find_duplicates(rows, likeness)
        members = np.union1d(found.exact[:, 0], found.near[:, 0])
        mixed = shuffle_columns(rows, subject.seed)
        chance = None
        if mixed is not None:
            again = find_duplicates(mixed, likeness)
            copies = {
                "exact": count_extra_rows(again.exact),
                "near": count_near_rows(again.exact, again.near),
            }
            chance = {how: count / dataset.rows for how, count in copies.items()}
        return {
            role: {"rows": dataset.rows, "kind": rows.kind.value, "by_chance": chance},
            f"{role}_rows": members,
            f"{role}_ids": np.array([dataset.ids[row] for row in members], dtype=np.str_),
            f"{role}_exact": found.exact,
            f"{role}_near": found.near,
            **_truth(subject, dataset, members),
        }

    def _likeness(self) -> NearDuplicateRule:
        return NearDuplicateRule.of(self.columns, self.tolerance, self.distance, self.shingles)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count the copies in each sample."""
        found: list[Reading] = []
        for role in cast("Sequence[str]", evidence["samples"]):
            about = cast("Mapping[str, Json]", evidence[role])
            if "gap" in about:
                params = {"data": role}
                found += [read_gap(about["gap"], metric, params) for metric in self.emits]
            else:
                found += _DuplicateRows.of(evidence, role, self.listed).readings()
        return tuple(found)


def _truth(subject: Subject, dataset: Dataset, members: NDArray[np.int64]) -> Evidence:
    """Return the truth of the rows that stand twice, and how far two truths may lie apart."""
    role = dataset.role.value
    regression = not isinstance(subject.task, ClassificationTask)
    truth = dataset.targets if regression else dataset.labels
    apart = 0.0 if isinstance(subject.task, ClassificationTask) else subject.task.tolerance
    if truth is None:
        return {}
    return {f"{role}_truth": truth[members].astype(np.float64), f"{role}_apart": apart}


@dataclass(frozen=True, slots=True, eq=False)
class _DuplicateRows:
    """What was seen of one sample: the rows that stand twice, as ``[m, 2]``, row and group."""

    evidence: Evidence
    role: str
    listed: int
    rows: int
    by_chance: Mapping[str, Json] | None
    exact: NDArray[np.int64]
    near: NDArray[np.int64]

    @classmethod
    def of(cls, evidence: Evidence, role: str, listed: int) -> "_DuplicateRows":
        """Read evidence back."""
        about = cast("Mapping[str, Json]", evidence[role])
        return cls(
            evidence,
            role,
            listed,
            cast("int", about["rows"]),
            cast("Mapping[str, Json] | None", about["by_chance"]),
            cast("NDArray[np.int64]", evidence[f"{role}_exact"]),
            cast("NDArray[np.int64]", evidence[f"{role}_near"]),
        )

    def readings(self) -> Iterator[Reading]:
        """Return the four shares, or what is missing for them."""
        yield self._share("exact_share", count_extra_rows(self.exact), "exact", self.exact)
        yield self._conflict("conflicting_share", self.exact)
        yield self._share("near_share", count_near_rows(self.exact, self.near), "near", self.near)
        yield self._conflict("near_conflicting_share", self.near)

    def _share(self, metric: str, count: int, how: str, groups: NDArray[np.int64]) -> Measurement:
        chance = {} if self.by_chance is None else {"by_chance": self.by_chance[how]}
        details = {"k": count, "n": self.rows, **chance, **self._list(groups)}
        return self._reading(metric, count, details)

    def _conflict(self, metric: str, groups: NDArray[np.int64]) -> Reading:
        if f"{self.role}_truth" not in self.evidence:
            return missing_labels_gap(DatasetRole(self.role), metric)
        truth = cast("NDArray[np.float64]", self.evidence[f"{self.role}_truth"])
        apart = cast("float", self.evidence[f"{self.role}_apart"])
        split = conflicting_groups(groups, truth[self._places(groups)], apart)
        details = {"k": len(split), "n": self.rows, **self._list(split)}
        return self._reading(metric, len(split), details)

    def _places(self, groups: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return where the rows of groups stand among those that were kept."""
        members = cast("NDArray[np.int64]", self.evidence[f"{self.role}_rows"])
        return np.searchsorted(members, groups[:, 0])

    def _list(self, groups: NDArray[np.int64]) -> dict[str, Json]:
        """Name the rows of the largest groups."""
        ids = cast("NDArray[np.str_]", self.evidence[f"{self.role}_ids"])
        named = cast("Json", largest_groups(groups, ids[self._places(groups)], self.listed))
        return {"groups": named, "group_count": len(np.unique(groups[:, 1]))}

    def _reading(self, metric: str, count: int, details: Mapping[str, Json]) -> Measurement:
        declared = DuplicateCheck.emits[metric]
        return Measurement(
            metric=metric,
            value=count / self.rows,
            bound=declared.bound,
            method=NEARLY if declared.bound is BoundKind.AT_LEAST else EQUAL,
            n=self.rows,
            unit=Unit.SHARE,
            params={"data": self.role},
            details=details,
        )


CHECK: type[Check] = DuplicateCheck
