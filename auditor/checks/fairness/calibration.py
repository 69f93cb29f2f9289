"""Check of calibration within groups of people: whether probabilities mean the same for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import UNKNOWN, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection, ReportTopic
from auditor.domain.report_panels import BlockPanel, build_interval_panels, interval_ends
from auditor.domain.row_evidence import RowEvidence
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
from auditor.metrics.performance.group_fairness import (
    count_rows_without_group,
    doubt_left_out_rows,
    read_groups,
    write_groups,
)
from auditor.metrics.stats.p_values import benjamini_hochberg, holm
from auditor.metrics.stats.recalibration import RecalibrationLine

CORRECTIONS = {"holm": holm, "bh": benjamini_hochberg}
MOST_DRAWN = 14
LINES = {
    "slope": ("Recalibration slope (1 is right)", 1.0),
    "in_the_large": ("Observed rate minus stated probability (0 is right)", 0.0),
}
"""What is drawn of groups: its title, and where a calibrated model lies."""
LINES_APART = (
    "Each group has its own interval; the dashed line marks a calibrated model. Rules "
    "judge the gaps, and intervals of gaps hold jointly."
)


@dataclass(frozen=True, slots=True)
class GroupCalibrationCheck(Check):
    """Measures calibration within each of your groups, and the largest gaps between groups.

    A binary model is judged by the probability of its positive class, a multi-class model by that
    of its answer. A group has a calibration line if the predicted event happened in at least
    ``least_rows`` of its rows and did not happen in as many.

    Each line is tested for slope 1 and intercept 0, with p-values corrected for all groups of all
    columns: ``holm`` bounds the chance of any false finding, ``bh`` the mean share of false ones.
    Gaps hold jointly. ``compare_unknown`` includes rows of unknown group in the gaps.

    If base rates differ, a model that is calibrated within groups cannot also have equal error
    rates (Kleinberg, Mullainathan and Raghavan 2017).
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
    emits: ClassVar[Mapping[str, Metric]] = GROUPED
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(2)(f)"),
        FrameworkControl("eu-ai-act", "10(2)(g)"),
        FrameworkControl("eu-ai-act", "13(3)(b)(v)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.11"),
        FrameworkControl("iso-42001", "A.5.4"),
    )
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset({"clusters", "happened", "ids", ODDS, "stated"}),
        apart=frozenset({"columns", "task"}),
    )
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.GROUPS})
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.DAILY, 4)

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
        return CheckCost(queries=size.rows, clean=size.rows)

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
        without = count_rows_without_group(evidence)
        lines = {at.place: at.line(confidence) for column in columns for at in column}
        tested = self.tested(lines)
        found: list[Reading] = []
        for column in columns:
            for member in column:
                line, test = lines[member.place], tested.get(member.place, {})
                found += group_readings(member, line, confidence, test)
            chosen = [member for member in column if self.compares(member.name)]
            name, family = column[0].column, _family(len(columns))
            read = gap_readings(name, chosen, confidence, family)
            if name in without and len(chosen) < len(column):
                beside = gap_readings(name, column, confidence, family)
                read = doubt_left_out_rows(read, beside, self.emits, without[name])
            found += read
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

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show how bold the model is of each group, and how far it is off on average."""
        shown = [m for m in measurements if m.metric in LINES]
        places = dict.fromkeys((str(m.params.get("group_column", "")), m.metric) for m in shown)
        panels: list[BlockPanel] = []
        for column, metric in places:
            said_of, right_at = LINES[metric]
            mine = [m for m in shown if m.metric == metric and interval_ends(m) is not None]
            mine = [m for m in mine if str(m.params.get("group_column", "")) == column]
            hidden = f" {len(mine) - MOST_DRAWN} more are in the table only."
            apart = "Each group with its own interval." if panels else LINES_APART
            panels += build_interval_panels(
                mine,
                lambda m: str(m.params.get("group", "")),
                title=f"{said_of} by {column}",
                caption=apart + hidden * (len(mine) > MOST_DRAWN),
                header=("", "Figure", "Interval", "How sure"),
                ideal=right_at,
                most=MOST_DRAWN,
                unit=Unit.NONE,
            )
        return ReportBlock(parts=tuple(panels))


def _family(columns: int) -> int:
    """Count the intervals that hold jointly: every gap of every column."""
    return len(FIGURES) * max(1, columns)


CHECK: type[Check] = GroupCalibrationCheck
