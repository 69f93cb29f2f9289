"""Check for duplicate rows, and for copies with other labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import missing_labels_gap, read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.number_text import format_count, format_scalar
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import (
    BlockPanel,
    count_hidden_rows,
    format_figure_cells,
    name_sample,
    note_chance,
)
from auditor.domain.tasks import ClassificationTask
from auditor.metrics.data.near_duplicates import (
    NEARLY,
    NO_INPUTS,
    ComparableRows,
    NearDuplicateRule,
    build_comparable_rows,
    code_answers,
    conflicting_groups,
    count_extra_rows,
    count_near_rows,
    find_duplicates,
    largest_groups,
    shuffle_columns,
)

SECONDS_A_ROW = 3e-5
EQUAL = "every row compared with every other one by its digest"
MOST_SHOWN = 12
COPIES = {
    "exact_share": "Duplicate rows",
    "near_share": "Near-duplicate rows",
    "conflicting_share": "Equal rows with different labels",
    "near_conflicting_share": "Nearly equal rows with different labels",
}


@dataclass(frozen=True, slots=True)
class DuplicateCheck(Check):
    """Finds rows that repeat an earlier row exactly or nearly, and copies with contradicting
    labels.

    Two rows are near duplicates if:

    - tables: all but ``columns`` of their columns are equal, or measured numbers lie within
      ``tolerance`` of the column's spread and everything else is equal;
    - pictures: their grey values, centred and scaled to length one, lie within ``distance``;
    - texts: they share at least ``shingles`` of their runs of five letters.

    Exact duplicates are counted over the whole file and have no interval. Near duplicates are
    searched among candidates, so the true share is at least the figure. Tables with few columns
    repeat rows by chance: ``by_chance`` in the details is the same share after each column was
    shuffled.
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
    coordinates: ClassVar[frozenset[str]] = frozenset({"data"})
    emits: ClassVar[Mapping[str, Metric]] = {
        "exact_share": Metric(
            "Rows that repeat an earlier row", Unit.SHARE, higher_is_better=False, exact=True
        ),
        "conflicting_share": Metric(
            "Rows with an equal row that has another label",
            Unit.SHARE,
            higher_is_better=False,
            exact=True,
        ),
        "near_share": Metric(
            "Rows that nearly repeat another row",
            Unit.SHARE,
            BoundKind.AT_LEAST,
            higher_is_better=False,
            exact=True,
        ),
        "near_conflicting_share": Metric(
            "Rows with a nearly equal row that has another label",
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
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.DATA, 5, once=True)

    def cost(self, size: AuditSize) -> CheckCost:
        """Ask the model nothing."""
        rows = size.rows + size.beside.get(DatasetRole.TRAINING.value, 0)
        return CheckCost(seconds=SECONDS_A_ROW * rows)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Compare rows; keep the ids, labels and groups of those that stand twice."""
        if (refused := self.refuses(subject)) is not None:
            return {"gap": write_gap(refused)}
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

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that no rows have inputs, as where only predictions are audited."""
        roles = (DatasetRole.EVALUATION, DatasetRole.TRAINING)
        held = [subject.datasets[role] for role in roles if role in subject.datasets]
        if any(dataset.inputs is not None for dataset in held):
            return None
        data = subject.datasets.get(DatasetRole.EVALUATION)
        if data is None:
            return NO_INPUTS
        patterns = np.unique(code_answers(data)).size
        looked = (
            f"{NO_INPUTS.detail} These {format_count(data.rows)} rows have "
            f"{format_count(patterns)} different patterns of scores, labels and groups"
        )
        if data.copies is None:
            return replace(
                NO_INPUTS, detail=f"{looked}, which does not show whether any rows are copies."
            )
        return replace(NO_INPUTS, detail=f"{looked}, and rows of one pattern count as copies.")

    def _survey(self, subject: Subject, dataset: Dataset, rows: ComparableRows) -> Evidence:
        role = dataset.role.value
        likeness = NearDuplicateRule.of(self.columns, self.tolerance, self.distance, self.shingles)
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

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count the copies in each sample."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        found: list[Reading] = []
        for role in cast("Sequence[str]", evidence["samples"]):
            about = cast("Mapping[str, Json]", evidence[role])
            if "gap" in about:
                params = {"data": role}
                found += [read_gap(about["gap"], metric, params) for metric in self.emits]
            else:
                found += _DuplicateRows.of(evidence, role, self.listed).readings()
        return tuple(found)

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show the groups of rows that are alike."""
        return ReportBlock(
            parts=tuple(
                BlockPanel(
                    title=f"{COPIES[m.metric]}, {name_sample(m)}",
                    caption=f"{format_figure_cells(m)[0]} of {format_count(m.n)} rows.",
                    header=("Group", "Rows that are alike"),
                    rows=rows[:MOST_SHOWN],
                    notes=(*note_chance(m), *count_hidden_rows(len(rows), MOST_SHOWN)),
                )
                for m in measurements
                if m.metric in COPIES and (rows := _groups(m))
            )
        )


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


def _groups(m: Measurement) -> tuple[tuple[str, str], ...]:
    groups = m.details.get("groups")
    listed = groups if isinstance(groups, Sequence) and not isinstance(groups, str) else ()
    return tuple(
        (str(place), ", ".join(format_scalar(name) for name in group))
        for place, group in enumerate(listed, start=1)
        if isinstance(group, Sequence) and not isinstance(group, str)
    )


CHECK: type[Check] = DuplicateCheck
