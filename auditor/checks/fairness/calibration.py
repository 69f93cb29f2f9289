"""Whether the model's probabilities mean the same for every group of people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import UNKNOWN, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Reading
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.subjects import CheckShard, Subject
from auditor.metrics.performance.calibration import (
    ODDS,
    observe_stated_probabilities,
    read_stated_probabilities,
    write_stated_probabilities,
)
from auditor.metrics.performance.group_calibration import (
    FIGURES,
    GROUPED,
    build_group_calibrations,
    gap_half_widths,
    gap_readings,
    group_readings,
)
from auditor.metrics.performance.group_fairness import read_groups, write_groups
from auditor.metrics.stats.p_values import benjamini_hochberg, holm
from auditor.metrics.stats.recalibration import RecalibrationLine

CORRECTIONS = {"holm": holm, "bh": benjamini_hochberg}


@dataclass(frozen=True, slots=True)
class GroupCalibrationCheck:
    """Calibration within groups: a line for each, and the largest gaps between them.

    A binary model is judged by the probability of its positive class, one of more classes by that
    of its answer. A group has a line where what was stated came true in ``least_rows`` of its rows
    and did not in as many; that its slope is 1 and its intercept 0 is tested, and p-values are
    corrected for all groups of all columns: ``holm`` bounds the chance of any false finding, ``bh``
    the mean share of false ones. Gaps hold jointly. Where base rates differ, a model that is
    calibrated within groups cannot have equal error rates too (Kleinberg, Mullainathan and Raghavan
    2017). ``compare_unknown`` says whether rows of unknown group take part in gaps.
    """

    least_rows: int = 30
    correction: Literal["holm", "bh"] = "holm"
    compare_unknown: bool = False

    id: ClassVar[str] = "fairness.calibration"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Calibration within groups"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.GROUPS, Need.CLASSIFICATION}
    )
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = GROUPED
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(2)(f)"),
        FrameworkControl("eu-ai-act", "10(2)(g)"),
        FrameworkControl("eu-ai-act", "13(3)(b)(v)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.11"),
        FrameworkControl("iso-42001", "A.5.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset({"clusters", "happened", "ids", ODDS, "stated"}),
        apart=frozenset({"columns", "task"}),
    )

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if self.least_rows < 1:
            message = f"least_rows {self.least_rows} is a number of rows, one at least"
            raise ValueError(message)
        if self.correction not in CORRECTIONS:
            message = f"correction is one of {', '.join(CORRECTIONS)}, not {self.correction!r}"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half widths of the widest column for calibrated scores spread evenly between 0 and 1."""
        found: dict[str, float] = {}
        for groups in size.groups.values():
            rows = [sum(of.values()) for name, of in groups.items() if self.compares(name)]
            widths = gap_half_widths(rows, confidence, _family(len(size.groups)))
            found = {name: max(width, found.get(name, 0.0)) for name, width in widths.items()}
        return found

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the evaluation data; keep what was stated, what happened, and groups."""
        dataset = subject.datasets[DatasetRole.EVALUATION]
        return {
            "ids": np.asarray(dataset.ids),
            **write_stated_probabilities(
                read_stated_probabilities(observe_stated_probabilities(subject))
            ),
            **write_groups(dataset),
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Fit each group, and compare groups column by column."""
        seen = read_stated_probabilities(evidence)
        columns = [
            build_group_calibrations(name, groups, codes, seen, self.least_rows)
            for name, groups, codes in read_groups(evidence)
        ]
        lines = {at.place: at.line(confidence) for column in columns for at in column}
        tested = self.tested(lines)
        found: list[Reading] = []
        for column in columns:
            for member in column:
                line, test = lines[member.place], tested.get(member.place, {})
                found += group_readings(member, line, confidence, test)
            chosen = [member for member in column if self.compares(member.name)]
            found += gap_readings(column[0].column, chosen, confidence, _family(len(columns)))
        return tuple(found)

    def tested(self, lines: Mapping[str, RecalibrationLine | None]) -> dict[str, dict[str, Json]]:
        """Return how each group's joint test ended, corrected for all of them, by its place."""
        tests = {place: line.p_value for place, line in lines.items() if line is not None}
        adjusted = CORRECTIONS[self.correction](list(tests.values())).tolist()
        return {
            place: {
                "p_value": tests[place],
                "adjusted_p_value": corrected,
                "adjusted_for": f"{len(tests)} groups ({self.correction})",
            }
            for place, corrected in zip(tests, adjusted, strict=True)
        }

    def compares(self, group: str) -> bool:
        """Whether a group takes part in gaps."""
        return self.compare_unknown or group != UNKNOWN


def _family(columns: int) -> int:
    """Count the intervals that hold jointly: every gap of every column."""
    return len(FIGURES) * max(1, columns)


CHECK: type[Check] = GroupCalibrationCheck
